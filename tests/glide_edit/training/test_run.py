"""Whole runs: killed, stopped and gone on with; started from a model; exported; refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from glide_edit.errors import InputError, ModelError, TrainingError
from glide_edit.models import choose_runtime, load_model
from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.training import __main__ as command
from glide_edit.training import configs, preparing, unet
from glide_edit.training import run as run_module
from glide_edit.training.checkpoint import FILE_NAME
from glide_edit.training.log import LOG_NAME
from glide_edit.training.run import run
from glide_edit.training.settings import TrainSettings
from glide_edit.training.weights import strip_prefix

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures people look at, which take most of a small run's time."""
    monkeypatch.setattr(unet, "sample_sheet", lambda *arguments: None)
    monkeypatch.setattr(run_module, "loss_plot", lambda *arguments: None)


def tensors(out: Path) -> dict[str, Tensor]:
    return load_file(out / FILE_NAME)


def losses(out: Path) -> list[tuple[int, float]]:
    lines = (out / LOG_NAME).read_text().splitlines()
    return [(record["step"], record["loss"]) for record in map(json.loads, lines)]


def assert_same_run(out: Path, other: Path) -> None:
    ours, theirs = tensors(out), tensors(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
    assert losses(out) == losses(other)


# -- stopping and going on ------------------------------------------------------------------------------

VICTIM = """
import json, sys
from pathlib import Path
import torch
from glide_edit.models import records
from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.training.run import run
from glide_edit.training.settings import TrainSettings

if __name__ == "__main__":
    torch.set_num_threads(1)
    values = json.loads(sys.argv[1])
    network = records.into(EfficientUNetConfig, values.pop("network"), "network")
    run(TrainSettings(**values | {"out": Path(values["out"]), "network": network}))
"""


def start_victim(settings: TrainSettings, tmp_path: Path) -> subprocess.Popen[bytes]:
    script = tmp_path / "victim.py"
    script.write_text(VICTIM)
    values = json.dumps(asdict(settings), default=str)
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""}
    return subprocess.Popen([sys.executable, script, values], env=environment)


