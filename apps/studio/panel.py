"""The right half of every tab that makes pictures: words, seed, Run and Stop, and what comes of it."""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
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
from glide_edit.images import default_output_suffix, save_picture
from glide_edit.requests import Request
from masks import MaskError

LARGEST_DICE = 1_000_000
"""Seeds that the dice throws are short enough to read aloud."""
MOST_CANDIDATES = 8
SETTINGS = 8
"""How many values ``settings_of`` takes."""
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


BuildRequest = Callable[..., Request | Sequence[Request]]
"""From the visit, the settings and the values of the tab's own inputs to a request, or to several in turn."""


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
            self.format = format_choice(f"{self.name}-format")
        self.file = gr.DownloadButton("File", elem_id=f"{self.name}-file", elem_classes="ge-out-of-sight")
        self._lay_out_rest()

    def _lay_out_rest(self) -> None:
        with gr.Accordion("More settings", open=False, elem_classes="ge-more", elem_id=f"{self.name}-more"):
            self.negative = gr.Textbox(
                label="What should not be there",
                lines=1,
                max_lines=2,
                elem_id=f"{self.name}-negative",
                elem_classes="ge-prompt",
            )
            with gr.Row(elem_classes="ge-tools"):
                self.steps = self._number("Steps", "steps", least=1, precision=0)
                self.upsampler_steps = self._number("Upsampler steps", "upsampler-steps", 1, precision=0)
                self.guidance = self._number("Guidance", "guidance", least=0)
                self.sampler = gr.Dropdown(
                    ["the model's", *SAMPLERS], value="the model's", label="Sampler", min_width=110
                )
            gr.HTML('<p class="ge-note">What is left empty is the model\'s own choice.</p>')

    def _number(self, label: str, name: str, least: float, precision: int | None = None) -> gr.Number:
        """An empty field for a number."""
        return gr.Number(
            None,
            label=label,
            minimum=least,
            precision=precision,
            elem_classes="ge-number",
            elem_id=f"{self.name}-{name}",
        )

    # -- what it does -------------------------------------------------------------------------------

    def wire(self, inputs: list[Any]) -> None:
        """Join the parts; ``inputs`` are the tab's own components, handed to the function that builds."""
        self.start_with(self.run, self._build, inputs)
        # Said by the page itself: the server's word could come after that of the run's own end.
        self.stop.click(None, None, self.status, js=f"() => {html.said('Stopping…')!r}", **QUIET)
        self.stop.click(self._stop, None, [self.status, self.run, self.stop], **QUIET)
        self.dice.click(lambda: secrets.randbelow(LARGEST_DICE), None, self.seed, **QUIET)
        self.strip.click(self._pick, None, [self.status, self.view, self.strip], **QUIET)
        self.download.click(self._save, self.format, [self.status, self.file], **QUIET).success(
            None, None, None, js=f"() => document.querySelector('#{self.name}-file').click()", **QUIET
        )

    def start_with(self, button: gr.Button, build: BuildRequest, inputs: list[Any]) -> None:
        """Let a button start a run of what ``build`` makes of the settings and of ``inputs``."""
        settings = [self.prompt, self.negative, self.seed, self.count, self.steps, self.upsampler_steps]
        settings += [self.guidance, self.sampler]
        entered = button.click(
            self._enter, [self.lock, self.seed], [self.status, self.run, self.stop, self.seed], **QUIET
        )
        entered.success(
            self._runner(build),
            [*settings, *inputs],
            [self.status, self.view, self.strip, self.actions],
            concurrency_id=DEVICE,
            concurrency_limit=1,
            show_progress="minimal",
            show_progress_on=self.status,
            api_visibility="private",
        ).then(self._leave, None, [self.run, self.stop], **QUIET)

    def picked(self, visit: Visit) -> Made | None:
        """The picture that is looked at in this tab."""
        return visit.find(visit.picked.get(self.name))

    def _enter(self, keep_seed: bool, seed: float | None, request: gr.Request) -> tuple[Any, ...]:
        """Run was pressed: from now on it waits for its turn."""
        self.studio.visit(request).tickets[self.name] = Ticket()
        new = seed if keep_seed else secrets.randbelow(LARGEST_DICE)
        return html.said("Waiting for the device…"), gr.Button(visible=False), gr.Button(visible=True), new

    def _runner(self, build: BuildRequest) -> Callable[..., Iterator[tuple[Any, ...]]]:
        def run(request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
            yield from self._run(self.studio.visit(request), build, values)

        return run

    def _run(self, visit: Visit, build: BuildRequest, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        ticket = visit.tickets.get(self.name)
        if ticket is None or ticket.started or ticket.is_stopped:
            yield self._show(gr.skip(), gr.skip())
            return
        ticket.started = True
        try:
            asked = build(visit, settings_of(*values[:SETTINGS]), *values[SETTINGS:])
            yield from self._steps(visit, ticket, [asked] if isinstance(asked, Request) else asked)
        except (GlideEditError, MaskError) as error:
            yield self._failed(sentence(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            yield self._failed(
                f"Something went wrong that should not have ({type(error).__name__}). The studio goes on."
            )
        finally:
            ticket.stop()

    def _steps(self, visit: Visit, ticket: Ticket, requests: Sequence[Request]) -> Iterator[tuple[Any, ...]]:
        editor = self.studio.shelf.editor(visit.model)
        visit.shown[self.name] = ()
        shown = 0.0
        for request in requests:
            with closing(follow(editor, request, ticket, self.studio.pace)) as moments:
                for moment in moments:
                    if isinstance(moment, Ending):
                        yield self._ended(visit, moment)
                        continue
                    if time.monotonic() - shown < LEAST_SHOWN:
                        continue
                    shown, event = time.monotonic(), moment.progress
                    says = html.working(event, moment.left, request.n)
                    yield self._show(says, html.preview(moment.shown, event))
            if ticket.is_stopped:
                return

    def _ended(self, visit: Visit, ending: Ending) -> tuple[Any, ...]:
        result = ending.result
        new = [
            Made(next(visit.numbers), result, index, html.thumbnail(picture), ending.complete)
            for index, picture in enumerate(result.pictures)
        ]
        visit.keep(new)
        visit.shown[self.name] = (*visit.shown[self.name], *(each.number for each in new))
        visit.picked[self.name] = new[0].number
        return self._show(html.ended(new[0]), html.picture(new[0]), self._strip(visit), gr.Row(visible=True))

    def _show(self, status: Any, view: Any, strip: Any = None, actions: Any = None) -> tuple[Any, ...]:
        return status, view, *(gr.skip() if value is None else value for value in (strip, actions))

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
            return gr.skip(), gr.skip(), gr.skip()
        return html.said("Stopped before its turn came."), gr.Button(visible=True), gr.Button(visible=False)

    def _pick(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        made = visit.find(picked_number(event))
        if made is None:
            return gr.skip(), gr.skip(), gr.skip()
        visit.picked[self.name] = made.number
        return html.ended(made), html.picture(made), self._strip(visit)

    def _save(self, chosen: str, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        return saved(visit, self.picked(visit), chosen)


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
    negative: str | None,
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
        "negative_prompt": (negative or "").strip() or None,
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


def sentence(said: Exception | str) -> str:
    """An error or a finding of ours as a person reads it."""
    text = " ".join(str(said).split())
    return text[:1].upper() + text[1:]


LOSSLESS = "without loss"
FORMATS = {"JPEG": ".jpg", "WebP": ".webp"}


def format_choice(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [LOSSLESS, *FORMATS],
        value=LOSSLESS,
        label="Format of the download",
        min_width=110,
        elem_id=name,
    )


def saved(visit: Visit, made: Made | None, chosen: str) -> tuple[Any, ...]:
    """Write a picture for its download, as PNG (TIFF where it was one) or in the format chosen, and say what
    was written."""
    if made is None:
        raise gr.Error("There is nothing to download yet.", print_exception=False)
    suffix = FORMATS.get(chosen) or default_output_suffix(made.picture)
    path = visit.file(f"{made.result.request.operation}-{made.seed}{suffix}")
    try:
        if not made.complete:
            save_picture(made.picture, path)
            return html.downloaded(path.name, None, None), str(path)
        missing = made.result.missing_from(path, made.index)
        receipt = made.result.save(path, made.index)
    except GlideEditError as error:
        raise gr.Error(sentence(error), print_exception=False) from error
    return html.downloaded(path.name, receipt, missing), str(path)
