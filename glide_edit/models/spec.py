"""What a ``model.json`` says: the networks of a model, how to run them, and where they come from.

    {"format": 2, "name": "...", "family": "...", "licence": "MIT", "provenance": {...},
     "text_encoder": {"kind": "transformer", "config": {...}, "weights": "text.safetensors",
                      "tokenizer": "tokenizer.json"},
     "stages": [{"name": "base", "kind": "efficient_unet", "config": {...},
                 "schedule": {"name": "cosine", "num_timesteps": 1000}, "weights": "base.safetensors"}, ...],
     "clip": {"kind": "noised_clip", "config": {...}, "weights": "clip.safetensors",
              "tokenizer": "tokenizer.json"},
     "presets": {"default": {"base": {"steps": 20, ...}, ...}, ...},
     "files": {"base.safetensors": "<sha256>", ...}}

``text_encoder`` may be null, and a stage may have one of its own. One of the kind "frozen" has the weights of
a projection alone and null as its tokenizer: its ``config`` names the language model, which lies elsewhere.
``clip`` may be left out; its tokenizer is null where it is CLIP's own. Nothing else is optional, and what is
not named here is an error. Format 1 had no ``clip``, no encoders of single stages and no other preset than
"default"; it is read as well.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

from glide_edit.diffusion.schedule import Schedule, timesteps
from glide_edit.errors import InputError, ModelFormatError, ModelNotFound
from glide_edit.models import records
from glide_edit.models.presets import StagePreset
from glide_edit.networks.adm_unet import ADMUNetConfig
from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.networks.noised_clip import NoisedCLIPConfig
from glide_edit.text.frozen import FrozenTextConfig
from glide_edit.text.glide_transformer import GlideTextConfig
from glide_edit.text.transformer import TextTransformerConfig

FORMAT = 2
SPEC_FILE = "model.json"
STAGE_NAMES = ("base", "upsampler", "base_inpaint", "upsampler_inpaint")
"""The first two in the order in which they run; the others take their places in inpainting."""

UPSAMPLING = 4
"""How many times larger an upsampler's picture is than the one before it."""

NETWORKS = {"efficient_unet": EfficientUNetConfig, "adm_unet": ADMUNetConfig}
TEXT_ENCODERS = {
    "transformer": TextTransformerConfig,
    "glide_transformer": GlideTextConfig,
    "frozen": FrozenTextConfig,
}
"""The kinds that ``model.json`` may name, and the configurations they have."""

TextConfig = TextTransformerConfig | GlideTextConfig | FrozenTextConfig

DEFAULT = "default"
"""The preset that every model has."""

_TOKENIZERS = {TextTransformerConfig: "tokenizer.json", GlideTextConfig: "gpt2.tiktoken"}
_INPAINT = "_inpaint"
K = TypeVar("K")

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TextSpec:
    """A text encoder: its transformer's shape, and the files of its weights and its tokenizer.

    ``tokenizer`` None is the usual name; a frozen encoder has no such file.

    Raises:
        ModelFormatError: a file name is not a plain one, or a frozen encoder comes with a tokenizer.
    """

    config: TextConfig
    weights: str = "text.safetensors"
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        usual = _TOKENIZERS.get(type(self.config))
        if self.tokenizer is None:
            object.__setattr__(self, "tokenizer", usual)
        _check_file_name(self.weights, ".safetensors")
        if usual is not None and self.tokenizer is not None:
            _check_file_name(self.tokenizer, Path(usual).suffix)
        elif self.tokenizer is not None:
            raise ModelFormatError(
                "A frozen text encoder's tokenizer lies with its language model: give none."
            )

    @property
    def files(self) -> tuple[str, ...]:
        """Those in the model folder."""
        return (self.weights,) if self.tokenizer is None else (self.weights, self.tokenizer)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": _kind_of(self.config, TEXT_ENCODERS),
            "config": _plain(self.config),
            "weights": self.weights,
            "tokenizer": self.tokenizer,
        }

    @classmethod
    def from_json(cls, value: object, where: str = "text_encoder") -> TextSpec:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = _record(value, ("kind", "config", "weights", "tokenizer"), where)
        kind: type = _known_kind(data, TEXT_ENCODERS, where)
        tokenizer = data["tokenizer"]
        if tokenizer is not None or kind in _TOKENIZERS:
            tokenizer = records.text(tokenizer, f"{where}.tokenizer")
        return cls(
            config=cast("TextConfig", records.into(kind, data["config"], f"{where}.config")),
            weights=records.text(data["weights"], f"{where}.weights"),
            tokenizer=tokenizer,
        )


