"""Kinds that a program registers, cascades of other lengths, and what a model says that it can do."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, Prediction, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.editor import Editor
from glide_edit.errors import InputError, ModelFormatError
from glide_edit.models import (
    Capabilities,
    ClipSpec,
    ModelSpec,
    StageSpec,
    TextSpec,
    choose_runtime,
    folder,
    glide,
    kinds,
    load_model,
    read_spec,
    register_network,
    register_text_encoder,
    resolve,
    write_model,
)
from glide_edit.networks.efficient_unet import EfficientUNet
from glide_edit.text.tokenizer import BytePairTokenizer
from masks import Mask
from tests.glide_edit.operations.stand_ins import BASE_PRESET, SCHEDULE, UPSAMPLER_CONFIG, UPSAMPLER_PRESET
from tests.glide_edit.operations.stand_ins import base_config as stand_in_config

CPU = choose_runtime("cpu", "float32")


@dataclass(frozen=True)
class FlatConfig:
    """A user's network: one colour, read from the text."""

    image_size: int
    text_width: int
    known: bool = True
    stride: ClassVar[int] = 1
    drawing: ClassVar[bool] = False
    low_res: ClassVar[bool] = False
    soft_masks: ClassVar[bool] = True
    instruction: ClassVar[bool] = True


class Flat(nn.Module):
    def __init__(self, config: FlatConfig, schedule: Schedule) -> None:
        super().__init__()
        self.config, self.schedule = config, schedule
        self.colour = nn.Linear(config.text_width, 3)

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        texts = [branch.text for branch in branches]
        colours = [self.colour(text.states.mean(1)).tanh() for text in texts if text is not None]
        return [Prediction(colour[:, :, None, None].expand_as(x_t)) for colour in colours]


@dataclass(frozen=True)
class CountConfig:
    vocabulary: int
    context: int
    width: int = 4


class Count(nn.Module):
    """A user's text encoder: nothing but embeddings."""

    def __init__(self, config: CountConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocabulary, config.width)

    @property
    def device(self) -> torch.device:
        return self.tokens.weight.device

    def forward(self, ids: Tensor, token_mask: Tensor) -> TextStates:
        return TextStates(self.tokens(ids), token_mask)


@pytest.fixture
def registered() -> Iterator[None]:
    before = dict(kinds.NETWORKS), dict(kinds.TEXT_ENCODERS)
    register_network("flat", FlatConfig, Flat)
    register_text_encoder("count", CountConfig, Count)
    yield
    for table, old in zip((kinds.NETWORKS, kinds.TEXT_ENCODERS), before, strict=True):
        table.clear()
        table.update(old)  # type: ignore[arg-type]


def write_flat(target: Path) -> Path:
    torch.manual_seed(5)
    tokenizer = BytePairTokenizer.train(["a red ball"], 260, context=8)
    text = TextSpec(CountConfig(tokenizer.vocabulary_size, 8))
    stage = StageSpec("only", FlatConfig(16, 4), SCHEDULE, BASE_PRESET)
    return write_model(
        target,
        name="flat",
        licence="MIT",
        provenance={},
        stages=[(stage, Flat(stage.config, SCHEDULE).state_dict())],
        text=(text, Count(text.config).state_dict(), tokenizer),
        dtype=torch.float32,
    )


