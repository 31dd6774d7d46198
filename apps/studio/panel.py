"""The right half of every tab that makes pictures, with what its buttons do."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.panel_layout import PanelLayout
from apps.studio.run_handlers import MAX_NEW_SEED, BuildRequest, RunHandlers
from apps.studio.sessions import HistoryEntry, Session
from apps.studio.shared import UNQUEUED, Studio, Updates
from apps.studio.thumbnails import keep_button, strip_html


class Panel:
    """Run calls ``build(session, fields, *values of inputs)`` for the request.

    ``several`` is the label of the number of pictures. Candidates are drawn small and ranked, and the best is
    finished. ``strengths`` are for tabs with the field "several".
    """

    def __init__(
        self,
        studio: Studio,
        tab: str,
        build: BuildRequest,
        hint: str,
        *,
        label: str,
        placeholder: str = "",
        several: str = "Candidates",
        own_fields: dict[str, Any] | None = None,
        inputs: Sequence[Any] = (),
        strengths: Sequence[float] = (),
    ) -> None:
        self.tab = tab
        self.ui = ui = PanelLayout(tab, hint, label, placeholder, several, own_fields or {})
        self.runs = RunHandlers(studio, ui, strengths)
        self.runs.start_with(ui.run, build, inputs)
        # By the page itself: an answer of the server could come after that of the run's own end.
        ui.stop.click(None, None, ui.status, js=f"() => {html.message('Stopping…')!r}", **UNQUEUED)
        ui.stop.click(studio.handler(self.runs.stop), None, [ui.status, ui.run, ui.stop], **UNQUEUED)
        ui.new_seed.click(lambda: secrets.randbelow(MAX_NEW_SEED), None, ui.seed, **UNQUEUED)
        shown = [ui.status, ui.view, ui.strip, ui.keep]
        ui.strip.click(studio.pick_handler(self._pick), None, shown, **UNQUEUED)
        ui.keep.click(studio.handler(self._keep_or_remove), None, [ui.strip, ui.keep], **UNQUEUED)
        self.runs.finish_with(ui.strip)
        ui.download.wire(studio, self.viewed, ui.status)

    def viewed(self, session: Session) -> HistoryEntry | None:
        """The picture that is shown in this tab."""
        return session.find(session.viewed.get(self.tab))

    def _pick(self, session: Session, number: str) -> Updates:
        entry = session.find(number)
        return gr.skip() if entry is None else self.ui.entry_shown(session, entry)

    def _keep_or_remove(self, session: Session) -> Updates:
        entry, strip = self.viewed(session), session.strip(self.tab)
        if entry is None:
            return gr.skip()
        if entry.number in strip.kept:
            strip.kept.remove(entry.number)
        else:
            strip.keep(entry.number)
        return {self.ui.strip: strip_html(session, self.tab), self.ui.keep: keep_button(session, self.tab)}
