"""Many edits in one load: a file with an edit a line becomes a folder of pictures and a list of them.

A line is a JSON object (or a row of a CSV file) with the operation and any fields of its request. Pictures
and masks are paths, relative to the file. ``mask_means`` is "keep" where white marks what stays, and ``out``
names the picture. A line that fails does not stop the others. ``results.jsonl`` lists what is done, so that a
second run skips it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path, PurePath
from typing import Any, Literal

from glide_edit.editor import Editor
from glide_edit.errors import GlideEditError, InputError, OutputExists, SaveFailed
from glide_edit.images import (
    Picture,
    check_output,
    default_output_suffix,
    open_picture,
    put_in_place,
    write_atomically,
)
from glide_edit.requests import (
    Request,
    checked_fields,
    fields_of,
    kind_of,
    parse_seeds,
    parse_steps,
    settings_of,
)
from glide_edit.requests.inputs import naming
from glide_edit.results import EditResult, Progress, Receipt
from glide_edit.selections import open_mask
from masks import Mask, MaskError

MANIFEST = "results.jsonl"
"""The file in the output folder that says what was done: a JSON object a line of the batch."""

State = Literal["done", "skipped", "failed"]

_STATES = ("started", "done", "failed")

_OWN = ("out", "mask_means")
"""What a line may say beside the fields of its request."""


@dataclass(frozen=True)
class BatchLine:
    """One edit as written: its line in the file, counted from 1, and its fields, or what is wrong."""

    number: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class LineOutcome:
    """The outcome of a line: "done" now, "skipped" since it was done before, or "failed" and why.

    ``files`` are names in the output folder, ``record`` the line's entry in the manifest.
    """

    number: int
    state: State
    files: tuple[str, ...] = ()
    error: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LineProgress:
    """A step of the work on a line."""

    number: int
    progress: Progress


# Reading ---------------------------------------------------------------------------------------------------


def read_lines(path: str | Path) -> tuple[BatchLine, ...]:
    """The edits in a file: CSV with a header where its name ends in .csv, else a JSON object a line.

    Raises:
        InputError: no such file, not UTF-8, or nothing in it.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file with an edit a line.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    return parse_lines(data, str(path), is_csv=path.suffix.lower() == ".csv")


