"""One training run from its settings: data, networks, the loop, and what people look at meanwhile.

A run's folder holds ``checkpoint.safetensors`` (to go on from), ``tokenizer.json``, ``log.jsonl``,
``loss.png``, ``samples/*.png`` and ``model/``, the model folder with the averaged weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from glide_edit import optional_dependencies
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import ModelFormatError, TrainingError
from glide_edit.models.folder import Model, load_model, write_model
from glide_edit.models.language import FOLDER as LANGUAGE_FOLDER
from glide_edit.models.language import find_language, frozen_config, open_language
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import apply, choose_runtime
from glide_edit.models.spec import StageSpec, TextSpec
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.encoder import TextNetwork
from glide_edit.text.frozen import FrozenText, FrozenTextConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.training import checkpoint
from glide_edit.training.batches import BatchPlan, workers_for
from glide_edit.training.cache import build_cache
from glide_edit.training.captions import CaptionStates, FewPhrasings, ReadingPlan
from glide_edit.training.checkpoint import Progress
from glide_edit.training.folder import ImageFolder
from glide_edit.training.log import LOG_NAME, loss_plot
from glide_edit.training.loop import Hooks, LoopOptions, train
from glide_edit.training.photos import (
    TOYS_MIXTURE,
    WHOLE_MIXTURE,
    Photo,
    PhotoCache,
    ToysOnPhotographs,
    WholePhotographs,
    read_photos,
)
from glide_edit.training.pictures import PROMPTS, sample_sheet
from glide_edit.training.sources import RenderedToybox, Source
from glide_edit.training.training_module import TrainingModule
from glide_edit.training.views import Mixture
from glide_edit.training.weights import under

StageName = Literal["base", "upsampler"]

BASE_CONFIG = EfficientUNetConfig(
    image_size=64,
    channels=(48, 96, 192),
    blocks=(1, 2, 2),
    attention=(False, True, True),
    text_width=192,
    positions=True,
    known=True,
    drawing=True,
)
UPSAMPLER_CONFIG = EfficientUNetConfig(
    image_size=256,
    channels=(64, 96, 128),
    blocks=(2, 2, 2),
    attention=(False, False, False),
    patch=4,
    known=True,
    low_res=True,
)
CROP = 128
"""The upsampler has no attention, so it learns on crops of this size and works at any size."""

VOCABULARY = 512
CONTEXT = 40

TOYBOX = "toybox"
TOKENIZER_NAME = "tokenizer.json"


@dataclass(frozen=True)
class TrainSettings:
    """What ``glide-edit train`` is told.

    ``data`` is "toybox" or a folder with ``metadata.jsonl``; with ``cache`` the toybox is rendered once into
    that folder (``cache_size`` pictures), without it on the fly. ``photos`` is a folder of captioned
    photographs (see ``read_photos``), which ``photo_share`` of the views show, half of these with toys put
    onto them; they are decoded into ``cache``, without one into ``out``. ``text_encoder`` is a frozen
    language model to read captions with, a name or a folder (see ``find_language``); what it says of them is
    kept there too. ``start`` is a model folder or a known model's name, whose weights to begin with; one that
    reads with anything else than the ``text_encoder`` asked for gives its U-Net alone, and what reads is made
    anew. It counts only where ``out`` holds no checkpoint to go on from. Exactly one of ``minutes`` and
    ``steps`` is given; a later call may give more of them, and the run goes on.

    Raises:
        TrainingError: an impossible setting.
    """

    stage: StageName
    out: Path
    data: str = TOYBOX
    cache: Path | None = None
    cache_size: int = 24576
    photos: Path | None = None
    photo_share: float = 0.25
    text_encoder: str | None = None
    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 6e-4
    seed: int = 0
    start: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"
    network: EfficientUNetConfig | None = None
    checkpoint_seconds: float = 300.0
    sample_seconds: float = 600.0
    log_every: int = 20

    def __post_init__(self) -> None:
        self.options()  # which checks its own
        if self.batch_size < 1:
            raise TrainingError(f"The batch size must be at least 1, not {self.batch_size}.")
        if self.config.image_size < 16:
            raise TrainingError(f"Pictures must be at least 16 pixels wide, not {self.config.image_size}.")
        if self.cache is not None and self.data != TOYBOX:
            raise TrainingError("A cache is for the toybox: leave it out with a folder of pictures.")
        if self.cache_size < 1:
            raise TrainingError(f"A cache holds at least 1 picture, not {self.cache_size}.")
        if self.photos is not None and self.data != TOYBOX:
            raise TrainingError("Photographs go with the toybox: leave them out with a folder of pictures.")
        if not 0 < self.photo_share < 1:
            raise TrainingError(f"The share of photographs is between 0 and 1, not {self.photo_share}.")
        if self.text_encoder is not None and not self.config.text_width:
            raise TrainingError(f"The stage {self.stage} reads no text: leave --text-encoder out.")

    @property
    def config(self) -> EfficientUNetConfig:
        return self.network or (BASE_CONFIG if self.stage == "base" else UPSAMPLER_CONFIG)

    @cached_property
    def language(self) -> tuple[Path, FrozenTextConfig] | None:
        """The frozen language model's folder and what a model folder says of it, None where there is none.

        Raises:
            ModelError: it cannot be found or used.
        """
        if self.text_encoder is None:
            return None
        name, folder = find_language(self.text_encoder)
        return folder, frozen_config(name, folder, self.config.text_width)

    def options(self) -> LoopOptions:
        return LoopOptions(
            minutes=self.minutes,
            steps=self.steps,
            learning_rate=self.learning_rate,
            seed=self.seed,
            checkpoint_seconds=self.checkpoint_seconds,
            sample_seconds=self.sample_seconds,
            log_every=self.log_every,
        )

    def recipe(self) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        photos = {"photos": str(self.photos), "photo_share": self.photo_share} if self.photos else {}
        # What it is, wherever it lies and whatever it is called there.
        language = {} if self.language is None else asdict(replace(self.language[1], name=""))
        return {
            "stage": self.stage,
            "data": self.data,
            "cache_size": self.cache_size if self.cache else None,
            **photos,
            **({"text_encoder": language} if language else {}),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "network": json.loads(json.dumps(asdict(self.config))),
        }


@dataclass(frozen=True)
class TrainOutcome:
    """Where the model folder is and how far the run came; not ``finished`` where it was asked to stop."""

    model: Path
    progress: Progress
    finished: bool


def run(
    settings: TrainSettings,
    on_log: Callable[[dict[str, Any]], None] = lambda record: None,
    on_cache: Callable[[int, int], None] | None = None,
) -> TrainOutcome:
    """Train one stage, or go on training it; see ``TrainSettings``.

    ``on_log`` gets the numbers of the log and ``done``, the share of the run that is behind; ``on_cache``
    (done, count) while a cache is rendered.

    Raises:
        TrainingError: unusable data, a network that cannot start from the weights given, a checkpoint of
            another run in ``out``, a folder that cannot be written, or a loss that is not a number.
        ModelError: ``start`` is no model folder, the language model cannot be used, the network cannot be of
            this stage, or the model folder cannot be written.
        InputError: an unknown device or precision, or transformers is not installed.
    """
    with failures_told(settings.out):
        return _run(settings, on_log, on_cache)


@contextmanager
def failures_told(out: Path) -> Iterator[None]:
    """Inside, errors of the disk and of the device's memory become a TrainingError."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{error.filename or out} cannot be used ({error.strerror or error}): "
            "put that right and repeat the command, which goes on from the last checkpoint."
        ) from error
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "The device has too little memory: begin anew in another --out folder with a smaller batch."
        ) from error


