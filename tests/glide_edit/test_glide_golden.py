"""Our samplers and guidance walk where the published code walks with the same networks, step by step."""

from dataclasses import replace

import torch

from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.ddpm import ddpm
from glide_edit.diffusion.schedule import timesteps
from glide_edit.guidance.cfg import CFGDenoiser
from glide_edit.guidance.threshold_and_paste import PasteKnown, StaticThreshold, X0Transform
from tests.glide_edit import golden, golden_unets

GOLDEN = golden.load()
TOLERANCE = 1e-4


def test_guided_ddpm_inpainting() -> None:
    unet, text = golden_unets.networks("base_inpaint")
    given = golden_unets.condition("base_inpaint", text)
    assert given.known is not None
    assert given.keep_mask is not None
    # Published code pastes before it clips. Pixels are in [-1, 1], so that the order does not matter.
    assert given.known.abs().max() <= 1
    shape = GOLDEN["base_inpaint.in.tokens"].shape
    empty = text(torch.full(shape, golden_unets.END_TOKEN), torch.zeros(shape, dtype=torch.bool))
    scale = float(GOLDEN["ddpm.scale"])
    denoiser = CFGDenoiser(
        unet,
        [(given, scale), (replace(given, text=empty), 1 - scale)],
        x0_transform=X0Transform(StaticThreshold(), PasteKnown(given.known, given.keep_mask)),
    )
    noise = GOLDEN["ddpm.noise"]
    steps = ddpm(denoiser, GOLDEN["ddpm.x_T"], timesteps(unet.schedule, "10"), lambda index: noise[index])
    ours = torch.stack([step.x for step in steps])
    assert golden.relative_error(ours, GOLDEN["ddpm.trajectory"]) < TOLERANCE


def test_ddim_upsampling() -> None:
    unet, text = golden_unets.networks("upsample")
    denoiser = CFGDenoiser(
        unet, [(golden_unets.condition("upsample", text), 1.0)], x0_transform=X0Transform(StaticThreshold())
    )

    def no_noise(index: int) -> torch.Tensor:
        raise AssertionError("DDIM at eta 0 draws no noise")

    steps = ddim(denoiser, GOLDEN["ddim.x_T"], timesteps(unet.schedule, "fast27"), no_noise)
    ours = torch.stack([step.x for step in steps])
    assert golden.relative_error(ours, GOLDEN["ddim.trajectory"]) < TOLERANCE
