"""Downloads from a server on this machine that breaks off, stalls, refuses, lies and changes its file."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_edit.errors import ModelError
from glide_edit.models.fetch import Digest, FetchStatus, RetryPolicy, digest, fetch, locked

ROOT = Path(__file__).resolve().parents[3]
QUICK = RetryPolicy(connect=2.0, stall=0.3, tries=3, pause=0.001, longest_pause=0.002)


def sealed(seed: int, size: int = 300_000) -> bytes:
    """Random bytes that end in their checksum, so that a file made of two can be told."""
    body = np.random.default_rng(seed).bytes(size - 4)
    return body + zlib.crc32(body).to_bytes(4, "big")


def check_seal(path: Path) -> None:
    data = path.read_bytes()
    if zlib.crc32(data[:-4]).to_bytes(4, "big") != data[-4:]:
        raise ModelError("the seal is broken.")


OLD, NEW = sealed(1), sealed(2)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer."""

    status: int = 0  # answer this, without a file
    stop: int | None = None  # send so many bytes only
    stall: bool = False  # and then nothing, but keep the connection
    whole: bool = False  # ignore Range
    careless: bool = False  # ignore If-Range
    shift: int = 0  # send another range than asked for, and say so
    length: int | None = None  # say that this is the length
    headers: tuple[tuple[str, str], ...] = ()
    change: bool = False  # have the other file from now on