@dataclass(frozen=True)
class StageSpec:
    """One network: ``name`` is one of ``STAGE_NAMES``, ``weights`` a file (default: the name, .safetensors).

    Weights that had to stay below a size go on in the files ``more_weights``. ``preset`` is the default one,
    ``more_presets`` has others by name. ``text`` is the stage's own encoder, None where it reads the model's
    or no text.

    Raises:
        ModelFormatError: an unknown name, a file name that is not a plain one, or a network that cannot be
            this stage (an upsampler takes a low-resolution picture, a base network does not, and one for
            inpainting takes a known picture).
    """

    name: str
    config: EfficientUNetConfig | ADMUNetConfig
    schedule: Schedule
    preset: StagePreset
    weights: str = ""
    text: TextSpec | None = None
    more_presets: Mapping[str, StagePreset] = field(default_factory=dict)
    more_weights: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in STAGE_NAMES:
            raise ModelFormatError(f"Unknown stage {self.name!r}; known are {', '.join(STAGE_NAMES)}.")
        if self.config.low_res != (self.role == "upsampler"):
            need = "needs" if self.role == "upsampler" else "cannot have"
            raise ModelFormatError(
                f"The stage {self.name} {need} a low-resolution picture as input (low_res)."
            )
        if self.name.endswith(_INPAINT) and not self.config.known:
            raise ModelFormatError(f"The stage {self.name} needs a known picture as input (known).")
        for preset in self.presets.values():
            self._check_preset(preset)
        object.__setattr__(self, "weights", self.weights or f"{self.name}.safetensors")
        for name in self.weight_files:
            _check_file_name(name, ".safetensors")

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
    def weight_files(self) -> tuple[str, ...]:
        return (self.weights, *self.more_weights)

    @property
    def role(self) -> str:
        """ "base" or "upsampler"."""
        return self.name.removesuffix(_INPAINT)

    @property
    def label(self) -> str:
        return self.role

    @property
    def presets(self) -> dict[str, StagePreset]:
        """All of them by name."""
        return {DEFAULT: self.preset, **self.more_presets}

    def to_json(self) -> dict[str, Any]:
        """The stage as ``model.json`` has it; the presets are stored apart."""
        text = {} if self.text is None else {"text_encoder": self.text.to_json()}
        more = {"more_weights": list(self.more_weights)} if self.more_weights else {}
        return {
            "name": self.name,
            "kind": _kind_of(self.config, NETWORKS),
            "config": _plain(self.config),
            "schedule": self.schedule.to_json(),
            "weights": self.weights,
            **more,
            **text,
        }

    @classmethod
    def from_json(cls, value: object, presets: Mapping[str, StagePreset], where: str = "stage") -> StageSpec:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = _record(
            value,
            ("name", "kind", "config", "schedule", "weights"),
            where,
            optional=["text_encoder", "more_weights"],
        )
        try:
            schedule = Schedule.from_json(records.mapping(data["schedule"], f"{where}.schedule"))
        except InputError as error:
            raise ModelFormatError(f"{where}.schedule will not do: {error}") from error
        text = data.get("text_encoder")
        return cls(
            name=records.text(data["name"], f"{where}.name"),
            config=records.into(_known_kind(data, NETWORKS, where), data["config"], f"{where}.config"),
            schedule=schedule,
            preset=presets[DEFAULT],
            weights=records.text(data["weights"], f"{where}.weights"),
            text=None if text is None else TextSpec.from_json(text, f"{where}.text_encoder"),
            more_presets={name: preset for name, preset in presets.items() if name != DEFAULT},
            more_weights=records.texts(data.get("more_weights", []), f"{where}.more_weights"),
        )


