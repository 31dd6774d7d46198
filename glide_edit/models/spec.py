"""What a ``model.json`` says: the networks of a model, how to run them, and where they come from.

    {"format": 2, "name": "...", "family": "...", "licence": "MIT", "provenance": {...},
     "text_encoder": {"kind": "transformer", "config": {...}, "weights": "text.safetensors",
                      "tokenizer": "tokenizer.json"},
     "stages": [{"name": "base", "kind": "efficient_unet", "config": {...},
                 "schedule": {"name": "cosine", "num_timesteps": 1000}, "weights": "base.safetensors"}, ...],
     "clip": {"kind": "noised_clip", "config": {...}, "weights": "clip.safetensors",
              "tokenizer": "tokenizer.json"},
     "presets": {"default": {"base": {"steps": 20, ...}, ...}, ...}, "usual_preset": "default",
     "files": {"base.safetensors": "<sha256>", ...}}

``text_encoder`` may be null, and a stage may have one of its own. One of the kind "frozen" has the weights of
a projection alone and null as its tokenizer: its ``config`` names the language model, which lies elsewhere.
``clip`` may be left out; its tokenizer is null where it is CLIP's own. A stage's ``inpaints`` names the stage
that it replaces where a part of the picture is known; it is left out where the stage's own name says so, as
"base_inpaint" does. A stage that was distilled from another has that one's name as ``distils``, and as
``in_presets`` the presets in which it takes its place. ``usual_preset`` is that of requests that leave it to
the model, and ``edit_preset`` that of those among them that repaint a part of a picture; left out they are
"default" and the usual one. ``backdrop`` is "filled" for a model that draws things better than what
lies behind them: an edit then fills that from the surroundings unless it is asked not to; left out it is
"drawn". Nothing else is optional, and what is not named here is an error.

Format 3 has stages of any names, number and whole factors between their sizes. It is written only for models
that format 2 cannot describe, which has the stages base and upsampler, 4 times as large, and those that
inpaint in their place. Format 1 had no ``clip``, no encoders of single stages and no other preset than
"default". All are read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from glide_edit.errors import ModelFormatError, ModelNotFound
from glide_edit.models import records
from glide_edit.models.capabilities import Capabilities
from glide_edit.models.parts import DEFAULT, SPEC_FILE, ClipSpec, StageSpec, TextSpec, implied_inpaints, plain
from glide_edit.models.presets import StagePreset

FORMAT = 3
_FORMAT_2_STAGES = ("base", "upsampler", "base_inpaint", "upsampler_inpaint")
"""In this order; the second is ``_FORMAT_2_FACTOR`` times as large as the first."""
_FORMAT_2_FACTOR = 4

DRAWN, FILLED = "drawn", "filled"
"""What a selection shows beside the thing that was drawn; see ``ModelSpec.backdrop``."""

LARGEST_FILE = 8 * 2**20
"""bytes of a ``model.json``: provenance is long at times."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelSpec:
    """A whole ``model.json``. ``files`` maps every file of the model to its sha256 in hexadecimal.

    ``stages`` are in the order in which they run, those that inpaint anywhere. A folder may hold a part of a
    cascade: no first stage, or a stage that inpaints without the one whose place it takes.

    Raises ModelFormatError if the parts do not fit each other.
    """

    name: str
    family: str
    licence: str
    provenance: Mapping[str, Any]
    stages: tuple[StageSpec, ...]
    text: TextSpec | None
    files: Mapping[str, str] = field(default_factory=dict)
    clip: ClipSpec | None = None
    usual_preset: str = DEFAULT
    edit_preset: str | None = None
    backdrop: str = DRAWN

    def __post_init__(self) -> None:
        _check_stages(self.stages)
        for name in (self.usual_preset, self.edit_preset):
            if name is not None and name not in self.preset_names:
                raise ModelFormatError(
                    f"There is no preset {name!r}; there are {', '.join(self.preset_names)}."
                )
        if self.backdrop not in (DRAWN, FILLED):
            raise ModelFormatError(f"backdrop must be {DRAWN} or {FILLED}, not {self.backdrop!r}.")
        for inpainting, preset in product((False, True), self.preset_names):
            _check_cascade(self.cascade(inpainting, preset))
        for stage in self.stages:
            _check_text(stage, self.text_of(stage))
        weights = [name for name in self.file_names if name.endswith(".safetensors")]
        if len(set(weights)) < len(weights):
            raise ModelFormatError("Two parts of the model have the same file name.")

    def cascade(self, inpainting: bool, preset: str = DEFAULT) -> tuple[StageSpec, ...]:
        """The stages that run, in order: for inpainting those trained for it, in a preset those distilled for
        it, where there are any."""
        full = [stage for stage in self.stages if stage.distils is None]
        chosen = {stage.label: stage for stage in full if stage.inpaints is None}
        if inpainting:
            chosen |= {stage.label: stage for stage in full if stage.inpaints is not None}
        students = {stage.distils: stage for stage in self.stages if preset in stage.in_presets}
        run = [students.get(stage.name, stage) for stage in chosen.values()]
        return tuple(sorted(run, key=lambda stage: stage.config.image_size))

    @property
    def capabilities(self) -> Capabilities:
        drawing, inpainting = self.cascade(False), self.cascade(True)
        first = inpainting[0].config
        return Capabilities(
            text=any(stage.config.text_width for stage in self.stages),
            inpaint=first.known and not first.low_res,
            drawing=any(stage.config.drawing for stage in drawing[:1]),
            clip_score=self.clip is not None,
            soft_masks=all(stage.config.soft_masks for stage in inpainting),
            instruction=any(stage.config.instruction for stage in self.stages),
            upscales=_factors(inpainting),
        )

    def text_of(self, stage: StageSpec) -> TextSpec | None:
        """What encodes the prompt for this stage; None where it reads no text."""
        return (stage.text or self.text) if stage.config.text_width else None

    def preset_of(self, *, repaints: bool) -> str:
        """The preset of requests that leave it to the model, which repaint a part of a picture or not."""
        return self.edit_preset or self.usual_preset if repaints else self.usual_preset

    @property
    def preset_names(self) -> tuple[str, ...]:
        return tuple(self.stages[0].presets)

    @property
    def file_names(self) -> list[str]:
        """Every file the model is made of, beside model.json. Parts may share a tokenizer."""
        # A student reads what its teacher does.
        texts = list(
            dict.fromkeys(
                text for text in (self.text, *(stage.text for stage in self.stages)) if text is not None
            )
        )
        encoders = [*texts, *([] if self.clip is None else [self.clip])]
        weights = [text.weights for text in texts]
        weights += [name for stage in self.stages for name in stage.weight_files]
        weights += [] if self.clip is None else [self.clip.weights]
        return [*dict.fromkeys(each.tokenizer for each in encoders if each.tokenizer is not None), *weights]

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that follow from what pictures depend on: weights, configurations, presets.

        The name, the licence and the provenance do not count.
        """
        everything = self.to_json()
        keys = ("text_encoder", "stages", "clip", "presets", "files")
        record = {key: everything.get(key) for key in keys}
        record |= {key: everything[key] for key in _MODEL_OPTIONAL if key != "clip" and key in everything}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def format(self) -> int:
        """The oldest format, 2 or later, that can describe the model."""
        names = [stage.name for stage in self.stages]
        fits = names == [name for name in _FORMAT_2_STAGES if name in names] and all(
            stage.inpaints == implied_inpaints(stage.name)
            and stage.config.low_res == (stage.label == _FORMAT_2_STAGES[1])
            for stage in self.stages
        )
        factors = {*_factors(self.cascade(False)), *_factors(self.cascade(True))}
        return 2 if fits and factors <= {_FORMAT_2_FACTOR} else 3

    def to_json(self) -> dict[str, Any]:
        clip = {} if self.clip is None else {"clip": self.clip.to_json()}
        presets = {
            name: {stage.name: plain(stage.presets[name]) for stage in self.stages}
            for name in self.preset_names
        }
        return {
            "format": self.format,
            "name": self.name,
            "family": self.family,
            "licence": self.licence,
            "provenance": dict(self.provenance),
            "text_encoder": None if self.text is None else self.text.to_json(),
            "stages": [stage.to_json() for stage in self.stages],
            **clip,
            "presets": presets,
            **({} if self.usual_preset == DEFAULT else {"usual_preset": self.usual_preset}),
            **({} if self.edit_preset is None else {"edit_preset": self.edit_preset}),
            **({} if self.backdrop == DRAWN else {"backdrop": self.backdrop}),
            "files": dict(self.files),
        }

    @classmethod
    def from_json(cls, value: object) -> ModelSpec:
        """The spec that ``to_json`` described.

        Raises:
            ModelFormatError: a newer format, or anything missing, unknown, mistyped or contradictory.
        """
        version = _read_format(records.mapping(value, "the file"))
        data = records.fields(value, "", _MODEL, _MODEL_OPTIONAL)
        presets = _presets(data["presets"])
        stages = tuple(_stage(item, presets, f"stages[{i}]") for i, item in enumerate(data["stages"]))
        spec = cls(
            name=data["name"],
            family=data["family"],
            licence=data["licence"],
            provenance=data["provenance"],
            stages=stages,
            text=data["text_encoder"],
            files=data["files"],
            clip=data.get("clip"),
            usual_preset=data.get("usual_preset", DEFAULT),
            edit_preset=data.get("edit_preset"),
            backdrop=data.get("backdrop", DRAWN),
        )
        for name, settings in presets.items():
            if set(settings) != {stage.name for stage in stages}:
                raise ModelFormatError(f"presets.{name} must have an entry for every stage and no other.")
        if version < spec.format:
            known = ", ".join(_FORMAT_2_STAGES)
            raise ModelFormatError(
                f"it has format {version}, whose stages are {known}, in this order, and an "
                f"upsampler {_FORMAT_2_FACTOR} times as large as its base: others need format {FORMAT}."
            )
        _check_files(spec)
        return spec


_MODEL: records.Fields = {
    "format": records.anything,
    "name": records.text,
    "family": records.text,
    "licence": records.text,
    "provenance": records.mapping,
    "text_encoder": records.optional(TextSpec.from_json),
    "stages": records.values,
    "presets": records.mapping,
    "files": records.mapping,
}
_MODEL_OPTIONAL: records.Fields = {
    "clip": records.optional(ClipSpec.from_json),
    "usual_preset": records.text,
    "edit_preset": records.text,
    "backdrop": records.text,
}
"""What each object must hold, and how its values are read."""


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
        if path.stat().st_size > LARGEST_FILE:
            raise ModelFormatError(
                f"it is larger than {LARGEST_FILE >> 20} MB: it is no description of a model."
            )
        return ModelSpec.from_json(records.parse(path.read_bytes().decode("utf-8")))
    except FileNotFoundError as error:
        raise ModelFormatError(
            f"{folder} is not a model folder, or was not written to the end: it has no {SPEC_FILE}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{path} cannot be read: {error}.") from error
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} cannot be used: {error}") from error


def _check_stages(stages: tuple[StageSpec, ...]) -> None:
    names = [stage.name for stage in stages]
    full = [stage for stage in stages if stage.distils is None]
    sizes = [stage.config.image_size for stage in full if stage.inpaints is None]
    replaced = [stage.inpaints for stage in full if stage.inpaints is not None]
    if not stages or len(set(names)) < len(names) or sizes != sorted(sizes):
        raise ModelFormatError(
            "The stages must be one or more, in the order in which they run and each with a name of its own, "
            f"not: {', '.join(names) or 'none'}."
        )
    if len(set(replaced)) < len(replaced):
        raise ModelFormatError(f"Two stages take the same place in inpainting: {', '.join(names)}.")
    if len({tuple(stage.presets) for stage in stages}) > 1:
        raise ModelFormatError("The stages must have presets of the same names.")
    _check_students(stages)


def _check_students(stages: tuple[StageSpec, ...]) -> None:
    full = {stage.name: stage.config for stage in stages if stage.distils is None}
    places = [(stage.distils, preset) for stage in stages for preset in stage.in_presets]
    if len(set(places)) < len(places):
        raise ModelFormatError("Two stages take the same place in a preset.")
    for student in stages:
        if student.distils is None:
            continue
        taught = full.get(student.distils)
        if taught is None:
            raise ModelFormatError(f"The stage {student.name} distils {student.distils}, which is not there.")
        if any(getattr(student.config, name) != getattr(taught, name) for name in _OF_A_PLACE):
            raise ModelFormatError(f"The stage {student.name} takes other inputs than {student.distils}.")


_OF_A_PLACE = ("image_size", "text_width", "known", "drawing", "low_res", "soft_masks", "instruction")
"""What a student has in common with the stage whose place it takes."""


def _check_cascade(stages: tuple[StageSpec, ...]) -> None:
    if len(stages) > 1 and stages[0].config.low_res:
        raise ModelFormatError(
            f"The stage {stages[0].name} cannot have a low-resolution picture as input (low_res)."
        )
    for smaller, larger in pairwise(stages):
        if not larger.config.low_res:
            raise ModelFormatError(
                f"The stage {larger.name} needs a low-resolution picture as input (low_res)."
            )
        factor, rest = divmod(larger.config.image_size, smaller.config.image_size)
        if factor < 2 or rest:
            raise ModelFormatError(
                f"The {larger.name} makes pictures of {larger.config.image_size} pixels: after a "
                f"{smaller.name} of {smaller.config.image_size} it must make a whole multiple of that, "
                "2 times as large or more."
            )


def _factors(stages: tuple[StageSpec, ...]) -> tuple[int, ...]:
    """How many times as large as the stage before it each stage is."""
    return tuple(after.config.image_size // before.config.image_size for before, after in pairwise(stages))


def _check_text(stage: StageSpec, text: TextSpec | None) -> None:
    width = stage.config.text_width
    if width and text is None:
        raise ModelFormatError(f"The stage {stage.name} reads text, and the model has no text encoder.")
    if text is not None and width != text.config.width:
        raise ModelFormatError(
            f"The stage {stage.name} reads text states {width} wide, "
            f"and the text encoder makes them {text.config.width} wide."
        )


def _check_files(spec: ModelSpec) -> None:
    if differing := sorted(set(spec.files) ^ set(spec.file_names)):
        raise ModelFormatError(
            f"files must list exactly the model's files; it differs in: {', '.join(differing)}."
        )
    for name, digest in spec.files.items():
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ModelFormatError(f"files has no sha256 in lower-case hexadecimal for {name}.")


def _read_format(data: Mapping[str, object]) -> int:
    version = data.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFormatError(f"format must be a whole number from 1 on, not {version!r}.")
    if version > FORMAT:
        raise ModelFormatError(
            f"it has format {version}, and this glide-edit reads format {FORMAT}: install a newer glide-edit."
        )
    return version


def _presets(data: Mapping[str, object]) -> dict[str, dict[str, StagePreset]]:
    """Preset name -> stage name -> settings."""
    if DEFAULT not in data:
        raise ModelFormatError(f"presets lacks {DEFAULT}.")
    return {
        name: {
            stage: records.into(StagePreset, item, f"presets.{name}.{stage}")
            for stage, item in records.mapping(stages, f"presets.{name}").items()
        }
        for name, stages in data.items()
    }


def _stage(value: object, presets: Mapping[str, Mapping[str, StagePreset]], where: str) -> StageSpec:
    name = records.text(records.mapping(value, where).get("name"), f"{where}.name")
    for preset, stages in presets.items():
        if name not in stages:
            raise ModelFormatError(f"presets.{preset} lacks the stage {name}.")
    return StageSpec.from_json(value, {preset: stages[name] for preset, stages in presets.items()}, where)
