"""Small networks and small data for the tests of training, on one thread so that runs repeat bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.training.settings import TrainSettings
from glide_edit.training.sources import Item


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which is what runs go by
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base_config() -> EfficientUNetConfig:
    return EfficientUNetConfig(
        image_size=16,
        channels=(32,),
        blocks=(1,),
        attention=(True,),
        head_width=32,
        embedding_width=16,
        text_width=24,
        known=True,
        drawing=True,
    )


@pytest.fixture(scope="session")
def upsampler_config() -> EfficientUNetConfig:
    return EfficientUNetConfig(
        image_size=32,
        channels=(32,),
        blocks=(1,),
        attention=(False,),
        head_width=32,
        embedding_width=16,
        known=True,
        low_res=True,
    )


@dataclass(frozen=True)
class Squares:
    """A square of some colour somewhere on grey, with its mask and its outline; ``count`` of them, or any."""

    size: int
    count: int | None = None

    def draw(self, rng: np.random.Generator) -> Item:
        if self.count is not None:
            rng = np.random.default_rng(int(rng.integers(self.count)))
        top, left = rng.integers(0, self.size // 2, 2)
        window = (slice(top, top + self.size // 3), slice(left, left + self.size // 3))
        inside = np.zeros((self.size, self.size), bool)
        inside[window] = True
        image = np.full((self.size, self.size, 3), 90, np.uint8)
        image[window] = rng.integers(0, 256, 3)
        drawing = np.full((self.size, self.size), 255, np.uint8)
        cv2.rectangle(drawing, (int(left), int(top)), (window[1].stop - 1, window[0].stop - 1), 0, 1)
        return Item(
            image=image,
            caption=lambda seed: "a square on grey",
            objects=(inside,),
            describe=lambda index, seed: "a square",
            foreground=inside,
            drawing=drawing,
        )

    def captions(self) -> list[str]:
        return ["a square on grey", "a square"]


@pytest.fixture(scope="session")
def squares() -> type[Squares]:
    return Squares


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six captioned pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for k in range(6):
        small = rng.integers(0, 256, (3, 3, 3), np.uint8)
        image = cv2.resize(small, (40 + k, 36), interpolation=cv2.INTER_NEAREST)
        assert cv2.imwrite(str(folder / f"{k}.png"), image)
        lines.append(json.dumps({"file_name": f"{k}.png", "text": f"some colours, number {k}"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def settings(pictures: Path, base_config: EfficientUNetConfig, tmp_path: Path) -> TrainSettings:
    """A run of twelve steps on the folder of pictures."""
    return TrainSettings(
        stage="base",
        out=tmp_path / "run",
        data=str(pictures),
        steps=12,
        batch_size=2,
        device="cpu",
        precision="bfloat16",
        network=base_config,
        log_every=1,
    )
