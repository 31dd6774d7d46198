"""What a ``model.json`` says: the networks of a model, how to run them, and where they come from.

    {"format": 1, "name": "...", "family": "...", "licence": "MIT", "provenance": {...},
     "text_encoder": {"kind": "transformer", "config": {...}, "weights": "text.safetensors",
                      "tokenizer": "tokenizer.json"},
     "stages": [{"name": "base", "kind": "efficient_unet", "config": {...},
                 "schedule": {"name": "cosine", "num_timesteps": 1000}, "weights": "base.safetensors"}, ...],
     "presets": {"default": {"base": {"steps": 20, ...}, ...}},
     "files": {"base.safetensors": "<sha256>", ...}}

``text_encoder`` may be null. Nothing else is optional, and what is not named here is an error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import InputError, ModelFormatError, ModelNotFound
from glide_edit.models import records
from glide_edit.models.presets import StagePreset
from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.text.transformer import TextTransformerConfig

FORMAT = 1
SPEC_FILE = "model.json"
STAGE_NAMES = ("base", "upsampler")
"""In the order in which they run."""

UPSAMPLING = 4
"""How many times larger an upsampler's picture is than the one before it."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StageSpec:
    """One network: ``name`` is "base" or "upsampler", ``weights`` a file (default: the name, .safetensors).

    Raises:
        ModelFormatError: an unknown name, a file name that is not a plain one, or a network that cannot be
            this stage (an upsampler takes a low-resolution picture, a base network does not).
    """

    name: str
    config: EfficientUNetConfig
    schedule: Schedule
    preset: StagePreset
    weights: str = ""

    def __post_init__(self) -> None:
        if self.name not in STAGE_NAMES:
            raise ModelFormatError(f"Unknown stage {self.name!r}; known are {' and '.join(STAGE_NAMES)}.")
        if self.config.low_res != (self.name == "upsampler"):
            need = "needs" if self.name == "upsampler" else "cannot have"
            raise ModelFormatError(
                f"The stage {self.name} {need} a low-resolution picture as input (low_res)."
            )
        if self.preset.steps > self.schedule.num_timesteps:
            raise ModelFormatError(
                f"The stage {self.name} has {self.schedule.num_timesteps} timesteps and its preset asks for "
                f"{self.preset.steps} steps."
            )
        object.__setattr__(self, "weights", self.weights or f"{self.name}.safetensors")
        _check_file_name(self.weights, ".safetensors")

    def to_json(self) -> dict[str, Any]:
        """The stage as ``model.json`` has it; the preset is stored apart."""
        return {
            "name": self.name,
            "kind": "efficient_unet",
            "config": _plain(self.config),
            "schedule": self.schedule.to_json(),
            "weights": self.weights,
        }

    @classmethod
    def from_json(cls, value: object, preset: StagePreset, where: str = "stage") -> StageSpec:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = _record(value, ("name", "kind", "config", "schedule", "weights"), where)
        _check_kind(data, "efficient_unet", where)
        try:
            schedule = Schedule.from_json(records.mapping(data["schedule"], f"{where}.schedule"))
        except InputError as error:
            raise ModelFormatError(f"{where}.schedule will not do: {error}") from error
        return cls(
            name=records.text(data["name"], f"{where}.name"),
            config=records.into(EfficientUNetConfig, data["config"], f"{where}.config"),
            schedule=schedule,
            preset=preset,
            weights=records.text(data["weights"], f"{where}.weights"),
        )


@dataclass(frozen=True)
class TextSpec:
    """The text encoder: its transformer's shape, and the files of its weights and its tokenizer.

    Raises:
        ModelFormatError: a file name is not a plain one.
    """

    config: TextTransformerConfig
    weights: str = "text.safetensors"
    tokenizer: str = "tokenizer.json"

    def __post_init__(self) -> None:
        _check_file_name(self.weights, ".safetensors")
        _check_file_name(self.tokenizer, ".json")

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "transformer",
            "config": _plain(self.config),
            "weights": self.weights,
            "tokenizer": self.tokenizer,
        }

    @classmethod
    def from_json(cls, value: object, where: str = "text_encoder") -> TextSpec:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = _record(value, ("kind", "config", "weights", "tokenizer"), where)
        _check_kind(data, "transformer", where)
        return cls(
            config=records.into(TextTransformerConfig, data["config"], f"{where}.config"),
            weights=records.text(data["weights"], f"{where}.weights"),
            tokenizer=records.text(data["tokenizer"], f"{where}.tokenizer"),
        )


