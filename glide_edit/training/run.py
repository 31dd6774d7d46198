"""One training run from its settings: data, networks, the loop, and what people look at meanwhile.

A run's folder holds ``checkpoint.safetensors`` (to go on from), ``log.jsonl``, ``loss.png``,
``samples/*.png`` and ``model/``, the model folder with the averaged weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import TrainingError
from glide_edit.models.folder import StageSpec, TextSpec, load_model, write_model
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.toybox import caption, sample_scene
from glide_edit.training.batches import BatchPlan
from glide_edit.training.checkpoint import Progress
from glide_edit.training.loop import Hooks, LoopOptions, Trainee, train
from glide_edit.training.pictures import loss_plot, sample_sheet
from glide_edit.training.sources import (
    FIRST_TRAINING_SEED,
    ImageFolder,
    RenderedToybox,
    Source,
    build_cache,
)
from glide_edit.training.views import Mixture
from glide_edit.training.weights import MasterWeights

StageName = Literal["base", "upsampler"]

BASE_CONFIG = EfficientUNetConfig(
    image_size=64,
    channels=(48, 96, 192),
    blocks=(1, 2, 2),
    attention=(False, False, True),
    text_width=192,
    known=True,
    drawing=True,
)
UPSAMPLER_CONFIG = EfficientUNetConfig(
    image_size=256,
    channels=(48, 96, 160),
    blocks=(1, 2, 2),
    attention=(False, False, False),
    patch=4,
    known=True,
    low_res=True,
)
CROP = 128
"""The upsampler has no attention, so it learns on crops of this size and works at any size."""

VOCABULARY = 512
CONTEXT = 40


@dataclass(frozen=True)
class TrainSettings:
    """What ``glide-edit train`` is told.

    ``data`` is "toybox" or a folder with ``metadata.jsonl``; with ``cache`` the toybox is rendered once into
    that folder (``cache_size`` pictures), without it on the fly. ``start`` is a model folder to begin with.
    """

    stage: StageName
    out: Path
    data: str = "toybox"
    cache: Path | None = None
    cache_size: int = 24576
    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 6e-4
    seed: int = 0
    start: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    network: EfficientUNetConfig | None = None
    checkpoint_seconds: float = 300.0
    sample_seconds: float = 600.0

    @property
    def config(self) -> EfficientUNetConfig:
        return self.network or (BASE_CONFIG if self.stage == "base" else UPSAMPLER_CONFIG)

    def recipe(self) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        return {
            "stage": self.stage,
            "data": self.data,
            "cache_size": self.cache_size if self.cache else None,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "network": json.loads(json.dumps(asdict(self.config))),
        }


@dataclass(frozen=True)
class TrainOutcome:
    """Where the model folder is and how far the run came."""

    model: Path
    progress: Progress
    finished: bool


def run(
    settings: TrainSettings,
    on_log: Callable[[dict[str, Any]], None] = lambda record: None,
    on_cache: Callable[[int, int], None] | None = None,
) -> TrainOutcome:
    """Train one stage, or go on training it; see ``TrainSettings``.

    Raises:
        TrainingError: no data, an impossible setting, or a checkpoint of another run in ``out``.
        InputError: an unknown device or precision.
    """
    if settings.batch_size < 1:
        raise TrainingError(f"The batch size must be at least 1, not {settings.batch_size}.")
    options = LoopOptions(
        minutes=settings.minutes,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        checkpoint_seconds=settings.checkpoint_seconds,
        sample_seconds=settings.sample_seconds,
    )
    runtime = choose_runtime(settings.device, settings.precision)
    apply(runtime)
    source = _source(settings, on_cache)
    settings.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    trainee, start = _trainee(settings, source)
    trainee = trainee.to(device=runtime.device, dtype=runtime.dtype, memory_format=torch.channels_last)
    crop = min(CROP, settings.config.image_size) if settings.stage == "upsampler" else None
    plan = BatchPlan([(source, 1.0)], settings.batch_size, Mixture(), settings.seed, crop)
    hooks = Hooks(
        on_log=on_log, on_sample=lambda progress: _look(settings, trainee, source, runtime, progress)
    )
    weights, progress = train(
        trainee, plan, options, settings.out, settings.recipe(), torch.device(runtime.device), hooks, start
    )
    with weights.averaged():
        _look(settings, trainee, source, runtime, progress)
    return TrainOutcome(_export(settings, trainee, weights, progress), progress, options.done(progress) >= 1)


def _source(settings: TrainSettings, on_cache: Callable[[int, int], None] | None) -> Source:
    size = settings.config.image_size
    if settings.data != "toybox":
        return ImageFolder(Path(settings.data), size)
    if settings.cache is None:
        return RenderedToybox(size)
    return build_cache(settings.cache, settings.cache_size, size, settings.seed, on_cache)


def _trainee(settings: TrainSettings, source: Source) -> tuple[Trainee, dict[str, Tensor] | None]:
    """Fresh networks, and the weights to start from where a model folder was given."""
    given = load_model(settings.start, choose_runtime("cpu", "float32")) if settings.start else None
    network = EfficientUNet(settings.config, Schedule.cosine())
    transformer = tokenizer = None
    if settings.config.text_width:
        if given is not None and given.text_encoder is not None:
            tokenizer = given.text_encoder.tokenizer
        else:
            tokenizer = _tokenizer(settings, source)
        config = TextTransformerConfig(
            tokenizer.vocabulary_size, width=settings.config.text_width, context=CONTEXT
        )
        transformer = TextTransformer(config)
    trainee = Trainee(network, transformer, tokenizer)
    if given is None:
        return trainee, None
    stage = next((stage for stage in given.stages if stage.name == settings.stage), None)
    if stage is None:
        raise TrainingError(f"{settings.start} has no stage {settings.stage} to start from.")
    tensors = {f"network.{name}": value for name, value in stage.network.named_parameters()}
    if transformer is not None and given.text_encoder is not None:
        own = given.text_encoder.transformer.named_parameters()
        tensors |= {f"transformer.{name}": value for name, value in own}
    return trainee, tensors


def _tokenizer(settings: TrainSettings, source: Source) -> BytePairTokenizer:
    """The run's tokenizer: kept beside its checkpoint, so that a continuation has the same."""
    path = settings.out / "tokenizer.json"
    if path.exists():
        return BytePairTokenizer.load(path, CONTEXT)
    tokenizer = BytePairTokenizer.train(_captions(source), VOCABULARY, CONTEXT)
    temporary = path.with_suffix(".tmp")
    tokenizer.save(temporary)
    temporary.replace(path)
    return tokenizer


