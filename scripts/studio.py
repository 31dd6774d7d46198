"""Make the studio's pictures, and measure it in a browser.

scripts/studio examples        what the studio begins with: apps/studio/examples
scripts/studio screenshots     each tab at 1280 x 800 and 390 x 844, light and dark: docs/studio
scripts/studio times           how long a page, a stroke and an edit take in Chromium, without a GPU
"""

from __future__ import annotations

import io
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from glide_edit import open_picture, save_picture
from glide_edit.toybox import Scene, render, sample_scene

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "apps" / "studio" / "examples"
SCREENSHOTS = ROOT / "docs" / "studio"
SIZE = 512
WINDOWS: dict[str, Any] = {
    "desk": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SLOW_FRAMES = "window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 100);"
"""Without a GPU, gradio's canvas would keep a core busy by drawing itself 60 times a second."""
TIMEOUT = 240_000
"""Milliseconds that a run may take on a busy machine."""
PREPARED: dict[str, dict[str, str | None]] = {
    "generate": {"#generate-prompt textarea": "a yellow house on grass at sunset"},
    "sketch": {'#sketch-examples [data-pick="house.png"]': None},
    "outpaint": {'#outpaint-examples [data-pick="grass.jpg"]': None},
    "vary": {
        '#vary-examples [data-pick="grass.jpg"]': None,
        "#vary-prompt textarea": "a house on grass",
        "#vary-several input": None,
    },
    "upscale": {'#upscale-examples [data-pick="snow.jpg"]': None},
}
"""What to click (None) or to fill in on a tab before its run."""


def make_examples() -> None:
    """The photograph of docs/examples, two toybox scenes and three drawings of single toys."""
    EXAMPLES.mkdir(exist_ok=True)
    photo = open_picture(ROOT / "docs" / "examples" / "photo.jpg")
    save_picture(photo, EXAMPLES / "cup.jpg", force=True, quality=88)
    for name, kind, ground in (("grass", "house", "grass"), ("snow", "tree", "snow")):
        picture = render(_single(kind, ground), SIZE).image
        save_picture(picture, EXAMPLES / f"{name}.jpg", force=True, quality=88)
    for kind in ("house", "tree", "car"):
        drawing = render(_single(kind), SIZE).drawing
        save_picture(drawing, EXAMPLES / f"{kind}.png", force=True)


def _single(kind: str, ground: str | None = None) -> Scene:
    """The first scene in daylight with one large toy of that kind, on that ground where one is asked for."""
    for seed in range(100_000):
        scene = sample_scene(seed)
        toy = scene.toys[0]
        fits = len(scene.toys) == 1 and toy.kind == kind and toy.size == "large" and scene.light == "day"
        if fits and ground in (None, scene.ground):
            return scene
    raise SystemExit(f"no scene with a {kind}")


def make_screenshots() -> None:
    """Each tab after it has been used, with the model that ships."""
    SCREENSHOTS.mkdir(exist_ok=True)
    with _opened() as (browser, address):
        for theme in THEMES:
            page = browser.new_page(viewport=WINDOWS["desk"], color_scheme=theme)
            page.set_default_timeout(TIMEOUT)
            page.add_init_script(SLOW_FRAMES)
            page.goto(address)
            _walk(page, theme)
            page.close()


def measure(runs: int = 5) -> None:
    """Print seconds, by the page's own clock: a photograph of 600 x 400, edited with detail."""
    began = time.monotonic()
    with _opened() as (browser, address):
        page = browser.new_page(viewport=WINDOWS["desk"])
        page.goto(address)
        page.wait_for_selector("#edit-run", state="visible")
        print(f"usable page, from the start of the command   {time.monotonic() - began:.2f}")
        page.click('#edit-examples [data-pick="cup.jpg"]')
        page.wait_for_selector("#edit-canvas canvas")
        page.wait_for_timeout(2000)
        page.fill("#edit-prompt textarea", "a red ball")
        page.evaluate(CLOCK)
        taken = []
        for run in range(runs):
            described = _painted(page, 10 * run)
            page.click("#edit-run")
            page.wait_for_function("clock.ended")
            pressed, *times = page.evaluate("[clock.pressed, clock.previewed, clock.ended]")
            taken.append([described, *((time - pressed) / 1000 for time in times)])
            page.wait_for_selector("#edit-run", state="visible")
        measured = (
            "selection described, from the end of a stroke",
            "first preview, from a press on Run",
            "finished, from a press on Run",
        )
        for what, seconds in zip(measured, zip(*taken, strict=True), strict=True):
            print(f"{what:<52} {statistics.median(seconds):.2f}   (", *(f"{s:.2f}" for s in seconds), ")")


CLOCK = """() => {
    window.clock = {};
    document.addEventListener('click', (event) => {
        if (event.target.closest('#edit-run')) window.clock = {pressed: performance.now()};
    }, true);
    new MutationObserver(() => {
        const seen = (key, selector) => {
            if (!clock[key] && document.querySelector(selector)) clock[key] = performance.now();
        };
        seen('previewed', '#edit-view .ge-preview');
        if (clock.previewed) seen('ended', '#edit-view .ge-compare');
    }).observe(document.body, {childList: true, subtree: true, attributes: true});
}"""


def _painted(page: Page, down: int) -> float:
    """Paint a stroke, and return the seconds until the studio describes the selection."""
    box = page.locator("#edit-canvas canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + down
    before = page.inner_text("#edit-words")
    page.mouse.move(x - 40, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=8)
    page.mouse.up()
    began = time.monotonic()
    page.wait_for_function("before => document.querySelector('#edit-words').innerText !== before", arg=before)
    return time.monotonic() - began


@contextmanager
def _opened() -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of a running studio."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "apps.cli.main", "app", "--no-browser", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        with sync_playwright() as playwright:
            found = next(path for name in CHROMIUM if (path := shutil.which(name)))
            yield playwright.chromium.launch(executable_path=found, args=QUIET), address
    finally:
        server.terminate()
        server.wait()


def _walk(page: Page, theme: str) -> None:
    """Use every tab once, and take screenshots of it."""
    page.wait_for_selector("#edit-examples button")
    _take(page, "start", theme)
    page.click('#edit-examples [data-pick="cup.jpg"]')
    page.wait_for_selector("#edit-canvas canvas")
    page.fill("#edit-count input", "6")
    _run(page, "edit")
    _take(page, "edit", theme)
    for tab, prepare in PREPARED.items():
        page.get_by_role("tab", name=tab.capitalize()).click()
        for selector, value in prepare.items():
            page.click(selector) if value is None else page.fill(selector, value)
        _run(page, tab)
        _take(page, tab, theme)
    for tab in ("history", "models", "help"):
        page.get_by_role("tab", name=tab.capitalize()).click()
        page.wait_for_timeout(1500)
        _take(page, tab, theme)


def _run(page: Page, tab: str) -> None:
    page.wait_for_timeout(1500)  # the canvas settles
    page.click(f"#{tab}-run")
    page.wait_for_selector(f"#{tab}-stop", state="visible")
    page.wait_for_selector(f"#{tab}-run", state="visible")
    page.wait_for_selector(f"#{tab}-status .ge-good")


def _take(page: Page, name: str, theme: str) -> None:
    """NAME-WINDOW-THEME.webp for both windows."""
    for window in WINDOWS:
        page.set_viewport_size(WINDOWS[window])
        page.wait_for_timeout(1000)  # the canvas takes its new size
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        shot.save(SCREENSHOTS / f"{name}-{window}-{theme}.webp", quality=82, method=6)
    page.set_viewport_size(WINDOWS["desk"])


if __name__ == "__main__":
    made = {"examples": make_examples, "screenshots": make_screenshots, "times": measure}
    made.get(" ".join(sys.argv[1:]), lambda: sys.exit(__doc__))()
