"""The Edit tab: a photograph, what of it should change, and what should be there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.canvas import (
    PaintCanvas,
    Painted,
    StrokeCounter,
    canvas_size,
    canvas_value,
    paint_canvas,
    painted_mask,
)
from apps.studio.examples import PHOTOS, examples_html, find
from apps.studio.fields import component, sentence
from apps.studio.panel import Panel
from apps.studio.run_handlers import RunHandlers
from apps.studio.sessions import HistoryEntry, Session
from apps.studio.shared import ON_PICK_JS, UNQUEUED, Studio, Updates
from apps.studio.uploads import read_upload
from glide_edit.errors import GlideEditError, InputError
from glide_edit.images import Picture
from glide_edit.requests import Inpaint, Remove, Request
from masks import Mask, MaskError, mend, rough, shape

SelectionTool = Callable[[Mask, Picture, float], Mask]
"""From a selection, the photograph and a number of pixels to a selection."""
SELECTION_TOOLS: dict[str, SelectionTool] = {
    "grow": lambda mask, _, pixels: shape.grow(mask, pixels),
    "shrink": lambda mask, _, pixels: shape.shrink(mask, pixels),
    "invert": lambda mask, *_: ~mask,
    "clear": lambda mask, *_: Mask.empty(mask.size),
    "snap": lambda mask, photo, _: rough.tighten(photo.pixels, mask),
    "spread": lambda mask, photo, _: rough.spread(photo.pixels, mask),
    "mend": lambda mask, *_: mend(mask)[0],
}
"""By the names of their buttons."""


class EditTab:
    """The canvas on the left, the result on the right. Other tabs bring their pictures here."""

    def __init__(self, studio: Studio, tabs: gr.Tabs) -> None:
        self.studio = studio
        self.tabs = tabs
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self._lay_out_photo()
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel = Panel(
                    studio,
                    "edit",
                    "What changes appears here, step by step.",
                    label="What should be there",
                    placeholder="a red ball",
                    own_fields=self.fields,
                )
        self.photo_outputs = [self.drop, self.examples, self.easel, self.canvas]
        self.photo_outputs += [self.tools["undo"], self.tools["redo"], self.message]
        self._wire()

    def _lay_out_photo(self) -> None:
        self.drop = gr.File(
            label="Photograph: drop, paste or choose a file",
            elem_id="edit-drop",
            elem_classes="ge-drop",
            height=460,
        )
        with gr.Column(visible=False, elem_classes="ge-plain") as self.easel:
            paint = "#ff4081a0"
            brush = gr.Brush(default_size=28, colors=[paint], default_color=paint, color_mode="fixed")
            self.canvas = paint_canvas("edit", "Paint what should change", brush, eraser=28)
            self._lay_out_tools()
        self.strokes = StrokeCounter("edit")
        self.message = gr.HTML(elem_id="edit-words", elem_classes="ge-words")
        self.examples = gr.HTML(examples_html(PHOTOS), elem_id="edit-examples", js_on_load=ON_PICK_JS)

    def _lay_out_tools(self) -> None:
        self.tools: dict[str, gr.Button] = {}

        def tool(name: str, label: str, min_width: int = 60, **settings: Any) -> None:
            self.tools[name] = gr.Button(
                label, size="sm", min_width=min_width, elem_id=f"edit-{name}", **settings
            )

        with gr.Row(elem_classes="ge-tools"):
            self.radius = gr.Number(4, label="Pixels", elem_classes="ge-number", elem_id="edit-radius")
            tool("grow", "Grow")
            tool("shrink", "Shrink")
            tool("invert", "Invert")
            feather = component(Inpaint, "feather", "edit")
            tool("clear", "Clear")
            tool("mend", "Mend")
            tool("other", "Other photo", 80)
        with gr.Row(elem_classes="ge-tools"):
            tool("snap", "Snap to object", 100)
            tool("spread", "Similar colours", 100)
            tool("remove", "Remove what is selected", 140)
            tool("undo", "Undo edit", 80, interactive=False)
            tool("redo", "Redo edit", 80, interactive=False)
        accordion = gr.Accordion("How the edit is put back", open=False, elem_classes="ge-more")
        with accordion, gr.Row(elem_classes="ge-tools"):
            finish = component(Inpaint, "finish", "edit")
            context = component(Inpaint, "context", "edit", min_width=140)
        self.fields = {"finish": finish, "feather": feather, "context": context}

    def _wire(self) -> None:
        studio, strokes, photo = self.studio, self.strokes.count, self.photo_outputs
        quiet = {"show_progress_on": self.message}
        studio.on(self.drop.upload, self._upload, [self.drop, strokes], photo, **quiet)
        self.tools["other"].click(
            lambda: (gr.File(visible=True), gr.HTML(visible=True), gr.Column(visible=False)),
            None,
            [self.drop, self.examples, self.easel],
            **UNQUEUED | quiet,
        )
        received = self.strokes.wire(studio, self.canvas, self._receive)
        looked_at = [strokes, self.fields["context"]]
        studio.on(received.failure, self._describe, looked_at, self.message)
        for name, change in SELECTION_TOOLS.items():
            inputs, outputs = [*looked_at, self.radius], [self.canvas, self.message]
            studio.on(
                self.tools[name].click, partial(self._change_selection, change), inputs, outputs, **quiet
            )
        studio.on_pick(self.examples.click, self._example, strokes, [*photo, self.panel.prompt], **quiet)
        studio.on(self.tools["undo"].click, partial(self._move, -1), strokes, photo, **quiet)
        studio.on(self.tools["redo"].click, partial(self._move, 1), strokes, photo, **quiet)
        RunHandlers(studio, self.panel, self._inpaint, [strokes]).start_with(
            self.tools["remove"], self._remove, [strokes]
        )

    # -- requests -----------------------------------------------------------------------------------

    def _inpaint(self, session: Session, fields: dict[str, Any], strokes: int) -> Request:
        photo, mask = _photo(session), session.selection.wait_for(strokes)
        return Inpaint(image=photo, mask=mask, **with_finish(fields))

    def _remove(self, session: Session, fields: dict[str, Any], strokes: int) -> Request:
        """Remove has a finish and a context of its own, and takes no prompt."""
        photo, mask = _photo(session), session.selection.wait_for(strokes)
        unused = {"prompt", *self.fields}
        return Remove(image=photo, mask=mask, **{k: v for k, v in fields.items() if k not in unused})

    # -- the photograph -----------------------------------------------------------------------------

    def photo_updates(self, session: Session, strokes: int, mask: Mask | None = None) -> Updates:
        """Show the session's photograph, with a selection; the canvas has had this many strokes."""
        if session.photo.current is None:
            return gr.skip()
        picture, name = session.photo.current
        session.selection.replace(
            Mask.empty((picture.height, picture.width)) if mask is None else mask, strokes
        )
        return {
            self.drop: gr.File(value=None, visible="hidden"),
            self.examples: gr.HTML(visible=False),
            self.easel: gr.Column(visible=True),
            # Without its size the canvas would place the selection as on the last photograph.
            self.canvas: PaintCanvas(
                value=canvas_value(session, picture, mask), canvas_size=canvas_size(picture)
            ),
            self.tools["undo"]: gr.Button(interactive=session.photo.can_move(-1)),
            self.tools["redo"]: gr.Button(interactive=session.photo.can_move(1)),
            self.message: html.photo_message(picture, name),
        }

    def add_source(self, button: gr.Button, entry_of: Callable[[Session], HistoryEntry | None]) -> None:
        """Let a button bring a picture of the history here."""

        def bring(session: Session, strokes: int) -> Updates:
            return self.continue_with(session, entry_of(session), strokes)

        outputs = [*self.photo_outputs, self.tabs]
        self.studio.on(button.click, bring, self.strokes.count, outputs, show_progress_on=self.message)

    def continue_with(self, session: Session, entry: HistoryEntry | None, strokes: int) -> Updates:
        """Edit a picture of the history; the selection stays where it has the same size."""
        if entry is None:
            return gr.skip()
        before, mask = session.photo.current, None
        session.photo.push(entry.picture, f"number {entry.number}")
        if before is not None and before[0].pixels.shape == entry.picture.pixels.shape:
            with suppress(InputError):  # a stroke that has not arrived is lost with the canvas
                mask = session.selection.wait_for(strokes)
        return {**self.photo_updates(session, strokes, mask), self.tabs: gr.Tabs(selected="edit")}

    def _upload(self, session: Session, path: str | None, strokes: int) -> Updates:
        try:
            picture, name = read_upload(path)
        except GlideEditError as error:
            return {self.drop: gr.File(value=None), self.message: html.message(sentence(error), "error")}
        session.photo.push(picture, name)
        return self.photo_updates(session, strokes)

    def _example(self, session: Session, file: str, strokes: int) -> Updates:
        """Take an example: its photograph, its selection and its prompt."""
        example = find(PHOTOS, file)
        if example is None:
            return gr.skip()
        session.photo.push(example.picture(), example.file)
        shown = self.photo_updates(session, strokes, example.mask())
        return {**shown, self.panel.prompt: example.prompt}

    def _move(self, by: int, session: Session, strokes: int) -> Updates:
        session.photo.move(by)
        return self.photo_updates(session, strokes)

    # -- the selection ------------------------------------------------------------------------------

    def _receive(self, session: Session, painted: Painted, strokes: int) -> None:
        if session.photo.current is not None:
            session.selection.receive(painted_mask(painted, session.photo.current[0]), strokes)

    def _describe(self, session: Session, strokes: int, context: float) -> Any:
        """Say what is selected once the canvas was received."""
        if session.photo.current is None:
            return gr.skip()
        try:
            mask = session.selection.wait_for(strokes, seconds=0)
        except InputError:
            return gr.skip()  # more was painted meanwhile, and will be received next
        return self._selection_message(session, session.photo.current[0], mask, context)

    def _selection_message(self, session: Session, photo: Picture, mask: Mask, context: float) -> str:
        """How much is selected, and what the mask doctor has found."""
        if mask.is_empty:
            return html.message("Nothing is selected yet: paint over what should change.")
        share = f"{100 * mask.share:.1f}" if mask.share >= 0.001 else "less than 0.1"
        text = f"{share} % of the photograph is selected ({mask.count:,} pixels)."
        try:
            request = Inpaint(image=photo, mask=mask, context=context)
            findings = self.studio.models.editor(session.model).diagnose(request)
        except (GlideEditError, MaskError) as error:
            return html.message(f"{text} {sentence(error)}", "error")
        warnings = [sentence(each.text) for each in findings if each.severity != "note"]
        return html.message(" ".join([text, *warnings]), "warning" if warnings else "plain")

    def _change_selection(
        self, change: SelectionTool, session: Session, strokes: int, context: float, pixels: float | None
    ) -> Updates:
        """Put a changed selection back on the canvas."""
        if session.photo.current is None:
            return gr.skip()
        photo = session.photo.current[0]
        try:
            mask = change(session.selection.wait_for(strokes), photo, pixels or 0)
        except (GlideEditError, MaskError) as error:
            return {self.message: html.message(sentence(error), "error")}
        session.selection.replace(mask, strokes)
        message = self._selection_message(session, photo, mask, context)
        return {self.canvas: canvas_value(session, photo, mask), self.message: message}


def with_finish(fields: dict[str, Any]) -> dict[str, Any]:
    """Choose the finish "feather" where its width in pixels is given, and leave out a width of 0."""
    if fields.get("feather"):
        return {**fields, "finish": "feather"}
    return {name: value for name, value in fields.items() if name != "feather"}


def _photo(session: Session) -> Picture:
    if session.photo.current is None:
        raise InputError("Open a photograph first: drop one on the left, paste one, or take an example.")
    return session.photo.current[0]
