"""The Sketch tab: a drawing, by mouse or from a file, and what it should become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from apps.studio import html
from apps.studio.canvas import PaintCanvas, Painted, Strokes, beside, canvas_value, painted_over
from apps.studio.examples import DRAWINGS, examples_html, find, picked_name
from apps.studio.fields import sentence
from apps.studio.panel import PICK, Panel, Studio
from apps.studio.photo_tabs import strength_strip
from apps.studio.uploads import opened
from apps.studio.visits import Visit
from glide_edit.errors import GlideEditError
from glide_edit.images import Picture, open_picture
from glide_edit.operations.strengths import over_strengths
from glide_edit.requests import SKETCH_MODES, Request, Sketch

SHEET = 512
"""Pixels a side of a blank sheet."""
STRENGTHS = (0.3, 0.5, 0.7, 0.9)
INKS = ["#1a1a1a", "#c62828", "#1565c0", "#2e7d32", "#f9a825", "#6a1b9a"]


class SketchTab:
    """A sheet on the left, the picture on the right."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.panel = Panel(
            studio, "sketch", self._build, "The picture that follows your drawing appears here."
        )

    def lay_out(self) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self._lay_out_sheet()
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel.lay_out("What the drawing shows", DRAWINGS[0].prompt)
        self._wire()

    def _lay_out_sheet(self) -> None:
        sheet = np.full((SHEET, SHEET, 3), 255, np.uint8)
        self.canvas = PaintCanvas(
            value={"background": sheet, "layers": [], "composite": None},
            label="Draw with dark lines on the white sheet",
            sources=(),
            brush=gr.Brush(default_size=6, colors=[*INKS], default_color=INKS[0], color_mode="defaults"),
            eraser=gr.Eraser(default_size=24),
            transforms=(),
            layers=gr.LayerOptions(disabled=True),
            height=460,
            elem_id="sketch-canvas",
            buttons=[],
        )
        self.strokes = Strokes("sketch")
        with gr.Row(elem_classes="ge-tools"):
            self.blank = gr.Button("Blank sheet", size="sm", min_width=90, elem_id="sketch-blank")
            self.file = gr.UploadButton(
                "Open a drawing", size="sm", min_width=110, type="filepath", elem_id="sketch-open"
            )
        with gr.Row(elem_classes="ge-tools"):
            self.mode = gr.Dropdown(
                list(SKETCH_MODES), value="auto", label="Follow", min_width=90, elem_id="sketch-mode"
            )
            self.strength = gr.Slider(
                0.05,
                1,
                0.5,
                step=0.05,
                label="Strength",
                min_width=150,
                buttons=[],
                elem_id="sketch-strength",
            )
            self.several = strength_strip("sketch")
        self.words = gr.HTML(elem_id="sketch-words", elem_classes="ge-words")
        self.examples = gr.HTML(examples_html(DRAWINGS), elem_id="sketch-examples", js_on_load=PICK)

    def _build(
        self,
        visit: Visit,
        settings: dict[str, Any],
        strokes: int,
        mode: str,
        strength: float,
        several: bool,
    ) -> Request | Sequence[Request]:
        paper, ink = visit.sheet or blank_sheet(), visit.ink.after(strokes)
        drawing = paper if ink is None else painted_over(ink, paper)
        request = Sketch(drawing=drawing, mode=mode, strength=strength, **settings)  # type: ignore[arg-type]
        return over_strengths(request, STRENGTHS) if several else request

    def _wire(self) -> None:
        strokes, sheet = self.strokes.count, [self.canvas, self.words]
        quiet = beside(self.words)
        self.strokes.wire(self.canvas, self._arrived)
        self.blank.click(self._blank, strokes, sheet, **quiet)
        self.file.upload(self._opened, [self.file, strokes], sheet, **quiet)
        self.examples.click(self._example, strokes, [*sheet, self.panel.prompt], **quiet)
        self.panel.wire([strokes, self.mode, self.strength, self.several])

    def _arrived(self, painted: Painted, strokes: int, request: gr.Request) -> None:
        visit = self.studio.visit(request)
        visit.note(painted.files)
        untouched = painted.layer is None or not painted.layer[:, :, 3].any()
        visit.ink.arrive(None if untouched else painted.layer, strokes)

    def _shown(self, visit: Visit, sheet: Picture | None, strokes: int) -> Any:
        """A sheet to draw on, a blank one for None, as the canvas takes it."""
        visit.sheet = sheet
        visit.ink.put(None, strokes)
        return canvas_value(visit, sheet or blank_sheet())

    def _blank(self, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        return self._shown(self.studio.visit(request), None, strokes), ""

    def _opened(self, path: str | None, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        try:
            sheet, name = opened(path)
        except GlideEditError as error:
            return gr.skip(), html.said(sentence(error), "error")
        return self._shown(self.studio.visit(request), sheet, strokes), html.said(name)

    def _example(self, strokes: int, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        example = find(DRAWINGS, picked_name(event))
        if example is None:
            return gr.skip(), gr.skip(), gr.skip()
        return self._shown(self.studio.visit(request), example.picture(), strokes), "", example.prompt


def blank_sheet() -> Picture:
    return open_picture(np.full((SHEET, SHEET, 3), 255, np.uint8))
