"""Named endpoints for `gradio_client`, curl and JavaScript: each takes files and words, and gives a file."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from apps.studio.fields import sentence
from apps.studio.panel import DEVICE, Studio
from apps.studio.uploads import opened
from glide_edit.editor import open_mask
from glide_edit.errors import GlideEditError
from glide_edit.requests import Generate, Inpaint, Outpaint, Remove, Request, Sketch, Upscale, Vary
from masks import MaskError

KEPT_SECONDS = 1800
"""How long a finished file can be fetched."""


class Endpoints:
    """A named endpoint for each operation. They keep nothing of who asks, and wait in the queue of runs."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self.studio = studio
        self.folder = folder

    def lay_out(self) -> None:
        """Create the components that the endpoints need; none of them is seen."""
        with gr.Column(visible=False):
            prompt, seed = gr.Textbox(label="prompt"), gr.Number(0, label="seed", precision=0)
            image, mask, drawing = gr.File(label="image"), gr.File(label="mask"), gr.File(label="drawing")
            sides = [gr.Number(0, label=side, precision=0) for side in ("left", "right", "top", "bottom")]
            strength, factor = gr.Number(0.85, label="strength"), gr.Number(2, label="factor", precision=0)
            file, info = gr.File(label="result"), gr.JSON(label="info")
            for name, asked, build in (
                ("generate", [prompt, seed], _generate),
                ("inpaint", [image, mask, prompt, seed], _inpaint),
                ("remove", [image, mask, seed], _remove),
                ("sketch", [drawing, prompt, seed], _sketch),
                ("outpaint", [image, prompt, seed, *sides], _outpaint),
                ("vary", [image, prompt, seed, strength], _vary),
                ("upscale", [image, seed, factor], _upscale),
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


def _remove(image: str | None, mask: str | None, seed: float | None) -> Request:
    """Fill what the mask selects with what surrounds it. Gives a PNG."""
    picture, _ = opened(image)
    selection, _ = opened(mask)
    return Remove(image=picture, mask=open_mask(selection), seed=int(seed or 0))


def _outpaint(
    image: str | None,
    prompt: str | None,
    seed: float | None,
    left: float | None,
    right: float | None,
    top: float | None,
    bottom: float | None,
) -> Request:
    """Draw so many pixels beyond each side; the picture itself is kept. Gives a PNG."""
    return Outpaint(
        image=opened(image)[0],
        prompt=prompt or "",
        seed=int(seed or 0),
        left=int(left or 0),
        right=int(right or 0),
        top=int(top or 0),
        bottom=int(bottom or 0),
    )


def _vary(image: str | None, prompt: str | None, seed: float | None, strength: float | None) -> Request:
    """Draw another picture like this one, the less like it the greater the strength (0 to 1). Gives a PNG."""
    return Vary(
        image=opened(image)[0],
        prompt=prompt or "",
        seed=int(seed or 0),
        strength=0.85 if strength is None else strength,
    )


def _upscale(image: str | None, seed: float | None, factor: float | None) -> Request:
    """Enlarge a picture 2 or 4 times. Gives a PNG."""
    return Upscale(image=opened(image)[0], seed=int(seed or 0), factor=2 if factor is None else int(factor))
