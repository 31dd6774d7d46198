"""The strip under a tab's picture: what was kept, then the latest run's contact sheet, the best first."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
import numpy as np

from apps.studio.html import data_url, escape, strength_text
from apps.studio.sessions import HistoryEntry, Session
from glide_edit.results import Candidate

KEEP, REMOVE = "Keep in the strip", "Remove from the strip"


def keep_button(session: Session, tab: str) -> gr.Button:
    """The button that keeps the picture that is shown, or removes it from the strip."""
    return gr.Button(REMOVE if session.tab(tab).viewed in session.tab(tab).kept else KEEP)


def strip_html(session: Session, tab: str, unfinished: Sequence[Candidate] | None = None) -> str:
    """A button for each picture; empty where there is nothing to choose from.

    ``unfinished`` are the candidates of a run that is not over: they are shown, but cannot be pressed.
    """
    strip = session.tab(tab)
    latest = [entry for number in strip.latest if (entry := session.find(number))]
    candidates = strip.drafts.candidates if unfinished is None and strip.drafts else (unfinished or ())
    finished = {entry.seed: entry for entry in latest if entry.complete} if candidates else {}
    others = [entry for entry in latest if entry not in finished.values()]
    kept = [entry for number in strip.kept if number not in strip.latest and (entry := session.find(number))]

    def button(entry: HistoryEntry, place: str = "") -> str:
        request, is_kept = entry.result.request, entry.number in strip.kept
        title = f"{entry.number}: {request.prompt or 'no words'}, seed {entry.seed}{strength_text(request)}"
        pressed = str(entry.number == strip.viewed).lower()
        return _thumbnail(
            entry.closeup,
            f"{title}, kept" if is_kept else title,
            place,
            f'data-pick="{entry.number}" aria-pressed="{pressed}"',
            "ge-thumb ge-star" if is_kept else "ge-thumb",
        )

    parts = [button(entry) for entry in kept]
    if kept and (candidates or others):
        parts.append('<span class="ge-divider" aria-hidden="true"></span>')
    for place, candidate in enumerate(candidates, 1):
        entry = finished.get(candidate.seed)
        is_waiting = unfinished is not None
        parts.append(_draft(candidate, place, is_waiting) if entry is None else button(entry, str(place)))
    parts += [button(entry) for entry in others]
    if len(parts) < 2 and not kept:
        return ""
    hint = "The best first: press one to finish it." if candidates else ""
    return (
        f'<div class="ge-strip" role="group" aria-label="Candidates">{"".join(parts)}'
        f'<span class="ge-says">{hint}</span></div>'
    )


def _draft(candidate: Candidate, place: int, is_waiting: bool) -> str:
    attribute = "disabled" if is_waiting else f'data-finish="{candidate.seed}"'
    image = data_url(np.concatenate(candidate.previews, axis=1))
    return _thumbnail(image, f"Draft {place}: {candidate.score}", str(place), attribute, "ge-thumb ge-draft")


def _thumbnail(image: str, title: str, place: str, attributes: str, classes: str) -> str:
    badge = f'<span class="ge-place" aria-hidden="true">{place}</span>' if place else ""
    return (
        f'<button type="button" class="{classes}" {attributes} aria-label="{escape(title)}" '
        f'title="{escape(title)}"><img src="{image}" alt="">{badge}</button>'
    )
