#!/usr/bin/env bash
# pillow-jxl-plugin: a picture opened from a JPEG file, painted on in place and saved as JPEG XL, is saved as it was BEFORE
# the painting: the plugin packs the bytes of the file it came from. All that Python says is a warning that speaks of
# lossless reconstruction. After picture.copy(), or with lossless_jpeg=False, the painting is kept.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q pillow-jxl-plugin==1.3.8 pillow==12.3.0; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import pillow_jxl  # registers itself with Pillow
from PIL import Image

print(*(f"{n} {importlib.metadata.version(n)}" for n in ("pillow-jxl-plugin", "pillow")))
Image.new("RGB", (32, 32), (200, 200, 200)).save("grey.jpg", quality=95)

def painted(name, copy=False, **options):
    picture = Image.open("grey.jpg")
    picture = picture.copy() if copy else picture
    picture.paste((255, 0, 0), (8, 8, 24, 24))
    picture.save(name, **options)
    return Image.open(name).convert("RGB").getpixel((16, 16))

def is_red(colour):
    return colour[0] > 240 and max(colour[1:]) < 20

seen = {"in place": painted("a.jxl"), "of a copy": painted("b.jxl", copy=True),
        "lossless_jpeg=False": painted("c.jxl", lossless_jpeg=False), "saved as PNG": painted("d.png")}
print("expected in the middle: red, about (255, 0, 0)")
print("seen:", seen)
sys.exit([is_red(colour) for colour in seen.values()] != [False, True, True, True])
END
