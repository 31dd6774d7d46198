"""Guidance by CLIP: the gradient towards a better fit of picture and prompt, as a score for ``CFGDenoiser``.

A CLIP says how likely a prompt is for a picture: logit_scale * cosine of their embeddings is the logarithm of
that, up to a constant. ``NoisedClipScore`` asks a CLIP that was trained on noisy pictures and takes the
gradient at x_t itself (GLIDE, section 2.4). ``ClipScore`` asks any other, which can only read the clean
picture that the network predicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from glide_edit.diffusion.noise import noise_for
from glide_edit.diffusion.schedule import Schedule, per_image
from glide_edit.errors import InputError
from glide_edit.networks.noised_clip import NoisedCLIP
from glide_edit.networks.open_clip import fit_square
from glide_edit.text.encoder import Tokenizer

CUTS_STAGE = -1
"""What cuts are drawn under where noise has the number of its stage: no network has this one."""

_AT_ONCE = 8
"""How many cuts one backward pass is for: what the pass needs of memory grows with it."""


class PictureJudge(Protocol):
    """What ``ClipScore`` needs of a CLIP: ``OpenCLIP`` has it."""

    @property
    def size(self) -> int: ...

    @property
    def logit_scale(self) -> float: ...

    def image_embeddings(self, pictures: Tensor) -> Tensor:
        """(N, 3, size, size) in [-1, 1] -> (N, E), unit; differentiable."""
        ...


@dataclass(frozen=True, eq=False)
class CleanJudge:
    """A noised CLIP that is only shown clean pictures, as if at t = 0: a ``PictureJudge``."""

    clip: NoisedCLIP
    tokenizer: Tokenizer

    @property
    def size(self) -> int:
        return self.clip.config.image_size

    @property
    def logit_scale(self) -> float:
        return self.clip.logit_scale

    def image_embeddings(self, pictures: Tensor) -> Tensor:
        """As ``PictureJudge``; of a picture that is not square the middle is read."""
        return self.clip.image_embeddings(fit_square(pictures, self.size), pictures.new_zeros(len(pictures)))

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """(B prompts) -> (B, E) float32, unit, without gradients."""
        return prompt_embeddings(self.clip, self.tokenizer, prompts)


def prompt_embeddings(clip: NoisedCLIP, tokenizer: Tokenizer, prompts: Sequence[str]) -> Tensor:
    """(B prompts) -> (B, E) on the network's device, unit, without gradients."""
    tokens = tokenizer.encode(prompts)
    with torch.no_grad():
        return clip.text_embeddings(tokens.ids.to(clip.device), tokens.token_mask.sum(1).to(clip.device))