def parse_lines(data: bytes, name: str, *, is_csv: bool = False) -> tuple[BatchLine, ...]:
    """The edits in the bytes of a file. Raises InputError where they are no text, or hold no edit."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text: save it as such, with an edit a line.") from None
    # Not splitlines: it splits at characters that may stand within JSON strings.
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    lines = _csv_lines(text, name) if is_csv else tuple(_json_line(*each) for each in numbered)
    if not lines:
        raise InputError(f"{name} holds no edits: write one a line.")
    return lines


def _json_line(number: int, line: str) -> BatchLine:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        return BatchLine(number, problem=f"Not JSON: {error.msg} at character {error.pos + 1}.")
    except (ValueError, RecursionError):
        return BatchLine(number, problem="Not JSON that can be read: too deep, or a number too long.")
    if not isinstance(record, dict):
        return BatchLine(number, problem=f"Not a JSON object but {type(record).__name__}: write {{…}}.")
    return BatchLine(number, record)


def _csv_lines(text: str, name: str) -> tuple[BatchLine, ...]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[BatchLine] = []
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if "operation" not in header or len(set(header)) < len(header):
            raise InputError(
                f"{name} needs a first line that names its columns, operation among them, each once."
            )
        before = rows.line_num
        for row in rows:
            number, before = before + 1, rows.line_num
            if any(cell.strip() for cell in row):
                lines.append(_csv_line(number, header, row))
    except csv.Error as error:
        raise InputError(f"{name} is not CSV ({error}, line {rows.line_num}): check its quotes.") from None
    return tuple(lines)


def _csv_line(number: int, header: Sequence[str], row: Sequence[str]) -> BatchLine:
    if len(row) > len(header):
        return BatchLine(
            number, problem=f"{len(row)} cells where the header names {len(header)}: quote commas."
        )
    cells = {name: cell for name, cell in zip(header, row, strict=False) if cell.strip()}
    try:
        kind = kind_of({"operation": cells.get("operation", "").strip()})
    except InputError as error:
        return BatchLine(number, problem=str(error))
    kinds = {each.name: each.kind for each in settings_of(kind)}
    return BatchLine(number, {name: _value(cell, kinds.get(name, "text")) for name, cell in cells.items()})


def _value(cell: str, kind: str) -> Any:
    """A cell as JSON would have it where the field is not text: a number, a list, a truth value."""
    if kind in ("text", "picture"):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell.strip()


# Requests --------------------------------------------------------------------------------------------------


def request_of(line: BatchLine, folder: str | Path) -> Request:
    """The request that a line describes; its paths are relative to ``folder``.

    Raises:
        InputError, MaskError: a line that is none, a field that is unknown, missing or out of range, or a
            picture or mask that cannot be used.
    """
    if line.problem is not None:
        raise InputError(line.problem)
    kind = kind_of(line.fields)
    given = checked_fields(kind, line.fields, besides=_OWN)
    means = line.fields.get("mask_means", "change")
    if means not in ("change", "keep"):
        raise InputError(
            f"mask_means must be change or keep, not {means!r}.",
            code="mask_means_unknown",
            field="mask_means",
        )
    for name, parse in (("seeds", parse_seeds), ("stage_steps", parse_steps)):
        if isinstance(given.get(name), str | int):
            given[name] = parse(str(given[name]))
    for name in fields_of(kind, Picture):
        if given.get(name) is not None:
            with naming(name):
                given[name] = open_picture(_path(name, given[name], folder))
    for name in fields_of(kind, Mask):
        if given.get(name) is not None:
            with naming(name):
                mask = _mask(name, given[name], folder)
            given[name] = ~mask if name == "mask" and means == "keep" else mask
    return kind(**given)


def _path(name: str, value: object, folder: str | Path) -> Path:
    if not isinstance(value, str) or not value.strip():
        said = f"{name} must be the path of a picture, not {value!r}."
        raise InputError(said, code=f"{name}_wrong_type", field=name)
    return Path(folder) / value


def _mask(name: str, value: object, folder: str | Path) -> Mask:
    if isinstance(value, Mapping):
        return Mask.from_rle(value)
    path = _path(name, value, folder)
    try:
        return open_mask(path)
    except MaskError as error:
        raise MaskError(f"{path}: {error}", code=error.code) from error


# Running ---------------------------------------------------------------------------------------------------


def run_batch(
    editor: Editor,
    lines: Sequence[BatchLine],
    out: str | Path,
    *,
    folder: str | Path = ".",
    force: bool = False,
) -> Generator[LineProgress | LineOutcome, None, None]:
    """Carry out the lines one after the other, writing pictures and the manifest into the folder ``out``.

    ``folder`` is what paths in lines are relative to. A line is skipped where the manifest says that the same
    request was done by the same model and its files are as they were written; with ``force`` nothing is
    skipped and files that the batch did not write are overwritten. Without it a file is written over only if
    it is, to the byte, what the line wrote. Stop iterating and the work stops; what is
    finished is kept, in files and manifest.

    Raises:
        InputError: the folder cannot be made or written to, or holds a ``results.jsonl`` of something else.
    """
    out = Path(out)
    manifest = _Manifest.open(out)
    names: dict[str, int] = {}
    for line in lines:
        try:
            request = request_of(line, folder)
            job = _job(line, request, editor)
            for name in job.names:
                if (first := names.setdefault(name.casefold(), line.number)) != line.number:
                    raise InputError(f"{name} is written by line {first} already: give another out.")
            known = manifest.entries.get(line.number, {})
            if not force and _is_done(known, job, out):
                yield LineOutcome(line.number, "skipped", job.names, record=known)
                continue
            like = None if request.result_size is None else request.source
            for name in job.names:
                ours = force or _is_own(known, name, out / name)
                check_output(out / name, like=like, size=request.result_size, force=ours)
            events = editor.stream(request)
        except (GlideEditError, MaskError) as error:
            yield manifest.failed(line.number, str(error))
            continue
        manifest.write()  # where the disk is full, that shows before the work
        yield from _carry_out(job, events, manifest, force=force)


@dataclass(frozen=True, eq=False)
class _Job:
    """A line that can be carried out: ``key`` says what the pictures follow from, ``names`` their files."""

    number: int
    request: Request
    key: str
    names: tuple[str, ...]


def _job(line: BatchLine, request: Request, editor: Editor) -> _Job:
    names = _names(line, request)
    everything = [request.to_json(), editor.label(request), names]
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    return _Job(line.number, request, digest, names)


def _names(line: BatchLine, request: Request) -> tuple[str, ...]:
    """The line's files: what ``out`` says or the line's number; with -1, -2 … where they are several."""
    asked = line.fields.get("out")
    suffix = ".png" if request.source is None else default_output_suffix(request.source)
    name = f"{line.number:04}{suffix}" if asked is None else asked
    if not isinstance(name, str) or name in ("", ".", "..", MANIFEST) or PurePath(name).name != name:
        raise InputError(f"out must be the name of a file in the output folder, not {asked!r}.")
    if request.n == 1:
        return (name,)
    path = PurePath(name)
    return tuple(f"{path.stem}-{k}{path.suffix}" for k in range(1, request.n + 1))


def _is_done(entry: Mapping[str, Any], job: _Job, out: Path) -> bool:
    done = entry.get("state") == "done" and entry.get("key") == job.key
    return done and entry.get("sha256") == [_sha256(out / name) for name in job.names]


def _is_own(entry: Mapping[str, Any], name: str, path: Path) -> bool:
    """Whether a file is one that the line wrote under this name, by its hash."""
    return (found := _sha256(path)) is not None and found in _owned(entry).get(name, ())


def _owned(entry: Mapping[str, Any]) -> dict[str, list[str]]:
    """The hashes of what a line wrote or was about to write, by name; lists of before 0.2 have them of what
    was done alone."""
    if "owned" in entry:
        return {name: list(hashes) for name, hashes in entry["owned"].items()}
    pairs = zip(entry.get("files", ()), entry.get("sha256", ()), strict=False)
    return {name: [digest] for name, digest in pairs if digest is not None}


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def _carry_out(
    job: _Job, events: Generator[Progress | EditResult, None, None], manifest: _Manifest, *, force: bool
) -> Generator[LineProgress | LineOutcome, None, None]:
    try:
        with closing(events):
            for event in events:
                if isinstance(event, EditResult):
                    record = _save(job, event, manifest, force=force)
                    break
                yield LineProgress(job.number, event)
    except (GlideEditError, MaskError) as error:
        yield manifest.failed(job.number, str(error))
        return
    yield LineOutcome(job.number, "done", job.names, record=record)


def _save(job: _Job, result: EditResult, manifest: _Manifest, *, force: bool) -> Mapping[str, Any]:
    """Write a line's pictures, finished ones beside their names first: the manifest has their hashes before
    they get these, so that after a crash they are known, and nothing else is taken for them.

    Raises:
        SaveFailed: some could not be saved; the message says of each why, and where it is now.
    """
    targets = [manifest.folder / name for name in job.names]
    parts = [
        target.with_name(f".{job.number:04}-{k}.part{target.suffix}") for k, target in enumerate(targets)
    ]
    failed: list[SaveFailed] = []
    receipts: dict[int, Receipt | None] = {}
    try:
        for index, (part, target) in enumerate(zip(parts, targets, strict=True)):
            with _collecting(failed), result.rescuing(target, index), _named(part, target):
                receipts[index] = result.save(part, index, force=True, rescue="never")
        digests = {index: str(_sha256(parts[index])) for index in receipts}
        owned = _owned(manifest.entries.get(job.number, {}))
        for index, digest in digests.items():
            owned[job.names[index]] = [*owned.get(job.names[index], ()), digest]
        unlisted: InputError | None = None
        try:
            manifest.put(job.number, {"state": "started", "files": list(job.names), "owned": owned})
        except InputError as error:
            unlisted = error
        for index in receipts:
            with _collecting(failed), result.rescuing(targets[index], index):
                if unlisted is not None:  # a later run would not know the picture for its own
                    raise unlisted
                _name(parts[index], targets[index], owned[job.names[index]], force=force)
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    if failed:
        raise SaveFailed.of_several(failed)
    missing = (result.missing_from(target, index) for index, target in enumerate(targets))
    record = {
        "state": "done",
        "key": job.key,
        "files": list(job.names),
        "sha256": [digests[index] for index in range(len(targets))],
        "seeds": list(job.request.seeds),
        "receipts": [
            None if (receipt := receipts[index]) is None else replace(receipt, where=name).to_json()
            for index, name in enumerate(job.names)
        ],
        "notes": [*result.notes, *(said for said in missing if said)],
        "model": result.model,
        "seconds": round(result.seconds, 3),
    }
    return manifest.put(job.number, record)


@contextmanager
def _collecting(failed: list[SaveFailed]) -> Iterator[None]:
    try:
        yield
    except SaveFailed as error:
        failed.append(error)


@contextmanager
def _named(part: Path, target: Path) -> Iterator[None]:
    """Errors speak of the picture by the name that it is to have."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(part), str(target)), code=error.code) from error


