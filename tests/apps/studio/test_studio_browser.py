"""The studio in a real browser: what a person does with mouse and keyboard, and what they get."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glide_edit.images import open_picture, read_text, save_picture
from glide_edit.recipes import RECIPE_KEY
from tests.apps.studio.conftest import Server

pytestmark = pytest.mark.browser

Visit = Callable[[], Any]


def open_photo(page: Any, photo: Path) -> None:
    page.set_input_files("#edit-drop input[type=file]", photo)
    page.wait_for_selector("#edit-canvas canvas", state="visible")
    page.wait_for_function("document.querySelector('#edit-words').innerText.includes('pixels')")
    page.wait_for_timeout(1000)  # the canvas draws the photograph after it is there


def paint(page: Any, canvas: str = "#edit-canvas", across: int = 60) -> None:
    """A stroke through the middle, with the mouse."""
    box = page.locator(f"{canvas} canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - across, y)
    page.mouse.down()
    for step in range(1, 5):
        page.mouse.move(x - across + step * across / 2, y + 8 * (step % 2))
    page.mouse.up()


def paint_selection(page: Any) -> None:
    paint(page)
    page.wait_for_function("document.querySelector('#edit-words').innerText.includes('is selected')")


def make_it_long(page: Any, name: str = "edit", count: int = 64, steps: int = 100) -> None:
    """A run of so many steps for each four candidates: long enough to be watched and to be stopped."""
    page.click(f"#{name}-more button")
    page.fill(f"#{name}-steps input", str(steps))
    page.fill(f"#{name}-upsampler-steps input", str(steps))
    page.fill(f"#{name}-count input", str(count))


def finish(page: Any, name: str = "edit") -> None:
    page.click(f"#{name}-run")
    page.wait_for_selector(f"#{name}-status .ge-good")
    page.wait_for_selector(f"#{name}-run", state="visible")


def generate(page: Any) -> None:
    go_to(page, "Generate")
    page.fill("#generate-prompt textarea", "a red ball")
    finish(page, "generate")


def download(page: Any, target: Path, name: str = "edit") -> Path:
    with page.expect_download() as waiting:
        page.click(f"#{name}-download")
    path = target / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def shown(page: Any, selector: str) -> str:
    text: str = page.inner_text(selector)
    return text


def go_to(page: Any, tab: str) -> None:
    """Open a tab. A click just after an answer was seen to be lost, and why is not known: in 18 tries after
    runs and undone edits it did not happen again (gradio 6.31).
    """
    button = page.get_by_role("tab", name=tab)
    for _ in range(10):
        button.click()
        page.wait_for_timeout(200)
        if button.get_attribute("aria-selected") == "true":
            return
    raise AssertionError(f"the tab {tab} does not open")


def test_an_edit_from_the_photograph_to_the_download(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    open_photo(page, photo)
    paint_selection(page)
    page.fill("#edit-prompt textarea", "a red ball")
    make_it_long(page, count=1, steps=50)
    page.evaluate("""() => { window.seen = new Set();
        new MutationObserver(() => {
            const view = document.querySelector('#edit-view .ge-preview');
            if (view) window.seen.add(view.dataset.step + view.querySelector('img').src.length);
        }).observe(
            document.querySelector('#edit-view'), {attributes: true, childList: true, subtree: true}
        ); }""")
    page.focus("#edit-prompt textarea")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#edit-view .ge-compare")
    assert page.evaluate("window.seen.size") > 2
    receipt = re.search(r"0 of ([\d,]+) pixels outside your selection changed", shown(page, "#edit-status"))
    assert receipt
    path = download(page, tmp_path)
    before, after = open_picture(photo).pixels, open_picture(path).pixels
    changed = (before != after).any(axis=2)
    outside = int(receipt[1].replace(",", ""))
    assert 50 < changed.sum() <= before.shape[0] * before.shape[1] - outside
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 70) < 25  # where the stroke was: the middle
    assert abs(columns.mean() - 100) < 25
    assert '"a red ball"' in read_text(path)[RECIPE_KEY]

    page.click("#edit-further")
    page.wait_for_selector("#edit-undo:enabled")
    page.click("#edit-undo")
    page.wait_for_selector("#edit-redo:enabled")
    assert "photo.png" in shown(page, "#edit-words")

    go_to(page, "History")
    page.wait_for_selector("#history-strip .ge-entry")
    assert "a red ball" in shown(page, "#history-strip")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_run_takes_the_last_stroke_and_leaves_the_canvas_alone(visit: Visit, photo: Path) -> None:
    page = visit()
    open_photo(page, photo)
    page.evaluate("""() => { window.reads = 0;
        const read = WebGL2RenderingContext.prototype.readPixels;
        WebGL2RenderingContext.prototype.readPixels = function (...given) {
            window.reads++;
            return read.apply(this, given);
        }; }""")
    paint_selection(page)
    share = shown(page, "#edit-words").split(" %")[0]
    paint(page, across=-25)
    paint(page, across=90)
    finish(page)  # at once: the strokes are not there yet
    assert page.evaluate("window.reads") > 0
    page.wait_for_function(f"!document.querySelector('#edit-words').innerText.startsWith('{share} %')")
    selected = re.search(r"\(([\d,]+) pixels\)", shown(page, "#edit-words"))
    outside = re.search(r"0 of ([\d,]+) pixels outside", shown(page, "#edit-status"))
    assert selected
    assert outside
    height, width = open_picture(photo).pixels.shape[:2]
    assert int(selected[1].replace(",", "")) + int(outside[1].replace(",", "")) == height * width
    page.evaluate("window.reads = 0")
    make_it_long(page, count=1, steps=50)
    finish(page)
    assert page.evaluate("window.reads") == 0


def test_stopping_keeps_what_there_was(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    open_photo(page, photo)
    paint_selection(page)
    make_it_long(page)
    page.click("#edit-run")
    page.wait_for_selector("#edit-view .ge-preview")
    page.focus("#edit-prompt textarea")
    page.keyboard.press("Escape")  # while typing: does nothing
    page.wait_for_timeout(300)
    assert "Stop" not in shown(page, "#edit-status")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    page.wait_for_function("document.querySelector('#edit-status').innerText.includes('Stopped')")
    assert "0 of" in shown(page, "#edit-status")
    page.wait_for_selector("#edit-run", state="visible")
    path = download(page, tmp_path)
    assert RECIPE_KEY not in read_text(path)
    page.fill("#edit-steps input", "2")
    page.fill("#edit-upsampler-steps input", "2")
    page.fill("#edit-count input", "1")
    finish(page)  # what was painted is still there


def test_candidates_and_comparing_two(visit: Visit, photo: Path) -> None:
    page = visit()
    open_photo(page, photo)
    paint_selection(page)
    page.fill("#edit-feather input", "6")
    page.fill("#edit-count input", "5")
    finish(page)
    strip = page.locator("#edit-strip .ge-thumb")
    assert strip.count() == 5
    assert page.locator("#edit-strip [data-pick]").count() == 1  # the best is finished, the others are drafts
    for made in (2, 3):
        draft = page.locator("#edit-strip [data-finish]").last
        seed = draft.get_attribute("data-finish")
        draft.click()
        page.wait_for_selector(f'#edit-strip [data-pick="{made}"]')
        assert f"seed {seed}," in shown(page, "#edit-status")
        page.wait_for_selector("#edit-view .ge-compare")
        page.wait_for_selector("#edit-run", state="visible")
    page.locator('#edit-strip [data-pick="2"]').click()
    page.locator("#edit-keep", has_text="Remove from the strip").click()
    page.locator("#edit-keep", has_text="Keep in the strip").wait_for()
    page.fill("#edit-count input", "1")
    finish(page)
    # On a busy machine the last run's end is still shown when this one is asked for.
    page.wait_for_function("document.querySelectorAll('#edit-strip .ge-thumb').length === 2")
    assert page.locator("#edit-strip .ge-star").get_attribute("data-pick") == "3"  # chosen, and not removed
    go_to(page, "History")
    page.locator("#history-strip .ge-entry").nth(0).click()
    page.click("#history-pin")
    page.wait_for_selector(".ge-pinned")
    page.locator("#history-strip .ge-entry").nth(3).click()
    page.wait_for_function(
        "document.querySelector('#history-about').innerText.includes('Number 4 on the left')"
    )
    page.click("#history-back")
    page.wait_for_selector("#edit-canvas canvas", state="visible")
    page.wait_for_function("document.querySelector('#edit-words').innerText.includes('before-1')")


def test_selecting_with_help_and_removing(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.click('#edit-examples [data-pick="grass.jpg"]')
    page.wait_for_selector("#edit-canvas canvas", state="visible")
    page.wait_for_timeout(1000)
    page.click("#edit-snap")
    page.wait_for_function("document.querySelector('#edit-words').innerText.includes('is selected')")
    snapped = shown(page, "#edit-words .ge-status")
    page.wait_for_timeout(500)  # the canvas takes the selection in
    page.click("#edit-invert")
    # What the mask doctor thinks of it; of the snapped selection it may have something to say too.
    page.wait_for_function("document.querySelector('#edit-words').innerText.includes('inverted')")
    page.wait_for_timeout(500)
    page.click("#edit-invert")
    page.get_by_text(snapped).wait_for()
    page.wait_for_timeout(500)
    page.click("#edit-remove")
    page.wait_for_selector("#edit-status .ge-good")
    assert "0 of" in shown(page, "#edit-status")
    page.get_by_label("Format of the download").first.click()
    page.get_by_role("option", name="JPEG").click()
    path = download(page, tmp_path)
    assert path.suffix == ".jpg"
    assert '"remove"' in read_text(path)[RECIPE_KEY]


def test_a_larger_a_varied_and_an_enlarged_picture(visit: Visit, photo: Path, tmp_path: Path) -> None:
    page = visit()
    sizes = {"outpaint": (64, 80), "vary": (64, 64), "upscale": (128, 128)}
    small = save_picture(open_picture(photo).pixels[:64, :64], tmp_path / "small.png")
    for name, size in sizes.items():
        go_to(page, name.capitalize())
        page.click(f"#{name}-run")
        page.wait_for_selector(f"#{name}-status .ge-error")  # no photograph: one sentence, and on it goes
        with page.expect_file_chooser() as chooser:
            page.click(f"#{name}-open")
        chooser.value.set_files(small)
        page.wait_for_function(f"document.querySelector('#{name}-words').innerText.includes('64 x 64')")
        if name == "outpaint":
            page.fill("#outpaint-right input", "16")
        if name == "vary":
            page.check("#vary-several input")
        finish(page, name)
        assert open_picture(download(page, tmp_path, name)).pixels.shape[:2] == size
    assert page.locator("#vary-strip .ge-thumb").count() == 4


def test_a_sketch_drawn_with_the_mouse(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    go_to(page, "Sketch")
    page.wait_for_selector("#sketch-canvas canvas", state="visible")
    page.wait_for_timeout(1500)
    page.click("#sketch-run")
    page.wait_for_selector("#sketch-status .ge-error")  # an empty sheet: one sentence, and on it goes
    paint(page, "#sketch-canvas")
    page.fill("#sketch-prompt textarea", "a red ball")
    finish(page, "sketch")
    path = download(page, tmp_path, "sketch")
    assert open_picture(path).pixels.shape == (64, 64, 3)


def test_generating_from_an_example(visit: Visit) -> None:
    page = visit()
    go_to(page, "Generate")
    page.click("#generate-run")
    page.wait_for_function(
        "document.querySelector('#generate-status').innerText.includes('The prompt is empty')"
    )
    page.locator(".ge-example").first.click()
    finish(page, "generate")
    go_to(page, "Edit")
    page.click('#edit-examples [data-pick="cup.jpg"]')
    page.wait_for_selector("#edit-canvas canvas", state="visible")


def test_a_wrong_and_a_huge_file(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    (tmp_path / "notes.txt").write_text("not a picture")
    page.set_input_files("#edit-drop input[type=file]", tmp_path / "notes.txt")
    page.wait_for_selector("#edit-words .ge-error")
    assert shown(page, "#edit-words").startswith("Notes.txt is not a PNG")
    with open(tmp_path / "huge.png", "wb") as huge:
        huge.truncate(65 * 2**20)
    page.set_input_files("#edit-drop input[type=file]", tmp_path / "huge.png")
    page.get_by_text(re.compile("exceeds|too large|more than", re.IGNORECASE)).first.wait_for()


def test_two_visitors_do_not_see_each_other(visit: Visit, photo: Path) -> None:
    first, second = visit(), visit()
    open_photo(first, photo)
    generate(first)
    second.click("#edit-run")
    second.wait_for_selector("#edit-status .ge-error")
    go_to(second, "History")
    second.wait_for_timeout(500)
    assert second.locator("#history-strip .ge-entry").count() == 0


def test_a_page_that_closes_frees_the_queue(visit: Visit) -> None:
    first, second = visit(), visit()
    go_to(first, "Generate")
    first.fill("#generate-prompt textarea", "a red ball")
    make_it_long(first, "generate")
    first.click("#generate-run")
    first.wait_for_selector("#generate-view .ge-preview")
    first.close()
    generate(second)


def test_killed_and_started_again(visit: Visit, server: Server, photo: Path) -> None:
    page = visit()
    open_photo(page, photo)
    server.kill()
    left = list(server.temporary.glob("glide-edit-studio-*"))
    assert len(left) == 1
    server.start()
    assert left[0] not in server.temporary.glob("glide-edit-studio-*")
    page.reload()
    page.wait_for_selector("#edit-run")
    open_photo(page, photo)
    generate(page)
