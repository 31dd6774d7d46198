"""The canvas that is painted on: a photograph scaled for the screen, and the layer of paint over it."""

from __future__ import annotations

import io
from abc import ABCMeta
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs, EditorData, EditorValue
from numpy.typing import NDArray
from PIL import Image

from apps.studio.panel import QUIET
from apps.studio.visits import Visit
from glide_edit.errors import ImageError
from glide_edit.images import Picture, open_picture
from glide_edit.pipeline.previews import scaled_down
from masks import Mask

LONGEST_CANVAS = 1280
"""Pixels of the longer side of what is painted on. The photograph itself stays whole on the server."""
LARGEST_LAYER = 4 * LONGEST_CANVAS**2
"""Pixels; a layer has the size of what is painted on, and a page of ours sends no larger one."""
MOST_WAITING = 64
"""Layers that were sent and not asked for yet; a page sends one for each stroke."""
PAINT = (255, 64, 129, 160)
"""The colour in which a selection comes back to the canvas; its alpha counts as painted."""


@dataclass(frozen=True, eq=False)
class Painted:
    """What is on a canvas: its layers put together, uint8 (H, W, 4), None where there are none.

    ``files`` are those in which the page sent it.
    """

    layer: NDArray[np.uint8] | None
    files: tuple[Path, ...] = ()


class _Plain(type(gr.ImageEditor)):  # type: ignore[misc]
    """gradio's own metaclass writes a .pyi file beside the module of every component; ours needs none."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class PaintCanvas(gr.ImageEditor, metaclass=_Plain):
    """An ImageEditor that gives handlers a ``Painted``: its layers alone, never the photograph."""

    def get_block_name(self) -> str:
        return "imageeditor"

    @server
    def accept_blobs(self, data: AcceptBlobs) -> None:
        """Take what the page sends; of layers that nobody asked for, the oldest go."""
        if data.data["type"] != "layer":
            return
        super().accept_blobs(data)
        while len(self.blob_storage) > MOST_WAITING:
            self.blob_storage.pop(next(iter(self.blob_storage)), None)

    def preprocess(self, payload: EditorData | None) -> Painted:  # type: ignore[override]
        if payload is None:
            return Painted(None)
        if payload.id is not None:
            sent = self.blob_storage.pop(payload.id, None)
            return Painted(_flattened([] if sent is None else [each for each in sent.layers if each]))
        sent_files = [each for each in (payload.background, payload.composite, *payload.layers) if each]
        layers = [Path(layer.path).read_bytes() for layer in payload.layers]
        return Painted(_flattened(layers), tuple(Path(each.path) for each in sent_files))


class Strokes:
    """What page.js counts a canvas' strokes in, and what it presses to hand the canvas over (``Handover``).

    The canvas' own change event leaves out the first stroke.
    """

    def __init__(self, name: str) -> None:
        self._look = gr.Button("Look", elem_id=f"{name}-look", elem_classes="ge-out-of-sight")
        self.count = gr.Number(0, label="Strokes", precision=0, visible="hidden", elem_id=f"{name}-strokes")

    def wire(self, canvas: PaintCanvas, take: Callable[[Painted, int, gr.Request], None]) -> Any:
        """Let ``take`` have what is on the canvas after so many strokes.

        What comes back is an event, whose ``failure`` is that it has.
        """

        def arrived(painted: Painted, strokes: int, request: gr.Request) -> None:
            take(painted, strokes, request)
            raise _Arrived

        return self._look.click(
            arrived,
            [canvas, self.count],
            None,
            trigger_mode="always_last",
            **QUIET,
        )


class _Arrived(gr.Error):
    """That a canvas has come, told as a failure that nobody sees.

    gradio's page asks whatever was an input of a handler that succeeded for its value again at every step of
    every later run, and a canvas takes a tenth of a second to give it.
    """

    def __init__(self) -> None:
        super().__init__("", visible=False, print_exception=False)


def beside(words: gr.HTML) -> dict[str, Any]:
    """How handlers that change a canvas are joined: their progress is shown on ``words``.

    gradio's page would show it on all that they give out, and ask that for its value as in ``_Arrived``.
    """
    return QUIET | {"show_progress_on": words}


def canvas_value(visit: Visit, picture: Picture, mask: Mask | None = None) -> EditorValue:
    """A photograph, scaled for the canvas, and on it a selection as if it had been painted."""
    small, _ = scaled_down(picture, LONGEST_CANVAS)
    background = visit.file("photo.jpg")
    Image.fromarray(small).save(background, quality=92)
    layers: list[NDArray[Any] | Image.Image | str] = []
    if mask is not None and not mask.is_empty:
        path = visit.file("selection.png")
        Image.fromarray(_painted(mask, (small.shape[0], small.shape[1]))).save(path, compress_level=1)
        layers = [str(path)]
    return {"background": str(background), "layers": layers, "composite": None}


def canvas_size(picture: Picture) -> tuple[int, int]:
    """Width and height of what a photograph is painted on."""
    height, width = scaled_down(picture, LONGEST_CANVAS)[0].shape[:2]
    return width, height


def painted_mask(painted: Painted, picture: Picture) -> Mask:
    """What was painted, as a selection in the photograph's own pixels; alpha of 128 and above counts."""
    size = (picture.width, picture.height)
    layer = painted.layer
    if layer is None:
        return Mask(np.zeros((picture.height, picture.width), bool))
    alpha = cv2.resize(np.ascontiguousarray(layer[:, :, 3]), size, interpolation=cv2.INTER_LINEAR)
    return Mask(alpha >= 128)


def painted_over(layer: NDArray[np.uint8], paper: Picture) -> Picture:
    """The paper with what was painted on it, at the size of the canvas."""
    under = Image.fromarray(scaled_down(paper, LONGEST_CANVAS)[0]).convert("RGBA")
    over = Image.fromarray(layer).resize(under.size)
    return open_picture(Image.alpha_composite(under, over).convert("RGB"))


def _painted(mask: Mask, size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size
    share = cv2.resize(mask.selected.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    layer = np.zeros((height, width, 4), np.uint8)
    layer[share > 0] = PAINT
    return layer


def _open_layer(file: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(file), formats=["PNG", "WEBP", "JPEG"])
        if image.width * image.height > LARGEST_LAYER:
            raise ImageError("what was painted is larger than the canvas: paint it anew.")
        return image.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError("what was painted cannot be read: paint it anew.") from error


def _flattened(files: list[bytes]) -> NDArray[np.uint8] | None:
    layers = [_open_layer(file) for file in files]
    if not layers:
        return None
    flat = layers[0]
    for layer in layers[1:]:
        flat = Image.alpha_composite(flat, layer.resize(flat.size))
    return np.array(flat)
