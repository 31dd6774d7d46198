"""Models for the tests of editing: tiny random networks, and one that answers whatever a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, Prediction
from glide_edit.diffusion.schedule import Schedule
from glide_edit.editor import Editor
from glide_edit.models import Model, ModelSpec, Runtime, Stage, StagePreset, StageSpec, TextSpec, write_model
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.operations.frame import FrameInputs
from glide_edit.pipeline.cascade import Cascade, DrawStep
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.planner import plan_frames
from glide_edit.pipeline.stage import Row
from glide_edit.requests import Request
from glide_edit.text.encoder import TextEncoder
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig

SCHEDULE = Schedule.cosine(100)
CPU = Runtime(torch.device("cpu"), torch.float32, channels_last=True, threads=1, reason="a test")
CONTEXT = 12
"""Tokens that the tiny text encoder reads."""

BASE_PRESET = StagePreset(steps=3, guidance=2.0)
UPSAMPLER_PRESET = StagePreset(steps=2, sampler="ddim", low_res_noise=0.1)


def base_config(text: bool = True, known: bool = True, drawing: bool = True) -> EfficientUNetConfig:
    return EfficientUNetConfig(
        image_size=16,
        channels=(16, 16),
        blocks=(1, 1),
        attention=(False, True),
        head_width=8,
        embedding_width=16,
        text_width=8 if text else 0,
        known=known,
        drawing=drawing,
    )


UPSAMPLER_CONFIG = EfficientUNetConfig(
    image_size=64,
    channels=(16,),
    blocks=(1,),
    attention=(False,),
    patch=4,
    embedding_width=16,
    known=True,
    low_res=True,
)

# Random models ---------------------------------------------------------------------------------------------


def _randomised(module: nn.Module, seed: int) -> Any:
    """Random everywhere: untrained networks end in zeros, which would hide what they are told."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.25, generator=generator)
    return module.requires_grad_(False).eval()


@cache
def tiny_model(
    *, upsampler: bool = True, text: bool = True, known: bool = True, drawing: bool = True
) -> Model:
    """16 px, or with the upsampler 64, in float32."""
    specs = [StageSpec("base", base_config(text, known, drawing), SCHEDULE, BASE_PRESET)]
    if upsampler:
        specs.append(StageSpec("upsampler", UPSAMPLER_CONFIG, SCHEDULE, UPSAMPLER_PRESET))
    text_spec = encoder = None
    if text:
        tokenizer = BytePairTokenizer.train(["a red ball on grass"], 260, CONTEXT)
        text_spec = TextSpec(TextTransformerConfig(tokenizer.vocabulary_size, 8, 1, 2, CONTEXT))
        encoder = TextEncoder(tokenizer, _randomised(TextTransformer(text_spec.config), 7))
    stages = [
        Stage(
            spec,
            _randomised(EfficientUNet(spec.config, SCHEDULE), seed),
            encoder if spec.config.text_width else None,
        )
        for seed, spec in enumerate(specs)
    ]
    return Model.of(ModelSpec("tiny", "toybox", "MIT", {}, tuple(specs), text_spec), CPU, stages)


def tiny_editor(**parts: bool) -> Editor:
    return Editor(tiny_model(**parts))


def write_tiny(folder: Path) -> Path:
    """The tiny cascade as a model folder."""
    model = tiny_model()
    encoder: Any = model.stages[0].text_encoder
    assert model.spec.text is not None
    text = (model.spec.text, encoder.transformer.state_dict(), encoder.tokenizer)
    stages = [
        (spec, stage.network.state_dict())
        for spec, stage in zip(model.spec.stages, model.stages, strict=True)
    ]
    return write_model(
        folder, name="tiny", licence="MIT", provenance={}, stages=stages, text=text, dtype=torch.float32
    )


# A stand-in ------------------------------------------------------------------------------------------------


@dataclass
class StandIn:
    """A network that answers ``answer(x_t)`` for the clean picture, and remembers what it was told."""

    config: EfficientUNetConfig
    answer: Callable[[Tensor], Tensor]
    schedule: Schedule = SCHEDULE
    told: list[list[Conditioning]] = field(default_factory=list)

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        self.told.append(list(branches))
        return [Prediction(self.answer(x_t)) for _ in branches]


def stand_in_editor(
    answer: Callable[[Tensor], Tensor], *, upsampler: bool = False, threshold: str = "static"
) -> Editor:
    """An editor whose networks answer so, without text: 16 px, or 64 with the upsampler."""
    preset: Any = {"steps": 2, "sampler": "ddim", "threshold": threshold}
    specs = [StageSpec("base", base_config(text=False), SCHEDULE, StagePreset(**preset))]
    if upsampler:
        specs.append(StageSpec("upsampler", UPSAMPLER_CONFIG, SCHEDULE, StagePreset(**preset)))
    networks: list[Any] = [StandIn(spec.config, answer) for spec in specs]
    stages = [Stage(spec, network) for spec, network in zip(specs, networks, strict=True)]
    return Editor(Model.of(ModelSpec("stand-in", "toybox", "MIT", {}, tuple(specs), None), CPU, stages))


def told(editor: Editor, stage: int = 0) -> list[list[Conditioning]]:
    """What the stand-in of a stage was told, call by call."""
    network: Any = editor.model.stages[stage].network
    answer: list[list[Conditioning]] = network.told
    return answer


# The pipeline by itself ------------------------------------------------------------------------------------


def inputs_of(request: Request) -> FrameInputs:
    """What the networks are given for a request's first frame."""
    made = plan_frames(request)
    canvas = made.operation.canvas(request, made.allowed)
    return made.operation.inputs(request, made.frames[0], canvas)


def draw_steps(model: Model, made: Plan, inputs: FrameInputs | None = None) -> list[DrawStep]:
    """The steps of drawing a plan's first frame with its first seed."""
    given = inputs_of(made.request) if inputs is None else inputs
    row = Row(made, made.frames[0], made.request.seed, given)
    return list(Cascade.of(made, model, None).draw([row]))


# Pictures --------------------------------------------------------------------------------------------------


def noise(height: int, width: int, channels: int = 3, bits: int = 8, seed: int = 0) -> NDArray[Any]:
    """A picture of random numbers: whatever changes is seen."""
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels), dtype=dtype)
