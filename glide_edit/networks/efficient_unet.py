"""The Efficient U-Net: Imagen's layout (arXiv 2205.11487, appendix B) at a size that runs on a CPU.

Capacity sits at low resolution, a level goes down before its blocks and up after them, and skip
connections are scaled by 1/sqrt(2). A patch stem (pixel-unshuffle) keeps full-resolution layers, which
cost the most and know the least, out of the network. One class serves the base network and the upsampler:
the configuration declares which conditions are input channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, Prediction, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import InputError
from glide_edit.networks.convolution import Conv2d
from glide_edit.networks.parts import enlarged, known_parts, sinusoidal_embedding, sized, stacked, zeroed


@dataclass(frozen=True)
class EfficientUNetConfig:
    """The shape of an Efficient U-Net.

    ``channels``, ``blocks`` and ``attention`` have one entry a level, from fine to coarse; level 0 works at
    ``image_size / patch`` cells. ``text_width`` 0 means no text. ``positions`` tells attention where in the
    picture a cell is, without which words like "left" are learned late. ``known``, ``drawing`` and
    ``low_res`` declare input channels: known image 3 + keep-mask 1, drawing 1, low-resolution image 3.

    Raises InputError if no network can be built like this, or it could not take a picture of ``image_size``.
    """

    image_size: int
    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    attention: tuple[bool, ...]
    patch: int = 2
    head_width: int = 32
    embedding_width: int = 256
    text_width: int = 0
    positions: bool = False
    known: bool = False
    drawing: bool = False
    low_res: bool = False
    prediction: Literal["v", "eps"] = "v"
    soft_masks: ClassVar[bool] = False
    instruction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        levels = {len(self.channels), len(self.blocks), len(self.attention)}
        if len(levels) > 1 or not self.channels:
            raise InputError(
                "channels, blocks and attention must have one entry for each level of the network."
            )
        sizes = (self.image_size, self.patch, self.head_width, *self.channels)
        if min(sizes) < 1 or min(*self.blocks, self.text_width) < 0:
            raise InputError(
                "image_size, patch, head_width and channels must be 1 or more, blocks and text_width 0."
            )
        if self.embedding_width < 4 or self.embedding_width % 4:
            raise InputError(f"embedding_width must be a multiple of 4, not {self.embedding_width}.")
        if self.prediction not in ("v", "eps"):
            raise InputError(f'prediction must be "v" or "eps", not {self.prediction!r}.')
        for channels, attend in zip(self.channels, self.attention, strict=True):
            if channels % _groups(channels) or 2 * channels % _groups(2 * channels):
                raise InputError(
                    f"A level of {channels} channels cannot be normalised in groups: take a multiple of 16."
                )
            heads = channels // self.head_width
            if attend and (heads == 0 or channels % heads):
                raise InputError(
                    f"{channels} channels with attention cannot be cut into heads of {self.head_width}."
                )
        if self.image_size % self.stride:
            raise InputError(f"image_size must be a multiple of {self.stride}, not {self.image_size}.")

    @property
    def input_channels(self) -> int:
        return 3 + 4 * self.known + self.drawing + 3 * self.low_res

    @property
    def stride(self) -> int:
        """Heights and widths of x_t must be a multiple of this."""
        return self.patch * 2 ** (len(self.channels) - 1)


def _groups(channels: int) -> int:
    return max(1, channels // 16)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(_groups(channels), channels)


PLACE_WAVES = 4


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def places(height: int, width: int, device: torch.device) -> Tensor:
    """(height * width, 4 * PLACE_WAVES), for cells in reading order: sines and cosines, across and down, of
    half a wave over the picture, one wave, two and so on.

    Cached, since every attention layer needs it at every step. Made outside inference mode, so that training
    can use it as well.
    """

    def waves_along(count: int) -> Tensor:
        middles = (2 * torch.arange(count, device=device) + 1) / count - 1
        angles = middles[:, None] * (torch.pi / 2 * 2.0 ** torch.arange(PLACE_WAVES, device=device))
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)

    across, down = waves_along(width), waves_along(height)
    return torch.cat([across.repeat(height, 1), down.repeat_interleave(width, dim=0)], dim=1)


class ResidualBlock(nn.Module):
    """norm - SiLU - conv, norm - scale and shift by the time embedding - SiLU - conv, beside a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, embedding_width: int) -> None:
        super().__init__()
        self.norm_in = _group_norm(channels_in)
        self.conv_in = Conv2d(channels_in, channels_out, 3)
        self.film = nn.Linear(embedding_width, 2 * channels_out)
        self.norm_out = _group_norm(channels_out)
        self.conv_out = zeroed(Conv2d(channels_out, channels_out, 3))
        # Without a bias: beside conv_out's it would be redundant, and torch.compile fails on the CPU when
        # two parameters have the same bf16 gradient.
        self.shortcut = (
            nn.Identity() if channels_in == channels_out else Conv2d(channels_in, channels_out, 1, bias=False)
        )

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """``x`` (B, C, H, W) may be overwritten where no gradients are wanted."""
        overwriting = not torch.is_grad_enabled()
        h = self.conv_in(F.silu(self.norm_in(x), inplace=overwriting))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.norm_out(h), 1 + scale)
        return self.conv_out(F.silu(h, inplace=overwriting), add_to=self.shortcut(x))


