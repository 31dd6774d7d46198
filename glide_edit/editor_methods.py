"""The operations as methods of ``Editor``. Made by scripts/generate_api.py from the requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from glide_edit.requests import Generate, Inpaint, Outpaint, Remove, Sketch, Upscale, Vary
from glide_edit.requests.inputs import request_of

if TYPE_CHECKING:
    import torch

    from glide_edit.images import PictureLike
    from glide_edit.pipeline.plan import Plan
    from glide_edit.requests import Request
    from glide_edit.results import EditResult, Progress
    from glide_edit.sampling import SampleStep
    from glide_edit.selections import MaskLike


class EditorMethods(ABC):
    """The operations as methods, each with the fields of its request as parameters.

    Pictures may be paths, the bytes of a file, open binary files, PIL images, NumPy arrays or torch tensors,
    (C, H, W) or (1, C, H, W), float in [0, 1] or uint8. Masks may be the same, where white (128 and above)
    is on, or a ``Mask``.

    Every method raises ``InputError`` for a value that cannot be used, ``ImageError`` and ``MaskError`` for a
    picture or mask, and has these parameters beside its own:

    Args:
        prompt: What to draw, in words.
        negative_prompt: What not to draw; a guidance above 1 pushes away from it.
        n: How many pictures to make.
        seed: Seed of the first picture; the others have the seeds after it (None: 0).
        seeds: In place of seed and n, a picture for each of these seeds.
        candidates: Draw this many small pictures, rank them, and finish the best n.
        steps: Steps of the first stage (None: the model's).
        guidance: How strongly to follow the words (classifier-free guidance); 1 is plain (None: the model's).
        sampler: ddpm, ddim or dpm-solver++, for the first stage (None: the model's).
        upsampler_steps: Steps of the upsampler (None: the model's).
        stage_steps: Steps of each stage in order (None: the model's).
        preset: One of the model's own choices of settings; `models info` lists them (None: default).
        clip_guidance: How strongly CLIP pulls the first stage towards the words; 0 is not at all (None: the
            model's).
        clip_cuts: Random crops that a CLIP looks at in each step if it was not trained on noise.
        clip_interval: The part of the noise axis, 0 clean to 1 noise, where CLIP pulls (None: all of it, or 0
            to 0.8 of a CLIP that was not trained on noise).
        callback: Called with every ``Progress``.
        on_step: Called with every ``SampleStep``: the latents and the x0 of each step of a sampler.
        generator: A seed is drawn from it, so that two calls differ; in place of seed and seeds.

    Those that repaint a part of a picture also share:

    Args:
        context_guidance: How strongly to follow the surroundings; 1 is plain, less follows the words more
            (None: 1).
        context_interval: The part of the noise axis, 0 clean to 1 noise, where the context guidance acts
            (None: all of it).
        detail: Draw at the photograph's own resolution where the repaint is larger than the model's picture
            (None: yes, with no more grain than around it).
        match_grain: Give the repaint the grain of what surrounds it (None: yes, but not with the finish hard
            or with detail).
    """

    @abstractmethod
    def run(
        self,
        request: Request | Plan,
        *,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
    ) -> EditResult:
        """Carry out a request or a plan."""

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """A picture from words alone."""
        return self.run(request_of(Generate, locals()), callback=callback, on_step=on_step)

    def inpaint(
        self,
        image: PictureLike,
        mask: MaskLike,
        prompt: str = "",
        *,
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        context_guidance: float | None = None,
        context_interval: tuple[float, float] | None = None,
        grow: int | None = 0,
        protect: MaskLike | None = None,
        context: float | None = None,
        finish: Literal["hard", "membrane", "feather", "clone", "auto"] = "membrane",
        feather: float | None = None,
        detail: bool | None = None,
        match_grain: bool | None = None,
        mask_fill: Literal["noise", "original", "surroundings", "opencv", "patches", "repair"] | None = None,
        backdrop: Literal["auto", "drawn", "filled"] = "auto",
        strength: float | None = None,
        content: str | None = None,  # the old name of mask_fill
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """Repaint the selected part of a picture; with an empty prompt as its surroundings suggest.

        Args:
            image: The picture to edit.
            mask: What to change: a picture of the same size, white = change.
            grow: Grow the selection by this many pixels (None: as far as what is selected shows beyond it, 8
                px at most).
            protect: What never changes, also where grow reaches: white = protect.
            context: The model sees a square this many times as wide as the selection (None: where it is
                best).
            finish: How the repaint is put back; auto takes what leaves the least of an edge.
            feather: Pixels inside the edge over which the finish feather fades in (None: 8).
            mask_fill: What the selection begins from; patches and repair continue what surrounds it (None:
                noise).
            backdrop: What the selection shows beside the thing that was drawn: as drawn, or filled from
                around it; auto: what suits the model.
            strength: Noise added to the mask fill, above 0 to 1 (None: 0.8; to remove by patches 0.25, and by
                repair none).
        """
        return self.run(request_of(Inpaint, locals()), callback=callback, on_step=on_step)

    def outpaint(
        self,
        image: PictureLike,
        prompt: str = "",
        *,
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        context_guidance: float | None = None,
        context_interval: tuple[float, float] | None = None,
        left: int = 0,
        right: int = 0,
        top: int = 0,
        bottom: int = 0,
        aspect: str | None = None,
        detail: bool | None = None,
        match_grain: bool | None = None,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """A larger picture: what lies beyond the sides is drawn, and the picture itself is kept.

        Args:
            image: The picture to edit.
            left: Pixels to add on this side.
            right: Pixels to add on this side.
            top: Pixels to add on this side.
            bottom: Pixels to add on this side.
            aspect: Add evenly on two sides until the picture has this shape, as 16:9.
        """
        return self.run(request_of(Outpaint, locals()), callback=callback, on_step=on_step)

    def remove(
        self,
        image: PictureLike,
        mask: MaskLike,
        *,
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        context_guidance: float | None = None,
        context_interval: tuple[float, float] | None = None,
        grow: int | None = None,
        protect: MaskLike | None = None,
        context: float | None = None,
        finish: Literal["hard", "membrane", "feather", "clone", "auto"] = "feather",
        feather: float | None = None,
        detail: bool | None = None,
        match_grain: bool | None = None,
        mask_fill: Literal["noise", "original", "surroundings", "opencv", "patches", "repair"] | None = None,
        backdrop: Literal["auto", "drawn", "filled"] = "auto",
        strength: float | None = None,
        content: str | None = None,  # the old name of mask_fill
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """Take what is selected out of a picture: it is filled with what surrounds it, so there is no prompt.

        Args:
            image: The picture to edit.
            mask: What to change: a picture of the same size, white = change.
            grow: Grow the selection by this many pixels (None: as far as what is selected shows beyond it, 8
                px at most).
            protect: What never changes, also where grow reaches: white = protect.
            context: The model sees a square this many times as wide as the selection (None: where it is
                best).
            finish: How the repaint is put back; auto takes what leaves the least of an edge.
            feather: Pixels inside the edge over which the finish feather fades in (None: 8).
            mask_fill: What the selection begins from; patches and repair continue what surrounds it (None:
                repair).
            backdrop: What the selection shows beside the thing that was drawn: as drawn, or filled from
                around it; auto: what suits the model.
            strength: Noise added to the mask fill, above 0 to 1 (None: 0.8; to remove by patches 0.25, and by
                repair none).
        """
        return self.run(request_of(Remove, locals()), callback=callback, on_step=on_step)

    def sketch(
        self,
        drawing: PictureLike,
        prompt: str = "",
        *,
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        mode: Literal["auto", "lines", "tone", "both"] = "auto",
        strength: float = 0.5,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """A picture that follows a line drawing: dark lines on light paper, or light on dark.

        Args:
            drawing: A line drawing: dark lines on light paper.
            mode: Follow its lines, its colours spread between them, or both; auto: both if it has colours.
            strength: How far to go from its colours, a share of the noise axis: 0.3 is near, 0.8 far.
        """
        return self.run(request_of(Sketch, locals()), callback=callback, on_step=on_step)

    def upscale(
        self,
        image: PictureLike,
        factor: int = 4,
        *,
        prompt: str = "",
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """The same picture, 2 or 4 times as wide and high, by the upsampler alone.

        Args:
            image: The picture to enlarge.
            factor: How many times as wide and high.
        """
        return self.run(request_of(Upscale, locals()), callback=callback, on_step=on_step)

    def vary(
        self,
        image: PictureLike,
        prompt: str = "",
        *,
        negative_prompt: str | None = None,
        n: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] = (),
        candidates: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        sampler: Literal["ddpm", "ddim", "dpm-solver++"] | None = None,
        upsampler_steps: int | None = None,
        stage_steps: Sequence[int] | None = None,
        preset: str | None = None,
        clip_guidance: float | None = None,
        clip_cuts: int | None = None,
        clip_interval: tuple[float, float] | None = None,
        strength: float = 0.85,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """Another picture like a given one, by SDEdit (Meng et al. 2021, arXiv 2108.01073).

        Args:
            image: The picture to start from.
            strength: How far to go from the picture, a share of the noise axis: 0.7 is near, 0.95 far.
        """
        return self.run(request_of(Vary, locals()), callback=callback, on_step=on_step)
