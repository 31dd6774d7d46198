"""A step's work shared out over threads: the same sums, and nobody else's threads changed."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.toybox import caption, sample_scene
from glide_edit.training.batches import Batch, BatchPlan
from glide_edit.training.feature_probe import TAGS
from glide_edit.training.loop import train
from glide_edit.training.settings import LoopOptions
from glide_edit.training.shares import Workers, gradients_of, slices, workers_of
from glide_edit.training.sources import RenderedToybox
from glide_edit.training.training_module import TrainingModule
from glide_edit.training.views import Mixture
from glide_edit.training.weights import MasterWeights

CPU = torch.device("cpu")


def make_module(config: EfficientUNetConfig) -> TrainingModule:
    """With weights that are nowhere zero, so that every part of the loss has gradients."""
    torch.manual_seed(0)
    network = EfficientUNet(config, Schedule.cosine())
    module = TrainingModule(network, None, None)
    if config.text_width:
        texts = [*TAGS, *(caption(sample_scene(k), k) for k in range(20))]
        tokenizer = BytePairTokenizer.train(texts, 500, 40)
        text = TextTransformerConfig(tokenizer.vocabulary_size, config.text_width)
        module = TrainingModule(network, TextTransformer(text), tokenizer, probes=True)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    return module


def make_batch(stage: str, count: int = 5) -> Batch:
    if stage == "upsampler":
        return BatchPlan([(RenderedToybox(32), 1.0, Mixture())], count, 0, crop=16).make(0)
    batch = BatchPlan([(RenderedToybox(16), 1.0, Mixture())], count, 0, tag_side=8).make(0)
    assert batch.tags is not None
    # One picture without a scene, as photographs are.
    unknown = torch.full_like(batch.tags[:1], torch.nan)
    assert batch.word_targets is not None
    return replace(
        batch, tags=torch.cat([unknown, batch.tags[1:]]), word_targets=({}, *batch.word_targets[1:])
    )


@pytest.mark.parametrize("stage", ["base", "upsampler"])
@pytest.mark.parametrize("count", [2, 3])
def test_terms_sum_to_the_loss_and_to_its_gradients(
    stage: str, count: int, request: pytest.FixtureRequest
) -> None:
    module = make_module(request.getfixturevalue(f"{stage}_config"))
    batch, parameters = make_batch(stage), list(module.parameters())
    whole = module.loss(batch, torch.Generator().manual_seed(1))
    expected = torch.autograd.grad(whole, parameters, allow_unused=True)
    terms = module.terms(batch, torch.Generator().manual_seed(1), count)
    assert len(terms) == count
    with closing(Workers(count)) as workers:
        value, gradients = gradients_of(terms, parameters, workers)
    assert value == pytest.approx(whole.item(), rel=1e-5)
    for k, true in enumerate(expected):
        parts = [part for each in gradients if (part := each[k]) is not None]
        if true is None:
            assert not parts
            continue
        torch.testing.assert_close(torch.stack(parts).sum(0), true, rtol=1e-3, atol=1e-5)


@given(count=st.integers(1, 70), parts=st.integers(1, 20))
def test_slices_hold_each_view_once(count: int, parts: int) -> None:
    cut = slices(count, parts)
    assert [view for each in cut for view in range(count)[each]] == list(range(count))
    sizes = [each.stop - each.start for each in cut]
    assert len(sizes) == min(count, parts)
    assert max(sizes) - min(sizes) <= 1


def test_workers_keep_to_their_cores_and_leave_the_callers_alone() -> None:
    before = torch.get_num_threads()
    with closing(Workers(3, cores=2)) as workers:
        meeting = threading.Barrier(3)

        def look(number: int) -> tuple[int, int, int]:
            meeting.wait()  # each item on a thread of its own
            value = torch.ones(2, requires_grad=True)
            torch.autograd.grad((number * value).sum(), [value])
            return number, threading.get_ident(), torch.get_num_threads()

        seen = workers.map(look, range(3))
        assert [number for number, _, _ in seen] == [0, 1, 2]
        assert len({thread for _, thread, _ in seen}) == 3
        assert {threads for _, _, threads in seen} == {2}
        assert workers.map(lambda item: threading.get_ident(), [0]) == [threading.get_ident()]
        assert torch.get_num_threads() == before


def test_an_error_in_a_worker_is_raised_when_all_have_ended() -> None:
    ended = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("the first")
        ended.wait(0.2)
        ended.set()

    with closing(Workers(2)) as workers, pytest.raises(ValueError, match="the first"):
        workers.map(work, [0, 1])
    assert ended.is_set()


@pytest.mark.parametrize(
    ("device", "threads", "views", "expected"),
    [("cpu", 1, 32, 1), ("cpu", 2, 32, 2), ("cpu", 16, 32, 8), ("cpu", 4, 6, 1), ("meta", 4, 32, 1)],
)
def test_shares_follow_threads_and_views(device: str, threads: int, views: int, expected: int) -> None:
    torch.set_num_threads(threads)
    with closing(workers_of(torch.device(device), views)) as workers:
        assert workers.count == expected
        assert set(workers.map(lambda _: torch.get_num_threads(), range(2 * expected))) == {
            threads // expected if device == "cpu" else threads
        }


class Two(nn.Module):
    """Two parameters, one of them never used."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        self.also = nn.Parameter(torch.ones(5))
        self.unused = nn.Parameter(torch.ones(2))


def test_updates_do_not_depend_on_the_number_of_workers() -> None:
    def after(count: int) -> dict[str, Tensor]:
        with closing(Workers(count)) as workers:
            weights = MasterWeights(Two(), 0.01, 0.9, workers)
            for k in range(3):
                gradients = [[torch.full((3, 4), 0.5 + k + part), torch.ones(5), None] for part in range(2)]
                norm = weights.step(0.01, gradients=gradients)
            assert norm == pytest.approx((12 * 6.0**2 + 5 * 2.0**2) ** 0.5)
            return weights.state()

    alone, shared = after(1), after(2)
    assert alone.keys() == shared.keys()
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value, rtol=1e-6, atol=0)


def test_a_run_on_two_threads_learns_what_one_on_one_thread_does(base_config: Any, tmp_path: Path) -> None:
    plan = BatchPlan([(RenderedToybox(16), 1.0, Mixture())], 8, 0, tag_side=8)
    options = LoopOptions(steps=6, learning_rate=1e-3, warmup_steps=1, log_every=1)

    def losses(threads: int) -> list[float]:
        torch.set_num_threads(threads)
        told: list[float] = []
        folder = tmp_path / str(threads)
        train(
            make_module(base_config),
            plan,
            options,
            folder,
            {},
            CPU,
            lambda record: told.append(record["loss"]),
        )
        return told

    assert losses(2) == pytest.approx(losses(1), rel=1e-3)
