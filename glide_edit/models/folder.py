"""Model folders: ``model.json`` beside weights and ``tokenizer.json``, written whole and read strictly.

Nothing is ever unpickled: weights are safetensors, all else is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from threading import RLock
from typing import Any, cast

import torch
from torch import Tensor, nn

from glide_edit.errors import InputError, ModelError, ModelFormatError, OutputExists
from glide_edit.images import write_atomically
from glide_edit.models import tensors as weights
from glide_edit.models.kinds import NETWORKS, TEXT_ENCODERS, StageNetwork, TextSource, byte_pairs, kind_of
from glide_edit.models.model import Model, NoisedClip, Stage, once
from glide_edit.models.runtime import Runtime, choose_runtime
from glide_edit.models.spec import SPEC_FILE, ClipSpec, ModelSpec, StageSpec, TextSpec, read_spec
from glide_edit.networks.noised_clip import NoisedCLIP
from glide_edit.text.clip_tokens import CLIPTokenizer
from glide_edit.text.encoder import TextEncoder, Tokenizer
from glide_edit.text.tokenizer import BytePairTokenizer

_STAGING = ".writing-"


def load_model(folder: Path | str, runtime: Runtime | None = None, *, verify: bool = True) -> Model:
    """Load a model folder, strictly.

    ``runtime`` is by default what ``choose_runtime`` picks. The networks get its precision; text encoders
    stay in float32, since they run once an edit and cost next to nothing. ``verify`` compares every file
    with its sha256. A model that has networks of their own for inpainting is large: its parts are read (and
    compared) when they are first needed. Of others the stages of the usual edits are read now.

    Raises:
        ModelNotFound: there is no such folder.
        ModelFormatError: anything in it is missing, damaged, unknown, contradictory or of a newer format.
    """
    folder = Path(folder)
    spec = read_spec(folder)
    reader = _Reader(folder, spec, runtime if runtime is not None else choose_runtime(), verify)
    for name in spec.file_names:
        weights.file_size(folder / name)
    lock = RLock()
    texts = ((stage.name, spec.text_of(stage)) for stage in spec.stages)
    model = Model(
        spec,
        reader.runtime,
        {stage.name: once(partial(reader.stage, stage), lock) for stage in spec.stages},
        None if spec.clip is None else once(partial(reader.clip, spec.clip), lock),
        load_tokenizer={
            name: once(partial(reader.tokenizer, text), lock) for name, text in texts if text is not None
        },
    )
    if spec.cascade(inpainting=True) == spec.cascade(inpainting=False):
        model.cascade(inpainting=True, preset=spec.preset_of(repaints=True))
    return model


def write_model(
    folder: Path | str,
    *,
    name: str,
    licence: str,
    provenance: Mapping[str, Any],
    stages: Sequence[tuple[StageSpec, Mapping[str, Tensor]]],
    text: tuple[TextSpec, Mapping[str, Tensor], BytePairTokenizer | None] | None = None,
    family: str = "toybox",
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """Write a model folder and return its path. A model that is there already is replaced; other files stay.

    ``stages`` and ``text`` come with their tensors by state-dict name, stored as ``dtype``; a frozen text
    encoder has no tokenizer. An empty ``name`` becomes the folder's. Everything is checked before anything
    is written. ``model.json`` is deleted first and written last, so that a folder left by a killed program
    either loads whole or is refused.

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
    writers: dict[str, Writer] = {}
    for stage, tensors in stages:
        data = weights.to_bytes(tensors, blank_network(stage), dtype, f"the stage {stage.name}")
        writers[stage.weights] = partial(write_bytes, data)
    if text is not None:
        text_spec, tensors, tokenizer = text
        if tokenizer is not None and text_spec.tokenizer is not None:
            check_vocabulary(tokenizer, text_spec.config, "The tokenizer", "text encoder")
            writers[text_spec.tokenizer] = tokenizer.save
        data = weights.to_bytes(tensors, _blank_transformer(text_spec), dtype, "the text encoder")
        writers[text_spec.weights] = partial(write_bytes, data)
    return write_files(folder, spec, writers)


def save_spec(folder: Path, spec: ModelSpec) -> None:
    """Write ``model.json`` beside files that are there already; ``spec.files`` must have their hashes.

    Raises:
        ModelFormatError: the provenance is not JSON.
        ModelError: the folder cannot be written.
    """
    try:
        write_atomically(folder / SPEC_FILE, _record_of(spec).encode(), force=True)
    except InputError as error:
        raise ModelError(str(error)) from error


