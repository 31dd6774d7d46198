#!/usr/bin/env bash
# OpenEXR for Python: an array that is a view (a mirror, every tenth pixel, a transpose, one channel of an RGB array) is
# written as if its memory were contiguous: other pixels than the array shows land in the file, and nothing is
# said. numpy.ascontiguousarray() of the same view is written right.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q OpenEXR==3.5.3 numpy==2.4.6; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import importlib.metadata, sys
import numpy as np, OpenEXR

def through_file(array):
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Y": array}) as file:
        file.write("y.exr")
    with OpenEXR.File("y.exr", separate_channels=True) as file:
        return file.channels()["Y"].pixels.copy()

print(*(f"{n} {importlib.metadata.version(n)}" for n in ("OpenEXR", "numpy")))
big = np.arange(60 * 80, dtype=np.float32).reshape(60, 80)
rgb = np.random.default_rng(0).random((60, 80, 3), np.float32)
views = {"mirrored": big[:, ::-1], "every tenth": big[::10, ::10], "transposed": big.T, "channel 1 of RGB": rgb[..., 1]}
print("expected: what is read back equals the array that was written")
wrong = {}
for name, view in views.items():
    got, copied = through_file(view), through_file(np.ascontiguousarray(view))
    wrong[name] = not np.array_equal(got, view) and np.array_equal(copied, view)
    print(f"seen, {name}: wrote {view[0, :3].tolist()}, read {got[0, :3].tolist()}; its contiguous copy is right: {np.array_equal(copied, view)}")
sys.exit(not all(wrong.values()))
END
