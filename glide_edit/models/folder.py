"""Model folders: ``model.json`` beside weights and ``tokenizer.json``, written whole and read strictly.

Nothing is ever unpickled: weights are safetensors, all else is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import ModelError, ModelFormatError, OutputExists
from glide_edit.models import tensors as weights
from glide_edit.models.presets import StagePreset
from glide_edit.models.runtime import Runtime, choose_runtime
from glide_edit.models.spec import SPEC_FILE, ModelSpec, StageSpec, TextSpec, read_spec
from glide_edit.networks.efficient_unet import EfficientUNet
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextEncoder, TextTransformer

__all__ = [
    "Model",
    "ModelSpec",
    "Stage",
    "StagePreset",
    "StageSpec",
    "TextSpec",
    "assemble",
    "load_model",
    "read_spec",
    "write_model",
]

_STAGING = ".writing-"


@dataclass(frozen=True, eq=False)
class Stage:
    """One network of the cascade, in evaluation mode, without gradients, where and as the runtime says."""

    name: str
    network: EfficientUNet
    preset: StagePreset

    @property
    def schedule(self) -> Schedule:
        return self.network.schedule

    @property
    def image_size(self) -> int:
        return self.network.config.image_size


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model folder: stages in the order in which they run, and the text encoder if there is one."""

    spec: ModelSpec
    stages: tuple[Stage, ...]
    text_encoder: TextEncoder | None
    runtime: Runtime

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def identity(self) -> str:
        """16 hexadecimal digits for recipes; see ``ModelSpec.identity``."""
        return self.spec.identity

    @property
    def label(self) -> str:
        """Name and identity, as results and recipes give them."""
        return f"{self.name} {self.identity}"

    @property
    def parameters(self) -> dict[str, int]:
        """How many parameters each part has: "text", "base", "upsampler"."""
        parts: dict[str, nn.Module] = {stage.name: stage.network for stage in self.stages}
        if self.text_encoder is not None:
            parts = {"text": self.text_encoder.transformer, **parts}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def load_model(folder: Path | str, runtime: Runtime | None = None, *, verify: bool = True) -> Model:
    """Load a model folder, strictly.

    ``runtime`` is by default what ``choose_runtime`` picks. The networks get its precision; the text encoder
    stays in float32, since it runs once an edit and costs next to nothing. ``verify`` compares every file
    with its sha256.

    Raises:
        ModelNotFound: there is no such folder.
        ModelFormatError: anything in it is missing, damaged, unknown, contradictory or of a newer format.
    """
    folder = Path(folder)
    spec = read_spec(folder)
    runtime = runtime if runtime is not None else choose_runtime()
    if verify:
        _verify(folder, spec)
    stages = tuple(_load_stage(folder, stage, runtime) for stage in spec.stages)
    text = None if spec.text is None else _load_text(folder, spec.text, runtime)
    return Model(spec, stages, text, runtime)


