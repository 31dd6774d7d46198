"""Folders of a CLIP alone, as training writes them, and how one comes into a model folder.

``clip.json`` says what ``clip.safetensors`` and ``tokenizer.json`` beside it are, in the words of
``model.json``, and their sha256.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glide_edit.errors import ModelError, ModelFormatError, ModelNotFound
from glide_edit.images import write_atomically
from glide_edit.models import records
from glide_edit.models import tensors as weights
from glide_edit.models.folder import blank_clip, check_vocabulary, save_spec
from glide_edit.models.kinds import byte_pairs
from glide_edit.models.model import NoisedClip
from glide_edit.models.runtime import Runtime, choose_runtime
from glide_edit.models.spec import ClipSpec, read_spec
from glide_edit.text.tokenizer import BytePairTokenizer

CLIP_FILE = "clip.json"
_OWN_TOKENIZER = "clip-tokenizer.json"
"""What a CLIP's tokenizer is called in a model whose text encoder reads by another one."""


@dataclass(frozen=True)
class _Record:
    """A whole ``clip.json``. ``files`` maps the two files to their sha256."""

    spec: ClipSpec
    tokenizer: str
    provenance: Mapping[str, Any]
    files: Mapping[str, str]


def write_clip(
    folder: Path,
    spec: ClipSpec,
    tensors: Mapping[str, Tensor],
    tokenizer: BytePairTokenizer,
    provenance: Mapping[str, Any],
) -> Path:
    """Write a CLIP's folder, weights in bfloat16, and return it. A CLIP that is there already is replaced.

    ``clip.json`` is deleted first and written last: a folder left by a kill loads whole or is refused.

    Raises:
        ModelFormatError: the tensors are not those of the configuration, or not finite.
        ModelError: the folder cannot be written.
    """
    data = weights.to_bytes(tensors, blank_clip(spec), torch.bfloat16, "the CLIP")
    spec = replace(spec, tokenizer=spec.tokenizer or "tokenizer.json")
    assert spec.tokenizer is not None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CLIP_FILE).unlink(missing_ok=True)
        tokenizer.save(folder / spec.tokenizer)
        write_atomically(folder / spec.weights, data, force=True)
        record = {
            "clip": spec.to_json(),
            "provenance": dict(provenance),
            "files": {name: weights.sha256(folder / name) for name in (spec.weights, spec.tokenizer)},
        }
        write_atomically(folder / CLIP_FILE, f"{json.dumps(record, indent=2)}\n".encode(), force=True)
    except OSError as error:
        raise ModelError(f"The folder {folder} cannot be written: {error}.") from error
    return folder


def load_clip(folder: Path, runtime: Runtime | None = None) -> NoisedClip:
    """Load a CLIP's folder, strictly, in the precision of ``runtime`` (by default what is chosen for here).

    Raises:
        ModelNotFound: there is none.
        ModelFormatError: anything in it is missing, damaged or unknown.
    """
    runtime = choose_runtime() if runtime is None else runtime
    record = _read(folder)
    network, config = blank_clip(record.spec), record.spec.config
    weights.fill(network, {folder / record.spec.weights: None}, runtime.device, runtime.dtype)
    tokenizer = byte_pairs(folder / record.tokenizer, config.context)
    check_vocabulary(tokenizer, config, str(folder / record.tokenizer), "CLIP")
    return NoisedClip(network, tokenizer)


def add_clip(model_folder: Path | str, clip_folder: Path | str) -> Path:
    """Give a model the CLIP of a folder, in place of one that it has; returns the model's folder.

    The tokenizer is shared with the text encoder where both are the same file. ``model.json`` is written
    last: killed before that, the model is refused if its old CLIP was replaced, and unchanged otherwise.

    Raises:
        ModelNotFound, ModelFormatError: a folder cannot be used.
        ModelError: the model's folder cannot be written.
    """
    model_folder, clip_folder = Path(model_folder), Path(clip_folder)
    model, record = read_spec(model_folder), _read(clip_folder)
    load_clip(clip_folder, choose_runtime("cpu", "float32"))  # to be sure that what is copied can be
    own = None if model.text is None else model.text.tokenizer
    is_shared = own is not None and model.files[own] == record.files[record.tokenizer]
    tokenizer = own if is_shared and own is not None else _OWN_TOKENIZER
    clip = replace(record.spec, weights="clip.safetensors", tokenizer=tokenizer)
    copies = {clip.weights: record.spec.weights}
    if not is_shared:
        copies[tokenizer] = record.tokenizer
    training = {**dict(model.provenance).get("training", {}), **record.provenance.get("training", {})}
    spec = replace(model, clip=clip, provenance={**model.provenance, "training": training})
    hashes = dict(model.files) | {name: record.files[source] for name, source in copies.items()}
    try:
        for name, source in copies.items():
            shutil.copyfile(clip_folder / source, model_folder / f".{name}")
            (model_folder / f".{name}").replace(model_folder / name)
    except OSError as error:
        raise ModelError(f"The model folder {model_folder} cannot be written: {error}.") from error
    save_spec(model_folder, replace(spec, files={name: hashes[name] for name in sorted(spec.file_names)}))
    return model_folder


def _read(folder: Path) -> _Record:
    """The folder's ``clip.json``, its files compared with their sha256."""
    path = folder / CLIP_FILE
    if not path.is_file():
        raise ModelNotFound(f"{folder} holds no CLIP: it has no {CLIP_FILE}.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path} cannot be read: {error}.") from error
    top = records.mapping(data, "the file")
    spec = ClipSpec.from_json(top.get("clip"), "clip")
    if spec.tokenizer is None:
        raise ModelFormatError(f"{path} names no tokenizer.")
    files = {str(name): str(value) for name, value in records.mapping(top.get("files"), "files").items()}
    record = _Record(spec, spec.tokenizer, dict(records.mapping(top.get("provenance"), "provenance")), files)
    for name in (spec.weights, spec.tokenizer):
        if files.get(name) != weights.sha256(folder / name):
            raise ModelFormatError(f"{folder / name} is not the file that {CLIP_FILE} names.")
    return record
