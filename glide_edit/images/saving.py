"""Saving a picture with its metadata, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import struct
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL import TiffImagePlugin as Tiff

from glide_edit.errors import ImageError, InputError, OutputExists
from glide_edit.images.comments import MOST_EXIF, as_undefined, text_entry, with_text
from glide_edit.images.opening import PictureLike, open_picture
from glide_edit.images.picture import EXIF_KEPT, Picture, swap_red_and_blue, to_depth, to_uint8, with_alpha

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
_LARGEST_SIDE = {"JPEG": 65_535, "WEBP": 16_383}
_LARGEST_PNG_PROFILE = 2**20
"""bytes: Pillow 12.3 and others refuse a whole PNG with a larger one (``PngImagePlugin.MAX_TEXT_CHUNK``)."""


def default_output_suffix(picture: Picture) -> str:
    """The default suffix: always a lossless format, whatever the source was."""
    return ".tiff" if picture.format == "TIFF" else ".png"


def check_output(
    path: str | os.PathLike[str],
    *,
    like: Picture | None = None,
    size: tuple[int, int] | None = None,
    force: bool = False,
) -> Path:
    """Check before the work whether ``save_picture`` can write this file afterwards, and return the path.

    ``like`` is the picture to be saved, or one of the same alpha and profile; ``size`` is (height, width) of
    the picture to be saved where that is not ``like``'s. Raises ImageError for a format that is not written
    or cannot hold the picture, InputError for a folder that is missing or cannot be written to, and
    OutputExists unless ``force``.
    """
    path = Path(path)
    check_place(path, force=force)
    output_format = _format_for(path)
    if size is None and like is not None:
        size = (like.height, like.width)
    if size is not None and max(size) > (largest := _LARGEST_SIDE.get(output_format, max(size))):
        raise ImageError(
            f"{path.suffix} holds at most {largest} pixels a side and the picture is {size[1]} x {size[0]}: "
            "save it as .png or .tiff."
        )
    if like is not None:
        if output_format == "PNG" and len(like.icc_profile or b"") > _LARGEST_PNG_PROFILE:
            raise ImageError(
                f"the picture's colour profile has {len(like.icc_profile or b''):,} bytes, and programs "
                f"refuse a PNG with more than {_LARGEST_PNG_PROFILE:,}: save it as .tiff."
            )
        if (
            output_format == "JPEG"
            and like.alpha is not None
            and int(like.alpha.min()) < np.iinfo(like.alpha.dtype).max
        ):
            raise ImageError(
                f"the picture is partly transparent, which {path.suffix} cannot hold: save it as .png."
            )
    return path


def check_place(path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """The part of ``check_output`` for files of any kind: whether one can be written there."""
    path = Path(path)
    _check_name(path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder: give the name of a file in it.")
    if not os.path.isdir(path.parent):
        raise InputError(f"the folder {path.parent} does not exist: make it first, or save somewhere else.")
    if os.path.lexists(path) and not force:
        raise _already_there(path)
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise InputError(f"{path} is a link into a folder that does not exist: save somewhere else.")
    try:
        # Asking for permissions is not enough: the file system may be read-only or full of files.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"nothing can be written in the folder {path.parent} ({error.strerror or error}): "
            "save somewhere else."
        ) from error
    return path


def losses(picture: Picture, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Sentences on how saving under this name changes the pixels; none for PNG and TIFF."""
    output_format = _format_for(Path(path))
    said = []
    if output_format in ("JPEG", "WEBP") and picture.bit_depth == 16:
        said.append(f"{Path(path).suffix} keeps 8 of the 16 bits")
    if output_format == "JPEG":
        said.append(f"{Path(path).suffix} encodes again, so that pixels may change everywhere")
    return tuple(said)


def save_picture(
    picture: PictureLike,
    path: str | os.PathLike[str],
    *,
    like: Picture | None = None,
    text: Mapping[str, str] | None = None,
    force: bool = False,
    quality: int = 95,
) -> Path:
    """Write a picture in the format that the suffix names: .png, .jpg, .jpeg, .webp, .tif or .tiff.

    PNG and TIFF hold everything: 16 bits, alpha, ICC profile, resolution, EXIF. WebP is lossless at 8 bits.
    JPEG, at ``quality`` 1-100 and without colour subsampling, drops an alpha that is opaque everywhere and
    refuses any other; ``losses`` says what a format costs.

    ``like`` is the picture that this one was made from: the profile, resolution and EXIF that ``picture``
    lacks are copied from it, and alpha if both have the same size. ``text`` is written as text chunks of a
    PNG, else as a comment in the EXIF; ``read_text`` reads both, and ``has_room`` says whether a JPEG can
    hold it.

    The file appears whole or not at all. Raises what ``check_output`` raises, and InputError if it cannot be
    written or the text is too long for it.
    """
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}: give a number from 1 to 100.")
    picture = _dressed_like(open_picture(picture), like)
    path = check_output(path, like=picture, force=force)
    text = text or {}
    if not has_room(picture, path, text):
        raise InputError(f"{path.suffix} has no room for so long a text: save it as .png.")
    try:
        data = _encoded(picture, _format_for(path), text, quality)
    except OSError as error:  # how Pillow reports an encoder that gave up
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    return write_atomically(path, data, force=force)


