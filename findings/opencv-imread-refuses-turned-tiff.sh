#!/usr/bin/env bash
# OpenCV 5: imread() gives None for a TIFF whose orientation tag says that the picture lies on its side (5 to 8), although
# imdecode() of the same bytes reads it, and turns it. Phone and scanner pictures in portrait fail as if the file were
# missing; the upright ones work.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q pillow==12.3.0 opencv-python-headless==5.0.0.93 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import cv2, numpy as np
from PIL import Image

print(*(f"{n} {importlib.metadata.version(n)}" for n in ("pillow", "opencv-python-headless")))
picture = Image.fromarray(np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3))
print("expected: imread(file) is imdecode(its bytes), for each orientation")
seen = {}
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x112] = orientation
    picture.save("o.tif", exif=exif)
    from_path, from_bytes = cv2.imread("o.tif"), cv2.imdecode(np.fromfile("o.tif", np.uint8), cv2.IMREAD_COLOR)
    seen[orientation] = (from_path is not None, from_bytes is not None)
    print("seen, orientation", orientation, "imread:", None if from_path is None else from_path.shape, "imdecode:", None if from_bytes is None else from_bytes.shape)
sys.exit(seen != {o: (o < 5, True) for o in range(1, 9)})
END