def _run(
    settings: TrainSettings,
    on_log: Callable[[dict[str, Any]], None],
    on_cache: Callable[[int, int], None] | None,
) -> TrainOutcome:
    runtime = choose_runtime(settings.device, settings.precision)
    apply(runtime)
    # What cannot work is said before any time is spent.
    if settings.language is not None:
        optional_dependencies.transformers()
    stage, options = _stage(settings), settings.options()
    resuming = checkpoint.exists(settings.out, settings.recipe())
    start = None
    if settings.start is not None and not resuming:
        start = load_model(resolve(settings.start), choose_runtime("cpu", "float32"))
    photos = () if settings.photos is None else read_photos(settings.photos)
    source, prompts = _source(settings, on_cache)
    if settings.language is not None:
        source = FewPhrasings(source)
    settings.out.mkdir(parents=True, exist_ok=True)
    sources = [(source, 1.0, Mixture()), *_photo_sources(settings, photos, source)]
    torch.manual_seed(settings.seed)
    captions = chain(source.captions(), (photo.text for photo in photos))
    trainee = _trainee(settings, captions, start, resuming, runtime.device)
    tensors = None if start is None else _start_tensors(settings, start, trainee)
    trainee = trainee.to(device=runtime.device, dtype=runtime.dtype)
    if runtime.channels_last:
        trainee = trainee.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    workers = workers_for(runtime.device)
    side = None if trainee.taggers is None else trainee.taggers.side
    batches = BatchPlan(sources, settings.batch_size, settings.seed, _crop(settings), side, workers)
    plan = _reading(settings, trainee, batches, runtime.device)

    def look(progress: Progress) -> None:
        folder = settings.out / "samples"
        folder.mkdir(exist_ok=True)
        path = folder / f"{progress.step:07d}.png"
        sample_sheet(trainee, source, prompts, settings.seed, path, runtime.device)
        loss_plot(settings.out / LOG_NAME, settings.out / "loss.png")

    weights, progress = train(
        trainee,
        plan,
        options,
        settings.out,
        settings.recipe(),
        runtime.device,
        Hooks(on_log=on_log, on_sample=look),
        tensors,
    )
    finished = options.done(progress) >= 1
    model = _export(settings, stage, trainee, weights.ema(), progress)
    if finished:
        with weights.averaged():
            look(progress)
    return TrainOutcome(model, progress, finished)


