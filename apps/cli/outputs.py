"""Where pictures are written: names, checks before the work, and the line printed afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from apps.cli.errors import printable

if TYPE_CHECKING:
    from glide_edit.images import Picture
    from glide_edit.results import Receipt

_SUFFIXES = {"PNG": (".png",), "TIFF": (".tif", ".tiff")}
"""The endings that a result keeps from its source, since these formats lose nothing."""

_WHY_PNG = {
    "JPEG": "is a JPEG, a lossy format: saved as PNG, since encoding it again would change pixels everywhere",
    "WEBP": "is a WebP, which may be lossy: saved as PNG, without loss",
}


def suffix_for(source: Path, picture: Picture) -> tuple[str, str | None]:
    """The ending of a default name: the source's own where that loses nothing, or else also why not."""
    from glide_edit.images import default_output_suffix

    if source.suffix.lower() in _SUFFIXES.get(picture.format or "", ()):
        return source.suffix, None
    why = _WHY_PNG.get(picture.format or "")
    return default_output_suffix(picture), why and f"{source.name} {why}"


def numbered(path: Path, n: int) -> list[Path]:
    """One path a picture: the path itself for one, else with -1, -2 and so on before its ending."""
    if n == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{k}{path.suffix}") for k in range(1, n + 1)]


def check_targets(
    targets: Sequence[Path],
    *,
    like: Picture | None = None,
    size: tuple[int, int] | None = None,
    force: bool = False,
) -> None:
    """Say before the work what would stop the writing after it: ``check_output`` of every target.

    Raises:
        OutputExists: one is there already, and ``force`` is False.
        InputError: a folder is missing or cannot be written to, or a format will not do.
    """
    from glide_edit.images import check_output

    for target in targets:
        check_output(target, like=like, size=size, force=force)


def receipt_line(path: Path, receipt: Receipt, *, grown: bool, new: bool = False) -> str:
    """What a person reads about a file that was read back; ``new``: what was outside is the old picture."""
    p = receipt.preservation
    selection = "new part" if new else "grown selection" if grown else "selection"
    line = f"{printable(str(path))}: {p.changed:,} of {p.outside:,} pixels outside the {selection} changed"
    return line if receipt.kept else f"{line}, by up to {p.largest_change}"