@dataclass(frozen=True)
class ClipSpec:
    """A CLIP that judges noisy pictures. ``tokenizer`` is a file, None for CLIP's own vocabulary.

    Raises:
        ModelFormatError: a file name is not a plain one.
    """

    config: NoisedCLIPConfig
    weights: str = "clip.safetensors"
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        _check_file_name(self.weights, ".safetensors")
        if self.tokenizer is not None:
            _check_file_name(self.tokenizer, ".json")

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "noised_clip",
            "config": _plain(self.config),
            "weights": self.weights,
            "tokenizer": self.tokenizer,
        }

    @classmethod
    def from_json(cls, value: object, where: str = "clip") -> ClipSpec:
        """Raises ModelFormatError, naming the place, where the value is not what ``to_json`` makes."""
        data = _record(value, ("kind", "config", "weights", "tokenizer"), where)
        kind = _known_kind(data, {"noised_clip": NoisedCLIPConfig}, where)
        tokenizer = data["tokenizer"]
        return cls(
            config=records.into(kind, data["config"], f"{where}.config"),
            weights=records.text(data["weights"], f"{where}.weights"),
            tokenizer=None if tokenizer is None else records.text(tokenizer, f"{where}.tokenizer"),
        )


@dataclass(frozen=True)
class ModelSpec:
    """A whole ``model.json``. ``files`` maps every file of the model to its sha256 in hexadecimal.

    A folder may hold a base stage, an upsampler alone (a part of a cascade), or both; and beside or in place
    of each one that was trained to inpaint.

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
    clip: ClipSpec | None = None

    def __post_init__(self) -> None:
        _check_stages(self.stages)
        for inpainting in (False, True):
            _check_cascade(self.cascade(inpainting))
        for stage in self.stages:
            _check_text(stage, self.text_of(stage))
        weights = [name for name in self.file_names if name.endswith(".safetensors")]
        if len(set(weights)) < len(weights):
            raise ModelFormatError("Two parts of the model have the same file name.")

    def cascade(self, inpainting: bool) -> tuple[StageSpec, ...]:
        """The stages that run, in order; for inpainting those trained for it where there are any."""
        stages = {stage.name: stage for stage in self.stages}
        chosen = [
            (stages.get(f"{role}{_INPAINT}") if inpainting else None) or stages.get(role)
            for role in ("base", "upsampler")
        ]
        return tuple(stage for stage in chosen if stage is not None)

    def text_of(self, stage: StageSpec) -> TextSpec | None:
        """What encodes the prompt for this stage; None where it reads no text."""
        return (stage.text or self.text) if stage.config.text_width else None

    @property
    def capabilities(self) -> Any:
        from types import SimpleNamespace

        first, painting = self.cascade(False), self.cascade(True)
        return SimpleNamespace(
            drawing=bool(first) and first[0].config.drawing,
            inpaint=bool(painting) and painting[0].config.known,
            clip_score=self.clip is not None,
        )

    @property
    def preset_names(self) -> tuple[str, ...]:
        return tuple(self.stages[0].presets)

    @property
    def file_names(self) -> list[str]:
        """Every file the model is made of, beside model.json. Parts may share a tokenizer."""
        texts = [text for text in (self.text, *(stage.text for stage in self.stages)) if text is not None]
        weights = [text.weights for text in texts]
        weights += [name for stage in self.stages for name in stage.weight_files]
        tokenizers = [text.tokenizer for text in texts]
        if self.clip is not None:
            weights.append(self.clip.weights)
            tokenizers.append(self.clip.tokenizer)
        return [*dict.fromkeys(name for name in tokenizers if name is not None), *weights]

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that follow from what pictures depend on: weights, configurations, presets.

        The name, the licence and the provenance do not count.
        """
        everything = self.to_json()
        keys = ("text_encoder", "stages", "clip", "presets", "files")
        record = {key: everything.get(key) for key in keys}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        clip = {} if self.clip is None else {"clip": self.clip.to_json()}
        presets = {
            name: {stage.name: _plain(stage.presets[name]) for stage in self.stages}
            for name in self.preset_names
        }
        return {
            "format": FORMAT,
            "name": self.name,
            "family": self.family,
            "licence": self.licence,
            "provenance": dict(self.provenance),
            "text_encoder": None if self.text is None else self.text.to_json(),
            "stages": [stage.to_json() for stage in self.stages],
            **clip,
            "presets": presets,
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
        data = _record(value, keys, "the file", optional=["clip"])
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
            clip=None if data.get("clip") is None else ClipSpec.from_json(data["clip"]),
        )
        for name, settings in presets.items():
            if set(settings) != {stage.name for stage in stages}:
                raise ModelFormatError(f"presets.{name} must have an entry for every stage and no other.")
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


