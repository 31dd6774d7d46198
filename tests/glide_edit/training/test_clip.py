"""A CLIP's training: what its batches are, that it learns, goes on where it stopped, and is refused."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from glide_edit.errors import TrainingError
from glide_edit.evaluation.retrieval import questions, retrieval
from glide_edit.models import choose_runtime
from glide_edit.models.clip_folder import add_clip, load_clip
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.training.checkpoint import FILE_NAME
from glide_edit.training.clip import ClipPlan, ClipTrainingModule
from glide_edit.training.feature_probe import tag_map
from glide_edit.training.loop import train
from glide_edit.training.run import run
from glide_edit.training.settings import LoopOptions, TrainSettings
from glide_edit.training.sources import RenderedToybox
from glide_edit.training.text_probe import word_targets
from tests.glide_edit.operations.stand_ins import write_tiny

CONFIG = NoisedCLIPConfig(
    image_size=16,
    patch=8,
    image_width=32,
    image_layers=1,
    image_heads=2,
    context=40,
    text_width=32,
    text_layers=1,
    text_heads=2,
    embedding_width=32,
)
CAPTIONS = ["a red ball on grass", "a shiny blue cube to the left of a green car at night"]


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings(
        stage="clip",
        out=tmp_path / "run",
        steps=6,
        batch_size=4,
        start=write_tiny(tmp_path / "model"),
        device="cpu",
        precision="bfloat16",
        network=CONFIG,
        log_every=1,
    )


def make_module(plain: bool = False) -> ClipTrainingModule:
    torch.manual_seed(0)
    tokenizer = BytePairTokenizer.train(CAPTIONS, 400, 40)
    clip = NoisedCLIP(replace(CONFIG, vocabulary=tokenizer.vocabulary_size))
    return ClipTrainingModule(clip, tokenizer, plain)


def tensors(out: Path) -> dict[str, Tensor]:
    return load_file(out / FILE_NAME)


def test_a_batch_follows_from_seed_and_step() -> None:
    plan = ClipPlan(RenderedToybox(16), 3, seed=5)
    stream = plan.stream(7)
    first, second = next(stream), next(stream)
    stream.close()
    again = plan.make(8)
    assert (first.step, second.step) == (7, 8)
    assert torch.equal(second.image, again.image)
    assert (second.captions, second.hard_negatives) == (again.captions, again.hard_negatives)
    assert first.captions != second.captions
    assert second.image.shape == (3, 3, 16, 16)
    assert float(second.image.min()) >= -1
    assert float(second.image.max()) <= 1


class FewScenes(RenderedToybox):
    """Four scenes, over and over."""

    def draw(self, rng: Any) -> Any:
        return super().draw(np.random.default_rng(int(rng.integers(4))))


def test_patches_have_their_tags() -> None:
    plan = ClipPlan(FewScenes(16), 4, seed=0)
    rng = np.random.default_rng([0, 3])
    expected = [tag_map(plan.source.draw(rng), 2) for _ in range(4)]
    assert torch.equal(plan.make(3).tags, torch.stack(expected))


def test_words_have_their_targets() -> None:
    batch = ClipPlan(FewScenes(16), 4, seed=0).make(3)
    rng = np.random.default_rng([0, 3])
    for told, item in zip(batch.word_targets, [FewScenes(16).draw(rng) for _ in range(4)], strict=True):
        expected = word_targets(item)
        assert told.keys() == expected.keys()
        assert all(torch.equal(told[word], expected[word]) for word in told)
    module, mute = make_module(), replace(batch, word_targets=({},) * 4)
    with torch.no_grad():
        read, unread = (module.loss(each, torch.Generator().manual_seed(0)) for each in (batch, mute))
    assert read > unread + 1  # nothing is learned yet


def test_a_few_pictures_are_learnt(tmp_path: Path) -> None:
    plan = ClipPlan(FewScenes(16), 4, seed=0)
    module = make_module(plain=True)
    fixed = plan.make(1000)

    def loss() -> float:
        with torch.no_grad():
            return float(module.loss(fixed, torch.Generator().manual_seed(0)))

    before = loss()
    options = LoopOptions(steps=120, learning_rate=2e-3, warmup_steps=5)
    train(module, plan, options, tmp_path, {}, torch.device("cpu"))
    assert before > 1.2  # four captions and four false ones, all alike
    assert loss() < 0.6 * before


def test_a_plain_clip_sees_the_first_time_alone() -> None:
    batch = ClipPlan(RenderedToybox(16), 8, seed=0).make(0)
    seen = {}
    for plain in (True, False):
        module = make_module(plain)
        module.loss(batch, torch.Generator().manual_seed(0)).backward()
        gradient = module.clip.image.times.weight.grad
        assert gradient is not None
        seen[plain] = gradient.abs().sum(1).nonzero()[:, 0].tolist()
    assert seen[True] == [0]
    assert len(seen[False]) == 8
    assert max(seen[False]) > 500  # up to where there is hardly anything left to see


def test_false_captions_count_as_wrong_answers() -> None:
    """A picture whose false caption is its true one cannot do better than even."""
    batch = ClipPlan(RenderedToybox(16), 4, seed=0).make(0)
    module = make_module()
    with torch.no_grad():
        true_only = module.loss(
            replace(batch, hard_negatives=batch.hard_negatives[:0]), torch.Generator().manual_seed(0)
        )
        doubled = module.loss(replace(batch, hard_negatives=batch.captions), torch.Generator().manual_seed(0))
    # Half of the loss is over captions, and log 2 more there: twice as many, each as likely as its double.
    assert float(doubled - true_only) == pytest.approx(0.5 * 0.6931, abs=2e-3)


def test_a_stopped_run_goes_on_as_if_nothing_had_happened(settings: TrainSettings, tmp_path: Path) -> None:
    run(settings)
    parts = replace(settings, out=tmp_path / "parts")

    def stop(record: dict[str, Any]) -> None:
        if record["step"] == 3:
            signal.raise_signal(signal.SIGINT)

    assert not run(parts, stop).finished
    assert run(parts).finished
    ours, theirs = tensors(settings.out), tensors(parts.out)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_what_is_exported_can_be_loaded_and_asked(settings: TrainSettings) -> None:
    outcome = run(settings)
    clip = load_clip(outcome.model, choose_runtime("cpu", "float32"))
    state = tensors(settings.out)
    assert clip.network.logit_scale == pytest.approx(float(state["ema/log_scale"].exp()), rel=1e-4)
    for name, value in clip.network.state_dict().items():
        torch.testing.assert_close(value, state[f"ema/clip.{name}"], rtol=1e-2, atol=1e-3)
    found = retrieval(clip, questions(32, 16), 0.5)
    assert 0 <= found.of_candidates <= 1
    assert 0.2 < found.of_two < 0.8  # hardly trained
    assert found == retrieval(clip, questions(32, 16), 0.5)


def test_a_run_starts_from_a_models_tokenizer_and_clip(settings: TrainSettings, tmp_path: Path) -> None:
    first = run(settings)
    assert settings.start is not None
    model = Path(settings.start)
    assert (first.model / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()
    add_clip(model, first.model)
    begun = replace(settings, out=tmp_path / "begun", steps=1, learning_rate=1e-9)
    run(begun)
    before, after = load_file(first.model / "clip.safetensors"), tensors(begun.out)
    for name, value in before.items():
        torch.testing.assert_close(after[f"master/clip.{name}"], value.float(), rtol=0, atol=1e-6)
    other = replace(begun, out=tmp_path / "other", network=replace(CONFIG, image_layers=2))
    run(other)  # one of another shape begins anew
    assert "master/clip.image.blocks.1.query.weight" in tensors(other.out)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 1}, "2 or more pictures"),
        ({"cache_size": 0}, "at least 1 picture"),
        ({"steps": None}, "--minutes or --steps"),
        ({"data": "pictures"}, "on the toybox alone"),
        ({"photos": Path("photos")}, "on the toybox alone"),
        ({"text_encoder": "minilm"}, "learns to read by itself"),
    ],
)
def test_impossible_settings(settings: TrainSettings, change: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        replace(settings, **change)


def test_a_run_with_other_settings_is_refused(settings: TrainSettings) -> None:
    run(replace(settings, steps=1))
    with pytest.raises(TrainingError, match="other settings \\(plain\\)"):
        run(replace(settings, steps=2, stage="plain-clip"))