@dataclass
class Site:
    """What the server has, how it answers the next requests, and what it was asked."""

    data: bytes = OLD
    validators: tuple[str, ...] = ("ETag",)
    faults: list[Fault] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    pause: float = 0.0  # before every 10,000 bytes

    @property
    def version(self) -> dict[str, str]:
        known = {
            "ETag": f'"{zlib.crc32(self.data):x}"',
            "Last-Modified": f"Tue, 07 Dec 2021 12:00:{zlib.crc32(self.data) % 60:02} GMT",
        }
        return {name: known[name] for name in self.validators}

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.asked.append(dict(self.headers) | {"path": self.path})
        fault = site.faults.pop(0) if site.faults else Fault()
        if fault.change:
            site.data = NEW if site.data == OLD else OLD
        if fault.status:
            self.send_error(fault.status)
            return
        offset = self.offset(fault)
        if offset is not None and offset >= len(site.data):
            self.send_error(416)
            return
        body = site.data[(offset or 0) + fault.shift :]
        self.send_response(200 if offset is None else 206)
        headers = {"Content-Length": str(fault.length or len(body)), **site.version}
        if offset is not None:
            first, size = offset + fault.shift, len(site.data)
            headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
        for name, value in (headers | dict(fault.headers)).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.send(body if fault.stop is None else body[: fault.stop])
        if fault.stall:
            time.sleep(1.0)

    def offset(self, fault: Fault) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in self.site.version.values()
        return int(asked[1]) if asked and not fault.whole and (same or fault.careless) else None

    def send(self, body: bytes) -> None:
        try:
            for start in range(0, len(body), 10_000):
                time.sleep(self.site.pause)
                self.wfile.write(body[start : start + 10_000])
        except OSError:
            pass  # whoever asked is gone

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[http.server.ThreadingHTTPServer, type[Handler]]]:
    handler = type("OwnHandler", (Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running, handler
        running.shutdown()
        thread.join()


@pytest.fixture
def site(server, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running, handler = server
    handler.site = Site(url=f"http://127.0.0.1:{running.server_address[1]}/file.pt")
    return handler.site


def of(data: bytes) -> Digest:
    return Digest(len(data), sha256(data).hexdigest())


def only(target: Path) -> bool:
    """Nothing is left of the download but the file."""
    return {path.name for path in target.parent.iterdir()} - {f"{target.name}.lock"} == {target.name}


def test_a_file_is_fetched_once(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file.pt"
    assert fetch(site.url, target, retry=QUICK) == of(OLD)
    assert target.read_bytes() == OLD
    assert only(target)
    assert fetch(site.url, target, retry=QUICK) == of(OLD)
    assert fetch(site.url, target, expected=of(OLD), retry=QUICK) == of(OLD)
    assert site.ranges == [None]


def test_an_empty_file_is_a_file(site: Site, tmp_path: Path) -> None:
    site.data = b""
    assert fetch(site.url, tmp_path / "file.pt", retry=QUICK) == of(b"")
    assert (tmp_path / "file.pt").read_bytes() == b""


def test_a_file_that_is_not_the_expected_one_is_fetched_again(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "file.pt"
    target.write_bytes(NEW)
    assert fetch(site.url, target, expected=of(OLD), retry=QUICK) == of(OLD)
    assert target.read_bytes() == OLD


def test_what_is_done_is_told(site: Site, tmp_path: Path) -> None:
    told: list[FetchStatus] = []
    site.faults = [Fault(status=503), Fault(stop=100_000)]
    fetch(site.url, tmp_path / "file.pt", report=told.append, retry=QUICK)
    assert {status.name for status in told} == {"file.pt"}
    assert told[0].what == "the server answered 503; trying again in 0 s"
    fetching = [status for status in told if status.what == "fetching"]
    counts = [status.done for status in fetching]
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] == len(OLD)
    assert {status.total for status in fetching} == {len(OLD)}
    assert told[-1].what == "checking"


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
def test_it_goes_on_where_it_broke_off(site: Site, tmp_path: Path, validators: tuple[str, ...]) -> None:
    site.validators = validators
    site.faults = [Fault(stop=98_304), Fault(stop=49_152)]
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == OLD
    assert site.ranges == [None, "bytes=98304-", "bytes=147456-"]
    assert site.asked[1]["If-Range"] == site.version[validators[0]]


@pytest.mark.parametrize(
    "headers", [(("ETag", ""),), (("ETag", 'W/"weak"'),)], ids=["no validator", "a weak ETag"]
)
def test_without_a_strong_validator_it_starts_anew(site: Site, tmp_path: Path, headers) -> None:
    site.faults = [Fault(stop=98_304, headers=headers)]
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == OLD
    assert site.ranges == [None, None]


def test_a_stalled_connection_is_given_up_and_what_came_is_kept(site: Site, tmp_path: Path) -> None:
    site.faults = [Fault(stop=131_072, stall=True)]
    began = time.perf_counter()
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert time.perf_counter() - began < 0.9  # not the second for which the server holds the connection
    assert (tmp_path / "file.pt").read_bytes() == OLD
    assert site.ranges == [None, "bytes=131072-"]


def test_failures_count_only_while_nothing_comes(site: Site, tmp_path: Path) -> None:
    site.faults = [fault for _ in range(6) for fault in (Fault(status=500), Fault(stop=20_000))]
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == OLD


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=500), "answered 500"),
        (Fault(status=429), "answered 429"),
        (Fault(stop=98_304, whole=True), "the connection broke"),
        (Fault(stall=True, stop=0, whole=True), "nothing came for 0.3 s"),
        (Fault(length=400_000, whole=True), "the connection broke"),
    ],
    ids=["500", "429", "truncating", "stalling", "claiming more"],
)
def test_it_gives_up_in_the_end(site: Site, tmp_path: Path, fault: Fault, words: str) -> None:
    site.faults = [fault] * 20
    with pytest.raises(ModelError, match=f"{words}.*--from DIR"):
        fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert not (tmp_path / "file.pt").exists()
    assert len(site.asked) <= 1 + QUICK.tries


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_told_at_once(site: Site, tmp_path: Path, status: int) -> None:
    site.faults = [Fault(status=status)]
    with pytest.raises(ModelError, match=rf"answered {status}.*--from DIR"):
        fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert len(site.asked) == 1
    assert not (tmp_path / "file.pt").exists()


def test_a_file_that_changed_between_tries_starts_anew(site: Site, tmp_path: Path) -> None:
    site.faults = [Fault(stop=98_304), Fault(change=True, stop=147_456)]
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == NEW
    assert site.ranges == [None, "bytes=98304-", "bytes=147456-"]


def test_a_file_that_changed_between_runs_starts_anew(site: Site, tmp_path: Path) -> None:
    site.faults = [Fault(stop=98_304), Fault(status=404)]
    with pytest.raises(ModelError, match="404"):
        fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    site.data = NEW
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == NEW


