"""Detail at the photograph's own resolution: where it is drawn, that it fits, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.conditioning import Conditioning, Prediction
from glide_edit.diffusion.schedule import Schedule
from glide_edit.editor import Editor
from glide_edit.images import open_picture
from glide_edit.models import Model, ModelSpec, Stage, StagePreset, StageSpec
from glide_edit.operations.sharpness import sharpness
from glide_edit.pipeline import passes
from glide_edit.pipeline.passes import pass_sides
from glide_edit.requests import Inpaint
from glide_edit.results import EditResult, Progress
from masks import Mask, draw
from tests.glide_edit.operations.stand_ins import (
    CPU,
    SCHEDULE,
    UPSAMPLER_CONFIG,
    StandIn,
    base_config,
    noise,
    stand_in_editor,
    told,
)


@dataclass
class Enlarger:
    """An upsampler that enlarges what it is told, and adds ``grain`` after the cascade's own two steps."""

    config: Any = UPSAMPLER_CONFIG
    schedule: Schedule = SCHEDULE
    grain: float = 0.0
    told: list[Sequence[Conditioning]] = field(default_factory=list)

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        self.told.append(branches)
        low_res = branches[0].low_res
        assert low_res is not None
        x0 = F.interpolate(low_res, x_t.shape[2:], mode="bicubic", align_corners=False)
        speckle = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(0))
        return [Prediction(x0 + self.grain * speckle * (len(self.told) > 2)) for _ in branches]


def enlarging_editor(picture: Tensor, grain: float = 0.0) -> Editor:
    """Its base draws ``picture`` (3, 16, 16)."""
    preset: Any = {"steps": 2, "sampler": "ddim", "threshold": "static"}
    specs = (
        StageSpec("base", base_config(text=False), SCHEDULE, StagePreset(**preset)),
        StageSpec("upsampler", UPSAMPLER_CONFIG, SCHEDULE, StagePreset(**preset)),
    )
    networks: list[Any] = [StandIn(specs[0].config, lambda x: picture.expand_as(x)), Enlarger(grain=grain)]
    stages = [Stage(spec, network) for spec, network in zip(specs, networks, strict=True)]
    return Editor(Model.of(ModelSpec("enlarger", "toybox", "MIT", {}, specs, None), CPU, stages))


def request(side: int = 200, box: tuple[int, int, int, int] = (60, 70, 120, 150), **fields: Any) -> Inpaint:
    image = open_picture(noise(side, side, seed=2))
    return Inpaint(image=image, mask=draw.box(box, (side, side)), context=16, finish="hard", **fields)


def events(editor: Editor, request: Inpaint) -> list[Progress]:
    return [event for event in editor.stream(request) if isinstance(event, Progress)]


def test_sizes_rise_by_at_most_the_factor_and_a_half_to_the_frames_own() -> None:
    assert pass_sides(256, 256, 4) == pass_sides(300, 256, 4) == []
    assert pass_sides(320, 256, 4) == [320]
    assert pass_sides(1536, 256, 4) == [1536]
    assert pass_sides(2000, 256, 4) == [500, 2000]
    assert pass_sides(6145, 256, 4) == [385, 1537, 6145]


def test_detail_is_drawn_where_the_frame_is_larger_than_the_models_picture() -> None:
    editor = stand_in_editor(torch.zeros_like, upsampler=True)
    stages = [event.stage for event in events(editor, request())]
    assert stages == ["base"] * 2 + ["upsampler"] * 2 + ["detail"] * 2
    assert "detail" not in [event.stage for event in events(editor, request(detail=False))]
    assert "detail" not in [event.stage for event in events(editor, request(side=70, box=(9, 9, 20, 20)))]
    alone = stand_in_editor(torch.zeros_like)
    assert {event.stage for event in events(alone, request())} == {"base"}


def test_previews_show_the_frame_at_its_own_size_and_pictures_come_with_their_last_step() -> None:
    editor = stand_in_editor(torch.zeros_like, upsampler=True)
    made = events(editor, request(n=2))
    assert made[-1].preview.shape == (200, 200, 3)
    assert [len(event.pictures) for event in made] == [0] * 5 + [1, 0, 1]
    assert [event.finished for event in made][-3:] == [1, 1, 2]


