"""The sheet of samples that one looks at while a network trains."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.schedule import timesteps
from glide_edit.errors import TrainingError
from glide_edit.guidance import Branch, CFGDenoiser, StaticThreshold, X0Transform
from glide_edit.images import from_tensor
from glide_edit.sampling import SampleTask, sampled
from glide_edit.training.batches import shrink
from glide_edit.training.sources import Source
from glide_edit.training.training_module import TrainingModule

PROMPTS = (
    "a red ball on grass",
    "a blue car on sand",
    "a yellow mug on wood",
    "a purple house on snow",
    "a shiny green mushroom on marble",
    "a white snowman on snow at night",
    "an orange rocket on a checkered floor",
    "a red cube to the left of a blue ball on wood",
    "a green tree and a red car on grass",
    "a metal black ring on sand at sunset",
    "a pink cone to the right of a yellow cylinder on marble",
    "a cyan rocket on grass at night",
)

GUIDANCE = 3.0


def sample_sheet(
    module: TrainingModule,
    source: Source,
    prompts: Sequence[str],
    seed: int,
    path: Path,
    device: torch.device,
) -> None:
    """Base: twelve prompts. Upsampler: low resolution, what was made of it, and the truth, six times.

    Raises:
        TrainingError: the sheet cannot be written.
    """
    if module.network.config.low_res:
        rows = _upsampled(module, source, seed, device)
    else:
        chosen = list(islice(cycle(prompts), 12))
        pictures = [_enlarged(picture) for picture in to_uint8(_drawn(module, chosen, seed, device))]
        rows = [np.concatenate(pictures[k : k + 6], axis=1) for k in (0, 6)]
    write_sheet(np.concatenate(rows), path)


def sheet_path(out: Path, step: int) -> Path:
    """Where a run's sheet of samples of that step goes; its folder is made."""
    path = out / "samples" / f"{step:07d}.png"
    path.parent.mkdir(exist_ok=True)
    return path


def write_sheet(sheet: NDArray[np.uint8], path: Path) -> None:
    """Raises TrainingError where the picture cannot be written."""
    temporary = path.with_suffix(".tmp.png")
    if not cv2.imwrite(str(temporary), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise TrainingError(f"{path} cannot be written: make room, and repeat the command to go on.")
    temporary.replace(path)


def _drawn(module: TrainingModule, prompts: list[str], seed: int, device: torch.device) -> Tensor:
    branches: list[Branch] = [(Conditioning(), 1.0)]
    if module.transformer is not None and module.tokenizer is not None:
        tokens = module.tokenizer.encode(prompts)
        with torch.no_grad():
            text = module.transformer(tokens.ids.to(device), tokens.token_mask.to(device))
        branches = [(Conditioning(text=text), GUIDANCE), (Conditioning(), 1 - GUIDANCE)]
    size = module.network.config.image_size
    noise = NoiseSource(tuple(range(seed, seed + len(prompts))), 0, 0, (3, size, size), device)
    return _sampled(module, branches, noise, steps=24)


def _upsampled(
    module: TrainingModule, source: Source, seed: int, device: torch.device
) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    images = np.stack([source.draw(rng).image for _ in range(6)])
    truth = torch.from_numpy(images).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1
    low_res = shrink(truth, truth.shape[-1] // 4)
    noise = NoiseSource(tuple(range(seed, seed + len(truth))), 1, 0, tuple(truth.shape[1:]), device)
    made = _sampled(module, [(Conditioning(low_res=low_res), 1.0)], noise, steps=12)
    enlarged = torch.nn.functional.interpolate(low_res, truth.shape[-2:], mode="bicubic")
    return [np.concatenate(to_uint8(row), axis=1) for row in (enlarged, made, truth)]


def _sampled(module: TrainingModule, branches: Sequence[Branch], noise: NoiseSource, steps: int) -> Tensor:
    with torch.no_grad():  # here the text is prepared for the network
        denoiser = CFGDenoiser(module.network, branches, x0_transform=X0Transform(StaticThreshold()))
    times = timesteps(module.schedule, steps)
    return sampled(SampleTask(denoiser, "ddim", times, noise.start(), noise))


def to_uint8(pictures: Tensor) -> list[NDArray[np.uint8]]:
    return list(from_tensor(pictures.nan_to_num()))


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
