"""OpenAI's names for the noised CLIP's weights, and ours: two released files, one network here.

``clip_image_enc.pt`` and ``clip_text_enc.pt`` hold one state dict each, and use the same names for different
tensors. Every tensor has exactly one place on the other side, in the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from glide_edit.models import tensors
from glide_edit.networks.noised_clip import NoisedCLIPConfig

IMAGE_PART, TEXT_PART = "image.", "text."

_BLOCK = {
    "f_attn.ln.g": "norm_attention.weight",
    "f_attn.ln.b": "norm_attention.bias",
    "f_attn.f_q.w": "query.weight",
    "f_attn.f_q.b": "query.bias",
    "f_attn.f_k.w": "key.weight",
    "f_attn.f_v.w": "value.weight",
    "f_attn.f_v.b": "value.bias",
    "f_attn.f_c.w": "out.weight",
    "f_attn.f_c.b": "out.bias",
    "f_mlp.ln.g": "norm_mlp.weight",
    "f_mlp.ln.b": "norm_mlp.bias",
    "f_mlp.f_1.w": "expand.weight",
    "f_mlp.f_1.b": "expand.bias",
    "f_mlp.f_2.w": "contract.weight",
    "f_mlp.f_2.b": "contract.bias",
}
_OUTPUT = {
    "blocks.output.ln.g": "norm_out.weight",
    "blocks.output.ln.b": "norm_out.bias",
    "blocks.output.f.w": "projection.weight",
}
_IMAGE_INPUT = {
    "blocks.input.w_t": "times.weight",
    "blocks.input.patch_proj": "patches.weight",
    "blocks.input.w_pos": "positions",
    "blocks.input.ln.g": "norm_in.weight",
    "blocks.input.ln.b": "norm_in.bias",
}
_TEXT_INPUT = {"blocks.input.w_voc": "tokens.weight", "blocks.input.w_pos": "positions"}


def image_names(config: NoisedCLIPConfig) -> dict[str, str]:
    """Published name -> ours, of every tensor of ``clip_image_enc.pt``, in its order."""
    return _table(_IMAGE_INPUT, config.image_layers, IMAGE_PART)


def text_names(config: NoisedCLIPConfig) -> dict[str, str]:
    """Published name -> ours, of every tensor of ``clip_text_enc.pt``, in its order."""
    return _table(_TEXT_INPUT, config.text_layers, TEXT_PART)


def joined(
    image: Mapping[str, Tensor], text: Mapping[str, Tensor], config: NoisedCLIPConfig
) -> dict[str, Tensor]:
    """The two published state dicts as one state dict of ``NoisedCLIP(config)``, the tensors as they are.

    Raises ModelFormatError if a key is missing or unknown. Shapes are compared when the network is filled.
    """
    state: dict[str, Tensor] = {}
    for part, names, what in (
        (image, image_names(config), "The CLIP's image encoder"),
        (text, text_names(config), "The CLIP's text encoder"),
    ):
        tensors.compare(dict.fromkeys(part, ()), dict.fromkeys(names, ()), what)
        state |= {ours: part[published] for published, ours in names.items()}
    return state


def split(
    state: Mapping[str, Tensor], config: NoisedCLIPConfig
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state dict of ``NoisedCLIP(config)`` as the two published ones: image encoder, text encoder."""
    image, text = (
        {published: state[ours] for published, ours in names.items()}
        for names in (image_names(config), text_names(config))
    )
    return image, text


def _table(start: Mapping[str, str], layers: int, part: str) -> dict[str, str]:
    blocks = {
        f"blocks.block_{i}.{published}": f"blocks.{i}.{ours}"
        for i in range(layers)
        for published, ours in _BLOCK.items()
    }
    return {published: part + ours for published, ours in {**start, **blocks, **_OUTPUT}.items()}
