"""What a frozen language model says of captions: asked once, and kept on disk for every later view.

A picture of the toybox has hundreds of phrasings, and hardly any two pictures of several toys share one: with
all of them the files would grow as long as the training lasts, and hardly a caption would be read twice. So
each picture keeps to a few phrasings (``FewPhrasings``), and what is kept grows as captions come: nothing has
to be listed before, a run begins at once, photographs and folders are served alike, and from the few-th time
on that a picture is shown nothing is computed any more.

``text-<hash>.f16`` holds the states, (tokens, width) in half precision without padding, mapped into memory;
``text-<hash>.index`` a record a caption: its hash, its first row and its number of rows. The hash in the
names is that of the language model, its tokenizer and the context.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from glide_edit.conditioning import TextStates
from glide_edit.errors import TrainingError
from glide_edit.text.encoder import Tokenizer
from glide_edit.text.frozen import FrozenTextConfig, LanguageModel
from glide_edit.training.batches import Batch, BatchPlan, made_ahead
from glide_edit.training.sources import Item, Source

PHRASINGS = 4
"""Of a picture, and of each of its objects."""

MOST_BYTES = 4 * 2**30
"""On disk; what is more is computed each time."""

_TOGETHER = 64
"""Captions that the language model reads at once."""
_RECORD = np.dtype([("key", "V16"), ("start", "<u8"), ("count", "<u4")])
_FINITE = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class FewPhrasings:
    """A source whose pictures are worded in at most ``count`` ways each."""

    source: Source
    count: int = PHRASINGS

    def draw(self, rng: np.random.Generator) -> Item:
        item = self.source.draw(rng)
        return replace(
            item,
            caption=lambda seed: item.caption(seed % self.count),
            describe=lambda index, seed: item.describe(index, seed % self.count),
        )

    def captions(self) -> Iterable[str]:
        return self.source.captions()


class CaptionStates:
    """The states of captions by their text; see the module's first lines. For one thread.

    Several runs may share a folder.

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
        most_bytes: int = MOST_BYTES,
    ) -> None:
        what = f"{config.sha256} {config.tokenizer_sha256} {config.context}"
        name = f"text-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
        self._states, self._index = folder / f"{name}.f16", folder / f"{name}.index"
        self._lock = FileLock(folder / f".{name}.lock")
        self._width, self._most_bytes = config.language_width, most_bytes
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
        fresh = self._ask(missing)
        if fresh:
            with self._lock:
                self._keep(fresh)
        found = [fresh[text] if text in fresh else self._kept(text) for text in captions]
        length = max(1, max(len(states) for states in found))
        states = np.zeros((len(found), length, self._width), np.float16)
        token_mask = np.zeros((len(found), length), bool)
        for k, one in enumerate(found):
            states[k, : len(one)] = one
            token_mask[k, : len(one)] = True
        return TextStates(torch.from_numpy(states), torch.from_numpy(token_mask))

    def _kept(self, text: str) -> NDArray[np.float16]:
        rows = self._rows[_key(text)]
        if rows.stop > len(self._mapped):
            self._mapped = np.memmap(self._states, np.float16, "r").reshape(-1, self._width)
        return self._mapped[rows]

    def _ask(self, captions: Sequence[str]) -> dict[str, NDArray[np.float16]]:
        """What the language model says of captions, without padding."""
        said: dict[str, NDArray[np.float16]] = {}
        for start in range(0, len(captions), _TOGETHER):
            part = captions[start : start + _TOGETHER]
            tokens = self._tokenizer.encode(part)
            text = self._language(tokens.ids.to(self._device), tokens.token_mask.to(self._device))
            states = text.states.clamp(-_FINITE, _FINITE).half().cpu().numpy()
            counts = tokens.token_mask.sum(1).tolist()
            said |= {caption: states[k, : counts[k]].copy() for k, caption in enumerate(part)}
        return said

    def _keep(self, fresh: dict[str, NDArray[np.float16]]) -> None:
        """Append what no other run has appended meanwhile, as far as there is room: states, then index."""
        self._refresh()
        start = self._states.stat().st_size // (2 * self._width)
        records, arrays = [], []
        for text, states in fresh.items():
            end = start + len(states)
            if _key(text) in self._rows or end * 2 * self._width > self._most_bytes:
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
        """Read what was appended to the index. What a kill left half-written is cut off first."""
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
                    f"{self._states} is shorter than its index says: delete both files to compute them anew."
                )
            self._rows[bytes(key)] = slice(start, start + count)


@dataclass(frozen=True, eq=False)
class ReadingPlan:
    """A plan whose batches come with what the language model says of their captions, made ahead like them."""

    plan: BatchPlan
    states: CaptionStates

    @property
    def batch_size(self) -> int:
        return self.plan.batch_size

    def make(self, step: int) -> Batch:
        batch = self.plan.make(step)
        return replace(batch, text=self.states.of(batch.captions))

    def stream(self, first_step: int) -> Generator[Batch, None, None]:
        """Batches from ``first_step`` on; see ``made_ahead``."""
        return made_ahead(self.make, first_step)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
