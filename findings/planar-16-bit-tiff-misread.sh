#!/usr/bin/env bash
# A 16-bit RGB TIFF with its planes apart (PlanarConfiguration 2, baseline TIFF; tifffile writes it on request) opens in
# Pillow and in OpenCV without a word, and shows other pixels than it holds. Interleaved, the same picture is read right.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q tifffile==2026.3.3 pillow==12.3.0 opencv-python-headless==5.0.0.93 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import cv2, numpy as np, tifffile
from PIL import Image

print(*(f"{n} {importlib.metadata.version(n)}" for n in ("tifffile", "pillow", "opencv-python-headless")))
planes = np.random.default_rng(0).integers(0, 65536, (3, 16, 20), dtype=np.uint16)
truth = np.ascontiguousarray(np.moveaxis(planes, 0, -1))
tifffile.imwrite("apart.tif", planes, planarconfig="separate", photometric="rgb")
tifffile.imwrite("together.tif", truth, photometric="rgb")
print("expected: largest error 0 for OpenCV (16 bits), at most 1 for Pillow (8 of the 16 bits)")
errors = {}
for file in ("together.tif", "apart.tif"):
    opencv = cv2.imread(file, cv2.IMREAD_UNCHANGED)[..., ::-1]
    pillow = np.asarray(Image.open(file))
    errors[file] = (int(np.abs(opencv.astype(int) - truth).max()), int(np.abs(pillow.astype(int) - (truth >> 8)).max()))
    print("seen,", file, "OpenCV error:", errors[file][0], "Pillow error:", errors[file][1])
sys.exit(not (errors["together.tif"][0] == 0 and errors["together.tif"][1] <= 1 and errors["apart.tif"][0] > 1000 and errors["apart.tif"][1] > 100))
END
