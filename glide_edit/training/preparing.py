"""What the runs of U-Nets and of CLIPs prepare alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from glide_edit.errors import TrainingError
from glide_edit.models.folder import Model
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.training.cache import build_cache
from glide_edit.training.checkpoint import Progress
from glide_edit.training.configs import CONTEXT, VOCABULARY
from glide_edit.training.loop import Plan
from glide_edit.training.settings import TrainSettings
from glide_edit.training.sources import RenderedToybox, Source
from glide_edit.training.training_module import ModuleWithLoss

TOKENIZER_NAME = "tokenizer.json"


@dataclass(frozen=True)
class PreparedRun:
    """What ``train`` needs.

    ``export`` writes the model folder from the averaged weights. ``start`` are weights to begin with, by the
    module's names. ``draw_samples`` writes a sheet of samples.
    """

    module: ModuleWithLoss[Any]
    plan: Plan[Any]
    export: Callable[[dict[str, Tensor], Progress], Path]
    start: dict[str, Tensor] | None = None
    draw_samples: Callable[[Progress], None] = lambda progress: None


def toybox_source(settings: TrainSettings, on_cache: Callable[[int, int], None] | None) -> Source:
    """The toybox from the cache, rendered first if need be, or on the fly where the settings name none."""
    size = settings.network.image_size
    if settings.cache is None:
        return RenderedToybox(size)
    return build_cache(settings.cache, settings.cache_size, size, settings.seed, on_cache)


def prepare_tokenizer(
    out: Path, captions: Iterable[str], start: Model | None, resuming: bool
) -> BytePairTokenizer:
    """The run's tokenizer: made once and kept beside the checkpoint, which is useless without it.

    It is that of ``start`` where that model has a byte-pair tokenizer, else one trained on the captions.

    Raises:
        TrainingError: there is a checkpoint to continue from, and its tokenizer is missing or damaged.
    """
    path = out / TOKENIZER_NAME
    if resuming:
        try:
            return BytePairTokenizer.load(path, CONTEXT)
        except Exception as error:  # tokenizers raises this very class
            raise TrainingError(
                f"{path} is missing or damaged, and the checkpoint beside it needs it: "
                f"bring it back, or name another --out folder ({error})."
            ) from error
    encoder = None if start is None else start.text_encoder
    if encoder is not None and isinstance(encoder.tokenizer, BytePairTokenizer):
        tokenizer = encoder.tokenizer
    else:
        tokenizer = BytePairTokenizer.train(captions, VOCABULARY, CONTEXT)
    temporary = path.with_suffix(".tmp")
    tokenizer.save(temporary)
    temporary.replace(path)
    return tokenizer
