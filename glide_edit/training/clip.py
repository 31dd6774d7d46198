"""Training of a CLIP on the toybox: GLIDE's noised one (arXiv 2112.10741, section 2.4), or a plain one.

Pictures and captions of a batch are told apart from each other (Radford et al. 2021), pictures seen as the
diffusion model sees them, at a random time. Each picture also has a caption that is false in one thing
(``altered``), since batches of chance captions hardly ever ask which of two toys is the red one.

A run's folder holds ``checkpoint.safetensors``, ``tokenizer.json``, ``log.jsonl``, ``loss.png`` and
``clip/``, the CLIP's folder with the averaged weights: see ``models.clip_folder``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import TrainingError
from glide_edit.models.clip_folder import write_clip
from glide_edit.models.folder import load_model
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import apply, choose_runtime
from glide_edit.models.spec import ClipSpec
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.training import checkpoint
from glide_edit.training.altered import altered
from glide_edit.training.batches import made_ahead, workers_for
from glide_edit.training.cache import build_cache
from glide_edit.training.checkpoint import Progress
from glide_edit.training.log import LOG_NAME, loss_plot
from glide_edit.training.loop import Hooks, LoopOptions, train
from glide_edit.training.losses import stratified_times
from glide_edit.training.meanings import Meanings, TextProbe, meanings_of
from glide_edit.training.run import CONTEXT, TOKENIZER_NAME, TrainOutcome, failures_told, run_tokenizer
from glide_edit.training.sources import RenderedToybox, Source
from glide_edit.training.tags import TAGS, tagging_loss, tags_of
from glide_edit.training.training_module import Learner
from glide_edit.training.weights import under

CLIP_CONFIG = NoisedCLIPConfig(
    patch=8,
    image_width=192,
    image_layers=4,
    image_heads=6,
    context=CONTEXT,
    text_width=160,
    text_layers=3,
    text_heads=5,
    embedding_width=128,
)
"""What the noised CLIP of the toybox is; its vocabulary is the tokenizer's."""

PLAIN_CONFIG = replace(
    CLIP_CONFIG, image_width=128, image_layers=3, image_heads=4, text_width=128, text_layers=2, text_heads=4
)
"""A smaller one for clean pictures, which are easier."""

TAGS_WEIGHT = 0.5
"""How much what the patches say counts beside captions and pictures that match."""

MEANINGS_WEIGHT = 0.2
"""How much what the words of true captions say counts beside that."""

FIRST_SCALE, LARGEST_SCALE = 10.0, 100.0
"""Where the learned logit scale begins, and where it is held so that training stays stable."""


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """``image`` (B, 3, S, S), clean, in [-1, 1]; a true and a false caption for each picture.

    ``tags`` (B, len(TAGS), S/patch, S/patch) and ``meanings`` are what is where and what words speak of, as
    ``tags_of`` and ``meanings_of`` give it.
    """

    step: int
    image: Tensor
    captions: tuple[str, ...]
    altered: tuple[str, ...]
    tags: Tensor
    meanings: tuple[Meanings, ...]

    def to(self, device: torch.device) -> ClipBatch:
        return replace(self, image=self.image.to(device), tags=self.tags.to(device))


