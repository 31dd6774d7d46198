"""Runs of the U-Nets of a cascade, base networks with their text encoders and upsamplers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path

import torch
from torch import Tensor

from glide_edit import optional_dependencies
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import ModelFormatError, TrainingError
from glide_edit.models.folder import Model, write_model
from glide_edit.models.language import FOLDER as LANGUAGE_FOLDER
from glide_edit.models.language import open_language
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET
from glide_edit.models.runtime import Runtime
from glide_edit.models.spec import StageSpec, TextSpec
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.encoder import TextNetwork
from glide_edit.text.frozen import FrozenText, FrozenTextConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.training.batches import BatchPlan, workers_for
from glide_edit.training.caption_states import PHRASINGS, CaptionStates
from glide_edit.training.checkpoint import Progress
from glide_edit.training.configs import CONTEXT, CROP
from glide_edit.training.folder import ImageFolder
from glide_edit.training.photos import (
    TOYS_MIXTURE,
    WHOLE_MIXTURE,
    Photo,
    PhotoCache,
    ToysOnPhotographs,
    WholePhotographs,
    read_photos,
)
from glide_edit.training.pictures import PROMPTS, sample_sheet, sheet_path
from glide_edit.training.preparing import PreparedRun, prepare_tokenizer, toybox_source
from glide_edit.training.settings import TOYBOX, TrainSettings
from glide_edit.training.sources import Source
from glide_edit.training.training_module import TrainingModule
from glide_edit.training.views import Mixture
from glide_edit.training.weights import strip_prefix


def prepare_unet(
    settings: TrainSettings,
    runtime: Runtime,
    start: Model | None,
    resuming: bool,
    on_cache: Callable[[int, int], None] | None,
) -> PreparedRun:
    """The module, batches, samples and export of a U-Net's run."""
    # What cannot work is reported before any time is spent.
    if settings.language is not None:
        optional_dependencies.transformers()
    enlarges = settings.stage == "upsampler"
    if settings.unet.low_res != enlarges:
        need = "needs" if enlarges else "cannot have"
        raise ModelFormatError(
            f"The stage {settings.stage} {need} a low-resolution picture as input (low_res)."
        )
    preset = UPSAMPLER_PRESET if enlarges else BASE_PRESET
    stage = StageSpec(settings.stage, settings.unet, Schedule.cosine(), preset)
    data = training_data(settings, on_cache)
    torch.manual_seed(settings.seed)
    captions = chain(data.source.captions(), (photo.text for photo in data.photos))
    module = _module(settings, captions, start, resuming, runtime.device)
    weights = None if start is None else _start_weights(settings, start, module)
    module = module.to(device=runtime.device, dtype=runtime.dtype)
    if runtime.channels_last:
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def draw_samples(progress: Progress) -> None:
        path = sheet_path(settings.out, progress.step)
        sample_sheet(module, data.source, data.prompts, settings.seed, path, runtime.device)

    return PreparedRun(
        module,
        _plan(settings, module, data.sources, runtime.device),
        lambda averaged, progress: _export(settings, stage, module, averaged, progress),
        weights,
        draw_samples,
    )


@dataclass(frozen=True)
class TrainingData:
    """``sources`` are the shares of ``source`` and of the photographs; ``prompts`` those of sample sheets."""

    source: Source
    photos: Sequence[Photo]
    sources: Sequence[tuple[Source, float, Mixture]]
    prompts: tuple[str, ...]


def training_data(settings: TrainSettings, on_cache: Callable[[int, int], None] | None) -> TrainingData:
    """What a U-Net learns from. Makes the run's folder."""
    photos = () if settings.photos is None else read_photos(settings.photos)
    source, prompts = _source(settings, on_cache)
    settings.out.mkdir(parents=True, exist_ok=True)
    sources = [(source, 1.0, Mixture())]
    if photos:
        cached = PhotoCache(photos, settings.unet.image_size, settings.cache or settings.out)
        half = settings.photo_share / (1 - settings.photo_share) / 2
        sources.append((WholePhotographs(cached, source), half, WHOLE_MIXTURE))
        sources.append((ToysOnPhotographs(cached, source), half, TOYS_MIXTURE))
    return TrainingData(source, photos, sources, prompts)


def _source(
    settings: TrainSettings, on_cache: Callable[[int, int], None] | None
) -> tuple[Source, tuple[str, ...]]:
    """The data, and the prompts of the sample sheets."""
    if settings.data == TOYBOX:
        return toybox_source(settings, on_cache), PROMPTS
    folder = ImageFolder(Path(settings.data), settings.unet.image_size)
    return folder, tuple(islice(folder.captions(), len(PROMPTS)))


