"""Open a picture from a path, a file, bytes, a PIL image, an array or a tensor."""

from __future__ import annotations

import io
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

# Each plugin registers its format with PIL. Only these see a file: fewer parsers for hostile input.
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from glide_edit.errors import ImageError
from glide_edit.images.comments import is_text, read_comment
from glide_edit.images.picture import (
    EXIF_KEPT,
    Picture,
    check_size,
    picture_from_array,
    picture_from_tensor,
    swap_red_and_blue,
)


class TensorLike(Protocol):
    """The type of a torch tensor, without importing torch."""

    def detach(self) -> Any: ...

    def is_floating_point(self) -> bool: ...


PictureLike = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | NDArray[Any] | TensorLike | Picture

_READERS = {
    "PNG": PngImagePlugin.PngImageFile.format,
    "JPEG": JpegImagePlugin.JpegImageFile.format,
    "WebP": WebPImagePlugin.WebPImageFile.format,
    "TIFF": TiffImagePlugin.TiffImageFile.format,
    "GIF": GifImagePlugin.GifImageFile.format,
    "BMP": BmpImagePlugin.BmpImageFile.format,
}
_ENOUGH_TO_TELL = 32
_READABLE = "PNG, JPEG, WebP, TIFF, GIF or BMP"

_EXIF_DROPPED = (
    ExifTags.Base.MakerNote,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
)


def open_picture(source: PictureLike) -> Picture:
    """Open a picture from a path, a file opened in binary mode, the bytes of a file, a PIL image, an array or
    a torch tensor.

    Files may be PNG, JPEG, WebP, TIFF, GIF or BMP; 16-bit PNG and TIFF keep their 16 bits. An open file is
    read from its position to its end, and stays open. Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of
    uint8, uint16, bool, or floats in [0, 1]; tensors (3, H, W) or (1, 3, H, W), on any device, of uint8 or
    floats in [0, 1].

    Raises ImageError for anything else, for damaged files, and for more than ``MAX_PIXELS``; the size of a
    file is read from its header before it is decoded.
    """
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    match source:
        case Picture():
            return source
        case np.ndarray():
            return picture_from_array(source, f"the array is {source.shape} of {source.dtype}")
        case Image.Image():
            return _from_pil(source, "the picture", None)
        case bytes():
            return _from_file(source, "the picture")
        case str() | os.PathLike():
            return _from_file(*_read(source))
        case _ if torch is not None and isinstance(source, torch.Tensor):
            return picture_from_tensor(source)
        case _ if callable(getattr(source, "read", None)):
            return _from_file(*_read(cast("IO[bytes]", source)))
    raise ImageError(
        f"a picture cannot be made from {type(source).__name__}: give a path, a file opened in binary mode, "
        "a PIL image, an array or a tensor."
    )


