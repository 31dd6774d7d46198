"""What stands between pictures and what a network denoises: nothing for a pixel model, an autoencoder for a
latent one.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Codec(Protocol):
    """Turns pictures into the values that a stage denoises, and back.

    ``channels`` is how many values a cell has and ``factor`` how many pixels wide a cell is. ``bounded``:
    values lie in [-1, 1] as pixels do, so that thresholds make sense.
    """

    @property
    def channels(self) -> int: ...

    @property
    def factor(self) -> int: ...

    @property
    def bounded(self) -> bool: ...

    def encode(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, channels, H / factor, W / factor)."""
        ...

    def decode(self, values: Tensor) -> Tensor:
        """The reverse; pixels may lie outside [-1, 1]."""
        ...

    def keep(self, keep_mask: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H / factor, W / factor): a cell is kept where all its pixels are."""
        ...


class PixelCodec:
    """Networks that denoise pixels need no codec: everything stays as it is."""

    channels = 3
    factor = 1
    bounded = True

    def encode(self, pictures: Tensor) -> Tensor:
        return pictures

    def decode(self, values: Tensor) -> Tensor:
        return values

    def keep(self, keep_mask: Tensor) -> Tensor:
        return keep_mask


PIXELS = PixelCodec()


def encode_known(codec: Codec, picture: Tensor, keep_mask: Tensor) -> tuple[Tensor, Tensor]:
    """A known picture (B, 3, H, W), zero where not kept, and its keep-mask (B, 1, H, W) as a stage has them.

    Cells that are not kept are zero as well.
    """
    keep_mask, values = codec.keep(keep_mask), codec.encode(picture)
    return values * keep_mask if codec.factor > 1 else values, keep_mask


def shape_of(codec: Codec, image_size: int) -> tuple[int, int, int]:
    """(C, H, W) of what a stage denoises for square pictures of ``image_size`` pixels."""
    side = image_size // codec.factor
    return codec.channels, side, side
