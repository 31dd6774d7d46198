"""Named endpoints for `gradio_client`, curl and JavaScript: each takes files and words, and gives a file."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from apps.studio.panel import DEVICE, Studio, sentence
from apps.studio.uploads import opened
from glide_edit.editor import open_mask
from glide_edit.errors import GlideEditError
from glide_edit.requests import Generate, Inpaint, Request, Sketch
from masks import MaskError

KEPT_SECONDS = 1800
"""How long a finished file can be fetched."""


class Endpoints:
    """/generate, /inpaint and /sketch. They keep nothing of who asks, and wait in the queue of all runs."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self.studio = studio
        self.folder = folder

    def lay_out(self) -> None:
        """Create the components that the endpoints need; none of them is seen."""
        with gr.Column(visible=False):
            prompt, seed = gr.Textbox(label="prompt"), gr.Number(0, label="seed", precision=0)
            image, mask, drawing = gr.File(label="image"), gr.File(label="mask"), gr.File(label="drawing")
            file, info = gr.File(label="result"), gr.JSON(label="info")
            for name, asked, build in (
                ("generate", [prompt, seed], _generate),
                ("inpaint", [image, mask, prompt, seed], _inpaint),
                ("sketch", [drawing, prompt, seed], _sketch),
            ):
                gr.Button(name).click(
                    self._carry_out(build),
                    asked,
                    [file, info],
                    api_name=name,
                    api_description=build.__doc__,
                    concurrency_id=DEVICE,
                    concurrency_limit=1,
                )

    def _carry_out(self, build: Callable[..., Request]) -> Callable[..., tuple[str, dict[str, Any]]]:
        def carry_out(*values: Any) -> tuple[str, dict[str, Any]]:
            self._sweep()
            try:
                result = self.studio.shelf.editor(self.studio.shelf.first).run(build(*values))
                path = self.folder / secrets.token_urlsafe(16) / f"{result.request.operation}.png"
                path.parent.mkdir(parents=True)
                receipt = result.save(path)
            except (GlideEditError, MaskError) as error:
                raise gr.Error(sentence(error), print_exception=False) from error
            told = {
                "seed": result.request.seed,
                "model": result.model,
                "seconds": round(result.seconds, 3),
                "notes": list(result.notes),
                "receipt": None if receipt is None else receipt.to_json(),
            }
            return str(path), told

        return carry_out

    def _sweep(self) -> None:
        """Remove what could be fetched long enough."""
        if not self.folder.is_dir():
            return
        for each in self.folder.iterdir():
            if time.time() - each.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(each, ignore_errors=True)


def _generate(prompt: str | None, seed: float | None) -> Request:
    """Draw a picture from words. Gives a PNG with its recipe inside, and what there is to say of it."""
    return Generate(prompt=prompt or "", seed=int(seed or 0))


def _inpaint(image: str | None, mask: str | None, prompt: str | None, seed: float | None) -> Request:
    """Repaint where the mask is white (128 and above) or painted; no pixel elsewhere changes. Gives a PNG."""
    picture, _ = opened(image)
    selection, _ = opened(mask)
    return Inpaint(image=picture, mask=open_mask(selection), prompt=prompt or "", seed=int(seed or 0))


def _sketch(drawing: str | None, prompt: str | None, seed: float | None) -> Request:
    """Turn a line drawing, dark on light, into a picture. Gives a PNG."""
    return Sketch(drawing=opened(drawing)[0], prompt=prompt or "", seed=int(seed or 0))