def _stage(settings: TrainSettings) -> StageSpec:
    if settings.config.low_res != (settings.stage == "upsampler"):
        need = "needs" if settings.stage == "upsampler" else "cannot have"
        raise ModelFormatError(
            f"The stage {settings.stage} {need} a low-resolution picture as input (low_res)."
        )
    preset = BASE_PRESET if settings.stage == "base" else UPSAMPLER_PRESET
    return StageSpec(settings.stage, settings.config, Schedule.cosine(), preset)


def _crop(settings: TrainSettings) -> int | None:
    """The largest crop up to ``CROP`` that the network and its low-resolution picture can take."""
    if settings.stage == "base":
        return None
    unit = math.lcm(settings.config.stride, 4)
    crop = min(CROP, settings.config.image_size) // unit * unit
    if crop == 0:
        raise TrainingError(f"The network's pictures must be at least {unit} pixels wide.")
    return crop


def _source(
    settings: TrainSettings, on_cache: Callable[[int, int], None] | None
) -> tuple[Source, tuple[str, ...]]:
    """The data, and the prompts of the sample sheets."""
    size = settings.config.image_size
    if settings.data != TOYBOX:
        folder = ImageFolder(Path(settings.data), size)
        return folder, tuple(islice(folder.captions(), len(PROMPTS)))
    if settings.cache is None:
        return RenderedToybox(size), PROMPTS
    return build_cache(settings.cache, settings.cache_size, size, settings.seed, on_cache), PROMPTS


def _photo_sources(
    settings: TrainSettings, photos: tuple[Photo, ...], toys: Source
) -> list[tuple[Source, float, Mixture]]:
    """What comes beside the toys, whose share is 1."""
    if not photos:
        return []
    cached = PhotoCache(photos, settings.config.image_size, settings.cache or settings.out)
    half = settings.photo_share / (1 - settings.photo_share) / 2
    return [
        (WholePhotographs(cached, toys), half, WHOLE_MIXTURE),
        (ToysOnPhotographs(cached, toys), half, TOYS_MIXTURE),
    ]


def _trainee(
    settings: TrainSettings,
    captions: Iterable[str],
    start: Model | None,
    resuming: bool,
    device: torch.device,
) -> TrainingModule:
    """The networks with fresh weights."""
    network = EfficientUNet(settings.config, Schedule.cosine())
    tagging = settings.data == TOYBOX and any(settings.config.attention)
    if not settings.config.text_width:
        return TrainingModule(network, None, None)
    if settings.language is not None:
        folder, frozen = settings.language
        language = open_language(folder, frozen, device)
        return TrainingModule(network, FrozenText(frozen, language.model), language.tokenizer, tagging)
    tokenizer = run_tokenizer(settings.out, captions, start, resuming)
    config = TextTransformerConfig(
        tokenizer.vocabulary_size, width=settings.config.text_width, context=CONTEXT
    )
    return TrainingModule(network, TextTransformer(config), tokenizer, tagging)


def _reading(
    settings: TrainSettings, trainee: TrainingModule, plan: BatchPlan, device: torch.device
) -> BatchPlan | ReadingPlan:
    """The plan, with what a frozen language model says of the captions where there is one."""
    text, tokenizer = trainee.transformer, trainee.tokenizer
    if not isinstance(text, FrozenText):
        return plan
    assert settings.language is not None
    assert text.language is not None
    assert tokenizer is not None
    _link_language(settings.out, *settings.language)
    folder = settings.cache or settings.out
    return ReadingPlan(plan, CaptionStates(folder, text.config, tokenizer, text.language, device))


def _link_language(out: Path, folder: Path, config: FrozenTextConfig) -> None:
    """Leave a link to the language model beside the model folder to come, which only names it."""
    link = out / LANGUAGE_FOLDER / config.name
    # Where links cannot be made, the model says when it is loaded where the language model should be put.
    with suppress(OSError):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve(), target_is_directory=True)


