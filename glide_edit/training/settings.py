"""The settings of a training run: of a U-Net, or of a CLIP.

Importing this loads neither torch nor NumPy, so that command lines can list the options in no time.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glide_edit.errors import TrainingError

if TYPE_CHECKING:
    from glide_edit.networks.efficient_unet import EfficientUNetConfig
    from glide_edit.networks.noised_clip import NoisedCLIPConfig
    from glide_edit.text.frozen import FrozenTextConfig
    from glide_edit.training.checkpoint import Progress

TOYBOX = "toybox"


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
class RunSettings(LoopOptions):
    """What runs of all networks are told.

    ``out`` is the run's folder. With ``cache`` the toybox is rendered once into that folder (``cache_size``
    pictures), without it on the fly. ``start`` is a model folder or a known model's name whose weights and
    tokenizer to begin with; it has no effect where ``out`` holds a checkpoint to continue from. A later run
    with more ``minutes`` or ``steps`` continues.
    """

    out: Path
    cache: Path | None = None
    cache_size: int = 24576
    batch_size: int = 32
    start: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cache_size < 1:
            raise TrainingError(f"A cache holds at least 1 picture, not {self.cache_size}.")

    def _recipe(
        self, kind: dict[str, Any], config: EfficientUNetConfig | NoisedCLIPConfig, **data: Any
    ) -> dict[str, Any]:
        return {
            **kind,
            "cache_size": self.cache_size if self.cache else None,
            **data,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "network": json.loads(json.dumps(asdict(config))),
        }


@dataclass(frozen=True, kw_only=True)
class TrainSettings(RunSettings):
    """A run of a U-Net.

    ``data`` is "toybox" or a folder with ``metadata.jsonl``. ``photos`` is a folder of captioned photographs
    (see ``read_photos``), shown in ``photo_share`` of the views, in half of these with toys put onto them;
    they are decoded into ``cache``, or without one into ``out``. ``text_encoder`` is the name or folder of a
    frozen language model to read captions with (see ``find_language``); its states are kept there too. Where
    ``start`` reads with another text encoder, only its U-Net is used. ``network`` is ``configs.BASE_CONFIG``
    or ``configs.UPSAMPLER_CONFIG`` unless another is given.

    Raises:
        TrainingError: an impossible setting.
    """

    stage: Literal["base", "upsampler"]
    data: str = TOYBOX
    photos: Path | None = None
    photo_share: float = 0.25
    text_encoder: str | None = None
    network: EfficientUNetConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1:
            raise TrainingError(f"The batch size must be at least 1, not {self.batch_size}.")
        if self.config.image_size < 16:
            raise TrainingError(f"Pictures must be at least 16 pixels wide, not {self.config.image_size}.")
        if self.cache is not None and self.data != TOYBOX:
            raise TrainingError("A cache is for the toybox: leave it out with a folder of pictures.")
        if self.photos is not None and self.data != TOYBOX:
            raise TrainingError("Photographs go with the toybox: leave them out with a folder of pictures.")
        if not 0 < self.photo_share < 1:
            raise TrainingError(f"The share of photographs is between 0 and 1, not {self.photo_share}.")
        if self.text_encoder is not None and not self.config.text_width:
            raise TrainingError(f"The stage {self.stage} reads no text: leave --text-encoder out.")

    @property
    def config(self) -> EfficientUNetConfig:
        from glide_edit.training import configs

        return self.network or (configs.BASE_CONFIG if self.stage == "base" else configs.UPSAMPLER_CONFIG)

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
        return folder, frozen_config(name, folder, self.config.text_width)

    def recipe(self) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        data: dict[str, Any] = {}
        if self.photos:
            data |= {"photos": str(self.photos), "photo_share": self.photo_share}
        if self.language is not None:
            # A language model may be moved or renamed.
            data["text_encoder"] = asdict(replace(self.language[1], name=""))
        return self._recipe({"stage": self.stage, "data": self.data}, self.config, **data)


@dataclass(frozen=True, kw_only=True)
class ClipSettings(RunSettings):
    """A run of a CLIP. ``plain`` shows it clean pictures only.

    ``network`` is ``configs.CLIP_CONFIG`` or ``configs.PLAIN_CLIP_CONFIG`` unless another is given; its
    vocabulary becomes the tokenizer's, and its logit scale is learned.

    Raises:
        TrainingError: an impossible setting.
    """

    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 60
    ema_decay: float = 0.995
    plain: bool = False
    network: NoisedCLIPConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 2:
            raise TrainingError(f"A CLIP compares 2 or more pictures a step, not {self.batch_size}.")

    @property
    def config(self) -> NoisedCLIPConfig:
        from glide_edit.training import configs

        return self.network or (configs.PLAIN_CLIP_CONFIG if self.plain else configs.CLIP_CONFIG)

    def recipe(self) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        return self._recipe({"stage": "clip", "plain": self.plain}, self.config)