def assemble(
    out: Path | str,
    base_folder: Path | str,
    upsampler_folder: Path | str,
    name: str,
    licence: str,
    *,
    overwrite: bool = False,
    largest_file: int | None = None,
) -> Path:
    """Join the stages of one folder (with its text encoder) and the last stage of another into a cascade.

    That stage is an upsampler; of the first folder those stages are taken whose pictures are smaller. Files
    are verified and copied as they are; weights of a stage that are larger than ``largest_file`` bytes are
    split into several. Returns ``out``.

    Raises:
        OutputExists: ``out`` holds a model and ``overwrite`` is False.
        ModelNotFound, ModelFormatError: a folder cannot be used, lacks its stage, or the two do not fit: the
            upsampler's pictures are a whole number of times as large, and one that reads text shares the text
            encoder.
        ModelError: the folder cannot be written.
    """
    out, base_folder, upsampler_folder = Path(out), Path(base_folder), Path(upsampler_folder)
    if (out / SPEC_FILE).exists() and not overwrite:
        raise OutputExists(f"{out} holds a model already: name another folder, or ask to overwrite it.")
    # Loaded whole, to be sure that what is copied can be.
    runtime = choose_runtime("cpu", "float32")
    lower, upper = load_model(base_folder, runtime).spec, load_model(upsampler_folder, runtime).spec
    joined = _joined_stages(lower, upper, base_folder, upsampler_folder)
    if joined[-1].config.text_width and _text_hashes(lower) != _text_hashes(upper):
        raise ModelFormatError(
            f"The upsampler in {upsampler_folder} reads text, and was not trained with the text encoder "
            f"in {base_folder}: train it with that one."
        )
    writers: dict[str, Writer] = {}
    text = None if lower.text is None else TextSpec(lower.text.config)
    if text is not None and lower.text is not None:
        for target, source in zip(text.files, lower.text.files, strict=True):
            writers[target] = partial(shutil.copyfile, base_folder / source)
    stages = []
    for stage in joined:
        folder = upsampler_folder if stage is joined[-1] else base_folder
        copies = _copies(stage, folder, largest_file)
        writers |= copies
        stages.append(replace(stage, weights=next(iter(copies)), more_weights=tuple(copies)[1:]))
    provenance = _joined(lower.provenance, upper.provenance, joined[0].name, joined[-1].name)
    spec = ModelSpec(name, lower.family, licence, provenance, tuple(stages), text)
    return write_files(out, spec, writers)


def _copies(stage: StageSpec, folder: Path, largest: int | None) -> dict[str, Writer]:
    """New file names for a stage's weights, and what writes each; files above ``largest`` bytes are split."""
    pieces: list[Writer] = []
    for source in (folder / name for name in stage.weight_files):
        if largest is None or weights.file_size(source) <= largest:
            pieces.append(partial(shutil.copyfile, source))
        else:
            pieces += [partial(write_bytes, data) for data in weights.split(source, largest)]
    # Both folders may use the same file names.
    return named_pieces(stage.name, pieces)


def named_pieces(stage: str, pieces: Sequence[Writer]) -> dict[str, Writer]:
    """The files of a stage's weights, which may be in several, and what writes each."""
    return {f"{stage}{f'-{k}' if k else ''}.safetensors": piece for k, piece in enumerate(pieces)}


# -- reading ------------------------------------------------------------------------------------------


class _Reader:
    """Reads the parts of one model folder. What parts share is read once."""

    def __init__(self, folder: Path, spec: ModelSpec, runtime: Runtime, verify: bool) -> None:
        self.folder, self.spec, self.runtime = folder, spec, runtime
        self._is_verified = verify
        self._shared_text = cache(self._read_text)

    def stage(self, stage: StageSpec) -> Stage:
        network = blank_network(stage)
        text = self.spec.text_of(stage)
        self._fill(network, stage.weight_files, self.runtime.dtype, channels_last=self.runtime.channels_last)
        return Stage(stage, cast("StageNetwork", network), None if text is None else self._shared_text(text))

    def clip(self, clip: ClipSpec) -> NoisedClip:
        network = blank_clip(clip)
        self._fill(network, [clip.weights], self.runtime.dtype)
        context = clip.config.context
        if clip.tokenizer is None:
            return NoisedClip(network, CLIPTokenizer(context))
        self._verify(clip.tokenizer)
        return NoisedClip(network, byte_pairs(self.folder / clip.tokenizer, context))

    def tokenizer(self, text: TextSpec) -> Tokenizer:
        """The tokenizer of a text encoder, without the encoder's weights where it can be read alone."""
        if not kind_of(text.config, TEXT_ENCODERS).opens_alone or text.tokenizer is None:
            return self._shared_text(text).tokenizer
        return self._open_tokenizer(text, None)

    def _read_text(self, text: TextSpec) -> TextEncoder:
        network: Any = _blank_transformer(text)
        self._fill(network, [text.weights], torch.float32)
        return TextEncoder(self._open_tokenizer(text, network), network)

    def _open_tokenizer(self, text: TextSpec, network: Any) -> Tokenizer:
        path = None
        if text.tokenizer is not None:
            path = self.folder / text.tokenizer
            self._verify(text.tokenizer)
        source = TextSource(text.config, network, self.folder, path, self.runtime.device, self._is_verified)
        tokenizer = kind_of(text.config, TEXT_ENCODERS).open_tokenizer(source)
        if path is not None:
            check_vocabulary(tokenizer, text.config, str(path), "text encoder")
        return tokenizer

    def _fill(
        self, module: nn.Module, names: Sequence[str], dtype: torch.dtype, *, channels_last: bool = False
    ) -> None:
        files = {self.folder / name: self.spec.files[name] if self._is_verified else None for name in names}
        weights.fill(module, files, self.runtime.device, dtype, channels_last=channels_last)

    def _verify(self, name: str) -> None:
        if self._is_verified:
            path = self.folder / name
            weights.check_digest(path, weights.sha256(path), self.spec.files[name])