def write_model(
    folder: Path | str,
    *,
    name: str,
    licence: str,
    provenance: Mapping[str, Any],
    stages: Sequence[tuple[StageSpec, Mapping[str, Tensor]]],
    text: tuple[TextSpec, Mapping[str, Tensor], BytePairTokenizer] | None = None,
    family: str = "toybox",
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """Write a model folder and return its path. A model that is there already is replaced; other files stay.

    ``stages`` and ``text`` come with their tensors by state-dict name, stored as ``dtype``; an empty ``name``
    becomes the folder's. All is checked before anything is written. ``model.json`` goes first and comes last,
    so that whenever the program is killed, what is there either loads whole or is refused.

    Raises:
        ModelFormatError: the parts do not fit each other, tensors do not fit their configuration or are not
            finite, or the provenance is not JSON.
        ModelError: the folder cannot be written.
    """
    folder = Path(folder)
    spec = ModelSpec(
        name=name or folder.resolve().name,
        family=family,
        licence=licence,
        provenance=provenance,
        stages=tuple(stage for stage, _ in stages),
        text=None if text is None else text[0],
    )
    writers: dict[str, _Writer] = {}
    for stage, tensors in stages:
        data = weights.to_bytes(tensors, _blank_network(stage), dtype, f"the stage {stage.name}")
        writers[stage.weights] = partial(_write_bytes, data)
    if text is not None:
        text_spec, tensors, tokenizer = text
        _check_vocabulary(tokenizer, text_spec, "The tokenizer")
        data = weights.to_bytes(tensors, _blank_transformer(text_spec), dtype, "the text encoder")
        writers |= {text_spec.weights: partial(_write_bytes, data), text_spec.tokenizer: tokenizer.save}
    return _write(folder, spec, writers)


def assemble(
    out: Path | str,
    base_folder: Path | str,
    upsampler_folder: Path | str,
    name: str,
    licence: str,
    *,
    overwrite: bool = False,
) -> Path:
    """Join the base stage (with its text encoder) of one folder and the upsampler of another into a cascade.

    Files are verified and copied as they are. Returns ``out``.

    Raises:
        OutputExists: ``out`` holds a model and ``overwrite`` is False.
        ModelNotFound, ModelFormatError: a folder cannot be used, lacks its stage, or the two do not fit: the
            upsampler's pictures are 4 times as large, and one that reads text shares the text encoder.
        ModelError: the folder cannot be written.
    """
    out, base_folder, upsampler_folder = Path(out), Path(base_folder), Path(upsampler_folder)
    if (out / SPEC_FILE).exists() and not overwrite:
        raise OutputExists(f"{out} holds a model already: name another folder, or ask to overwrite it.")
    # Loaded whole, to be sure that what is copied can be.
    runtime = choose_runtime("cpu", "float32")
    lower, upper = load_model(base_folder, runtime).spec, load_model(upsampler_folder, runtime).spec
    base, upsampler = _stage_of(lower, "base", base_folder), _stage_of(upper, "upsampler", upsampler_folder)
    if upsampler.config.text_width and _text_hashes(lower) != _text_hashes(upper):
        raise ModelFormatError(
            f"The upsampler in {upsampler_folder} reads text, and was not trained with the text encoder "
            f"in {base_folder}: train it with that one."
        )
    spec = ModelSpec(
        name=name,
        family=lower.family,
        licence=licence,
        provenance=_joined(lower.provenance, upper.provenance),
        # Both folders may use the same file names.
        stages=(replace(base, weights=""), replace(upsampler, weights="")),
        text=None if lower.text is None else TextSpec(lower.text.config),
    )
    sources = [base_folder / base.weights, upsampler_folder / upsampler.weights]
    if lower.text is not None:
        sources = [base_folder / lower.text.weights, base_folder / lower.text.tokenizer, *sources]
    copies = zip(spec.file_names, sources, strict=True)
    return _write(out, spec, {file_name: partial(shutil.copyfile, source) for file_name, source in copies})


# -- reading ------------------------------------------------------------------------------------------


def _load_stage(folder: Path, stage: StageSpec, runtime: Runtime) -> Stage:
    network = _blank_network(stage)
    _fill(network, folder / stage.weights, runtime.device, runtime.dtype)
    if runtime.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Stage(stage.name, network, stage.preset)


def _load_text(folder: Path, text: TextSpec, runtime: Runtime) -> TextEncoder:
    path = folder / text.tokenizer
    try:
        tokenizer = BytePairTokenizer.load(path, text.config.context)
    except Exception as error:  # tokenizers raises this very class
        raise ModelFormatError(
            f"{path} is missing or damaged, so copy or fetch the model folder again ({error})."
        ) from error
    _check_vocabulary(tokenizer, text, str(path))
    transformer = _blank_transformer(text)
    _fill(transformer, folder / text.weights, runtime.device, torch.float32)
    return TextEncoder(tokenizer, transformer)


def _fill(module: nn.Module, path: Path, device: torch.device, dtype: torch.dtype) -> None:
    tensors = weights.read(path, weights.shapes_of(module))
    # Copied, since what safetensors hands out may be the file itself, mapped into memory.
    values = {name: value.to(device, dtype, copy=True) for name, value in tensors.items()}
    module.load_state_dict(values, strict=True, assign=True)
    module.requires_grad_(False).eval()


def _verify(folder: Path, spec: ModelSpec) -> None:
    for name, digest in spec.files.items():
        if weights.sha256(folder / name) != digest:
            raise ModelFormatError(
                f"{folder / name} is not the file {SPEC_FILE} names (its sha256 differs): "
                "copy or fetch the model folder again."
            )


def _blank_network(stage: StageSpec) -> EfficientUNet:
    return weights.blank(lambda: EfficientUNet(stage.config, stage.schedule), f"the stage {stage.name}")


def _blank_transformer(text: TextSpec) -> TextTransformer:
    return weights.blank(lambda: TextTransformer(text.config), "the text encoder")


def _check_vocabulary(tokenizer: BytePairTokenizer, text: TextSpec, what: str) -> None:
    if tokenizer.vocabulary_size > text.config.vocabulary:
        raise ModelFormatError(
            f"{what} makes {tokenizer.vocabulary_size} different tokens, and the text encoder knows "
            f"{text.config.vocabulary}: they do not belong together."
        )


# -- writing ------------------------------------------------------------------------------------------

_Writer = Callable[[Path], Any]


def _write(folder: Path, spec: ModelSpec, writers: Mapping[str, _Writer]) -> Path:
    """Everything into a folder of its own inside ``folder`` first, then renamed, ``model.json`` last."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{_STAGING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
        try:
            _fill_staging(staging, spec, writers)
            # From here to the last line the folder holds no model, rather than a mixture of two.
            (folder / SPEC_FILE).unlink(missing_ok=True)
            for name in (*writers, SPEC_FILE):
                os.replace(staging / name, folder / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise ModelError(f"The model folder {folder} cannot be written: {error}.") from error
    return folder


def _fill_staging(staging: Path, spec: ModelSpec, writers: Mapping[str, _Writer]) -> None:
    for name, write in writers.items():
        write(staging / name)
    files = {name: weights.sha256(staging / name) for name in sorted(writers)}
    try:
        record = json.dumps(
            replace(spec, files=files).to_json(), indent=2, ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ModelFormatError(
            f"The provenance cannot be written as JSON ({error}): give plain values."
        ) from error
    (staging / SPEC_FILE).write_text(record + "\n", encoding="utf-8")
    for path in staging.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


# -- joining ------------------------------------------------------------------------------------------


def _stage_of(spec: ModelSpec, name: str, folder: Path) -> StageSpec:
    for stage in spec.stages:
        if stage.name == name:
            return stage
    raise ModelFormatError(f"{folder} has no stage {name}: name a folder that has one.")


def _text_hashes(spec: ModelSpec) -> list[str]:
    return [] if spec.text is None else [spec.files[spec.text.weights], spec.files[spec.text.tokenizer]]


def _joined(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Both provenances: objects are merged, and where they disagree both are kept, by stage."""
    joined = {**lower, **upper}
    for key in set(lower) & set(upper):
        ours, theirs = lower[key], upper[key]
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            joined[key] = _joined(ours, theirs)
        elif ours != theirs:
            joined[key] = {"base": ours, "upsampler": theirs}
    return joined
