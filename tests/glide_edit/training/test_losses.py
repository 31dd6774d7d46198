"""The objective against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glide_edit.diffusion.schedule import Schedule
from glide_edit.training.losses import min_snr_weight, pixel_weight, stratified_times, weighted_error


@pytest.mark.parametrize("prediction", ["v", "eps"])
def test_min_snr_weights_are_those_of_the_paper(prediction: str) -> None:
    schedule = Schedule.cosine()
    t = torch.tensor([0, 1, 100, 300, 500, 800, 998])
    alpha_bar = schedule.alphas_bar[t.numpy()]
    snr = alpha_bar / (1 - alpha_bar)
    assert snr.min() < 5 < snr.max()
    expected = np.minimum(snr, 5) / (snr + 1 if prediction == "v" else snr)
    np.testing.assert_allclose(min_snr_weight(schedule, t, prediction).numpy(), expected, rtol=1e-5)


def test_weighted_v_error_is_the_clipped_error_of_the_clean_picture() -> None:
    """An error d in v is an error sqrt(1 - alpha_bar) d in x0, so that min-SNR counts min(SNR, 5) of it."""
    schedule, t = Schedule.cosine(), torch.tensor([40, 400, 900])
    alpha_bar = schedule.alpha_bar(t)
    snr = alpha_bar / (1 - alpha_bar)
    in_x0 = (1 - alpha_bar) * 0.1**2
    torch.testing.assert_close(
        min_snr_weight(schedule, t, "v").double() * 0.1**2, snr.clamp(max=5) * in_x0, rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("count", [1, 7, 32])
def test_times_fall_one_into_each_part_of_the_axis(count: int) -> None:
    means = []
    for seed in range(200):
        times = stratified_times(count, 1000, torch.Generator().manual_seed(seed))
        assert times.min() >= 0
        assert times.max() <= 999
        parts = (times / 999 * count).floor().long()
        assert sorted(parts.tolist()) == list(range(count))
        means.append(times[0].item())
    # The first of a batch is not always the cleanest: its mean is that of the whole axis.
    assert np.mean(means) == pytest.approx(499.5, abs=4 * 999 / np.sqrt(12 * 200))


def test_pixel_weights_are_normalised_over_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    output, target = torch.randn(2, 3, 3, 4, 4, generator=generator)
    weight = torch.rand(3, 1, 4, 4, generator=generator) + 0.1
    errors = weighted_error(output, target, weight)
    assert errors.shape == (3,)
    torch.testing.assert_close(weighted_error(output, target, 7 * weight), errors)
    square = (output - target).square().mean(dim=1, keepdim=True)
    torch.testing.assert_close(errors.mean(), (weight * square).sum() / weight.sum())
    uniform = weighted_error(output, target, torch.full((3, 1, 4, 4), 3.0))
    torch.testing.assert_close(uniform, (output - target).square().mean(dim=(1, 2, 3)))


def test_objects_count_more_as_the_noise_shows_them_and_known_pixels_less() -> None:
    foreground = torch.tensor([0.0, 1.0, 0.0, 1.0]).reshape(1, 1, 2, 2).repeat(2, 1, 1, 1)
    keep_mask = torch.tensor([0.0, 0.0, 1.0, 1.0]).reshape(1, 1, 2, 2).repeat(2, 1, 1, 1)
    weight = pixel_weight(foreground, keep_mask, torch.tensor([1.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(weight[0].flatten(), torch.tensor([1.0, 3.0, 0.2, 0.6]))
    torch.testing.assert_close(weight[1].flatten(), torch.tensor([1.0, 1.0, 0.2, 0.2]))
    half = pixel_weight(foreground[:1], keep_mask[:1], torch.tensor([0.5]))
    torch.testing.assert_close(half.flatten(), torch.tensor([1.0, 1.5, 0.2, 0.3]))
