"""What the page shows between its controls, as HTML. Pictures are in it as data URLs: no file is written."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apps.studio.sessions import HistoryEntry
from glide_edit.images import Picture
from glide_edit.pipeline import previews
from glide_edit.pipeline.previews import scaled_down
from glide_edit.requests import Outpaint, Request, Sketch, Upscale, Vary
from glide_edit.results import Progress, Receipt
from masks import Mask

RESULT_SIDE = 1024
"""Pixels of the longer side of a result as it is shown; the download has them all."""
ENLARGED_SIDE = 2048
"""The same of an enlargement, which is looked at closely."""
THUMBNAIL_SIDE = 160


def escape(text: str) -> str:
    """Text that a person typed, safe between tags, in attributes and in gradio's templates."""
    return html.escape(text).replace("{", "&#123;").replace("$", "&#36;").replace("}", "&#125;")


def data_url(pixels: NDArray[np.uint8], quality: int = 88) -> str:
    """uint8 (H, W, 3) as a JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def thumbnail(picture: Picture) -> str:
    return data_url(scaled_down(picture, THUMBNAIL_SIDE)[0], quality=80)


def closeup(picture: Picture, allowed: Mask | None) -> str:
    """A thumbnail of what was edited, or of everything where all is new."""
    if allowed is None or allowed.size != (picture.height, picture.width):
        return thumbnail(picture)
    return data_url(previews.closeup(picture, allowed, THUMBNAIL_SIDE), quality=80)


def placeholder(hint: str) -> str:
    return f'<div class="ge-view ge-empty"><p>{escape(hint)}</p></div>'


def preview(pixels: NDArray[np.uint8], progress: Progress) -> str:
    alt = f"Preview, step {progress.step} of {progress.total} of the {progress.stage}"
    return (
        f'<div class="ge-view ge-preview" data-step="{progress.stage} {progress.step}">'
        f'<img src="{data_url(pixels, 80)}" alt="{escape(alt)}"></div>'
    )


def single(picture: Picture, alt: str) -> str:
    """One picture alone."""
    return (
        f'<div class="ge-view"><img src="{data_url(scaled_down(picture, RESULT_SIDE)[0])}" alt="{alt}"></div>'
    )


def result(entry: HistoryEntry) -> str:
    """A result, under a slider with the picture before it; an enlargement, with a plain one."""
    after, request = entry.picture, entry.result.request
    source, is_upscale = request.source, isinstance(request, Upscale)
    if source is not None and is_upscale and entry.complete:
        large, _ = scaled_down(after, ENLARGED_SIDE)
        plain = previews.enlarged_plainly(source, (large.shape[0], large.shape[1]))
        return _slider(plain, large, "Enlarged plainly", "By the model")
    if (
        source is None
        or is_upscale
        or entry.result.allowed is None
        or source.pixels.shape != after.pixels.shape
    ):
        return single(after, "The result")
    return compare(source, after, "Before", "After")


def compare(first: Picture, second: Picture, left: str, right: str) -> str:
    """Two pictures over each other, with a slider between them and a button to look closer."""
    return _slider(scaled_down(first, RESULT_SIDE)[0], scaled_down(second, RESULT_SIDE)[0], left, right)


def _slider(first: NDArray[np.uint8], second: NDArray[np.uint8], left: str, right: str) -> str:
    ratio = second.shape[1] / second.shape[0]
    return (
        f'<div class="ge-view"><div class="ge-compare" style="--at: 50%; --ratio: {ratio:.4f}">'
        f'<img src="{data_url(second)}" alt="{escape(right)}">'
        f'<div class="ge-before"><img src="{data_url(first)}" alt="{escape(left)}"></div>'
        '<span class="ge-line" aria-hidden="true"></span>'
        f'<span class="ge-tag ge-left" aria-hidden="true">{escape(left)}</span>'
        f'<span class="ge-tag ge-right" aria-hidden="true">{escape(right)}</span>'
        '<input type="range" min="0" max="100" value="50" step="0.5" '
        f'aria-label="Slide between {escape(left)} and {escape(right)}" '
        "oninput=\"this.parentElement.style.setProperty('--at', this.value + '%')\"></div>"
        '<button type="button" class="ge-closer" aria-pressed="false" '
        'title="Look closer, pixel for pixel or larger, where the mouse is">Closer</button></div>'
    )


def strength_text(request: Request) -> str:
    return f", strength {request.strength:g}" if isinstance(request, Sketch | Vary) else ""


def _status(content: str, kind: str = "plain", role: str = "status") -> str:
    return f'<div class="ge-status ge-{kind}" role="{role}">{content}</div>'


def message(text: str, kind: str = "plain") -> str:
    """A sentence; ``kind`` is plain, good, warning or error."""
    return _status(escape(text), kind, "alert" if kind == "error" else "status") if text else ""


def photo_message(picture: Picture, name: str) -> str:
    return message(f"{name}: {picture.width} x {picture.height} pixels, {picture.bit_depth} bits")


def progress_message(progress: Progress, seconds_left: float | None, request: Request) -> str:
    """The line under the prompt during a run."""
    share = 100 * progress.step / progress.total
    text = f"{progress.stage}: step {progress.step} of {progress.total}"
    if request.candidates is not None:
        drawn = len(progress.candidates)
        is_drawing = drawn < request.candidates
        text += (
            f", {drawn} of {request.candidates} candidates drawn" if is_drawing else ", finishing the best"
        )
    elif request.n > 1:
        text += f", {progress.finished} of {request.n} pictures done"
    if seconds_left is not None:
        text += f", about {max(1, round(seconds_left))} s left"
    return (
        f'<div class="ge-status" role="status"><span class="ge-bar" style="--share: {share:.0f}%"></span>'
        f"<span>{escape(text)}</span></div>"
    )


def result_message(entry: HistoryEntry) -> str:
    """A result's receipt, notes, seed and time."""
    run = entry.result
    where = "of your photograph" if isinstance(run.request, Outpaint) else "outside your selection"
    seed = f"seed {entry.seed}{strength_text(run.request)}, {run.seconds:.1f} s"
    parts = [_receipt(entry.receipt, where), *(_span(note) for note in run.notes), f"<span>{seed}</span>"]
    return _status(" ".join(part for part in parts if part), "good" if entry.complete else "plain")


