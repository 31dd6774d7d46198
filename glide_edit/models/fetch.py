"""Downloading one file: resumed where it broke off, retried, and either whole under its name or not there.

The bytes received so far are in ``NAME.part``, and ``NAME.part.json`` says which file they belong to, so that
a later call, even after a kill, asks only for the rest, and only if the server still has the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from glide_edit.errors import ModelError

if TYPE_CHECKING:
    from requests import Response
    from requests.exceptions import RequestException

HOME_VARIABLE = "GLIDE_EDIT_HOME"
"""The environment variable that names a folder to use in place of the user's data folder."""

_CHUNK = 1 << 14
_RETRIED = {408, 425, 429}
"""The status codes below 500 after which the request is repeated."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_ELSEWHERE = "download the file elsewhere and give its folder with --from DIR"


def home_folder() -> Path:
    """Where fetched files, and those put there by hand, are kept. The folder need not exist."""
    return _folder(platformdirs.user_data_dir)


def cache_folder() -> Path:
    """Where what can be made again is kept; with GLIDE_EDIT_HOME the same folder. It need not exist."""
    return _folder(platformdirs.user_cache_dir)


def _folder(usual: Callable[..., str]) -> Path:
    return Path(os.environ.get(HOME_VARIABLE) or usual("glide-edit", appauthor=False)).expanduser()


@dataclass(frozen=True)
class Digest:
    """The size of a file in bytes, and its sha256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class FetchStatus:
    """What is being done to the file ``name``; ``done`` of ``total`` bytes, where ``total`` is not 0."""

    what: str
    name: str
    done: int = 0
    total: int = 0


Report = Callable[[FetchStatus], None]
Check = Callable[[Path], None]


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds to wait for a connection and for the next bytes; how many failures in a row end the download.

    Only failures without new bytes count. The pause after a failure doubles from ``pause`` to
    ``longest_pause`` seconds.
    """

    connect: float = 20.0
    stall: float = 30.0
    tries: int = 5
    pause: float = 1.0
    longest_pause: float = 30.0


class _Broken(Exception):
    """A failed attempt that may be repeated; the message gives the reason, as part of a sentence."""


def no_report(status: FetchStatus) -> None:
    """A ``Report`` that does nothing."""


def fetch(
    url: str,
    target: Path,
    *,
    expected: Digest | None = None,
    check: Check | None = None,
    copies: int = 1,
    report: Report = no_report,
    retry: RetryPolicy | None = None,
) -> Digest:
    """Download ``url`` to ``target``, unless that is there already, and return its digest.

    ``expected`` is compared with the file where it is known. ``check`` gets the path of the finished download
    before that is renamed, and raises ModelError for a wrong file. The disk must have room for ``copies``
    files of this size. Where several processes ask for the same file, one fetches and the others wait.
    Proxies come from the environment (HTTPS_PROXY). A download that is stopped, by Ctrl-C too, is resumed by
    the next call.

    Raises ModelError if the file cannot be fetched or written, is not the expected one, or there is no room.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock"), target.name, report):
            found = digest(target) if target.is_file() else None
            if found is not None and expected in (None, found):
                return found
            return _Download(url, target, expected, check, copies, report, retry or RetryPolicy()).run()
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error.strerror or error}.") from error


