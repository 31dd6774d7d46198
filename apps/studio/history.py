"""The History tab: everything this visit has made; go back to it, branch from it, compare two."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.canvas import beside
from apps.studio.download import format_choice, saved
from apps.studio.edit import EditTab
from apps.studio.panel import PICK, QUIET, Studio, picked_number
from apps.studio.visits import Made, Visit
from glide_edit.requests import Inpaint

HERE = "history"
PINNED = "pinned"
EMPTY = "What you make gathers here until the page is closed: download what you want to keep."


class HistoryTab:
    """A strip of everything, and one of them large, beside another one where two are compared."""

    def __init__(self, studio: Studio, edit: EditTab) -> None:
        self.studio = studio
        self.edit = edit

    def lay_out(self, tab: gr.Tab, tabs: gr.Tabs) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self.strip = gr.HTML(html.nothing_yet(EMPTY), elem_id="history-strip", js_on_load=PICK)
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.about = gr.HTML(elem_id="history-about")
                self.view = gr.HTML(html.nothing_yet("Pick a picture."), elem_id="history-view")
                with gr.Row(elem_classes="ge-tools"):
                    further = gr.Button("Edit this", size="sm", elem_id="history-further")
                    back = gr.Button("Back to before it", size="sm", elem_id="history-back")
                    pin = gr.Button("Compare with…", size="sm", elem_id="history-pin")
                    download = gr.Button("Download", size="sm", elem_id="history-download")
                    file_format = format_choice("history-format")
                file = gr.DownloadButton("File", elem_id="history-file", elem_classes="ge-out-of-sight")
        shown = [self.strip, self.about, self.view]
        tab.select(self._shown, None, shown, **QUIET)
        self.strip.click(self._pick, None, shown, **QUIET)
        pin.click(self._pin, None, shown, **QUIET)
        taken, quiet = [*self.edit.photo_outputs(), tabs], beside(self.edit.words)
        further.click(self._further, self.edit.strokes.count, taken, **quiet)
        settings = [self.edit.panel.prompt, self.edit.panel.seed]
        back.click(self._back, self.edit.strokes.count, [*taken, *settings], **quiet)
        download.click(self._save, file_format, [self.about, file], **QUIET).success(
            None, None, None, js="() => document.querySelector('#history-file').click()", **QUIET
        )

    def _shown(self, request: gr.Request) -> tuple[Any, ...]:
        return self._all(self.studio.visit(request))

    def _all(self, visit: Visit) -> tuple[Any, ...]:
        if not visit.made:
            return html.nothing_yet(EMPTY), "", html.nothing_yet("Pick a picture.")
        made, pinned = self._picked(visit), visit.find(visit.picked.get(PINNED))
        strip = html.catalogue(visit.made[::-1], made, pinned)
        if made is None:
            return strip, "", html.nothing_yet("Pick a picture.")
        if pinned is None or pinned is made:
            asks = html.said("Now pick the one to compare it with.") if pinned is made else html.ended(made)
            return strip, asks, html.picture(made)
        says = f"Number {pinned.number} on the left, number {made.number} on the right."
        view = html.compare(pinned.picture, made.picture, f"number {pinned.number}", f"number {made.number}")
        return strip, html.said(says), view

    def _picked(self, visit: Visit) -> Made | None:
        return visit.find(visit.picked.get(HERE)) or (visit.made[-1] if visit.made else None)

    def _pick(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        number = picked_number(event)
        if number is not None and visit.find(number):
            visit.picked[HERE] = number
        return self._all(visit)

    def _pin(self, request: gr.Request) -> tuple[Any, ...]:
        """Hold on to this one to compare others with it; pressed again, let go of it."""
        visit = self.studio.visit(request)
        made = self._picked(visit)
        if PINNED in visit.picked:
            del visit.picked[PINNED]
        elif made is not None:
            visit.picked[PINNED] = visit.picked[HERE] = made.number
        return self._all(visit)

    def _further(self, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        return self.edit.taken(visit, self._picked(visit), strokes)

    def _back(self, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        """Branch: the photograph, the selection, the words and the seed that a picture was made from."""
        visit = self.studio.visit(request)
        made = self._picked(visit)
        asked = made.result.request if made else None
        if made is None or not isinstance(asked, Inpaint):
            return *self.edit.taken(visit, None, strokes), gr.skip(), gr.skip()
        visit.trail.go_on_with(asked.image, f"before-{made.number}.png")
        return (
            *self.edit.photo_shown(visit, strokes, asked.mask),
            gr.Tabs(selected="edit"),
            asked.prompt,
            made.seed,
        )

    def _save(self, chosen: str, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        return saved(visit, self._picked(visit), chosen)