def download_message(name: str, receipt: Receipt | None, missing: str | None) -> str:
    """What was written, with the receipt of the file as read back, and what the format has no room for."""
    checked = f" {_receipt(receipt)}, in the file read back." if receipt is not None else ""
    return _status(f"{_span(name + '.')}{checked}{' ' + _span(missing) if missing else ''}", "good")


def _receipt(receipt: Receipt | None, where: str = "outside your selection") -> str:
    if receipt is None:
        return ""
    p = receipt.preservation
    state = "kept" if receipt.kept else "broken"
    text = f"{p.changed:,} of {p.outside:,} pixels {where} changed"
    return f'<span class="ge-receipt ge-{state}" title="Every pixel outside was compared">{text}</span>'


def _span(text: str) -> str:
    return f"<span>{escape(text)}</span>"


def history_list(
    entries: list[HistoryEntry], viewed: HistoryEntry | None, pinned: HistoryEntry | None
) -> str:
    """A line for each picture, with its prompt and its seed."""
    lines = "".join(_history_line(each, each is viewed, each is pinned) for each in entries)
    return f'<div class="ge-catalogue" role="group" aria-label="History">{lines}</div>'


def _history_line(entry: HistoryEntry, is_viewed: bool, is_pinned: bool) -> str:
    request = entry.result.request
    prompt = escape(request.prompt or "no words")
    state = "" if entry.complete else ", stopped"
    return (
        f'<button type="button" class="ge-entry{" ge-pinned" if is_pinned else ""}" '
        f'data-pick="{entry.number}" aria-pressed="{str(is_viewed).lower()}">'
        f'<img src="{entry.thumbnail}" alt=""><span><b>{entry.number}. {prompt}</b><br>'
        f"{request.operation}, seed {entry.seed}{state}</span></button>"
    )