def _captions(source: Source) -> Iterable[str]:
    if isinstance(source, ImageFolder):
        return source.captions()
    scenes = (sample_scene(FIRST_TRAINING_SEED + k) for k in range(600))
    return (caption(scene, k) for scene in scenes for k in range(8))


def _look(
    settings: TrainSettings, trainee: Trainee, source: Source, runtime: Runtime, progress: Progress
) -> None:
    folder = settings.out / "samples"
    folder.mkdir(exist_ok=True)
    sample_sheet(
        trainee, source, settings.seed, folder / f"{progress.step:07d}.png", torch.device(runtime.device)
    )
    loss_plot(settings.out / "log.jsonl", settings.out / "loss.png")


def _export(settings: TrainSettings, trainee: Trainee, weights: MasterWeights, progress: Progress) -> Path:
    """Write the averaged weights as a model folder of one stage."""
    averaged = weights.ema()

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value for name, value in averaged.items() if name.startswith(prefix)
        }

    preset = BASE_PRESET if settings.stage == "base" else UPSAMPLER_PRESET
    stage = StageSpec(
        name=settings.stage, config=trainee.network.config, schedule=trainee.schedule, preset=preset
    )
    text = None
    if trainee.transformer is not None:
        text = TextSpec(config=trainee.transformer.config)
    return write_model(
        settings.out / "model",
        name=settings.out.name,
        licence="",
        provenance={"training": {settings.stage: settings.recipe() | asdict(progress)}},
        stages=[(stage, part("network."))],
        text=(text, part("transformer."), trainee.tokenizer) if text and trainee.tokenizer else None,
    )


def shortened(settings: TrainSettings, **changes: Any) -> TrainSettings:
    """The same settings with some changed; for scripts."""
    return replace(settings, **changes)
