"""Opening what a person has: paths, bytes, PIL images and arrays become a Picture."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Each plugin registers its format with PIL. Only these are offered a file: fewer parsers for hostile input.
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
from glide_edit.images.picture import EXIF_KEPT, Picture, swap_red_and_blue

PictureLike = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any] | Picture

MAX_PIXELS = 100_000_000
"""The largest picture that is opened, in pixels."""

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
    """Open a picture from a path, the bytes of a file, a PIL image or an array.

    Files may be PNG, JPEG, WebP, TIFF, GIF or BMP; 16-bit PNG and TIFF keep their 16 bits. Arrays are
    (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, bool, or floats in [0, 1]. Raises ImageError
    for anything else, for damaged files, and for more than ``MAX_PIXELS``, which a file's header tells
    before it is decoded.
    """
    match source:
        case Picture():
            return source
        case np.ndarray():
            return _from_array(source)
        case Image.Image():
            return _from_pil(source, "the picture", None)
        case bytes():
            return _from_bytes(source, "the picture")
        case str() | os.PathLike():
            return _from_bytes(_read(source), os.fspath(source))
    raise ImageError(
        f"a picture cannot be made from {type(source).__name__}: give a path, a PIL image or an array."
    )


def read_text(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text that ``save_picture`` put into a file: of a PNG all text chunks, else a comment in its EXIF.

    Empty where there is none. Raises ImageError.
    """
    data, name = _read(path), os.fspath(path)
    image = _open_header(data, name)
    chunks: dict[str, str] = {}
    if isinstance(image, PngImagePlugin.PngImageFile):
        try:
            chunks = {key: str(value) for key, value in image.text.items()}
        except Exception as error:
            raise _damaged(name, "PNG", error) from error
    try:
        return {**read_comment(image.getexif()), **chunks}
    except Exception:  # PIL's parser raises whatever it meets; the picture may be well
        return chunks


def count_frames(path: str | os.PathLike[str]) -> int:
    """How many frames or pages a file has; one where it is a still picture. Raises ImageError."""
    data, name = _read(path), os.fspath(path)
    image = _open_header(data, name)
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:  # see _open_header
        raise _damaged(name, image.format or "PIL", error) from error


def _read(path: str | os.PathLike[str]) -> bytes:
    name = os.fspath(path)
    if not name:
        raise ImageError("the picture's path is empty: give the path of an image file.")
    if os.path.isdir(path):
        raise ImageError(f"{name} is a folder: give the path of one picture in it.")
    try:
        with open(path, "rb") as file:
            start = file.read(_ENOUGH_TO_TELL)
            _format_of(start, name)  # so that a file of another kind is not read whole
            return start + file.read()
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist: check the path.") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ImageError(f"{name} cannot be read: {_reason(error)}.") from error


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
    """Parse the header and hold the size against the limit, before anything of that size is allocated.

    PIL's own Image.open would check it against a limit that is one for the whole process, and warn.
    """
    said = _format_of(data[:_ENOUGH_TO_TELL], name)
    factory = Image.OPEN[_READERS[said]][0]
    try:
        image = factory(io.BytesIO(data), "")
    except Exception as error:  # PIL's parsers raise whatever they meet, SyntaxError and struct.error too
        raise _damaged(name, said, error) from error
    _check_size(image.width, image.height, name)
    return image


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} is {width} x {height}, {width * height / 1e6:.0f} megapixels, where at most "
            f"{MAX_PIXELS / 1e6:.0f} can be edited: scale it down, or crop it."
        )


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


def _from_bytes(data: bytes, name: str) -> Picture:
    return _from_pil(_open_header(data, name), name, data)


def _from_pil(image: Image.Image, name: str, data: bytes | None) -> Picture:
    """``data`` is the file that ``image`` was opened from, None where the caller gave the image."""
    _check_size(image.width, image.height, name)
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
    stored = _stored_orientation(image)
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


def _stored_orientation(image: Image.Image) -> int | None:
    """The orientation of a TIFF that is not loaded yet; None for other formats, which keep theirs."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2.get(ExifTags.Base.Orientation, 1)
    return None


def _file_depth(image: Image.Image, data: bytes | None) -> int | None:
    """Bits a channel in the file, which PIL's mode hides for colours; None where it tells all there is."""
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
    """RGB or RGBA with 8 bits, and the profile that still describes it; adds to ``notes``."""
    mode = image.mode
    transparent = mode in ("LA", "PA", "RGBA", "RGBa") or ("transparency" in image.info and not deep)
    if mode == "CMYK":
        rgb = _through_profile(image, icc_profile)
        said = "with its own profile" if rgb else "without a usable profile, so colours may differ"
        notes.append(f"CMYK became RGB, {said}")
        return rgb or image.convert("RGB"), None
    if mode in ("1", "L", "LA"):
        notes.append("grey became RGB")
        if (
            icc_profile
            and icc_profile[16:20] == b"GRAY"
            and (rgb := _through_profile(image.convert("L"), icc_profile))
        ):
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
    """CMYK or grey to sRGB as its profile says; None if there is no profile or it does not fit."""
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
    if (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    ):  # "white is zero"
        grey = 65535 - grey
    channels = [grey, grey, grey]
    if isinstance(key := image.info.get("transparency"), int):
        channels.append(np.where(grey == key, 0, 65535).astype(np.uint16))
    return np.dstack(channels)


def _sixteen_bits(data: bytes, upper_bits: NDArray[Any], orientation: int, name: str) -> NDArray[Any]:
    """Decode RGB or RGBA at full depth with OpenCV: PIL keeps the upper 8 bits only, given upright.

    OpenCV turns a TIFF upright by itself, a PNG not. For some layouts of TIFF it returns rubbish without a
    word, so that its answer is held against PIL's.
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
    match orientation:
        case 2:
            return array[:, ::-1]
        case 3:
            return array[::-1, ::-1]
        case 4:
            return array[::-1]
        case 5:
            return array.swapaxes(0, 1)
        case 6:
            return np.rot90(array, -1)
        case 7:
            return array[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return np.rot90(array, 1)
    return array


def _exif(image: Image.Image, notes: list[str]) -> tuple[bytes | None, int]:
    """What is kept of EXIF, as bytes with orientation 1, and the orientation that the pixels have now."""
    try:
        exif = image.getexif()
        kept = Image.Exif()
        for tag in EXIF_KEPT:
            if tag in exif:
                kept[tag] = exif[tag]
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            entries = {
                tag: value
                for tag, value in exif.get_ifd(directory).items()
                if tag not in _EXIF_DROPPED and not is_text(value)
            }
            if entries:
                kept.get_ifd(directory).update(entries)
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        if not kept and not any(kept.get_ifd(d) for d in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)):
            return None, orientation
        kept[ExifTags.Base.Orientation] = 1
        return kept.tobytes(), orientation
    except Exception:  # PIL's parser raises whatever it meets
        notes.append("its EXIF data is damaged and was left out")
        return None, 1


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def _from_array(array: NDArray[Any]) -> Picture:
    said = f"the array is {array.shape} of {array.dtype}"
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4):
        raise ImageError(
            f"{said}: a picture is (height, width), or (height, width, channels) with 1, 3 or 4 channels."
        )
    if array.size == 0:
        raise ImageError(f"{said}: it has no pixels.")
    _check_size(array.shape[1], array.shape[0], "the array")

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
