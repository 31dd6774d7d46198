"""Requests from paths, arrays and tensors for pictures and masks, and a generator for a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from glide_edit.errors import InputError
from glide_edit.requests.request import Request, with_new_names
from glide_edit.requests.settings import settings_of

R = TypeVar("R", bound=Request)

_LARGEST_DRAWN = 2**53
"""Seeds from a generator lie below: whole numbers up to here survive every JSON reader."""


def request_of(kind: type[R], given: Mapping[str, Any]) -> R:
    """The request with the values in ``given``, where other names, and a ``generator`` that is None, may be.

    Pictures and masks may be whatever ``open_picture`` and ``open_mask`` take. A seed is drawn from a
    ``torch.Generator``, so that two calls with it differ.

    Raises:
        InputError: a value that cannot be used; a generator together with a seed or seeds.
        ImageError, MaskError: a picture or mask that cannot be used.
    """
    from glide_edit.images import open_picture
    from glide_edit.selections import open_mask

    settings = {each.name: each for each in settings_of(kind)}
    may_be_unset = {"seed", *kind.old_names, *kind.old_names.values()}
    values = {
        name: given[name]
        for name in (*settings, *kind.old_names)
        if name in given and not (given[name] is None and name in may_be_unset)
    }
    values = with_new_names(kind, values)
    for name, value in values.items():
        with naming(name):
            if settings[name].kind == "picture":
                values[name] = open_picture(value)
            elif settings[name].kind == "mask" and value is not None:
                values[name] = open_mask(value)
    if given.get("generator") is not None:
        if "seed" in values or not _is_empty(values.get("seeds", ())):
            said = "Give either generator, or seed or seeds: a generator draws the seed."
            raise InputError(said, code="generator_contradicts_seed", field="seed")
        values["seed"] = _drawn_seed(given["generator"])
    return kind(**values)


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Let errors of opening a picture or mask say which field of the request it is for."""
    from masks import MaskError

    try:
        yield
    except (InputError, MaskError) as error:
        error.field = error.field or field
        raise


def _is_empty(seeds: object) -> bool:
    return isinstance(seeds, tuple | list | range) and not seeds


def _drawn_seed(generator: object) -> int:
    import torch

    if not isinstance(generator, torch.Generator):
        said = f"generator must be a torch.Generator, not {type(generator).__name__}."
        raise InputError(said, code="generator_wrong_type", field="generator")
    drawn = torch.randint(_LARGEST_DRAWN, (), generator=generator, device=generator.device)
    return int(drawn)