def blank_network(stage: StageSpec) -> nn.Module:
    build = kind_of(stage.config, NETWORKS).build
    return weights.blank(lambda: build(stage.config, stage.schedule), f"the stage {stage.name}")


def _blank_transformer(text: TextSpec) -> nn.Module:
    build = kind_of(text.config, TEXT_ENCODERS).build
    return weights.blank(lambda: build(text.config), "the text encoder")


def blank_clip(clip: ClipSpec) -> NoisedCLIP:
    """A CLIP whose weights are not set."""
    return weights.blank(lambda: NoisedCLIP(clip.config), "the CLIP")


def check_vocabulary(tokenizer: Tokenizer, config: Any, what: str, reader: str) -> None:
    """Raises ModelFormatError where the tokenizer makes more tokens than the network of ``config`` knows."""
    if tokenizer.vocabulary_size > config.vocabulary:
        raise ModelFormatError(
            f"{what} makes {tokenizer.vocabulary_size} different tokens, and the {reader} knows "
            f"{config.vocabulary}: they do not belong together."
        )


# -- writing ------------------------------------------------------------------------------------------

Writer = Callable[[Path], Any]


def write_files(folder: Path, spec: ModelSpec, writers: Mapping[str, Writer]) -> Path:
    """Write all files into a temporary folder inside ``folder``, then rename them, ``model.json`` last."""
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
        raise ModelError(
            f"The model folder {folder} cannot be written: {error.strerror or error}."
        ) from error
    return folder


def _fill_staging(staging: Path, spec: ModelSpec, writers: Mapping[str, Writer]) -> None:
    for name, write in writers.items():
        write(staging / name)
    files = {name: weights.sha256(staging / name) for name in sorted(writers)}
    (staging / SPEC_FILE).write_text(_record_of(replace(spec, files=files)), encoding="utf-8")
    for path in staging.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _record_of(spec: ModelSpec) -> str:
    try:
        record = json.dumps(spec.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelFormatError(
            f"The provenance cannot be written as JSON ({error}): give plain values."
        ) from error
    return record + "\n"


def write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


# -- joining ------------------------------------------------------------------------------------------


def _joined_stages(
    lower: ModelSpec, upper: ModelSpec, base_folder: Path, upsampler_folder: Path
) -> list[StageSpec]:
    """The stages of ``lower`` that are smaller than the last one of ``upper``, and that one."""
    given = [stage for stage in lower.cascade(False) if stage.text is None]
    upsamplers = [stage for stage in upper.cascade(False) if stage.config.low_res and stage.text is None]
    for folder, what, there in (
        (base_folder, "base", given and not given[0].config.low_res),
        (upsampler_folder, "upsampler", upsamplers),
    ):
        if not there:
            raise ModelFormatError(
                f"{folder} has no stage {what} that could be joined: name a folder that has one."
            )
    last = upsamplers[-1]
    smaller = [stage for stage in given if stage.config.image_size < last.config.image_size]
    if last.name in [stage.name for stage in smaller]:
        last = replace(last, name=f"{last.name}_{last.config.image_size}")
    stages = [*smaller, last]
    shared = [name for name in last.more_presets if all(name in stage.more_presets for stage in stages)]
    return [
        replace(stage, more_presets={name: stage.more_presets[name] for name in shared}) for stage in stages
    ]


def _text_hashes(spec: ModelSpec) -> list[str]:
    """The hashes of all that a text encoder is made of."""
    if spec.text is None:
        return []
    outside = kind_of(spec.text.config, TEXT_ENCODERS).outside_hashes(spec.text.config)
    return [*(spec.files[name] for name in spec.text.files), *outside]


def _joined(
    lower: Mapping[str, Any], upper: Mapping[str, Any], lower_name: str, upper_name: str
) -> dict[str, Any]:
    """Both provenances merged; of values that differ both are kept, by the names of the stages."""
    joined = {**lower, **upper}
    for key in set(lower) & set(upper):
        ours, theirs = lower[key], upper[key]
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            joined[key] = _joined(ours, theirs, lower_name, upper_name)
        elif ours != theirs:
            joined[key] = {lower_name: ours, upper_name: theirs}
    return joined