def wait_for_lines(log: Path, count: int, victim: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if log.exists() and log.read_text().count("\n") >= count:
            return
        assert victim.poll() is None, "the victim ended by itself"
        time.sleep(0.02)
    raise AssertionError("the victim does not get on")


def test_a_killed_run_ends_as_if_nothing_had_been(settings: TrainSettings, tmp_path: Path) -> None:
    settings = replace(settings, steps=100, checkpoint_seconds=0.15)
    straight = replace(settings, out=tmp_path / "straight")
    run(straight)
    victim = start_victim(settings, tmp_path)
    try:
        wait_for_lines(settings.out / LOG_NAME, random.randrange(10, 40), victim)
        time.sleep(random.random() * 0.1)
    finally:
        victim.kill()
        victim.wait()
    assert victim.returncode == -signal.SIGKILL
    assert not (settings.out / "model").exists(), "it was killed too late"
    assert run(settings).finished
    assert_same_run(settings.out, straight.out)


def test_ctrl_c_saves_and_stops_and_the_same_command_goes_on(settings: TrainSettings, tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    straight = replace(settings, steps=8, out=tmp_path / "straight")
    assert run(straight).finished
    for number in (signal.SIGINT, signal.SIGTERM):
        stopped = replace(straight, out=tmp_path / f"stopped{number}")

        def interrupt(record: dict[str, Any], number: int = number) -> None:
            if record["step"] == 5:
                signal.raise_signal(number)

        outcome = run(stopped, interrupt)
        assert (outcome.finished, outcome.progress.step) == (False, 5)
        assert load_model(outcome.model).spec.provenance["training"]["base"]["step"] == 5
        assert run(stopped).finished
        assert_same_run(stopped.out, straight.out)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_stops_at_once(settings: TrainSettings) -> None:
    def interrupt(record: dict[str, Any]) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(settings, interrupt)


def test_ctrl_c_while_saving_does_no_harm(
    settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = replace(settings, out=tmp_path / "straight")
    run(straight)
    sync = os.fsync

    def interrupt(number: int) -> None:
        patch.setattr(os, "fsync", sync)
        signal.raise_signal(signal.SIGINT)
        sync(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        outcome = run(replace(settings, checkpoint_seconds=0.0))
    assert (outcome.finished, outcome.progress.step) == (False, 1)
    run(settings)
    assert_same_run(settings.out, straight.out)


def test_other_settings_do_not_go_on_with_a_run(settings: TrainSettings) -> None:
    run(replace(settings, steps=2))
    before = tensors(settings.out)
    assert settings.network is not None
    others: dict[str, dict[str, Any]] = {
        "batch_size": {"batch_size": 3},
        "learning_rate": {"learning_rate": 1e-3},
        "seed": {"seed": 1},
        "data": {"data": "toybox"},
        "network": {"network": replace(settings.network, channels=(48,))},
        "cache_size, data": {"data": "toybox", "cache": settings.out / "cache"},
    }
    for named, changes in others.items():
        with pytest.raises(TrainingError, match=rf"other settings \({named}\)"):
            run(replace(settings, **changes))
    after = tensors(settings.out)
    assert all(torch.equal(after[name], before[name]) for name in before)
    # How long and how often may change.
    assert run(replace(settings, steps=3, checkpoint_seconds=1.0, log_every=5)).progress.step == 3


def test_a_run_without_its_tokenizer_cannot_go_on(settings: TrainSettings) -> None:
    run(replace(settings, steps=2))
    (settings.out / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"tokenizer\.json is missing"):
        run(settings)


def test_minutes_end_a_run(settings: TrainSettings) -> None:
    outcome = run(replace(settings, steps=None, minutes=0.002))
    assert outcome.finished
    assert outcome.progress.seconds >= 0.12
    assert outcome.progress.step >= 1
    again = run(replace(settings, steps=None, minutes=0.002))
    assert again.progress == outcome.progress


def test_an_unreadable_picture_stops_the_run_with_its_name(settings: TrainSettings, pictures: Path) -> None:
    for path in pictures.glob("*.png"):
        path.write_bytes(b"not a picture")
    with pytest.raises(TrainingError, match=r"metadata\.jsonl, line \d: .*\.png"):
        run(settings)


def test_a_full_disk_is_an_error_on_one_line(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "loss.png")

    monkeypatch.setattr(run_module, "loss_plot", full)
    with pytest.raises(TrainingError, match=r"loss\.png cannot be used \(No space left on device\)"):
        run(replace(settings, steps=2))


# -- what comes out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["base", "upsampler"])
def test_the_model_folder_holds_the_moving_average(
    stage: Any, settings: TrainSettings, request: pytest.FixtureRequest, pictures: Path
) -> None:
    config = request.getfixturevalue(f"{stage}_config")
    outcome = run(replace(settings, stage=stage, network=config, steps=3))
    model = load_model(outcome.model, choose_runtime("cpu", "float32"))
    (only,) = model.stages
    assert (only.name, only.network.config) == (stage, config)
    average = strip_prefix(tensors(settings.out), "ema/")
    parts: dict[str, Any] = {"network.": only.network}
    if stage == "base":
        assert model.text_encoder is not None
        parts["transformer."] = model.text_encoder.transformer
    compared = 0
    for prefix, module in parts.items():
        for name, value in module.named_parameters():
            assert torch.equal(value, average[prefix + name].bfloat16().float()), name
            compared += 1
    assert compared == len(average)
    assert any(
        not torch.equal(value, average[name])
        for name, value in strip_prefix(tensors(settings.out), "master/").items()
    )
    provenance = json.dumps(model.spec.to_json())
    assert str(pictures.parent) not in provenance
    assert model.spec.provenance["training"][stage]["step"] == 3


# -- beginning with given weights ----------------------------------------------------------------------


def test_a_run_begins_with_the_weights_it_is_given(settings: TrainSettings, tmp_path: Path) -> None:
    first = run(replace(settings, steps=3, out=tmp_path / "first"))
    second = replace(settings, start=first.model, steps=1, learning_rate=1e-12)
    run(second)
    given = load_file(first.model / "base.safetensors")
    begun = load_file(settings.out / "model" / "base.safetensors")
    assert all(torch.equal(value, begun[name]) for name, value in given.items())
    fresh = run(replace(settings, steps=1, learning_rate=1e-12, out=tmp_path / "fresh"))
    other = load_file(fresh.model / "base.safetensors")
    assert any(not torch.equal(value, other[name]) for name, value in given.items())
    assert (settings.out / "tokenizer.json").read_text() == (first.model / "tokenizer.json").read_text()
    # A run that goes on has weights of its own: the model is not even looked for.
    shutil.rmtree(first.model)
    assert run(replace(second, steps=2)).progress.step == 2


def test_a_network_may_begin_with_less_than_it_has(settings: TrainSettings, tmp_path: Path) -> None:
    assert settings.network is not None
    more = replace(settings.network, positions=True)
    less = run(replace(settings, steps=2, out=tmp_path / "less")).model
    begun = run(replace(settings, steps=1, learning_rate=1e-12, start=less, network=more)).model
    given, has = (load_file(model / "base.safetensors") for model in (less, begun))
    assert has.keys() > given.keys()
    assert all(torch.allclose(value, has[name], atol=1e-9) for name, value in given.items())
    assert all(value.abs().max() < 1e-9 for name, value in has.items() if name not in given)
    with pytest.raises(TrainingError, match="its network is another one"):
        run(replace(settings, start=begun, steps=1, out=tmp_path / "back"))


def test_weights_of_another_network_cannot_be_started_from(
    settings: TrainSettings, upsampler_config: EfficientUNetConfig, tmp_path: Path
) -> None:
    model = run(replace(settings, steps=1, out=tmp_path / "first")).model
    assert settings.network is not None
    with pytest.raises(TrainingError, match="its network is another one"):
        run(replace(settings, start=model, network=replace(settings.network, channels=(48,))))
    with pytest.raises(TrainingError, match="has no stage upsampler"):
        run(replace(settings, start=model, stage="upsampler", network=upsampler_config))
    with pytest.raises(ModelError):
        run(replace(settings, start=tmp_path / "nothing"))


def test_a_known_model_may_be_named(settings: TrainSettings) -> None:
    with pytest.raises(TrainingError, match="toybox cannot be started from: its network is another one"):
        run(replace(settings, start="toybox"))


# -- photographs ---------------------------------------------------------------------------------------


@pytest.fixture
def with_photos(
    settings: TrainSettings, pictures: Path, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> TrainSettings:
    """The run on squares, which take less time than toys, and on the pictures as photographs."""
    monkeypatch.setattr(preparing, "RenderedToybox", squares)
    return replace(settings, data="toybox", photos=pictures, photo_share=0.5)


def test_a_run_with_photographs_stops_and_goes_on(with_photos: TrainSettings, tmp_path: Path) -> None:
    straight = replace(with_photos, steps=8, out=tmp_path / "straight")
    assert run(straight).finished
    assert list(straight.out.glob("photos-24-*.bin"))
    part = replace(straight, out=tmp_path / "part")

    def interrupt(record: dict[str, Any]) -> None:
        if record["step"] == 5:
            signal.raise_signal(signal.SIGINT)

    assert not run(part, interrupt).finished
    assert run(part).finished
    assert_same_run(part.out, straight.out)
    without = replace(straight, photos=None, out=tmp_path / "without")
    run(without)
    assert losses(without.out) != losses(straight.out)
    others: dict[str, dict[str, Any]] = {
        "photo_share": {"photo_share": 0.4},
        "photo_share, photos": {"photos": None},
    }
    for named, changes in others.items():
        with pytest.raises(TrainingError, match=rf"other settings \({named}\)"):
            run(replace(straight, **changes))


def test_the_model_says_which_photographs_and_not_where(with_photos: TrainSettings, pictures: Path) -> None:
    outcome = run(replace(with_photos, steps=1))
    spec = load_model(outcome.model, choose_runtime("cpu", "float32")).spec
    said = spec.provenance["training"]["base"]
    assert (said["photos"], said["photo_share"]) == ("pictures", 0.5)
    assert str(pictures.parent) not in json.dumps(spec.to_json())


def test_the_tokenizer_learns_the_photographs_words(with_photos: TrainSettings) -> None:
    run(replace(with_photos, steps=1))
    tokenizer = BytePairTokenizer.load(with_photos.out / "tokenizer.json", 40)
    assert tokenizer.encode(["some colours"]).ids.shape == (1, 2)


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"steps": None}, "either --minutes or --steps"),
        ({"minutes": 1.0}, "either --minutes or --steps"),
        ({"steps": 0}, "more than 0"),
        ({"batch_size": 0}, "batch size"),
        ({"learning_rate": -1.0}, "learning rate"),
        ({"seed": -1}, "seed"),
        ({"cache_size": 0}, "cache"),
        ({"cache": Path("cache")}, "cache is for the toybox"),
        ({"photos": Path("photos")}, "Photographs go with the toybox"),
        ({"data": "toybox", "photos": Path("nowhere")}, r"nowhere has no readable metadata\.jsonl"),
        ({"photo_share": 0.0}, "share of photographs"),
        ({"photo_share": 1.0}, "share of photographs"),
        ({"data": "nowhere"}, r"nowhere has no readable metadata\.jsonl"),
        ({"device": "tpu"}, "tpu"),
        ({"precision": "int1"}, "int1"),
    ],
)
def test_bad_input_is_said_before_anything_is_written(
    settings: TrainSettings, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises((TrainingError, InputError), match=problem):
        run(replace(settings, **changes))
    assert not settings.out.exists()


def test_a_network_that_cannot_be_the_stage_is_refused_at_once(
    settings: TrainSettings, base_config: EfficientUNetConfig, upsampler_config: EfficientUNetConfig
) -> None:
    with pytest.raises(ModelError, match="needs a low-resolution picture"):
        run(replace(settings, stage="upsampler", network=base_config))
    with pytest.raises(ModelError, match="cannot have a low-resolution picture"):
        run(replace(settings, stage="base", network=upsampler_config))
    with pytest.raises(TrainingError, match="at least 16 pixels"):
        replace(settings, network=replace(base_config, image_size=8))
    coarse = replace(upsampler_config, patch=12, image_size=96 * 2)
    assert unet.crop_of(replace(settings, stage="upsampler", network=coarse)) == 120
    too_coarse = replace(upsampler_config, patch=160, image_size=160)
    with pytest.raises(TrainingError, match="at least 160 pixels"):
        unet.crop_of(replace(settings, stage="upsampler", network=too_coarse))


# -- python -m glide_edit.training ---------------------------------------------------------------------


def test_the_plain_command_trains(
    settings: TrainSettings,
    base_config: EfficientUNetConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(configs.STAGES, "base", configs.STAGES["base"] | {"network": base_config})
    arguments = ["training", "base", "--out", str(settings.out), "--data", settings.data, "--batch-size", "2"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--steps", "4", "--log-every", "2", "--device", "cpu"])
    assert command.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["step"] for line in lines[:-1]] == [2, 4]
    assert Path(lines[-1], "model.json").exists()

    def interrupt(text: object, **options: Any) -> None:
        if "step" in str(text):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys, "argv", [*arguments, "--steps", "9", "--log-every", "2", "--device", "cpu"])
    with monkeypatch.context() as patch:
        patch.setattr(command, "print", interrupt, raising=False)
        assert command.main() == 130
    assert [step for step, _ in losses(settings.out)] == [2, 4, 6]
    monkeypatch.setattr(sys, "argv", [*arguments, "--steps", "9", "--batch-size", "3"])
    assert command.main() == 2
    assert "other settings (batch_size)" in capsys.readouterr().err
