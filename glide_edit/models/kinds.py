"""The kinds of networks and text encoders that ``model.json`` may name. Programs can register their own:

    register_network("my_unet", MyConfig, MyUNet)

before a model of that kind is read or written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from glide_edit.conditioning import ConditionedNetwork
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import InputError, ModelFormatError
from glide_edit.models.language import locate, open_language
from glide_edit.networks.adm_unet import ADMUNet, ADMUNetConfig
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.encoder import Tokenizer
from glide_edit.text.frozen import FrozenText, FrozenTextConfig
from glide_edit.text.glide_transformer import GlideTextConfig, GlideTextTransformer
from glide_edit.text.gpt2 import GPT2Tokenizer
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig


class NetworkConfig(Protocol):
    """What a stage's configuration must say: a frozen dataclass whose fields are plain values or tuples.

    ``image_size`` is the side of its pictures, px; other sizes must be multiples of ``stride``,
    and ``stride`` one of the factor of the stage's codec.
    ``text_width`` is the width of the text states that it reads, 0 for no text. ``known``, ``drawing`` and
    ``low_res``: it takes a known picture with a keep-mask, a drawing, the picture of the stage before.
    ``soft_masks``: keep-masks may have values between 0 and 1. ``instruction``: its text says what to change,
    not what to show.
    """

    @property
    def image_size(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def text_width(self) -> int: ...
    @property
    def known(self) -> bool: ...
    @property
    def drawing(self) -> bool: ...
    @property
    def low_res(self) -> bool: ...
    @property
    def soft_masks(self) -> bool: ...
    @property
    def instruction(self) -> bool: ...


class StageNetwork(ConditionedNetwork, Protocol):
    """A ``ConditionedNetwork`` with its configuration; it is an ``nn.Module`` as well."""

    @property
    def config(self) -> NetworkConfig: ...


class TextConfig(Protocol):
    """What a text encoder's configuration must say, a frozen dataclass: how wide its states are.

    With a tokenizer file it also says ``vocabulary``, how many tokens the network knows.
    """

    @property
    def width(self) -> int: ...


@dataclass(frozen=True)
class Kind:
    """``build`` makes the network, an ``nn.Module``, with whatever weights."""

    name: str
    config: type[Any]
    build: Callable[..., nn.Module]


@dataclass(frozen=True, eq=False)
class TextSource:
    """What a kind of text encoder opens its tokenizer from; ``tokenizer`` is the path of its file."""

    config: Any
    network: Any
    folder: Path
    tokenizer: Path | None
    device: torch.device
    verify: bool


@dataclass(frozen=True)
class TextKind(Kind):
    """A kind of text encoder. ``open_tokenizer`` is called when the network has its weights.

    ``tokenizer_file`` is the usual name of the tokenizer's file, None where the model folder holds none.
    ``outside_hashes`` says what else the encoder is made of, outside the model folder.
    """

    open_tokenizer: Callable[[TextSource], Tokenizer]
    tokenizer_file: str | None = None
    outside_hashes: Callable[[Any], list[str]] = lambda config: []

    @property
    def opens_alone(self) -> bool:
        """Whether the tokenizer is a file that is read without the network."""
        return self.open_tokenizer in (_byte_pairs, _gpt2)


K = TypeVar("K", bound=Kind)
_SAID_OF_NETWORKS = (
    "image_size",
    "stride",
    "text_width",
    "known",
    "drawing",
    "low_res",
    "soft_masks",
    "instruction",
)
"""What ``NetworkConfig`` asks for."""
NETWORKS: dict[str, Kind] = {}
TEXT_ENCODERS: dict[str, TextKind] = {}
CLIPS = {"noised_clip": Kind("noised_clip", NoisedCLIPConfig, NoisedCLIP)}


def register_network(
    name: str, config: type[NetworkConfig], build: Callable[[Any, Schedule], nn.Module]
) -> None:
    """Add a kind of network: ``config`` is a frozen dataclass, ``build(config, schedule)`` makes the network.

    Registered again, as by a notebook's cell, it takes its own place. Raises InputError if the name or the
    configuration class belongs to another kind, or the class is not a dataclass that says all of
    ``NetworkConfig``.
    """
    _register(NETWORKS, Kind(name, config, build), _SAID_OF_NETWORKS)


def register_text_encoder(
    name: str,
    config: type[TextConfig],
    build: Callable[[Any], nn.Module],
    open_tokenizer: Callable[[TextSource], Tokenizer] | None = None,
    tokenizer_file: str | None = "tokenizer.json",
) -> None:
    """Add a kind of text encoder; by default its tokenizer is a ``BytePairTokenizer``.

    Registered again, as by a notebook's cell, it takes its own place. Raises InputError if the name or the
    configuration class belongs to another kind, or the class is not a dataclass that says all of
    ``TextConfig``.
    """
    kind = TextKind(name, config, build, open_tokenizer or _byte_pairs, tokenizer_file)
    _register(TEXT_ENCODERS, kind, ("width",) if tokenizer_file is None else ("width", "vocabulary"))


def kind_of(config: object, kinds: Mapping[str, K]) -> K:
    """The kind whose configuration this is. Raises ModelFormatError where none is registered."""
    for kind in kinds.values():
        if type(config) is kind.config:
            return kind
    raise ModelFormatError(f"{type(config).__name__} is the configuration of no registered kind.")


def byte_pairs(path: Path, context: int) -> BytePairTokenizer:
    """The tokenizer in a file of ``tokenizers``. Raises ModelFormatError where there is none."""
    try:
        return BytePairTokenizer.load(path, context)
    except Exception as error:  # tokenizers raises this very class
        raise ModelFormatError(
            f"{path} is missing or damaged, so copy or fetch the model folder again ({error})."
        ) from error


def _register(kinds: dict[str, K], kind: K, needed: Sequence[str] = ()) -> None:
    if not dataclasses.is_dataclass(kind.config):
        raise InputError(f"The configuration of the kind {kind.name!r} must be a dataclass.")
    for other in kinds.values():
        if _is_another(other, kind):
            raise InputError(
                f"The kind {other.name!r}, configured by {other.config.__name__}, is registered already: "
                "take another name and a configuration of its own."
            )
    said = {*dir(kind.config), *(field.name for field in dataclasses.fields(kind.config))}
    if missing := [name for name in needed if name not in said]:
        what = f"{kind.config.__name__}, the configuration of the kind {kind.name!r},"
        raise InputError(f"{what} must say {', '.join(missing)}.")
    kinds[kind.name] = kind


def _is_another(there: Kind, new: Kind) -> bool:
    """Whether a kind stands in the way of a new one, and is not the same, registered again.

    A notebook's cell that is run again makes its classes again.
    """
    if there.name != new.name:
        return there.config is new.config
    names = [(config.__module__, config.__qualname__) for config in (there.config, new.config)]
    return names[0] != names[1]


def _byte_pairs(source: TextSource) -> Tokenizer:
    assert source.tokenizer is not None
    return byte_pairs(source.tokenizer, source.config.context)


def _gpt2(source: TextSource) -> Tokenizer:
    assert source.tokenizer is not None
    return GPT2Tokenizer.load(source.tokenizer, source.config.context)


def _language(source: TextSource) -> Tokenizer:
    """Gives the network its language model as well."""
    found = locate(source.config, source.folder, verify=source.verify)
    language = open_language(found, source.config, source.device)
    source.network.language = language.model
    return language.tokenizer


register_network("efficient_unet", EfficientUNetConfig, EfficientUNet)
register_network("adm_unet", ADMUNetConfig, ADMUNet)
register_text_encoder("transformer", TextTransformerConfig, TextTransformer)
register_text_encoder("glide_transformer", GlideTextConfig, GlideTextTransformer, _gpt2, "gpt2.tiktoken")
_register(
    TEXT_ENCODERS,
    TextKind(
        "frozen",
        FrozenTextConfig,
        FrozenText,
        _language,
        outside_hashes=lambda config: [config.sha256, config.tokenizer_sha256],
    ),
)
