"""What all tests share: a headless matplotlib and a hypothesis profile for two slow cores."""

from __future__ import annotations

import os

import hypothesis

os.environ.setdefault("MPLBACKEND", "Agg")

hypothesis.settings.register_profile(
    "glide-edit",
    deadline=None,  # the first example compiles or imports
    max_examples=40,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("glide-edit")
