from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from skimage import data

from glide_edit.errors import ImageError, InputError, OutputExists
from glide_edit.images import (
    MAX_PIXELS,
    Picture,
    check_output,
    default_output_suffix,
    from_tensor,
    has_room,
    losses,
    open_picture,
    pixels_sha256,
    read_text,
    save_picture,
    to_tensor,
    to_uint8,
    write_atomically,
)

Pixels = NDArray[Any]

# Files for the tests, written without the code under test.

GREY_PNG, RGB_PNG, GREY_ALPHA_PNG, RGBA_PNG = 0, 2, 4, 6


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(array: Pixels, colour_type: int, *chunks: bytes) -> bytes:
    height, width = array.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * array.itemsize, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(array.dtype.newbyteorder(">")).tobytes() for row in array)
    body = (
        chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(array: Pixels, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def icc(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2 around the given tags."""
    d50 = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    described = b"desc\0\0\0\0\0\0\0\x02x\0" + bytes(78)
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0x\0", b"wtpt": b"XYZ \0\0\0\0" + d50, **tags}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + d50
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def linear_grey_profile() -> bytes:
    return icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, 256)})


def everything_is_red_profile() -> bytes:
    """A CMYK profile by which every ink is the same red: only a reader that uses it gives red."""
    ramp = bytes(range(256))
    grid = bytes([136, 208, 195]) * 2**4  # Lab 53, 80, 67
    identity = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    return icc(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def rgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(3)


def exif_with(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = "Somebody"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:02:02 20:20:20"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"secret thumbnail"
    return exif.tobytes()


def read_exif(picture: Picture) -> Image.Exif:
    assert picture.exif is not None
    exif = Image.Exif()
    exif.load(picture.exif)
    return exif


@pytest.fixture(scope="session")
def photo() -> Pixels:
    """A photograph of 100 x 90 (no two sides, corners or quadrants alike)."""
    return np.ascontiguousarray(data.astronaut()[40:140, 180:270])


def noise16(channels: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 65536, (11, 7, channels), dtype=np.uint16)


# How the stored pixels come from the upright ones (the inverse of what the standard says a reader does).
STORED = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


class TestOrientation:
    @pytest.mark.parametrize("orientation", STORED)
    @pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
    def test_every_orientation_opens_upright(self, photo: Pixels, orientation: int, file_format: str) -> None:
        stored = STORED[orientation](Image.fromarray(photo))
        options = {"lossless": True} if file_format == "WEBP" else {}
        picture = open_picture(encoded(stored, file_format, exif=exif_with(orientation), **options))
        np.testing.assert_array_equal(picture.pixels, photo)
        assert read_exif(picture)[ExifTags.Base.Orientation] == 1

    @pytest.mark.parametrize("orientation", STORED)
    def test_jpeg(self, photo: Pixels, orientation: int) -> None:
        stored = STORED[orientation](Image.fromarray(photo))
        picture = open_picture(
            encoded(stored, "JPEG", exif=exif_with(orientation), quality=98, subsampling=0)
        )
        assert picture.pixels.shape == photo.shape
        assert np.abs(picture.pixels.astype(int) - photo).mean() < 2

    @pytest.mark.parametrize("orientation", STORED)
    def test_sixteen_bits_with_alpha(self, orientation: int) -> None:
        upright = noise16(4)
        # Each channel is turned on its own: PIL has no 16-bit colour.
        stored = np.dstack(
            [np.asarray(STORED[orientation](Image.fromarray(upright[..., c]))) for c in range(4)]
        )
        as_png = open_picture(png(stored, RGBA_PNG, chunk(b"eXIf", exif_with(orientation)[6:])))
        tags = [(274, "H", 1, orientation, True)]
        as_tiff = open_picture(tiff(stored, photometric="rgb", extrasamples=["unassalpha"], extratags=tags))
        for picture in (as_png, as_tiff):
            np.testing.assert_array_equal(picture.pixels, upright[..., :3])
            np.testing.assert_array_equal(picture.alpha, upright[..., 3])

    def test_pil_image_is_turned_and_left_alone(self, photo: Pixels) -> None:
        stored = STORED[6](Image.fromarray(photo))
        image = Image.open(io.BytesIO(encoded(stored, "PNG", exif=exif_with(6))))
        np.testing.assert_array_equal(open_picture(image).pixels, photo)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(stored))
        assert image.getexif()[ExifTags.Base.Orientation] == 6

    def test_nonsense_counts_as_upright(self, photo: Pixels) -> None:
        picture = open_picture(encoded(Image.fromarray(photo), "PNG", exif=exif_with(77)))
        np.testing.assert_array_equal(picture.pixels, photo)

    @pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".jpg"])
    def test_saved_file_is_upright_for_other_programs(
        self, photo: Pixels, tmp_path: Path, suffix: str
    ) -> None:
        stored = STORED[8](Image.fromarray(photo))
        path = save_picture(encoded(stored, "PNG", exif=exif_with(8)), tmp_path / f"edit{suffix}")
        with Image.open(path) as image:
            assert image.size == (90, 100)
            assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            assert np.abs(np.asarray(image).astype(int) - photo).mean() < 3


class TestKindsOfFile:
    @pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP"])
    def test_rgb_is_as_it_is(self, photo: Pixels, tmp_path: Path, file_format: str) -> None:
        path = tmp_path / "photo"  # the contents count, not the name
        path.write_bytes(encoded(Image.fromarray(photo), file_format))
        for source in (path, str(path), path.read_bytes()):
            picture = open_picture(source)
            np.testing.assert_array_equal(picture.pixels, photo)
            assert picture.alpha is None
            assert picture.format == file_format
            assert picture.notes == ()
            assert (picture.height, picture.width, picture.bit_depth) == (100, 90, 8)

    def test_jpeg_decodes_like_pil(self, photo: Pixels) -> None:
        file = encoded(Image.fromarray(photo), "JPEG")
        np.testing.assert_array_equal(open_picture(file).pixels, np.asarray(Image.open(io.BytesIO(file))))

    def test_pixels_cannot_be_written_to(self, photo: Pixels) -> None:
        picture = open_picture(photo)
        with pytest.raises(ValueError, match="read-only"):
            picture.pixels[0, 0] = 0

    @pytest.mark.parametrize("make", [lambda a: png(a, RGB_PNG), lambda a: tiff(a, photometric="rgb")])
    def test_sixteen_bits(self, make: Any) -> None:
        pixels = noise16(3)
        picture = open_picture(make(pixels))
        assert picture.pixels.dtype == np.uint16
        np.testing.assert_array_equal(picture.pixels, pixels)

    @pytest.mark.parametrize("byte_order", ["<", ">"])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_sixteen_bit_tiff_in_either_byte_order(self, byte_order: str, compression: str | None) -> None:
        pixels = noise16(3)
        file = tiff(pixels, photometric="rgb", byteorder=byte_order, compression=compression)
        np.testing.assert_array_equal(open_picture(file).pixels, pixels)

    @pytest.mark.parametrize(
        "make",
        [
            lambda a: png(a, GREY_PNG),
            lambda a: tiff(a, photometric="minisblack"),
            lambda a: tiff(65535 - a, photometric="miniswhite"),
            lambda a: tiff(a, photometric="minisblack", byteorder=">"),
        ],
    )
    def test_sixteen_bit_grey(self, make: Any) -> None:
        grey = noise16(1)[..., 0]
        picture = open_picture(make(grey))
        np.testing.assert_array_equal(picture.pixels, np.dstack([grey] * 3))
        assert picture.notes == ("grey became RGB",)

    def test_sixteen_bit_grey_with_alpha(self) -> None:
        both = noise16(2)
        picture = open_picture(png(both, GREY_ALPHA_PNG))
        np.testing.assert_array_equal(picture.pixels, np.dstack([both[..., 0]] * 3))
        np.testing.assert_array_equal(picture.alpha, both[..., 1])
        assert picture.notes == ("grey became RGB",)

    def test_sixteen_bit_colour_key_becomes_alpha(self) -> None:
        pixels = noise16(3)
        key = struct.pack(">3H", *(int(v) for v in pixels[4, 5]))
        picture = open_picture(png(pixels, RGB_PNG, chunk(b"tRNS", key)))
        np.testing.assert_array_equal(picture.pixels, pixels)
        assert picture.alpha is not None
        assert [tuple(at) for at in np.argwhere(picture.alpha == 0)] == [(4, 5)]

        grey = pixels[..., 0]
        picture = open_picture(png(grey, GREY_PNG, chunk(b"tRNS", key[:2])))
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha == 0, grey == grey[4, 5])

    @pytest.mark.parametrize(
        "file",
        [
            tiff(np.moveaxis(noise16(3), -1, 0).copy(), photometric="rgb", planarconfig="separate"),
            tiff(noise16(4), photometric="rgb", extrasamples=["assocalpha"]),
        ],
        ids=["planes", "multiplied alpha"],
    )
    def test_sixteen_bit_layouts_that_decode_wrongly_are_refused(self, file: bytes) -> None:
        with pytest.raises(ImageError, match="layout that cannot be read: save it as a 16-bit PNG"):
            open_picture(file)

    def test_grey(self, photo: Pixels) -> None:
        grey = Image.fromarray(photo).convert("L")
        picture = open_picture(encoded(grey, "JPEG", quality=100))
        assert np.ptp(picture.pixels, axis=2).max() == 0
        assert picture.notes == ("grey became RGB",)

    def test_grey_with_alpha(self, photo: Pixels) -> None:
        grey, alpha = photo[..., 0], photo[..., 1]
        picture = open_picture(
            encoded(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), "PNG")
        )
        np.testing.assert_array_equal(picture.pixels, np.dstack([grey] * 3))
        np.testing.assert_array_equal(picture.alpha, alpha)

    def test_one_bit(self, photo: Pixels) -> None:
        ink = photo[..., 0] > 100
        picture = open_picture(encoded(Image.fromarray(ink), "PNG"))
        np.testing.assert_array_equal(picture.pixels, np.dstack([ink * np.uint8(255)] * 3))

    def test_palette(self, photo: Pixels) -> None:
        image = Image.fromarray(photo).quantize(16)
        picture = open_picture(encoded(image, "PNG"))
        np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
        assert picture.alpha is None
        assert picture.notes == ("its colour palette became RGB",)

    @pytest.mark.parametrize("transparency", [3, bytes(range(0, 160, 10))])
    def test_palette_with_transparency(self, photo: Pixels, transparency: int | bytes) -> None:
        image = Image.fromarray(photo).quantize(16)
        picture = open_picture(encoded(image, "PNG", transparency=transparency))
        index = np.asarray(image)
        of_index = np.where(np.arange(16) == 3, 0, 255) if transparency == 3 else np.arange(0, 160, 10)
        np.testing.assert_array_equal(picture.alpha, of_index[index])

    def test_rgba_keeps_the_colour_under_transparency(self, photo: Pixels) -> None:
        alpha = np.zeros(photo.shape[:2], np.uint8)
        picture = open_picture(encoded(Image.fromarray(np.dstack([photo, alpha])), "PNG"))
        np.testing.assert_array_equal(picture.pixels, photo)
        np.testing.assert_array_equal(picture.alpha, alpha)

    def test_cmyk_goes_through_its_profile(self) -> None:
        image = Image.new("CMYK", (8, 8), (250, 10, 10, 0))
        picture = open_picture(encoded(image, "JPEG", icc_profile=everything_is_red_profile()))
        red, green, blue = picture.pixels[4, 4].tolist()
        assert red > 240
        assert max(green, blue) < 40
        assert picture.icc_profile is None, "the profile describes inks, and the pixels are sRGB now"
        assert picture.notes == ("CMYK became RGB, with its own profile",)

    @pytest.mark.parametrize("profile", [None, b"not a profile", linear_grey_profile()])
    def test_cmyk_without_a_usable_profile_is_said(self, profile: bytes | None) -> None:
        image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
        picture = open_picture(encoded(image, "TIFF", icc_profile=profile))
        assert picture.pixels[4, 4].tolist() == [0, 255, 255]
        assert picture.icc_profile is None
        assert picture.notes == ("CMYK became RGB, without a usable profile, so colours may differ",)

    def test_grey_goes_through_its_profile(self) -> None:
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        picture = open_picture(encoded(ramp, "PNG", icc_profile=linear_grey_profile()))
        middle = picture.pixels[0, 127].tolist()
        assert middle == pytest.approx([187.5] * 3, abs=2), "half the light is sRGB 188"
        assert picture.icc_profile is None

    def test_profile_of_another_kind_is_left_out_and_said(self, photo: Pixels) -> None:
        file = encoded(Image.fromarray(photo), "PNG", icc_profile=linear_grey_profile())
        picture = open_picture(file)
        assert picture.icc_profile is None
        assert picture.notes == ("its ICC profile does not describe RGB and was left out",)

    @pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_first_of_several_frames(self, photo: Pixels, file_format: str) -> None:
        frames = [Image.fromarray(photo), Image.fromarray(photo[::-1])]
        options = {"lossless": True} if file_format == "WEBP" else {}
        picture = open_picture(
            encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
        )
        assert np.abs(picture.pixels.astype(int) - photo).mean() < 12, "GIF has 256 colours"
        assert "only the first of its frames is used" in picture.notes

    def test_damaged_exif_is_left_out_and_said(self, photo: Pixels) -> None:
        picture = open_picture(png(photo, RGB_PNG, chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff rubbish")))
        np.testing.assert_array_equal(picture.pixels, photo)
        assert picture.exif is None


class TestTensorsAndOpenFiles:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    @pytest.mark.parametrize("batched", [False, True])
    def test_tensors_have_the_channels_first(self, photo: Pixels, dtype: torch.dtype, batched: bool) -> None:
        tensor = torch.from_numpy(photo.copy()).permute(2, 0, 1)
        tensor = tensor if dtype is torch.uint8 else tensor.to(dtype) / 255
        picture = open_picture((tensor[None] if batched else tensor).requires_grad_(dtype.is_floating_point))
        np.testing.assert_array_equal(picture.pixels, photo)
        assert not np.shares_memory(picture.pixels, tensor.detach().numpy())

    def test_alpha_and_grey_tensors(self, photo: Pixels) -> None:
        tensor = torch.from_numpy(photo.copy()).permute(2, 0, 1)
        with_alpha = open_picture(torch.cat([tensor, tensor[:1]]))
        np.testing.assert_array_equal(with_alpha.alpha, photo[..., 0])
        for grey in (tensor[:1], tensor[0], tensor[None, :1]):
            np.testing.assert_array_equal(open_picture(grey).pixels, photo[..., :1].repeat(3, 2))

    def test_half_precision(self) -> None:
        assert (open_picture(torch.full((3, 2, 2), 0.5, dtype=torch.bfloat16)).pixels == 128).all()

    def test_open_files_are_read_from_their_position_and_stay_open(
        self, photo: Pixels, tmp_path: Path
    ) -> None:
        file = png(photo, RGB_PNG)
        stream = io.BytesIO(b"before" + file)
        stream.seek(6)
        np.testing.assert_array_equal(open_picture(stream).pixels, photo)
        assert not stream.closed
        (tmp_path / "a.png").write_bytes(file)
        with open(tmp_path / "a.png", "rb") as opened:
            np.testing.assert_array_equal(open_picture(opened).pixels, photo)

    def test_torch_is_not_imported_for_it(self, photo: Pixels, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(png(photo, RGB_PNG))
        code = (
            "import sys\nfrom glide_edit.images import open_picture\n"
            "from glide_edit.selections import open_mask\n"
            f"open_picture(open({str(tmp_path / 'a.png')!r}, 'rb')); open_mask({str(tmp_path / 'a.png')!r})\n"
            "try: open_picture(3)\nexcept ValueError: pass\n"
            "assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestRefused:
    def refused(self, source: Any, *words: str) -> str:
        with pytest.raises(ImageError) as caught:
            open_picture(source)
        message = str(caught.value)
        assert "\n" not in message
        for word in words:
            assert word in message
        return message

    def test_missing(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "no.png", str(tmp_path / "no.png"), "does not exist")

    def test_path_is_shown_as_given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert self.refused("./no.png").startswith("./no.png ")

    @pytest.mark.parametrize("path", ["", "a\0b.png"])
    def test_not_a_path(self, path: str) -> None:
        self.refused(path)

    def test_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "is a folder")

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.png"
        path.touch()
        self.refused(path, "empty.png is empty")
        self.refused(b"", "is empty")

    def test_text_called_png(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.png"
        path.write_text("Dear diary,\n" * 100)
        self.refused(path, "notes.png is not a PNG", "save it as PNG")

    @pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
    @pytest.mark.parametrize("part", [0.05, 0.5, 0.95])
    def test_truncated(self, photo: Pixels, file_format: str, part: float) -> None:
        file = encoded(Image.fromarray(photo), file_format)
        self.refused(file[: int(part * len(file))], "damaged or of a kind that cannot be read")

    def test_truncated_at_sixteen_bits(self) -> None:
        file = png(noise16(3), RGB_PNG)
        self.refused(file[: len(file) // 2], "damaged")

    def test_truncated_pil_image(self, photo: Pixels) -> None:
        file = encoded(Image.fromarray(photo), "JPEG")
        self.refused(Image.open(io.BytesIO(file[: len(file) // 2])), "damaged")

    def test_header_of_a_giant_is_enough(self, tmp_path: Path) -> None:
        path = tmp_path / "giant.png"
        header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")))
        self.refused(path, "giant.png is 20000 x 20000, 400 megapixels", "at most 100", "scale it down")

    def test_just_under_the_limit_is_not_refused_for_its_size(self) -> None:
        header = struct.pack(">IIBBBBB", MAX_PIXELS // 1000, 1000, 8, 2, 0, 0, 0)
        file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"not deflated")
        assert "megapixels" not in self.refused(file, "damaged")

    def test_large_pil_image_and_array(self) -> None:
        wide = np.broadcast_to(np.uint8(0), (1, MAX_PIXELS + 1))
        self.refused(wide, "100000001 x 1", "scale it down")

    @pytest.mark.parametrize(
        ("array", "kind"),
        [
            (np.zeros((5, 5), np.float32), "floating-point"),
            (np.zeros((5, 5), np.int32), "32-bit integer"),
        ],
    )
    def test_tiff_of_numbers(self, array: Pixels, kind: str) -> None:
        self.refused(tiff(array), kind, "save it as 8-bit or 16-bit RGB")

    @pytest.mark.parametrize("source", [None, 3, ["a.png"]])
    def test_not_a_picture_at_all(self, source: Any) -> None:
        self.refused(source, f"cannot be made from {type(source).__name__}", "binary mode", "tensor")

    @pytest.mark.parametrize(
        ("tensor", "words"),
        [
            (torch.zeros(4), "(channels, height, width)"),
            (torch.zeros(20, 20, 3), "(20, 20, 3) of float32: a picture is (channels, height, width)"),
            (torch.zeros(2, 3, 4, 4), "a batch of one"),
            (torch.full((3, 4, 4), 2.0), "scale floats to 0 ... 1"),
            (torch.full((3, 4, 4), torch.nan), "scale floats to 0 ... 1"),
            (torch.zeros(3, 4, 4, dtype=torch.int64), "of int64: give uint8"),
            (torch.zeros(3, 0, 4), "no pixels"),
        ],
    )
    def test_tensors_that_are_no_picture(self, tensor: torch.Tensor, words: str) -> None:
        assert self.refused(tensor, words).startswith("the tensor is")

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_text("no picture")
        with open(path) as text, open(path, "rb") as binary:
            self.refused(text, "a.png is not opened in binary mode")
            self.refused(binary, "a.png is not a PNG")
        self.refused(binary, "a.png cannot be read", "closed")
        self.refused(io.StringIO("text"), "the file is not opened in binary mode")
        self.refused(io.BytesIO(), "the file is empty")

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.zeros(5, np.uint8), "(height, width)"),
            (np.zeros((3, 20, 20), np.uint8), "(height, width)"),
            (np.zeros((5, 5, 2), np.uint8), "1, 3 or 4"),
            (np.zeros((1, 5, 5, 3), np.uint8), "(height, width)"),
            (np.zeros((0, 5, 3), np.uint8), "no pixels"),
            (np.zeros((5, 5, 3), np.int64), "int64"),
            (np.zeros((5, 5, 3), np.int8), "int8"),
            (np.zeros((5, 5, 3), object), "object"),
            (np.full((5, 5, 3), 255.0), "from 255 to 255"),
            (np.full((5, 5, 3), -1.0), "scale floats to 0 ... 1"),
            (np.full((5, 5, 3), np.nan), "nan"),
        ],
    )
    def test_arrays_of_another_kind(self, array: Pixels, words: str) -> None:
        self.refused(array, words, str(array.shape))

    @given(
        seed=st.integers(0, 2**32 - 1),
        file_format=st.sampled_from(["PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG"]),
    )
    @pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # PIL says what it finds odd in a broken file
    def test_random_damage_gives_a_picture_or_an_image_error(self, seed: int, file_format: str) -> None:
        rng = np.random.default_rng(seed)
        image = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
        file = bytearray(encoded(image, file_format))
        for at in rng.integers(0, len(file), rng.integers(1, 6)):
            file[at] = rng.integers(0, 256)
        with contextlib.suppress(ImageError):
            open_picture(bytes(file))


class TestArrays:
    @given(
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        channels=st.sampled_from([1, 3, 4]),
        deep=st.booleans(),
    )
    def test_integers_are_taken_as_they_are(self, height: int, width: int, channels: int, deep: bool) -> None:
        dtype = np.uint16 if deep else np.uint8
        array = np.random.default_rng(0).integers(
            0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype
        )
        before = array.copy()
        picture = open_picture(array)
        colours = np.repeat(array, 3, axis=2) if channels == 1 else array[..., :3]
        np.testing.assert_array_equal(picture.pixels, colours)
        if channels == 4:
            np.testing.assert_array_equal(picture.alpha, array[..., 3])
        array[:] = 0
        np.testing.assert_array_equal(
            picture.pixels, np.repeat(before, 3, axis=2) if channels == 1 else before[..., :3]
        )

    def test_grey_without_a_channel_axis(self, photo: Pixels) -> None:
        picture = open_picture(photo[..., 0])
        np.testing.assert_array_equal(picture.pixels, np.dstack([photo[..., 0]] * 3))
        assert picture.notes == ("grey became RGB",)

    def test_bool_is_black_and_white(self) -> None:
        assert open_picture(np.array([[True, False]])).pixels[0, :, 0].tolist() == [255, 0]

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_floats(self, photo: Pixels, dtype: Any) -> None:
        picture = open_picture((photo / 255).astype(dtype))
        np.testing.assert_array_equal(picture.pixels, photo)
        assert picture.notes == ("floating point became 8 bits a channel",)

    def test_other_byte_order_and_strides(self) -> None:
        pixels = noise16(3)
        np.testing.assert_array_equal(open_picture(pixels.astype(">u2")[::-1]).pixels, pixels[::-1])

    @pytest.mark.parametrize(
        "mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV", "I;16", "PA", "RGBX"]
    )
    def test_pil_images(self, photo: Pixels, mode: str) -> None:
        image = Image.fromarray(photo)
        image = (
            Image.fromarray(photo[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
        )
        before = image.tobytes()
        picture = open_picture(image)
        assert picture.pixels.shape == photo.shape
        grey = mode in ("L", "LA", "1", "I;16")
        near = photo[..., :1] if mode == "I;16" else photo.mean(axis=2, keepdims=True) if grey else photo
        assert abs(to_uint8(picture.pixels).mean() - near.mean()) < 10
        assert image.tobytes() == before
        assert bool(picture.notes) == (mode not in ("RGB", "RGBA", "RGBX"))

    @pytest.mark.parametrize("mode", ["F", "I", "LAB"])
    def test_pil_images_without_a_fixed_white(self, mode: str) -> None:
        with pytest.raises(ImageError, match="no fixed white"):
            open_picture(Image.new(mode, (3, 3)))

    def test_picture_is_returned_as_it_is(self, photo: Pixels) -> None:
        picture = open_picture(photo)
        assert open_picture(picture) is picture
        assert repr(picture) == "<Picture 90 x 100, 8 bits, array>"

    def test_picture_refuses_pixels_that_need_converting(self, photo: Pixels) -> None:
        with pytest.raises(ImageError, match="open_picture converts"):
            Picture(photo[..., 0])
        with pytest.raises(ImageError, match="same size and depth"):
            Picture(photo, alpha=photo[..., 0].astype(np.uint16))
        with pytest.raises(ImageError, match="no pixels"):
            Picture(photo[:0])

    def test_hash_is_of_the_pixels(self, photo: Pixels, tmp_path: Path) -> None:
        picture = open_picture(photo)
        path = save_picture(picture, tmp_path / "a.png")
        assert open_picture(path).sha256 == picture.sha256 == pixels_sha256(photo)
        changed = photo.copy()
        changed[3, 3, 0] ^= 1
        assert open_picture(changed).sha256 != picture.sha256
        assert pixels_sha256(photo.reshape(90, 100, 3)) != picture.sha256
        assert pixels_sha256(noise16(3)) == pixels_sha256(noise16(3).astype(">u2"))

    def test_to_pil(self, photo: Pixels) -> None:
        picture = Picture(photo, alpha=photo[..., 1], icc_profile=rgb_profile(), dpi=(300, 300))
        image = picture.to_pil()
        np.testing.assert_array_equal(np.asarray(image), np.dstack([photo, photo[..., 1]]))
        assert open_picture(image).icc_profile == picture.icc_profile
        assert Picture(photo.astype(np.uint16) * 257).to_pil().tobytes() == photo.tobytes()


class TestTensors:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_every_value_comes_back(self, dtype: Any) -> None:
        values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 16, 1)
        tensor = to_tensor(values)
        assert tensor.shape == (1, 1, values.shape[0], 16)
        assert tensor.dtype == torch.float32
        assert (float(tensor.min()), float(tensor.max())) == (-1.0, 1.0)
        np.testing.assert_array_equal(from_tensor(tensor, dtype)[0], values)

    def test_channels_go_first_and_pictures_may_be_read_only(self, photo: Pixels) -> None:
        tensor = to_tensor(open_picture(photo).pixels)
        assert tensor.shape == (1, 3, 100, 90)
        assert tensor[0, 2, 7, 5].item() == pytest.approx(photo[7, 5, 2] / 127.5 - 1)
        assert to_tensor(np.stack([photo, photo])).shape == (2, 3, 100, 90)

    def test_clamped_and_rounded(self) -> None:
        tensor = torch.tensor([-9.0, -1.0, 0.001, 1.0, 9.0], requires_grad=True).reshape(1, 1, 1, 5)
        assert from_tensor(tensor)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
        assert from_tensor(tensor.bfloat16(), np.uint16)[0, 0, -1, 0] == 65535

    def test_to_uint8_rounds_to_nearest(self) -> None:
        values = np.arange(65536, dtype=np.uint16)
        np.testing.assert_array_equal(to_uint8(values), np.rint(values / 257).astype(np.uint8))


class TestSaving:
    LOSSLESS = (".png", ".tiff", ".tif", ".webp", ".PNG")

    @pytest.mark.parametrize("suffix", LOSSLESS)
    def test_eight_bits_come_back(self, photo: Pixels, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        assert save_picture(photo, str(path)) == path
        np.testing.assert_array_equal(open_picture(path).pixels, photo)
        with Image.open(path) as image:  # another reader agrees
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), photo)

    @pytest.mark.parametrize("suffix", LOSSLESS)
    def test_alpha_comes_back_with_the_colours_under_it(
        self, photo: Pixels, tmp_path: Path, suffix: str
    ) -> None:
        alpha = np.random.default_rng(0).integers(0, 256, photo.shape[:2], dtype=np.uint8)
        alpha[:50] = 0
        path = save_picture(np.dstack([photo, alpha]), tmp_path / f"a{suffix}")
        picture = open_picture(path)
        np.testing.assert_array_equal(picture.pixels, photo)
        np.testing.assert_array_equal(picture.alpha, alpha)

    @given(
        height=st.integers(1, 40),
        width=st.integers(1, 40),
        alpha=st.booleans(),
        suffix=st.sampled_from([".png", ".tiff"]),
    )
    def test_sixteen_bits_come_back(
        self, tmp_path: Path, height: int, width: int, alpha: bool, suffix: str
    ) -> None:
        shape = (height, width, 4 if alpha else 3)
        array = np.random.default_rng(height * 41 + width).integers(0, 65536, shape, dtype=np.uint16)
        path = save_picture(array, tmp_path / f"a{suffix}", force=True)
        picture = open_picture(path)
        np.testing.assert_array_equal(picture.pixels, array[..., :3])
        assert (picture.alpha is not None) == alpha
        if picture.alpha is not None:
            np.testing.assert_array_equal(picture.alpha, array[..., 3])
        if suffix == ".tiff":
            np.testing.assert_array_equal(tifffile.imread(path), array)

    @pytest.mark.parametrize("deep", [False, True])
    @pytest.mark.parametrize("source", ["PNG", "TIFF", "JPEG"])
    @pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".jpg"])
    def test_metadata_survives(
        self, photo: Pixels, tmp_path: Path, source: str, suffix: str, deep: bool
    ) -> None:
        profile = rgb_profile()
        original = open_picture(
            encoded(Image.fromarray(photo), source, icc_profile=profile, dpi=(300, 200), exif=exif_with(1))
        )
        assert original.icc_profile == profile
        edited = photo[::-1].astype(np.uint16) * 257 if deep else photo[::-1]
        saved = open_picture(save_picture(edited, tmp_path / f"a{suffix}", like=original))
        assert saved.icc_profile == profile
        if suffix != ".webp":  # which has no place for it
            assert saved.dpi == pytest.approx((300, 200), abs=0.01)
        exif = read_exif(saved)
        assert exif[ExifTags.Base.Artist] == "Somebody"
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert details[ExifTags.Base.DateTimeOriginal] == "2020:02:02 20:20:20"
        assert ExifTags.Base.MakerNote not in details

    def test_resolution_does_not_drift(self, photo: Pixels, tmp_path: Path) -> None:
        first = open_picture(save_picture(Picture(photo, dpi=(300, 72.5)), tmp_path / "1.png"))
        second = open_picture(save_picture(first, tmp_path / "2.png"))
        assert first.dpi == second.dpi

    def test_alpha_of_the_original_is_taken_where_sizes_agree(self, tmp_path: Path) -> None:
        array = noise16(4)
        original = open_picture(array)
        edited = np.full(original.pixels.shape, 7, np.uint8)
        saved = open_picture(save_picture(edited, tmp_path / "a.png", like=original))
        np.testing.assert_array_equal(saved.alpha, to_uint8(array[..., 3]))
        wider = np.full((11, 20, 3), 7, np.uint8)
        assert open_picture(save_picture(wider, tmp_path / "b.png", like=original)).alpha is None

    @pytest.mark.parametrize("length", [10, 5000, 3_000_000])
    def test_text_comes_back(self, photo: Pixels, tmp_path: Path, length: int) -> None:
        text = {"glide-edit": "a red ball \u2192 \U0001f534 " + "x" * length, "Software": "glide-edit"}
        path = save_picture(photo, tmp_path / "a.png", text=text)
        assert read_text(path) == text
        np.testing.assert_array_equal(open_picture(path).pixels, photo)

    @pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff"])
    @pytest.mark.parametrize("length", [10, 5000, 3_000_000])
    def test_text_comes_back_from_exif(self, photo: Pixels, tmp_path: Path, suffix: str, length: int) -> None:
        text = {"glide-edit": "a red ball \u2192 \U0001f534\n\0" + "x" * length, "Software": "glide-edit"}
        picture = Picture(photo, exif=exif_with(1))
        path = save_picture(picture, tmp_path / f"a{suffix}", text=text)
        assert read_text(path) == text
        assert open_picture(path).exif == open_picture(save_picture(picture, tmp_path / "b.png")).exif

    def test_text_that_a_jpeg_has_no_room_for(self, photo: Pixels, tmp_path: Path) -> None:
        text = {"a": np.random.default_rng(0).bytes(60_000).hex()}
        assert has_room(Picture(photo), "a.webp", text)
        assert not has_room(Picture(photo), "a.jpg", text)
        with pytest.raises(InputError, match="no room for so long a text"):
            save_picture(photo, tmp_path / "a.jpg", text=text)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("x" * 300 + ".png", "File name too long"),
            ("a\0b.png", "null"),
            ("file.txt/a.png", "is a file, not a folder"),
        ],
    )
    def test_names_that_no_file_can_have(self, tmp_path: Path, name: str, says: str) -> None:
        (tmp_path / "file.txt").touch()
        with pytest.raises(InputError, match=says):
            check_output(tmp_path / name)

    @pytest.mark.parametrize(
        "text", [{"": "x"}, {"a" * 80: "x"}, {"\u00e9": "x"}, {" a": "x"}, {"a": "x\0y"}]
    )
    def test_text_that_png_cannot_hold(self, photo: Pixels, tmp_path: Path, text: dict[str, str]) -> None:
        with pytest.raises(InputError, match="text of a PNG"):
            save_picture(photo, tmp_path / "a.png", text=text)
        assert list(tmp_path.iterdir()) == []

    def test_png_is_well_formed(self, photo: Pixels, tmp_path: Path) -> None:
        picture = Picture(photo, icc_profile=rgb_profile(), dpi=(96, 96), exif=exif_with(1))
        file = save_picture(picture, tmp_path / "a.png", text={"k": "v"}).read_bytes()
        at, kinds = 8, []
        while at < len(file):
            (length,) = struct.unpack(">I", file[at : at + 4])
            kind, body = file[at + 4 : at + 8], file[at + 8 : at + 8 + length]
            assert struct.unpack(">I", file[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
            kinds.append(kind)
            at += 12 + length
        assert kinds[0] == b"IHDR"
        assert kinds[-1] == b"IEND"
        assert kinds.index(b"iCCP") < kinds.index(b"IDAT")
        assert kinds.index(b"pHYs") < kinds.index(b"IDAT")

    def test_jpeg_is_close_and_quality_counts(self, photo: Pixels, tmp_path: Path) -> None:
        fine = save_picture(photo, tmp_path / "a.jpg")
        coarse = save_picture(photo, tmp_path / "b.jpeg", quality=20)
        assert np.abs(open_picture(fine).pixels.astype(int) - photo).mean() < 3
        assert coarse.stat().st_size < fine.stat().st_size / 2

    @pytest.mark.parametrize("quality", [0, 101, -5])
    def test_quality_out_of_range(self, photo: Pixels, tmp_path: Path, quality: int) -> None:
        with pytest.raises(InputError, match="from 1 to 100"):
            save_picture(photo, tmp_path / "a.jpg", quality=quality)

    def test_jpeg_refuses_transparency_and_drops_opaqueness(self, photo: Pixels, tmp_path: Path) -> None:
        opaque = np.full(photo.shape[:2], 255, np.uint8)
        assert open_picture(save_picture(np.dstack([photo, opaque]), tmp_path / "a.jpg")).alpha is None
        opaque[0, 0] = 254
        with pytest.raises(
            ImageError, match=r"partly transparent, which \.jpg cannot hold: save it as \.png"
        ):
            save_picture(np.dstack([photo, opaque]), tmp_path / "b.jpg")

    def test_losses_are_said(self, photo: Pixels) -> None:
        deep = Picture(noise16(3))
        assert losses(deep, "a.png") == losses(deep, "a.tiff") == losses(open_picture(photo), "a.webp") == ()
        assert losses(deep, "a.webp") == (".webp keeps 8 of the 16 bits",)
        assert len(losses(deep, "a.jpg")) == 2

    def test_lossy_sources_are_saved_without_further_loss(self, photo: Pixels) -> None:
        for file_format, suffix in {
            "JPEG": ".png",
            "WEBP": ".png",
            "GIF": ".png",
            "PNG": ".png",
            "TIFF": ".tiff",
        }.items():
            picture = open_picture(encoded(Image.fromarray(photo), file_format))
            assert default_output_suffix(picture) == suffix
        assert default_output_suffix(open_picture(photo)) == ".png"

    @pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt", ".png"])
    def test_other_formats_are_refused_with_a_list(self, photo: Pixels, tmp_path: Path, name: str) -> None:
        with pytest.raises(
            ImageError, match=r"pictures are saved as \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff"
        ):
            save_picture(photo, tmp_path / name)

    @pytest.mark.parametrize(("name", "height"), [("a.webp", 16_384), ("a.jpg", 65_536)])
    def test_sides_too_long_for_the_format(self, tmp_path: Path, name: str, height: int) -> None:
        with pytest.raises(ImageError, match=r"save it as \.png or \.tiff"):
            save_picture(np.zeros((height, 1, 3), np.uint8), tmp_path / name)


class TestNothingHalfWritten:
    def test_existing_file_is_left_alone(self, photo: Pixels, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(b"precious")
        with pytest.raises(OutputExists, match="exists already and was left alone"):
            save_picture(photo, path)
        assert path.read_bytes() == b"precious"
        assert list(tmp_path.iterdir()) == [path]

    def test_force_replaces_it(self, photo: Pixels, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(b"precious")
        save_picture(photo, path, force=True)
        np.testing.assert_array_equal(open_picture(path).pixels, photo)
        assert list(tmp_path.iterdir()) == [path]

    def test_file_that_appears_meanwhile_is_left_alone(
        self, photo: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.png"
        monkeypatch.setattr(os, "fsync", lambda _: path.write_bytes(b"precious"))
        with pytest.raises(OutputExists):
            save_picture(photo, path)
        assert path.read_bytes() == b"precious"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_full_disk_leaves_the_old_file_and_nothing_else(
        self, photo: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(b"precious")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, failing, fail)
        with pytest.raises(InputError, match=r"a\.png cannot be written: No space left on device"):
            save_picture(photo, path, force=True)
        assert path.read_bytes() == b"precious"
        assert list(tmp_path.iterdir()) == [path]

    def test_interruption_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "a.json", b"{}")
        assert list(tmp_path.iterdir()) == []

    def test_missing_folder(self, photo: Pixels, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"the folder .*nowhere does not exist: make it first"):
            save_picture(photo, tmp_path / "nowhere" / "a.png")
        with pytest.raises(InputError, match="cannot be written"):
            write_atomically(tmp_path / "nowhere" / "a.json", b"{}")

    def test_folder_in_the_way(self, photo: Pixels, tmp_path: Path) -> None:
        (tmp_path / "a.png").mkdir()
        with pytest.raises(InputError, match="is a folder"):
            save_picture(photo, tmp_path / "a.png", force=True)

    def test_permissions_are_those_of_any_new_file(self, photo: Pixels, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        path = save_picture(photo, tmp_path / "a.png")
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)

    def test_link_stays_a_link(self, photo: Pixels, tmp_path: Path) -> None:
        target, link = tmp_path / "target.png", tmp_path / "link.png"
        target.write_bytes(b"old")
        link.symlink_to(target)
        save_picture(photo, link, force=True)
        assert link.is_symlink()
        np.testing.assert_array_equal(open_picture(target).pixels, photo)

    def test_check_output_says_it_before_the_work(self, photo: Pixels, tmp_path: Path) -> None:
        transparent = Picture(photo, alpha=photo[..., 0])
        assert check_output(tmp_path / "a.png", like=transparent) == tmp_path / "a.png"
        with pytest.raises(ImageError, match="partly transparent"):
            check_output(tmp_path / "a.jpg", like=transparent)
        with pytest.raises(InputError, match="does not exist"):
            check_output(tmp_path / "nowhere/a.png")
        (tmp_path / "a.png").touch()
        with pytest.raises(OutputExists):
            check_output(tmp_path / "a.png")
        check_output(tmp_path / "a.png", force=True)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, 4, 4, device="meta"),
        torch.zeros(3, 4, 4).to_sparse(),
    ],
    ids=["meta", "sparse"],
)
def test_tensors_without_plain_values_are_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(ImageError, match="give a dense tensor"):
        open_picture(tensor)


# -- what stops a file from being written ---------------------------------------------------------------


@pytest.mark.parametrize("quality", [60, 95, 100])
def test_the_grainiest_picture_fits_into_a_jpeg(
    quality: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    path = save_picture(noise, tmp_path / "noise.jpg", quality=quality)
    assert open_picture(path).pixels.shape == noise.shape
    assert capfd.readouterr().err == ""


def test_a_profile_that_no_png_can_hold_is_told_before_the_work(tmp_path: Path) -> None:
    profile = np.random.default_rng(0).integers(0, 256, 2**20 + 1, np.uint8).tobytes()
    picture = Picture(np.zeros((4, 5, 3), np.uint8), icc_profile=profile)
    with pytest.raises(ImageError, match=r"1,048,577 bytes.* save it as \.tiff"):
        check_output(tmp_path / "a.png", like=picture)
    with Image.open(save_picture(picture, tmp_path / "a.tiff")) as opened:
        assert opened.info["icc_profile"] == profile
    largest = Picture(picture.pixels, icc_profile=profile[:-1])
    with Image.open(save_picture(largest, tmp_path / "a.png")) as opened:
        assert opened.info["icc_profile"] == profile[:-1]


def test_one_of_several_writers_gets_a_new_name(tmp_path: Path) -> None:
    path = tmp_path / "new.png"
    together = Barrier(8)

    def write(number: int) -> bool:
        together.wait()
        try:
            write_atomically(path, bytes([number]) * 1000)
        except OutputExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(8)))
    assert sum(written) == 1
    assert path.read_bytes() == bytes([written.index(True)]) * 1000
    assert [each.name for each in tmp_path.iterdir()] == ["new.png"]


class _FullAtTheSecond:
    """In place of ``os.fsync``: the temporary file still fits, the file itself does not."""

    calls = 0

    def __call__(self, number: int) -> None:
        self.calls += 1
        if self.calls > 1:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_names_are_taken_once_where_files_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _FullAtTheSecond())
        with pytest.raises(InputError, match="No space left"):
            write_atomically(tmp_path / "new.bin", b"lost")
    assert not list(tmp_path.iterdir())
    path = write_atomically(tmp_path / "new.bin", b"first")
    with pytest.raises(OutputExists):
        write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["new.bin"]