def test_stopping_stops_between_the_steps_of_detail() -> None:
    editor = stand_in_editor(torch.zeros_like, upsampler=True)
    stream = editor.stream(request())
    for event in stream:
        if isinstance(event, Progress) and event.stage == "detail":
            break
    calls = len(told(editor, 1))
    stream.close()
    assert len(told(editor, 1)) == calls
    assert isinstance(editor.run(request()), EditResult)


@pytest.mark.parametrize("side", [200, 201, 203, 333])
def test_detail_lies_where_the_picture_before_it_lay(side: int) -> None:
    """An upsampler that only enlarges changes nothing: every pixel of every tile is in its place."""
    square = torch.from_numpy(cv2.GaussianBlur(noise(16, 16, seed=5), (0, 0), 2)).float().permute(2, 0, 1)
    editor = enlarging_editor(square / 127.5 - 1)
    box = (20, 30, side - 20, side - 30)
    results = [
        editor.run(request(side, box, detail=detail)).pictures[0].pixels.astype(int)
        for detail in (True, False)
    ]
    difference = np.abs(results[0] - results[1])[35 : side - 35, 25 : side - 25]
    assert difference.max() <= 4
    assert difference.mean() < 1


def test_only_tiles_that_hold_something_to_repaint_are_run() -> None:
    selected = np.zeros((400, 400), bool)
    selected[10:20, 10:20] = selected[380:390, 380:390] = True
    editor = enlarging_editor(torch.zeros(3, 16, 16))
    network: Any = editor.model.stages[1].network
    editor.run(Inpaint(image=open_picture(noise(400, 400)), mask=Mask(selected), context=16, detail=True))
    in_detail = [branches[0] for branches in network.told[2:]]
    assert len(in_detail) < 20, "two steps of a few tiles, not of the 81 that would cover the picture"
    for condition in in_detail:
        assert condition.keep_mask is not None
        assert condition.keep_mask.min() == 0
        assert condition.keep_mask.shape[2:] == (64, 64)


def test_known_pixels_are_told_at_their_own_resolution() -> None:
    editor = enlarging_editor(torch.zeros(3, 16, 16))
    network: Any = editor.model.stages[1].network
    made = request()
    editor.run(made)
    condition = network.told[-1][0]
    whole = made.image.pixels.astype(np.float32) / 127.5 - 1
    shown = (condition.known[0] * condition.keep_mask[0]).permute(1, 2, 0).numpy()
    places = [
        (y, x)
        for y in range(0, 137, 4)
        for x in range(0, 137, 4)
        if np.allclose(
            shown[condition.keep_mask[0, 0] == 1],
            whole[y : y + 64, x : x + 64][condition.keep_mask[0, 0] == 1],
            atol=1e-5,
        )
    ]
    assert len(places) == 1


def test_an_image_follows_from_its_seed_whatever_is_made_beside_it() -> None:
    editor = stand_in_editor(lambda x: x, upsampler=True)
    together = editor.run(request(n=3, seed=4)).pictures
    alone = editor.run(request(seed=5)).pictures[0]
    assert np.array_equal(together[1].pixels, alone.pixels)
    assert not np.array_equal(together[0].pixels, alone.pixels)


def test_grain_is_taken_down_to_that_of_the_surroundings_unless_detail_is_asked_for() -> None:
    smooth = open_picture(cv2.GaussianBlur(noise(200, 200, seed=2), (0, 0), 4))
    mask = draw.box((60, 70, 120, 150), (200, 200))
    editor = enlarging_editor(torch.zeros(3, 16, 16), grain=0.3)
    values = [
        sharpness(editor.inpaint(smooth, mask, context=16, detail=detail).pictures[0].pixels, mask.selected)
        for detail in (None, True)
    ]
    assert values[0] < 3
    assert values[1] > 5


def test_a_large_repaint_costs_no_more_tiles_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "MOST_TILES", 4)
    editor = enlarging_editor(torch.zeros(3, 16, 16))
    network: Any = editor.model.stages[1].network
    result = editor.run(request(400, (0, 0, 400, 399), detail=True))
    assert len(network.told) <= 2 + 2 * 2 * 4, "two passes of two steps after the cascade"
    assert result.pictures[0].pixels.shape == (400, 400, 3)
