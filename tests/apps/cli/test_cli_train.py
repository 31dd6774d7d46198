"""`glide-edit train`, with networks that train in a moment."""

from __future__ import annotations

import inspect
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit.training import configs

    small = {"channels": (16,), "blocks": (1,), "attention": (False,), "embedding_width": 16}
    monkeypatch.setattr(configs, "BASE_CONFIG", replace(configs.BASE_CONFIG, image_size=16, **small))
    monkeypatch.setattr(
        configs, "UPSAMPLER_CONFIG", replace(configs.UPSAMPLER_CONFIG, image_size=32, **small)
    )


@pytest.mark.usefixtures("small_networks")
def test_a_base_network_from_a_folder_of_pictures(cli, here: Path) -> None:
    """Train, look at the model, go on, and refuse to go on with other settings."""
    assert cli("toybox", "render", 3, "toys", "--size", 16).exit_code == 0
    train = ("train", "base", "--out", "run", "--data", "toys", "--batch-size", 2, "--seed", 5)
    result = cli(*train, "--steps", 20, "--learning-rate", 0.001)
    assert result.exit_code == 0, result.output
    run = Path("run")
    assert result.stdout.splitlines()[0].startswith("20 steps, 40 views, ")
    assert f"model    {run / 'model'}" in result.stdout
    assert f"samples  {run / 'samples'}" in result.stdout
    assert (run / "samples" / "0000020.png").exists()
    progress = result.stderr.splitlines()
    assert len(progress) == 1
    assert progress[0].startswith("training: step 20, ")
    assert "100 %, 0:00:00 left" in progress[0]
    for word in ("views/s", "loss 0."):
        assert word in progress[0]

    said = cli("models", "info", run / "model").stdout
    for setting in ("batch_size: 2", "learning_rate: 0.001", "seed: 5", "data: toys", "step: 20"):
        assert f"{setting}\n" in said

    longer = cli(*train, "--steps", 21, "--learning-rate", 0.001)
    assert longer.stdout.startswith("21 steps, 42 views, ")
    other = cli(*train, "--steps", 22, "--learning-rate", 0.002)
    assert other.exit_code == 2
    assert "other settings (learning_rate)" in other.stderr

    begun = cli(
        "train",
        "base",
        "--out",
        "next",
        "--data",
        "toys",
        "--steps",
        1,
        "--batch-size",
        2,
        "--start",
        run / "model",
    )
    assert begun.exit_code == 0, begun.output


@pytest.mark.parametrize("stage", ["clip", "plain-clip"])
def test_a_clip_on_the_toybox(cli, here: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit.training import configs

    small = {"image_size": 16, "image_width": 32, "image_layers": 1, "image_heads": 1, "text_layers": 1}
    own = configs.STAGES[stage]
    monkeypatch.setitem(configs.STAGES, stage, own | {"network": replace(own["network"], **small)})
    train = ("train", stage, "--out", "run", "--batch-size", 2, "--start", "toybox")
    result = cli(*train, "--steps", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("2 steps, 4 views, ")
    assert f"model    {Path('run') / 'clip'}" in result.stdout
    record = json.loads((Path("run") / "clip" / "clip.json").read_text())
    assert record["provenance"]["training"]["clip"]["plain"] == (stage == "plain-clip")
    refused = cli(*train, "--steps", 3, "--photos", "photos")
    assert refused.exit_code == 2
    assert "on the toybox alone" in refused.stderr
    refused = cli(*train, "--steps", 3, "--text-encoder", "minilm")
    assert refused.exit_code == 2
    assert "learns to read by itself" in refused.stderr


@pytest.mark.usefixtures("small_networks")
def test_training_takes_what_other_programs_leave_unless_told_otherwise(cli, lowered: list[int]) -> None:
    train = ("train", "upsampler", "--out", "run", "--batch-size", 1)
    assert cli(*train, "--steps", 1, "--no-nice").exit_code == 0
    assert lowered == []
    assert cli(*train, "--steps", 2).exit_code == 0
    assert lowered == [19]


def test_a_machine_without_priorities_trains_as_well(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "nice")
    refused = cli("train", "base", "--out", "run", "--steps", 0)
    assert "more than 0" in refused.stderr


@pytest.mark.usefixtures("small_networks")
def test_stopped_training_says_how_to_go_on(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from apps.cli import train

    def stop(record: dict[str, object]) -> str:
        signal.raise_signal(signal.SIGINT)
        return f"step {record['step']}"

    monkeypatch.setattr(train, "_line", stop)  # said for the first time after 20 steps
    result = cli("train", "upsampler", "--out", "run", "--steps", 40, "--batch-size", 1)
    assert result.exit_code == 130, result.output
    assert result.stdout.startswith("20 steps, 20 views, ")
    assert "stopped: the same command resumes it from here" in result.stderr
    assert (Path("run") / "checkpoint.safetensors").exists()
    assert json.loads((Path("run") / "model" / "model.json").read_text())["stages"][0]["name"] == "upsampler"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--minutes or --steps"),
        (("--steps", 1, "--minutes", 1), "--minutes or --steps"),
        (("--steps", 0), "more than 0"),
        (("--steps", 1, "--data", "missing"), "missing has no readable metadata.jsonl"),
        (("--steps", 1, "--data", "missing", "--cache", "cache"), "A cache is for the toybox"),
        (("--steps", 1, "--start", "missing"), "No model 'missing'"),
        (("--steps", 1, "--start", "glide"), "'glide'"),
        (("--steps", 1, "--photos", "missing"), "missing has no readable metadata.jsonl"),
        (("--steps", 1, "--photos", "missing", "--data", "toys"), "Photographs go with the toybox"),
        (("--steps", 1, "--text-encoder", "missing"), "No language model 'missing'"),
        (("--steps", 1, "--photo-share", 1.5), "share of photographs is between 0 and 1, not 1.5"),
        (("--steps", 1, "--device", "toaster"), "toaster"),
        (("--steps", 1, "--batch-size", 0), "batch size must be at least 1, not 0"),
        (("--steps", 1, "--cache", "cache", "--cache-size", 0), "at least 1 picture, not 0"),
        (("--steps", 1, "--learning-rate", 0), "learning rate must be more than 0"),
        (("--steps", 1, "--seed", -1), "seed must be"),
        (("--steps", 1, "--checkpoint-seconds", -1), "between checkpoints"),
        (("--steps", 1, "--sample-seconds", "nan"), "between samples"),
    ],
)
def test_refusals(cli, here: Path, arguments: tuple[object, ...], words: str) -> None:
    result = cli("train", "base", "--out", "run", *arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (here / "run" / "checkpoint.safetensors").exists()


def test_defaults_are_the_settings_own() -> None:
    from apps.cli.train import train
    from glide_edit.training.settings import TrainSettings

    parameters = inspect.signature(train).parameters
    fields = TrainSettings.__dataclass_fields__
    assert set(parameters) <= {*fields, "nice"}
    for name, parameter in parameters.items():
        if name == "nice":
            continue
        # None where it depends on the stage: the settings' own then.
        if parameter.default is not inspect.Parameter.empty and parameter.default is not None:
            assert parameter.default == fields[name].default, name
