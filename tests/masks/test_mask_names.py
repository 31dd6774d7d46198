"""The public names of the package; names of the release before still work, with a warning."""

from __future__ import annotations

import pytest

import masks


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("calmed", "remove_excess_noise"),
        ("continued", "extend_edges"),
        ("grained", "add_grain"),
        ("patched", "patch_fill"),
    ],
)
def test_old_names_still_work_and_warn(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"masks.{old} is now masks.{new}"):
        assert getattr(masks, old) is getattr(masks, new)


def test_other_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="'masks' has no attribute 'grain_of'"):
        _ = masks.grain_of  # type: ignore[attr-defined]


def test_every_public_name_exists() -> None:
    assert all(hasattr(masks, name) for name in masks.__all__)
