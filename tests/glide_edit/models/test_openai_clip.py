import pytest
import torch

from glide_edit.errors import ModelFormatError
from glide_edit.models import openai_clip, tensors
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from tests.glide_edit import golden
from tests.glide_edit.clips import RECORDED, recorded_clip

RELEASED = NoisedCLIPConfig()


def test_the_defaults_are_the_released_network() -> None:
    clip = tensors.blank(lambda: NoisedCLIP(RELEASED), "the CLIP")
    image, text = openai_clip.split(clip.state_dict(), RELEASED)
    assert {name: tuple(value.shape) for name, value in image.items()} == golden.keys("clip_image_enc")
    assert {name: tuple(value.shape) for name, value in text.items()} == golden.keys("clip_text_enc")
    assert sum(value.numel() for value in image.values()) == 86_443_776
    assert sum(value.numel() for value in text.values()) == 71_679_488
    # Every tensor of ours has exactly one published name.
    assert sorted(clip.state_dict()) == sorted(
        [*openai_clip.image_names(RELEASED).values(), *openai_clip.text_names(RELEASED).values()]
    )


def test_published_names_come_in_published_order() -> None:
    assert list(openai_clip.image_names(RELEASED)) == list(golden.keys("clip_image_enc"))
    assert list(openai_clip.text_names(RELEASED)) == list(golden.keys("clip_text_enc"))


def test_splitting_undoes_joining() -> None:
    state = recorded_clip().state_dict()
    image, text = openai_clip.split(state, RECORDED)
    again = openai_clip.joined(image, text, RECORDED)
    assert set(again) == set(state)
    assert all(torch.equal(again[name], value) for name, value in state.items())


@pytest.mark.parametrize("part", [0, 1])
def test_other_names_are_refused(part: int) -> None:
    parts = openai_clip.split(recorded_clip().state_dict(), RECORDED)
    what = ("image", "text")[part]
    value = parts[part].pop("blocks.block_1.f_mlp.f_1.w")
    with pytest.raises(ModelFormatError, match=rf"{what} encoder lacks blocks\.block_1\.f_mlp\.f_1\.w"):
        openai_clip.joined(*parts, RECORDED)
    parts[part].update({"blocks.block_1.f_mlp.f_1.w": value, "surprise": value})
    with pytest.raises(ModelFormatError, match=rf"{what} encoder has unknown surprise"):
        openai_clip.joined(*parts, RECORDED)