@dataclass(frozen=True)
class ModelSpec:
    """A whole ``model.json``. ``files`` maps every file of the model to its sha256 in hexadecimal.

    A folder may hold a base stage, an upsampler alone (a part of a cascade), or both.

    Raises:
        ModelFormatError: the parts do not fit each other.
    """

    name: str
    family: str
    licence: str
    provenance: Mapping[str, Any]
    stages: tuple[StageSpec, ...]
    text: TextSpec | None
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_cascade(self.stages)
        _check_text(self.stages, self.text)
        names = self.file_names
        if len(set(names)) < len(names):
            raise ModelFormatError("Two parts of the model have the same file name.")

    @property
    def file_names(self) -> list[str]:
        """Every file the model is made of, beside model.json."""
        text = [self.text.weights, self.text.tokenizer] if self.text is not None else []
        return [*text, *(stage.weights for stage in self.stages)]

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that follow from what pictures depend on: weights, configurations, presets.

        The name, the licence and the provenance do not count.
        """
        everything = self.to_json()
        record = {key: everything[key] for key in ("text_encoder", "stages", "presets", "files")}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "family": self.family,
            "licence": self.licence,
            "provenance": dict(self.provenance),
            "text_encoder": None if self.text is None else self.text.to_json(),
            "stages": [stage.to_json() for stage in self.stages],
            "presets": {"default": {stage.name: _plain(stage.preset) for stage in self.stages}},
            "files": dict(self.files),
        }

    @classmethod
    def from_json(cls, value: object) -> ModelSpec:
        """The spec that ``to_json`` described.

        Raises:
            ModelFormatError: a newer format, or anything missing, unknown, mistyped or contradictory.
        """
        _check_format(records.mapping(value, "the file"))
        keys = (
            "format",
            "name",
            "family",
            "licence",
            "provenance",
            "text_encoder",
            "stages",
            "presets",
            "files",
        )
        data = _record(value, keys, "the file")
        presets = _presets(data["presets"])
        stages = [_stage(item, presets, f"stages[{i}]") for i, item in enumerate(_stage_list(data["stages"]))]
        spec = cls(
            name=records.text(data["name"], "name"),
            family=records.text(data["family"], "family"),
            licence=records.text(data["licence"], "licence"),
            provenance=records.mapping(data["provenance"], "provenance"),
            stages=tuple(stages),
            text=None if data["text_encoder"] is None else TextSpec.from_json(data["text_encoder"]),
            files=records.mapping(data["files"], "files"),
        )
        if set(presets) != {stage.name for stage in stages}:
            raise ModelFormatError("presets.default must have an entry for every stage and no other.")
        _check_files(spec)
        return spec


def read_spec(folder: Path | str) -> ModelSpec:
    """Read and check a model folder's ``model.json``; its other files are not looked at.

    Raises:
        ModelNotFound: there is no such folder.
        ModelFormatError: it holds no ``model.json``, or one that cannot be used.
    """
    path = Path(folder) / SPEC_FILE
    if not path.parent.is_dir():
        raise ModelNotFound(f"There is no model folder {folder}: check the path, or name a known model.")
    try:
        return ModelSpec.from_json(records.parse(path.read_bytes().decode("utf-8")))
    except FileNotFoundError as error:
        raise ModelFormatError(
            f"{folder} is not a model folder, or was not written to the end: it has no {SPEC_FILE}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{path} cannot be read: {error}.") from error
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} cannot be used: {error}") from error


def _check_cascade(stages: Sequence[StageSpec]) -> None:
    names = tuple(stage.name for stage in stages)
    if names not in (("base",), ("upsampler",), STAGE_NAMES):
        given = ", ".join(names) or "none"
        raise ModelFormatError(
            f"The stages must be a base, an upsampler, or one after the other, not: {given}."
        )
    for smaller, larger in pairwise(stages):
        if larger.config.image_size != UPSAMPLING * smaller.config.image_size:
            raise ModelFormatError(
                f"The {larger.name} makes pictures of {larger.config.image_size} pixels: after a "
                f"{smaller.name} of {smaller.config.image_size} it must make "
                f"{UPSAMPLING * smaller.config.image_size}."
            )


def _check_text(stages: Sequence[StageSpec], text: TextSpec | None) -> None:
    for stage in stages:
        width = stage.config.text_width
        if width and text is None:
            raise ModelFormatError(f"The stage {stage.name} reads text, and the model has no text encoder.")
        if width and text is not None and width != text.config.width:
            raise ModelFormatError(
                f"The stage {stage.name} reads text states {width} wide, "
                f"and the text encoder makes them {text.config.width} wide."
            )


def _check_file_name(name: str, suffix: str) -> None:
    # Only a plain name: a model folder must not reach files outside itself.
    if not _FILE_NAME.fullmatch(name) or not name.endswith(suffix) or name == SPEC_FILE:
        raise ModelFormatError(f"{name!r} is not a plain file name ending in {suffix}.")


def _check_files(spec: ModelSpec) -> None:
    if set(spec.files) != set(spec.file_names):
        differing = sorted(set(spec.files) ^ set(spec.file_names))
        raise ModelFormatError(
            f"files must list exactly the model's files; it differs in: {', '.join(differing)}."
        )
    for name, digest in spec.files.items():
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ModelFormatError(f"files has no sha256 in lower-case hexadecimal for {name}.")


def _check_format(data: Mapping[str, object]) -> None:
    version = data.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFormatError(f"format must be a whole number from 1 on, not {version!r}.")
    if version > FORMAT:
        raise ModelFormatError(
            f"it has format {version}, and this glide-edit reads format {FORMAT}: install a newer glide-edit."
        )


def _check_kind(data: Mapping[str, object], known: str, where: str) -> None:
    if data["kind"] != known:
        raise ModelFormatError(f"{where}.kind is {data['kind']!r}; this glide-edit knows {known!r} only.")


def _presets(value: object) -> dict[str, StagePreset]:
    default = _record(value, ("default",), "presets")["default"]
    stages = records.mapping(default, "presets.default")
    return {name: records.into(StagePreset, item, f"presets.default.{name}") for name, item in stages.items()}


def _stage_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ModelFormatError("stages must be a list.")
    return value


def _stage(value: object, presets: Mapping[str, StagePreset], where: str) -> StageSpec:
    name = records.text(records.mapping(value, where).get("name"), f"{where}.name")
    if name not in presets:
        raise ModelFormatError(f"presets.default lacks the stage {name}.")
    return StageSpec.from_json(value, presets[name], where)


def _record(value: object, keys: Sequence[str], where: str) -> dict[str, Any]:
    data = records.mapping(value, where)
    records.check_keys(data, keys, keys, where)
    return data


def _plain(config: Any) -> dict[str, Any]:
    """A dataclass as JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(asdict(config)))
