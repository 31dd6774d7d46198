"""The methods of Editor: what they take, what request they make of it, and that the file is up to date."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from glide_edit.editor_methods import EditorMethods
from glide_edit.errors import ImageError, InputError
from glide_edit.images import open_picture
from glide_edit.requests import OPERATIONS, Inpaint, Request, settings_of
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise

ROOT = Path(__file__).resolve().parents[2]
PIXELS = noise(6, 9)
SELECTED = np.zeros((6, 9), bool)
SELECTED[1:4, 2:5] = True


class Recorder(EditorMethods):
    """An editor that keeps what it is asked for, and hands it back as its result."""

    def run(self, request: Request, *, callback: Any = None, on_step: Any = None) -> Any:
        self.callback, self.on_step = callback, on_step
        return request


@pytest.fixture
def editor() -> Any:
    return Recorder()


def generator_script() -> Any:
    spec = importlib.util.spec_from_file_location("generate_api", ROOT / "scripts" / "generate_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_what_the_requests_make_of_it() -> None:
    script = generator_script()
    assert script.TARGET.read_text(encoding="utf-8") == script.source(), "run scripts/generate_api.py"


@pytest.mark.parametrize(("name", "kind"), OPERATIONS.items())
def test_every_field_of_a_request_is_a_parameter_with_its_default(name: str, kind: type[Request]) -> None:
    parameters = inspect.signature(getattr(EditorMethods, name)).parameters
    assert {"callback", "on_step", "generator"} <= set(parameters)
    for each in settings_of(kind):
        if (name, each.name) == ("remove", "prompt"):
            assert each.name not in parameters
        elif not each.required and (name, each.name) != ("generate", "prompt"):
            # What another parameter may contradict is None, so that it is seen whether it was given.
            expected = None if each.name in ("seed", "mask_fill") else each.default
            assert parameters[each.name].default == expected, each.name
        else:
            assert parameters[each.name].default is inspect.Parameter.empty, each.name


def test_callbacks_are_handed_on(editor: Any) -> None:
    editor.generate("a ball", callback=print, on_step=repr)
    assert (editor.callback, editor.on_step) == (print, repr)


# Pictures and masks ---------------------------------------------------------------------


def as_tensor(pixels: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


PICTURES: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text": str,
    "bytes": lambda path: path.read_bytes(),
    "PIL": lambda path: Image.fromarray(PIXELS),
    "NumPy": lambda path: PIXELS,
    "Picture": lambda path: open_picture(PIXELS),
    "tensor of uint8": lambda path: as_tensor(PIXELS),
    "batch of one": lambda path: as_tensor(PIXELS)[None],
}


@pytest.mark.parametrize("form", PICTURES)
def test_pictures_in_every_form_are_one_picture(editor: Any, tmp_path: Path, form: str) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    request = editor.upscale(PICTURES[form](path), 2)
    assert (request.image.pixels == PIXELS).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_tensor_of_floats_is_what_an_array_of_floats_is(editor: Any, dtype: torch.dtype) -> None:
    tensor = (as_tensor(PIXELS).to(torch.float64) / 255).to(dtype)
    made = editor.vary(tensor).image
    same = open_picture(tensor.float().permute(1, 2, 0).numpy())
    assert made.sha256 == same.sha256
    with pytest.raises(ImageError):
        editor.vary(tensor * 2 - 1)  # the range of networks, and of diffusers' outputs before postprocessing


@pytest.mark.parametrize("shape", [(2, 6, 9), (2, 3, 6, 9), (1, 1, 3, 6, 9)])
def test_tensors_of_other_shapes_are_no_pictures(editor: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"a picture is \(channels, height, width\)"):
        editor.upscale(torch.zeros(shape))


@pytest.mark.parametrize(
    "mask",
    [
        SELECTED,
        SELECTED.astype(np.uint8) * 255,
        Image.fromarray(SELECTED.astype(np.uint8) * 255),
        Mask(SELECTED),
        torch.from_numpy(SELECTED),
        torch.from_numpy(SELECTED)[None],
        torch.from_numpy(SELECTED)[None, None].float(),
    ],
    ids=["bool", "uint8", "PIL", "Mask", "tensor", "(1, H, W)", "(1, 1, H, W) of floats"],
)
def test_masks_in_every_form_are_one_mask(editor: Any, mask: Any) -> None:
    request = editor.inpaint(PIXELS, mask, "a ball", protect=mask, grow=3)
    assert request.mask == request.protect == Mask(SELECTED)
    assert (request.prompt, request.grow) == ("a ball", 3)


def test_a_tensor_of_several_masks_is_none(editor: Any) -> None:
    with pytest.raises(ImageError, match=r"the tensor is \(2, 6, 9\)"):
        editor.remove(PIXELS, torch.zeros(2, 6, 9))


# Generators ---------------------------------------------------------------------


def test_two_calls_with_a_generator_differ_and_the_same_state_repeats_them(editor: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    first, second = (editor.generate("a ball", generator=generator, n=2).seeds for _ in range(2))
    assert len({*first, *second}) == 4
    generator.manual_seed(3)
    assert editor.vary(PIXELS, generator=generator, n=2).seeds == first


@pytest.mark.parametrize("seeds", [{"seed": 5}, {"seed": 0}, {"seeds": (1, 2)}, {"seeds": np.array([1, 2])}])
def test_a_generator_and_a_seed_contradict_each_other(editor: Any, seeds: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="either generator, or seed") as caught:
        editor.generate("a ball", generator=torch.Generator(), **seeds)
    assert caught.value.code == "generator_contradicts_seed"
    with pytest.raises(InputError, match=r"must be a torch\.Generator, not int"):
        editor.generate("a ball", generator=7)


# Old names ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inpaint", "remove"])
def test_content_is_taken_for_mask_fill_with_a_warning_here(editor: Any, name: str) -> None:
    with pytest.warns(DeprecationWarning, match="content is called mask_fill now") as warned:
        request = getattr(editor, name)(PIXELS, SELECTED, content="original")
    assert warned[0].filename == __file__
    assert isinstance(request, Inpaint)
    assert request.mask_fill == "original"


@pytest.mark.parametrize("name", ["inpaint", "remove"])
def test_both_names_of_a_field_must_agree(editor: Any, name: str) -> None:
    with (
        pytest.warns(DeprecationWarning, match="mask_fill"),
        pytest.raises(InputError, match="give mask_fill alone"),
    ):
        getattr(editor, name)(PIXELS, SELECTED, content="original", mask_fill="opencv")
