"""The right half of every tab that makes pictures: words, seed, Run and Stop, and what comes of it."""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from apps.studio import html, words
from apps.studio.pace import Pace
from apps.studio.running import Ending, follow
from apps.studio.shelf import Shelf
from apps.studio.visits import Made, Ticket, Visit, Visits
from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import GlideEditError
from glide_edit.images import save_picture
from glide_edit.requests import Request
from masks import MaskError

LARGEST_DICE = 1_000_000
"""Seeds that the dice throws are short enough to read aloud."""
MOST_CANDIDATES = 8
LEAST_SHOWN = 0.06
"""Seconds; steps that come faster than a page can draw them are not all shown."""
DEVICE = "device"
"""The queue in which all runs wait: one at a time."""


@dataclass
class Studio:
    """What all tabs share."""

    visits: Visits
    shelf: Shelf
    pace: Pace = field(default_factory=Pace)

    def visit(self, request: gr.Request) -> Visit:
        return self.visits.of(request.session_hash)


BuildRequest = Callable[..., Request]
"""From the visit, the settings and the values of the tab's own inputs to a request."""


class Panel:
    """Its parts are laid out by ``lay_out`` and joined by ``wire``; ``name`` tells tabs apart."""

    def __init__(self, studio: Studio, name: str, build: BuildRequest, hint: str) -> None:
        self.studio = studio
        self.name = name
        self._build = build
        self._hint = hint

    # -- what is there ------------------------------------------------------------------------------

    def lay_out(self, label: str = "What should be there", placeholder: str = "") -> None:
        """Create the components, top to bottom."""
        self.prompt = gr.Textbox(
            label=label,
            placeholder=placeholder,
            lines=1,
            max_lines=3,
            elem_id=f"{self.name}-prompt",
            elem_classes="ge-prompt",
        )
        gr.HTML(words.chips(self.name), elem_classes="ge-plain", js_on_load=words.PRESS)
        with gr.Row(elem_classes="ge-tools"):
            self.seed = gr.Number(
                7, label="Seed", precision=0, minimum=0, elem_classes="ge-number", elem_id=f"{self.name}-seed"
            )
            self.dice = gr.Button("New seed", size="sm", min_width=80, elem_id=f"{self.name}-dice")
            self.lock = gr.Checkbox(
                True, label="Keep it", elem_classes="ge-check", elem_id=f"{self.name}-lock", container=False
            )
            self.count = gr.Number(
                1,
                label="Candidates",
                precision=0,
                minimum=1,
                maximum=MOST_CANDIDATES,
                elem_classes="ge-number",
                elem_id=f"{self.name}-count",
            )
            self.run = gr.Button("Run", variant="primary", elem_id=f"{self.name}-run", elem_classes="ge-run")
            self.stop = gr.Button(
                "Stop", variant="stop", visible=False, elem_id=f"{self.name}-stop", elem_classes="ge-stop"
            )
        self.status = gr.HTML(elem_id=f"{self.name}-status", elem_classes="ge-status-box")
        self.view = gr.HTML(html.nothing_yet(self._hint), elem_id=f"{self.name}-view")
        self.strip = gr.HTML(elem_id=f"{self.name}-strip", js_on_load=PICK)
        with gr.Row(elem_classes="ge-tools", visible=False) as self.actions:
            self.further = gr.Button("Edit this further", size="sm", elem_id=f"{self.name}-further")
            self.download = gr.Button("Download", size="sm", elem_id=f"{self.name}-download")
        self.file = gr.DownloadButton("File", elem_id=f"{self.name}-file", elem_classes="ge-out-of-sight")
        self._lay_out_rest()

    def _lay_out_rest(self) -> None:
        with gr.Accordion("More settings", open=False, elem_classes="ge-more", elem_id=f"{self.name}-more"):
            with gr.Row(elem_classes="ge-tools"):
                self.steps = self._number("Steps", "steps", precision=0, minimum=1)
                self.upsampler_steps = self._number(
                    "Upsampler steps", "upsampler-steps", precision=0, minimum=1
                )
                self.guidance = self._number("Guidance", "guidance", minimum=0)
                self.sampler = gr.Dropdown(
                    ["the model's", *SAMPLERS], value="the model's", label="Sampler", min_width=110
                )
            gr.HTML('<p class="ge-note">What is left empty is the model\'s own choice.</p>')

    def _number(self, label: str, name: str, **limits: float) -> gr.Number:
        """An empty field for a number."""
        return gr.Number(None, label=label, elem_classes="ge-number", elem_id=f"{self.name}-{name}", **limits)

    # -- what it does -------------------------------------------------------------------------------

    def wire(self, inputs: list[Any]) -> None:
        """Join the parts; ``inputs`` are the tab's own components, handed to the function that builds."""
        settings = [self.prompt, self.seed, self.count, self.steps, self.upsampler_steps]
        settings += [self.guidance, self.sampler]
        shown = [self.status, self.view, self.strip, self.actions, self.run, self.stop, self.seed]
        entered = self.run.click(
            self._enter, [self.lock, self.seed], [self.status, self.run, self.stop, self.seed], **QUIET
        )
        entered.success(
            self._run,
            [*settings, *inputs],
            shown,
            concurrency_id=DEVICE,
            concurrency_limit=1,
            show_progress="minimal",
            show_progress_on=self.status,
            api_visibility="private",
        ).then(self._leave, None, [self.run, self.stop], **QUIET)
        self.stop.click(self._stop, None, [self.status, self.run, self.stop], **QUIET)
        self.dice.click(lambda: secrets.randbelow(LARGEST_DICE), None, self.seed, **QUIET)
        self.strip.click(self._pick, None, [self.status, self.view, self.strip], **QUIET)
        self.download.click(self._save, None, [self.status, self.file], **QUIET).success(
            None, None, None, js=f"() => document.querySelector('#{self.name}-file').click()", **QUIET
        )

    def picked(self, visit: Visit) -> Made | None:
        """The picture that is looked at in this tab."""
        return visit.find(visit.picked.get(self.name))

    def _enter(self, keep_seed: bool, seed: float | None, request: gr.Request) -> tuple[Any, ...]:
        """Run was pressed: from now on it waits for its turn."""
        self.studio.visit(request).tickets[self.name] = Ticket()
        new = seed if keep_seed else secrets.randbelow(LARGEST_DICE)
        return html.said("Waiting for the device…"), gr.Button(visible=False), gr.Button(visible=True), new

    def _run(self, request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
        visit = self.studio.visit(request)
        ticket = visit.tickets.get(self.name)
        if ticket is None or ticket.started or ticket.is_stopped:
            yield self._show(gr.skip(), gr.skip())
            return
        ticket.started = True
        try:
            yield from self._steps(visit, ticket, values)
        except (GlideEditError, MaskError) as error:
            yield self._failed(sentence(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            yield self._failed(
                f"Something went wrong that should not have ({type(error).__name__}). The studio goes on."
            )
        finally:
            ticket.stop()

    def _steps(self, visit: Visit, ticket: Ticket, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        build = self._build(visit, settings_of(*values[:7]), *values[7:])
        editor = self.studio.shelf.editor(visit.model)
        shown = 0.0
        with closing(follow(editor, build, ticket, self.studio.pace)) as moments:
            for moment in moments:
                if isinstance(moment, Ending):
                    yield self._ended(visit, moment)
                    return
                if time.monotonic() - shown < LEAST_SHOWN:
                    continue
                shown, event = time.monotonic(), moment.progress
                yield self._show(html.working(event, moment.left, build.n), html.preview(moment.shown, event))

    def _ended(self, visit: Visit, ending: Ending) -> tuple[Any, ...]:
        result = ending.result
        new = [
            Made(next(visit.numbers), result, index, html.thumbnail(picture), ending.complete)
            for index, picture in enumerate(result.pictures)
        ]
        visit.keep(new)
        visit.shown[self.name] = tuple(each.number for each in new)
        visit.picked[self.name] = new[0].number
        return self._show(html.ended(new[0]), html.picture(new[0]), self._strip(visit), gr.Row(visible=True))

    def _show(self, status: Any, view: Any, strip: Any = None, actions: Any = None) -> tuple[Any, ...]:
        skip = gr.skip()
        rest = tuple(skip if value is None else value for value in (strip, actions))
        return status, view, *rest, skip, skip, skip

    def _failed(self, says: str) -> tuple[Any, ...]:
        return self._show(html.said(says, "error"), gr.skip())

    def _strip(self, visit: Visit) -> str:
        made = [each for number in visit.shown.get(self.name, ()) if (each := visit.find(number))]
        return html.strip(made, visit.picked.get(self.name), "Candidates") if len(made) > 1 else ""

    def _leave(self, request: gr.Request) -> tuple[Any, ...]:
        """The run is over, unless another one waits already."""
        ticket = self.studio.visit(request).tickets.get(self.name)
        waits = ticket is not None and not ticket.is_stopped
        return gr.Button(visible=not waits), gr.Button(visible=waits)

    def _stop(self, request: gr.Request) -> tuple[Any, ...]:
        ticket = self.studio.visit(request).tickets.get(self.name)
        if ticket is None:
            return gr.skip(), gr.Button(visible=True), gr.Button(visible=False)
        ticket.stop()
        if ticket.started:
            return html.said("Stopping…"), gr.skip(), gr.skip()
        return html.said("Stopped before its turn came."), gr.Button(visible=True), gr.Button(visible=False)

    def _pick(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        made = visit.find(picked_number(event))
        if made is None:
            return gr.skip(), gr.skip(), gr.skip()
        visit.picked[self.name] = made.number
        return html.ended(made), html.picture(made), self._strip(visit)

    def _save(self, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        made = self.picked(visit)
        if made is None:
            raise gr.Error("There is nothing to download yet.", print_exception=False)
        return saved(visit, made)


QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For handlers that answer at once, beside the queue of runs."""

PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick]');
  if (button) trigger('click', {pick: button.dataset.pick});
});
"""


def picked_number(event: gr.EventData) -> int | None:
    """Which thumbnail was clicked."""
    data = event._data if isinstance(event._data, dict) else {}
    pick = str(data.get("pick", ""))
    return int(pick) if pick.isdecimal() and len(pick) < 10 else None


def settings_of(
    prompt: str | None,
    seed: float | None,
    count: float | None,
    steps: float | None,
    upsampler_steps: float | None,
    guidance: float | None,
    sampler: str | None,
) -> dict[str, Any]:
    """What the fields say, as fields of a request; what is left empty is left out."""
    asked = {
        "prompt": prompt or "",
        "seed": _whole(seed),
        "n": _whole(count),
        "steps": _whole(steps),
        "upsampler_steps": _whole(upsampler_steps),
        "guidance": guidance,
        "sampler": sampler if sampler in SAMPLERS else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and float(value).is_integer() else value


def sentence(error: Exception) -> str:
    """An error of ours as a person reads it."""
    text = " ".join(str(error).split())
    return text[:1].upper() + text[1:]


def saved(visit: Visit, made: Made) -> tuple[Any, ...]:
    """Write a picture for its download, in the source's own format, and say what was written."""
    path = visit.file(html.file_name(made))
    if made.complete:
        receipt = made.result.save(path, made.index)
    else:
        save_picture(made.picture, path)
        receipt = None
    return html.downloaded(made, path.name, receipt), str(path)
