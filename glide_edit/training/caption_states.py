"""The states that a frozen language model gives for captions, computed once and kept on disk.

``text-<hash>.f16`` holds the states, (tokens, width) in half precision without padding, mapped into memory;
``text-<hash>.index`` one record for each caption: its hash, its first row and its number of rows. The hash in
the file names stands for the language model, its tokenizer and the context. The files grow as captions come.
A run therefore words each picture in ``PHRASINGS`` ways only: the toybox has hundreds for every picture, and
with all of them hardly any caption would ever be read twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from glide_edit.conditioning import TextStates
from glide_edit.errors import TrainingError
from glide_edit.text.encoder import Tokenizer
from glide_edit.text.frozen import FrozenTextConfig, LanguageModel

PHRASINGS = 4
"""Of a picture, and of each of its objects."""

MAX_BYTES = 4 * 2**30
"""On disk; states beyond that are computed each time."""

_CHUNK = 64
"""Captions that the language model reads at once."""
_RECORD = np.dtype([("key", "V16"), ("start", "<u8"), ("count", "<u4")])
_FINITE = float(np.finfo(np.float16).max)


class CaptionStates:
    """The cache of one run, for one thread. Several runs may share a folder.

    Raises:
        TrainingError: the folder's files are not of this language model.
    """

    def __init__(
        self,
        folder: Path,
        config: FrozenTextConfig,
        tokenizer: Tokenizer,
        language: LanguageModel,
        device: torch.device,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        what = f"{config.sha256} {config.tokenizer_sha256} {config.context}"
        name = f"text-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
        self._states, self._index = folder / f"{name}.f16", folder / f"{name}.index"
        self._lock = FileLock(folder / f".{name}.lock")
        self._width, self._max_bytes = config.language_width, max_bytes
        self._tokenizer, self._language, self._device = tokenizer, language, device
        self._rows: dict[bytes, slice] = {}
        self._read = 0
        self._mapped = np.zeros((0, self._width), np.float16)
        for path in (self._states, self._index):
            path.touch()
        with self._lock:
            self._refresh()

    def __len__(self) -> int:
        """How many captions are kept."""
        return len(self._rows)

    def of(self, captions: Sequence[str]) -> TextStates:
        """(B captions) -> states (B, L, width) float16 on the CPU, zero on padding."""
        missing = [text for text in dict.fromkeys(captions) if _key(text) not in self._rows]
        fresh = self._compute(missing)
        if fresh:
            with self._lock:
                self._append(fresh)
        found = [fresh[text] if text in fresh else self._stored(text) for text in captions]
        length = max(1, max(len(states) for states in found))
        states = np.zeros((len(found), length, self._width), np.float16)
        token_mask = np.zeros((len(found), length), bool)
        for k, one in enumerate(found):
            states[k, : len(one)] = one
            token_mask[k, : len(one)] = True
        return TextStates(torch.from_numpy(states), torch.from_numpy(token_mask))

    def _stored(self, text: str) -> NDArray[np.float16]:
        rows = self._rows[_key(text)]
        if rows.stop > len(self._mapped):
            self._mapped = np.memmap(self._states, np.float16, "r").reshape(-1, self._width)
        return self._mapped[rows]

    def _compute(self, captions: Sequence[str]) -> dict[str, NDArray[np.float16]]:
        """The language model's states of captions, without padding."""
        computed: dict[str, NDArray[np.float16]] = {}
        for start in range(0, len(captions), _CHUNK):
            part = captions[start : start + _CHUNK]
            tokens = self._tokenizer.encode(part)
            text = self._language(tokens.ids.to(self._device), tokens.token_mask.to(self._device))
            states = text.states.clamp(-_FINITE, _FINITE).half().cpu().numpy()
            counts = tokens.token_mask.sum(1).tolist()
            computed |= {caption: states[k, : counts[k]].copy() for k, caption in enumerate(part)}
        return computed

    def _append(self, fresh: dict[str, NDArray[np.float16]]) -> None:
        """Append the states that no other run has appended by now, while there is room; then the index."""
        self._refresh()
        start = self._states.stat().st_size // (2 * self._width)
        records, arrays = [], []
        for text, states in fresh.items():
            end = start + len(states)
            if _key(text) in self._rows or end * 2 * self._width > self._max_bytes:
                continue
            records.append((_key(text), start, len(states)))
            arrays.append(states)
            start = end
        if not records:
            return
        with open(self._states, "ab") as file:
            file.write(np.concatenate(arrays).tobytes())
        with open(self._index, "ab") as file:
            file.write(np.array(records, _RECORD).tobytes())
        self._refresh()

    def _refresh(self) -> None:
        """Read the new records of the index. A half-written end, left by a kill, is cut off first."""
        for path, unit in ((self._states, 2 * self._width), (self._index, _RECORD.itemsize)):
            size = path.stat().st_size
            if size % unit:
                os.truncate(path, size - size % unit)
        rows = self._states.stat().st_size // (2 * self._width)
        with open(self._index, "rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        for key, start, count in np.frombuffer(data, _RECORD).tolist():
            if start + count > rows:
                raise TrainingError(
                    f"{self._states} is shorter than its index says: delete both files to compute them again."
                )
            self._rows[bytes(key)] = slice(start, start + count)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