def read_text(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text that ``save_picture`` wrote: all text chunks of a PNG, else a comment in the EXIF; may be
    empty.

    Raises ImageError.
    """
    data, name = _read(path)
    image = _open_header(data, name)
    chunks: dict[str, str] = {}
    if isinstance(image, PngImagePlugin.PngImageFile):
        try:
            chunks = {key: str(value) for key, value in image.text.items()}
        except Exception as error:
            raise _damaged(name, "PNG", error) from error
    try:
        return {**read_comment(image.getexif()), **chunks}
    except Exception:  # see _open_header; the picture may still be valid
        return chunks


def count_frames(path: str | os.PathLike[str]) -> int:
    """The number of frames or pages in a file; 1 for a still picture. Raises ImageError."""
    data, name = _read(path)
    image = _open_header(data, name)
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:  # see _open_header
        raise _damaged(name, image.format or "PIL", error) from error


def _read(source: str | os.PathLike[str] | IO[bytes]) -> tuple[bytes, str]:
    """The bytes of a path or an open file, and its name in errors. Other kinds are not read whole."""
    is_path = isinstance(source, str | os.PathLike)
    name = source if is_path else getattr(source, "name", None)
    name = os.fspath(name) if isinstance(name, str | os.PathLike) else "the file"
    if not name:
        raise ImageError("the picture's path is empty: give the path of an image file.")
    if is_path and os.path.isdir(name):
        raise ImageError(f"{name} is a folder: give the path of one picture in it.")
    try:
        with _opened(source) as file:
            start = file.read(_ENOUGH_TO_TELL)
            if not isinstance(start, bytes):
                raise ImageError(f'{name} is not opened in binary mode: use open(path, "rb").')
            _format_of(start, name)
            return start + file.read(), name
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist: check the path.") from None
    except ImageError:
        raise
    except (
        OSError,
        ValueError,
    ) as error:  # ValueError: a NUL in the path, or a closed file
        raise ImageError(f"{name} cannot be read: {_reason(error)}.") from error


def _opened(source: str | os.PathLike[str] | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return open(source, "rb") if isinstance(source, str | os.PathLike) else nullcontext(source)


def _format_of(start: bytes, name: str) -> str:
    if not start:
        raise ImageError(f"{name} is empty: make or copy the picture again.")
    for said, registered in _READERS.items():
        accept = Image.OPEN[registered][1]
        if accept is not None and accept(start) is True:
            return said
    raise ImageError(
        f"{name} is not a {_READABLE} picture, whatever its name says: "
        "open it in an image program and save it as PNG."
    )


def _open_header(data: bytes, name: str) -> Image.Image:
    """Parse the header and check the size, before anything of that size is allocated.

    PIL's own Image.open would check it against a limit of the whole process, and warn.
    """
    said = _format_of(data[:_ENOUGH_TO_TELL], name)
    factory = Image.OPEN[_READERS[said]][0]
    try:
        image = factory(io.BytesIO(data), "")
    except Exception as error:  # PIL's parsers raise anything, even SyntaxError and struct.error
        raise _damaged(name, said, error) from error
    check_size(image.width, image.height, name)
    return image


def _damaged(name: str, said: str, error: Exception) -> ImageError:
    return ImageError(
        f"{name} is a {said} file that is damaged or of a kind that cannot be read ({_reason(error)}): "
        "if an image program opens it, save it from there as PNG."
    )


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, Image.UnidentifiedImageError) or not text:
        text = "its contents are not understood"
    return " ".join(text.split()).rstrip(".")


def _from_file(data: bytes, name: str) -> Picture:
    return _from_pil(_open_header(data, name), name, data)


def _from_pil(image: Image.Image, name: str, data: bytes | None) -> Picture:
    """``data`` is the file that ``image`` was opened from, None where the caller gave the image."""
    check_size(image.width, image.height, name)
    try:
        return _decode(image, name, data)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(f"{name} does not fit into memory: scale it down, or crop it.") from None
    except Exception as error:  # see _open_header
        raise _damaged(name, image.format or "PIL", error) from error


def _decode(image: Image.Image, name: str, data: bytes | None) -> Picture:
    notes: list[str] = []
    if data is not None and getattr(image, "is_animated", False):
        notes.append("only the first of its frames is used")

    depth = _file_depth(image, data)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    stored = None if tags is None else tags.get(ExifTags.Base.Orientation, 1)
    image.load()  # after this a TIFF is upright and its orientation gone; other formats are as stored
    exif, orientation = _exif(image, notes)
    stored = orientation if stored is None else stored
    icc_profile = image.info.get("icc_profile") or None

    if image.mode.startswith("I;16"):
        colours = _grey16(image, depth, name)
        notes.append("grey became RGB")
        if icc_profile:
            notes.append("its grey ICC profile was left out, so greys may be a little lighter or darker")
            icc_profile = None
        colours = _upright(colours, orientation)
    else:
        deep = depth == 16 and image.mode in ("RGB", "RGBA")
        converted, icc_profile = _rgb8(image, icc_profile, name, notes, deep=deep)
        colours = _upright(np.asarray(converted), orientation)
        if deep and data is not None:
            colours = _sixteen_bits(data, colours, orientation if image.format == "PNG" else 1, name)
            if image.format == "PNG" and data[25] == 4:
                notes.append("grey became RGB")

    if icc_profile is not None and icc_profile[16:20] != b"RGB ":
        notes.append("its ICC profile does not describe RGB and was left out")
        icc_profile = None
    return Picture(
        pixels=colours[..., :3],
        alpha=colours[..., 3] if colours.shape[2] == 4 else None,
        icc_profile=icc_profile,
        dpi=_dpi(image.info.get("dpi")),
        exif=exif,
        format="JPEG" if image.format == "MPO" else image.format,
        notes=tuple(notes),
        orientation=stored if stored in range(1, 9) else 1,
    )


def _file_depth(image: Image.Image, data: bytes | None) -> int | None:
    """Bits per channel in the file, which PIL's mode does not tell for colours; None where it does."""
    if data is None:
        return None
    if image.format == "PNG":
        return data[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))))
    return None


