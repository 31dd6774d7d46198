"""A CLIP that reads noisy pictures: GLIDE's guide for sampling (arXiv 2112.10741, sections 2.4 and 4.4).

Two pre-norm transformers: the image encoder sees patches of x_t behind one token that tells it the time, the
text encoder is causal. What the published code calls a picture in 0 ... 255 is [-1, 1] here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.diffusion.schedule import working_dtype
from glide_edit.errors import InputError

MEAN = (122.77093945, 116.74601272, 104.09373519)
STD = (68.50053285, 66.63215831, 70.32316309)
"""Of the training pictures' channels, in 0 ... 255, as in the published code."""


@dataclass(frozen=True)
class NoisedCLIPConfig:
    """The shape of a noised CLIP; the defaults are GLIDE's released one.

    ``patch`` must divide ``image_size``, and heads their widths. ``timesteps`` is T of the schedule it was
    trained on. ``logit_scale`` multiplies the cosine of two embeddings into the logarithm of a likelihood.

    Raises InputError if no network can be built like this.
    """

    image_size: int = 64
    patch: int = 4
    image_width: int = 768
    image_layers: int = 12
    image_heads: int = 12
    vocabulary: int = 65536
    context: int = 77
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    embedding_width: int = 512
    timesteps: int = 1000
    logit_scale: float = 100.0

    def __post_init__(self) -> None:
        numbers = {name: value for name, value in vars(self).items() if name != "logit_scale"}
        small = [name for name, value in numbers.items() if value < 1]
        if small:
            raise InputError(f"{' and '.join(small)} of a CLIP must be 1 or more.")
        if not 0.0 < self.logit_scale < math.inf:
            raise InputError(f"The logit scale of a CLIP must be more than 0, not {self.logit_scale}.")
        if self.image_size % self.patch:
            raise InputError(f"image_size must be a multiple of {self.patch}, not {self.image_size}.")
        for width, heads in ((self.image_width, self.image_heads), (self.text_width, self.text_heads)):
            if width % heads:
                raise InputError(f"A CLIP's width, {width}, must be a multiple of its {heads} heads.")