def run_tokenizer(
    out: Path, captions: Iterable[str], start: Model | None, resuming: bool
) -> BytePairTokenizer:
    """The run's tokenizer: made once and kept beside the checkpoint, which means nothing without it.

    That of ``start`` where it has a text encoder of our kind, else one learned from the captions.

    Raises:
        TrainingError: there is a checkpoint to go on from, and its tokenizer is missing or damaged.
    """
    path = out / TOKENIZER_NAME
    if resuming:
        try:
            return BytePairTokenizer.load(path, CONTEXT)
        except Exception as error:  # tokenizers raises this very class
            raise TrainingError(
                f"{path} is missing or damaged, and the checkpoint beside it needs it: "
                f"bring it back, or name another --out folder ({error})."
            ) from error
    encoder = None if start is None else start.text_encoder
    if encoder is not None and isinstance(encoder.tokenizer, BytePairTokenizer):
        tokenizer = encoder.tokenizer
    else:
        tokenizer = BytePairTokenizer.train(captions, VOCABULARY, CONTEXT)
    temporary = path.with_suffix(".tmp")
    tokenizer.save(temporary)
    temporary.replace(path)
    return tokenizer


def _start_tensors(settings: TrainSettings, start: Model, trainee: TrainingModule) -> dict[str, Tensor]:
    """The weights to begin with, by the trainee's names.

    Attention and positions that the network has and ``start`` lacks begin as they are made, which is without
    effect; and so do the layers that no model holds, and a language model's projection where ``start`` reads
    with something else.
    """
    given = next((stage.network for stage in start.stages if stage.name == settings.stage), None)
    if given is None:
        raise TrainingError(f"{settings.start} has no stage {settings.stage} to start from.")
    text = None if start.text_encoder is None else start.text_encoder.transformer
    if isinstance(text, FrozenText) and isinstance(trainee.transformer, TextTransformer):
        raise TrainingError(
            f"{settings.start} reads with the language model {text.config.name}: "
            f"say --text-encoder {text.config.name} to start from it."
        )
    alike = trainee.transformer is not None and _reads_alike(text, trainee.transformer)
    fits = alike or not isinstance(trainee.transformer, TextTransformer)
    if not isinstance(given, EfficientUNet) or not _extends(settings.config, given.config) or not fits:
        raise TrainingError(f"{settings.start} cannot be started from: its network is another one.")
    own, known = dict(trainee.network.named_parameters()), dict(given.named_parameters())
    tensors: dict[str, Tensor] = dict(trainee.named_parameters())
    tensors |= {f"network.{name}": known.get(name, value) for name, value in own.items()}
    if alike and isinstance(text, TextTransformer | FrozenText):
        tensors |= {f"transformer.{name}": value for name, value in text.named_parameters()}
    return tensors


def _reads_alike(text: TextNetwork | None, other: TextTransformer | FrozenText) -> bool:
    """Whether two text encoders are one but for their weights, and for what a language model is called."""
    if isinstance(text, FrozenText) and isinstance(other, FrozenText):
        return replace(text.config, name="") == replace(other.config, name="")
    return isinstance(text, TextTransformer) and text.config == other.config


def _extends(config: EfficientUNetConfig, start: EfficientUNetConfig) -> bool:
    """Whether the two are one network but for what ``config`` has beyond the other: attention at more levels,
    positions."""
    if len(config.attention) != len(start.attention) or start.positions > config.positions:
        return False
    if replace(start, attention=config.attention, positions=config.positions) != config:
        return False
    return all(new or not old for new, old in zip(config.attention, start.attention, strict=True))


def _export(
    settings: TrainSettings,
    stage: StageSpec,
    trainee: TrainingModule,
    averaged: dict[str, Tensor],
    progress: Progress,
) -> Path:
    """Write the averaged weights as a model folder of one stage."""
    text = None
    if trainee.transformer is not None:
        tokenizer = trainee.tokenizer if isinstance(trainee.tokenizer, BytePairTokenizer) else None
        text = (TextSpec(trainee.transformer.config), under(averaged, "transformer."), tokenizer)
    # A model is passed on: where on this machine its data lay is nobody's business.
    recipe = settings.recipe() | {"data": Path(settings.data).name}
    if settings.photos is not None:
        recipe["photos"] = settings.photos.resolve().name
    return write_model(
        settings.out / "model",
        name=settings.out.name,
        licence="",
        provenance={"training": {settings.stage: recipe | asdict(progress)}},
        stages=[(stage, under(averaged, "network."))],
        text=text,
    )
