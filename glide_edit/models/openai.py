"""OpenAI's GLIDE checkpoints: the shapes of the four diffusion networks, and the names of their tensors.

A published state dict holds a U-Net and its text transformer. ``split`` makes it the state dicts of our
``ADMUNet`` and ``GlideTextTransformer``, and ``joined`` does the reverse; ``unet_names`` and ``text_names``
map the names. The noised CLIP has its own module, ``openai_clip``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import ModelFormatError
from glide_edit.networks.adm_unet import ADMUNetConfig
from glide_edit.text.glide_transformer import GlideTextConfig


@dataclass(frozen=True)
class Checkpoint:
    """One released file: the U-Net's configuration and schedule, and its own text transformer's."""

    config: ADMUNetConfig
    schedule: Schedule
    text: GlideTextConfig


_TEXT = GlideTextConfig(vocabulary=50257)
_SMALL = ADMUNetConfig(image_size=64, width=192, multipliers=(1, 2, 3, 4), blocks=3, attention=(2, 4, 8))
_LARGE = ADMUNetConfig(
    image_size=256, width=192, multipliers=(1, 1, 2, 2, 4, 4), blocks=2, attention=(8, 16, 32), low_res=True
)
BASE = Checkpoint(_SMALL, Schedule.cosine(), _TEXT)
BASE_INPAINT = Checkpoint(replace(_SMALL, known=True), Schedule.cosine(), _TEXT)
UPSAMPLE = Checkpoint(_LARGE, Schedule.linear(), _TEXT)
UPSAMPLE_INPAINT = Checkpoint(replace(_LARGE, known=True), Schedule.linear(), _TEXT)
CHECKPOINTS = {
    "base": BASE,
    "base_inpaint": BASE_INPAINT,
    "upsample": UPSAMPLE,
    "upsample_inpaint": UPSAMPLE_INPAINT,
}
"""By the names that the published code has for them, with "-" written "_"."""

_RESIDUAL = {
    "in_layers.0": "norm_in",
    "in_layers.2": "conv_in",
    "emb_layers.1": "film",
    "out_layers.0": "norm_out",
    "out_layers.3": "conv_out",
}
_SHORTCUT = {"skip_connection": "shortcut"}
_ATTENTION = {"norm": "norm", "qkv": "qkv", "encoder_kv": "text_kv", "proj_out": "out"}
_TEXT_BLOCK = {
    "ln_1": "norm_attention",
    "attn.c_qkv": "qkv",
    "attn.c_proj": "out",
    "ln_2": "norm_mlp",
    "mlp.c_fc": "expand",
    "mlp.c_proj": "contract",
}
_UNET_ENDS = {
    "time_embed.0": "time.0",
    "time_embed.2": "time.2",
    "transformer_proj": "text_pool",
    "input_blocks.0.0": "stem",
    "out.0": "norm",
    "out.2": "head",
}
_POINTWISE = (".qkv.weight", ".encoder_kv.weight", ".proj_out.weight")
"""Published as one-dimensional convolutions with a kernel of 1, (out, in, 1); ours are (out, in)."""


def unet_names(config: ADMUNetConfig) -> dict[str, str]:
    """Published name -> ours, of every tensor of the U-Net."""
    modules = dict(_UNET_ENDS)
    for published, ours, table in _unet_parts(config):
        modules |= {f"{published}.{part}": f"{ours}.{name}" for part, name in table.items()}
    return _with_weights_and_biases(modules)


def text_names(config: GlideTextConfig) -> dict[str, str]:
    """Published name -> ours, of every tensor of the text transformer."""
    modules = {"final_ln": "norm"}
    for i in range(config.layers):
        block = f"transformer.resblocks.{i}"
        modules |= {f"{block}.{part}": f"blocks.{i}.{name}" for part, name in _TEXT_BLOCK.items()}
    return {
        "token_embedding.weight": "tokens.weight",
        "positional_embedding": "positions",
        "padding_embedding": "padding",
        **_with_weights_and_biases(modules),
    }


def split(
    published: Mapping[str, Tensor], checkpoint: Checkpoint
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A published state dict -> the state dicts of ``ADMUNet`` and ``GlideTextTransformer``.

    The tensors are views of what came in.

    Raises:
        ModelFormatError: a name is missing or unknown, or a tensor that should have a kernel of 1 has not.
    """
    unet, text = unet_names(checkpoint.config), text_names(checkpoint.text)
    for names, complaint in (
        ({*unet, *text} - set(published), "lacks"),
        (set(published) - {*unet, *text}, "has unknown"),
    ):
        if names:
            raise ModelFormatError(
                f"The checkpoint {complaint} {min(names)}: it is not the published one that was asked for."
            )
    return (
        {ours: _without_kernel(name, published[name]) for name, ours in unet.items()},
        {ours: published[name] for name, ours in text.items()},
    )


def joined(
    unet: Mapping[str, Tensor], text: Mapping[str, Tensor], checkpoint: Checkpoint
) -> dict[str, Tensor]:
    """The published state dict that ``split`` would make these two of."""
    restored = {
        name: unet[ours][..., None] if name.endswith(_POINTWISE) else unet[ours]
        for name, ours in unet_names(checkpoint.config).items()
    }
    return restored | {name: text[ours] for name, ours in text_names(checkpoint.text).items()}


def _unet_parts(config: ADMUNetConfig) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every residual block and attention layer: its published prefix, ours, and the table of its parts.

    Published blocks are numbered through, whatever their level. Block 0 on the way in is the stem; a block
    that halves the picture has a number of its own, one that doubles it is the last part of the block before.
    """
    channels, last = config.channels, len(config.multipliers) - 1
    number = 1
    for level in range(last + 1):
        for i in range(config.blocks):
            widens = i == 0 and level > 0 and channels[level] != channels[level - 1]
            yield f"input_blocks.{number}.0", f"down.{level}.blocks.{i}", _residual(shortcut=widens)
            if 2**level in config.attention:
                yield f"input_blocks.{number}.1", f"down.{level}.attentions.{i}", _ATTENTION
            number += 1
        if level < last:
            yield f"input_blocks.{number}.0", f"down.{level}.resample", _RESIDUAL
            number += 1
    yield "middle_block.0", "middle_in", _RESIDUAL
    yield "middle_block.1", "middle_attention", _ATTENTION
    yield "middle_block.2", "middle_out", _RESIDUAL
    number = 0
    for step, level in enumerate(reversed(range(last + 1))):
        attends = 2**level in config.attention
        for i in range(config.blocks + 1):
            yield f"output_blocks.{number}.0", f"up.{step}.blocks.{i}", _residual(shortcut=True)
            if attends:
                yield f"output_blocks.{number}.1", f"up.{step}.attentions.{i}", _ATTENTION
            number += 1
        if level:
            yield f"output_blocks.{number - 1}.{1 + attends}", f"up.{step}.resample", _RESIDUAL


def _residual(*, shortcut: bool) -> dict[str, str]:
    return _RESIDUAL | _SHORTCUT if shortcut else _RESIDUAL


def _with_weights_and_biases(modules: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{published}.{kind}": f"{ours}.{kind}"
        for published, ours in modules.items()
        for kind in ("weight", "bias")
    }


def _without_kernel(name: str, value: Tensor) -> Tensor:
    if not name.endswith(_POINTWISE):
        return value
    if value.ndim != 3 or value.shape[-1] != 1:
        raise ModelFormatError(
            f"The checkpoint's {name} has the shape {list(value.shape)}, not (out, in, 1)."
        )
    return value[..., 0]
