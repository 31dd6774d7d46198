"""Requests from paths, arrays and tensors for pictures and masks, and a generator for a seed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from glide_edit.errors import ImageError, InputError
from glide_edit.requests.request import Request, with_new_names
from glide_edit.requests.settings import settings_of

if TYPE_CHECKING:
    import torch

    from glide_edit.images import PictureLike
    from glide_edit.selections import MaskLike

    PictureInput = PictureLike | torch.Tensor
    MaskInput = MaskLike | torch.Tensor

R = TypeVar("R", bound=Request)

_LARGEST_DRAWN = 2**53
"""Seeds from a generator lie below: whole numbers up to here survive every JSON reader."""


def request_of(kind: type[R], given: Mapping[str, Any]) -> R:
    """The request with the values in ``given``, where other names, and a ``generator`` that is None, may be.

    Pictures and masks may be whatever ``open_picture`` and ``open_mask`` take, or torch tensors: pictures
    (3, H, W) or (1, 3, H, W), masks (H, W), (1, H, W) or (1, 1, H, W); float in [0, 1] or uint8, masks also
    bool. A seed is drawn from a ``torch.Generator``, so that two calls with it differ.

    Raises:
        InputError: a value that cannot be used; a generator together with a seed or seeds.
        ImageError, MaskError: a picture or mask that cannot be used.
    """
    from glide_edit.images import open_picture
    from glide_edit.selections import open_mask

    settings = {each.name: each for each in settings_of(kind)}
    values = {name: given[name] for name in settings if name in given}
    for old, new in kind.old_names.items():
        if given.get(old) is not None:
            values[new] = with_new_names(kind, {old: given[old]}, stacklevel=4)[new]
    for name, value in values.items():
        if value is not None and settings[name].kind == "picture":
            values[name] = open_picture(_picture_array(name, value))
        elif value is not None and settings[name].kind == "mask":
            values[name] = open_mask(_mask_array(name, value))
    if given.get("generator") is not None:
        if values.get("seed") or values.get("seeds"):
            said = "Give either generator, or seed or seeds: a generator draws the seed."
            raise InputError(said, code="generator_contradicts_seed", field="seed")
        values["seed"] = _drawn_seed(given["generator"])
    return kind(**values)


def _drawn_seed(generator: object) -> int:
    import torch

    if not isinstance(generator, torch.Generator):
        said = f"generator must be a torch.Generator, not {type(generator).__name__}."
        raise InputError(said, code="generator_wrong_type")
    drawn = torch.randint(_LARGEST_DRAWN, (), generator=generator, device=generator.device)
    return int(drawn)


def _picture_array(name: str, value: Any) -> Any:
    """(H, W, 3) of a tensor; all else as it is."""
    if not _is_tensor(value):
        return value
    if value.ndim == 4 and value.shape[0] == 1:
        value = value[0]
    if value.ndim != 3 or value.shape[0] != 3:
        said = f"{name} is a tensor of shape {tuple(value.shape)}: it must be (3, H, W) or (1, 3, H, W)."
        raise ImageError(said, code=f"{name}_wrong_shape", field=name)
    return _numpy(value.permute(1, 2, 0))


def _mask_array(name: str, value: Any) -> Any:
    """(H, W) of a tensor; all else as it is."""
    if not _is_tensor(value):
        return value
    while value.ndim > 2 and value.shape[0] == 1:
        value = value[0]
    if value.ndim != 2:
        shape = tuple(value.shape)
        said = f"{name} is a tensor of shape {shape}: it must be (H, W), (1, H, W) or (1, 1, H, W)."
        raise ImageError(said, code=f"{name}_wrong_shape", field=name)
    return _numpy(value)


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")  # nobody has a tensor who has not imported it
    return torch is not None and isinstance(value, torch.Tensor)


def _numpy(tensor: torch.Tensor) -> Any:
    plain = tensor.detach().cpu()
    return (plain.float() if plain.is_floating_point() else plain).numpy()