@pytest.mark.parametrize(
    "fault",
    [
        Fault(change=True, careless=True),
        Fault(change=True, careless=True, headers=(("ETag", ""),)),
        Fault(shift=7),
        Fault(shift=-7),
        Fault(headers=(("Content-Range", ""),)),
        Fault(headers=(("Content-Range", "bytes 98304-299999/300001"),)),
        Fault(headers=(("Content-Encoding", "gzip"),)),
        Fault(status=416),
        Fault(whole=True),
    ],
    ids=[
        "another version",
        "another version, not named",
        "later bytes",
        "earlier bytes",
        "no range",
        "another size",
        "compressed",
        "not satisfiable",
        "Range ignored",
    ],
)
def test_a_wrong_continuation_is_not_put_together(site: Site, tmp_path: Path, fault: Fault) -> None:
    site.faults = [Fault(stop=98_304), fault]
    fetch(site.url, tmp_path / "file.pt", check=check_seal, retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == site.data
    assert only(tmp_path / "file.pt")


def test_a_part_of_another_address_is_not_used(site: Site, tmp_path: Path) -> None:
    site.faults = [Fault(stop=98_304), Fault(status=404)]
    with pytest.raises(ModelError, match="404"):
        fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    fetch(site.url.replace("file.pt", "other.pt"), tmp_path / "file.pt", retry=QUICK)
    assert site.ranges[-1] is None


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"url": 1}', '{"url": "u", "validator": "v", "total": "x"}']
)
def test_a_part_with_a_damaged_record_is_not_used(site: Site, tmp_path: Path, damage: str) -> None:
    (tmp_path / "file.pt.part").write_bytes(NEW[:1000])
    (tmp_path / "file.pt.part.json").write_text(damage)
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == OLD
    assert only(tmp_path / "file.pt")


def test_a_part_that_is_complete_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    record = {"url": site.url, "validator": site.version["ETag"], "total": len(OLD)}
    (tmp_path / "file.pt.part").write_bytes(OLD)
    (tmp_path / "file.pt.part.json").write_text(json.dumps(record))
    fetch(site.url, tmp_path / "file.pt", retry=QUICK)
    assert site.asked == []
    assert (tmp_path / "file.pt").read_bytes() == OLD


@pytest.mark.parametrize("length", [299_000, 300_001])
def test_a_part_that_cannot_be_right_is_replaced(site: Site, tmp_path: Path, length: int) -> None:
    """Bytes that are not those of the server, or more than it has."""
    record = {"url": site.url, "validator": site.version["ETag"], "total": len(OLD)}
    (tmp_path / "file.pt.part").write_bytes(bytes(length))
    (tmp_path / "file.pt.part.json").write_text(json.dumps(record))
    fetch(site.url, tmp_path / "file.pt", expected=of(OLD), retry=QUICK)
    assert (tmp_path / "file.pt").read_bytes() == OLD


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(change=True), "not the file that is expected"),
        (Fault(length=200_000), r"has 200,000 bytes and not 300,000"),
        (Fault(headers=(("Content-Length", ""),)), "without its length"),
        (Fault(headers=(("Content-Encoding", "gzip"),)), "compressed"),
    ],
)
def test_a_file_known_to_be_wrong_gets_no_name(site: Site, tmp_path: Path, fault: Fault, words: str) -> None:
    site.faults = [fault]
    with pytest.raises(ModelError, match=f"{words}.*--from DIR"):
        fetch(site.url, tmp_path / "file.pt", expected=of(OLD), retry=QUICK)
    assert len(site.asked) == 1
    assert not (tmp_path / "file.pt").exists()


def test_a_server_that_claims_less_is_found_out_by_the_check(site: Site, tmp_path: Path) -> None:
    site.faults = [Fault(length=200_000)]
    with pytest.raises(ModelError, match="the seal is broken"):
        fetch(site.url, tmp_path / "file.pt", check=check_seal, retry=QUICK)
    assert not any(path.name.startswith("file.pt") and path.suffix != ".lock" for path in tmp_path.iterdir())


faults = st.builds(
    Fault,
    status=st.sampled_from([0, 0, 0, 500, 404, 416]),
    stop=st.sampled_from([None, 0, 1, 65_536, 98_304]),
    whole=st.booleans(),
    careless=st.booleans(),
    shift=st.sampled_from([0, 0, 5, -5]),
    length=st.sampled_from([None, None, 1, 200_000, 400_000]),
    headers=st.sampled_from([(), (), (("ETag", ""),), (("Content-Range", ""),), (("Content-Length", ""),)]),
    change=st.booleans(),
)