class TextAttention(nn.Module):
    """Self-attention over the cells with the text's keys and values prepended (GLIDE, section 2).

    With ``positions`` each cell's place in the picture is added to what its queries, keys and values are made
    of.
    """

    def __init__(self, channels: int, text_width: int, head_width: int, positions: bool = False) -> None:
        super().__init__()
        self.heads = channels // head_width
        self.norm = _group_norm(channels)
        self.place = zeroed(nn.Linear(4 * PLACE_WAVES, channels, bias=False)) if positions else None
        self.qkv = nn.Linear(channels, 3 * channels)
        self.text_kv = nn.Linear(text_width, 2 * channels, bias=False) if text_width else None
        self.out = zeroed(nn.Linear(channels, channels))

    def project_text(self, states: Tensor) -> Tensor:
        """(B, L, D) text states -> (2, B, heads, L, head_width) keys and values."""
        assert self.text_kv is not None
        batch, length, _ = states.shape
        return self.text_kv(states).reshape(batch, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor, text_kv: Tensor | None, text_bias: Tensor | None) -> Tensor:
        batch, channels, height, width = x.shape
        cells = height * width
        h = self.norm(x).permute(0, 2, 3, 1).reshape(batch, cells, channels)
        if self.place is not None:
            h = h + self.place(places(height, width, h.device).to(h.dtype))
        q, k, v = self.qkv(h).reshape(batch, cells, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if text_kv is not None:
            k, v = torch.cat([text_kv[0], k], dim=2), torch.cat([text_kv[1], v], dim=2)
        bias = None if text_bias is None else F.pad(text_bias, (0, cells))
        if torch.is_grad_enabled():
            # Plain products: the fused attention's backward pass is slow on the CPU at these sizes.
            weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
            h = (weights if bias is None else weights + bias).softmax(dim=-1) @ v
        else:
            h = F.scaled_dot_product_attention(q, k, v, bias)
        h = h.transpose(1, 2).reshape(batch, cells, channels)
        return x + self.out(h).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


class _Level(nn.Module):
    """The blocks of one level on the way down or up, each followed by attention where the level has it."""

    def __init__(
        self, widths: Sequence[int], channels: int, embedding: int, config: EfficientUNetConfig, attend: bool
    ):
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width, channels, embedding) for width in widths)
        self.attentions = nn.ModuleList(
            TextAttention(channels, config.text_width, config.head_width, config.positions)
            for _ in widths
            if attend
        )