@dataclass(frozen=True, eq=False)
class NoisedClipScore:
    """A ``ScoreFn``: the gradient of scale * logit_scale * cosine at x_t, as published.

    ``text`` is (B, E), or (1, E) for all pictures alike: see ``prompt_embeddings``. ``interval`` is the part
    of the noise axis where CLIP guides, as ``CFGDenoiser`` has: (low, high), fractions t / (T-1), None for
    everywhere. Elsewhere the score is 0, and no picture is read.

    Raises:
        InputError: a scale that is not a number, or an interval not within 0 ... 1.
    """

    clip: NoisedCLIP
    text: Tensor
    scale: float
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check(self.scale, self.interval)

    def __call__(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        score = torch.zeros_like(x_t)
        inside = _inside(t, self.interval, self.clip.config.timesteps)
        if not inside.any():
            return score
        text = _for_each(self.text, x_t)[inside]
        with torch.enable_grad():
            x = x_t[inside].detach().requires_grad_()
            cosines = self.clip.image_embeddings(x, t[inside]) * text
            (gradient,) = torch.autograd.grad(self.clip.logit_scale * cosines.sum(), x)
        score[inside] = self.scale * gradient
        return score


@dataclass(frozen=True, eq=False)
class ClipScore:
    """A ``ScoreFn``: the gradient of scale * logit_scale * cosine at x0, taken to x_t.

    The cosine is the mean over square cuts of x0, each of a random place and size, half of them mirrored, so
    that the picture as a whole has to fit, not one arrangement of pixels. The noise in x_t is held fixed, so
    that d x0 / d x_t = 1 / sqrt(alpha_bar), and the network is not differentiated.

    ``text`` and ``interval`` are those of ``NoisedClipScore``. Near pure noise x0 is a guess and the factor
    exceeds every measure, hence the interval's end at 0.8, where it is 3.2 on the cosine schedule. Image k's
    cuts follow from ``seeds[k]`` and t alone. ``smallest`` is the least side of a cut, a fraction of the
    picture's shorter side. ``flips`` should be off where prompts tell left from right.

    Raises:
        InputError: a scale that is not a number, an interval not within 0 ... 1, no cuts, or a smallest cut
            that is not in (0, 1].
    """

    clip: PictureJudge
    text: Tensor
    schedule: Schedule
    seeds: tuple[int, ...]
    scale: float
    cuts: int = 16
    interval: tuple[float, float] | None = (0.0, 0.8)
    smallest: float = 0.5
    flips: bool = True

    def __post_init__(self) -> None:
        _check(self.scale, self.interval)
        if self.cuts < 1:
            raise InputError(f"Guidance by CLIP needs 1 cut or more, not {self.cuts}.")
        if not 0.0 < self.smallest <= 1.0:
            raise InputError(f"The smallest cut must be a fraction in (0, 1], not {self.smallest}.")

    def __call__(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        assert len(self.seeds) == len(x0), "one seed an image"
        score = torch.zeros_like(x0)
        inside = _inside(t, self.interval, self.schedule.num_timesteps)
        if not inside.any():
            return score
        rows = inside.nonzero()[:, 0].tolist()
        windows = [self._windows(self.seeds[row], float(t[row]), x0) for row in rows]
        gradient = self._gradient(x0[inside], windows, _for_each(self.text, x0)[inside])
        factor = self.scale * self.clip.logit_scale / self.schedule.alpha_bar(t[inside]).sqrt()
        score[inside] = per_image(factor, gradient).to(gradient.dtype) * gradient
        return score

    def _gradient(self, x0: Tensor, windows: Sequence[Sequence[_Window]], text: Tensor) -> Tensor:
        """The gradient of each picture's mean cosine at x0, a few cuts at a time."""
        cuts = [(row, window) for row, of_image in enumerate(windows) for window in of_image]
        total = torch.zeros_like(x0)
        with torch.enable_grad():
            leaf = x0.detach().requires_grad_()
            for start in range(0, len(cuts), _AT_ONCE):
                some = cuts[start : start + _AT_ONCE]
                pictures = torch.cat(
                    [window.cut(leaf[row : row + 1], self.clip.size) for row, window in some]
                )
                cosines = self.clip.image_embeddings(pictures) * text[[row for row, _ in some]]
                total += torch.autograd.grad(cosines.sum(), leaf)[0]
        return total / self.cuts

    def _windows(self, seed: int, t: float, x0: Tensor) -> list[_Window]:
        """An image's cuts at a time."""
        height, width = x0.shape[2:]
        shorter = min(height, width)
        # Times closer to each other than this share their cuts, which does no harm.
        normal = noise_for(seed, CUTS_STAGE, 0, round(t * 1024), (self.cuts, 4))
        windows = []
        for size, down, right, turn in torch.special.ndtr(normal).tolist():
            side = max(1, round(shorter * (self.smallest + (1 - self.smallest) * size)))
            top, left = round(down * (height - side)), round(right * (width - side))
            windows.append(_Window(top, left, side, self.flips and turn < 0.5))
        return windows


@dataclass(frozen=True)
class _Window:
    """A square of a picture, in pixels; ``flip`` mirrors it left to right."""

    top: int
    left: int
    side: int
    flip: bool

    def cut(self, picture: Tensor, size: int) -> Tensor:
        """(1, 3, H, W) -> (1, 3, size, size)."""
        square = picture[:, :, self.top : self.top + self.side, self.left : self.left + self.side]
        return fit_square(square.flip(3) if self.flip else square, size)


def _inside(t: Tensor, interval: tuple[float, float] | None, num_timesteps: int) -> Tensor:
    """(B,) bool, whether each picture's time lies in the interval."""
    if interval is None:
        return torch.ones_like(t, dtype=torch.bool)
    fraction = t / max(1, num_timesteps - 1)
    return (fraction >= interval[0]) & (fraction <= interval[1])


def _for_each(text: Tensor, pictures: Tensor) -> Tensor:
    assert len(text) in (1, len(pictures)), "one prompt an image, or one for all"
    return text.expand(len(pictures), -1)


def _check(scale: float, interval: tuple[float, float] | None) -> None:
    if not math.isfinite(scale):
        raise InputError(f"The scale of guidance by CLIP must be a number, not {scale}.")
    if interval is not None and not 0.0 <= interval[0] <= interval[1] <= 1.0:
        raise InputError(f"The interval of guidance by CLIP must be 0 <= low <= high <= 1, not {interval}.")
