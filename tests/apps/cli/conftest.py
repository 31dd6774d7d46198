"""The command line in a folder of its own, with tiny random models and small pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from apps.cli.main import app
from glide_edit.images import save_picture

HEIGHT, WIDTH = 45, 60
SELECTED = (slice(15, 30), slice(20, 40))
OUTSIDE = HEIGHT * WIDTH - 15 * 20

Cli = Callable[..., Result]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model folders "base" (16 px), "upsampler" (64 px) and "both", with random weights."""
    import torch

    from glide_edit.diffusion.schedule import Schedule
    from glide_edit.models import StagePreset, StageSpec, TextSpec, assemble, write_model
    from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
    from glide_edit.text.tokenizer import BytePairTokenizer
    from glide_edit.text.transformer import TextTransformer, TextTransformerConfig

    folder = tmp_path_factory.mktemp("models")
    tokenizer = BytePairTokenizer.train(["a red ball on grass"], 260, 16)
    transformer = TextTransformer(TextTransformerConfig(tokenizer.vocabulary_size, 16, 1, 2, 16))
    base = EfficientUNetConfig(
        image_size=16,
        channels=(16,),
        blocks=(1,),
        attention=(False,),
        embedding_width=16,
        text_width=16,
        known=True,
        drawing=True,
    )
    upsampler = EfficientUNetConfig(
        image_size=64,
        channels=(16,),
        blocks=(1,),
        attention=(False,),
        patch=4,
        embedding_width=16,
        known=True,
        low_res=True,
    )
    schedule = Schedule.cosine(100)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, config, preset in (
            ("base", base, StagePreset(steps=2, guidance=2.0)),
            ("upsampler", upsampler, StagePreset(steps=2, sampler="ddim")),
        ):
            stage = StageSpec(name=name, config=config, schedule=schedule, preset=preset)
            text = (
                (TextSpec(transformer.config), transformer.state_dict(), tokenizer)
                if name == "base"
                else None
            )
            write_model(
                folder / name,
                name=f"tiny-{name}",
                licence="CC0-1.0",
                provenance={"training": {name: {"seen": 1234}}},
                stages=[(stage, EfficientUNet(config, schedule).state_dict())],
                text=text,
            )
    assemble(folder / "both", folder / "base", folder / "upsampler", "tiny", "MIT")
    return folder


@pytest.fixture(autouse=True)
def lowered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """By how much the priority was lowered. Not really: a process cannot raise it again."""
    asked: list[int] = []
    monkeypatch.setattr(os, "nice", asked.append, raising=False)
    return asked


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photo.png, photo.jpg, mask.png (a box is white) and drawing.png."""
    monkeypatch.chdir(tmp_path)
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    save_picture(photo, "photo.png")
    save_picture(photo, "photo.jpg")
    white = np.zeros((HEIGHT, WIDTH), np.uint8)
    white[SELECTED] = 255
    save_picture(white, "mask.png")
    paper = np.full((30, 40), 255, np.uint8)
    paper[10:20, 8] = paper[10, 8:30] = 0
    save_picture(paper, "drawing.png")
    return tmp_path


@pytest.fixture
def cli(here: Path) -> Cli:
    """Calls the command line in the folder ``here``: cli("inpaint", "photo.png", ...)."""
    runner = CliRunner()

    def run(*arguments: object, debug: bool = False) -> Result:
        env = {"GLIDE_EDIT_DEBUG": "1" if debug else None, "COLUMNS": "100"}
        return runner.invoke(app, [str(argument) for argument in arguments], env=env, prog_name="glide-edit")

    return run
