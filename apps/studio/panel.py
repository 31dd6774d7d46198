"""The right half of every tab that makes pictures: prompt, seed, Run and Stop, the picture, more settings."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.download import Download
from apps.studio.fields import component
from apps.studio.help_texts import chips
from apps.studio.sessions import HistoryEntry, Session
from apps.studio.shared import ON_PICK_JS, UNQUEUED, Studio, Updates
from apps.studio.thumbnails import KEEP, keep_button, strip_html
from glide_edit.requests import Request

MAX_NEW_SEED = 1_000_000
"""New seeds are short enough to read aloud."""


def new_seed() -> int:
    return secrets.randbelow(MAX_NEW_SEED)


class Panel:
    """Its components, and what they do once there are pictures; ``RunHandlers`` makes those.

    ``fields`` are the components of the request's fields, the tab's ``own_fields`` among them. ``several`` is
    the label of the number of pictures: candidates are drawn small and ranked, and the best is finished.
    """

    def __init__(
        self,
        studio: Studio,
        tab: str,
        hint: str,
        *,
        label: str,
        placeholder: str = "",
        several: str = "Candidates",
        own_fields: dict[str, Any] | None = None,
    ) -> None:
        self.tab = tab
        self.fields = dict(own_fields or {})
        self.prompt = self._field("prompt", label=label, placeholder=placeholder)
        gr.HTML(chips(tab), elem_classes="ge-plain")
        with gr.Row(elem_classes="ge-tools"):
            self.seed = self._field("seed")
            dice = gr.Button("New seed", size="sm", min_width=80, elem_id=f"{tab}-dice")
            self.keep_seed = gr.Checkbox(
                True, label="Keep it", elem_classes="ge-check", elem_id=f"{tab}-lock", container=False
            )
            self._field("n", label=several)
            self.run = gr.Button("Run", variant="primary", elem_id=f"{tab}-run", elem_classes="ge-run")
            self.stop = gr.Button(
                "Stop", variant="stop", visible=False, elem_id=f"{tab}-stop", elem_classes="ge-stop"
            )
        self.status = gr.HTML(elem_id=f"{tab}-status", elem_classes="ge-status-box")
        self.view = gr.HTML(html.placeholder(hint), elem_id=f"{tab}-view")
        self.strip = gr.HTML(elem_id=f"{tab}-strip", js_on_load=ON_PICK_JS)
        with gr.Row(elem_classes="ge-tools", visible=False) as self.actions:
            self.edit_further = gr.Button("Edit this further", size="sm", elem_id=f"{tab}-further")
            self.keep = gr.Button(KEEP, size="sm", elem_id=f"{tab}-keep")
            self.download = Download(tab)
        self.download.lay_out_file()
        self._lay_out_more_settings()
        dice.click(new_seed, None, self.seed, **UNQUEUED)
        studio.on_pick(self.strip.click, self._pick, None, [self.status, self.view, self.strip, self.keep])
        studio.on(self.keep.click, self._keep_or_remove, None, [self.strip, self.keep])
        self.download.wire(studio, self.viewed, self.status)

    def _lay_out_more_settings(self) -> None:
        with gr.Accordion("More settings", open=False, elem_classes="ge-more", elem_id=f"{self.tab}-more"):
            self._field("negative_prompt")
            with gr.Row(elem_classes="ge-tools"):
                for name in ("steps", "upsampler_steps", "guidance", "sampler"):
                    self._field(name)
            gr.HTML('<p class="ge-note">What is left empty is the model\'s own choice.</p>')

    def _field(self, name: str, **settings: Any) -> Any:
        self.fields[name] = component(Request, name, self.tab, **settings)
        return self.fields[name]

    def viewed(self, session: Session) -> HistoryEntry | None:
        """The picture that is shown in this tab."""
        return session.find(session.tab(self.tab).viewed)

    def run_buttons(self, *, is_running: bool) -> Updates:
        """Show Stop while something runs or waits, else Run."""
        return {self.run: gr.Button(visible=not is_running), self.stop: gr.Button(visible=is_running)}

    def entry_shown(self, session: Session, entry: HistoryEntry) -> Updates:
        """Show a picture, with its receipt and its place in the strip."""
        session.tab(self.tab).viewed = entry.number
        return {
            self.status: html.result_message(entry),
            self.view: html.result(entry),
            self.strip: strip_html(session, self.tab),
            self.keep: keep_button(session, self.tab),
        }

    def _pick(self, session: Session, number: str) -> Updates:
        entry = session.find(number)
        return gr.skip() if entry is None else self.entry_shown(session, entry)

    def _keep_or_remove(self, session: Session) -> Updates:
        entry, strip = self.viewed(session), session.tab(self.tab)
        if entry is None:
            return gr.skip()
        if entry.number in strip.kept:
            strip.kept.remove(entry.number)
        else:
            strip.keep(entry.number)
        return {self.strip: strip_html(session, self.tab), self.keep: keep_button(session, self.tab)}