@pytest.mark.usefixtures("registered")
class TestOfOnesOwn:
    def test_a_registered_kind_is_written_loaded_and_edits(self, tmp_path: Path) -> None:
        model = load_model(write_flat(tmp_path / "flat"), CPU)
        assert isinstance(model.stages[0].network, Flat)
        assert model.spec.stages[0].to_json()["kind"] == "flat"
        source = np.full((40, 40, 3), 7, dtype=np.uint8)
        mask = Mask.from_array(np.pad(np.ones((10, 10), bool), 15), means="change")
        result = Editor(model).inpaint(source, mask, "a red ball", guidance=1.0)
        pixels = np.asarray(result.pictures[0].pixels)
        assert (np.delete(pixels, slice(15, 25), axis=0) == 7).all()
        assert (pixels[18:22, 18:22] != 7).any()

    def test_it_says_what_it_can_do(self, tmp_path: Path) -> None:
        said = read_spec(write_flat(tmp_path / "flat")).capabilities
        assert said == Capabilities(
            text=True,
            inpaint=True,
            drawing=False,
            clip_score=False,
            soft_masks=True,
            instruction=True,
            upscales=(),
        )

    def test_it_is_unknown_where_it_is_not_registered(self, tmp_path: Path) -> None:
        written = write_flat(tmp_path / "flat")
        del kinds.NETWORKS["flat"]
        with pytest.raises(
            ModelFormatError, match=r"stages\[0\].kind is 'flat'; .* knows efficient_unet and"
        ):
            read_spec(written)

    def test_a_name_is_given_once(self) -> None:
        register_network("flat", FlatConfig, Flat)
        for name, config in (("flat", CountConfig), ("flat2", FlatConfig)):
            with pytest.raises(InputError, match="'flat', configured by FlatConfig, is registered already"):
                register_network(name, config, Flat)
        with pytest.raises(InputError, match="must be a dataclass"):
            register_network("plain", dict, Flat)

    def test_a_cell_that_is_run_again_registers_its_kind_again(self) -> None:
        @dataclass(frozen=True)
        class Again(FlatConfig):
            pass

        first = Again
        register_network("again", first, Flat)

        @dataclass(frozen=True)
        class Again(FlatConfig):  # type: ignore[no-redef]
            pass

        register_network("again", Again, Flat)
        assert kinds.NETWORKS["again"].config is Again is not first

    def test_a_configuration_must_say_what_is_asked_of_it(self) -> None:
        with pytest.raises(InputError, match="must say image_size, stride, text_width, known"):
            register_network("bare", Bare, Flat)  # type: ignore[type-abstract, arg-type]
        with pytest.raises(InputError, match="must say vocabulary"):
            register_text_encoder("bare", Wide, Count)  # type: ignore[type-abstract, arg-type]
        assert "bare" not in {*kinds.NETWORKS, *kinds.TEXT_ENCODERS}


@dataclass(frozen=True)
class Bare:
    side: int = 8


@dataclass(frozen=True)
class Wide:
    width: int = 8


def test_a_configuration_of_no_kind_is_refused() -> None:
    with pytest.raises(ModelFormatError, match="CountConfig is the configuration of no registered kind"):
        TextSpec(CountConfig(10, 4))


# -- cascades --------------------------------------------------------------------------------------------


def stage(name: str, size: int, known: bool = True, inpaints: str | None = None) -> StageSpec:
    """16 px is drawn from noise, what is larger is upsampled."""
    if size == 16:
        return StageSpec(
            name, stand_in_config(text=False, known=known), SCHEDULE, BASE_PRESET, inpaints=inpaints
        )
    config = replace(UPSAMPLER_CONFIG, image_size=size, known=known)
    return StageSpec(name, config, SCHEDULE, UPSAMPLER_PRESET, inpaints=inpaints)


def spec_of(*stages: StageSpec) -> ModelSpec:
    return ModelSpec("m", "toybox", "MIT", {}, stages, None)


def names(stages: Sequence[StageSpec]) -> list[str]:
    return [each.name for each in stages]


def write_three(target: Path) -> Path:
    torch.manual_seed(2)
    stages = []
    for spec in (stage("draft", 16), stage("middle", 32), stage("fine", 128)):
        network: Any = EfficientUNet(spec.config, SCHEDULE)  # type: ignore[arg-type]
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.2)
        stages.append((spec, network.state_dict()))
    return write_model(
        target, name="three", licence="MIT", provenance={}, stages=stages, text=None, dtype=torch.float32
    )


def test_three_stages_are_written_loaded_and_run(tmp_path: Path) -> None:
    model = load_model(write_three(tmp_path / "three"), CPU)
    record = json.loads((tmp_path / "three/model.json").read_text())
    assert record["format"] == 3
    assert ModelSpec.from_json(record) == model.spec
    assert [each.image_size for each in model.cascade(False)] == [16, 32, 128]
    assert model.capabilities.upscales == (2, 4)
    result = Editor(model).generate("a ball", seed=1)
    assert np.asarray(result.pictures[0].pixels).shape == (128, 128, 3)


def test_a_stage_may_name_the_one_whose_place_it_takes() -> None:
    spec = spec_of(stage("a", 16, known=False), stage("b", 64), stage("a_hole", 16, inpaints="a"))
    assert names(spec.cascade(False)) == ["a", "b"]
    assert names(spec.cascade(True)) == ["a_hole", "b"]
    assert [each.label for each in spec.stages] == ["a", "b", "a"]
    record = spec.to_json()
    assert record["format"] == 3
    assert [each.get("inpaints") for each in record["stages"]] == [None, None, "a"]
    files = dict.fromkeys(spec.file_names, "0" * 64)
    assert ModelSpec.from_json({**record, "files": files}) == replace(spec, files=files)


