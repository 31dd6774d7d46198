"""The Models tab: choose one, see what is loaded and on what, unload."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.fields import sentence
from apps.studio.panel import QUIET, Studio
from apps.studio.shelf import Shelf
from glide_edit.errors import GlideEditError
from glide_edit.models import list_models

GET_GLIDE = (
    "OpenAI's released GLIDE knows far more of the world. `glide-edit models fetch glide` downloads it once "
    "(7 GB); then it appears here. A model folder of your own: `glide-edit app --model FOLDER`."
)


class ModelsTab:
    """What there is, and which of it this page uses."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def lay_out(self, tab: gr.Tab) -> None:
        shelf = self.studio.shelf
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                choice = gr.Radio(
                    shelf.offered, value=shelf.first, label="This page uses", elem_id="models-choice"
                )
                with gr.Row(elem_classes="ge-tools"):
                    load = gr.Button("Load now", size="sm", elem_id="models-load")
                    unload = gr.Button("Unload", size="sm", elem_id="models-unload")
                says = gr.HTML(elem_id="models-status")
                gr.Markdown(GET_GLIDE)
            with gr.Column(elem_classes="ge-right", min_width=300):
                table = gr.HTML(shelf_html(shelf), elem_id="models-table")
        tab.select(lambda: shelf_html(shelf), None, table, **QUIET)
        choice.change(self._choose, choice, says, **QUIET)
        load.click(self._load, choice, [says, table], **{**QUIET, "queue": True, "show_progress": "minimal"})
        unload.click(self._unload, choice, [says, table], **QUIET)

    def _choose(self, name: str, request: gr.Request) -> str:
        if name not in self.studio.shelf.offered:
            return html.said("This model is not here.", "error")
        self.studio.visit(request).model = name
        return html.said(f"The next run on this page uses {name}; a run that is on its way is not touched.")

    def _load(self, name: str) -> tuple[Any, ...]:
        try:
            editor = self.studio.shelf.editor(name)
        except GlideEditError as error:
            return html.said(sentence(error), "error"), shelf_html(self.studio.shelf)
        says = f"{name} is loaded on {editor.runtime.reason}."
        return html.said(says, "good"), shelf_html(self.studio.shelf)

    def _unload(self, name: str) -> tuple[Any, ...]:
        self.studio.shelf.unload(name)
        says = f"{name} is unloaded; it loads again when it is next needed."
        return html.said(says), shelf_html(self.studio.shelf)


def shelf_html(shelf: Shelf) -> str:
    """A table of the models: what they are, and what is loaded on what."""
    known = {info.name: info for info in list_models()}
    rows = []
    for name in dict.fromkeys([*shelf.offered, *known]):
        info = known.get(name)
        about = info.about if info else "the model folder that the studio was started with"
        size = f"{sum(info.parameters.values()) / 1e6:.1f} M" if info and info.available else "–"
        cells = (name, about, size, _state(shelf, name))
        rows.append("".join(f"<td>{html.escaped(cell)}</td>" for cell in cells))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    head = "<tr><th>Model</th><th>What it is</th><th>Parameters</th><th>State</th></tr>"
    return f'<table class="ge-table"><thead>{head}</thead><tbody>{body}</tbody></table>'


def _state(shelf: Shelf, name: str) -> str:
    runtime = shelf.runtime(name)
    if runtime is None:
        return "here, not loaded" if name in shelf.offered else "not here"
    dtype = str(runtime.dtype).removeprefix("torch.")
    return f"loaded on {runtime.device}, {dtype} ({runtime.reason})"
