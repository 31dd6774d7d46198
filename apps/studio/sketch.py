"""The Sketch tab: a drawing, by mouse or from a file, and what it should become."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from apps.studio import html
from apps.studio.canvas import Painted, StrokeCounter, canvas_value, paint_canvas, painted_over
from apps.studio.examples import DRAWINGS, examples_html, find
from apps.studio.fields import component, sentence, several_strengths
from apps.studio.panel import Panel
from apps.studio.run_handlers import RunHandlers
from apps.studio.sessions import Session
from apps.studio.shared import ON_PICK_JS, Studio, Updates
from apps.studio.uploads import read_upload
from glide_edit.errors import GlideEditError
from glide_edit.images import Picture, open_picture
from glide_edit.requests import Request, Sketch

PAPER_SIDE = 512
"""Pixels a side of a blank sheet."""
STRENGTHS = (0.3, 0.5, 0.7, 0.9)
COLOURS = ["#1a1a1a", "#c62828", "#1565c0", "#2e7d32", "#f9a825", "#6a1b9a"]


class SketchTab:
    """A sheet of paper on the left, the picture on the right."""

    def __init__(self, studio: Studio) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self._lay_out_sheet()
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel = Panel(
                    studio,
                    "sketch",
                    "The picture that follows your drawing appears here.",
                    label="What the drawing shows",
                    placeholder=DRAWINGS[0].prompt,
                    own_fields=self.fields,
                )
        strokes, sheet = self.strokes.count, [self.canvas, self.message]
        RunHandlers(studio, self.panel, self._build, [strokes], STRENGTHS)
        self.strokes.wire(studio, self.canvas, self._receive)
        quiet = {"show_progress_on": self.message}
        studio.on(self.blank.click, self._clear, strokes, sheet, **quiet)
        studio.on(self.file.upload, self._upload, [self.file, strokes], sheet, **quiet)
        studio.on_pick(self.examples.click, self._example, strokes, [*sheet, self.panel.prompt], **quiet)

    def _lay_out_sheet(self) -> None:
        self.canvas = paint_canvas(
            "sketch",
            "Draw with dark lines on the white sheet",
            gr.Brush(default_size=6, colors=[*COLOURS], default_color=COLOURS[0], color_mode="defaults"),
            eraser=24,
            value={"background": _blank_pixels(), "layers": [], "composite": None},
        )
        self.strokes = StrokeCounter("sketch")
        with gr.Row(elem_classes="ge-tools"):
            self.blank = gr.Button("Blank sheet", size="sm", min_width=90, elem_id="sketch-blank")
            self.file = gr.UploadButton(
                "Open a drawing", size="sm", min_width=110, type="filepath", elem_id="sketch-open"
            )
        with gr.Row(elem_classes="ge-tools"):
            self.fields = {
                "mode": component(Sketch, "mode", "sketch"),
                "strength": component(Sketch, "strength", "sketch", min_width=150),
                "several": several_strengths("sketch"),
            }
        self.message = gr.HTML(elem_id="sketch-words", elem_classes="ge-words")
        self.examples = gr.HTML(examples_html(DRAWINGS), elem_id="sketch-examples", js_on_load=ON_PICK_JS)

    def _build(self, session: Session, fields: dict[str, Any], strokes: int) -> Request:
        paper, ink = session.paper or open_picture(_blank_pixels()), session.ink.wait_for(strokes)
        return Sketch(drawing=paper if ink is None else painted_over(ink, paper), **fields)

    def _receive(self, session: Session, painted: Painted, strokes: int) -> None:
        is_untouched = painted.layer is None or not painted.layer[:, :, 3].any()
        session.ink.receive(None if is_untouched else painted.layer, strokes)

    def _show(self, session: Session, paper: Picture | None, strokes: int, message: str = "") -> Updates:
        """Put a drawing on the canvas, a blank sheet for None."""
        session.paper = paper
        session.ink.replace(None, strokes)
        value = canvas_value(session, paper or open_picture(_blank_pixels()))
        return {self.canvas: value, self.message: html.message(message)}

    def _clear(self, session: Session, strokes: int) -> Updates:
        return self._show(session, None, strokes)

    def _upload(self, session: Session, path: str | None, strokes: int) -> Updates:
        try:
            paper, name = read_upload(path)
        except GlideEditError as error:
            return {self.message: html.message(sentence(error), "error")}
        return self._show(session, paper, strokes, name)

    def _example(self, session: Session, file: str, strokes: int) -> Updates:
        example = find(DRAWINGS, file)
        if example is None:
            return gr.skip()
        return {
            **self._show(session, example.picture(), strokes),
            self.panel.prompt: example.prompt,
        }


def _blank_pixels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((PAPER_SIDE, PAPER_SIDE, 3), 255, np.uint8)
