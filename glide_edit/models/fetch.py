"""Downloading one file: continued where it broke off, tried again, and whole under its name or not there.

What has come so far is in ``NAME.part``, and what it is a part of in ``NAME.part.json``, so that a later
call, also one after a kill, asks the server for the rest only, and only if the file there is still the same.
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

from glide_edit.errors import ModelError

if TYPE_CHECKING:
    from requests import Response
    from requests.exceptions import RequestException

_CHUNK = 1 << 14
_TRY_AGAIN = {408, 425, 429}
"""The answers below 500 that are worth another try."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_ELSEWHERE = "download the file elsewhere and give its folder with --from DIR"


@dataclass(frozen=True)
class Digest:
    """What a file is: its size in bytes, and its sha256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Doing:
    """What is being done to the file ``name``; ``done`` of ``total`` bytes, where ``total`` is not 0."""

    what: str
    name: str
    done: int = 0
    total: int = 0


Tell = Callable[[Doing], None]
Check = Callable[[Path], None]


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a connection and for the next bytes; how often to fail before giving up.

    Failures count while the file gets no longer. The pause after them doubles from ``pause`` to
    ``longest_pause`` seconds.
    """

    connect: float = 20.0
    stall: float = 30.0
    tries: int = 5
    pause: float = 1.0
    longest_pause: float = 30.0


class _Broken(Exception):
    """It did not work this time; the message says why, as part of a sentence."""


def silent(doing: Doing) -> None:
    """A ``Tell`` that tells nobody."""


