"""What is trained: a U-Net, for a base network with its text encoder, and the loss of a batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.networks.efficient_unet import EfficientUNet
from glide_edit.text.encoder import Tokenizer
from glide_edit.text.frozen import FrozenText
from glide_edit.text.tokenizer import Tokens
from glide_edit.text.transformer import TextTransformer
from glide_edit.training.batches import Batch, shrink
from glide_edit.training.feature_probe import FeatureProbe, are_tagged
from glide_edit.training.losses import (
    high_noise_weight,
    min_snr_weight,
    pixel_weight,
    stratified_times,
    weighted_error,
)
from glide_edit.training.shares import slices
from glide_edit.training.text_probe import TextProbe

B = TypeVar("B")

FEATURE_PROBE_WEIGHT = 0.01
TEXT_PROBE_WEIGHT = 0.02
"""The weights of the probes' losses, beside the errors of pixels."""


class ModuleWithLoss(nn.Module, Generic[B]):
    """What the loop trains: a module that knows its loss on batches of its kind."""

    @abstractmethod
    def loss(self, batch: B, generator: torch.Generator) -> Tensor:
        """The scalar to minimise; everything random in it comes from the (CPU) generator."""

    def terms(self, batch: B, generator: torch.Generator, most: int) -> list[Callable[[], Tensor]]:
        """Functions whose sum is the loss, to be called by ``most`` threads at once: no more, unless the
        loss has parts of its own.

        A loss that cannot be cut into parts is one term.
        """
        return [lambda: self.loss(batch, generator)]


@dataclass(frozen=True, eq=False)
class _Part:
    """Some views of a batch, what is drawn for them, and by what the whole batch is averaged.

    ``weight`` (B, 1, S, S) is that of pixels; ``low_res`` and ``noise_level`` are an upsampler's input.
    """

    batch: Batch
    t: Tensor
    eps: Tensor
    weight: Tensor
    tokens: Tokens | None
    low_res: Tensor | None
    noise_level: Tensor | None
    views: int
    mean_weight: Tensor
    tagged: Tensor | None
    told: int

    def of(self, views: slice) -> _Part:
        """The part of some of these views."""
        cut = {name: getattr(self, name) for name in ("t", "eps", "weight", "low_res", "noise_level")}
        cut = {name: None if value is None else value[views] for name, value in cut.items()}
        tokens = None if self.tokens is None else _shortest(self.tokens, views)
        return replace(self, batch=self.batch.of(views), tokens=tokens, **cut)


