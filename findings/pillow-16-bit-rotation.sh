#!/usr/bin/env bash
# Pillow: a 16-bit grey picture (mode I;16) rotated with BILINEAR has its two bytes interpolated apart: a flat 40000
# becomes a scatter of small values, without an error. NEAREST is right, and so is a picture of mode I or F.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q pillow==12.3.0 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import numpy as np
from PIL import Image

print("pillow", importlib.metadata.version("pillow"))
flat = Image.fromarray(np.full((40, 40), 40000, np.uint16))
middle = (slice(15, 25), slice(15, 25))
def rotated(picture, how):
    return np.unique(np.asarray(picture.rotate(3, resample=how))[middle].round().astype(int)).tolist()

bilinear = rotated(flat, Image.Resampling.BILINEAR)
nearest = rotated(flat, Image.Resampling.NEAREST)
as_float = rotated(Image.fromarray(np.asarray(flat).astype(np.float32)), Image.Resampling.BILINEAR)
print("mode", flat.mode, "expected: a flat picture stays flat, 40000")
print("seen, BILINEAR:", bilinear[:10], "| NEAREST:", nearest, "| BILINEAR as F:", as_float)
sys.exit(not (40000 not in bilinear and max(bilinear) < 1000 and nearest == [40000] and as_float == [40000]))
END