class NoisedCLIP(nn.Module):
    """Pictures at any noise level and prompts, in one space of unit vectors.

    Weights may be float32 or bfloat16. The sums that run through the layers, and all normalising, are float32
    either way: in bfloat16 only matrix products round. Trainable as it is, from scratch as well.
    """

    def __init__(self, config: NoisedCLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.image = ImageEncoder(config)
        self.text = CausalTextEncoder(config)

    @property
    def logit_scale(self) -> float:
        return self.config.logit_scale

    @property
    def dtype(self) -> torch.dtype:
        return self.image.patches.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.image.patches.weight.device

    def image_embeddings(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, 3, S, S), S the configured size, clean pictures in [-1, 1]; t (B,) -> (B, E) float32, unit.

        t is on the training index axis. The network has one learned vector for each index, so that times
        between two are rounded to the nearest.

        Raises InputError if the pictures are of another size.
        """
        size = self.config.image_size
        if x_t.shape[1:] != (3, size, size):
            raise InputError(
                f"This CLIP reads pictures of {size} x {size} pixels, not {x_t.shape[3]} x {x_t.shape[2]}."
            )
        return F.normalize(self.image(x_t, t), dim=-1)

    def text_embeddings(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (B, L) int64, L at most ``context``; lengths (B,), real tokens -> (B, E) float32, unit.

        What comes after a prompt's length is never read. A prompt of no tokens at all, which tokenizers
        without start and end tokens make of "", reads as its first padding token.

        Raises InputError if L is more than the context.
        """
        if ids.shape[1] > self.config.context:
            raise InputError(f"This CLIP reads {self.config.context} tokens at most, not {ids.shape[1]}.")
        return F.normalize(self.text(ids, lengths), dim=-1)


class ImageEncoder(nn.Module):
    """A vision transformer whose first token is the time's; that token's last state is the picture's."""

    def __init__(self, config: NoisedCLIPConfig) -> None:
        super().__init__()
        width = config.image_width
        self.times = nn.Embedding(config.timesteps, width)
        self.patches = nn.Conv2d(3, width, config.patch, stride=config.patch, bias=False)
        self.positions = nn.Parameter(torch.empty(1 + (config.image_size // config.patch) ** 2, width))
        self.norm_in = nn.LayerNorm(width)
        self.blocks = _blocks(config.image_layers, width, config.image_heads)
        self.norm_out = nn.LayerNorm(width)
        self.projection = nn.Linear(width, config.embedding_width, bias=False)
        for embedding in (self.times.weight, self.positions):
            nn.init.normal_(embedding, std=width**-0.5)
        nn.init.normal_(self.patches.weight, std=(2 / (width * config.patch**2)) ** 0.5)
        nn.init.normal_(self.projection.weight, std=width**-0.5)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, 3, S, S) and t (B,) -> (B, E), not normalised."""
        return self.summary(self.tokens(x_t, t))

    def tokens(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, 3, S, S) and t (B,) -> (B, 1 + cells, width): all tokens before the last block.

        The first is the time's, the others are the patches' in reading order.
        """
        stream = working_dtype(self.positions)
        mean, std = (torch.tensor(values, dtype=stream, device=x_t.device) for values in (MEAN, STD))
        pixels = ((x_t.to(stream) + 1) * 127.5 - mean[:, None, None]) / std[:, None, None]
        cells = self.patches(pixels.to(self.patches.weight.dtype)).flatten(2).transpose(1, 2)
        nearest = t.round().long().clamp(0, self.times.num_embeddings - 1)
        x = torch.cat([self.times(nearest)[:, None], cells], dim=1).to(stream) + self.positions
        x = _norm(self.norm_in, x)
        for block in self.blocks[:-1]:
            x = block(x)
        return x

    def summary(self, tokens: Tensor) -> Tensor:
        """What ``tokens`` gave -> (B, E), not normalised."""
        # The last block's other tokens are not used.
        x = self.blocks[-1](tokens, wanted=1)
        return _linear(self.projection, _norm(self.norm_out, x[:, 0]))


class CausalTextEncoder(nn.Module):
    """A causal transformer; the state of a prompt's last real token is the prompt's."""

    def __init__(self, config: NoisedCLIPConfig) -> None:
        super().__init__()
        width = config.text_width
        self.tokens = nn.Embedding(config.vocabulary, width)
        self.positions = nn.Parameter(torch.empty(config.context, width))
        self.blocks = _blocks(config.text_layers, width, config.text_heads)
        self.norm_out = nn.LayerNorm(width)
        self.projection = nn.Linear(width, config.embedding_width, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)
        nn.init.normal_(self.projection.weight, std=width**-0.5)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids (B, L) and lengths (B,) -> (B, E), not normalised."""
        return self.summary(self.states(ids), lengths)

    def states(self, ids: Tensor) -> Tensor:
        """ids (B, L) -> (B, L, width): all tokens after the last block."""
        stream = working_dtype(self.positions)
        x = self.tokens(ids).to(stream) + self.positions[: ids.shape[1]]
        length = ids.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        for block in self.blocks:
            x = block(x, hidden=later)
        return x

    def summary(self, states: Tensor, lengths: Tensor) -> Tensor:
        """What ``states`` gave, lengths (B,) -> (B, E), not normalised."""
        last = (lengths - 1).clamp(min=0)
        return _linear(self.projection, _norm(self.norm_out, states[torch.arange(len(states)), last]))


class _Block(nn.Module):
    """Attention, then two layers on each token, both added to a stream that stays in float32.

    Keys have no bias: it would move all of a query's weights alike.
    """

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        # What is added to the stream is made smaller with depth, as in CLIP (Radford et al. 2021, sec. 2.4).
        added = (2 * layers * width) ** -0.5
        stds = {self.out: added, self.contract: added, self.expand: (2 * width) ** -0.5}
        for linear in (self.query, self.key, self.value, self.out, self.expand, self.contract):
            nn.init.normal_(linear.weight, std=stds.get(linear, width**-0.5))
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, wanted: int | None = None, hidden: Tensor | None = None) -> Tensor:
        """x (B, L, width) float32 -> its first ``wanted`` tokens, or all, in the same form.

        ``hidden`` is (L, L) bool, True where a query (row) must not see a key (column).
        """
        h = _norm(self.norm_attention, x).to(self.query.weight.dtype)
        x = x[:, :wanted] + self._attend(h[:, :wanted], h, hidden)
        h = _norm(self.norm_mlp, x).to(self.expand.weight.dtype)
        return x + self.contract(F.gelu(self.expand(h)))

    def _attend(self, queries: Tensor, h: Tensor, hidden: Tensor | None) -> Tensor:
        q = self._heads(self.query(queries))
        k, v = self._heads(self.key(h)), self._heads(self.value(h))
        # Plain products: guidance needs the backward pass, and that of scaled_dot_product_attention is slow
        # on the CPU (a step of the released network in bfloat16: 0.21 s instead of 0.26 s).
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if hidden is not None:
            weights = weights.masked_fill(hidden, -math.inf)
        return self.out((weights.softmax(dim=-1) @ v).transpose(1, 2).reshape(queries.shape))

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _blocks(layers: int, width: int, heads: int) -> nn.ModuleList:
    return nn.ModuleList(_Block(width, heads, layers) for _ in range(layers))


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """In the precision of x, whatever that of the weights."""
    weight, bias = norm.weight.to(x.dtype), norm.bias.to(x.dtype)
    return F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _linear(linear: nn.Linear, x: Tensor) -> Tensor:
    """One vector a picture or prompt: in the precision of x, which costs nothing here."""
    return F.linear(x, linear.weight.to(x.dtype))
