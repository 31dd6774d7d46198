"""OpenAI's released GLIDE: the files that it consists of, and how they become a model folder.

    glide-edit/models/glide/            in the user's data folder, or in the folder GLIDE_EDIT_HOME names
        model.json                      lists what is there, once a diffusion network is
        base.safetensors                and base.text.safetensors, upsampler..., base_inpaint..., ...
        clip.safetensors
        gpt2.tiktoken
        published.json                  size and sha256 of the published files when first fetched
        published/                      the published files, until they are converted

Converting renames tensors and changes no number.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from glide_edit.errors import InputError, ModelError, ModelFormatError
from glide_edit.models import openai, openai_clip, records, tensors, torch_file
from glide_edit.models.fetch import (
    Check,
    Digest,
    FetchStatus,
    Report,
    RetryPolicy,
    digest,
    fetch,
    home_folder,
    locked,
    no_report,
)
from glide_edit.models.folder import save_spec
from glide_edit.models.presets import StagePreset
from glide_edit.models.spec import ClipSpec, ModelSpec, StageSpec, TextSpec, read_spec
from glide_edit.networks.adm_unet import ADMUNet
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.glide_transformer import GlideTextTransformer
from glide_edit.text.gpt2 import to_tiktoken

PARTS = {
    "base": ("base",),
    "upsample": ("upsample",),
    "inpaint": ("base_inpaint", "upsample_inpaint"),
    "clip": ("clip_image_enc", "clip_text_enc"),
}
"""The parts that can be fetched, and the names of the checkpoints that each consists of."""

ADDRESS = "https://openaipublic.blob.core.windows.net/diffusion/dec-2021"
VOCABULARY_ADDRESS = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"
VOCABULARY = {
    "vocab.bpe": Digest(456_318, "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
    "encoder.json": Digest(1_042_301, "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
}
"""GPT-2's vocabulary, which the text encoders need. No hashes of the checkpoints were published."""

CLIP = NoisedCLIPConfig()

_STAGES = {
    "base": "base",
    "upsample": "upsampler",
    "base_inpaint": "base_inpaint",
    "upsample_inpaint": "upsampler_inpaint",
}
"""Published name -> stage, in the order of ``model.json``."""

_CLIP_FILE = "clip.safetensors"
_TOKENIZER = "gpt2.tiktoken"
_RECORD = "published.json"
_DOWNLOADS = "published"
_SCRATCH = ".converting"

_FAST_BASE = StagePreset(steps=20, sampler="dpm-solver++", guidance=3.0, interval=(0.1, 0.9))
_FAST_UPSAMPLER = StagePreset(steps=10, sampler="dpm-solver++", threshold="static", temperature=0.997)
_PUBLISHED_BASE = StagePreset(
    steps=100, sampler="ddpm", guidance=3.0, threshold="static", respacing="100", mask_score=False
)
_PUBLISHED_UPSAMPLER = StagePreset(
    steps=27,
    sampler="ddim",
    threshold="static",
    respacing="fast27",
    temperature=0.997,
    round_low_res=True,
    enlarge_keep_mask=True,
)
_PRESETS = {
    "base": (_FAST_BASE, _PUBLISHED_BASE),
    "upsampler": (_FAST_UPSAMPLER, _PUBLISHED_UPSAMPLER),
    "base_inpaint": (replace(_FAST_BASE, guidance=5.0), replace(_PUBLISHED_BASE, guidance=5.0)),
    "upsampler_inpaint": (_FAST_UPSAMPLER, replace(_PUBLISHED_UPSAMPLER, sampler="ddpm")),
}
"""The default preset of each stage, and "published": the settings of the notebooks beside the weights."""


def glide_folder() -> Path:
    """Where GLIDE's model folder is, or will be when it is fetched."""
    return home_folder() / "models" / "glide"


def check_parts(parts: Sequence[str]) -> None:
    """Raises InputError for a name that is not a part of GLIDE."""
    for part in parts:
        if part not in PARTS:
            raise InputError(f"GLIDE has no part {part!r}; its parts are {', '.join(PARTS)}.")


def fetch_part(
    part: str,
    folder: Path | None = None,
    *,
    source: Path | None = None,
    keep: bool = False,
    report: Report = no_report,
    retry: RetryPolicy | None = None,
) -> bool:
    """Fetch one of ``PARTS`` into the model folder, unless it is there. False if there was nothing to do.

    ``folder`` is by default ``glide_folder()``. ``source`` is a folder with the published files, used in
    place of the internet and not changed. Downloads are deleted when they are converted, unless ``keep`` is
    True. Two processes may fetch at once: the later one waits.

    Raises:
        InputError: there is no such part.
        ModelError: a file cannot be fetched, is not what it should be, or cannot be converted or written.
    """
    check_parts([part])
    folder = glide_folder() if folder is None else folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", part, report):
            return _Fetching(folder, source, keep, report, retry).part(part)
    except OSError as error:
        raise ModelError(f"{error.filename or folder} cannot be used: {error.strerror or error}.") from error


