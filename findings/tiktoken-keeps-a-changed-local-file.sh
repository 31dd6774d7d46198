#!/usr/bin/env bash
# tiktoken: load_tiktoken_bpe() of a LOCAL path answers with the content that the file had when it was first read, in this
# process and in later ones: a copy is kept under the temporary folder, found again by the path alone. Who retrains a
# vocabulary and saves it under the same name goes on with the old one. An expected_hash prevents it; so does
# TIKTOKEN_CACHE_DIR set to the empty string.
# Exit: 0 while it happens as described, 1 when the behaviour has changed, 2 when the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder" OMP_NUM_THREADS=1
{ python3 -m venv venv && venv/bin/python -m pip install -q tiktoken==0.14.0; } >install.log 2>&1 || { tail -n 5 install.log; exit 2; }
venv/bin/python - 2>errors.log <<'END' || { code=$?; tail -n 5 errors.log >&2; exit "$code"; }
import base64, importlib.metadata, pathlib, subprocess, sys

def save(words):
    pathlib.Path("mine.tiktoken").write_text("".join(f"{base64.b64encode(w.encode()).decode()} {i}\n" for i, w in enumerate(words)))

def load(setting=""):  # a new process each time, as between two runs of a program
    code = f"import os; {setting}; from tiktoken.load import load_tiktoken_bpe as f; print(*(t.decode() for t in f(\"mine.tiktoken\")))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

print("tiktoken", importlib.metadata.version("tiktoken"))
old, new = ["a", "b", "ab"], ["a", "b", "c", "abc"]
save(old)
first = load("0")
save(new)
second, uncached = load("0"), load("os.environ[\"TIKTOKEN_CACHE_DIR\"] = \"\"")
print("written first, read:", old, first)
print("then the file became:", new)
print("expected on reading again:", new)
print("seen:", second, "| with the cache off:", uncached)
sys.exit(not (first == old and second == old and uncached == new))
END
