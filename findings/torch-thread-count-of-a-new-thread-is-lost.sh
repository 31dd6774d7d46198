#!/usr/bin/env bash
# PyTorch keeps a number of threads for each Python thread: what torch.set_num_threads() says holds for the thread that
# calls it. But where it is the FIRST thing of torch that a new thread calls, the number is lost as soon as any other
# thread sets its own: the next operation takes over that one. Who gives each worker of a pool one core gets as many
# threads a worker as the process has, and they wait for each other. Asking torch.get_num_threads() before prevents it.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder"
{ python3 -m venv venv && venv/bin/python -m pip install -q torch==2.13.0 numpy; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import sys, threading
import torch

def number_that_holds(asks_first):
    """A new thread sets 1, then another thread sets 3: what the new one computes with."""
    seen, is_set, other_is_set = [], threading.Event(), threading.Event()

    def work():
        if asks_first:
            torch.get_num_threads()
        torch.set_num_threads(1)
        is_set.set()
        other_is_set.wait()
        torch.ones(10).sum()
        seen.append(torch.get_num_threads())

    worker = threading.Thread(target=work)
    worker.start()
    is_set.wait()
    torch.set_num_threads(3)
    other_is_set.set()
    worker.join()
    return seen[0]

print("torch", torch.__version__)
print("a new thread sets 1, the main thread then sets 3; expected in the new one: 1")
lost, kept = number_that_holds(False), number_that_holds(True)
print("seen:", lost, "| where it asked get_num_threads() before:", kept)
sys.exit(not (lost == 3 and kept == 1))
END
