"""A few labelled renders and the verifier that ships."""

from __future__ import annotations

import pytest

from glide_edit.evaluation.renders import FIRST_UNSEEN_SEED, LabelledRenders, label
from glide_edit.evaluation.verifier import Verifier
from glide_edit.toybox import Scene, sample_scene


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    return [sample_scene(FIRST_UNSEEN_SEED + 5_000 + k, "all") for k in range(32)]


@pytest.fixture(scope="session")
def truth(scenes: list[Scene]) -> LabelledRenders:
    return label(scenes, 128)


@pytest.fixture(scope="session")
def verifier() -> Verifier:
    return Verifier.load()