def test_a_stage_that_inpaints_need_not_have_another_to_replace() -> None:
    spec = spec_of(stage("upsampler", 64), stage("base_inpaint", 16))
    assert names(spec.cascade(False)) == ["upsampler"]
    assert names(spec.cascade(True)) == ["base_inpaint", "upsampler"]
    assert (spec.format, spec.capabilities.inpaint, spec.capabilities.upscales) == (2, True, (4,))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([("b", 64, None), ("a", 16, None)], "in the order in which they run"),
        ([("a", 16, None), ("a", 64, None)], "a name of its own"),
        ([("a", 16, None), ("b", 40, None)], "40 pixels: after a a of 16 it must make a whole multiple"),
        ([("a", 16, None), ("b", 16, None)], "b needs a low-resolution picture"),
        ([("a", 32, None), ("b", 64, None)], "a cannot have a low-resolution picture"),
        ([("a", 16, None), ("b", 16, "a"), ("c", 16, "a")], "Two stages take the same place"),
        ([("../a", 16, None)], "not a plain name"),
    ],
)
def test_stages_that_make_no_cascade(stages: list[tuple[str, int, str | None]], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        spec_of(*(stage(name, size, inpaints=inpaints) for name, size, inpaints in stages))


@pytest.mark.parametrize(
    "stages",
    [
        [("base", 16, None), ("upsampler", 32, None)],
        [("draft", 16, None)],
        [("base", 16, None), ("second", 64, None)],
        [("base_inpaint", 16, None), ("upsampler", 64, None)],
        [("base", 16, None), ("hole", 16, "base")],
        [("upsampler", 16, None)],
    ],
)
def test_what_format_2_cannot_say_is_format_3_and_refused_in_format_2(stages: Any) -> None:
    spec = spec_of(*(stage(name, size, inpaints=inpaints) for name, size, inpaints in stages))
    record = {**spec.to_json(), "files": dict.fromkeys(spec.file_names, "0" * 64)}
    assert record["format"] == 3
    assert ModelSpec.from_json(record).stages == spec.stages
    with pytest.raises(ModelFormatError, match=r"has format 2.*need format 3"):
        ModelSpec.from_json({**record, "format": 2})


# -- models that there are -------------------------------------------------------------------------------


def glide_spec(*published: str) -> ModelSpec:
    stages = tuple(glide.stage_spec(name) for name in published)
    spec = ModelSpec("glide", "glide", "MIT", {}, stages, None, clip=ClipSpec(glide.CLIP))
    return replace(spec, files=dict.fromkeys(spec.file_names, "0" * 64))


def test_the_shipped_model_is_written_as_it_was() -> None:
    spec = read_spec(resolve("toybox"))
    assert folder._record_of(spec).encode() == (resolve("toybox") / "model.json").read_bytes()
    assert spec.to_json()["format"] == 3


@pytest.mark.parametrize(
    ("published", "identity"),
    [
        (("base",), "dee2452a6f63c5c0"),
        (("base", "upsample"), "7f7c1211225c3b45"),
        (("base", "upsample", "base_inpaint", "upsample_inpaint"), "e4137180cf6bc265"),
        (("upsample", "base_inpaint"), "0ee52b3dd757a286"),
        (("upsample",), "8b3f68420e6f5e1f"),
    ],
)
def test_glides_identity_is_what_it_was(published: tuple[str, ...], identity: str) -> None:
    spec = glide_spec(*published)
    assert spec.identity == identity
    assert spec.to_json()["format"] == 2
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_capabilities_of_models_that_there_are() -> None:
    toybox = read_spec(resolve("toybox")).capabilities
    assert (toybox.text, toybox.inpaint, toybox.drawing, toybox.upscales) == (True, True, True, (4,))
    whole = glide_spec("base", "upsample", "base_inpaint", "upsample_inpaint").capabilities
    assert whole == Capabilities(
        text=True,
        inpaint=True,
        drawing=False,
        clip_score=True,
        soft_masks=False,
        instruction=False,
        upscales=(4,),
    )
    assert not glide_spec("base", "upsample").capabilities.inpaint
    assert not glide_spec("upsample").capabilities.inpaint
