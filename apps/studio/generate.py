"""The Generate tab: a picture from words alone."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.studio.examples import PROMPTS
from apps.studio.panel import QUIET, Panel, Studio
from apps.studio.visits import Visit
from apps.studio.words import CAN_AND_CANNOT
from glide_edit.requests import Generate, Request


class GenerateTab:
    """Words on the left, the picture on the right."""

    def __init__(self, studio: Studio) -> None:
        self.panel = Panel(studio, "generate", self._build, "The picture appears here, step by step.")

    def lay_out(self) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left ge-text", min_width=300):
                gr.Markdown("### Try one of these")
                examples = [gr.Button(prompt, elem_classes="ge-example", size="sm") for prompt in PROMPTS]
                gr.Markdown("### What to expect")
                gr.Markdown(CAN_AND_CANNOT)
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel.lay_out("What to draw", PROMPTS[0])
        for button, prompt in zip(examples, PROMPTS, strict=True):
            button.click(None, None, self.panel.prompt, js=f"() => {prompt!r}", **QUIET)
        self.panel.wire([])

    def _build(self, visit: Visit, settings: dict[str, Any]) -> Request:
        return Generate(**settings)
