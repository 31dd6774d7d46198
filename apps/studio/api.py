"""Named endpoints for `gradio_client`, curl and JavaScript: each takes files and words, gives a file."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from apps.studio.fields import sentence
from apps.studio.run_handlers import DEVICE_QUEUE
from apps.studio.shared import Studio
from apps.studio.uploads import read_upload
from glide_edit.errors import GlideEditError
from glide_edit.requests import OPERATIONS
from glide_edit.selections import open_mask
from masks import MaskError

KEPT_SECONDS = 1800
"""How long a finished file can be fetched."""
ENDPOINTS = {
    "generate": ("prompt seed", "Draw a picture from words."),
    "inpaint": (
        "image mask prompt seed",
        "Repaint where the mask is white (128 and above) or painted; no pixel elsewhere changes.",
    ),
    "remove": ("image mask seed", "Fill what the mask selects with its surroundings."),
    "sketch": ("drawing prompt seed", "Turn a line drawing, dark on light, into a picture."),
    "outpaint": ("image prompt seed left right top bottom", "Add this many pixels on each side."),
    "vary": (
        "image prompt seed strength",
        "Draw a similar picture; a higher strength (0 to 1) changes more.",
    ),
    "upscale": ("image seed factor", "Enlarge a picture 2 or 4 times."),
}
"""By operation: its parameters in order, and what it does."""
RESULT = "Gives a PNG with its recipe inside, and information about it."
NUMBERS = {"left": 0, "right": 0, "top": 0, "bottom": 0, "strength": 0.85, "factor": 2}
DEFAULTS = {"prompt": "", "seed": 0, **NUMBERS}
"""For parameters that are sent as null."""


def add_endpoints(studio: Studio, folder: Path) -> None:
    """An endpoint for each operation, with invisible components. They store nothing about their callers, and
    wait in the queue of runs; files are written to ``folder``."""
    with gr.Column(visible=False):
        inputs: dict[str, Any] = {
            "prompt": gr.Textbox(label="prompt"),
            "seed": gr.Number(0, label="seed", precision=0),
            **{name: gr.File(label=name) for name in ("image", "mask", "drawing")},
        }
        for name, value in NUMBERS.items():
            inputs[name] = gr.Number(value, label=name, precision=0 if isinstance(value, int) else None)
        outputs = [gr.File(label="result"), gr.JSON(label="info")]
        for operation, (parameters, description) in ENDPOINTS.items():
            names = parameters.split()
            gr.Button(operation).click(
                _endpoint(studio, folder, operation, names),
                [inputs[name] for name in names],
                outputs,
                api_name=operation,
                api_description=f"{description} {RESULT}",
                concurrency_id=DEVICE_QUEUE,
                concurrency_limit=1,
            )


def _endpoint(
    studio: Studio, folder: Path, operation: str, names: list[str]
) -> Callable[..., tuple[str, dict[str, Any]]]:
    def run(*values: Any) -> tuple[str, dict[str, Any]]:
        _remove_old(folder)
        try:
            fields = {name: _read(name, value) for name, value in zip(names, values, strict=True)}
            result = studio.models.editor(studio.models.default).run(OPERATIONS[operation](**fields))
            path = folder / secrets.token_urlsafe(16) / f"{operation}.png"
            path.parent.mkdir(parents=True)
            receipt = result.save(path, rescue="never")
        except (GlideEditError, MaskError) as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        return str(path), {
            "seed": result.request.seed,
            "model": result.model,
            "seconds": round(result.seconds, 3),
            "notes": list(result.notes),
            "receipt": None if receipt is None else receipt.to_json(),
        }

    return run


def _read(name: str, value: Any) -> Any:
    """A parameter as the request takes it."""
    if name in ("image", "drawing"):
        return read_upload(value)[0]
    if name == "mask":
        return open_mask(read_upload(value)[0])
    return DEFAULTS[name] if value is None else value


def _remove_old(folder: Path) -> None:
    for each in folder.iterdir() if folder.is_dir() else ():
        if time.time() - each.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(each, ignore_errors=True)
