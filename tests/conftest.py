"""What all tests share: a headless matplotlib, Ctrl-C, and a hypothesis profile for two slow cores."""

from __future__ import annotations

import os
import signal

import hypothesis

os.environ.setdefault("MPLBACKEND", "Agg")

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
