"""The studio as a person meets it: a server of its own, with a tiny random model, and a headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glide_edit.images import save_picture

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Without a GPU, gradio's canvas would keep a core busy by drawing itself 60 times a second.
SLOW_FRAMES = "window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 250);"
PATIENCE = 60_000
"""Milliseconds; only a machine that is busy with other work needs them."""


class Server:
    """`glide-edit app` on a port of its own, with further ``options``."""

    def __init__(self, model: Path, temporary: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.model, self.temporary, self.options = model, temporary, options
        self.said = temporary / "said.txt"
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "apps.cli.main", "app", "--no-browser", "--port", str(self.port)]
        environment = {**os.environ, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"}
        with open(self.said, "w", encoding="utf-8") as said:
            self.process = subprocess.Popen(
                [*command, "--model", str(self.model), *self.options],
                cwd=ROOT,
                env=environment,
                stdout=said,
            )
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert self.process.poll() is None, "the studio ended"
                time.sleep(0.2)
        raise AssertionError("the studio did not answer")

    def memory(self) -> int:
        """Bytes that the studio has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.glide_edit.operations.stand_ins import write_tiny

    return write_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("gradio", reason="the extra studio is not installed")
    running = Server(model, tmp_path_factory.mktemp("temporary"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium here: install one (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=FLAGS)
        # One for all tests, so that scripts are read once; each page that is opened is a visit of its own.
        yield browser.new_context(viewport={"width": 1280, "height": 800})
        browser.close()


@pytest.fixture
def visit(chromium: Any, server: Server) -> Iterator[Callable[[], Any]]:
    """Opens the studio as a visitor of its own; nothing it loads comes from elsewhere."""
    pages = []

    def open_page() -> Any:
        page = chromium.new_page()
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.add_init_script(SLOW_FRAMES)
        page.on(
            "request", lambda request: elsewhere.append(request.url) if is_elsewhere(request.url) else None
        )
        page.goto(server.url)
        page.wait_for_selector("#edit-run")
        return page

    elsewhere: list[str] = []

    def is_elsewhere(url: str) -> bool:
        return not url.startswith((server.url, "data:", "blob:"))

    yield open_page
    for page in pages:
        page.close()
    assert not elsewhere


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of noise, 200 wide and 140 high: whatever changes is seen."""
    pixels = np.random.default_rng(0).integers(0, 256, (140, 200, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    save_picture(pixels, path)
    return path
