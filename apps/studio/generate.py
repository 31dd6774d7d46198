"""The Generate tab: a picture from words alone."""

from __future__ import annotations

import gradio as gr

from apps.studio.examples import PROMPTS
from apps.studio.help_texts import text
from apps.studio.panel import Panel
from apps.studio.run_handlers import RunHandlers
from apps.studio.shared import UNQUEUED, Studio
from glide_edit.requests import Generate


class GenerateTab:
    """Example prompts on the left, the picture on the right."""

    def __init__(self, studio: Studio) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left ge-text", min_width=300):
                gr.Markdown("### Try one of these")
                examples = [gr.Button(prompt, elem_classes="ge-example", size="sm") for prompt in PROMPTS]
                gr.Markdown("### What to expect")
                gr.Markdown(text("capabilities"))
            with gr.Column(elem_classes="ge-right", min_width=300):
                hint = "The picture appears here, step by step."
                self.panel = Panel(studio, "generate", hint, label="What to draw", placeholder=PROMPTS[0])
        RunHandlers(studio, self.panel, lambda session, fields: Generate(**fields))
        for button, prompt in zip(examples, PROMPTS, strict=True):
            button.click(None, None, self.panel.prompt, js=f"() => {prompt!r}", **UNQUEUED)
