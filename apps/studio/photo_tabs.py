"""The tabs that take a photograph as a whole: Outpaint, Vary and Upscale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.examples import PHOTOS, examples_html, find
from apps.studio.fields import component, sentence, several_strengths
from apps.studio.panel import Panel
from apps.studio.run_handlers import RunHandlers
from apps.studio.sessions import Session
from apps.studio.shared import ON_PICK_JS, Studio, Updates
from apps.studio.uploads import read_upload
from glide_edit.errors import GlideEditError, InputError
from glide_edit.images import Picture
from glide_edit.requests import Outpaint, Request, Upscale, Vary


@dataclass(frozen=True)
class PhotoOperation:
    """What such a tab asks for; ``fields`` has settings of the components of its own fields."""

    request: type[Outpaint | Vary | Upscale]
    fields: dict[str, dict[str, Any]]
    hint: str
    label: str = "What it shows (may be left empty)"
    several: str = "Pictures"
    strengths: tuple[float, ...] = ()


OPERATIONS = {
    "outpaint": PhotoOperation(
        Outpaint,
        {"left": {}, "right": {"value": 128}, "top": {}, "bottom": {}, "aspect": {}},
        hint="The larger picture appears here. Your photograph is kept in it, to the pixel.",
        label="What lies beyond the sides (may be left empty)",
    ),
    "vary": PhotoOperation(
        Vary,
        {"strength": {"min_width": 160}},
        hint="Another picture like yours appears here.",
        several="Candidates",
        strengths=(0.7, 0.8, 0.87, 0.93),
    ),
    "upscale": PhotoOperation(
        Upscale, {"factor": {"label": "Larger by"}}, hint="The larger picture appears here."
    ),
}


class PhotoTab:
    """A photograph and a few fields on the left, the result on the right."""

    def __init__(self, studio: Studio, name: str) -> None:
        self.name = name
        self.operation = OPERATIONS[name]
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self.photo = gr.HTML(html.placeholder("Open a photograph, or take an example."))
                with gr.Row(elem_classes="ge-tools"):
                    file = gr.UploadButton(
                        "Open a photograph", size="sm", min_width=130, type="filepath", elem_id=f"{name}-open"
                    )
                    from_edit = gr.Button(
                        "Take the one from Edit", size="sm", min_width=130, elem_id=f"{name}-from-edit"
                    )
                with gr.Row(elem_classes="ge-tools"):
                    kind, own = self.operation.request, self.operation.fields
                    fields = {each: component(kind, each, name, **own[each]) for each in own}
                    if self.operation.strengths:
                        fields["several"] = several_strengths(name)
                self.message = gr.HTML(elem_id=f"{name}-words", elem_classes="ge-words")
                examples = gr.HTML(examples_html(PHOTOS), elem_id=f"{name}-examples", js_on_load=ON_PICK_JS)
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel = Panel(
                    studio,
                    name,
                    self.operation.hint,
                    label=self.operation.label,
                    several=self.operation.several,
                    own_fields=fields,
                )
        RunHandlers(studio, self.panel, self._build, strengths=self.operation.strengths)
        photo = [self.photo, self.message]
        studio.on(file.upload, self._upload, file, photo)
        studio.on(from_edit.click, self._from_edit, None, photo)
        studio.on_pick(examples.click, self._example, None, photo)

    def _build(self, session: Session, fields: dict[str, Any]) -> Request:
        photo = session.tab(self.name).photo
        if photo is None:
            raise InputError("Open a photograph first, or take an example.")
        return self.operation.request(image=photo, **fields)

    def _show(self, session: Session, picture: Picture, name: str) -> Updates:
        session.tab(self.name).photo = picture
        return {
            self.photo: html.single(picture, "The photograph"),
            self.message: html.photo_message(picture, name),
        }

    def _upload(self, session: Session, path: str | None) -> Updates:
        try:
            return self._show(session, *read_upload(path))
        except GlideEditError as error:
            return {self.message: html.message(sentence(error), "error")}

    def _from_edit(self, session: Session) -> Updates:
        if session.photo.current is None:
            return {self.message: html.message("There is no photograph in Edit yet.", "error")}
        return self._show(session, *session.photo.current)

    def _example(self, session: Session, file: str) -> Updates:
        example = find(PHOTOS, file)
        return gr.skip() if example is None else self._show(session, example.picture(), example.file)
