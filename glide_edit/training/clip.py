"""Training of a CLIP on the toybox: GLIDE's noised one (arXiv 2112.10741, section 2.4), or a plain one.

The pictures and captions of a batch are told apart from each other (Radford et al. 2021), at random times, so
that the CLIP sees pictures as a diffusion model does. Each picture also has a hard negative, since batches of
random captions hardly ever ask which of two toys is the red one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.models.clip_folder import write_clip
from glide_edit.models.folder import Model
from glide_edit.models.runtime import Runtime
from glide_edit.models.spec import ClipSpec
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.training.batches import made_ahead, to_images, workers_for
from glide_edit.training.checkpoint import Progress
from glide_edit.training.configs import CLIP_CONFIG
from glide_edit.training.feature_probe import TAGS, tag_loss, tag_map
from glide_edit.training.hard_negatives import hard_negative
from glide_edit.training.losses import stratified_times
from glide_edit.training.preparing import TOKENIZER_NAME, PreparedRun, prepare_tokenizer, toybox_source
from glide_edit.training.settings import TrainSettings
from glide_edit.training.sources import Source
from glide_edit.training.text_probe import TextProbe, WordTargets, word_targets
from glide_edit.training.training_module import ModuleWithLoss
from glide_edit.training.weights import strip_prefix

PATCH_PROBE_WEIGHT = 0.5
TEXT_PROBE_WEIGHT = 0.2
"""The weights of the probes' losses, beside the contrastive loss."""

FIRST_SCALE, LARGEST_SCALE = 10.0, 100.0
"""Where the learned logit scale begins, and its upper limit, which keeps training stable."""


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """``image`` (B, 3, S, S), clean, in [-1, 1]; a caption and a hard negative for each picture.

    ``tags`` (B, len(TAGS), S/patch, S/patch) and ``word_targets`` are what the probes should say.
    """

    step: int
    image: Tensor
    captions: tuple[str, ...]
    hard_negatives: tuple[str, ...]
    tags: Tensor
    word_targets: tuple[WordTargets, ...]


@dataclass(frozen=True)
class ClipPlan:
    """Batches of a source of toybox pictures; each is a function of (seed, step) alone.

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
            image=to_images([item.image for item in items]),
            captions=captions,
            hard_negatives=tuple(hard_negative(caption, rng).caption for caption in captions),
            tags=torch.stack([tag_map(item, item.image.shape[0] // self.patch) for item in items]),
            word_targets=tuple(word_targets(item) for item in items),
        )

    def stream(self, first_step: int) -> Generator[ClipBatch, None, None]:
        return made_ahead(self.make, first_step, self.workers)


class ClipTrainingModule(ModuleWithLoss[ClipBatch]):
    """A CLIP and its logit scale, which is learned. A ``plain`` one sees pictures at t = 0 only.

    Captions alone teach a small transformer slowly what things look like and which words belong together. So
    each patch must also say what it shows (``TAGS``) and each word what it refers to (``TextProbe``), through
    layers that are thrown away afterwards.
    """

    def __init__(self, clip: NoisedCLIP, tokenizer: BytePairTokenizer, plain: bool) -> None:
        super().__init__()
        self.clip = clip
        self.tokenizer = tokenizer
        self.plain = plain
        self.schedule = Schedule.cosine(clip.config.timesteps)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        self.patch_probe = nn.Linear(clip.config.image_width, len(TAGS))
        self.text_probe = TextProbe(clip.config.text_width, tokenizer)

    def loss(self, batch: ClipBatch, generator: torch.Generator) -> Tensor:
        """Symmetric cross-entropy of the batch, in which hard negatives are wrong captions for every picture,
        plus the weighted losses of the probes."""
        count, device = len(batch.captions), batch.image.device
        t = self._times(count, generator).to(device)
        eps = torch.randn(batch.image.shape, generator=generator).to(device)
        states = self.clip.image.tokens(self.schedule.add_noise(batch.image, eps, t), t)
        pictures = F.normalize(self.clip.image.summary(states), dim=-1)
        tokens = self.tokenizer.encode([*batch.captions, *batch.hard_negatives])
        words = self.clip.text.states(tokens.ids.to(device))
        texts = F.normalize(self.clip.text.summary(words, tokens.token_mask.sum(1).to(device)), dim=-1)
        scale = self.log_scale.float().clamp(max=math.log(LARGEST_SCALE)).exp()
        logits = scale * pictures @ texts.T
        right = torch.arange(count, device=device)
        matching = (F.cross_entropy(logits, right) + F.cross_entropy(logits[:, :count].T, right)) / 2
        said = self.patch_probe(states[:, 1:].to(self.patch_probe.weight.dtype)).transpose(1, 2)
        tagging = tag_loss(said.unflatten(2, batch.tags.shape[2:]), batch.tags)
        own = words[:count].to(self.text_probe.layer.weight.dtype)
        reading = self.text_probe.loss(own, tokens.ids[:count], batch.word_targets)
        return matching + PATCH_PROBE_WEIGHT * tagging + TEXT_PROBE_WEIGHT * reading

    def _times(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) times, denser where there is less noise: from much noise little can be learned."""
        last = self.schedule.num_timesteps - 1
        times = stratified_times(count, self.schedule.num_timesteps, generator)
        return torch.zeros(count) if self.plain else last * (times / last) ** 1.5


def prepare_clip(
    settings: TrainSettings,
    runtime: Runtime,
    start: Model | None,
    resuming: bool,
    on_cache: Callable[[int, int], None] | None,
) -> PreparedRun:
    """The module, batches and export of a CLIP's run. A CLIP of ``start`` of the same shape gives weights."""
    source = toybox_source(settings, on_cache)
    settings.out.mkdir(parents=True, exist_ok=True)
    prepare_tokenizer(settings.out, source.captions(), start, resuming)
    # With this network's context, which may differ from that of the model it starts from.
    assert isinstance(settings.network, NoisedCLIPConfig)
    tokenizer = BytePairTokenizer.load(settings.out / TOKENIZER_NAME, settings.network.context)
    torch.manual_seed(settings.seed)
    config = replace(settings.network, vocabulary=tokenizer.vocabulary_size)
    module = ClipTrainingModule(NoisedCLIP(config), tokenizer, settings.stage == "plain-clip")
    given = None if start is None or start.clip is None else start.clip.network
    if given is not None and replace(given.config, logit_scale=1.0) == replace(config, logit_scale=1.0):
        module.clip.load_state_dict(given.state_dict())
        nn.init.constant_(module.log_scale, math.log(given.logit_scale))

    def export(averaged: dict[str, Tensor], progress: Progress) -> Path:
        scale = min(LARGEST_SCALE, float(averaged["log_scale"].exp()))
        spec = ClipSpec(replace(config, logit_scale=round(scale, 4)))
        provenance = {"training": {"clip": settings.recipe() | asdict(progress)}}
        return write_clip(settings.out / "clip", spec, strip_prefix(averaged, "clip."), tokenizer, provenance)

    return PreparedRun(
        module.to(device=runtime.device, dtype=runtime.dtype),
        ClipPlan(source, settings.batch_size, settings.seed, config.patch, workers_for(runtime.device)),
        export,
    )