@contextmanager
def locked(path: Path, name: str, report: Report = no_report) -> Iterator[None]:
    """Hold the lock file ``path``; while another process holds it, report that for ``name`` and wait."""
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        report(FetchStatus("waiting for another process to finish", name))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def digest(path: Path) -> Digest:
    """The size and sha256 of a file. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return Digest(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True)
class _Origin:
    """The file that a part belongs to. ``validator`` names the server's version of it, "" if nothing does."""

    url: str
    validator: str
    total: int

    @classmethod
    def read(cls, path: Path) -> _Origin | None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(data["url"]), str(data["validator"]), int(data["total"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class _Download:
    url: str
    target: Path
    expected: Digest | None
    check: Check | None
    copies: int
    report: Report
    retry: RetryPolicy

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def origin(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    def run(self) -> Digest:
        """Try until the file is whole or the policy gives up."""
        furthest, failures = self._resumable()[0], 0
        while True:
            try:
                return self._finish(self._continue())
            except _Broken as broken:
                received = self._received()
                failures = failures + 1 if received <= furthest else 0
                furthest = max(furthest, received)
                if failures >= self.retry.tries:
                    raise ModelError(
                        f"{self.url} cannot be fetched: {broken}. Check the network and HTTPS_PROXY and try "
                        f"again, which resumes from what has come, or {_ELSEWHERE}."
                    ) from broken
                pause = min(self.retry.pause * 2.0 ** max(failures - 1, 0), self.retry.longest_pause)
                what = f"{broken}; trying again in {pause:.0f} s"
                self.report(FetchStatus(what, self.target.name, received))
                time.sleep(pause)

    def _received(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _resumable(self) -> tuple[int, _Origin | None]:
        """How many bytes a request can go on from, and the file they belong to."""
        origin, received = _Origin.read(self.origin), self._received()
        if origin is None or not origin.validator or origin.url != self.url or received > origin.total:
            return 0, None
        return received, origin

    def _continue(self) -> bool:
        """Download what is missing. True if this one request brought the whole file."""
        import requests

        offset, origin = self._resumable()
        if origin is not None and 0 < offset == origin.total:
            return False
        headers = {"Accept-Encoding": "identity"}
        if origin is not None and offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": origin.validator}
        try:
            timeout = (self.retry.connect, self.retry.stall)
            with requests.get(self.url, headers=headers, stream=True, timeout=timeout) as response:
                if response.status_code in (206, 416) and origin is not None:
                    self._check_continued(response, offset, origin)
                else:
                    offset, origin = 0, self._origin_of(response)
                self._check_room(offset, origin.total)
                self._receive(response, offset, origin)
        except requests.exceptions.RequestException as error:
            raise self._translated(error) from error
        return offset == 0

    def _receive(self, response: Response, offset: int, origin: _Origin) -> None:
        done = offset
        with open(self.part, "ab" if offset else "wb") as file:
            if not offset:  # after the old bytes are gone: a kill in between leaves nothing to mix up
                self.origin.write_text(json.dumps(asdict(origin)), encoding="utf-8")
            for chunk in response.iter_content(_CHUNK):
                done += len(chunk)
                file.write(chunk)
                self.report(FetchStatus("fetching", self.target.name, done, origin.total))
        if done != origin.total:
            raise _Broken(f"it broke off after {done:,} of {origin.total:,} bytes")

    def _finish(self, in_one_go: bool) -> Digest:
        """Check the part and rename it."""
        self.report(FetchStatus("checking", self.target.name))
        try:
            found = digest(self.part)
            if self.expected is not None and found != self.expected:
                raise ModelError(
                    f"{self.url} is not the file that is expected (its size or sha256 differs): it was "
                    f"published again or a proxy is in the way, so {_ELSEWHERE}."
                )
            if self.check is not None:
                self.check(self.part)
        except ModelError as error:
            self._drop()
            if in_one_go:
                raise
            raise _Broken("what came in pieces does not fit together") from error
        with open(self.part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(self.part, self.target)
        self.origin.unlink(missing_ok=True)
        return found

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)

    def _origin_of(self, response: Response) -> _Origin:
        """The whole file that the server has begun to send."""
        status, headers = response.status_code, response.headers
        if status in _RETRIED or status >= 500:
            raise _Broken(f"the server answered {status}")
        if status != 200:
            raise ModelError(
                f"{self.url} cannot be fetched: the server answered {status} {response.reason}. "
                f"If it is no longer there or a proxy refuses it, {_ELSEWHERE}."
            )
        length = headers.get("Content-Length", "")
        if not length.isdecimal() or _compressed(headers):
            raise ModelError(
                f"{self.url} comes without its length or compressed: a proxy is in the way, so {_ELSEWHERE}."
            )
        if self.expected is not None and int(length) != self.expected.size:
            raise ModelError(
                f"{self.url} has {int(length):,} bytes and not {self.expected.size:,}: it was published "
                f"again or a proxy is in the way, so {_ELSEWHERE}."
            )
        return _Origin(self.url, _validator(headers), int(length))

    def _check_continued(self, response: Response, offset: int, origin: _Origin) -> None:
        """Raises _Broken, after which the file is fetched again, unless the server sends exactly the rest."""
        headers = response.headers
        said = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        rest = (offset, origin.total - 1, origin.total)
        sends_rest = said is not None and tuple(map(int, said.groups())) == rest and not _compressed(headers)
        same = _validator(headers) in ("", origin.validator)
        if response.status_code != 206 or not sends_rest or not same:
            self._drop()
            raise _Broken("the server does not continue the same file")

    def _check_room(self, offset: int, total: int) -> None:
        free, needed = shutil.disk_usage(self.target.parent).free, self.copies * total - offset
        if free < needed:
            raise ModelError(
                f"{self.target.name} needs {needed / 1e9:.1f} GB in {self.target.parent}, and "
                f"{free / 1e9:.1f} GB are free: make room there."
            )

    def _translated(self, error: RequestException) -> Exception:
        """The error as ours: _Broken if another attempt may help."""
        from requests import exceptions as errors

        passing = errors.ConnectionError | errors.Timeout | errors.ChunkedEncodingError
        if not isinstance(error, passing) or isinstance(error, errors.SSLError):
            return ModelError(
                f"{self.url} cannot be fetched ({' '.join(str(error).split())[:200]}): check HTTPS_PROXY and "
                f"the certificates, or {_ELSEWHERE}."
            )
        said = str(error)
        if isinstance(error, errors.ProxyError):
            return _Broken("the proxy cannot be reached or refuses")
        if "NameResolutionError" in said or "getaddrinfo" in said:
            return _Broken("the server's name cannot be looked up")
        if isinstance(error, errors.ConnectTimeout):
            return _Broken(f"no connection within {self.retry.connect:g} s")
        if isinstance(error, errors.Timeout) or "timed out" in said:
            return _Broken(f"nothing came for {self.retry.stall:g} s")
        return _Broken("the connection broke")


def _validator(headers: Mapping[str, str]) -> str:
    """What names this version of the file for If-Range: a strong ETag, or the date of its last change."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")


def _compressed(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "identity") != "identity"