def _module(
    settings: TrainSettings,
    captions: Iterable[str],
    start: Model | None,
    resuming: bool,
    device: torch.device,
) -> TrainingModule:
    """The networks with fresh weights."""
    config = settings.unet
    network = EfficientUNet(config, Schedule.cosine())
    probes = settings.data == TOYBOX and any(config.attention)
    if not config.text_width:
        return TrainingModule(network, None, None)
    if settings.language is not None:
        folder, frozen = settings.language
        language = open_language(folder, frozen, device)
        return TrainingModule(network, FrozenText(frozen, language.model), language.tokenizer, probes)
    tokenizer = prepare_tokenizer(settings.out, captions, start, resuming)
    text = TextTransformerConfig(tokenizer.vocabulary_size, width=config.text_width, context=CONTEXT)
    return TrainingModule(network, TextTransformer(text), tokenizer, probes)


def _plan(
    settings: TrainSettings,
    module: TrainingModule,
    sources: Sequence[tuple[Source, float, Mixture]],
    device: torch.device,
) -> BatchPlan:
    plan = BatchPlan(
        sources,
        settings.batch_size,
        settings.seed,
        crop=crop_of(settings),
        tag_side=None if module.feature_probe is None else module.feature_probe.side,
        workers=workers_for(device),
    )
    text, tokenizer = module.transformer, module.tokenizer
    if not isinstance(text, FrozenText):
        return plan
    assert settings.language is not None
    assert text.language is not None
    assert tokenizer is not None
    _link_language(settings.out, *settings.language)
    states = CaptionStates(settings.cache or settings.out, text.config, tokenizer, text.language, device)
    return replace(plan, phrasings=PHRASINGS, caption_states=states, workers=0)


def crop_of(settings: TrainSettings) -> int | None:
    """The largest crop up to ``CROP`` that the network and its low-resolution picture can take."""
    if not settings.unet.low_res:
        return None
    unit = math.lcm(settings.unet.stride, 4)
    crop = min(CROP, settings.unet.image_size) // unit * unit
    if crop == 0:
        raise TrainingError(f"The network's pictures must be at least {unit} pixels wide.")
    return crop


def _link_language(out: Path, folder: Path, config: FrozenTextConfig) -> None:
    """Leave a link to the language model beside the future model folder, which holds only its name."""
    link = out / LANGUAGE_FOLDER / config.name
    # Where links cannot be made, loading the model says where to put the language model.
    with suppress(OSError):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve(), target_is_directory=True)


def _start_weights(settings: TrainSettings, start: Model, module: TrainingModule) -> dict[str, Tensor]:
    """The weights to begin with, by the module's names.

    What ``start`` lacks keeps its fresh weights: attention and positions, which have no effect at first, the
    probes, and a language model's projection where ``start`` reads with something else.
    """
    given = next((stage.network for stage in start.stages if stage.name == settings.stage), None)
    if given is None:
        raise TrainingError(f"{settings.start} has no stage {settings.stage} to start from.")
    text = None if start.text_encoder is None else start.text_encoder.transformer
    if isinstance(text, FrozenText) and isinstance(module.transformer, TextTransformer):
        raise TrainingError(
            f"{settings.start} reads with the language model {text.config.name}: "
            f"say --text-encoder {text.config.name} to start from it."
        )
    same_text = module.transformer is not None and _is_same_text(text, module.transformer)
    fits = same_text or not isinstance(module.transformer, TextTransformer)
    if not isinstance(given, EfficientUNet) or not _extends(settings.unet, given.config) or not fits:
        raise TrainingError(f"{settings.start} cannot be started from: its network is another one.")
    weights: dict[str, Tensor] = dict(module.named_parameters())
    known = {f"network.{name}": value for name, value in given.named_parameters()}
    if same_text and isinstance(text, TextTransformer | FrozenText):
        known |= {f"transformer.{name}": value for name, value in text.named_parameters()}
    return weights | {name: value for name, value in known.items() if name in weights}


def _is_same_text(text: TextNetwork | None, other: TextTransformer | FrozenText) -> bool:
    """Whether two text encoders differ in nothing but their weights and the name of a language model."""
    if isinstance(text, FrozenText) and isinstance(other, FrozenText):
        return replace(text.config, name="") == replace(other.config, name="")
    return isinstance(text, TextTransformer) and text.config == other.config


def _extends(config: EfficientUNetConfig, start: EfficientUNetConfig) -> bool:
    """Whether ``config`` is ``start``, perhaps with attention at more levels or with positions."""
    if len(config.attention) != len(start.attention) or start.positions > config.positions:
        return False
    if replace(start, attention=config.attention, positions=config.positions) != config:
        return False
    return all(new or not old for new, old in zip(config.attention, start.attention, strict=True))


def _export(
    settings: TrainSettings,
    stage: StageSpec,
    module: TrainingModule,
    averaged: dict[str, Tensor],
    progress: Progress,
) -> Path:
    """Write the averaged weights as a model folder of one stage."""
    text = None
    if module.transformer is not None:
        tokenizer = module.tokenizer if isinstance(module.tokenizer, BytePairTokenizer) else None
        text = (TextSpec(module.transformer.config), strip_prefix(averaged, "transformer."), tokenizer)
    return write_model(
        settings.out / "model",
        name=settings.out.name,
        licence="",
        provenance={"training": {settings.stage: settings.public_recipe() | asdict(progress)}},
        stages=[(stage, strip_prefix(averaged, "network."))],
        text=text,
    )
