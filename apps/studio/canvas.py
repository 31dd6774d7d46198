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

from apps.studio.sessions import Session
from apps.studio.shared import Studio
from glide_edit.errors import ImageError
from glide_edit.images import Picture, open_picture
from glide_edit.pipeline.previews import scaled_down
from masks import Mask

CANVAS_SIDE = 1280
"""Pixels of the longer side of what is painted on. The photograph itself stays whole on the server."""
MAX_LAYER_PIXELS = 4 * CANVAS_SIDE**2
"""A layer has the size of the canvas, and our page sends no larger one."""
MAX_UNREAD_LAYERS = 64
"""Layers that were sent and not read yet; a page sends one after each stroke."""
PAINT = (255, 64, 129, 160)
"""The colour of a selection that is put on the canvas; its alpha counts as painted."""


@dataclass(frozen=True, eq=False)
class Painted:
    """The layers of a canvas, flattened to uint8 (H, W, 4), None where there are none, and the ``files`` in
    which the page sent them."""

    layer: NDArray[np.uint8] | None
    files: tuple[Path, ...] = ()


class _WithoutStub(type(gr.ImageEditor)):  # type: ignore[misc]
    """Skips gradio's own metaclass, which writes a .pyi file beside the module of every component."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class PaintCanvas(gr.ImageEditor, metaclass=_WithoutStub):
    """An ImageEditor that gives handlers a ``Painted``: its layers alone, never the photograph."""

    def get_block_name(self) -> str:
        return "imageeditor"

    @server
    def accept_blobs(self, data: AcceptBlobs) -> None:
        """Take a layer that the page sends; drop the oldest unread ones."""
        if data.data["type"] != "layer":
            return
        super().accept_blobs(data)
        while len(self.blob_storage) > MAX_UNREAD_LAYERS:
            self.blob_storage.pop(next(iter(self.blob_storage)), None)

    def preprocess(self, payload: EditorData | None) -> Painted:  # type: ignore[override]
        if payload is None:
            return Painted(None)
        if payload.id is not None:
            sent = self.blob_storage.pop(payload.id, None)
            return Painted(_flatten([] if sent is None else [each for each in sent.layers if each]))
        files = [each for each in (payload.background, payload.composite, *payload.layers) if each]
        layers = [Path(layer.path).read_bytes() for layer in payload.layers]
        return Painted(_flatten(layers), tuple(Path(each.path) for each in files))


class StrokeCounter:
    """Hidden components for page.js: the number of strokes on a canvas, and a button that sends the canvas to
    a ``CanvasState``. The canvas' own change event omits the first stroke."""

    def __init__(self, tab: str) -> None:
        self._send = gr.Button("Look", elem_id=f"{tab}-look", elem_classes="ge-out-of-sight")
        self.count = gr.Number(0, label="Strokes", precision=0, visible="hidden", elem_id=f"{tab}-strokes")

    def wire(
        self, studio: Studio, canvas: PaintCanvas, receive: Callable[[Session, Painted, int], None]
    ) -> Any:
        """Call ``receive`` with each canvas and the number of its strokes.

        What is returned is an event, whose ``failure`` means that the canvas was received.
        """

        def handle(session: Session, painted: Painted, strokes: int) -> None:
            session.track(painted.files)
            receive(session, painted, strokes)
            raise _Received

        return studio.on(self._send.click, handle, [canvas, self.count], None, trigger_mode="always_last")


class _Received(gr.Error):
    """Raised once a canvas was received, and never shown.

    gradio's page asks each input of a handler that succeeded for its value again at every step of every later
    run, and a canvas takes a tenth of a second to give it.
    """

    def __init__(self) -> None:
        super().__init__("", visible=False, print_exception=False)


def paint_canvas(tab: str, label: str, brush: gr.Brush, eraser: int, **settings: Any) -> PaintCanvas:
    """A canvas with one layer of paint.

    Events that change it must set ``show_progress_on``: gradio's page would show their progress on the canvas
    too, and ask it for its value as in ``_Received``.
    """
    return PaintCanvas(
        label=label,
        sources=(),
        brush=brush,
        eraser=gr.Eraser(default_size=eraser),
        transforms=(),
        layers=gr.LayerOptions(disabled=True),
        height=460,
        elem_id=f"{tab}-canvas",
        buttons=[],
        **settings,
    )


def canvas_value(session: Session, picture: Picture, mask: Mask | None = None) -> EditorValue:
    """A photograph, scaled for the canvas, with a selection on it as if it had been painted."""
    small, _ = scaled_down(picture, CANVAS_SIDE)
    background = session.new_file("photo.jpg")
    Image.fromarray(small).save(background, quality=92)
    layers: list[NDArray[Any] | Image.Image | str] = []
    if mask is not None and not mask.is_empty:
        path = session.new_file("selection.png")
        height, width = small.shape[:2]
        share = cv2.resize(mask.selected.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        layer = np.zeros((height, width, 4), np.uint8)
        layer[share > 0] = PAINT
        Image.fromarray(layer).save(path, compress_level=1)
        layers = [str(path)]
    return {"background": str(background), "layers": layers, "composite": None}


def canvas_size(picture: Picture) -> tuple[int, int]:
    """Width and height of the canvas for a photograph."""
    height, width = scaled_down(picture, CANVAS_SIDE)[0].shape[:2]
    return width, height


def painted_mask(painted: Painted, picture: Picture) -> Mask:
    """What was painted, as a selection in the photograph's own pixels; alpha of 128 and above counts."""
    if painted.layer is None:
        return Mask.empty((picture.height, picture.width))
    alpha = np.ascontiguousarray(painted.layer[:, :, 3])
    return Mask(cv2.resize(alpha, (picture.width, picture.height), interpolation=cv2.INTER_LINEAR) >= 128)


def painted_over(layer: NDArray[np.uint8], paper: Picture) -> Picture:
    """The paper with what was painted on it, at the size of the canvas."""
    under = Image.fromarray(scaled_down(paper, CANVAS_SIDE)[0]).convert("RGBA")
    over = Image.fromarray(layer).resize(under.size)
    return open_picture(Image.alpha_composite(under, over).convert("RGB"))


def _open_layer(file: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(file), formats=["PNG", "WEBP", "JPEG"])
        if image.width * image.height > MAX_LAYER_PIXELS:
            raise ImageError("what was painted is larger than the canvas: paint it again.")
        return image.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError("what was painted cannot be read: paint it again.") from error


def _flatten(files: list[bytes]) -> NDArray[np.uint8] | None:
    if not files:
        return None
    flat, *layers = [_open_layer(file) for file in files]
    for layer in layers:
        flat = Image.alpha_composite(flat, layer.resize(flat.size))
    return np.array(flat)
