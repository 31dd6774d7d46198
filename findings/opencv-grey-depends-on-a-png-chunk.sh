#!/usr/bin/env bash
# OpenCV 5: imdecode(..., IMREAD_GRAYSCALE) of a colour PNG depends on whether the file has an sRGB or gAMA chunk. Pure red
# becomes 76 without one, and 147 with it, although both files say the same colours; reading in colour and converting
# with cvtColor gives 76 for both, Pillow too. A threshold tuned on one camera or tool fails on the files of another.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q opencv-python-headless==5.0.0.93 pillow==12.3.0 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, io, struct, sys, zlib
import cv2, numpy as np
from PIL import Image

def png(*extra):  # 4 x 4, pure red
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes([255, 0, 0]) * 4) * 4
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)

print(*(f"{n} {importlib.metadata.version(n)}" for n in ("opencv-python-headless", "pillow")))
print("expected: one grey value for one red, with or without the chunk")
direct = {}
for name, extra in {"no chunk": (), "sRGB": ((b"sRGB", b"\0"),), "gAMA": ((b"gAMA", struct.pack(">I", 45455)),)}.items():
    data = png(*extra)
    array = np.frombuffer(data, np.uint8)
    grey = int(cv2.imdecode(array, cv2.IMREAD_GRAYSCALE)[0, 0])
    converted = int(cv2.cvtColor(cv2.imdecode(array, cv2.IMREAD_COLOR), cv2.COLOR_BGR2GRAY)[0, 0])
    pillow = Image.open(io.BytesIO(data)).convert("L").getpixel((0, 0))
    direct[name] = (grey, converted, pillow)
    print(f"seen, {name}: IMREAD_GRAYSCALE {grey}, colour then cvtColor {converted}, Pillow {pillow}")
sys.exit(direct != {"no chunk": (76, 76, 76), "sRGB": (147, 76, 76), "gAMA": (147, 76, 76)})
END
