"""What one looks at while a network trains: the loss curve and a sheet of samples."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.schedule import timesteps
from glide_edit.guidance import Finish, Guided, StaticThreshold, classifier_free
from glide_edit.training.batches import shrink
from glide_edit.training.loop import Trainee
from glide_edit.training.sources import Source

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


def sample_sheet(trainee: Trainee, source: Source, seed: int, path: Path, device: torch.device) -> None:
    """Base: twelve prompts. Upsampler: low resolution, what was made of it, and the truth, six times."""
    if trainee.network.config.low_res:
        rows = _upsampled(trainee, source, seed, device)
    else:
        pictures = _to_uint8(_from_prompts(trainee, seed, device))
        pictures = [cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for p in pictures]
        rows = [np.concatenate(pictures[k : k + 6], axis=1) for k in (0, 6)]
    temporary = path.with_suffix(".tmp.png")
    cv2.imwrite(str(temporary), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    temporary.replace(path)


def _from_prompts(
    trainee: Trainee, seed: int, device: torch.device, steps: int = 24, scale: float = 3.0
) -> Tensor:
    assert trainee.transformer is not None and trainee.tokenizer is not None
    tokens = trainee.tokenizer.encode(PROMPTS)
    with torch.no_grad():
        text = trainee.transformer(tokens.ids.to(device), tokens.token_mask.to(device))
        branches = classifier_free(Conditioning(text=text), Conditioning(), scale)
        denoiser = Guided(trainee.network, branches, finish=Finish(StaticThreshold()))
    size = trainee.network.config.image_size
    noise = NoiseSource(tuple(range(seed, seed + len(PROMPTS))), 0, 0, (3, size, size), device)
    return _last(denoiser, noise, steps, trainee)


def _upsampled(trainee: Trainee, source: Source, seed: int, device: torch.device) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    images = np.stack([source.draw(rng).image for _ in range(6)])
    truth = torch.from_numpy(images).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1
    low_res = shrink(truth, truth.shape[-1] // 4)
    level = torch.full((len(truth),), 0.1, device=device)
    denoiser = Guided(
        trainee.network,
        [(Conditioning(low_res=low_res, low_res_noise=level), 1.0)],
        finish=Finish(StaticThreshold()),
    )
    noise = NoiseSource(tuple(range(seed, seed + len(truth))), 1, 0, tuple(truth.shape[1:]), device)
    made = _last(denoiser, noise, 12, trainee)
    enlarged = torch.nn.functional.interpolate(low_res, truth.shape[-2:], mode="bicubic")
    return [np.concatenate(_to_uint8(row), axis=1) for row in (enlarged, made, truth)]


def _last(denoiser: Guided, noise: NoiseSource, steps: int, trainee: Trainee) -> Tensor:
    picture = noise.start()
    for step in ddim(denoiser, picture, timesteps(trainee.schedule, steps), noise):
        picture = step.x
    return picture


def _to_uint8(pictures: Tensor) -> list[NDArray[np.uint8]]:
    scaled = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).cpu().numpy())


def loss_plot(log: Path, path: Path) -> None:
    """Draw the loss of a JSONL log against views; nothing where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if len(records) < 2:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    views = [record["views"] for record in records]
    losses = np.array([record["loss"] for record in records])
    width = max(1, len(losses) // 50)
    axes.plot(views, losses, linewidth=0.5, alpha=0.4)
    if len(losses) > width:
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        axes.plot(views[width - 1 :], smooth, linewidth=1.5)
    axes.set(xlabel="views", ylabel="weighted loss", yscale="log", title=log.parent.name)
    axes.grid(alpha=0.3)
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)