def fetch(
    url: str,
    target: Path,
    *,
    expected: Digest | None = None,
    check: Check | None = None,
    copies: int = 1,
    tell: Tell = silent,
    patience: Patience | None = None,
) -> Digest:
    """Make ``target`` the file at ``url``, unless it is already, and say what it is.

    ``expected`` is compared with the file where it is known; ``check`` gets the path of the finished download
    before it is given its name and raises ModelError for what it should not be. ``copies`` is for how many
    files of this size the disk must have room. Several processes may ask for the same file: one fetches, the
    others wait. Proxies come from the environment (HTTPS_PROXY). Stopped at any point, by Ctrl-C too, it
    leaves what has come, and the next call goes on from there.

    Raises ModelError if the file cannot be fetched or written, is not the expected one, or there is no room.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f"{target.name}.lock"), target.name, tell):
            found = digest(target) if target.is_file() else None
            if found is not None and expected in (None, found):
                return found
            return _Download(url, target, expected, check, copies, tell, patience or Patience()).run()
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error.strerror or error}.") from error


@contextmanager
def locked(path: Path, name: str, tell: Tell = silent) -> Iterator[None]:
    """Hold the lock file ``path``; while another process has it, tell so about ``name``, and wait."""
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        tell(Doing("waiting for another process to finish", name))
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
    """Of what a part is the beginning. ``validator`` names the server's version of it, "" if nothing does."""

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

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True)
class _Download:
    url: str
    target: Path
    expected: Digest | None
    check: Check | None
    copies: int
    tell: Tell
    patience: Patience

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def origin(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    def run(self) -> Digest:
        """Try until the file is whole, or until trying leads nowhere."""
        furthest, failures = self._resumable()[0], 0
        while True:
            try:
                return self._finish(self._continue())
            except _Broken as broken:
                came = self._came()
                failures = failures + 1 if came <= furthest else 0
                furthest = max(furthest, came)
                if failures >= self.patience.tries:
                    raise self._given_up(str(broken)) from broken
                pause = min(self.patience.pause * 2.0 ** max(failures - 1, 0), self.patience.longest_pause)
                self.tell(Doing(f"{broken}; trying again in {pause:.0f} s", self.target.name, came))
                time.sleep(pause)

    def _came(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _resumable(self) -> tuple[int, _Origin | None]:
        """How many bytes are there to go on from, and of what they are."""
        origin = _Origin.read(self.origin)
        came = self._came()
        if origin is None or not origin.validator or origin.url != self.url or came > origin.total:
            return 0, None
        return came, origin

    def _continue(self) -> bool:
        """Download what is missing. True if all came in this one go, False if it was pieced together."""
        import requests

        offset, origin = self._resumable()
        if origin is not None and 0 < offset == origin.total:
            return False
        headers = {"Accept-Encoding": "identity"}
        if origin is not None and offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": origin.validator}
        try:
            timeout = (self.patience.connect, self.patience.stall)
            with requests.get(self.url, headers=headers, stream=True, timeout=timeout) as response:
                if response.status_code in (206, 416) and origin is not None:
                    self._check_continued(response, offset, origin)
                else:
                    offset, origin = 0, self._origin_of(response)
                self._check_room(offset, origin.total)
                self._receive(response, offset, origin)
        except requests.exceptions.RequestException as error:
            raise self._told(error) from error
        return offset == 0

    def _receive(self, response: Response, offset: int, origin: _Origin) -> None:
        done = offset
        with open(self.part, "ab" if offset else "wb") as file:
            if not offset:  # after the old bytes are gone: a kill in between leaves nothing to mix up
                origin.write(self.origin)
            for chunk in response.iter_content(_CHUNK):
                done += len(chunk)
                file.write(chunk)
                self.tell(Doing("fetching", self.target.name, done, origin.total))
        if done != origin.total:
            raise _Broken(f"it broke off after {done:,} of {origin.total:,} bytes")

    def _finish(self, in_one_go: bool) -> Digest:
        """Check the part and give it its name."""
        self.tell(Doing("checking", self.target.name))
        try:
            found = digest(self.part)
            if self.expected is not None and found != self.expected:
                raise ModelError(
                    f"{self.url} is not the file that is expected (its size or sha256 differs): it was "
                    f"published anew or a proxy is in the way, so {_ELSEWHERE}."
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
        """What a whole file is that the server has begun to send."""
        status, headers = response.status_code, response.headers
        if status in _TRY_AGAIN or status >= 500:
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
                f"{self.url} has {int(length):,} bytes and not {self.expected.size:,}: it was published anew "
                f"or a proxy is in the way, so {_ELSEWHERE}."
            )
        return _Origin(self.url, _validator(headers), int(length))

    def _check_continued(self, response: Response, offset: int, origin: _Origin) -> None:
        """Raises _Broken, after which the file is fetched anew, unless the server sends exactly the rest."""
        headers = response.headers
        said = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        rest = (offset, origin.total - 1, origin.total)
        sends_rest = said is not None and tuple(map(int, said.groups())) == rest and not _compressed(headers)
        same = _validator(headers) in ("", origin.validator)
        if response.status_code != 206 or not sends_rest or not same:
            self._drop()
            raise _Broken("the server does not continue the same file")

    def _check_room(self, offset: int, total: int) -> None:
        free = shutil.disk_usage(self.target.parent).free
        needed = self.copies * total - offset
        if free < needed:
            raise ModelError(
                f"{self.target.name} needs {_gigabytes(needed)} in {self.target.parent}, and "
                f"{_gigabytes(free)} are free: make room there."
            )

    def _told(self, error: RequestException) -> Exception:
        """The error as ours: _Broken if another try may help."""
        from requests import exceptions as errors

        worth_it = errors.ConnectionError | errors.Timeout | errors.ChunkedEncodingError
        if isinstance(error, worth_it) and not isinstance(error, errors.SSLError):
            return _Broken(_reason(error, self.patience))
        return ModelError(
            f"{self.url} cannot be fetched ({' '.join(str(error).split())[:200]}): check HTTPS_PROXY and the "
            f"certificates, or {_ELSEWHERE}."
        )

    def _given_up(self, reason: str) -> ModelError:
        return ModelError(
            f"{self.url} cannot be fetched: {reason}. Check the network and HTTPS_PROXY and try again, "
            f"which goes on from what has come, or {_ELSEWHERE}."
        )


def _validator(headers: Mapping[str, str]) -> str:
    """What names this version of the file for If-Range: a strong ETag, or the date of its last change."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")


def _compressed(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "identity") != "identity"


def _reason(error: Exception, patience: Patience) -> str:
    from requests import exceptions as errors

    said = str(error)
    if isinstance(error, errors.ProxyError):
        return "the proxy cannot be reached or refuses"
    if "NameResolutionError" in said or "getaddrinfo" in said:
        return "the server's name cannot be looked up"
    if isinstance(error, errors.ConnectTimeout):
        return f"no connection within {patience.connect:g} s"
    if isinstance(error, errors.Timeout) or "timed out" in said:
        return f"nothing came for {patience.stall:g} s"
    return "the connection broke"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
