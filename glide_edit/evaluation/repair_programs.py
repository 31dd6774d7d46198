"""Other programs that fill a selection from its surroundings, for the repair bench.

Each is given what glide-edit is given, the covered picture and the selection, and is used as its own
documentation says. G'MIC is a program of its own: its time holds its start and two pictures' files.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.images import open_picture, save_picture, to_uint8
from glide_edit.optional_dependencies import skimage

Image = NDArray[np.uint8]
Program = Callable[[Image, NDArray[np.bool_]], Image]
"""Fills ``selected``, bool (H, W), in a picture, uint8 (H, W, 3)."""

GMIC = "gmic"

_RADIUS = 3
"""px. Of 2, 3, 5 and 8 it is the best for Telea on the tuning half, and for Navier-Stokes as good as any."""

_PATIENCE = 600  # s, for one picture


def opencv(picture: Image, selected: NDArray[np.bool_], method: int) -> Image:
    """OpenCV's inpaint: Telea 2004, or after Navier-Stokes (Bertalmio et al. 2001)."""
    return np.asarray(cv2.inpaint(picture, selected.astype(np.uint8) * 255, _RADIUS, method), np.uint8)


def biharmonic(picture: Image, selected: NDArray[np.bool_]) -> Image:
    """scikit-image's solution of the biharmonic equation. Raises InputError where it is not installed."""
    filled = skimage("restoration").inpaint_biharmonic(picture, selected, channel_axis=-1)
    return np.rint(255 * np.clip(filled, 0, 1)).astype(np.uint8)


def gmic(picture: Image, selected: NDArray[np.bool_], command: str) -> Image:
    """The picture after a command of G'MIC, whose image [0] is the picture and [1] the mask.

    Raises:
        InputError: the program fails, or takes more than ten minutes.
    """
    with tempfile.TemporaryDirectory(prefix="glide-edit-") as folder:
        names = [str(Path(folder, name)) for name in ("picture.png", "mask.png", "filled.png")]
        save_picture(picture, names[0])
        save_picture(selected.astype(np.uint8) * 255, names[1])
        words = [GMIC, "-v", "-", *names[:2], *command.split(), "remove[1]", "cut", "0,255", "round"]
        try:
            subprocess.run(
                [*words, "output", names[2]], check=True, capture_output=True, text=True, timeout=_PATIENCE
            )
            return to_uint8(open_picture(names[2]).pixels)
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or [f"code {error.returncode}"])[-1]
            raise InputError(f"G'MIC failed at {command}: {last}") from error
        except subprocess.TimeoutExpired as error:
            raise InputError(f"G'MIC did not finish {command} in {_PATIENCE} s.") from error


# Patches have no defaults in G'MIC: these are its help's example, better on the tuning half than its GIMP
# filter's 7,112,0.1,1,8.4,0,0.05,10,1 and than a bare 7.
OTHERS: dict[str, Program] = {
    "telea": partial(opencv, method=cv2.INPAINT_TELEA),
    "navier-stokes": partial(opencv, method=cv2.INPAINT_NS),
    "biharmonic": biharmonic,
    "gmic-matchpatch": partial(gmic, command="inpaint_matchpatch[0] [1]"),
    "gmic-patch": partial(gmic, command="inpaint[0] [1],5,15,0.5,1,9,0"),
    "gmic-pde": partial(gmic, command="inpaint_pde[0] [1]"),
}


def choose(names: tuple[str, ...] | None = None) -> tuple[dict[str, Program], dict[str, str]]:
    """The programs of these names, and why others are left out; without names all that are installed.

    Raises:
        InputError: an unknown name, or one that was named but is not installed.
    """
    unknown = [name for name in names or () if name not in OTHERS]
    if unknown:
        raise InputError(f"No program {unknown[0]!r}: choose of {', '.join(OTHERS)}.")
    chosen = {name: OTHERS[name] for name in (OTHERS if names is None else dict.fromkeys(names))}
    missing = [] if shutil.which(GMIC) else [name for name in chosen if name.startswith(GMIC)]
    why = "the program gmic is not installed (on Debian: apt install gmic)"
    if names is not None and missing:
        raise InputError(f"{missing[0]} cannot be measured: {why}.")
    return {name: fill for name, fill in chosen.items() if name not in missing}, dict.fromkeys(missing, why)
