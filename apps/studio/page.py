"""The page: its tabs, and what begins and ends with a visit."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from apps.studio.edit import EditTab
from apps.studio.panel import Studio

TITLE = "glide-edit studio"


def build(studio: Studio) -> gr.Blocks:
    """The whole page; ``serve`` gives it its looks."""
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False) as page:
        gr.HTML('<h1 class="ge-title">glide-edit <span>studio</span></h1>', elem_classes="ge-head")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Edit", id="edit"):
                EditTab(studio).lay_out()
        page.unload(_ending(studio))
    return page


def _ending(studio: Studio) -> Callable[[gr.Request], None]:
    def end(request: gr.Request) -> None:
        studio.visits.end(request.session_hash)

    return end
