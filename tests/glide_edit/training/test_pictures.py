"""What one looks at while a network trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from glide_edit.models import load_model
from glide_edit.training.log import LOG_NAME, loss_plot
from glide_edit.training.run import run
from glide_edit.training.settings import TrainSettings


@pytest.mark.parametrize("stage", ["base", "upsampler"])
def test_pictures_to_look_at_are_made(
    stage: Any, settings: TrainSettings, request: pytest.FixtureRequest
) -> None:
    config = request.getfixturevalue(f"{stage}_config")
    run(replace(settings, stage=stage, network=config, steps=3, sample_seconds=0.0))
    samples = sorted((settings.out / "samples").iterdir())
    assert [path.name for path in samples] == ["0000001.png", "0000002.png", "0000003.png"]
    size = (2 * 2 * 16, 6 * 2 * 16, 3) if stage == "base" else (3 * 32, 6 * 32, 3)
    sheet = cv2.imread(str(samples[-1]))
    assert sheet is not None
    assert sheet.shape == size
    assert sheet.std() > 1
    assert (settings.out / "loss.png").exists()


def test_a_network_without_text_can_be_trained(settings: TrainSettings) -> None:
    assert settings.network is not None
    outcome = run(replace(settings, steps=1, network=replace(settings.network, text_width=0)))
    assert load_model(outcome.model).text_encoder is None


def test_the_loss_is_plotted(tmp_path: Path) -> None:
    log, plot = tmp_path / LOG_NAME, tmp_path / "loss.png"
    loss_plot(log, plot)
    assert not plot.exists()
    lines = [json.dumps({"views": 10 * k, "loss": 1 / (k + 1)}) for k in range(120)]
    log.write_text("\n".join(lines) + "\n")
    loss_plot(log, plot)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []
