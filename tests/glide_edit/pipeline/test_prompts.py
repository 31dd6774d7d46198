"""What networks are told of prompts, negative prompts and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from glide_edit.conditioning import Conditioning, Prediction, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.models import Model, ModelSpec, Stage, StagePreset, StageSpec, TextSpec
from glide_edit.operations.postprocess import to_pixels
from glide_edit.pipeline.planner import plan
from glide_edit.requests import Generate, Inpaint, Request, Upscale, request_from_json
from glide_edit.text.transformer import TextTransformerConfig
from masks import Mask
from tests.glide_edit.operations.stand_ins import (
    CPU,
    SCHEDULE,
    base_config,
    draw_steps,
    noise,
    stand_in_editor,
    tiny_editor,
)

WORTH = {"red": 0.2, "ball": 0.1, "grass": -0.15, "a": 0.01}
"""What each word adds to the picture, in the range -1 to 1; known pixels add 0.05."""


class Reader:
    """A text encoder whose states are what the words are worth."""

    def encode(self, prompts: list[str]) -> TextStates:
        worth = [sum(WORTH[word] for word in prompt.split()) for prompt in prompts]
        return TextStates(
            torch.tensor(worth, dtype=torch.float32).reshape(-1, 1, 1),
            torch.ones(len(worth), 1, dtype=torch.bool),
        )

    @property
    def tokenizer(self) -> Any:
        """It reads prompts of any length."""
        return SimpleNamespace(encode=lambda prompts: SimpleNamespace(dropped=[0] * len(prompts)))


@dataclass
class Worth:
    """A network whose picture is flat and as bright as what it was told is worth."""

    schedule: Schedule = SCHEDULE
    asked: list[int] = field(default_factory=list)

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        self.asked.append(len(branches))
        answers = []
        for branch in branches:
            assert branch.text is not None
            value = float(branch.text.states.mean()) + 0.05 * (branch.known is not None)
            answers.append(Prediction(torch.full_like(x_t, value)))
        return answers


def worth_editor() -> tuple[Editor, Worth]:
    network = Worth()
    spec = StageSpec(
        "base", base_config(), SCHEDULE, StagePreset(2, "ddim", guidance=2.0, threshold="static")
    )
    text = TextSpec(TextTransformerConfig(300, 8, 1, 2, 12))
    parts: Any = (network, Reader())
    model = ModelSpec("worth", "toybox", "MIT", {}, (spec,), text)
    return Editor(Model.of(model, CPU, [Stage(spec, *parts)])), network


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 0.6),
        ({"guidance": 1.0}, 0.3),
        ({"negative_prompt": "grass"}, 0.6 + 0.15),
        ({"negative_prompt": ""}, 0.6),
        ({"negative_prompt": "red ball"}, 0.3),
        ({"negative_prompt": "(grass:2)"}, 0.6 + 0.3),
        ({"prompt": "(red:1.5) ball"}, 2 * (0.3 + 0.1)),
        ({"prompt": "(red:0) ball"}, 2 * 0.1),
        ({"prompt": "(red:1) ball"}, 0.6),
        ({"prompt": "(red ball:1.5)"}, 0.9),
        ({"prompt": "(red:1.5) (ball:0.5)", "negative_prompt": "a"}, 2 * (0.3 + 0.1 - 0.05) - 0.01),
    ],
)
def test_what_words_add_up_to(settings: dict[str, Any], expected: float) -> None:
    result = worth_editor()[0].run(Generate(**{"prompt": "red ball", **settings}))
    assert np.abs(result.pictures[0].pixels - (expected + 1) * 127.5).max() <= 0.51


@pytest.mark.parametrize(
    ("prompt", "count"), [("red ball", 2), ("(red:2) ball", 3), ("(red ball:2)", 2), ("(red:1) ball", 2)]
)
def test_weights_cost_a_branch_each_unless_they_are_1(prompt: str, count: int) -> None:
    editor, network = worth_editor()
    editor.generate(prompt)
    assert set(network.asked) == {count}


def inpainted(**settings: Any) -> tuple[float, Worth]:
    """What the middle of a fully selected picture is worth, and the network that drew it."""
    editor, network = worth_editor()
    picture = open_picture(np.full((32, 32, 3), 128, np.uint8))
    selected = np.zeros((32, 32), bool)
    selected[8:24, 8:24] = True
    mask = Mask.from_array(selected, means="change")
    request = Inpaint(image=picture, mask=mask, prompt="red ball", finish="hard", context=1, **settings)
    drawn = to_pixels(draw_steps(editor.model, plan(request, editor.model))[-1].picture())
    return float(drawn[0, 8, 8].mean() / 127.5 - 1), network


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 2 * 0.3 + 0.05),
        ({"context_guidance": 1.0}, 2 * 0.3 + 0.05),
        ({"context_guidance": 0.0}, 2 * 0.3),
        ({"context_guidance": 3.0}, 2 * 0.3 + 3 * 0.05),
        ({"context_guidance": 3.0, "guidance": 1.0}, 0.3 + 3 * 0.05),
        ({"context_guidance": 3.0, "negative_prompt": "grass"}, 2 * 0.3 + 0.15 + 3 * 0.05),
        ({"context_guidance": 3.0, "context_interval": (0.5, 1.0)}, 2 * 0.3 + 0.05),
        ({"context_guidance": 3.0, "context_interval": (0.0, 0.5)}, 2 * 0.3 + 3 * 0.05),
    ],
)
def test_what_is_known_has_a_scale_of_its_own(settings: dict[str, Any], expected: float) -> None:
    assert inpainted(**settings)[0] == pytest.approx(expected, abs=1e-5)


def test_the_dial_costs_a_branch_only_where_it_acts() -> None:
    assert inpainted()[1].asked == [2, 2]
    assert inpainted(context_guidance=1.0)[1].asked == [2, 2]
    assert inpainted(context_guidance=0.5)[1].asked == [3, 3]
    assert inpainted(context_guidance=0.5, context_interval=(0.5, 1.0))[1].asked == [3, 2]


def test_control_characters_are_left_out_and_said(editor: Editor) -> None:
    result = editor.generate("a red\x07 ball", negative_prompt="\x00grass\x01")
    said = editor.generate("a red ball", negative_prompt="grass")
    assert np.array_equal(result.pictures[0].pixels, said.pictures[0].pixels)
    assert result.notes == (
        "The prompt has control characters: 1 of them were left out.",
        "The negative prompt has control characters: 2 of them were left out.",
    )
    with pytest.raises(InputError, match="The prompt is empty"):
        Generate(prompt="\x00\x07")


def test_a_negative_prompt_that_is_not_heeded_is_said(editor: Editor) -> None:
    assert any("no effect" in n for n in editor.generate("a", negative_prompt="b", guidance=1).notes)
    assert editor.generate("a", negative_prompt="b").notes == ()
    said = stand_in_editor(lambda x: x).generate("a", negative_prompt="b").notes
    assert any("reads no text: the negative prompt was ignored" in note for note in said)
    long = editor.generate("a", negative_prompt="red ball on grass " * 9).notes
    assert any("The negative prompt is too long" in note for note in long)


def test_a_negative_prompt_that_is_heeded_is_not_said_to_be_ignored(editor: Editor) -> None:
    """With a scale for the surroundings it has a weight at a guidance of 1 too."""
    selected = np.zeros((64, 64), bool)
    selected[16:48, 16:48] = True
    request = Inpaint(
        image=open_picture(noise(64, 64)), mask=Mask(selected), prompt="a", negative_prompt="b", guidance=1
    )
    assert any("no effect" in note for note in editor.plan(request).notes)
    assert not editor.plan(request.replace(context_guidance=1.5)).notes
    assert not editor.plan(Generate(prompt="(red:1.2) ball", negative_prompt="b", guidance=2)).notes
    assert any(
        "no effect" in note
        for note in editor.plan(Generate(prompt="(red:1.2) ball", negative_prompt="b", guidance=1)).notes
    )


def test_enlarging_says_what_is_for_the_first_stage(editor: Editor) -> None:
    image = open_picture(noise(40, 40))
    assert editor.plan(Upscale(image=image, stage_steps=(5, 4), factor=2)).notes == ()
    made = editor.plan(
        Upscale(
            image=image, factor=2, steps=3, guidance=2, sampler="ddim", prompt="a ball", negative_prompt="b"
        )
    )
    assert made.notes == (
        "Enlarging runs the upsampler alone, and steps, sampler, guidance were ignored: upsampler_steps says "
        "how many steps it takes.",
        "The upsampler of the model tiny reads no text: the prompt was ignored.",
        "The upsampler of the model tiny reads no text: the negative prompt was ignored.",
    )
    assert "stage_steps was ignored" in editor.plan(Upscale(image=image, stage_steps=(5,))).notes[0]
    with pytest.raises(InputError, match="stage_steps has 3 numbers") as caught:
        editor.plan(Upscale(image=image, stage_steps=(5, 4, 3)))
    assert caught.value.field == "stage_steps"


def test_it_comes_back_from_json() -> None:
    request = Generate(prompt="a (red:1.2) ball", negative_prompt="grass")
    again: Request = request_from_json(request.to_json())
    assert (again.prompt, again.negative_prompt) == ("a (red:1.2) ball", "grass")
    assert "negative_prompt" not in Generate(prompt="a").to_json()


def test_bad_prompts_are_refused_when_the_request_is_made() -> None:
    for name in ("prompt", "negative_prompt"):
        with pytest.raises(InputError, match="at most 10, not 99"):
            Generate(**{"prompt": "a", name: "(a:99)"})
    wrong: Any = 3
    with pytest.raises(InputError, match="The negative prompt must be text, not int"):
        Generate(prompt="a", negative_prompt=wrong)
