"""Detail at the photograph's own resolution, where a frame is larger than the model's picture.

The last stage, an upsampler, enlarges the picture before it in tiles over what is repainted, with the
photograph's own pixels around it, in one or several passes. So a repaint is as sharp as its surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.codecs import encode_known
from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import START
from glide_edit.operations.frame import Known, TiledPass
from glide_edit.pipeline.stage import LOW_RES_NOISE, LoadedStage, Row, low_res_of
from glide_edit.pipeline.stage_settings import StageSettings
from glide_edit.pipeline.tiles import CanvasNoise, TiledDenoiser
from glide_edit.sampling import SampleTask


@dataclass(frozen=True, eq=False)
class PassRun:
    """One pass of one picture: ``before`` (1, 3, h, w) in [-1, 1] shows the same as the frame."""

    loaded: LoadedStage
    row: Row
    tiled: TiledPass
    before: Tensor
    factor: int

    @cached_property
    def known(self) -> Known:
        """The known picture and its keep-mask at the pass's size; an enlargement knows nothing."""
        device, size = self.loaded.device, self.tiled.size
        if self.row.inputs.known is None:
            return torch.zeros(1, 3, *size, device=device), torch.zeros(1, 1, *size, device=device)
        picture, keep_mask = self.row.inputs.known(size[0])
        return picture.to(device), keep_mask.to(device)

    @cached_property
    def enlarged(self) -> Tensor:
        """The picture before at the pass's size, (1, 3, H, W), with the known pixels in it."""
        picture, keep_mask = self.known
        smooth = F.interpolate(self.before, self.tiled.size, mode="bicubic", align_corners=False).clamp(-1, 1)
        return picture * keep_mask + smooth * (1 - keep_mask)

    def task(self) -> SampleTask:
        settings = self.loaded.settings([self.row])
        codec, box = self.loaded.stage.codec, self.tiled.box
        assert self._multiple % codec.factor == 0, "a stride is a multiple of the codec's factor"
        cells = box.in_cells(codec.factor)
        noise = self._noise((codec.channels, cells.height, cells.width), codec.factor)
        init = self.enlarged
        if self.tiled.from_init:
            assert self.row.inputs.init_image is not None
            init = self.row.inputs.init_image(self.tiled.size[0]).to(self.loaded.device)
        eps = noise(START) * settings.preset.temperature
        begin = torch.full((1,), self.tiled.timesteps[0], device=self.loaded.device)
        x_T = self.loaded.stage.schedule.add_noise(codec.encode(self._cut(init)), eps, begin)
        return SampleTask(
            denoiser=self._denoiser(settings),
            sampler=settings.preset.sampler,
            timesteps=self.tiled.timesteps,
            x_T=x_T,
            noise=noise,
            stage=self.tiled.label,
            seeds=(self.row.seed,),
            bounded=codec.bounded,
        )

    def whole(self, x0: Tensor) -> Tensor:
        """The box ``x0``, as the stage denoises it, in the enlarged picture: (1, 3, H, W)."""
        whole = padded(self.enlarged, self._multiple).clone()
        self.tiled.box.of(whole).copy_(self.loaded.stage.codec.decode(x0))
        return whole[..., : self.tiled.size[0], : self.tiled.size[1]]

    def result(self, x0: Tensor) -> Tensor:
        """``whole`` after the last step, refined as the operation asks."""
        refine = self.row.inputs.refine
        whole = self.whole(x0)
        return whole if refine is None else refine(whole, self.enlarged, self.known[1])

    def forget(self) -> None:
        """Drop the pictures of the pass's size; they are made anew if a step is looked at again."""
        for name in ("known", "enlarged"):
            self.__dict__.pop(name, None)

    @property
    def _multiple(self) -> int:
        return lcm(self.loaded.stage.spec.config.stride, self.factor)

    def _denoiser(self, settings: StageSettings) -> TiledDenoiser:
        """Of the box: every tile is told of its own part."""
        stage, factor, box = self.loaded.stage, self.factor, self.tiled.box
        codec = stage.codec
        known, keep_mask = encode_known(codec, *(self._cut(each) for each in self.known))
        low_res = box.of(self._low_res(), factor).contiguous()
        grain = self._noise((3, *low_res.shape[2:]), factor)
        low_res, level = low_res_of(low_res, settings.preset, lambda: grain(LOW_RES_NOISE))
        denoisers = []
        for tile in self.tiled.tiles:
            part = tile.of(known, codec.factor).contiguous(), tile.of(keep_mask, codec.factor).contiguous()
            condition = Conditioning(low_res=tile.of(low_res, factor).contiguous(), low_res_noise=level)
            if stage.spec.config.known:
                condition = replace(condition, known=part[0], keep_mask=part[1])
            denoisers.append(self.loaded.guided(condition, [settings.branches], settings.preset, part))
        cells = (tile.in_cells(codec.factor) for tile in self.tiled.tiles)
        tiles = list(zip(cells, denoisers, strict=True))
        return TiledDenoiser(stage.schedule, tiles, codec.encode(self._cut(self.enlarged)))

    def _noise(self, shape: tuple[int, int, int], scale: int = 1) -> CanvasNoise:
        (y, x), box = self.tiled.origin, self.tiled.box
        return CanvasNoise(
            seed=self.row.seed,
            stage=self.loaded.index + 1 + self.tiled.number,
            shape=shape,
            cell=self.loaded.stage.image_size // scale,
            device=self.loaded.device,
            first=self.tiled.first_cell,
            corner=((y + box.y) // scale, (x + box.x) // scale),
        )

    def _cut(self, tensor: Tensor) -> Tensor:
        """The box of (1, C, H, W)."""
        return self.tiled.box.of(padded(tensor, self._multiple)).contiguous()

    def _low_res(self) -> Tensor:
        """The picture before at a ``factor``-th of the pass's size, padded to what tiles need."""
        before, (height, width), factor = self.before, self.tiled.size, self.factor
        if height % factor or width % factor:
            # A size between two pixels: by way of the full size, so that nothing is shifted.
            full = F.interpolate(before, (height, width), mode="bicubic", align_corners=False)
            return F.avg_pool2d(padded(full, self._multiple), factor).clamp(-1, 1)
        small = (height // factor, width // factor)
        if small[0] < before.shape[2]:
            resized = F.interpolate(before, small, mode="area")
        else:
            resized = F.interpolate(before, small, mode="bicubic", align_corners=False)
        return padded(resized, self._multiple // factor).clamp(-1, 1)


def padded(tensor: Tensor, multiple: int) -> Tensor:
    """(1, C, H, W) with its last row and column repeated until both sides are multiples."""
    rows, columns = ((-length) % multiple for length in tensor.shape[2:])
    return F.pad(tensor, (0, columns, 0, rows), mode="replicate") if rows or columns else tensor
