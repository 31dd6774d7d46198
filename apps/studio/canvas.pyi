"""The canvas that is painted on: a photograph scaled for the screen, and the layer of paint over it."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs, EditorData
from numpy.typing import NDArray
from PIL import Image

from apps.studio.visits import Visit
from glide_edit.errors import ImageError
from glide_edit.images import Picture
from glide_edit.operations.previews import scaled_down
from masks import Mask

LONGEST_CANVAS = 1280
"""Pixels of the longer side of what is painted on. The photograph itself stays whole on the server."""
LARGEST_LAYER = 4 * LONGEST_CANVAS**2
"""Pixels; a layer has the size of what is painted on, and a page of ours sends no larger one."""
MOST_WAITING = 64
"""Layers that were sent and not asked for yet; a page sends one for each stroke."""
PAINT = (255, 64, 129, 160)
"""The colour in which a selection comes back to the canvas; its alpha counts as painted."""

Layer = NDArray[np.uint8]
"""What was painted, uint8 (H, W, 4)."""

from gradio.events import Dependency

class PaintCanvas(gr.ImageEditor):
    """An ImageEditor that gives the server its layers alone, and holds on to no photograph.

    Its value, in a handler, is a ``Layer``: all layers put together, or None where there are none.
    """

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

    def preprocess(self, payload: EditorData | None) -> Layer | None:
        if payload is None:
            return None
        if payload.id is not None:
            sent = self.blob_storage.pop(payload.id, None)
            files = [] if sent is None else [each for each in sent.layers if each]
        else:
            files = [Path(layer.path).read_bytes() for layer in payload.layers]
        print("PRE", payload.id, [len(f) for f in files], len(payload.layers), list(self.blob_storage))
        return _flattened([_open_layer(file) for file in files])
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

def canvas_value(visit: Visit, picture: Picture, mask: Mask | None = None) -> dict[str, object]:
    """A photograph, scaled for the canvas, and on it a selection as if it had been painted."""
    small, _ = scaled_down(picture, LONGEST_CANVAS)
    background = visit.file("photo.jpg")
    Image.fromarray(small).save(background, quality=92)
    layers = []
    if mask is not None and not mask.is_empty:
        path = visit.file("selection.png")
        Image.fromarray(_painted(mask, (small.shape[0], small.shape[1]))).save(path, compress_level=1)
        layers = [str(path)]
    return {"background": str(background), "layers": layers, "composite": None}

def painted_mask(layer: Layer | None, picture: Picture) -> Mask:
    """What was painted, as a selection in the photograph's own pixels; alpha of 128 and above counts."""
    size = (picture.width, picture.height)
    if layer is None:
        return Mask(np.zeros((picture.height, picture.width), bool))
    alpha = cv2.resize(np.ascontiguousarray(layer[:, :, 3]), size, interpolation=cv2.INTER_LINEAR)
    return Mask(alpha >= 128)

def _painted(mask: Mask, size: tuple[int, int]) -> Layer:
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

def _flattened(layers: list[Image.Image]) -> Layer | None:
    if not layers:
        return None
    flat = layers[0]
    for layer in layers[1:]:
        flat = Image.alpha_composite(flat, layer.resize(flat.size) if layer.size != flat.size else layer)
    return np.array(flat)
