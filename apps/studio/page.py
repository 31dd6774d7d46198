"""The page: its tabs, and what begins and ends with a visit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from apps.studio.api import Endpoints
from apps.studio.edit import EditTab
from apps.studio.generate import GenerateTab
from apps.studio.history import HistoryTab
from apps.studio.models_tab import ModelsTab
from apps.studio.panel import Studio
from apps.studio.photo_tabs import OutpaintTab, UpscaleTab, VaryTab
from apps.studio.sketch import SketchTab
from apps.studio.words import CAN_AND_CANNOT, FROM_CODE, KEYS

TITLE = "glide-edit studio"
OLDEST_FILE = 12 * 3600
"""Seconds; a visit's files go when it ends, and this catches what a page left that never said goodbye."""
LONGEST_QUEUE = 64


def build(studio: Studio, folder: Path) -> gr.Blocks:
    """The whole page; ``folder`` is where its endpoints write. ``serve`` gives it its looks."""
    edit, generate, sketch = EditTab(studio), GenerateTab(studio), SketchTab(studio)
    photo_tabs = (OutpaintTab(studio), VaryTab(studio), UpscaleTab(studio))
    with gr.Blocks(
        title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(600, OLDEST_FILE)
    ) as page:
        gr.HTML('<h1 class="ge-title">glide-edit <span>studio</span></h1>', elem_classes="ge-head")
        with gr.Tabs(elem_id="tabs", selected="edit") as tabs:
            with gr.Tab("Edit", id="edit"):
                edit.lay_out()
            with gr.Tab("Generate", id="generate"):
                generate.lay_out()
            with gr.Tab("Sketch", id="sketch"):
                sketch.lay_out()
            for each in photo_tabs:
                with gr.Tab(each.name.capitalize(), id=each.name):
                    each.lay_out()
            with gr.Tab("History", id="history") as tab:
                HistoryTab(studio, edit).lay_out(tab, tabs)
            with gr.Tab("Models", id="models") as tab:
                ModelsTab(studio).lay_out(tab)
            with gr.Tab("Help", id="help"):
                _lay_out_help()
        for panel in (edit.panel, generate.panel, sketch.panel, *(each.panel for each in photo_tabs)):
            edit.take_from(panel, tabs)
        Endpoints(studio, folder).lay_out()
        page.unload(_ending(studio))
    return page.queue(max_size=LONGEST_QUEUE)


def _lay_out_help() -> None:
    with gr.Row(elem_classes="ge-columns"):
        with gr.Column(elem_classes="ge-left ge-text", min_width=300):
            gr.Markdown(KEYS)
            gr.Markdown(f"### What the model can draw\n{CAN_AND_CANNOT}")
        with gr.Column(elem_classes="ge-right ge-text", min_width=300):
            gr.Markdown(FROM_CODE)


def _ending(studio: Studio) -> Callable[[gr.Request], None]:
    def end(request: gr.Request) -> None:
        studio.visits.end(request.session_hash)

    return end
