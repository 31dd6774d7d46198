"""The ADM U-Net of GLIDE (arXiv 2112.10741, section 4; Dhariwal & Nichol 2021, arXiv 2105.05233).

Residual blocks whose second norm is scaled and shifted by the time embedding, blocks that halve or double the
picture themselves, and at some levels attention over the cells with the text's keys and values prepended. It
predicts eps and where the variance lies. One class serves the four networks that OpenAI released: the
configuration declares which conditions are input channels.

The text encoder is not in here: its states come as conditions, and ``prepare`` projects them once an edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, Prediction, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import InputError
from glide_edit.networks.convolution import Conv2d, beside
from glide_edit.networks.parts import known_parts, sinusoidal_embedding, sized, stacked, zeroed

GROUPS = 32
"""Of every group norm: published, whatever the width."""


@dataclass(frozen=True)
class ADMUNetConfig:
    """The shape of an ADM U-Net.

    ``multipliers`` has one entry a level, from fine to coarse: a level is ``width`` times so many channels
    wide, has ``blocks`` residual blocks on the way down and one more on the way up. ``attention`` names the
    downsampling rates at which there is attention (1 is full resolution); the middle always has it.
    ``known`` and ``low_res`` declare input channels: known image 3 + keep-mask 1, low-resolution image 3.

    Raises InputError if no network can be built like this, or it could not take a picture of ``image_size``.
    """

    image_size: int
    width: int
    multipliers: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    head_width: int = 64
    text_width: int = 512
    known: bool = False
    low_res: bool = False
    drawing: ClassVar[bool] = False
    soft_masks: ClassVar[bool] = False
    instruction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.multipliers:
            raise InputError("multipliers must have one entry for each level of the network.")
        sizes = (
            self.image_size,
            self.width,
            *self.multipliers,
            self.blocks,
            self.head_width,
            self.text_width,
        )
        if min(sizes) < 1:
            raise InputError("Every size of an ADM U-Net must be 1 or more.")
        if self.width % GROUPS:
            raise InputError(f"width must be a multiple of {GROUPS}, not {self.width}.")
        rates = [2**level for level in range(len(self.multipliers))]
        if unknown := sorted(set(self.attention) - set(rates)):
            raise InputError(f"There is no level with the downsampling rate {unknown[0]}: there are {rates}.")
        for rate, channels in zip(rates, self.channels, strict=True):
            if channels % self.head_width and (rate in self.attention or rate == rates[-1]):
                raise InputError(
                    f"{channels} channels with attention cannot be cut into heads of {self.head_width}."
                )
        if self.image_size % self.stride:
            raise InputError(f"image_size must be a multiple of {self.stride}, not {self.image_size}.")

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each level, from fine to coarse."""
        return tuple(self.width * multiplier for multiplier in self.multipliers)

    @property
    def input_channels(self) -> int:
        return 3 + 4 * self.known + 3 * self.low_res

    @property
    def stride(self) -> int:
        """Heights and widths of x_t must be a multiple of this."""
        return 2 ** (len(self.multipliers) - 1)


class ResidualBlock(nn.Module):
    """norm - SiLU - conv, norm - scale and shift by the time embedding - SiLU - conv, beside a shortcut.

    ``resize`` is 1, 2 (the picture is doubled before the first convolution) or -2 (halved).
    """

    def __init__(self, channels_in: int, channels_out: int, embedding_width: int, resize: int = 1) -> None:
        super().__init__()
        self.resize = resize
        self.norm_in = nn.GroupNorm(GROUPS, channels_in)
        self.conv_in = Conv2d(channels_in, channels_out, 3)
        self.film = nn.Linear(embedding_width, 2 * channels_out)
        self.norm_out = nn.GroupNorm(GROUPS, channels_out)
        self.conv_out = zeroed(Conv2d(channels_out, channels_out, 3))
        self.shortcut = Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else None

    def forward(self, embedding: Tensor, *parts: Tensor) -> Tensor:
        """``parts`` are pictures (B, C, H, W) whose channels together are the input."""
        normed = _normed(self.norm_in, _at_groups(parts, self.norm_in))
        if self.resize == 2:
            h = self.conv_in.of_doubled(*normed)
        else:
            h = self.conv_in(*(self._resized(part) for part in normed))
        scale, shift = self.film(embedding).chunk(2, dim=1)
        h = F.silu(_modulated(self.norm_out, h, scale, shift), inplace=True)
        if self.shortcut is not None:
            return self.conv_out(h, add_to=self.shortcut(*parts))
        if self.resize != 1:
            return self.conv_out(h, add_to=self._resized(*parts))
        return self.conv_out(h).add_(*parts)

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize == 2:
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.avg_pool2d(x, 2) if self.resize == -2 else x


