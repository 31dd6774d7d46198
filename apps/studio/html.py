"""What the page shows between its controls, as HTML. Pictures lie in it as data: no file is written."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apps.studio.visits import Made
from glide_edit.images import Picture
from glide_edit.pipeline import previews
from glide_edit.pipeline.previews import scaled_down
from glide_edit.requests import Outpaint, Request, Sketch, Upscale, Vary
from glide_edit.results import Progress, Receipt
from masks import Mask

LONGEST_SHOWN = 1024
"""Pixels of the longer side of a result as it is shown; the download has them all."""
LONGEST_ENLARGED = 2048
"""The same of an enlargement, which is looked at closely."""
LONGEST_THUMBNAIL = 160


def escaped(text: str) -> str:
    """Text that a person typed, safe between tags, in attributes and from the page's own templates."""
    return html.escape(text).replace("{", "&#123;").replace("$", "&#36;").replace("}", "&#125;")


def as_data(pixels: NDArray[np.uint8], quality: int = 88) -> str:
    """uint8 (H, W, 3) as the address of a JPEG that holds itself."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def thumbnail(picture: Picture) -> str:
    return as_data(scaled_down(picture, LONGEST_THUMBNAIL)[0], quality=80)


def closeup(made: Picture, allowed: Mask | None) -> str:
    """Of an edit what was edited; of what is new all of it."""
    if allowed is None or allowed.size != (made.height, made.width):
        return thumbnail(made)
    return as_data(previews.closeup(made, allowed, LONGEST_THUMBNAIL), quality=80)


def nothing_yet(hint: str) -> str:
    return f'<div class="ge-view ge-empty"><p>{escaped(hint)}</p></div>'


def preview(pixels: NDArray[np.uint8], progress: Progress) -> str:
    says = f"Preview, step {progress.step} of {progress.total} of the {progress.stage}"
    return (
        f'<div class="ge-view ge-preview" data-step="{progress.stage} {progress.step}">'
        f'<img src="{as_data(pixels, 80)}" alt="{escaped(says)}"></div>'
    )


def picture(made: Made) -> str:
    """A result: with a slider between before and after where it has a before, which for an enlargement is a
    plain one."""
    after, request = made.picture, made.result.request
    source = request.source
    if source is None or (not made.complete and isinstance(request, Upscale)):
        return f'<div class="ge-view"><img src="{_shown(after)}" alt="The result"></div>'
    if isinstance(request, Upscale):
        large, _ = scaled_down(after, LONGEST_ENLARGED)
        plain = previews.enlarged_plainly(source, (large.shape[0], large.shape[1]))
        return _compare(plain, large, "Enlarged plainly", "By the model")
    if made.result.allowed is None or source.pixels.shape != after.pixels.shape:
        return f'<div class="ge-view"><img src="{_shown(after)}" alt="The result"></div>'
    return compare(source, after, "Before", "After")


def photograph(picture: Picture) -> str:
    return f'<div class="ge-view"><img src="{_shown(picture)}" alt="The photograph"></div>'


def compare(first: Picture, second: Picture, left: str, right: str) -> str:
    """Two pictures over each other, with a slider between them and a button to look closer."""
    before, after = (scaled_down(each, LONGEST_SHOWN)[0] for each in (first, second))
    return _compare(before, after, left, right)


def _compare(first: NDArray[np.uint8], second: NDArray[np.uint8], left: str, right: str) -> str:
    ratio = second.shape[1] / second.shape[0]
    return (
        f'<div class="ge-view"><div class="ge-compare" style="--at: 50%; --ratio: {ratio:.4f}">'
        f'<img src="{as_data(second)}" alt="{escaped(right)}">'
        f'<div class="ge-before"><img src="{as_data(first)}" alt="{escaped(left)}"></div>'
        '<span class="ge-line" aria-hidden="true"></span>'
        f'<span class="ge-tag ge-left" aria-hidden="true">{escaped(left)}</span>'
        f'<span class="ge-tag ge-right" aria-hidden="true">{escaped(right)}</span>'
        '<input type="range" min="0" max="100" value="50" step="0.5" '
        f'aria-label="Slide between {escaped(left)} and {escaped(right)}" '
        "oninput=\"this.parentElement.style.setProperty('--at', this.value + '%')\"></div>"
        '<button type="button" class="ge-closer" aria-pressed="false" '
        'title="Look closer, pixel for pixel or larger, where the mouse is">Closer</button></div>'
    )


def strength(request: Request) -> str:
    return f", strength {request.strength:g}" if isinstance(request, Sketch | Vary) else ""


def working(progress: Progress, left: float | None, request: Request) -> str:
    """The line under the prompt while a run is on its way."""
    share = 100 * progress.step / progress.total
    says = f"{progress.stage}: step {progress.step} of {progress.total}"
    if request.candidates is not None:
        drawn = len(progress.candidates)
        waits = drawn < request.candidates
        says += f", {drawn} of {request.candidates} candidates drawn" if waits else ", finishing the best"
    elif request.n > 1:
        says += f", {progress.finished} of {request.n} pictures done"
    if left is not None:
        says += f", about {max(1, round(left))} s left"
    return (
        f'<div class="ge-status" role="status"><span class="ge-bar" style="--share: {share:.0f}%"></span>'
        f"<span>{escaped(says)}</span></div>"
    )


def said(text: str, kind: str = "plain") -> str:
    """A sentence; ``kind`` is plain, good, warning or error."""
    role = "alert" if kind == "error" else "status"
    return f'<div class="ge-status ge-{kind}" role="{role}">{escaped(text)}</div>' if text else ""


def receipt(receipt: Receipt | None, where: str = "outside your selection") -> str:
    """The receipt in words."""
    if receipt is None:
        return ""
    p = receipt.preservation
    mark = "kept" if receipt.kept else "broken"
    text = f"{p.changed:,} of {p.outside:,} pixels {where} changed"
    return f'<span class="ge-receipt ge-{mark}" title="Every pixel outside was compared">{text}</span>'


def _shown(picture: Picture) -> str:
    return as_data(scaled_down(picture, LONGEST_SHOWN)[0])


def ended(made: Made) -> str:
    """What there is to say of a result: its receipt, how long it took, what the user should know."""
    result = made.result
    where = "of your photograph" if isinstance(result.request, Outpaint) else "outside your selection"
    parts = [receipt(made.receipt, where), *(f"<span>{escaped(note)}</span>" for note in result.notes)]
    parts.append(f"<span>seed {made.seed}{strength(result.request)}, {result.seconds:.1f} s</span>")
    kind = "good" if made.complete else "plain"
    return f'<div class="ge-status ge-{kind}" role="status">{" ".join(part for part in parts if part)}</div>'


def downloaded(name: str, proof: Receipt | None, missing: str | None) -> str:
    """What was written, with the receipt of the file as it was read back, and what it has no room for."""
    checked = f" {receipt(proof)}, in the file read back." if proof is not None else ""
    lacks = f" <span>{escaped(missing)}</span>" if missing else ""
    return f'<div class="ge-status ge-good" role="status"><span>{escaped(name)}.</span>{checked}{lacks}</div>'


def catalogue(made: list[Made], picked: Made | None, pinned: Made | None) -> str:
    """The history: a line for each picture, with its words and its seed."""
    lines = "".join(_line(each, each is picked, each is pinned) for each in made)
    return f'<div class="ge-catalogue" role="group" aria-label="History">{lines}</div>'


def _line(made: Made, is_picked: bool, is_pinned: bool) -> str:
    request = made.result.request
    words = escaped(request.prompt or "no words")
    marks = " ge-pinned" if is_pinned else ""
    state = "" if made.complete else ", stopped"
    return (
        f'<button type="button" class="ge-entry{marks}" data-pick="{made.number}" '
        f'aria-pressed="{str(is_picked).lower()}"><img src="{made.thumbnail}" alt="">'
        f"<span><b>{made.number}. {words}</b><br>{request.operation}, seed {made.seed}{state}</span></button>"
    )
