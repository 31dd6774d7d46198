"""The parts of a model as ``model.json`` describes them: text encoders, stages, a CLIP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from glide_edit.diffusion.schedule import Schedule, timesteps
from glide_edit.errors import InputError, ModelFormatError
from glide_edit.models import records
from glide_edit.models.kinds import (
    CLIPS,
    NETWORKS,
    TEXT_ENCODERS,
    K,
    Kind,
    NetworkConfig,
    TextConfig,
    TextKind,
    kind_of,
)
from glide_edit.models.presets import StagePreset
from glide_edit.networks.noised_clip import NoisedCLIPConfig

SPEC_FILE = "model.json"
DEFAULT = "default"
"""The preset that every model has."""

_INPAINT = "_inpaint"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class _WithTokenizer:
    """A network with the files of its weights and its tokenizer."""

    kinds: ClassVar[Mapping[str, Kind]]
    config: Any
    weights: str
    tokenizer: str | None

    @property
    def files(self) -> tuple[str, ...]:
        """Those in the model folder."""
        return (self.weights,) if self.tokenizer is None else (self.weights, self.tokenizer)

    def to_json(self) -> dict[str, Any]:
        kind = kind_of(self.config, self.kinds).name
        config = plain(self.config)
        return {"kind": kind, "config": config, "weights": self.weights, "tokenizer": self.tokenizer}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = records.fields(value, where, _PART)
        kind = _known_kind(data["kind"], cls.kinds, where)
        if isinstance(kind, TextKind) and kind.tokenizer_file is not None:
            records.text(data["tokenizer"], f"{where}.tokenizer")
        config = records.network(kind.config, data["config"], f"{where}.config")
        return cls(config, data["weights"], data["tokenizer"])


@dataclass(frozen=True)
class TextSpec(_WithTokenizer):
    """A text encoder. ``tokenizer`` None is the usual name; a frozen encoder has no such file.

    Raises ModelFormatError if a file name is not a plain one, the configuration belongs to no registered
    kind, or a frozen encoder comes with a tokenizer.
    """

    kinds: ClassVar = TEXT_ENCODERS
    config: TextConfig
    weights: str = "text.safetensors"
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        usual = kind_of(self.config, TEXT_ENCODERS).tokenizer_file
        check_file_name(self.weights, ".safetensors")
        if usual is None and self.tokenizer is not None:
            raise ModelFormatError(
                "A frozen text encoder's tokenizer lies with its language model: give none."
            )
        object.__setattr__(self, "tokenizer", self.tokenizer or usual)
        if usual is not None:
            check_file_name(self.tokenizer, Path(usual).suffix)


@dataclass(frozen=True)
class ClipSpec(_WithTokenizer):
    """A CLIP that judges noisy pictures. ``tokenizer`` is a file, None for CLIP's own vocabulary.

    Raises ModelFormatError if a file name is not a plain one.
    """

    kinds: ClassVar = CLIPS
    config: NoisedCLIPConfig
    weights: str = "clip.safetensors"
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        check_file_name(self.weights, ".safetensors")
        if self.tokenizer is not None:
            check_file_name(self.tokenizer, ".json")


@dataclass(frozen=True)
class StageSpec:
    """One network of a cascade. ``weights`` is a file (default: the name, .safetensors).

    Weights that had to stay below a size go on in the files ``more_weights``. ``preset`` is the default one,
    ``more_presets`` has others by name. ``text`` is the stage's own encoder, None where it reads the model's
    or no text. ``inpaints`` names the stage whose place it takes when a part of the picture is known; None is
    what its own name says: "base_inpaint" takes the place of "base". ``distils`` names the stage that it was
    distilled from, whose place it takes in the presets ``in_presets``; it is sampled as these say and not
    otherwise.

    Raises:
        ModelFormatError: a name that is not a plain one, a preset that does not fit the schedule, a stage for
            inpainting that takes no known picture, or a distilled one for no preset.
    """

    name: str
    config: NetworkConfig
    schedule: Schedule
    preset: StagePreset
    weights: str = ""
    text: TextSpec | None = None
    more_presets: Mapping[str, StagePreset] = field(default_factory=dict)
    more_weights: tuple[str, ...] = ()
    inpaints: str | None = None
    distils: str | None = None
    in_presets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _FILE_NAME.fullmatch(self.name):
            raise ModelFormatError(f"{self.name!r} is not a plain name for a stage.")
        object.__setattr__(self, "inpaints", self.inpaints or implied_inpaints(self.name))
        object.__setattr__(self, "weights", self.weights or f"{self.name}.safetensors")
        if self.inpaints is not None and not self.config.known:
            raise ModelFormatError(f"The stage {self.name} needs a known picture as input (known).")
        if (self.distils is None) != (not self.in_presets) or not set(self.in_presets) <= set(self.presets):
            raise ModelFormatError(
                f"The stage {self.name} must name both the stage that it distils and the presets it is for."
            )
        for preset in self.presets.values():
            self._check_preset(preset)
        for name in self.weight_files:
            check_file_name(name, ".safetensors")

    def _check_preset(self, preset: StagePreset) -> None:
        if preset.steps > self.schedule.num_timesteps:
            raise ModelFormatError(
                f"The stage {self.name} has {self.schedule.num_timesteps} timesteps and its preset asks for "
                f"{preset.steps} steps."
            )
        if preset.respacing is None:
            return
        try:
            steps = len(timesteps(self.schedule, preset.respacing))
        except InputError as error:
            raise ModelFormatError(f"The stage {self.name} cannot be respaced so: {error}") from error
        if steps != preset.steps:
            raise ModelFormatError(
                f"The respacing {preset.respacing!r} of the stage {self.name} has {steps} steps, "
                f"and its preset {preset.steps}."
            )

    @property
    def label(self) -> str:
        """What progress and errors call it: the name of the stage whose place it takes, else its own."""
        taken = self.distils or self.name
        return self.inpaints or implied_inpaints(taken) or taken

    @property
    def weight_files(self) -> tuple[str, ...]:
        return (self.weights, *self.more_weights)

    @property
    def presets(self) -> dict[str, StagePreset]:
        """All of them by name."""
        return {DEFAULT: self.preset, **self.more_presets}

    def to_json(self) -> dict[str, Any]:
        """The stage as ``model.json`` has it; the presets are stored apart."""
        optional = {
            "more_weights": list(self.more_weights) or None,
            "text_encoder": None if self.text is None else self.text.to_json(),
            "inpaints": None if self.inpaints == implied_inpaints(self.name) else self.inpaints,
            "distils": self.distils,
            "in_presets": list(self.in_presets) or None,
        }
        return {
            "name": self.name,
            "kind": kind_of(self.config, NETWORKS).name,
            "config": plain(self.config),
            "schedule": self.schedule.to_json(),
            "weights": self.weights,
            **{key: value for key, value in optional.items() if value is not None},
        }

    @classmethod
    def from_json(cls, value: object, presets: Mapping[str, StagePreset], where: str) -> StageSpec:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = records.fields(value, where, _STAGE, _STAGE_OPTIONAL)
        try:
            schedule = Schedule.from_json(data["schedule"])
        except InputError as error:
            raise ModelFormatError(f"{where}.schedule will not do: {error}") from error
        kind = _known_kind(data["kind"], NETWORKS, where)
        return cls(
            name=data["name"],
            config=records.network(kind.config, data["config"], f"{where}.config"),
            schedule=schedule,
            preset=presets[DEFAULT],
            weights=data["weights"],
            text=data.get("text_encoder"),
            more_presets={name: preset for name, preset in presets.items() if name != DEFAULT},
            more_weights=data.get("more_weights", ()),
            inpaints=data.get("inpaints"),
            distils=data.get("distils"),
            in_presets=data.get("in_presets", ()),
        )


_PART: records.Fields = {
    "kind": records.anything,
    "config": records.anything,
    "weights": records.text,
    "tokenizer": records.optional(records.text),
}
_STAGE: records.Fields = {
    "name": records.text,
    "kind": records.anything,
    "config": records.anything,
    "schedule": records.mapping,
    "weights": records.text,
}
_STAGE_OPTIONAL: records.Fields = {
    "text_encoder": records.optional(TextSpec.from_json),
    "more_weights": records.texts,
    "inpaints": records.text,
    "distils": records.text,
    "in_presets": records.texts,
}
"""What each object holds, and how its values are read."""


def plain(config: Any) -> dict[str, Any]:
    """A dataclass as JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(asdict(config)))


def check_file_name(name: str | None, suffix: str) -> None:
    """Raises ModelFormatError unless the name is a plain one, that of a file inside the model folder."""
    if not name or not _FILE_NAME.fullmatch(name) or not name.endswith(suffix) or name == SPEC_FILE:
        raise ModelFormatError(f"{name!r} is not a plain file name ending in {suffix}.")


def implied_inpaints(name: str) -> str | None:
    """The stage whose place a stage takes in inpainting, as its name says."""
    return name.removesuffix(_INPAINT) if name.endswith(_INPAINT) else None


def _known_kind(kind: object, kinds: Mapping[str, K], where: str) -> K:
    if not isinstance(kind, str) or kind not in kinds:
        raise ModelFormatError(f"{where}.kind is {kind!r}; this glide-edit knows {' and '.join(kinds)}.")
    return kinds[kind]
