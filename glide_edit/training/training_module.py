"""What is trained: a U-Net, for a base network with its text encoder, and the loss of a batch."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.networks.efficient_unet import EfficientUNet
from glide_edit.text.encoder import Tokenizer
from glide_edit.text.frozen import FrozenText
from glide_edit.text.tokenizer import Tokens
from glide_edit.text.transformer import TextTransformer
from glide_edit.training.batches import Batch, shrink
from glide_edit.training.feature_probe import FeatureProbe
from glide_edit.training.losses import (
    high_noise_weight,
    min_snr_weight,
    pixel_weight,
    stratified_times,
    weighted_error,
)
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
        image, device = batch.image, batch.image.device
        count = image.shape[0]
        t = stratified_times(count, self.schedule.num_timesteps, generator).to(device)
        eps = torch.randn(image.shape, generator=generator).to(device)
        x_t = self.schedule.add_noise(image, eps, t)
        tokens, text = self._encode(batch)
        probe = self.feature_probe
        with probe.watching(self.network) if probe else nullcontext() as features:
            output = self.network(x_t, t, self._conditioning(batch, text, generator)).float()
        config = self.network.config
        target = self.schedule.v_target(image, eps, t) if config.prediction == "v" else eps
        weight = pixel_weight(batch.foreground, batch.keep_mask, self.schedule.alpha_bar(t))
        errors = weighted_error(output, target, weight)
        loss = (errors * self._time_weight(t)).mean()
        if probe is not None and features is not None and batch.tags is not None:
            loss = loss + FEATURE_PROBE_WEIGHT * probe.loss(features, batch.tags)
        if self.text_probe is not None and tokens is not None and text is not None and batch.word_targets:
            words = self.text_probe.loss(text.states, tokens.ids, batch.word_targets)
            loss = loss + TEXT_PROBE_WEIGHT * words
        return loss

    def _time_weight(self, t: Tensor) -> Tensor:
        """High noise counts most where a network reads text; min-SNR is for upsamplers."""
        config = self.network.config
        if config.text_width and config.prediction == "v":
            return high_noise_weight(self.schedule, t)
        return min_snr_weight(self.schedule, t, config.prediction)

    def _encode(self, batch: Batch) -> tuple[Tokens | None, TextStates | None]:
        """The captions' tokens, unless the batch holds states already, and the text encoder's states."""
        if batch.text is not None and isinstance(self.transformer, FrozenText):
            return None, self.transformer.project(batch.text)
        if self.transformer is None or self.tokenizer is None:
            return None, None
        tokens, device = self.tokenizer.encode(batch.captions), batch.image.device
        return tokens, self.transformer(tokens.ids.to(device), tokens.token_mask.to(device))

    def _conditioning(
        self, batch: Batch, text: TextStates | None, generator: torch.Generator
    ) -> Conditioning:
        config = self.network.config
        low_res = noise_level = None
        if config.low_res:
            low_res, noise_level = self._low_resolution(batch.image, generator)
        return Conditioning(
            text=text,
            known=batch.image * batch.keep_mask if config.known else None,
            keep_mask=batch.keep_mask if config.known else None,
            drawing=batch.drawing if config.drawing else None,
            low_res=low_res,
            low_res_noise=noise_level,
        )

    def _low_resolution(self, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The picture at a quarter of the size, with noise mixed in (Imagen's conditioning augmentation)."""
        small = shrink(image, image.shape[-1] // 4)
        level = (torch.rand(image.shape[0], generator=generator) * 0.5).to(image.device)
        level = level * (torch.rand(image.shape[0], generator=generator) < 0.9).to(image.device)
        noise = torch.randn(small.shape, generator=generator).to(image.device)
        mix = level[:, None, None, None]
        return (1 - mix**2).sqrt() * small + mix * noise, level
