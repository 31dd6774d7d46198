"""The tabs that take a photograph as a whole: Outpaint, Vary and Upscale."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import gradio as gr

from apps.studio import html
from apps.studio.examples import PHOTOS, examples_html, find, picked_name
from apps.studio.fields import sentence
from apps.studio.panel import PICK, QUIET, Panel, Studio
from apps.studio.uploads import opened
from apps.studio.visits import Visit
from glide_edit.errors import GlideEditError, InputError
from glide_edit.images import Picture
from glide_edit.operations.strengths import over_strengths
from glide_edit.requests import FACTORS, Outpaint, Request, Upscale, Vary

AS_IT_IS = "as it is"
ASPECTS = (AS_IT_IS, "1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16")
VARY_STRENGTHS = (0.7, 0.8, 0.87, 0.93)


class PhotoTab(ABC):
    """A photograph and a few fields on the left, what comes of it on the right."""

    name: ClassVar[str]
    hint: ClassVar[str]
    asks: ClassVar[str] = "What it shows (may be left empty)"
    count: ClassVar[str] = "Pictures"

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.panel = Panel(studio, self.name, self._checked, self.hint, self.count)

    def lay_out(self) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self.shown = gr.HTML(html.nothing_yet("Open a photograph, or take an example."))
                with gr.Row(elem_classes="ge-tools"):
                    self.file = gr.UploadButton(
                        "Open a photograph",
                        size="sm",
                        min_width=130,
                        type="filepath",
                        elem_id=f"{self.name}-open",
                    )
                    self.from_edit = gr.Button(
                        "Take the one from Edit", size="sm", min_width=130, elem_id=f"{self.name}-from-edit"
                    )
                with gr.Row(elem_classes="ge-tools"):
                    fields = self._lay_out_fields()
                self.words = gr.HTML(elem_id=f"{self.name}-words", elem_classes="ge-words")
                examples = gr.HTML(examples_html(PHOTOS), elem_id=f"{self.name}-examples", js_on_load=PICK)
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel.lay_out(self.asks)
        photo = [self.shown, self.words]
        self.file.upload(self._opened, self.file, photo, **QUIET)
        self.from_edit.click(self._from_edit, None, photo, **QUIET)
        examples.click(self._example, None, photo, **QUIET)
        self.panel.wire(fields)

    @abstractmethod
    def _lay_out_fields(self) -> list[Any]:
        """Create the tab's own fields, whose values ``_build`` takes."""

    @abstractmethod
    def _build(self, photo: Picture, settings: dict[str, Any], *values: Any) -> Request | Sequence[Request]:
        """What Run asks for."""

    def _checked(self, visit: Visit, settings: dict[str, Any], *values: Any) -> Request | Sequence[Request]:
        if self.name not in visit.photos:
            raise InputError("Open a photograph first, or take an example.")
        return self._build(visit.photos[self.name], settings, *values)

    def _show(self, visit: Visit, picture: Picture, name: str) -> tuple[str, str]:
        visit.photos[self.name] = picture
        says = f"{name}: {picture.width} x {picture.height} pixels, {picture.bit_depth} bits"
        return html.photograph(picture), html.said(says)

    def _opened(self, path: str | None, request: gr.Request) -> tuple[Any, Any]:
        try:
            return self._show(self.studio.visit(request), *opened(path))
        except GlideEditError as error:
            return gr.skip(), html.said(sentence(error), "error")

    def _from_edit(self, request: gr.Request) -> tuple[Any, Any]:
        visit = self.studio.visit(request)
        if visit.trail.current is None:
            return gr.skip(), html.said("There is no photograph in Edit yet.", "error")
        return self._show(visit, *visit.trail.current)

    def _example(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        example = find(PHOTOS, picked_name(event))
        if example is None:
            return gr.skip(), gr.skip()
        return self._show(self.studio.visit(request), example.picture(), example.file)


class OutpaintTab(PhotoTab):
    """More picture beyond its sides."""

    name = "outpaint"
    hint = "The larger picture appears here. Your photograph is kept in it, to the pixel."
    asks = "What lies beyond the sides (may be left empty)"

    def _lay_out_fields(self) -> list[Any]:
        sides: list[Any] = [
            gr.Number(
                value,
                label=side.capitalize(),
                precision=0,
                elem_classes="ge-number",
                elem_id=f"outpaint-{side}",
            )
            for side, value in (("left", 0), ("right", 128), ("top", 0), ("bottom", 0))
        ]
        aspect = gr.Dropdown(
            list(ASPECTS), value=AS_IT_IS, label="Aspect", min_width=110, elem_id="outpaint-aspect"
        )
        return [*sides, aspect]

    def _build(self, photo: Picture, settings: dict[str, Any], *values: Any) -> Request:
        *sides, aspect = values
        left, right, top, bottom = (int(each or 0) for each in sides)
        return Outpaint(
            image=photo,
            left=left,
            right=right,
            top=top,
            bottom=bottom,
            aspect=None if aspect == AS_IT_IS else aspect,
            **settings,
        )


class VaryTab(PhotoTab):
    """Another picture like this one."""

    name = "vary"
    hint = "Another picture like yours appears here."
    count = "Candidates"

    def _lay_out_fields(self) -> list[Any]:
        strength = gr.Slider(
            0.05, 1, 0.85, step=0.05, label="Strength", min_width=160, buttons=[], elem_id="vary-strength"
        )
        return [strength, strength_strip("vary")]

    def _build(self, photo: Picture, settings: dict[str, Any], *values: Any) -> Request | Sequence[Request]:
        strength, several = values
        request = Vary(image=photo, strength=strength, **settings)
        return over_strengths(request, VARY_STRENGTHS) if several else request


class UpscaleTab(PhotoTab):
    """The same picture, larger."""

    name = "upscale"
    hint = "The larger picture appears here."

    def _lay_out_fields(self) -> list[Any]:
        factors = [(f"{factor} times", factor) for factor in FACTORS]
        return [gr.Radio(factors, value=FACTORS[0], label="Larger by", elem_id="upscale-factor")]

    def _build(self, photo: Picture, settings: dict[str, Any], *values: Any) -> Request:
        return Upscale(image=photo, factor=values[0], **settings)


def strength_strip(name: str) -> gr.Checkbox:
    """Ticked, a run draws at several strengths to choose from."""
    return gr.Checkbox(
        False,
        label="Four strengths to choose from",
        elem_classes="ge-check",
        elem_id=f"{name}-several",
        container=False,
    )
