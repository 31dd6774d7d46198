"""The components of the right half of a tab: prompt, seed, Run and Stop, the picture, and more settings."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.studio import help_texts, html
from apps.studio.download import Download
from apps.studio.fields import component
from apps.studio.sessions import HistoryEntry, Session
from apps.studio.shared import ON_PICK_JS, Updates
from apps.studio.thumbnails import KEEP, keep_button, strip_html


class PanelLayout:
    """Created top to bottom. ``fields`` are the components of the request's fields, ``own_fields`` of the tab
    among them; ``several`` is the label of the number of pictures."""

    def __init__(
        self, tab: str, hint: str, label: str, placeholder: str, several: str, own_fields: dict[str, Any]
    ) -> None:
        self.tab = tab
        self.fields = dict(own_fields)
        self.prompt = self._field("prompt", label=label, placeholder=placeholder)
        gr.HTML(help_texts.chips(tab), elem_classes="ge-plain", js_on_load=help_texts.ON_CHIP_JS)
        with gr.Row(elem_classes="ge-tools"):
            self.seed = self._field("seed")
            self.new_seed = gr.Button("New seed", size="sm", min_width=80, elem_id=f"{tab}-dice")
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

    def _lay_out_more_settings(self) -> None:
        with gr.Accordion("More settings", open=False, elem_classes="ge-more", elem_id=f"{self.tab}-more"):
            self._field("negative_prompt")
            with gr.Row(elem_classes="ge-tools"):
                for name in ("steps", "upsampler_steps", "guidance", "sampler"):
                    self._field(name)
            gr.HTML('<p class="ge-note">What is left empty is the model\'s own choice.</p>')

    def _field(self, name: str, **settings: Any) -> Any:
        self.fields[name] = component(name, self.tab, **settings)
        return self.fields[name]

    def run_buttons(self, *, is_running: bool) -> Updates:
        """Show Stop while something runs or waits, else Run."""
        return {self.run: gr.Button(visible=not is_running), self.stop: gr.Button(visible=is_running)}

    def entry_shown(self, session: Session, entry: HistoryEntry) -> Updates:
        """Show a picture, with its receipt and its place in the strip."""
        session.viewed[self.tab] = entry.number
        return {
            self.status: html.result_message(entry),
            self.view: html.result(entry),
            self.strip: strip_html(session, self.tab),
            self.keep: keep_button(session, self.tab),
        }
