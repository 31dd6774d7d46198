"""The four tiny U-Nets of ``golden.safetensors``, their text transformers, and what they were told."""

from __future__ import annotations

from dataclasses import replace

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.schedule import Schedule
from glide_edit.models import openai
from glide_edit.networks.adm_unet import ADMUNet, ADMUNetConfig
from glide_edit.text.glide_transformer import GlideTextConfig, GlideTextTransformer
from tests.glide_edit import golden

_SMALL = ADMUNetConfig(
    image_size=16, width=32, multipliers=(1, 2), blocks=1, attention=(2,), head_width=16, text_width=64
)
_LARGE = replace(_SMALL, image_size=32, multipliers=(1, 2, 2), attention=(4,), low_res=True)
_TEXT = GlideTextConfig(vocabulary=211, width=64, layers=2, heads=2, context=12)
CHECKPOINTS = {
    "base": openai.Checkpoint(_SMALL, Schedule.cosine(), _TEXT),
    "base_inpaint": openai.Checkpoint(replace(_SMALL, known=True), Schedule.cosine(), _TEXT),
    "upsample": openai.Checkpoint(_LARGE, Schedule.linear(), _TEXT),
    "upsample_inpaint": openai.Checkpoint(replace(_LARGE, known=True), Schedule.linear(), _TEXT),
}
END_TOKEN = 210
"""What the unconditional prompt is made of, with an all-False mask."""


def networks(checkpoint: str) -> tuple[ADMUNet, GlideTextTransformer]:
    """The recorded U-Net and its text transformer, filled through the table of names."""
    shape = CHECKPOINTS[checkpoint]
    unet, text = ADMUNet(shape.config, shape.schedule), GlideTextTransformer(shape.text)
    blank = openai.joined(unet.state_dict(), text.state_dict(), shape)
    unet_tensors, text_tensors = openai.split(
        golden.weights({name: tuple(value.shape) for name, value in blank.items()}), shape
    )
    unet.load_state_dict(unet_tensors)
    text.load_state_dict(text_tensors)
    return unet.requires_grad_(False).eval(), text.requires_grad_(False).eval()


def condition(checkpoint: str, text: GlideTextTransformer) -> Conditioning:
    """What the recorded U-Net was told; published code hides the unknown pixels itself."""
    given = {name.removeprefix(f"{checkpoint}.in."): value for name, value in golden.load().items()}
    known, keep_mask = given.get("inpaint_image"), given.get("inpaint_mask")
    return Conditioning(
        text=text(given["tokens"], given["mask"]),
        known=None if known is None or keep_mask is None else known * keep_mask,
        keep_mask=keep_mask,
        low_res=given.get("low_res"),
    )
