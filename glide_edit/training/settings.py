"""The settings of a training run.

Importing this loads neither torch nor NumPy, so that command lines can list the options in no time.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from glide_edit.errors import InputError, TrainingError

if TYPE_CHECKING:
    from glide_edit.models.kinds import NetworkConfig
    from glide_edit.models.parts import StageSpec
    from glide_edit.models.spec import ModelSpec
    from glide_edit.networks.efficient_unet import EfficientUNetConfig
    from glide_edit.networks.noised_clip import NoisedCLIPConfig
    from glide_edit.networks.repair import RepairConfig
    from glide_edit.text.frozen import FrozenTextConfig
    from glide_edit.training.checkpoint import Progress

TOYBOX = "toybox"

Stage = Literal["base", "upsampler", "clip", "plain-clip", "distil", "repair"]

_BY_STAGE: Any = None


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How long and how fast. Exactly one of ``minutes`` (of training, over all restarts) and ``steps``.

    Raises:
        TrainingError: both or neither of them, or a number that makes no sense.
    """

    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 6e-4
    warmup_steps: int = 200
    decay_share: float = 0.35
    ema_decay: float = 0.999
    checkpoint_seconds: float = 300.0
    sample_seconds: float = 600.0
    log_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise TrainingError("Say how long to train: either --minutes or --steps.")
        if not 0 < (self.minutes or self.steps or 0) < math.inf:
            raise TrainingError("--minutes or --steps must be more than 0.")
        if not 0 < self.learning_rate < math.inf:
            raise TrainingError(f"The learning rate must be more than 0, not {self.learning_rate}.")
        if not (self.checkpoint_seconds >= 0 and self.sample_seconds >= 0):
            raise TrainingError("The times between checkpoints and between samples are 0 seconds or more.")
        if self.log_every < 1:
            raise TrainingError(f"The log needs a line every 1 or more steps, not {self.log_every}.")
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"The seed must be between 0 and {2**32 - 1}, not {self.seed}.")

    def done(self, progress: Progress) -> float:
        """The share of the run that is done, 0 ... 1 and beyond."""
        if self.steps is not None:
            return progress.step / self.steps
        assert self.minutes is not None
        return progress.seconds / (60 * self.minutes)

    def rate(self, progress: Progress) -> float:
        """Warm-up, a plateau, then down to 2 % along half a cosine over the last ``decay_share``."""
        warm = min(1.0, (progress.step + 1) / self.warmup_steps)
        late = min(1.0, max(0.0, (self.done(progress) - (1 - self.decay_share)) / self.decay_share))
        return self.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * late)))