class _Fetching:
    """Fetches into one folder, which this process has locked."""

    def __init__(
        self, folder: Path, source: Path | None, keep: bool, report: Report, retry: RetryPolicy | None
    ) -> None:
        self.folder, self.source, self.keep = folder, source, keep
        self.report, self.retry = report, retry
        try:
            self.spec: ModelSpec | None = read_spec(folder)
        except ModelError:
            self.spec = None
        self.known = {} if self.spec is None else dict(self.spec.files)
        self.checked: set[str] = set()

    def part(self, part: str) -> bool:
        missing = [name for name in PARTS[part] if not self._have(*_files_of(name))]
        vocabulary = list(VOCABULARY) if part != "clip" and not self._have(_TOKENIZER) else []
        if self.source is not None:
            _check_source(self.source, [*vocabulary, *(f"{name}.pt" for name in missing)])
        if vocabulary:
            self._vocabulary()
        if part == "clip" and missing:
            self._clip()
        for name in PARTS[part]:
            if name in missing and part != "clip":
                self._stage(name)
            self._tidy(f"{name}.pt")
        if part != "clip":
            self._tidy(*VOCABULARY)
        self._list()
        return bool(vocabulary or missing)

    def _have(self, *names: str) -> bool:
        """Whether these files exist and have the sha256 that model.json lists, where it does."""
        for name in names:
            path = self.folder / name
            if not path.is_file():
                return False
            if name in self.known and name not in self.checked:
                self.report(FetchStatus("checking", name))
                if tensors.sha256(path) != self.known[name]:
                    return False
                self.checked.add(name)
        return True

    # -- converting ------------------------------------------------------------------------------------

    def _stage(self, name: str) -> None:
        path = self._published(f"{name}.pt")
        states = openai.split(torch_file.read(path), openai.CHECKPOINTS[name])
        for made, state in zip(_files_of(name), states, strict=True):
            self._save(made, state)

    def _clip(self) -> None:
        image, text = (self._published(f"{name}.pt") for name in PARTS["clip"])
        self._save(_CLIP_FILE, openai_clip.joined(torch_file.read(image), torch_file.read(text), CLIP))

    def _vocabulary(self) -> None:
        vocab, encoder = (self._published(name) for name in VOCABULARY)
        data = to_tiktoken(vocab.read_bytes(), encoder.read_bytes())
        self._write(_TOKENIZER, lambda path: path.write_bytes(data))

    def _save(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Write tensors one by one from the mapped file, in the precision stored there."""
        self.report(FetchStatus("converting", name))
        size = sum(value.nbytes for value in state.values())
        if shutil.disk_usage(self.folder).free < size:
            raise ModelError(f"{name} needs {size / 1e9:.1f} GB in {self.folder}: make room there.")
        packed = {key: value.contiguous() for key, value in state.items()}
        self._write(name, lambda path: save_file(packed, path, metadata={"format": "pt"}))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        """Whole or not at all."""
        scratch = self.folder / _SCRATCH  # a folder, since safetensors has temporary files of its own
        shutil.rmtree(scratch, ignore_errors=True)  # that of a call that was killed
        scratch.mkdir()
        made = scratch / name
        try:
            made.touch()
            mode = made.stat().st_mode  # safetensors makes files that only their owner can read
            write(made)
            made.chmod(mode)
            with open(made, "rb") as file:
                os.fsync(file.fileno())
            os.replace(made, self.folder / name)
        except SafetensorError as error:
            raise ModelError(f"{self.folder / name} cannot be written: {error}.") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self.known.pop(name, None)

    # -- the published files ---------------------------------------------------------------------------

    def _published(self, name: str) -> Path:
        """A published file, checked; its digest is recorded when it is first fetched."""
        record = _read_record(self.folder)
        expected = VOCABULARY.get(name, record.get(name))
        check = None if name in VOCABULARY else partial(_check, Path(name).stem)
        if self.source is None:
            path, found = self._download(name, expected, check)
        else:
            path, found = self._offline(self.source / name, expected, check)
        if name not in record:
            record[name] = found
            text = json.dumps({key: asdict(value) for key, value in sorted(record.items())}, indent=2) + "\n"
            self._write(_RECORD, lambda path: path.write_text(text, encoding="utf-8"))
        return path

    def _download(self, name: str, expected: Digest | None, check: Check | None) -> tuple[Path, Digest]:
        path = self.folder / _DOWNLOADS / name
        found = fetch(
            _address(name),
            path,
            expected=expected,
            check=check,
            copies=2,  # the download and the converted file
            report=self.report,
            retry=self.retry,
        )
        return path, found

    def _offline(self, path: Path, expected: Digest | None, check: Check | None) -> tuple[Path, Digest]:
        self.report(FetchStatus("checking", path.name))
        found = digest(path)
        if expected is not None and found != expected:
            raise ModelError(
                f"{path} is not the published {path.name}, or not the one fetched before (its size or sha256 "
                f"differs): download it again from {_address(path.name)}."
            )
        if check is not None:
            check(path)
        return path, found

    def _tidy(self, *names: str) -> None:
        """Delete downloads that are converted, by this call or by an earlier one that was stopped."""
        downloads = self.folder / _DOWNLOADS
        if self.keep or not downloads.is_dir():
            return
        for name in names:
            (downloads / name).unlink(missing_ok=True)
            (downloads / f"{name}.lock").unlink(missing_ok=True)
        if not any(downloads.iterdir()):
            downloads.rmdir()

    # -- model.json ------------------------------------------------------------------------------------

    def _list(self) -> None:
        """Write model.json for the files that exist. Without a diffusion network there is no model."""
        here = {path.name for path in self.folder.iterdir()}
        stages = tuple(
            stage_spec(name) for name in _STAGES if here.issuperset((*_files_of(name), _TOKENIZER))
        )
        if not stages:
            return
        spec = ModelSpec(
            name="glide",
            family="glide",
            licence="MIT",
            provenance=_provenance(_read_record(self.folder)),
            stages=stages,
            text=None,
            clip=ClipSpec(CLIP, _CLIP_FILE) if _CLIP_FILE in here else None,
        )
        spec = replace(spec, files={name: self._digest(name) for name in spec.file_names})
        if spec != self.spec:
            save_spec(self.folder, spec)

    def _digest(self, name: str) -> str:
        if name not in self.known:
            self.report(FetchStatus("checking", name))
            self.known[name] = tensors.sha256(self.folder / name)
        return self.known[name]


def _check_source(source: Path, names: Sequence[str]) -> None:
    absent = [name for name in names if not (source / name).is_file()]
    if absent:
        addresses = " and ".join(_address(name) for name in absent)
        raise ModelError(f"{source} has no {' and no '.join(absent)}: download {addresses} there.")


def _files_of(published: str) -> tuple[str, ...]:
    """The files made from a checkpoint: for a diffusion network its own and its text encoder's."""
    if published in PARTS["clip"]:
        return (_CLIP_FILE,)
    stage = _STAGES[published]
    return f"{stage}.safetensors", f"{stage}.text.safetensors"


def stage_spec(published: str) -> StageSpec:
    """One of ``openai.CHECKPOINTS`` as a stage of the model folder, with its presets."""
    checkpoint, name = openai.CHECKPOINTS[published], _STAGES[published]
    unet, text = _files_of(published)
    default, as_published = _PRESETS[name]
    return StageSpec(
        name=name,
        config=checkpoint.config,
        schedule=checkpoint.schedule,
        preset=default,
        weights=unet,
        text=TextSpec(checkpoint.text, text, _TOKENIZER),
        more_presets={"published": as_published},
    )


def _provenance(record: Mapping[str, Digest]) -> dict[str, object]:
    return {
        "paper": "Nichol et al. 2021, GLIDE, arXiv 2112.10741",
        "code": "https://github.com/openai/glide-text2im",
        "published": {name: {"address": _address(name), **asdict(found)} for name, found in record.items()},
    }


def _address(name: str) -> str:
    return f"{VOCABULARY_ADDRESS if name in VOCABULARY else ADDRESS}/{name}"


def _read_record(folder: Path) -> dict[str, Digest]:
    path = folder / _RECORD
    try:
        data = records.mapping(records.parse(path.read_text(encoding="utf-8")), "the file")
        return {name: records.into(Digest, value, name) for name, value in data.items()}
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, ModelFormatError) as error:
        raise ModelError(f"{path} is damaged ({error}): delete it, and fetch again.") from error


def _check(name: str, path: Path) -> None:
    """Raises ModelFormatError unless the file is whole and has the tensors of the published one."""
    torch_file.check(path)
    found = {key: tuple(value.shape) for key, value in torch_file.read(path).items()}
    tensors.compare(found, _published_shapes(name, str(path)), str(path))


def _published_shapes(name: str, what: str) -> tensors.Shapes:
    """Names and shapes of a published checkpoint's tensors, derived from our networks."""
    if name in PARTS["clip"]:
        clip = tensors.blank(lambda: NoisedCLIP(CLIP), what).state_dict()
        state = openai_clip.split(clip, CLIP)[PARTS["clip"].index(name)]
    else:
        checkpoint = openai.CHECKPOINTS[name]
        unet = tensors.blank(lambda: ADMUNet(checkpoint.config, checkpoint.schedule), what)
        text = tensors.blank(lambda: GlideTextTransformer(checkpoint.text), what)
        state = openai.joined(unet.state_dict(), text.state_dict(), checkpoint)
    return {key: tuple(value.shape) for key, value in state.items()}
