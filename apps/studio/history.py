"""The History tab: everything this session has made; go back to it, branch from it, compare two."""

from __future__ import annotations

import gradio as gr

from apps.studio import html
from apps.studio.download import Download
from apps.studio.edit import EditTab
from apps.studio.sessions import HistoryEntry, Session
from apps.studio.shared import ON_PICK_JS, Studio, Updates
from glide_edit.requests import Inpaint

TAB = "history"
EMPTY = "What you make is listed here until the page is closed: download what you want to keep."
PICK = "Pick a picture."


class HistoryTab:
    """A list of all pictures, and one of them large, or two under a slider."""

    def __init__(self, studio: Studio, edit: EditTab, tab: gr.Tab) -> None:
        self.edit = edit
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self.list = gr.HTML(html.placeholder(EMPTY), elem_id="history-strip", js_on_load=ON_PICK_JS)
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.message = gr.HTML(elem_id="history-about")
                self.view = gr.HTML(html.placeholder(PICK), elem_id="history-view")
                with gr.Row(elem_classes="ge-tools"):
                    further = gr.Button("Edit this", size="sm", elem_id="history-further")
                    back = gr.Button("Back to before it", size="sm", elem_id="history-back")
                    pin = gr.Button("Compare with…", size="sm", elem_id="history-pin")
                    download = Download(TAB)
                download.lay_out_file()
        shown = [self.list, self.message, self.view]
        studio.on(tab.select, self._show, None, shown)
        studio.on_pick(self.list.click, self._pick, None, shown)
        studio.on(pin.click, self._pin, None, shown)
        edit.add_source(further, _viewed)
        outputs = [*edit.photo_outputs, edit.tabs, edit.panel.prompt, edit.panel.seed]
        strokes = edit.strokes.count
        studio.on(back.click, self._go_back, strokes, outputs, show_progress_on=edit.message)
        download.wire(studio, _viewed, self.message)

    def _show(self, session: Session) -> tuple[str, str, str]:
        entry, pinned = _viewed(session), session.find(session.pinned)
        if entry is None:
            return html.placeholder(EMPTY), "", html.placeholder(PICK)
        entries = html.history_list(session.history[::-1], entry, pinned)
        if pinned is entry:
            return entries, html.message("Now pick the one to compare it with."), html.result(entry)
        if pinned is None:
            return entries, html.result_message(entry), html.result(entry)
        text = f"Number {pinned.number} on the left, number {entry.number} on the right."
        names = f"number {pinned.number}", f"number {entry.number}"
        return entries, html.message(text), html.compare(pinned.picture, entry.picture, *names)

    def _pick(self, session: Session, number: str) -> tuple[str, str, str]:
        entry = session.find(number)
        if entry is not None:
            session.tab(TAB).viewed = entry.number
        return self._show(session)

    def _pin(self, session: Session) -> tuple[str, str, str]:
        """Pin the picture, to compare others with it; pressed again, unpin it."""
        entry = _viewed(session)
        if session.pinned is not None:
            session.pinned = None
        elif entry is not None:
            session.pinned = session.tab(TAB).viewed = entry.number
        return self._show(session)

    def _go_back(self, session: Session, strokes: int) -> Updates:
        """Back to the photograph, the selection, the prompt and the seed that a picture was made from."""
        entry = _viewed(session)
        request = entry.result.request if entry else None
        if entry is None or not isinstance(request, Inpaint):
            return self.edit.continue_with(session, None, strokes)
        session.photo.push(request.image, f"before-{entry.number}.png")
        return {
            **self.edit.photo_updates(session, strokes, request.mask),
            self.edit.tabs: gr.Tabs(selected="edit"),
            self.edit.panel.prompt: request.prompt,
            self.edit.panel.seed: entry.seed,
        }


def _viewed(session: Session) -> HistoryEntry | None:
    """The picture that is shown in this tab: the one that was picked, else the latest."""
    return session.find(session.tab(TAB).viewed) or (session.history[-1] if session.history else None)
