"""How branches are weighed, against the published formulas."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from glide_edit.guidance import cfg_weights

SCALES = st.floats(0, 30)


@given(SCALES)
def test_without_more_it_is_classifier_free_guidance(scale: float) -> None:
    mixed = cfg_weights({"ball": 1}, {"": 1}, scale)
    assert mixed == {("ball", True): scale, ("", True): 1 - scale}


def test_nothing_said_is_one_branch() -> None:
    assert cfg_weights({"": 1}, {"": 1}, 3.0) == {("", True): pytest.approx(1)}


@given(SCALES, SCALES)
def test_text_and_context_as_instruct_pix2pix(text: float, context: float) -> None:
    """Eq. 3 there: e(no, no) + s_I (e(no, I) - e(no, no)) + s_T (e(T, I) - e(no, I))."""
    e = {("ball", True): 5.0, ("", True): -2.0, ("", False): 0.7}
    mixed = cfg_weights({"ball": 1}, {"": 1}, text, context)
    total = sum(weight * e[asked] for asked, weight in mixed.items())
    expected = 0.7 + context * (-2.0 - 0.7) + text * (5.0 + 2.0)
    assert total == pytest.approx(expected, abs=1e-6)
    assert sum(mixed.values()) == pytest.approx(1)
    assert next(iter(mixed)) == ("ball", True)


def test_a_weight_for_the_whole_prompt_multiplies_the_scale() -> None:
    mixed = cfg_weights({"ball": 1.5, "": -0.5}, {"": 1}, 2.0)
    assert mixed == pytest.approx(cfg_weights({"ball": 1}, {"": 1}, 3.0))


def test_a_negative_prompt_may_have_weights() -> None:
    mixed = cfg_weights({"ball": 1}, {"red blur": 1.5, "blur": -0.5}, 2.0, 1.5)
    assert mixed == pytest.approx(
        {
            ("ball", True): 2.0,
            ("red blur", True): -0.75,
            ("blur", True): 0.25,
            ("red blur", False): -0.75,
            ("blur", False): 0.25,
        }
    )