def _check_stages(stages: Sequence[StageSpec]) -> None:
    names = tuple(stage.name for stage in stages)
    if not names or names != tuple(name for name in STAGE_NAMES if name in names):
        given = ", ".join(names) or "none"
        raise ModelFormatError(
            f"The stages must be some of {', '.join(STAGE_NAMES)}, in this order, not: {given}."
        )
    if len({tuple(stage.presets) for stage in stages}) > 1:
        raise ModelFormatError("The stages must have presets of the same names.")


def _check_cascade(stages: Sequence[StageSpec]) -> None:
    for smaller, larger in pairwise(stages):
        if larger.config.image_size != UPSAMPLING * smaller.config.image_size:
            raise ModelFormatError(
                f"The {larger.name} makes pictures of {larger.config.image_size} pixels: after a "
                f"{smaller.name} of {smaller.config.image_size} it must make "
                f"{UPSAMPLING * smaller.config.image_size}."
            )


def _check_text(stage: StageSpec, text: TextSpec | None) -> None:
    width = stage.config.text_width
    if width and text is None:
        raise ModelFormatError(f"The stage {stage.name} reads text, and the model has no text encoder.")
    if text is not None and width != text.config.width:
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


def _kind_of(config: object, kinds: Mapping[str, type]) -> str:
    return next(name for name, kind in kinds.items() if type(config) is kind)


def _known_kind(data: Mapping[str, object], kinds: Mapping[str, type[K]], where: str) -> type[K]:
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in kinds:
        raise ModelFormatError(f"{where}.kind is {kind!r}; this glide-edit knows {' and '.join(kinds)}.")
    return kinds[kind]


def _presets(value: object) -> dict[str, dict[str, StagePreset]]:
    """Preset name -> stage name -> settings."""
    data = records.mapping(value, "presets")
    if DEFAULT not in data:
        raise ModelFormatError(f"presets lacks {DEFAULT}.")
    return {
        name: {
            stage: records.into(StagePreset, item, f"presets.{name}.{stage}")
            for stage, item in records.mapping(stages, f"presets.{name}").items()
        }
        for name, stages in data.items()
    }


def _stage_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ModelFormatError("stages must be a list.")
    return value


def _stage(value: object, presets: Mapping[str, Mapping[str, StagePreset]], where: str) -> StageSpec:
    name = records.text(records.mapping(value, where).get("name"), f"{where}.name")
    for preset, stages in presets.items():
        if name not in stages:
            raise ModelFormatError(f"presets.{preset} lacks the stage {name}.")
    return StageSpec.from_json(value, {preset: stages[name] for preset, stages in presets.items()}, where)


def _record(value: object, keys: Sequence[str], where: str, optional: Sequence[str] = ()) -> dict[str, Any]:
    data = records.mapping(value, where)
    records.check_keys(data, [*keys, *optional], keys, where)
    return data


def _plain(config: Any) -> dict[str, Any]:
    """A dataclass as JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(asdict(config)))
