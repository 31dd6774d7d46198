"""What a language model says of captions: asked once, the same afterwards, whoever else writes there."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from glide_edit.conditioning import TextStates
from glide_edit.errors import ModelNotFound, TrainingError
from glide_edit.models import load_model
from glide_edit.models.language import FOLDER, frozen_config, open_language
from glide_edit.training import run as run_module
from glide_edit.training import unet
from glide_edit.training.batches import BatchPlan
from glide_edit.training.caption_states import PHRASINGS, CaptionStates
from glide_edit.training.checkpoint import FILE_NAME
from glide_edit.training.run import run
from glide_edit.training.settings import TrainSettings
from glide_edit.training.sources import RenderedToybox
from glide_edit.training.views import Mixture
from tests.glide_edit.languages import CAPTIONS, needs_transformers, write_language

pytestmark = needs_transformers
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language(tmp_path_factory.mktemp("languages") / "tiny")


class Asked:
    """The language model, and how many captions it was asked about."""

    def __init__(self, folder: Path) -> None:
        self.config = frozen_config("tiny", folder, 8)
        self.language = open_language(folder, self.config, CPU)
        self.count = 0

    def __call__(self, ids: torch.Tensor, token_mask: torch.Tensor) -> TextStates:
        self.count += len(ids)
        return self.language.model(ids, token_mask)

    def states(self, folder: Path, **options: int) -> CaptionStates:
        return CaptionStates(folder, self.config, self.language.tokenizer, self, CPU, **options)  # type: ignore[arg-type]


@pytest.fixture
def asked(language: Path) -> Asked:
    return Asked(language)


def same(a: TextStates, b: TextStates) -> bool:
    return torch.equal(a.states, b.states) and torch.equal(a.token_mask, b.token_mask)


def test_captions_are_asked_about_once_and_come_back_the_same(asked: Asked, tmp_path: Path) -> None:
    states = asked.states(tmp_path)
    first = states.of([*CAPTIONS, "", CAPTIONS[0]])
    assert asked.count == len(CAPTIONS) + 1
    assert first.states.dtype == torch.float16
    assert not first.token_mask[-2].any()
    tokens = asked.language.tokenizer.encode(CAPTIONS)
    said = asked.language.model(tokens.ids, tokens.token_mask)
    torch.testing.assert_close(first.states[:4].float(), said.states, rtol=0, atol=2e-3)
    assert torch.equal(first.token_mask[:4], tokens.token_mask)

    assert same(states.of([*CAPTIONS, "", CAPTIONS[0]]), first)
    assert same(asked.states(tmp_path).of([*CAPTIONS, "", CAPTIONS[0]]), first)
    assert asked.count == len(CAPTIONS) + 1
    assert len(states) == len(CAPTIONS) + 1


def test_two_runs_share_a_folder(asked: Asked, tmp_path: Path) -> None:
    one, other = asked.states(tmp_path), asked.states(tmp_path)
    first = one.of(CAPTIONS[:2])
    other.of(CAPTIONS[1:])  # asks about the second again, and does not write it twice
    assert asked.count == 2 + 3
    again = asked.states(tmp_path)
    assert len(again) == 4
    assert same(again.of(CAPTIONS[:2]), first)
    assert asked.count == 5


def test_another_language_model_has_files_of_its_own(asked: Asked, tmp_path: Path) -> None:
    asked.states(tmp_path).of(CAPTIONS)
    other = Asked(write_language(tmp_path / "other", seed=1))
    assert not same(other.states(tmp_path).of(CAPTIONS), asked.states(tmp_path).of(CAPTIONS))
    assert other.count == len(CAPTIONS)


def test_no_more_is_kept_than_there_is_room_for(asked: Asked, tmp_path: Path) -> None:
    full = asked.states(tmp_path, max_bytes=300)
    first = full.of(CAPTIONS)
    assert same(full.of(CAPTIONS), first)
    (path,) = tmp_path.glob("*.f16")
    assert 0 < path.stat().st_size <= 300
    assert len(CAPTIONS) < asked.count < 2 * len(CAPTIONS)


def test_what_a_kill_left_half_written_is_cut_off(asked: Asked, tmp_path: Path) -> None:
    first = asked.states(tmp_path).of(CAPTIONS[:2])
    for pattern in ("*.f16", "*.index"):
        (path,) = tmp_path.glob(pattern)
        with open(path, "ab") as file:
            file.write(b"half")
    states = asked.states(tmp_path)
    second = states.of(CAPTIONS[2:])
    assert same(asked.states(tmp_path).of(CAPTIONS[:2]), first)
    assert same(asked.states(tmp_path).of(CAPTIONS[2:]), second)
    assert asked.count == 4


def test_states_that_are_gone_are_told(asked: Asked, tmp_path: Path) -> None:
    asked.states(tmp_path).of(CAPTIONS)
    (path,) = tmp_path.glob("*.f16")
    path.write_bytes(b"")
    with pytest.raises(TrainingError, match="shorter than its index says: delete both"):
        asked.states(tmp_path)


def test_a_picture_keeps_to_a_few_phrasings() -> None:
    rng = np.random.default_rng(0)
    toys = RenderedToybox(16)
    while len((item := toys.draw(rng)).objects) < 3:
        pass

    class Only:
        def draw(self, rng: np.random.Generator):
            return item

        def captions(self):
            return []

    def worded(mixture: Mixture, phrasings: int | None) -> set[str]:
        return set(BatchPlan([(Only(), 1.0, mixture)], 200, 0, phrasings=phrasings).make(0).captions)

    whole = Mixture(known=0, caption=1)
    assert len(worded(whole, None)) > 20
    assert worded(whole, PHRASINGS) == {item.caption(number) for number in range(PHRASINGS)}
    alone = Mixture(known=1, caption=1, object_mask=1, object_caption=1)
    described = {item.describe(k, number) for k in range(len(item.objects)) for number in range(PHRASINGS)}
    assert worded(alone, PHRASINGS) == described


# -- whole runs ---------------------------------------------------------------------------------------------


@pytest.fixture
def reading(settings: TrainSettings, language: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    monkeypatch.setattr(run_module, "loss_plot", lambda *arguments: None)
    return replace(settings, text_encoder=str(language), steps=6)


def test_a_run_with_a_language_model_ends_as_a_model_that_reads_with_it(
    reading: TrainSettings, language: Path
) -> None:
    outcome = run(reading)
    encoder = load_model(outcome.model).text_encoder
    assert encoder is not None
    assert encoder.encode(["some colours"]).states.shape[-1] == 24
    spec = load_model(outcome.model).spec
    assert spec.text is not None
    assert spec.text.config == frozen_config("tiny", language, 24)
    recipe = spec.provenance["training"]["base"]["text_encoder"]
    assert recipe["sha256"] == frozen_config("tiny", language, 24).sha256
    assert str(language.parent) not in (outcome.model / "model.json").read_text()
    assert (reading.out / "samples" / "0000006.png").exists()
    assert (reading.out / FOLDER / "tiny").resolve() == language.resolve()
    assert list(reading.out.glob("text-*.f16"))


def test_a_stopped_run_ends_as_if_nothing_had_been_wherever_the_language_model_lies_now(
    reading: TrainSettings, language: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "sample_sheet", lambda *arguments: None)
    straight = replace(reading, out=tmp_path / "straight")
    run(straight)

    def interrupt(record: dict[str, Any]) -> None:
        if record["step"] == 3:
            signal.raise_signal(signal.SIGINT)

    assert run(reading, interrupt).progress.step == 3
    moved = tmp_path / "moved"
    moved.symlink_to(language)
    assert run(replace(reading, text_encoder=str(moved))).progress.step == 6
    ours, theirs = load_file(reading.out / FILE_NAME), load_file(straight.out / FILE_NAME)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())

    with pytest.raises(TrainingError, match=r"other settings \(text_encoder\)"):
        run(replace(reading, text_encoder=None))
    other = write_language(tmp_path / "tiny", seed=1)
    with pytest.raises(TrainingError, match=r"other settings \(text_encoder\)"):
        run(replace(reading, text_encoder=str(other)))


def test_a_run_starts_from_a_model_that_reads_alike(
    reading: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "sample_sheet", lambda *arguments: None)
    first = run(reading).model
    begun = run(replace(reading, out=tmp_path / "next", start=first, steps=1, learning_rate=1e-9)).model
    ours, theirs = load_model(first).text_encoder, load_model(begun).text_encoder
    assert ours is not None
    assert theirs is not None
    torch.testing.assert_close(
        ours.encode(["some"]).states, theirs.encode(["some"]).states, rtol=0, atol=2e-2
    )
    with pytest.raises(TrainingError, match="reads with the language model tiny: say --text-encoder tiny"):
        run(replace(reading, out=tmp_path / "third", start=first, text_encoder=None))


@pytest.mark.parametrize("start_reads", ["byte pairs", "another language model"])
def test_a_language_model_may_take_the_place_of_what_a_start_reads_with(
    reading: TrainSettings, start_reads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "sample_sheet", lambda *arguments: None)
    other = None if start_reads == "byte pairs" else str(write_language(tmp_path / "other", seed=1))
    first = run(replace(reading, out=tmp_path / "first", text_encoder=other, seed=1)).model
    only = replace(reading, steps=1, learning_rate=1e-12)
    begun = run(replace(only, start=first)).model
    fresh = run(replace(only, out=tmp_path / "fresh")).model
    for file, same in (("base", first), ("text", fresh)):
        has, expected = (load_file(model / f"{file}.safetensors") for model in (begun, same))
        assert has.keys() == expected.keys()
        assert all(torch.allclose(value, expected[name], atol=1e-9) for name, value in has.items())
    assert load_model(begun).spec.text == load_model(fresh).spec.text

    assert reading.network is not None
    wider = replace(reading.network, text_width=32)
    with pytest.raises(TrainingError, match="its network is another one"):
        run(replace(only, out=tmp_path / "third", start=first, network=wider))


def test_what_cannot_work_is_said_before_anything_is_made(
    reading: TrainSettings, upsampler_config, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="upsampler reads no text: leave --text-encoder out"):
        replace(reading, stage="upsampler", network=upsampler_config)
    with pytest.raises(ModelNotFound, match="No language model 'nothing'"):
        run(replace(reading, out=tmp_path / "made", text_encoder="nothing"))
    assert not (tmp_path / "made").exists()
