#!/usr/bin/env bash
# tifffile (and imageio over it) writes a bool array as a one-bit TIFF whose ones mean BLACK (MINISWHITE). It reads its own
# file back as it was; Pillow and OpenCV, which go by the tag, see the inverse: a mask that went through such a file
# selects everything but what was selected. Saved as uint8 (mask * 255), it comes back right everywhere.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q tifffile==2026.3.3 imageio==2.38.1 pillow==12.3.0 opencv-python-headless==5.0.0.93 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import cv2, imageio.v3 as imageio, numpy as np, tifffile
from PIL import Image

print(*(f"{n} {importlib.metadata.version(n)}" for n in ("tifffile", "imageio", "pillow", "opencv-python-headless")))
mask = np.zeros((8, 8), bool)
mask[2:4, 2:6] = True
tifffile.imwrite("tifffile.tif", mask)
imageio.imwrite("imageio.tif", mask)
tifffile.imwrite("uint8.tif", mask.astype(np.uint8) * 255)
readers = {"tifffile": tifffile.imread, "Pillow": lambda f: np.asarray(Image.open(f)), "OpenCV": lambda f: cv2.imread(f, cv2.IMREAD_UNCHANGED)}
seen = {f: {n: read(f) > 0 for n, read in readers.items()} for f in ("tifffile.tif", "imageio.tif", "uint8.tif")}
print("expected of every reader:", int(mask.sum()), "of 64 pixels selected")
for file, masks in seen.items():
    print("seen", file, {n: int(m.sum()) for n, m in masks.items()})
as_described = all(np.array_equal(m, mask if n == "tifffile" or f == "uint8.tif" else ~mask) for f, masks in seen.items() for n, m in masks.items())
sys.exit(not as_described)
END