@settings(max_examples=60)
@given(st.lists(faults, max_size=6))
def test_whatever_the_server_does_no_wrong_file_gets_the_name(
    site: Site, tmp_path: Path, wrong: list[Fault]
) -> None:
    shutil.rmtree(tmp_path)
    site.data, site.faults = OLD, wrong
    target = tmp_path / "file.pt"
    for _ in range(len(wrong) + 1):
        try:
            found = fetch(site.url, target, check=check_seal, retry=QUICK)
        except ModelError:
            assert not target.exists()
        else:
            assert target.read_bytes() in (OLD, NEW)
            assert found == digest(target)
            assert only(target)
            return
    pytest.fail("it was not fetched although the server gave it in the end")


# -- the network ---------------------------------------------------------------------------------------


def test_a_proxy_is_taken_from_the_environment(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url.removesuffix("/file.pt"))
    fetch("http://nowhere.invalid/file.pt", tmp_path / "file.pt", retry=QUICK)
    assert site.asked[0]["path"] == "http://nowhere.invalid/file.pt"
    assert (tmp_path / "file.pt").read_bytes() == OLD


def test_a_dead_proxy_is_named(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"the proxy cannot be reached.*HTTPS_PROXY.*--from DIR"):
        fetch("http://nowhere.invalid/file.pt", tmp_path / "file.pt", retry=QUICK)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/file.pt", "the connection broke"),
        ("http://nowhere.invalid/file.pt", "name cannot be looked up"),
        ("http:///file.pt", "cannot be fetched"),
        ("surprise://nowhere/file.pt", "cannot be fetched"),
    ],
)
def test_no_connection_is_told(site: Site, tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(ModelError, match=f"{words}.*--from DIR") as caught:
        fetch(url, tmp_path / "file.pt", retry=QUICK)
    assert "\n" not in str(caught.value)


def test_a_plain_server_behind_https_is_told_at_once(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="certificates"):
        fetch(site.url.replace("http:", "https:"), tmp_path / "file.pt", retry=QUICK)


# -- the disk ------------------------------------------------------------------------------------------


def test_a_full_disk_is_told_before_anything_is_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"needs 0.0 GB .* free: make room"):
        fetch(site.url, tmp_path / "file.pt", copies=2, retry=QUICK)
    assert not (tmp_path / "file.pt.part").exists()
    fetch(site.url, tmp_path / "file.pt", copies=1, retry=QUICK)


def test_a_folder_that_cannot_be_written_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        fetch(site.url, tmp_path / "folder" / "file.pt", retry=QUICK)


# -- several processes, and dying ----------------------------------------------------------------------


def start(site: Site, target: Path) -> subprocess.Popen[str]:
    code = (
        "import sys; from pathlib import Path; from glide_edit.models.fetch import fetch;"
        "fetch(sys.argv[1], Path(sys.argv[2]), report=lambda status: print(status.what, flush=True))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, site.url, str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def wait_for(path: Path, size: int) -> None:
    end = time.monotonic() + 120
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < end, f"{path} does not grow"
        time.sleep(0.005)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_what_a_stopped_process_fetched_is_used(site: Site, tmp_path: Path, stop: signal.Signals) -> None:
    target = tmp_path / "file.pt"
    site.pause = 0.05
    running = start(site, target)
    wait_for(tmp_path / "file.pt.part", 65_536)
    running.send_signal(stop)
    running.communicate()
    assert running.returncode != 0
    assert not target.exists()
    came = (tmp_path / "file.pt.part").stat().st_size
    assert 0 < came < len(OLD)
    site.pause = 0.0
    fetch(site.url, target, retry=QUICK)  # the lock of the dead is not in the way
    assert site.ranges == [None, f"bytes={came}-"]
    assert target.read_bytes() == OLD
    assert only(target)


def test_two_processes_fetch_once(site: Site, tmp_path: Path) -> None:
    site.pause = 0.05
    running = start(site, tmp_path / "file.pt")
    wait_for(tmp_path / "file.pt.part", 10_000)
    told: list[FetchStatus] = []
    assert fetch(site.url, tmp_path / "file.pt", report=told.append, retry=QUICK) == of(OLD)
    _, errors = running.communicate()
    assert running.returncode == 0, errors
    assert told == [FetchStatus("waiting for another process to finish", "file.pt")]
    assert len(site.asked) == 1


def test_a_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="surprise"), locked(tmp_path / "lock", "it"):
        raise ValueError("surprise")
    told: list[FetchStatus] = []
    with locked(tmp_path / "lock", "it", told.append):
        assert told == []
