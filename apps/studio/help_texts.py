"""The words that the bundled model knows, as buttons under the prompt, and the texts of ``texts/``."""

from __future__ import annotations

from pathlib import Path

from apps.studio.html import escape
from glide_edit.toybox.world import COLOURS, GROUNDS, KINDS, LIGHTS

_LIGHT_WORDS = {"day": "in daylight", "sunset": "at sunset", "night": "at night"}


def text(name: str) -> str:
    return (Path(__file__).parent / "texts" / f"{name}.md").read_text(encoding="utf-8")


def chips(tab: str) -> str:
    """A line of words to press, in the order in which they are said: "a red ball on grass at sunset"."""
    groups = (
        [f"a {colour}" if colour[0] not in "aeiou" else f"an {colour}" for colour in COLOURS],
        list(KINDS),
        [f"on {ground}" if ground != "checkered floor" else "on a checkered floor" for ground in GROUNDS],
        [_LIGHT_WORDS[light] for light in LIGHTS],
    )
    rows = "".join(
        f'<span class="ge-words-group">{"".join(_chip(word, tab) for word in group)}</span>'
        for group in groups
    )
    return f'<div class="ge-chips" role="group" aria-label="Words this model knows">{rows}</div>'


def _chip(word: str, tab: str) -> str:
    return (
        f'<button type="button" class="ge-chip" data-field="{tab}-prompt" data-word="{escape(word)}">'
        f"{escape(word)}</button>"
    )