def _at_groups(parts: Sequence[Tensor], norm: nn.GroupNorm) -> Sequence[Tensor]:
    """The parts as they are where none of the norm's groups reaches from one into the next, else joined."""
    width = norm.num_channels // norm.num_groups
    return [beside(parts)] if any(part.shape[1] % width for part in parts) else parts


def _normed(norm: nn.GroupNorm, parts: Sequence[Tensor]) -> Iterator[Tensor]:
    """SiLU of the norm of each part."""
    width, first = norm.num_channels // norm.num_groups, 0
    for part in parts:
        last = first + part.shape[1]
        weight, bias = norm.weight[first:last], norm.bias[first:last]
        yield F.silu(F.group_norm(part, part.shape[1] // width, weight, bias, norm.eps), inplace=True)
        first = last


def _modulated(norm: nn.GroupNorm, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """norm(x) * (1 + scale) + shift, where scale and shift are (B, C)."""
    if len(x) == 1:  # then it is a norm with other weights: two passes over the picture saved
        gain = 1 + scale[0]
        bias = torch.addcmul(shift[0], norm.bias, gain)
        return F.group_norm(x, norm.num_groups, norm.weight * gain, bias, norm.eps)
    return torch.addcmul(shift[:, :, None, None], norm(x), 1 + scale[:, :, None, None])


class TextAttention(nn.Module):
    """Self-attention over the cells with the text's keys and values prepended (GLIDE, section 2).

    ``qkv`` and ``text_kv`` give for each head its query, key and value one after the other, as published.
    """

    def __init__(self, channels: int, text_width: int, head_width: int) -> None:
        super().__init__()
        self.heads = channels // head_width
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.text_kv = nn.Linear(text_width, 2 * channels)
        self.out = zeroed(nn.Linear(channels, channels))

    def project_text(self, states: Tensor) -> Tensor:
        """(B, L, D) text states -> (B, L, heads, 2, head_width) keys and values."""
        return self.text_kv(states).unflatten(-1, (self.heads, 2, -1))

    def forward(self, x: Tensor, text_kv: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        h = self.norm(x).permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        qkv = self.qkv(h).unflatten(-1, (self.heads, 3, -1))
        q = qkv[:, :, :, 0].transpose(1, 2)
        # Padded tokens are not hidden: GLIDE was trained to see its padding embeddings.
        k, v = torch.cat([text_kv, qkv[:, :, :, 1:]], dim=1).permute(3, 0, 2, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, height * width, channels)
        return x + self.out(h).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class Level(nn.Module):
    """The blocks of one level on the way down or up, each followed by attention where the level has it.

    ``resample`` leads to the next level; the last one has none.
    """

    def __init__(
        self, widths: Sequence[int], level: int, config: ADMUNetConfig, embedding: int, resize: int = 1
    ) -> None:
        super().__init__()
        channels = config.channels[level]
        self.blocks = nn.ModuleList(ResidualBlock(width, channels, embedding) for width in widths)
        self.attentions = nn.ModuleList(
            TextAttention(channels, config.text_width, config.head_width)
            for _ in widths
            if 2**level in config.attention
        )
        self.resample = ResidualBlock(channels, channels, embedding, resize) if resize != 1 else None


class ADMUNet(nn.Module):
    """A U-Net that predicts eps and a learned variance. Implements ``ConditionedNetwork``.

    Every branch must have text: what GLIDE calls unconditional is the empty prompt.
    """

    def __init__(self, config: ADMUNetConfig, schedule: Schedule) -> None:
        super().__init__()
        self.config = config
        self.schedule = schedule
        channels, embedding = config.channels, 4 * config.width
        self.time = nn.Sequential(
            nn.Linear(config.width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.text_pool = nn.Linear(config.text_width, embedding)
        self.stem = Conv2d(config.input_channels, channels[0], 3)
        # Down from fine to coarse and up from coarse to fine: in the order of the forward pass.
        self.down = cast("list[Level]", nn.ModuleList())
        self.up = cast("list[Level]", nn.ModuleList())
        last = len(channels) - 1
        skips = [channels[0]]
        for level, width in enumerate(channels):
            entering = [skips[-1], *[width] * (config.blocks - 1)]
            self.down.append(Level(entering, level, config, embedding, resize=-2 if level < last else 1))
            skips += [width] * (config.blocks + (level < last))
        self.middle_in = ResidualBlock(channels[-1], channels[-1], embedding)
        self.middle_attention = TextAttention(channels[-1], config.text_width, config.head_width)
        self.middle_out = ResidualBlock(channels[-1], channels[-1], embedding)
        entering_width = channels[-1]
        for level in reversed(range(len(channels))):
            entering = []
            for _ in range(config.blocks + 1):
                entering.append(entering_width + skips.pop())
                entering_width = channels[level]
            self.up.append(Level(entering, level, config, embedding, resize=2 if level else 1))
        self.norm = nn.GroupNorm(GROUPS, channels[0])
        self.head = zeroed(Conv2d(channels[0], 6, 3))

    # -- the contract -------------------------------------------------------------------------------

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        """Project the text into every attention layer's keys and values, once per edit.

        The low-resolution picture is enlarged here where the known picture tells how large, and else at each
        step.
        """
        text = conditioning.text
        if text is not None and text.keys_values is None:
            states = text.states.to(self.dtype)
            layers = tuple(layer.project_text(states) for layer in self.attention_layers())
            text = replace(text, keys_values=layers)
        prepared = replace(conditioning, text=text)
        return prepared if conditioning.known is None else sized(prepared, conditioning.known, "bilinear")

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        """One batched call over all branches. x_t (B, 3, H, W), t (B,); x0 comes in float32, unclipped."""
        merged = _merge([sized(self.prepare(branch), x_t, "bilinear") for branch in branches])
        count = len(branches)
        output = self(x_t.repeat(count, 1, 1, 1), t.repeat(count), merged).float()
        predictions = []
        for part in output.chunk(count):
            eps, variance = part.chunk(2, dim=1)
            x0 = self.schedule.x0_from_eps(eps, x_t, t)
            predictions.append(Prediction(x0, variance_fraction=(variance + 1) / 2))
        return predictions

    # -- the network --------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        return self.stem.weight.dtype

    def attention_layers(self) -> list[TextAttention]:
        """In the order in which the forward pass meets them."""
        going_down = [layer for level in self.down for layer in level.attentions]
        going_up = [layer for level in self.up for layer in level.attentions]
        return cast("list[TextAttention]", [*going_down, self.middle_attention, *going_up])

    def forward(self, x_t: Tensor, t: Tensor, conditioning: Conditioning) -> Tensor:
        """x_t (B, 3, H, W), t (B,), prepared conditions of that size -> eps and the variance, (B, 6, H, W).

        The variance is -1 for the posterior variance and 1 for beta.
        """
        text = conditioning.text
        assert text is not None, "GLIDE is told the empty prompt, not none"
        assert text.keys_values is not None, "conditions go through prepare first"
        embedding = self._embed(t, text)
        h = self.stem(self._input(x_t, conditioning))
        layers = iter(text.keys_values)
        skips = [h]
        for level in self.down:
            for i, block in enumerate(level.blocks):
                h = block(embedding, h)
                if level.attentions:
                    h = level.attentions[i](h, next(layers))
                skips.append(h)
            if level.resample is not None:
                h = level.resample(embedding, h)
                skips.append(h)
        h = self.middle_in(embedding, h)
        h = self.middle_out(embedding, self.middle_attention(h, next(layers)))
        for level in self.up:
            for i, block in enumerate(level.blocks):
                h = block(embedding, h, skips.pop())
                if level.attentions:
                    h = level.attentions[i](h, next(layers))
            if level.resample is not None:
                h = level.resample(embedding, h)
        return self.head(F.silu(self.norm(h), inplace=True))

    def _embed(self, t: Tensor, text: TextStates) -> Tensor:
        """The time embedding with the last text state added, (B, 4 * width), ready for the blocks."""
        embedding = self.time(sinusoidal_embedding(t, self.config.width).to(self.dtype))
        return F.silu(embedding + self.text_pool(text.states[:, -1].to(self.dtype)))

    def _input(self, x_t: Tensor, conditioning: Conditioning) -> Tensor:
        parts = [x_t, *(known_parts(conditioning, x_t) if self.config.known else [])]
        if self.config.low_res:
            assert conditioning.low_res is not None, "an upsampler needs a low-resolution image"
            parts.append(conditioning.low_res)
        x = torch.cat([part.to(self.dtype) for part in parts], dim=1)
        return x.contiguous(memory_format=torch.channels_last)


def _merge(branches: Sequence[Conditioning]) -> Conditioning:
    """Stack prepared branches along the batch, zeros where one lacks a picture that another has."""
    if len(branches) == 1:
        return branches[0]
    texts = [branch.text for branch in branches if branch.text is not None]
    return replace(stacked(branches), text=_merge_text(texts))


def _merge_text(texts: Sequence[TextStates]) -> TextStates:
    layers = zip(*(text.keys_values or () for text in texts), strict=True)
    return TextStates(
        states=torch.cat([text.states for text in texts]),
        token_mask=torch.cat([text.token_mask for text in texts]),
        keys_values=tuple(torch.cat(layer) for layer in layers),
    )
