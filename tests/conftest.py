"""What all tests share: a headless matplotlib, Ctrl-C, no fetched models, hypothesis for two slow cores."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import hypothesis

os.environ.setdefault("MPLBACKEND", "Agg")

# What the user has fetched is none of the tests' business.
os.environ["GLIDE_EDIT_HOME"] = str(Path(tempfile.gettempdir()) / "glide-edit-tests-have-no-models")

# A shell that starts the tests in the background has them ignore SIGINT, and what they start as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "glide-edit",
    deadline=None,  # the first example compiles or imports
    max_examples=40,
    print_blob=True,
    derandomize=bool(
        os.environ.get("CI")
    ),  # new examples are for people to find, not for a change to trip over
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("glide-edit")
