#!/usr/bin/env bash
# pycocotools: encode() of a uint8 mask that has grey levels (an anti-aliased edge, a probability in 0..255) does not take
# what is above 0, nor what is above half: each change of level turns outside to inside or back. One soft pixel at the
# edge of a thing selects everything behind it, without an error. A mask of 0 and one other level is right: threshold first.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q pycocotools==2.0.11 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import numpy as np
from pycocotools import mask as coco

print("pycocotools", importlib.metadata.version("pycocotools"))
rows = {"two levels": [0, 255, 255, 0, 0], "soft edge": [0, 255, 128, 0, 0], "a light ground": [10, 10, 255, 255, 10]}
seen = {}
for name, row in rows.items():
    mask = np.asfortranarray([row], dtype=np.uint8)
    seen[name] = coco.decode(coco.encode(mask))[0].tolist()
    above, half = [int(v > 0) for v in row], [int(v > 127) for v in row]
    print(f"{name} {row}: expected {above} (above 0) or {half} (above half), or an error; seen {seen[name]}")
sys.exit(seen != {"two levels": [0, 1, 1, 0, 0], "soft edge": [0, 1, 0, 1, 1], "a light ground": [1, 1, 0, 0, 1]})
END
