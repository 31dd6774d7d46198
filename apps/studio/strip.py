"""The strip under a tab's picture: what was kept, then the latest run's contact sheet, the best first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.studio.html import as_data, escaped, strength
from apps.studio.visits import Made, Visit
from glide_edit.results import Candidate


def strip(visit: Visit, tab: str, drawing: Sequence[Candidate] | None = None) -> str:
    """A button for each picture; empty where there is nothing to choose from.

    ``drawing`` are the candidates of a run that is on its way: shown, but not to be pressed yet.
    """
    shown, picked = visit.strip(tab), visit.picked.get(tab)
    made = [each for number in shown.made if (each := visit.find(number))]
    candidates = shown.drawn.candidates if drawing is None and shown.drawn else (drawing or ())
    finished = {each.seed: each for each in made if each.complete} if candidates else {}
    others = [each for each in made if each not in finished.values()]
    kept = [each for number in shown.kept if number not in shown.made and (each := visit.find(number))]
    parts = [_button(each, each.number == picked, is_kept=True) for each in kept]
    if kept and (candidates or others):
        parts.append('<span class="ge-divider" aria-hidden="true"></span>')
    for place, candidate in enumerate(candidates, 1):
        each = finished.get(candidate.seed)
        if each is None:
            parts.append(_draft(candidate, place, waits=drawing is not None))
        else:
            parts.append(_button(each, each.number == picked, str(place), is_kept=each.number in shown.kept))
    parts += [_button(each, each.number == picked, is_kept=each.number in shown.kept) for each in others]
    if len(parts) < 2 and not kept:
        return ""
    says = "The best first: press one to finish it." if candidates else ""
    return (
        f'<div class="ge-strip" role="group" aria-label="Candidates">{"".join(parts)}'
        f'<span class="ge-says">{says}</span></div>'
    )


def _button(made: Made, is_picked: bool, place: str = "", *, is_kept: bool) -> str:
    request = made.result.request
    says = f"{made.number}: {request.prompt or 'no words'}, seed {made.seed}{strength(request)}"
    if is_kept:
        says += ", kept"
    return _thumb(
        made.closeup,
        says,
        place,
        f'data-pick="{made.number}" aria-pressed="{str(is_picked).lower()}"',
        "ge-thumb ge-star" if is_kept else "ge-thumb",
    )


def _draft(candidate: Candidate, place: int, *, waits: bool) -> str:
    what = "disabled" if waits else f'data-finish="{candidate.seed}"'
    says = f"Draft {place}: {candidate.score}"
    return _thumb(
        as_data(np.concatenate(candidate.previews, axis=1)), says, str(place), what, "ge-thumb ge-draft"
    )


def _thumb(image: str, says: str, place: str, what: str, kind: str) -> str:
    badge = f'<span class="ge-place" aria-hidden="true">{place}</span>' if place else ""
    return (
        f'<button type="button" class="{kind}" {what} aria-label="{escaped(says)}" title="{escaped(says)}">'
        f'<img src="{image}" alt="">{badge}</button>'
    )