class TrainingModule(ModuleWithLoss[Batch]):
    """A U-Net and, for a base network, its text encoder, which are trained together.

    Of a frozen language model only the projection is trained; batches may then hold the model's states.
    ``probes`` adds a ``FeatureProbe`` and, unless the text encoder is a frozen one, a ``TextProbe``.
    """

    def __init__(
        self,
        network: EfficientUNet,
        transformer: TextTransformer | FrozenText | None,
        tokenizer: Tokenizer | None,
        probes: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.transformer = transformer
        self.tokenizer = tokenizer
        self.feature_probe = FeatureProbe(network.config) if probes else None
        self.text_probe: TextProbe | None = None
        if probes and tokenizer is not None and isinstance(transformer, TextTransformer):
            self.text_probe = TextProbe(network.config.text_width, tokenizer)

    @property
    def schedule(self) -> Schedule:
        return self.network.schedule

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The weighted loss of a batch; times, noise and augmentation come from the (CPU) generator."""
        return self._term(self._draw(batch, generator))

    def terms(self, batch: Batch, generator: torch.Generator, most: int) -> list[Callable[[], Tensor]]:
        """As for any module; each term is of some views of the batch."""
        whole = self._draw(batch, generator)
        return [partial(self._term, whole.of(views)) for views in slices(whole.views, most)]

    def _draw(self, batch: Batch, generator: torch.Generator) -> _Part:
        """The whole batch, with all that is random."""
        image, device = batch.image, batch.image.device
        count = image.shape[0]
        t = stratified_times(count, self.schedule.num_timesteps, generator).to(device)
        eps = torch.randn(image.shape, generator=generator).to(device)
        low_res = noise_level = tokens = None
        if self.network.config.low_res:
            low_res, noise_level = self._low_resolution(image, generator)
        if self.tokenizer is not None and self.transformer is not None and batch.text is None:
            tokens = self.tokenizer.encode(batch.captions)
        weight = pixel_weight(batch.foreground, batch.keep_mask, self.schedule.alpha_bar(t))
        told = 0
        if self.text_probe is not None and tokens is not None and batch.word_targets:
            told = len(self.text_probe.told(tokens.ids, batch.word_targets))
        return _Part(
            batch=batch,
            t=t,
            eps=eps,
            weight=weight,
            tokens=tokens,
            low_res=low_res,
            noise_level=noise_level,
            views=count,
            mean_weight=weight.mean(),
            tagged=None if batch.tags is None else are_tagged(batch.tags).sum(),
            told=told,
        )

    def _term(self, part: _Part) -> Tensor:
        """What some views of a batch add to its loss."""
        batch, t, config = part.batch, part.t, self.network.config
        text = self._encode(part)
        features: list[Tensor] = []
        x_t = self.schedule.add_noise(batch.image, part.eps, t)
        output = self.network(x_t, t, self._conditioning(part, text), features).float()
        target = self.schedule.v_target(batch.image, part.eps, t) if config.prediction == "v" else part.eps
        errors = weighted_error(output, target, part.weight, part.mean_weight)
        loss = (errors * self._time_weight(t)).sum() / part.views
        if self.feature_probe is not None and batch.tags is not None:
            loss = loss + FEATURE_PROBE_WEIGHT * self.feature_probe.loss(features, batch.tags, part.tagged)
        if part.told and self.text_probe is not None and part.tokens is not None and text is not None:
            assert batch.word_targets is not None
            words = self.text_probe.loss(text.states, part.tokens.ids, batch.word_targets, part.told)
            loss = loss + TEXT_PROBE_WEIGHT * words
        return loss

    def _time_weight(self, t: Tensor) -> Tensor:
        """High noise counts most where a network reads text; min-SNR is for upsamplers."""
        config = self.network.config
        if config.text_width and config.prediction == "v":
            return high_noise_weight(self.schedule, t)
        return min_snr_weight(self.schedule, t, config.prediction)

    def _encode(self, part: _Part) -> TextStates | None:
        """The text encoder's states of the captions."""
        given, tokens = part.batch.text, part.tokens
        if given is not None and isinstance(self.transformer, FrozenText):
            return self.transformer.project(given)
        if self.transformer is None or tokens is None:
            return None
        device = part.batch.image.device
        return self.transformer(tokens.ids.to(device), tokens.token_mask.to(device))

    def _conditioning(self, part: _Part, text: TextStates | None) -> Conditioning:
        batch, config = part.batch, self.network.config
        return Conditioning(
            text=None if text is None else _aligned(text),
            known=batch.image * batch.keep_mask if config.known else None,
            keep_mask=batch.keep_mask if config.known else None,
            drawing=batch.drawing if config.drawing else None,
            low_res=part.low_res,
            low_res_noise=part.noise_level,
        )

    def _low_resolution(self, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The picture at a quarter of the size, with noise mixed in (Imagen's conditioning augmentation)."""
        small = shrink(image, image.shape[-1] // 4)
        level = (torch.rand(image.shape[0], generator=generator) * 0.5).to(image.device)
        level = level * (torch.rand(image.shape[0], generator=generator) < 0.9).to(image.device)
        noise = torch.randn(small.shape, generator=generator).to(image.device)
        mix = level[:, None, None, None]
        return (1 - mix**2).sqrt() * small + mix * noise, level


def _shortest(tokens: Tokens, views: slice) -> Tokens:
    """The tokens of some captions, as short as the longest of these."""
    mask = tokens.token_mask[views]
    length = max(1, int(mask.sum(1).max()))
    return Tokens(tokens.ids[views, :length], mask[:, :length], tokens.dropped[views])


ALIGNMENT = 32
"""Attention takes half as long again where the number of keys is no multiple of this."""


def _aligned(text: TextStates) -> TextStates:
    """The states with padding up to a multiple of ``ALIGNMENT`` tokens."""
    missing = -text.states.shape[1] % ALIGNMENT
    states, mask = F.pad(text.states, (0, 0, 0, missing)), F.pad(text.token_mask, (0, missing))
    return TextStates(states=states, token_mask=mask)