@dataclass(frozen=True)
class ClipPlan:
    """Batches of a source of toybox pictures: a function of (seed, step) alone.

    ``patch`` is the side of a CLIP's patches in pixels; ``workers`` is as in ``BatchPlan``.
    """

    source: Source
    batch_size: int
    seed: int
    patch: int = CLIP_CONFIG.patch
    workers: int = 0

    def make(self, step: int) -> ClipBatch:
        rng = np.random.default_rng([self.seed, step])
        items = [self.source.draw(rng) for _ in range(self.batch_size)]
        captions = tuple(item.caption(int(rng.integers(2**31))) for item in items)
        return ClipBatch(
            step=step,
            image=as_pictures([item.image for item in items]),
            captions=captions,
            altered=tuple(altered(caption, rng).caption for caption in captions),
            tags=torch.stack([tags_of(item, item.image.shape[0] // self.patch) for item in items]),
            meanings=tuple(meanings_of(item) for item in items),
        )

    def stream(self, first_step: int) -> Generator[ClipBatch, None, None]:
        return made_ahead(self.make, first_step, self.workers)


class ClipLearner(Learner[ClipBatch]):
    """A CLIP and its logit scale, which training finds. A ``plain`` one sees pictures at t = 0 only.

    Captions alone teach a small transformer slowly what things look like, and which words belong together. So
    each patch also has to say what is in it (``TAGS``) and each word what it means (``TextProbe``), by
    layers that are thrown away afterwards.
    """

    def __init__(self, clip: NoisedCLIP, tokenizer: BytePairTokenizer, plain: bool) -> None:
        super().__init__()
        self.clip = clip
        self.tokenizer = tokenizer
        self.plain = plain
        self.schedule = Schedule.cosine(clip.config.timesteps)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        self.tagger = nn.Linear(clip.config.image_width, len(TAGS))
        self.reader = TextProbe(clip.config.text_width, tokenizer)

    def loss(self, batch: ClipBatch, generator: torch.Generator) -> Tensor:
        """Symmetric cross-entropy of the batch, where false captions are wrong answers for every picture, and
        what patches and words say wrongly."""
        count, device = len(batch.captions), batch.image.device
        t = self._times(count, generator).to(device)
        eps = torch.randn(batch.image.shape, generator=generator).to(device)
        states = self.clip.image.tokens(self.schedule.add_noise(batch.image, eps, t), t)
        pictures = F.normalize(self.clip.image.summary(states), dim=-1)
        tokens = self.tokenizer.encode([*batch.captions, *batch.altered])
        words = self.clip.text.states(tokens.ids.to(device))
        texts = F.normalize(self.clip.text.summary(words, tokens.token_mask.sum(1).to(device)), dim=-1)
        scale = self.log_scale.float().clamp(max=math.log(LARGEST_SCALE)).exp()
        logits = scale * pictures @ texts.T
        right = torch.arange(count, device=device)
        matching = (F.cross_entropy(logits, right) + F.cross_entropy(logits[:, :count].T, right)) / 2
        said = self.tagger(states[:, 1:].to(self.tagger.weight.dtype)).transpose(1, 2)
        tagging = tagging_loss(said.unflatten(2, batch.tags.shape[2:]), batch.tags)
        own = words[:count].to(self.reader.layer.weight.dtype)
        reading = self.reader.loss(own, tokens.ids[:count], batch.meanings)
        return matching + TAGS_WEIGHT * tagging + MEANINGS_WEIGHT * reading

    def _times(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) times, denser where there is less noise: where there is most, little can be learned."""
        last = self.schedule.num_timesteps - 1
        times = stratified_times(count, self.schedule.num_timesteps, generator)
        return torch.zeros(count) if self.plain else last * (times / last) ** 1.5


@dataclass(frozen=True)
class ClipSettings:
    """What to train and how long; see ``TrainSettings`` for what both have.

    ``start`` is a model whose tokenizer to read by, and whose CLIP to begin with where it has one of the same
    shape. ``plain``
    shows clean pictures only. ``network`` is ``CLIP_CONFIG`` or ``PLAIN_CONFIG`` unless another is given;
    its vocabulary is made the tokenizer's, and its logit scale is learned.

    Raises:
        TrainingError: an impossible setting.
    """

    out: Path
    cache: Path | None = None
    cache_size: int = 24576
    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 64
    learning_rate: float = 1e-3
    seed: int = 0
    start: str | Path | None = None
    plain: bool = False
    device: str = "auto"
    precision: str = "auto"
    network: NoisedCLIPConfig | None = None
    checkpoint_seconds: float = 300.0
    log_every: int = 20

    def __post_init__(self) -> None:
        self.options()  # which checks its own
        if self.batch_size < 2:
            raise TrainingError(f"A CLIP compares 2 or more pictures a step, not {self.batch_size}.")
        if self.cache_size < 1:
            raise TrainingError(f"A cache holds at least 1 picture, not {self.cache_size}.")

    @property
    def config(self) -> NoisedCLIPConfig:
        return self.network or (PLAIN_CONFIG if self.plain else CLIP_CONFIG)

    def options(self) -> LoopOptions:
        return LoopOptions(
            minutes=self.minutes,
            steps=self.steps,
            learning_rate=self.learning_rate,
            warmup_steps=60,
            ema_decay=0.995,
            checkpoint_seconds=self.checkpoint_seconds,
            sample_seconds=math.inf,
            log_every=self.log_every,
            seed=self.seed,
        )

    def recipe(self) -> dict[str, Any]:
        """What must not change between a run and its continuation."""
        return {
            "stage": "clip",
            "plain": self.plain,
            "cache_size": self.cache_size if self.cache else None,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "network": json.loads(json.dumps(asdict(self.config))),
        }


def run_clip(
    settings: ClipSettings,
    on_log: Callable[[dict[str, Any]], None] = lambda record: None,
    on_cache: Callable[[int, int], None] | None = None,
) -> TrainOutcome:
    """Train a CLIP, or go on training it; the callbacks and errors are those of ``training.run.run``."""
    with failures_told(settings.out):
        return _run(settings, on_log, on_cache)


def _run(
    settings: ClipSettings,
    on_log: Callable[[dict[str, Any]], None],
    on_cache: Callable[[int, int], None] | None,
) -> TrainOutcome:
    runtime = choose_runtime(settings.device, settings.precision)
    apply(runtime)
    options = settings.options()
    resuming = checkpoint.exists(settings.out, settings.recipe())
    start = None
    if settings.start is not None and not resuming:
        start = load_model(resolve(settings.start), choose_runtime("cpu", "float32"))
    source = _source(settings, on_cache)
    settings.out.mkdir(parents=True, exist_ok=True)
    run_tokenizer(settings.out, source.captions(), start, resuming)
    # As far as this network reads, which need not be as far as the model that it starts from.
    tokenizer = BytePairTokenizer.load(settings.out / TOKENIZER_NAME, settings.config.context)
    torch.manual_seed(settings.seed)
    config = replace(settings.config, vocabulary=tokenizer.vocabulary_size)
    learner = ClipLearner(NoisedCLIP(config), tokenizer, settings.plain)
    if start is not None and start.clip is not None:
        _begin_with(learner, start.clip.network)
    weights, progress = train(
        learner.to(device=runtime.device, dtype=runtime.dtype),
        ClipPlan(source, settings.batch_size, settings.seed, config.patch, workers_for(runtime.device)),
        options,
        settings.out,
        settings.recipe(),
        runtime.device,
        Hooks(on_log=on_log),
    )
    loss_plot(settings.out / LOG_NAME, settings.out / "loss.png")
    folder = _export(settings, learner, weights.ema(), progress)
    return TrainOutcome(folder, progress, options.done(progress) >= 1)


def _source(settings: ClipSettings, on_cache: Callable[[int, int], None] | None) -> Source:
    size = settings.config.image_size
    if settings.cache is None:
        return RenderedToybox(size)
    return build_cache(settings.cache, settings.cache_size, size, settings.seed, on_cache)


def _begin_with(learner: ClipLearner, given: NoisedCLIP) -> None:
    """Put the weights of a model's own CLIP into the learner, if it is of the same shape."""
    if replace(given.config, logit_scale=1.0) == replace(learner.clip.config, logit_scale=1.0):
        learner.clip.load_state_dict(given.state_dict())
        nn.init.constant_(learner.log_scale, math.log(given.logit_scale))


def _export(
    settings: ClipSettings, learner: ClipLearner, averaged: dict[str, Tensor], progress: Progress
) -> Path:
    scale = min(LARGEST_SCALE, float(averaged["log_scale"].exp()))
    spec = ClipSpec(replace(learner.clip.config, logit_scale=round(scale, 4)))
    provenance = {"training": {"clip": settings.recipe() | asdict(progress)}}
    tensors = under(averaged, "clip.")
    return write_clip(settings.out / "clip", spec, tensors, learner.tokenizer, provenance)


def as_pictures(images: list[np.ndarray]) -> Tensor:
    """uint8 (S, S, 3) each -> (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
