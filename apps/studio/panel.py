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
from apps.studio.download import format_choice, saved
from apps.studio.fields import SETTINGS, sentence, settings_of
from apps.studio.pace import Pace
from apps.studio.running import Ending, follow
from apps.studio.shelf import Shelf
from apps.studio.strip import strip
from apps.studio.visits import Made, Ticket, Visit, Visits
from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import GlideEditError
from glide_edit.operations.rerank import as_candidates
from glide_edit.requests import Request
from glide_edit.results import Candidate, EditResult
from masks import MaskError

LARGEST_DICE = 1_000_000
"""Seeds that the dice throws are short enough to read aloud."""
LEAST_SHOWN = 0.15
"""Seconds; steps that come faster than a page can draw them are not all shown."""
KEEP, LET_GO = "Keep in the strip", "Let go of it"
WAITING = html.said("Waiting for the device…")
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
    """Its parts are laid out by ``lay_out`` and joined by ``wire``; ``name`` tells tabs apart.

    ``count`` is what several pictures are called: candidates are drawn small and ranked, and the best is
    finished.
    """

    def __init__(
        self, studio: Studio, name: str, build: BuildRequest, hint: str, count: str = "Candidates"
    ) -> None:
        self.studio = studio
        self.name = name
        self._build = build
        self._hint = hint
        self._count = count

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
                7, label="Seed", precision=0, elem_classes="ge-number", elem_id=f"{self.name}-seed"
            )
            self.dice = gr.Button("New seed", size="sm", min_width=80, elem_id=f"{self.name}-dice")
            self.lock = gr.Checkbox(
                True, label="Keep it", elem_classes="ge-check", elem_id=f"{self.name}-lock", container=False
            )
            self.count = gr.Number(
                1,
                label=self._count,
                precision=0,
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
            self.keep = gr.Button(KEEP, size="sm", elem_id=f"{self.name}-keep")
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
                self.steps = self._number("Steps", "steps", precision=0)
                self.upsampler_steps = self._number("Upsampler steps", "upsampler-steps", precision=0)
                self.guidance = self._number("Guidance", "guidance")
                self.sampler = gr.Dropdown(
                    ["the model's", *SAMPLERS], value="the model's", label="Sampler", min_width=110
                )
            gr.HTML('<p class="ge-note">What is left empty is the model\'s own choice.</p>')

    def _number(self, label: str, name: str, precision: int | None = None) -> gr.Number:
        """An empty field for a number. What is out of range is said by the request, in the page."""
        return gr.Number(
            None,
            label=label,
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
        self.strip.click(self._pick, None, [self.status, self.view, self.strip, self.keep], **QUIET)
        self.keep.click(self._put_aside, None, [self.strip, self.keep], **QUIET)
        chosen = self.strip.select(self._choose, None, [self.status, self.run, self.stop], **QUIET)
        self._go_on(chosen, self._finish, [])
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
        self._go_on(entered, self._runner(build), [*settings, *inputs])

    def _go_on(self, entered: Any, run: Callable[..., Iterator[tuple[Any, ...]]], inputs: list[Any]) -> None:
        """After an event that took a ticket: what it is for, when its turn comes."""
        done = entered.success(
            run,
            inputs,
            [self.status, self.view, self.strip, self.actions, self.keep],
            concurrency_id=DEVICE,
            concurrency_limit=1,
            show_progress="minimal",
            show_progress_on=self.status,
            api_visibility="private",
        )
        # What gradio itself refuses, such as a word where a number belongs, never comes to the run.
        done.failure(self._refused, None, self.status, **QUIET)
        done.then(self._leave, None, [self.run, self.stop], **QUIET)

    def picked(self, visit: Visit) -> Made | None:
        """The picture that is looked at in this tab."""
        return visit.find(visit.picked.get(self.name))

    def _enter(self, keep_seed: bool, seed: float | None, request: gr.Request) -> tuple[Any, ...]:
        """Run was pressed: from now on it waits for its turn."""
        self.studio.visit(request).tickets[self.name] = Ticket()
        new = seed if keep_seed else secrets.randbelow(LARGEST_DICE)
        return WAITING, gr.Button(visible=False), gr.Button(visible=True), new

    def _runner(self, build: BuildRequest) -> Callable[..., Iterator[tuple[Any, ...]]]:
        def run(request: gr.Request, *values: Any) -> Iterator[tuple[Any, ...]]:
            yield from self._run(self.studio.visit(request), build, values)

        return run

    def _run(self, visit: Visit, build: BuildRequest, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        def draw(ticket: Ticket) -> Iterator[tuple[Any, ...]]:
            asked = build(visit, settings_of(*values[:SETTINGS]), *values[SETTINGS:])
            several = [as_candidates(asked)] if isinstance(asked, Request) else asked
            visit.strip(self.name).begin()
            for request in several:
                yield from self._steps(visit, ticket, request)
                if ticket.is_stopped:
                    return

        yield from self._in_turn(visit, draw, finishes=False)

    def _finish(self, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """Finish the candidate that was chosen."""
        visit = self.studio.visit(request)

        def finish(ticket: Ticket) -> Iterator[tuple[Any, ...]]:
            drawn = visit.strip(self.name).drawn
            assert drawn is not None, "a candidate was chosen from what a run has drawn"
            assert ticket.seed is not None
            yield from self._steps(visit, ticket, drawn.request.alone(ticket.seed), drawn)

        yield from self._in_turn(visit, finish, finishes=True)

    def _in_turn(
        self, visit: Visit, work: Callable[[Ticket], Iterator[tuple[Any, ...]]], *, finishes: bool
    ) -> Iterator[tuple[Any, ...]]:
        """The turn has come: do what the ticket is for, unless it was stopped while it waited."""
        ticket = visit.tickets.get(self.name)
        if ticket is None or ticket.started or ticket.is_stopped or (ticket.seed is not None) != finishes:
            yield self._show(gr.skip(), gr.skip())
            return
        ticket.started = True
        try:
            yield from work(ticket)
        except (GlideEditError, MaskError) as error:
            yield self._failed(visit, sentence(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            yield self._failed(
                visit,
                f"Something went wrong that should not have ({type(error).__name__}). The studio goes on.",
            )
        finally:
            ticket.stop()

    def _steps(
        self, visit: Visit, ticket: Ticket, request: Request, drawn: EditResult | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """One request, or with ``drawn`` the finishing of a candidate of it, until its end or a stop."""
        editor = self.studio.shelf.editor(visit.model)
        shown, candidates = 0.0, None
        with closing(follow(editor, request, ticket, self.studio.pace, drawn)) as moments:
            for moment in moments:
                if isinstance(moment, Ending):
                    yield self._ended(visit, moment, drawn)
                    continue
                if time.monotonic() - shown < LEAST_SHOWN:
                    continue
                shown, event = time.monotonic(), moment.progress
                new = None if len(event.candidates) == candidates or drawn else event.candidates
                candidates = len(event.candidates)
                says = html.working(event, moment.left, request)
                yield self._show(says, html.preview(moment.shown, event), self._drawing(visit, new))

    def _drawing(self, visit: Visit, candidates: Sequence[Candidate] | None) -> Any:
        """The strip of a run that is on its way, where there is something new to see in it."""
        return None if candidates is None else strip(visit, self.name, candidates)

    def _ended(self, visit: Visit, ending: Ending, drawn: EditResult | None) -> tuple[Any, ...]:
        result, mine = ending.result, visit.strip(self.name)
        new = [
            Made(
                number=next(visit.numbers),
                result=result,
                index=index,
                thumbnail=html.thumbnail(picture),
                closeup=html.closeup(picture, result.allowed),
                complete=ending.complete,
            )
            for index, picture in enumerate(result.pictures)
        ]
        visit.keep(new)
        mine.made += [each.number for each in new]
        visit.picked[self.name] = new[0].number
        if result.candidates:
            mine.drawn = result
        if drawn is not None and ending.complete:
            mine.put_aside(new[0].number)  # it was chosen: the next run does not take it away
        shown = html.ended(new[0]), html.picture(new[0]), strip(visit, self.name)
        return self._show(*shown, gr.Row(visible=True), self._keeping(visit))

    def _show(self, *values: Any) -> tuple[Any, ...]:
        """Status, view, strip, actions and Keep; what is None or left out stays as it is."""
        missing = (None,) * (5 - len(values))
        return tuple(gr.skip() if value is None else value for value in (*values, *missing))

    def _failed(self, visit: Visit, says: str) -> tuple[Any, ...]:
        return self._show(html.said(says, "error"), gr.skip(), strip(visit, self.name))

    def _keeping(self, visit: Visit) -> gr.Button:
        is_kept = visit.picked.get(self.name) in visit.strip(self.name).kept
        return gr.Button(LET_GO if is_kept else KEEP)

    def _refused(self, request: gr.Request) -> str:
        ticket = self.studio.visit(request).tickets.get(self.name)
        if ticket is not None:
            ticket.stop()
        return html.said("The page sent something that cannot be read: change what you asked for.", "error")

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
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        visit.picked[self.name] = made.number
        return html.ended(made), html.picture(made), strip(visit, self.name), self._keeping(visit)

    def _choose(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """A candidate's draft was pressed: it waits to be finished, unless something else waits already."""
        visit, seed = self.studio.visit(request), picked_number(event)
        ticket, drawn = visit.tickets.get(self.name), visit.strip(self.name).drawn
        is_busy = ticket is not None and not ticket.is_stopped
        if is_busy or drawn is None or seed not in [each.seed for each in drawn.candidates]:
            return gr.skip(), gr.skip(), gr.skip()
        visit.tickets[self.name] = Ticket(seed)
        return WAITING, gr.Button(visible=False), gr.Button(visible=True)

    def _put_aside(self, request: gr.Request) -> tuple[Any, ...]:
        """Keep the picture that is looked at in the strip, or let go of it."""
        visit = self.studio.visit(request)
        made, mine = self.picked(visit), visit.strip(self.name)
        if made is None:
            return gr.skip(), gr.skip()
        if made.number in mine.kept:
            mine.kept.remove(made.number)
        else:
            mine.put_aside(made.number)
        return strip(visit, self.name), self._keeping(visit)

    def _save(self, chosen: str, request: gr.Request) -> tuple[Any, ...]:
        visit = self.studio.visit(request)
        return saved(visit, self.picked(visit), chosen)


QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For handlers that answer at once, beside the queue of runs."""

PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick], [data-finish]');
  if (!button) return;
  const {pick, finish} = button.dataset;
  if (pick) trigger('click', {pick});
  else trigger('select', {pick: finish});
});
"""
"""A press on a picture is a click, with its number; one on a draft a select, with its seed."""


def picked_number(event: gr.EventData) -> int | None:
    """Which thumbnail was pressed."""
    data = event._data if isinstance(event._data, dict) else {}
    pick = str(data.get("pick", ""))
    return int(pick) if pick.isdecimal() and len(pick) < 20 else None