def _encoded(picture: Picture, output_format: str, text: Mapping[str, str], quality: int) -> bytes:
    match output_format:
        case "PNG":
            return _encode_png(picture, text)
        case "TIFF":
            return _encode_tiff(picture, text)
        case "JPEG":
            opaque = replace(picture, alpha=None, exif=with_text(_fitting(picture.exif), text))
            return _encode_jpeg(opaque, quality)
        case _:
            commented = replace(picture, exif=with_text(picture.exif, text))
            return _encode_with_pil(commented, "WEBP", lossless=True, exact=True)


def has_room(picture: Picture, path: str | os.PathLike[str], text: Mapping[str, str]) -> bool:
    """Whether a file of this name can hold ``text`` beside the picture's EXIF; only JPEG has a limit.

    Raises ImageError for a format that is not written.
    """
    if not text or _format_for(Path(path)) != "JPEG":
        return True
    return len(with_text(_fitting(picture.exif), text) or b"") < MOST_EXIF


def write_atomically(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> Path:
    """Write a file through a temporary one beside it, so that it appears whole or not at all.

    Raises OutputExists if it exists and ``force`` is not set, be it by another program's write at the same
    time, and InputError if it cannot be written.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(temporary, target)
        else:
            _link(temporary, target)
    except FileExistsError:
        raise _already_there(path) from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):  # the first error is reported
            temporary.unlink(missing_ok=True)
    return path


def put_in_place(finished: Path, target: Path, is_ours: Callable[[Path], bool]) -> None:
    """Move a finished file to its name. What has that name is replaced only if ``is_ours`` says so of it.

    It is looked at once more when it has been moved aside, so that nothing that was saved meanwhile is lost.

    Raises:
        OutputExists: something else has the name, and keeps it; ``finished`` stays where it is.
        InputError: it cannot be moved.
    """
    try:
        while not _took(finished, target):
            if not is_ours(target):
                raise _already_there(target)
            aside = target.with_name(f".{secrets.token_hex(8)}.tmp")
            os.rename(target, aside)
            if is_ours(aside):
                aside.unlink()
            elif _took(aside, target):
                raise _already_there(target)
            else:
                raise OutputExists(f"{target} exists already, and what was there before is {aside} now.")
    except OutputExists:
        raise
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}.") from error


def _took(finished: Path, target: Path) -> bool:
    """Give a file another name, unless something has that; whether it was done."""
    try:
        _link(finished, target)
    except FileExistsError:
        return False
    finished.unlink()
    return True


def _link(temporary: Path, target: Path) -> None:
    """Give the file its name unless something has it; raises FileExistsError if so."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: the name is taken first, and the file is whole a little later.
        with open(target, "xb") as file:
            try:
                file.write(temporary.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                target.unlink(missing_ok=True)  # it is ours, and not whole
                raise


def _check_name(path: Path) -> None:
    """Raise InputError for a name that no file can have, which otherwise shows only after the work."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise InputError(f"{path.parent} is a file, not a folder: save somewhere else.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}: choose another name."
        ) from error


def _already_there(path: Path) -> OutputExists:
    return OutputExists(
        f"{path} exists already and was left alone: choose another name, or ask to overwrite it."
    )


def _format_for(path: Path) -> str:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise ImageError(f"{path} {ending}: pictures are saved as {', '.join(_FORMATS)}.") from None


def _dressed_like(picture: Picture, like: Picture | None) -> Picture:
    if like is None:
        return picture
    alpha = picture.alpha
    if alpha is None and like.alpha is not None and like.alpha.shape == picture.pixels.shape[:2]:
        alpha = to_depth(like.alpha, picture.pixels.dtype)
    return replace(
        picture,
        alpha=alpha,
        icc_profile=picture.icc_profile or like.icc_profile,
        dpi=picture.dpi or like.dpi,
        exif=picture.exif or like.exif,
    )


def _fitting(exif: bytes | None) -> bytes | None:
    return exif if exif and len(exif) < MOST_EXIF else None


def _encode_with_pil(picture: Picture, output_format: str, **options: Any) -> bytes:
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    if picture.dpi:
        options["dpi"] = tuple(round(value) for value in picture.dpi)
    if picture.exif:
        options["exif"] = picture.exif
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(to_uint8(with_alpha(picture)))).save(file, output_format, **options)
    return file.getvalue()


_BUFFER_LOCK = Lock()


def _encode_jpeg(picture: Picture, quality: int) -> bytes:
    """Pillow 12.3 gives an optimised JPEG a buffer of 2 bytes a pixel at most, and grainy pictures need more:
    it fails, and libjpeg writes to stderr."""
    with _BUFFER_LOCK:
        usual, needed = ImageFile.MAXBLOCK, 2**16 + 6 * picture.height * picture.width
        ImageFile.MAXBLOCK = max(usual, needed)
        try:
            return _encode_with_pil(picture, "JPEG", quality=quality, subsampling=0, optimize=True)
        finally:
            ImageFile.MAXBLOCK = usual


def _encode_png(picture: Picture, text: Mapping[str, str]) -> bytes:
    """OpenCV writes the pixels, since PIL has no 16-bit RGB; the other chunks follow its header."""
    import cv2

    array = swap_red_and_blue(with_alpha(picture))
    done, encoded = cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    assert done
    png = encoded.tobytes()
    chunks = []
    if picture.icc_profile:
        chunks.append(_png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc_profile)))
    if picture.dpi:
        x, y = (round(value / 0.0254) for value in picture.dpi)
        chunks.append(_png_chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if picture.exif:
        chunks.append(_png_chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    chunks.extend(_png_chunk(b"iTXt", _png_text(key, value)) for key, value in text.items())
    header = 8 + 25  # the signature and IHDR
    return png[:header] + b"".join(chunks) + png[header:]


def encode_png_plainly(picture: Picture) -> bytes:
    """The pixels and alpha alone, by zlib: for when the usual encoder or what else it writes has failed."""
    array = with_alpha(picture)
    height, width, channels = array.shape
    rows = array.astype(array.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    unfiltered = np.pad(rows, ((0, 0), (1, 0)))  # each row begins with its filter, 0 for none
    colour_type = 6 if channels == 4 else 2
    header = struct.pack(">IIBBBBB", width, height, picture.bit_depth, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*each) for each in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_text(key: str, value: str) -> bytes:
    if (
        not (1 <= len(key) <= 79 and key.isascii() and key.isprintable() and key == key.strip())
        or "\0" in value
    ):
        raise InputError(
            f"text of a PNG needs a key of 1 to 79 ASCII characters and a value without NUL, not {key!r}."
        )
    data = value.encode(errors="replace")
    # PIL refuses a whole file for one compressed text of more than 1 MiB.
    compress = 1024 < len(data) < 2**20
    return key.encode() + (b"\0\1\0\0\0" + zlib.compress(data) if compress else b"\0\0\0\0\0" + data)


def _encode_tiff(picture: Picture, text: Mapping[str, str]) -> bytes:
    """One deflated strip with differences along the rows; PIL, without 16-bit RGB, writes the directory."""
    array = with_alpha(picture)
    height, width, channels = array.shape
    differences = array.copy()
    differences[:, 1:] -= array[:, :-1]  # wraps around, as it should
    strip = zlib.compress(differences.astype(array.dtype.newbyteorder("<")).tobytes(), 6)

    directory = Tiff.ImageFileDirectory_v2()
    if picture.exif:
        exif = Image.Exif()
        exif.load(picture.exif)
        directory.update({tag: exif[tag] for tag in EXIF_KEPT if tag in exif})
        for entry in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if values := exif.get_ifd(entry):
                directory[entry] = values
    details = directory.get(ExifTags.IFD.Exif, {})
    place, comment = text_entry(details, text)
    if text:
        directory[ExifTags.IFD.Exif] = {**details, place: comment}
    directory[Tiff.IMAGEWIDTH] = width
    directory[Tiff.IMAGELENGTH] = height
    directory[Tiff.BITSPERSAMPLE] = (picture.bit_depth,) * channels
    directory[Tiff.COMPRESSION] = 8  # deflate
    directory[Tiff.PHOTOMETRIC_INTERPRETATION] = 2  # RGB
    directory[Tiff.STRIPOFFSETS] = 0  # right after the directory, whose length PIL adds
    directory[Tiff.SAMPLESPERPIXEL] = channels
    directory[Tiff.ROWSPERSTRIP] = height
    directory[Tiff.STRIPBYTECOUNTS] = len(strip)
    directory[Tiff.PREDICTOR] = 2
    if picture.dpi:
        directory[Tiff.X_RESOLUTION], directory[Tiff.Y_RESOLUTION] = picture.dpi
        directory[Tiff.RESOLUTION_UNIT] = 2  # to the inch
    if channels == 4:
        directory[Tiff.EXTRASAMPLES] = 2  # unassociated alpha
    if picture.icc_profile:
        directory[Tiff.ICCPROFILE] = picture.icc_profile
    file = io.BytesIO()
    directory.save(file)
    written = file.getvalue()
    return (as_undefined(written, place, comment) if text else written) + strip
