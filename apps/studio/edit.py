"""The Edit tab: a photograph, what of it should change, and what should be there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.canvas import PaintCanvas, Painted, Strokes, beside, canvas_size, canvas_value, painted_mask
from apps.studio.examples import PHOTOS, examples_html, find, picked_name
from apps.studio.fields import sentence
from apps.studio.panel import PICK, QUIET, Panel, Studio
from apps.studio.uploads import opened
from apps.studio.visits import Made, Visit
from glide_edit.errors import GlideEditError, InputError
from glide_edit.images import Picture
from glide_edit.requests import FINISHES, Inpaint, Remove, Request
from masks import AUTOMATIC_CONTEXT, Mask, MaskError, mend, rough, shape

HINT = "What changes appears here, step by step."
NO_PHOTO = "Open a photograph first: drop one on the left, paste one, or take an example."


class EditTab:
    """Built by ``lay_out`` inside a tab; ``open_picture`` lets other tabs send pictures here."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.panel = Panel(studio, "edit", self._build, HINT)

    def lay_out(self) -> None:
        with gr.Row(elem_classes="ge-columns"):
            with gr.Column(elem_classes="ge-left", min_width=300):
                self._lay_out_photo()
            with gr.Column(elem_classes="ge-right", min_width=300):
                self.panel.lay_out("What should be there", "a red ball")
        self._wire()

    def _lay_out_photo(self) -> None:
        self.drop = gr.File(
            label="Photograph: drop, paste or choose a file",
            elem_id="edit-drop",
            elem_classes="ge-drop",
            height=460,
        )
        with gr.Column(visible=False, elem_classes="ge-plain") as self.easel:
            self._lay_out_easel()
        self.strokes = Strokes("edit")
        self.words = gr.HTML(elem_id="edit-words", elem_classes="ge-words")
        self._lay_out_examples()

    def _lay_out_easel(self) -> None:
        self.canvas = PaintCanvas(
            label="Paint what should change",
            sources=(),
            brush=gr.Brush(
                default_size=28, colors=["#ff4081a0"], default_color="#ff4081a0", color_mode="fixed"
            ),
            eraser=gr.Eraser(default_size=28),
            transforms=(),
            layers=gr.LayerOptions(disabled=True),
            height=460,
            elem_id="edit-canvas",
            buttons=[],
        )
        with gr.Row(elem_classes="ge-tools"):
            self.radius = gr.Number(4, label="Pixels", elem_classes="ge-number", elem_id="edit-radius")
            self.grow = gr.Button("Grow", size="sm", min_width=60)
            self.shrink = gr.Button("Shrink", size="sm", min_width=60)
            self.invert = gr.Button("Invert", size="sm", min_width=60, elem_id="edit-invert")
            self.feather = gr.Number(0, label="Feather", elem_classes="ge-number", elem_id="edit-feather")
            self.clear = gr.Button("Clear", size="sm", min_width=60, elem_id="edit-clear")
            self.mend = gr.Button("Mend", size="sm", min_width=60, elem_id="edit-mend")
            self.other = gr.Button("Other photo", size="sm", min_width=80, elem_id="edit-other")
        with gr.Row(elem_classes="ge-tools"):
            self.snap = gr.Button("Snap to object", size="sm", min_width=100, elem_id="edit-snap")
            self.spread = gr.Button("Similar colours", size="sm", min_width=100, elem_id="edit-spread")
            self.remove = gr.Button(
                "Remove what is selected", size="sm", min_width=140, elem_id="edit-remove"
            )
            self.undo = gr.Button(
                "Undo edit", size="sm", min_width=80, elem_id="edit-undo", interactive=False
            )
            self.redo = gr.Button(
                "Redo edit", size="sm", min_width=80, elem_id="edit-redo", interactive=False
            )
        put_back = gr.Accordion("How the edit is put back", open=False, elem_classes="ge-more")
        with put_back, gr.Row(elem_classes="ge-tools"):
            self.finish = gr.Dropdown(list(FINISHES), value="membrane", label="Finish", min_width=110)
            self.context = gr.Slider(
                1, 8, AUTOMATIC_CONTEXT, step=0.25, label="Context", min_width=140, buttons=[]
            )

    # -- requests -----------------------------------------------------------------------------------

    def _build(self, visit: Visit, settings: dict[str, Any], strokes: int, *putting: Any) -> Request:
        photo, mask = _photo(visit), visit.selection.after(strokes)
        return Inpaint(image=photo, mask=mask, **settings, **put_back_fields(*putting))

    def _build_removal(self, visit: Visit, settings: dict[str, Any], strokes: int) -> Request:
        """Removing knows best how its patches are put back."""
        photo, mask = _photo(visit), visit.selection.after(strokes)
        return Remove(image=photo, mask=mask, **{**settings, "prompt": ""})

    # -- the photograph -----------------------------------------------------------------------------

    def photo_outputs(self) -> list[Any]:
        """What changes when another photograph is edited."""
        return [self.drop, self.examples, self.easel, self.canvas, self.undo, self.redo, self.words]

    def photo_shown(self, visit: Visit, strokes: int, mask: Mask | None = None) -> tuple[Any, ...]:
        """Values for ``photo_outputs``, after so many strokes on the canvas."""
        current = visit.trail.current
        if current is None:
            return tuple(gr.skip() for _ in self.photo_outputs())
        picture, name = current
        visit.selection.put(Mask.empty((picture.height, picture.width)) if mask is None else mask, strokes)
        size = f"{name}: {picture.width} x {picture.height} pixels, {picture.bit_depth} bits"
        return (
            gr.File(value=None, visible="hidden"),
            gr.HTML(visible=False),
            gr.Column(visible=True),
            # Without its size the canvas would place the selection as on the last photograph.
            PaintCanvas(value=canvas_value(visit, picture, mask), canvas_size=canvas_size(picture)),
            gr.Button(interactive=visit.trail.can_undo),
            gr.Button(interactive=visit.trail.can_redo),
            html.said(size),
        )

    def _lay_out_examples(self) -> None:
        self.examples = gr.HTML(examples_html(PHOTOS), elem_id="edit-examples", js_on_load=PICK)

    def _example(self, strokes: int, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """An example was clicked: its photograph, its selection and its words."""
        example = find(PHOTOS, picked_name(event))
        if example is None:
            return tuple(gr.skip() for _ in range(len(self.photo_outputs()) + 1))
        visit = self.studio.visit(request)
        visit.trail.go_on_with(example.picture(), example.file)
        return *self.photo_shown(visit, strokes, example.mask()), example.prompt

    def _wire(self) -> None:
        photo, quiet, strokes = self.photo_outputs(), beside(self.words), self.strokes.count
        self.drop.upload(self._opened, [self.drop, strokes], photo, **quiet)
        self.other.click(
            lambda: (gr.File(visible=True), gr.HTML(visible=True), gr.Column(visible=False)),
            None,
            [self.drop, self.examples, self.easel],
            **quiet,
        )
        arrived = self.strokes.wire(self.canvas, self._arrived)
        arrived.failure(self._looked_at, [strokes, self.context], self.words, **QUIET)
        for button, change in (
            (self.grow, lambda mask, _, radius: shape.grow(mask, radius)),
            (self.shrink, lambda mask, _, radius: shape.shrink(mask, radius)),
            (self.invert, lambda mask, *_: ~mask),
            (self.clear, lambda mask, *_: Mask.empty(mask.size)),
            (self.snap, lambda mask, picture, _: rough.tighten(picture.pixels, mask)),
            (self.spread, lambda mask, picture, _: rough.spread(picture.pixels, mask)),
            (self.mend, lambda mask, *_: mend(mask)[0]),
        ):
            button.click(
                self._reshaping(change),
                [strokes, self.context, self.radius],
                [self.canvas, self.words],
                **quiet,
            )
        self.examples.click(self._example, strokes, [*photo, self.panel.prompt], **quiet)
        self.undo.click(self._undone, strokes, photo, **quiet)
        self.redo.click(self._redone, strokes, photo, **quiet)
        asked = [strokes, self.finish, self.feather, self.context]
        self.panel.wire(asked)
        self.panel.start_with(self.remove, self._build_removal, [strokes])

    def _opened(self, path: str | None, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        try:
            picture, name = opened(path)
        except GlideEditError as error:
            return gr.File(value=None), *(gr.skip() for _ in range(5)), html.said(sentence(error), "error")
        visit.trail.go_on_with(picture, name)
        return self.photo_shown(visit, strokes)

    def _arrived(self, painted: Painted, strokes: int, request: gr.Request) -> None:
        """The canvas has come."""
        visit = self.studio.visit(request)
        visit.note(painted.files)
        if visit.trail.current is not None:
            visit.selection.arrive(painted_mask(painted, visit.trail.current[0]), strokes)

    def _looked_at(self, strokes: int, context: float, request: gr.Request) -> Any:
        """What there is to say about what is painted."""
        visit = self.studio.visit(request)
        if visit.trail.current is None:
            return gr.skip()
        try:
            mask = visit.selection.after(strokes, seconds=0)
        except InputError:
            return gr.skip()  # more was painted meanwhile, which comes next
        return self._words(visit, visit.trail.current[0], mask, context)

    def _words(self, visit: Visit, picture: Picture, mask: Mask, context: float) -> str:
        """How much is selected, and what the mask doctor has to say of it."""
        if mask.is_empty:
            return html.said("Nothing is selected yet: paint over what should change.")
        share = f"{100 * mask.share:.1f}" if mask.share >= 0.001 else "less than 0.1"
        says = f"{share} % of the photograph is selected ({mask.count:,} pixels)."
        try:
            asked = Inpaint(image=picture, mask=mask, context=context)
            findings = self.studio.shelf.editor(visit.model).diagnose(asked)
        except (GlideEditError, MaskError) as error:
            return html.said(f"{says} {sentence(error)}", "error")
        words = [sentence(each.text) for each in findings if each.severity != "note"]
        return html.said(" ".join([says, *words]), "warning" if words else "plain")

    def _reshaping(self, change: Callable[[Mask, Picture, float], Mask]) -> Callable[..., tuple[Any, Any]]:
        """A handler that puts a changed selection back on the canvas."""

        def reshape(
            strokes: int, context: float, radius: float | None, request: gr.Request
        ) -> tuple[Any, Any]:
            visit = self.studio.visit(request)
            if visit.trail.current is None:
                return gr.skip(), gr.skip()
            picture = visit.trail.current[0]
            try:
                mask = change(visit.selection.after(strokes), picture, radius or 0)
            except (GlideEditError, MaskError) as error:
                return gr.skip(), html.said(sentence(error), "error")
            visit.selection.put(mask, strokes)
            return canvas_value(visit, picture, mask), self._words(visit, picture, mask, context)

        return reshape

    def _undone(self, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        visit.trail.undo()
        return self.photo_shown(visit, strokes)

    def _redone(self, strokes: int, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        visit.trail.redo()
        return self.photo_shown(visit, strokes)

    def take_from(self, panel: Panel, tabs: gr.Tabs) -> None:
        """Let "Edit this further" of a panel bring its picture here."""

        def take(strokes: int, request: gr.Request) -> tuple[Any, ...]:
            visit = self.studio.visit(request)
            return self.taken(visit, panel.picked(visit), strokes)

        panel.further.click(take, self.strokes.count, [*self.photo_outputs(), tabs], **beside(self.words))

    def taken(self, visit: Visit, made: Made | None, strokes: int) -> tuple[Any, ...]:
        """Go on with a picture of the visit; what is painted stays where it has the same size."""
        if made is None:
            return tuple(gr.skip() for _ in range(len(self.photo_outputs()) + 1))
        before = visit.trail.current
        visit.trail.go_on_with(made.picture, f"number {made.number}")
        same = before is not None and before[0].pixels.shape == made.picture.pixels.shape
        mask = None
        if same:
            with suppress(InputError):  # a stroke that did not arrive is lost with the canvas
                mask = visit.selection.after(strokes)
        return *self.photo_shown(visit, strokes, mask), gr.Tabs(selected="edit")


def put_back_fields(finish: str, feather: float | None, context: float) -> dict[str, Any]:
    """The fields of how an edit is put back; a number of pixels to feather over chooses that finish."""
    asked: dict[str, Any] = {"finish": "feather", "feather": feather} if feather else {"finish": finish}
    return {**asked, "context": context}


def _photo(visit: Visit) -> Picture:
    if visit.trail.current is None:
        raise InputError(NO_PHOTO)
    return visit.trail.current[0]
