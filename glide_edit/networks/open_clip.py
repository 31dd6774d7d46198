"""Any CLIP that open_clip knows, as a judge of finished pictures: it was never trained on noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit import optional_dependencies
from glide_edit.diffusion.schedule import working_dtype
from glide_edit.errors import InputError, ModelFormatError, ModelNotFound

_SCHEMES = ("hf-hub:", "local-dir:")


class OpenCLIP(nn.Module):
    """Pictures and prompts as unit vectors, by a model of open_clip in float32 that is not trained further.

    Args:
        model: as ``open_clip.create_model`` made it.
        tokenizer: as ``open_clip.get_tokenizer`` made it.

    Raises InputError if the model reads pictures that are not square.
    """

    def __init__(self, model: nn.Module, tokenizer: Callable[[list[str]], Tensor]) -> None:
        super().__init__()
        preprocess = optional_dependencies.open_clip().get_model_preprocess_cfg(model)
        size = preprocess["size"]
        height, width = (size, size) if isinstance(size, int) else size
        if height != width:
            raise InputError(f"This CLIP reads pictures of {width} x {height} pixels: take one for squares.")
        self.model: Any = model.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.size: int = height
        self._mean, self._std = preprocess["mean"], preprocess["std"]

    @classmethod
    def load(cls, name: str, checkpoint: Path | None = None) -> OpenCLIP:
        """The model "ARCHITECTURE/PRETRAINED", such as "ViT-B-32/laion2b_s34b_b79k", fetched by open_clip.

        Or "ARCHITECTURE" alone, its weights from the file ``checkpoint``; or open_clip's own
        "local-dir:FOLDER" and "hf-hub:REPOSITORY".

        Raises:
            InputError: open_clip does not know the name, or is not installed.
            ModelNotFound: the weights could not be fetched, or the file does not exist.
            ModelFormatError: the file holds no weights of this model.
        """
        package = optional_dependencies.open_clip()
        if name.startswith(_SCHEMES):
            return _created(name, None, f"{name} could not be loaded", ModelNotFound)
        architecture, _, tag = name.partition("/")
        if architecture not in package.list_models():
            raise InputError(
                f"open_clip knows no model {architecture!r}: name one as ARCHITECTURE/PRETRAINED, "
                "such as ViT-B-32/laion2b_s34b_b79k."
            )
        if checkpoint is not None:
            if not checkpoint.is_file():
                raise ModelNotFound(f"There is no file {checkpoint} with weights of {architecture}.")
            return _created(
                architecture,
                str(checkpoint),
                f"{checkpoint} holds no weights of {architecture}",
                ModelFormatError,
            )
        tags = package.list_pretrained_tags_by_model(architecture)
        if tag not in tags:
            raise InputError(
                f"open_clip has no weights {tag!r} of {architecture}; "
                f"possible are {', '.join(tags) or 'none, so give a file'}."
            )
        return _created(architecture, tag, f"{name} could not be fetched", ModelNotFound)

    @property
    def logit_scale(self) -> float:
        """What multiplies the cosine of two embeddings into the logarithm of a likelihood; learned."""
        return float(self.model.logit_scale.exp())

    def image_embeddings(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, E) float32, unit; differentiable.

        Of a picture that is not square the middle is read, as CLIP's own preprocessing does.
        """
        dtype = self.model.logit_scale.dtype
        pictures = fit_square(pictures.to(dtype), self.size)
        mean, std = (torch.tensor(v, dtype=dtype, device=pictures.device) for v in (self._mean, self._std))
        pixels = ((pictures + 1) / 2 - mean[:, None, None]) / std[:, None, None]
        embeddings = self.model.encode_image(pixels)
        return F.normalize(embeddings.to(working_dtype(embeddings)), dim=-1)

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """(B prompts) -> (B, E) float32, unit, without gradients."""
        with torch.no_grad():
            embeddings = self.model.encode_text(
                self.tokenizer(list(prompts)).to(self.model.logit_scale.device)
            )
        return F.normalize(embeddings.to(working_dtype(embeddings)), dim=-1)


def fit_square(pictures: Tensor, size: int) -> Tensor:
    """The middle square of pictures (B, C, H, W), resized without aliasing to (B, C, size, size).

    Bicubic, as in CLIP's own preprocessing, and differentiable. Values may leave their range a little.
    """
    height, width = pictures.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pictures[:, :, top : top + side, left : left + side]
    if side == size:
        return square
    return F.interpolate(square, (size, size), mode="bicubic", align_corners=False, antialias=True)


def _created(
    name: str, pretrained: str | None, failure: str, kind: type[ModelNotFound] | type[ModelFormatError]
) -> OpenCLIP:
    package = optional_dependencies.open_clip()
    # Some weights were trained with another activation than the architecture of their name has by now.
    recorded = package.get_pretrained_cfg(name, pretrained) if pretrained else {}
    try:
        model = package.create_model(
            name,
            pretrained=pretrained,
            require_pretrained=True,
            force_quick_gelu=bool(recorded.get("quick_gelu")),
        )
        tokenizer = package.get_tokenizer(name)
    except Exception as error:  # whatever the network, the file and PyTorch come up with
        raise kind(f"{failure} ({' '.join(str(error).split())[:200]}).") from error
    return OpenCLIP(model, tokenizer)
