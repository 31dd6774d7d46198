import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from glide_edit.models import apply, choose_runtime
from glide_edit.models.memory import keep_freed_memory
runtime = choose_runtime("cpu", threads=1)
if sys.argv[1] == "apply":
    if not keep_freed_memory():
        sys.exit(3)
    apply(runtime)
torch.set_num_threads(1)
def round_(): torch.ones(16 * 2**20)  # 64 MB
for _ in range(4): round_()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): round_()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_large_tensors_are_made_of_memory_that_is_there() -> None:
    def page_faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
        if done.returncode == 3:
            pytest.skip("not glibc")
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert page_faults("apply") < page_faults("choose") / 3