class EfficientUNet(nn.Module):
    """A U-Net that predicts v or eps; see the module's first lines. Implements ``ConditionedNetwork``."""

    def __init__(self, config: EfficientUNetConfig, schedule: Schedule) -> None:
        super().__init__()
        self.config = config
        self.schedule = schedule
        channels = config.channels
        embedding = config.embedding_width
        self.time_width = embedding // 2
        self.time = nn.Sequential(
            nn.Linear(self.time_width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        if config.low_res:
            self.low_res_noise = nn.Linear(self.time_width, embedding, bias=False)
        if config.text_width:
            self.text_pool = nn.Linear(config.text_width, embedding, bias=False)
        self.stem = nn.Conv2d(config.input_channels * config.patch**2, channels[0], 3, padding=1)
        self.down = cast("list[_Level]", nn.ModuleList())
        self.downsample = nn.ModuleList()
        self.up = cast("list[_Level]", nn.ModuleList())
        self.upsample = nn.ModuleList()
        for i, (width, count, attend) in enumerate(
            zip(channels, config.blocks, config.attention, strict=True)
        ):
            finer = channels[max(i - 1, 0)]
            self.downsample.append(nn.Conv2d(finer, width, 3, stride=2, padding=1) if i else nn.Identity())
            self.down.append(_Level([width] * count, width, embedding, config, attend))
            self.up.append(_Level([2 * width] * count, width, embedding, config, attend))
            # Convolved before it is enlarged: a quarter of the work of the other order.
            self.upsample.append(nn.Conv2d(width, finer, 3, padding=1) if i else nn.Identity())
        self.middle_in = ResidualBlock(channels[-1], channels[-1], embedding)
        self.middle_attention = (
            TextAttention(channels[-1], config.text_width, config.head_width, config.positions)
            if config.attention[-1]
            else None
        )
        self.middle_out = ResidualBlock(channels[-1], channels[-1], embedding)
        self.norm = _group_norm(channels[0])
        self.head = zeroed(nn.Conv2d(channels[0], 3 * config.patch**2, 3, padding=1))

    # -- the contract -------------------------------------------------------------------------------

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        """Once per edit: the text's keys and values for every attention layer, the low-resolution picture
        enlarged where the known one says how far."""
        if conditioning.known is not None:
            conditioning = sized(conditioning, conditioning.known, "bicubic")
        text = conditioning.text
        if text is None or not self.config.text_width or text.keys_values is not None:
            return conditioning
        layers = tuple(layer.project_text(text.states.to(self.dtype)) for layer in self.attention_layers())
        return replace(conditioning, text=replace(text, keys_values=layers))

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        """One batched call over all branches. x_t (B, 3, H, W), t (B,); x0 comes in float32, unclipped."""
        merged = _merge([sized(self.prepare(branch), x_t, "bicubic") for branch in branches])
        count = len(branches)
        output = self(x_t.repeat(count, 1, 1, 1), t.repeat(count), merged).float()
        to_x0 = self.schedule.x0_from_v if self.config.prediction == "v" else self.schedule.x0_from_eps
        return [Prediction(x0=to_x0(part, x_t, t)) for part in output.chunk(count)]

    # -- the network --------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        return self.stem.weight.dtype

    def attention_layers(self) -> list[TextAttention]:
        """In the order in which the forward pass meets them."""
        middle = [self.middle_attention] if self.middle_attention is not None else []
        going_down = [layer for level in self.down for layer in level.attentions]
        going_up = [layer for level in reversed(self.up) for layer in level.attentions]
        return cast("list[TextAttention]", [*going_down, *middle, *going_up])

    def forward(
        self, x_t: Tensor, t: Tensor, conditioning: Conditioning, features: list[Tensor] | None = None
    ) -> Tensor:
        """x_t (B, 3, H, W), t (B,) -> what ``config.prediction`` names, (B, 3, H, W).

        Each level's last cells on the way up, (B, C, h, w), from coarse to fine, are added to ``features``.
        """
        embedding, kv, bias = self._embed(t, conditioning)
        h = self._stem(x_t, conditioning)
        layers = iter(kv)
        skips: list[Tensor] = []
        for downsample, level in zip(self.downsample, self.down, strict=True):
            h = downsample(h)
            for i, block in enumerate(level.blocks):
                h = block(h, embedding)
                if level.attentions:
                    h = level.attentions[i](h, next(layers), bias)
                skips.append(h * 2**-0.5)
        h = self.middle_in(h, embedding)
        if self.middle_attention is not None:
            h = self.middle_attention(h, next(layers), bias)
        h = self.middle_out(h, embedding)
        for index in reversed(range(len(self.up))):
            level = self.up[index]
            for i, block in enumerate(level.blocks):
                h = block(torch.cat([h, skips.pop()], dim=1), embedding)
                if level.attentions:
                    h = level.attentions[i](h, next(layers), bias)
            if features is not None:
                features.append(h)
            if index:
                h = F.interpolate(self.upsample[index](h), scale_factor=2.0, mode="nearest")
        output = F.pixel_shuffle(self.head(F.silu(self.norm(h))), self.config.patch)
        margin = self._margin()
        return output[:, :, margin:-margin, margin:-margin] if margin else output

    def _margin(self) -> int:
        """How many pixels a picture is mirrored outwards on each side.

        Cells at the edge have fewer neighbours, and an upsampler leaves noise in them. It is trained on
        crops, whose edges do not matter.
        """
        mirrored = self.config.low_res and not self.training
        return max(self.config.stride // 2, self.config.patch) if mirrored else 0

    def _embed(
        self, t: Tensor, conditioning: Conditioning
    ) -> tuple[Tensor, list[Tensor | None], Tensor | None]:
        """The time embedding with all that is added to it, each layer's text keys and values, their bias."""
        scaled = t.float() * (1000.0 / self.schedule.num_timesteps)
        embedding = self.time(sinusoidal_embedding(scaled, self.time_width).to(self.dtype))
        if self.config.low_res:
            noise = conditioning.low_res_noise
            noise = torch.zeros_like(scaled) if noise is None else noise
            embedding = embedding + self.low_res_noise(
                sinusoidal_embedding(noise.float() * 1000.0, self.time_width).to(self.dtype)
            )
        text = conditioning.text
        if text is None or not self.config.text_width:
            return F.silu(embedding), [None] * len(self.attention_layers()), None
        real = text.token_mask[:, :, None].to(self.dtype)
        pooled = (text.states.to(self.dtype) * real).sum(1) / real.sum(1).clamp(min=1)
        embedding = embedding + self.text_pool(pooled)
        kv: Sequence[Tensor | None] = text.keys_values or [
            layer.project_text(text.states.to(self.dtype)) for layer in self.attention_layers()
        ]
        # A finite bias: a prompt of padding only must not make a row of minus infinities.
        bias = torch.where(text.token_mask, 0.0, -1e4).to(self.dtype)[:, None, None, :]
        return F.silu(embedding), list(kv), bias

    def _stem(self, x_t: Tensor, conditioning: Conditioning) -> Tensor:
        batch, _, height, width = x_t.shape
        parts = [x_t, *(known_parts(conditioning, x_t) if self.config.known else [])]
        if self.config.drawing:
            drawing = conditioning.drawing
            parts.append(x_t.new_zeros(batch, 1, height, width) if drawing is None else drawing)
        if self.config.low_res:
            assert conditioning.low_res is not None, "an upsampler needs a low-resolution image"
            parts.append(enlarged(conditioning.low_res, x_t, "bicubic"))
        x = torch.cat([part.to(x_t.dtype) for part in parts], dim=1)
        if margin := self._margin():
            x = F.pad(x, (margin,) * 4, mode="reflect")
        return self.stem(_unshuffled(x.to(self.dtype), self.config.patch))


def _unshuffled(x: Tensor, patch: int) -> Tensor:
    """``F.pixel_unshuffle`` into channels-last order, in one copy."""
    batch, channels, height, width = x.shape
    cells = x.reshape(batch, channels, height // patch, patch, width // patch, patch)
    cells = cells.permute(0, 2, 4, 1, 3, 5).reshape(batch, height // patch, width // patch, -1)
    return cells.permute(0, 3, 1, 2)


def _merge(branches: Sequence[Conditioning]) -> Conditioning:
    """Stack branches along the batch, filling "nothing given" where one branch lacks what another has."""
    if len(branches) == 1:
        return branches[0]
    return replace(stacked(branches), text=_merge_text([branch.text for branch in branches]))


def _merge_text(texts: Sequence[TextStates | None]) -> TextStates | None:
    given = next((text for text in texts if text is not None), None)
    if given is None:
        return None
    absent = replace(given, token_mask=torch.zeros_like(given.token_mask))
    filled = [absent if text is None else text for text in texts]
    length = max(text.states.shape[1] for text in filled)
    layers = None
    if given.keys_values is not None:
        layers = tuple(
            torch.cat([_pad_tokens(kv, 3, length) for kv in layer], dim=1)
            for layer in zip(*(text.keys_values or () for text in filled), strict=True)
        )
    return TextStates(
        states=torch.cat([_pad_tokens(text.states, 1, length) for text in filled]),
        token_mask=torch.cat([_pad_tokens(text.token_mask, 1, length) for text in filled]),
        keys_values=layers,
    )


def _pad_tokens(tensor: Tensor, dim: int, length: int) -> Tensor:
    missing = length - tensor.shape[dim]
    if missing == 0:
        return tensor
    shape = [*tensor.shape[:dim], missing, *tensor.shape[dim + 1 :]]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim=dim)
