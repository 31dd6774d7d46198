"""The page: its tabs and its looks, and what happens when it is closed."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from apps.studio.api import add_endpoints
from apps.studio.edit import EditTab
from apps.studio.generate import GenerateTab
from apps.studio.help_texts import text
from apps.studio.history import HistoryTab
from apps.studio.models_tab import ModelsTab
from apps.studio.photo_tabs import OPERATIONS, PhotoTab
from apps.studio.shared import Studio
from apps.studio.sketch import SketchTab

TITLE = "glide-edit studio"
MAX_FILE_AGE = 12 * 3600
"""Seconds; a session's files go when it is closed, and this catches those of pages that never reported it."""
MAX_QUEUE = 64


def build_page(studio: Studio, folder: Path) -> gr.Blocks:
    """The whole page; ``folder`` is where its endpoints write. ``serve`` adds theme, style and script."""
    with gr.Blocks(
        title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(600, MAX_FILE_AGE)
    ) as page:
        gr.HTML('<h1 class="ge-title">glide-edit <span>studio</span></h1>', elem_classes="ge-head")
        with gr.Tabs(elem_id="tabs", selected="edit") as tabs:
            with gr.Tab("Edit", id="edit"):
                edit = EditTab(studio, tabs)
            panels = [edit.panel]
            with gr.Tab("Generate", id="generate"):
                panels.append(GenerateTab(studio).panel)
            with gr.Tab("Sketch", id="sketch"):
                panels.append(SketchTab(studio).panel)
            for name in OPERATIONS:
                with gr.Tab(name.capitalize(), id=name):
                    panels.append(PhotoTab(studio, name).panel)
            with gr.Tab("History", id="history") as tab:
                HistoryTab(studio, edit, tab)
            with gr.Tab("Models", id="models") as tab:
                ModelsTab(studio, tab)
            with gr.Tab("Help", id="help"):
                _lay_out_help()
        for panel in panels:
            edit.add_source(panel.edit_further, panel.viewed)
        add_endpoints(studio, folder)

        def close(request: gr.Request) -> None:
            studio.sessions.close(request.session_hash)

        page.unload(close)
    return page.queue(max_size=MAX_QUEUE)


def theme() -> gr.themes.Base:
    """Compact, with one accent colour, for light and dark; system fonts, so that nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
        font=["system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def _lay_out_help() -> None:
    with gr.Row(elem_classes="ge-columns"):
        with gr.Column(elem_classes="ge-left ge-text", min_width=300):
            gr.Markdown(text("steps"))
            gr.Markdown(f"### What the model can draw\n{text('capabilities')}")
        with gr.Column(elem_classes="ge-right ge-text", min_width=300):
            gr.Markdown(text("from_code"))