def _rgb8(
    image: Image.Image, icc_profile: bytes | None, name: str, notes: list[str], *, deep: bool
) -> tuple[Image.Image, bytes | None]:
    """8-bit RGB or RGBA, and the profile that still describes it; adds to ``notes``."""
    mode = image.mode
    transparent = mode in ("LA", "PA", "RGBA", "RGBa") or ("transparency" in image.info and not deep)
    if mode == "CMYK":
        rgb = _through_profile(image, icc_profile)
        said = "with its own profile" if rgb else "without a usable profile, so colours may differ"
        notes.append(f"CMYK became RGB, {said}")
        return rgb or image.convert("RGB"), None
    if mode in ("1", "L", "LA"):
        notes.append("grey became RGB")
        is_grey = icc_profile is not None and icc_profile[16:20] == b"GRAY"
        if is_grey and (rgb := _through_profile(image.convert("L"), icc_profile)):
            if transparent:
                rgb.putalpha(image.convert("RGBA").getchannel("A"))
            return rgb, None
    elif mode in ("P", "PA"):
        notes.append("its colour palette became RGB")
    elif mode in ("YCbCr", "HSV"):
        notes.append(f"{mode} became RGB")
    elif mode not in ("RGB", "RGBA", "RGBX", "RGBa"):
        kind = {"F": "floating-point", "I": "32-bit integer", "LAB": "Lab"}.get(mode, mode)
        raise ImageError(
            f"{name} has {kind} pixels, which have no fixed white: save it as 8-bit or 16-bit RGB."
        )
    return image.convert("RGBA" if transparent else "RGB"), icc_profile


def _through_profile(image: Image.Image, icc_profile: bytes | None) -> Image.Image | None:
    """CMYK or grey to sRGB by its profile; None if there is none or it does not fit."""
    from PIL import ImageCms

    if icc_profile is None:
        return None
    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None


def _grey16(image: Image.Image, depth: int | None, name: str) -> NDArray[Any]:
    if depth not in (None, 16):
        raise ImageError(f"{name} has {depth} bits a channel: save it with 8 or 16.")
    grey = np.asarray(image).astype(np.uint16)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # "white is zero"
        grey = 65535 - grey
    channels = [grey, grey, grey]
    if isinstance(key := image.info.get("transparency"), int):
        channels.append(np.where(grey == key, 0, 65535).astype(np.uint16))
    return np.dstack(channels)


def _sixteen_bits(data: bytes, upper_bits: NDArray[Any], orientation: int, name: str) -> NDArray[Any]:
    """Decode RGB or RGBA at full depth with OpenCV; PIL's ``upper_bits`` are the upper 8 only, upright.

    OpenCV turns TIFFs upright itself, but not PNGs. It silently misreads some layouts of TIFF, so its result
    is compared with PIL's.
    """
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if decoded is not None and decoded.ndim == 3 and decoded.dtype == np.uint16:
        colours = _upright(swap_red_and_blue(decoded), orientation)
        shared = upper_bits.shape[2]  # OpenCV may have alpha where PIL has none: a transparent colour
        if np.array_equal(colours[..., :shared] >> 8, upper_bits):
            return colours
    raise ImageError(f"{name} is a 16-bit file in a layout that cannot be read: save it as a 16-bit PNG.")


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo an EXIF orientation (1-8; anything else counts as 1) of an array (H, W, ...)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows, columns = (-1 if orientation in flipped else 1 for flipped in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return array[::rows, ::columns]


def _exif(image: Image.Image, notes: list[str]) -> tuple[bytes | None, int]:
    """The EXIF that is kept, as bytes with orientation 1, and the orientation that the pixels have now."""
    try:
        exif = image.getexif()
        kept = Image.Exif()
        for tag in EXIF_KEPT:
            if tag in exif:
                kept[tag] = exif[tag]
        is_empty = not kept
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            entries = {
                tag: value
                for tag, value in exif.get_ifd(directory).items()
                if tag not in _EXIF_DROPPED and not is_text(value)
            }
            if entries:
                kept.get_ifd(directory).update(entries)
                is_empty = False
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        if is_empty:
            return None, orientation
        kept[ExifTags.Base.Orientation] = 1
        return kept.tobytes(), orientation
    except Exception:  # see _open_header
        notes.append("its EXIF data is damaged and was left out")
        return None, 1


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