def _name(part: Path, target: Path, own: Sequence[str], *, force: bool) -> None:
    """Give a finished picture its name; where something else has it by now, another one beside it.

    Raises:
        SaveFailed: something else has it.
        InputError: it cannot be written.
    """
    if force:
        write_atomically(target, part.read_bytes(), force=True)
        return
    try:
        put_in_place(part, target, lambda path: _sha256(path) in own)
    except OutputExists:
        for number in count(2):
            other = target.with_name(f"{target.stem}-{number}{target.suffix}")
            with suppress(OutputExists):
                put_in_place(part, other, lambda path: False)
                kept = SaveFailed(
                    f"{target.name} was saved by something else while the line ran, and was left alone: "
                    f"the new picture is {other.name}."
                )
                kept.rescued = other
                raise kept from None


@dataclass(frozen=True)
class _Manifest:
    """The list of what was done in a folder, by line; written whole after each line."""

    folder: Path
    entries: dict[int, Mapping[str, Any]]

    @classmethod
    def open(cls, folder: Path) -> _Manifest:
        """Make the folder if it does not exist, and check that it can be written to."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {folder} cannot be made: {error.strerror or error}.") from error
        manifest = cls(folder, _read_manifest(folder / MANIFEST))
        manifest.write()
        return manifest

    def put(self, number: int, record: Mapping[str, Any]) -> Mapping[str, Any]:
        self.entries[number] = {"line": number, **record}
        self.write()
        return self.entries[number]

    def failed(self, number: int, error: str) -> LineOutcome:
        """Note a failure. Files that the line has written stay its own."""
        before = self.entries.get(number, {})
        kept = {"files": before.get("files", []), "owned": _owned(before)}
        try:
            self.put(number, {"state": "failed", "error": error, **kept})
        except InputError as unwritten:  # what failed first, and where pictures were kept, must still be said
            error = f"{error} {unwritten}"
        return LineOutcome(number, "failed", error=error, record=self.entries[number])

    def write(self) -> None:
        lines = [json.dumps(self.entries[number]) + "\n" for number in sorted(self.entries)]
        write_atomically(self.folder / MANIFEST, "".join(lines).encode(), force=True)


def _read_manifest(path: Path) -> dict[int, Mapping[str, Any]]:
    if not path.exists():
        return {}
    try:
        records = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
        return dict(map(_entry, records))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{path} is not of a batch: move it away, or write into another folder.") from None


def _entry(record: Any) -> tuple[int, Mapping[str, Any]]:
    """A line of the manifest by its number; raises ValueError for anything else."""
    if not isinstance(record, dict) or record.get("state") not in _STATES:
        raise ValueError("no entry")
    number, owned = record.get("line"), record.get("owned", {})
    lists = [record.get("files", []), record.get("sha256", []), *_values(owned)]
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError("no line")
    if not all(
        isinstance(each, list) and all(isinstance(text, str | None) for text in each) for each in lists
    ):
        raise ValueError("no names")
    return number, record


def _values(owned: Any) -> list[Any]:
    if not isinstance(owned, dict):
        raise ValueError("no names")
    return list(owned.values())
