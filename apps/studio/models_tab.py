"""The Models tab: choose a model, see which are loaded and where they run, unload them."""

from __future__ import annotations

import gradio as gr

from apps.studio import html
from apps.studio.fields import sentence
from apps.studio.loaded_models import LoadedModels
from apps.studio.sessions import Session
from apps.studio.shared import UNQUEUED, Studio
from glide_edit.errors import GlideEditError
from glide_edit.models import list_models

GET_GLIDE = (
    "OpenAI's released GLIDE knows far more of the world. `glide-edit models fetch glide` downloads it once "
    "(7 GB); then it appears here. A model folder of your own: `glide-edit app --model FOLDER`."
)


class ModelsTab:
    """The models that are available, and the one that this page uses."""

    def __init__(self, studio: Studio, tab: gr.Tab) -> None:
        self.models = models = studio.models
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                choice = gr.Radio(
                    models.available, value=models.default, label="This page uses", elem_id="models-choice"
                )
                with gr.Row(elem_classes="ge-tools"):
                    load = gr.Button("Load now", size="sm", elem_id="models-load")
                    unload = gr.Button("Unload", size="sm", elem_id="models-unload")
                message = gr.HTML(elem_id="models-status")
                gr.Markdown(GET_GLIDE)
            with gr.Column(elem_classes="ge-right", min_width=300):
                table = gr.HTML(models_html(models), elem_id="models-table")
        tab.select(lambda: models_html(models), None, table, **UNQUEUED)
        studio.on(choice.change, self._choose, choice, message)
        queued = {**UNQUEUED, "queue": True, "show_progress": "minimal"}
        load.click(self._load, choice, [message, table], **queued)
        unload.click(self._unload, choice, [message, table], **UNQUEUED)

    def _choose(self, session: Session, name: str) -> str:
        if name not in self.models.available:
            return html.message("This model is not here.", "error")
        session.model = name
        return html.message(f"The next run on this page uses {name}; a run that has started is not affected.")

    def _load(self, name: str) -> tuple[str, str]:
        try:
            editor = self.models.editor(name)
        except GlideEditError as error:
            return html.message(sentence(error), "error"), models_html(self.models)
        text = f"{name} is loaded on {editor.runtime.reason}."
        return html.message(text, "good"), models_html(self.models)

    def _unload(self, name: str) -> tuple[str, str]:
        self.models.unload(name)
        text = f"{name} is unloaded; it loads again when it is next needed."
        return html.message(text), models_html(self.models)


def models_html(models: LoadedModels) -> str:
    """A table of the models, with the device and precision of those that are loaded."""
    known = {info.name: info for info in list_models()}
    rows = []
    for name in dict.fromkeys([*models.available, *known]):
        info = known.get(name)
        about = info.about if info else "the model folder that the studio was started with"
        size = f"{sum(info.parameters.values()) / 1e6:.1f} M" if info and info.available else "–"
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in (name, about, size, _state(models, name)))
        rows.append(f"<tr>{cells}</tr>")
    head = "<tr><th>Model</th><th>What it is</th><th>Parameters</th><th>State</th></tr>"
    return f'<table class="ge-table"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _state(models: LoadedModels, name: str) -> str:
    runtime = models.runtime(name)
    if runtime is None:
        return "here, not loaded" if name in models.available else "not here"
    dtype = str(runtime.dtype).removeprefix("torch.")
    return f"loaded on {runtime.device}, {dtype} ({runtime.reason})"