@dataclass(frozen=True, kw_only=True)
class TrainSettings(LoopOptions):
    """A training run.

    ``stage`` is a U-Net of a cascade, GLIDE's noised CLIP, a plain CLIP for clean pictures, or "distil": a
    student of a stage of the model ``teacher`` that takes ``student_steps`` steps without guidance. ``out``
    is the run's folder; a later run with more ``minutes`` or ``steps`` continues. ``data`` is "toybox" or a
    folder with ``metadata.jsonl``. With ``cache`` the toybox is rendered once into it (``cache_size``
    pictures), without it on the fly. ``photos`` is a folder of captioned photographs (see ``read_photos``),
    shown in ``photo_share`` of the views, in half of these with toys put onto them; they are decoded into
    ``cache``, or without one into ``out``. ``text_encoder`` is the name or folder of a frozen language model
    to read captions with (see ``find_language``); its states are kept there too. ``start`` is a model folder
    or a known model's name whose weights and tokenizer to begin with; where it reads with another text
    encoder, only its U-Net is used. It has no effect where ``out`` holds a checkpoint to continue from. A
    student begins with its teacher's weights, or with those of the stage of ``start``. ``teacher_stage`` is
    the stage's name, ``teacher_steps`` how many steps the teacher takes, ``guidance`` its guidance; None for
    both is what its default preset says. ``student_times`` names the student's times, "995,749,249", in place
    of evenly spaced ones. ``preset`` names the preset of the finished model in which the student takes the
    stage's place.
    The defaults marked ``_BY_STAGE`` are in ``configs.STAGES``.

    Raises:
        TrainingError: an impossible setting.
    """

    stage: Stage
    out: Path
    data: str = TOYBOX
    cache: Path | None = None
    cache_size: int = 24576
    photos: Path | None = None
    photo_share: float = 0.25
    text_encoder: str | None = None
    batch_size: int = _BY_STAGE
    learning_rate: float = _BY_STAGE
    warmup_steps: int = _BY_STAGE
    ema_decay: float = _BY_STAGE
    network: NetworkConfig | NoisedCLIPConfig | RepairConfig = _BY_STAGE
    teacher: str | Path | None = None
    teacher_stage: str = "base"
    teacher_steps: int | None = None
    guidance: float | None = None
    student_steps: int = 4
    student_times: str | None = None
    preset: str = "fast"
    start: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        from glide_edit.training.configs import STAGES

        for name, value in STAGES[self.stage].items():
            if getattr(self, name) is _BY_STAGE:
                object.__setattr__(self, name, value)
        super().__post_init__()
        self._check_distillation()
        if self.is_clip:
            self._check_clip()
        elif self.batch_size < 1:
            raise TrainingError(f"The batch size must be at least 1, not {self.batch_size}.")
        elif self.network.image_size < 16:
            raise TrainingError(f"Pictures must be at least 16 pixels wide, not {self.network.image_size}.")
        if self.cache is not None and self.data != TOYBOX:
            raise TrainingError("A cache is for the toybox: leave it out with a folder of pictures.")
        if self.cache_size < 1:
            raise TrainingError(f"A cache holds at least 1 picture, not {self.cache_size}.")
        if self.photos is not None and self.data != TOYBOX:
            raise TrainingError("Photographs go with the toybox: leave them out with a folder of pictures.")
        if not 0 < self.photo_share < 1:
            raise TrainingError(f"The share of photographs is between 0 and 1, not {self.photo_share}.")
        if self.text_encoder is not None and not self.network.text_width:
            raise TrainingError(f"The stage {self.stage} reads no text: leave --text-encoder out.")

    def _check_distillation(self) -> None:
        if not self.is_distillation:
            if self.teacher is not None:
                raise TrainingError(f"The stage {self.stage} has no teacher: leave --teacher out.")
            return
        if self.teacher is None:
            raise TrainingError("Say which model to distil: --teacher MODEL.")
        if self.text_encoder is not None:
            raise TrainingError("A student reads with its teacher's text encoder: leave --text-encoder out.")
        steps = self.taught.preset.steps if self.teacher_steps is None else self.teacher_steps
        if self.student_times is not None:
            object.__setattr__(self, "student_steps", len(self._times()))
        if not 1 <= self.student_steps <= steps <= self.taught.schedule.num_timesteps:
            raise TrainingError(
                f"The student's steps must be between 1 and the teacher's {steps}, not {self.student_steps}."
            )
        if self.guidance is not None and not math.isfinite(self.guidance):
            raise TrainingError(f"The guidance must be a number, not {self.guidance}.")
        object.__setattr__(self, "network", self.taught.config)

    def _times(self) -> list[int]:
        """The student's times; raises TrainingError where they cannot be."""
        from glide_edit.diffusion.schedule import timesteps

        try:
            return timesteps(self.taught.schedule, self.respacing)
        except InputError as error:
            raise TrainingError(str(error)) from error

    @property
    def respacing(self) -> str:
        """The student's times, as ``diffusion.schedule.timesteps`` reads them."""
        return f"trailing{self.student_steps}" if self.student_times is None else f"at {self.student_times}"

    def _check_clip(self) -> None:
        if self.data != TOYBOX or self.photos is not None:
            raise TrainingError("A CLIP is trained on the toybox alone: leave --data and --photos out.")
        if self.text_encoder is not None:
            raise TrainingError("A CLIP learns to read by itself: leave --text-encoder out.")
        if self.batch_size < 2:
            raise TrainingError(f"A CLIP compares 2 or more pictures a step, not {self.batch_size}.")

    @property
    def is_clip(self) -> bool:
        return self.stage in ("clip", "plain-clip")

    @property
    def is_repair(self) -> bool:
        return self.stage == "repair"

    @property
    def is_distillation(self) -> bool:
        return self.stage == "distil"

    @cached_property
    def teacher_spec(self) -> ModelSpec:
        """The model with the stage that is distilled. Raises ModelError where ``teacher`` is none."""
        from glide_edit.models.registry import resolve
        from glide_edit.models.spec import read_spec

        assert self.teacher is not None
        return read_spec(resolve(self.teacher))

    @cached_property
    def taught(self) -> StageSpec:
        """The stage that is distilled.

        Raises:
            ModelError: ``teacher`` is not a model.
            TrainingError: it has no such stage.
        """
        stages = {stage.name: stage for stage in self.teacher_spec.stages}
        if self.teacher_stage not in stages:
            raise TrainingError(
                f"{self.teacher} has no stage {self.teacher_stage}: name one of {', '.join(stages)}."
            )
        return stages[self.teacher_stage]

    @property
    def unet(self) -> EfficientUNetConfig:
        """``network``, of a stage that is not a CLIP."""
        return cast("EfficientUNetConfig", self.network)

    @cached_property
    def language(self) -> tuple[Path, FrozenTextConfig] | None:
        """The frozen language model's folder and its entry in a model folder, or None where there is none.

        Raises:
            ModelError: it cannot be found or used.
        """
        from glide_edit.models.language import find_language, frozen_config

        if self.text_encoder is None:
            return None
        name, folder = find_language(self.text_encoder)
        return folder, frozen_config(name, folder, self.unet.text_width)

    def _distillation(self) -> dict[str, Any]:
        """What is distilled, and how."""
        return {
            "teacher": self.teacher_spec.identity,
            "teacher_stage": self.teacher_stage,
            "teacher_steps": self.teacher_steps or self.taught.preset.steps,
            "guidance": self.taught.preset.guidance if self.guidance is None else self.guidance,
            "student_times": self._times(),
        }

    def public_recipe(self) -> dict[str, Any]:
        """The recipe for a model that is passed on to others: the folders on this machine are not named."""
        photos = {} if self.photos is None else {"photos": self.photos.resolve().name}
        return self.recipe() | {"data": Path(self.data).name} | photos

    def recipe(self) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        clip = {"stage": "clip", "plain": self.stage == "plain-clip"}
        photos = {"photos": str(self.photos), "photo_share": self.photo_share}
        # A language model may be moved or renamed.
        language = None if self.language is None else asdict(replace(self.language[1], name=""))
        return {
            **(clip if self.is_clip else {"stage": self.stage, "data": self.data}),
            "cache_size": self.cache_size if self.cache else None,
            **(photos if self.photos else {}),
            **(self._distillation() if self.is_distillation else {}),
            **({"text_encoder": language} if language else {}),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "network": json.loads(json.dumps(asdict(cast("Any", self.network)))),
        }
