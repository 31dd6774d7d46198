"""Masks from files and into files: pictures, alpha channels, run lengths as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import ImageError, InputError
from glide_edit.images import (
    Picture,
    PictureLike,
    check_output,
    check_place,
    open_picture,
    save_picture,
    write_atomically,
)
from masks import Finding, Mask, Means, Size, diagnose, mend

MaskLike = PictureLike | Mask
Channel = Literal["auto", "alpha", "luma"]
"""Which part of a picture is the mask: alpha, brightness, or the one ``Mask.from_array`` finds likelier."""

RUN_LENGTHS = ".json"
LOSSLESS = (".png", ".tif", ".tiff", ".webp")
LARGEST_RECORD = 256 * 2**20
"""bytes of a file with run lengths."""


def open_mask(source: MaskLike, *, means: Means = "change", channel: Channel = "auto") -> Mask:
    """A mask from a picture, from the path of a file of run lengths (``.json``), or from a ``Mask``.

    Args:
        source: anything that ``open_picture`` takes, open binary files and tensors among them: white (128 of
            255 and above) or painted alpha is *on*; in run lengths, the selected runs are.
        means: what *on* stands for.
        channel: which part of a picture to read.

    Raises:
        ImageError: a picture that cannot be opened, or one without the alpha that was asked for.
        InputError: a file of run lengths that cannot be read.
        MaskError: a picture or a record that is not a mask.
    """
    if isinstance(source, Mask):
        return source if means == "change" else ~source
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == RUN_LENGTHS:
        mask = _read_run_lengths(Path(source))
        return mask if means == "change" else ~mask
    picture = open_picture(source)
    if channel == "alpha":
        if picture.alpha is None:
            raise ImageError("the picture has no alpha channel: read its brightness, or give one that has.")
        return Mask.from_array(picture.alpha, means=means)
    pixels = picture.pixels
    if channel == "auto" and picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    return Mask.from_array(pixels, means=means)


def save_mask(
    mask: Mask,
    path: str | os.PathLike[str],
    *,
    means: Means = "change",
    into: Picture | None = None,
    force: bool = False,
) -> Path:
    """Write a mask: white on black as .png, .tif or .webp, or run lengths as .json.

    Args:
        mask: the selection.
        path: the file; its ending decides.
        means: what white, opaque or a selected run stands for. OpenAI's tools, among others, want what may
            change transparent: "keep".
        into: write this picture, with the mask as its alpha, opaque where *on*.
        force: overwrite a file that is there.

    Raises:
        ImageError: an ending that is not written, or would not keep the mask exactly.
        InputError: ``into`` has another size, or the file cannot be written.
        OutputExists: it is there, and ``force`` is False.
    """
    path = check_mask_output(path, into=into is not None, force=force)
    on = mask if means == "change" else ~mask
    if into is not None:
        if (into.height, into.width) != mask.size:
            raise InputError(
                f"the mask is {mask.width} wide and {mask.height} high but the picture is {into.width} "
                f"wide and {into.height} high: both must have the same size."
            )
        white = np.iinfo(into.pixels.dtype).max
        alpha = on.selected.astype(into.pixels.dtype) * white
        return save_picture(replace(into, alpha=alpha), path, force=force)
    if path.suffix.lower() == RUN_LENGTHS:
        record = json.dumps(on.to_rle(), separators=(",", ":"))
        return write_atomically(path, record.encode(), force=force)
    return save_weights(on.to_array(), path, force=force)


def save_weights(weights: NDArray[np.uint8], path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a grey picture, uint8 (H, W), such as a feathered mask: a PNG of one channel, or .tif or .webp.

    Raises:
        ImageError, InputError, OutputExists: as ``save_mask``.
    """
    import cv2

    path = check_output(path, force=force)
    if path.suffix.lower() != ".png":
        return save_picture(weights, path, force=force)
    done, encoded = cv2.imencode(".png", weights)
    assert done
    return write_atomically(path, encoded.tobytes(), force=force)


def check_mask_output(path: str | os.PathLike[str], *, into: bool = False, force: bool = False) -> Path:
    """Raise before the work what ``save_mask`` would raise after it; returns the path."""
    path = Path(path)
    if path.suffix.lower() == RUN_LENGTHS and not into:
        return check_place(path, force=force)
    if path.suffix.lower() not in LOSSLESS:
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        kinds = ", ".join(LOSSLESS if into else (*LOSSLESS, RUN_LENGTHS))
        raise ImageError(f"{path} {ending}: masks are saved as {kinds}, which keep every pixel.")
    return check_output(path, force=force)


def examine(
    mask: Mask, picture: Picture | None = None, size: Size | None = None, **settings: Any
) -> tuple[Finding, ...]:
    """``masks.diagnose`` for a picture, which knows its size and how its file was stored; or for a size."""
    return diagnose(mask, *_size_and_orientation(picture, size), **settings)


def mended(
    mask: Mask, picture: Picture | None = None, size: Size | None = None, **settings: Any
) -> tuple[Mask, tuple[Finding, ...]]:
    """``masks.mend`` for the same: the repaired mask, and the findings that were repaired."""
    return mend(mask, *_size_and_orientation(picture, size), **settings)


def _size_and_orientation(picture: Picture | None, size: Size | None) -> tuple[Size | None, int]:
    """The size of the upright picture, and the EXIF orientation of its file."""
    return (size, 1) if picture is None else ((picture.height, picture.width), picture.orientation)


def _read_run_lengths(path: Path) -> Mask:
    try:
        if path.stat().st_size > LARGEST_RECORD:
            raise InputError(f"{path} is larger than {LARGEST_RECORD // 2**20} MB: give the mask as a PNG.")
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON: give the file that a run-length mask was saved to.") from None
    return Mask.from_rle(record)
