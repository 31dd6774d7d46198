"""A picture in memory, and its way into a tensor and back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import ExifTags, Image

from glide_edit.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 100_000_000
"""The largest picture that is opened, in pixels."""

# The descriptive part of EXIF's first directory; the rest is the layout of the file it came from.
EXIF_KEPT = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """An upright RGB picture and what its file said about it.

    ``pixels`` is (height, width, 3), ``alpha`` (height, width) or None; both uint8 or both uint16, read-only.
    ``icc_profile`` is an RGB profile, None meaning sRGB. ``dpi`` is (x, y). ``exif`` begins with
    ``Exif\\0\\0`` and its orientation is 1. ``format`` is PIL's name for the file's format, None for arrays.
    ``notes`` are sentences for the user on what was converted. ``orientation`` is the EXIF orientation
    that the file had before it was turned upright, 1 where it had none. Raises
    ImageError for pixels of another kind.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    format: str | None = None
    notes: tuple[str, ...] = ()
    orientation: int = 1

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError(
                f"a picture needs (height, width, 3) pixels of uint8 or uint16, "
                f"not {pixels.shape} of {pixels.dtype}: open_picture converts."
            )
        if pixels.size == 0:
            raise ImageError("the picture has no pixels.")
        if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
            raise ImageError(
                f"alpha is {alpha.shape} of {alpha.dtype}, the pixels {pixels.shape} of {pixels.dtype}: "
                "give both the same size and depth."
            )
        object.__setattr__(self, "pixels", _read_only(pixels))
        object.__setattr__(self, "alpha", None if alpha is None else _read_only(alpha))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickled or copied array forgets that it is read-only.
        self.__dict__.update(state)
        for array in (self.pixels, self.alpha):
            if array is not None:
                array.setflags(write=False)

    def __repr__(self) -> str:
        return f"<Picture {self.width} x {self.height}, {self.bit_depth} bits, {self.format or 'array'}>"

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def bit_depth(self) -> int:
        """8 or 16, for each channel."""
        return 8 * int(self.pixels.dtype.itemsize)

    @cached_property
    def sha256(self) -> str:
        """The hash of size, depth and colours; alpha and metadata do not count."""
        return pixels_sha256(self.pixels)

    def to_pil(self) -> Image.Image:
        """The picture as PIL's 8-bit RGB, or RGBA where it has alpha, with its profile and resolution."""
        image = Image.fromarray(np.ascontiguousarray(to_uint8(with_alpha(self))))
        if self.icc_profile:
            image.info["icc_profile"] = self.icc_profile
        if self.dpi:
            image.info["dpi"] = self.dpi
        return image


def check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} is {width} x {height}, {width * height / 1e6:.0f} megapixels, where at most "
            f"{MAX_PIXELS / 1e6:.0f} can be edited: scale it down, or crop it."
        )


def picture_from_tensor(tensor: Any) -> Picture:
    said = f"the tensor is {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.is_meta or tensor.is_nested or tensor.is_quantized or str(tensor.layout) != "torch.strided":
        raise ImageError(f"{said}, without plain values: give a dense tensor, as to_dense() makes one.")
    single = tensor[0] if tensor.ndim == 4 and len(tensor) == 1 else tensor
    if single.ndim not in (2, 3) or (single.ndim == 3 and len(single) not in (1, 3, 4)):
        raise ImageError(
            f"{said}: a picture is (channels, height, width) with 1, 3 or 4 channels, or a batch of one."
        )
    single = single.detach().cpu()
    array = (single.double() if single.is_floating_point() else single).numpy()
    return picture_from_array(np.moveaxis(array, 0, -1) if array.ndim == 3 else array, said)


def picture_from_array(array: NDArray[Any], said: str) -> Picture:
    """A picture from an array, which errors call ``said``."""
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4):
        raise ImageError(
            f"{said}: a picture is (height, width), or (height, width, channels) with 1, 3 or 4 channels."
        )
    if array.size == 0:
        raise ImageError(f"{said}: it has no pixels.")
    check_size(array.shape[1], array.shape[0], "the array")

    notes = []
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= -0.001 and high <= 1.001):  # also where one is not a number
            raise ImageError(
                f"{said} with values from {low:g} to {high:g}: scale floats to 0 ... 1, or give uint8."
            )
        array = np.rint(np.clip(array.astype(np.float64), 0, 1) * 255).astype(np.uint8)
        notes.append("floating point became 8 bits a channel")
    elif array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise ImageError(f"{said}: give uint8, uint16, bool, or floats from 0 to 1.")
    if channels == 1:
        notes.append("grey became RGB")
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    array = np.array(array, dtype=array.dtype.newbyteorder("="))  # a copy, which the caller cannot change
    return Picture(
        pixels=array[..., :3],
        alpha=array[..., 3] if channels == 4 else None,
        notes=tuple(notes),
    )


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 or uint16 to uint8, of any shape, rounded to nearest; uint8 comes back as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    assert pixels.dtype == np.uint16, pixels.dtype
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_depth(pixels: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """uint8 or uint16 to the other, or as it is."""
    if np.dtype(dtype) == np.uint16 and pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * np.uint16(257)
    return to_uint8(pixels) if np.dtype(dtype) == np.uint8 else pixels


def to_tensor(pixels: NDArray[Any]) -> Tensor:
    """(H, W, C) or (N, H, W, C) of uint8 or uint16 to a new float32 tensor, (1 or N, C, H, W) in [-1, 1]."""
    import torch

    assert pixels.ndim in (3, 4), pixels.shape
    half = np.iinfo(pixels.dtype).max / 2
    batch = pixels if pixels.ndim == 4 else pixels[None]
    scaled = batch.astype(np.float32) / np.float32(half) - np.float32(1)
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()


def from_tensor(tensor: Tensor, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """(N, C, H, W) in [-1, 1] to (N, H, W, C) of uint8 or uint16, rounded; what lies outside is clamped.

    ``from_tensor(to_tensor(pixels), pixels.dtype)[0]`` is ``pixels`` again.
    """
    assert tensor.ndim == 4, tensor.shape
    values = tensor.detach().cpu().double().permute(0, 2, 3, 1).numpy()
    assert np.isfinite(values).all(), "the tensor holds values that are not finite"
    half = np.iinfo(np.dtype(dtype)).max / 2
    return np.ascontiguousarray(np.rint((np.clip(values, -1, 1) + 1) * half).astype(dtype))


def pixels_sha256(pixels: NDArray[Any]) -> str:
    """The hash of an array's shape, depth and values, the same on every machine."""
    little_endian = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype.itemsize}".encode())
    digest.update(little_endian.data)
    return digest.hexdigest()


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


def with_alpha(picture: Picture) -> NDArray[Any]:
    return picture.pixels if picture.alpha is None else np.dstack([picture.pixels, picture.alpha])


def swap_red_and_blue(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array[..., [2, 1, 0, 3][: array.shape[2]]])
