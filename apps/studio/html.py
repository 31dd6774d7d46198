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
from glide_edit.operations.previews import scaled_down
from glide_edit.requests import Outpaint, Request, Sketch, Vary
from glide_edit.results import Progress, Receipt

LONGEST_SHOWN = 1024
"""Pixels of the longer side of a result as it is shown; the download has them all."""
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


def nothing_yet(hint: str) -> str:
    return f'<div class="ge-view ge-empty"><p>{escaped(hint)}</p></div>'


def preview(pixels: NDArray[np.uint8], progress: Progress) -> str:
    says = f"Preview, step {progress.step} of {progress.total} of the {progress.stage}"
    return (
        f'<div class="ge-view ge-preview" data-step="{progress.stage} {progress.step}">'
        f'<img src="{as_data(pixels, 80)}" alt="{escaped(says)}"></div>'
    )


def picture(made: Made) -> str:
    """A result: with a slider between before and after where it has a before of its own size."""
    after, source = made.picture, made.result.request.source
    if made.result.allowed is None or source is None or source.pixels.shape != after.pixels.shape:
        return f'<div class="ge-view"><img src="{_shown(after)}" alt="The result"></div>'
    return compare(source, after, "Before", "After")


def photograph(picture: Picture) -> str:
    return f'<div class="ge-view"><img src="{_shown(picture)}" alt="The photograph"></div>'


def compare(first: Picture, second: Picture, left: str, right: str) -> str:
    """Two pictures of one shape over each other, with a slider between them."""
    return (
        '<div class="ge-view"><div class="ge-compare" style="--at: 50%">'
        f'<img src="{_shown(second)}" alt="{escaped(right)}">'
        f'<img class="ge-before" src="{_shown(first)}" alt="{escaped(left)}">'
        '<span class="ge-line" aria-hidden="true"></span>'
        f'<span class="ge-tag ge-left" aria-hidden="true">{escaped(left)}</span>'
        f'<span class="ge-tag ge-right" aria-hidden="true">{escaped(right)}</span>'
        '<input type="range" min="0" max="100" value="50" step="0.5" '
        f'aria-label="Slide between {escaped(left)} and {escaped(right)}" '
        "oninput=\"this.parentElement.style.setProperty('--at', this.value + '%')\">"
        "</div></div>"
    )


def strip(made: list[Made], picked: int | None, label: str) -> str:
    """The contact sheet: a button for each picture."""
    if not made:
        return ""
    buttons = "".join(_button(each, each.number == picked) for each in made)
    return f'<div class="ge-strip" role="group" aria-label="{escaped(label)}">{buttons}</div>'


def _button(made: Made, is_picked: bool) -> str:
    request = made.result.request
    says = escaped(f"{made.number}: {request.prompt or 'no words'}, seed {made.seed}{_strength(request)}")
    pressed = str(is_picked).lower()
    return (
        f'<button type="button" class="ge-thumb" data-pick="{made.number}" aria-pressed="{pressed}" '
        f'aria-label="{says}" title="{says}"><img src="{made.thumbnail}" alt=""></button>'
    )


def _strength(request: Request) -> str:
    return f", strength {request.strength:g}" if isinstance(request, Sketch | Vary) else ""


def working(progress: Progress, left: float | None, n: int) -> str:
    """The line under the prompt while a run is on its way."""
    share = 100 * progress.step / progress.total
    says = f"{progress.stage}: step {progress.step} of {progress.total}"
    if n > 1:
        says += f", {progress.finished} of {n} pictures done"
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
    parts.append(f"<span>seed {made.seed}{_strength(result.request)}, {result.seconds:.1f} s</span>")
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
