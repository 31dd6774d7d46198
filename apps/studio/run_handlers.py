"""What happens between Run and the finished picture in a tab: the queue, the steps, Stop and the drafts."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.fields import request_fields, sentence
from apps.studio.panel import Panel, new_seed
from apps.studio.running import RunEnd, requests_for, run_steps
from apps.studio.sessions import HistoryEntry, Run, Session
from apps.studio.shared import UNQUEUED, Studio, Updates
from apps.studio.thumbnails import strip_html
from glide_edit.errors import GlideEditError
from glide_edit.requests import Request
from glide_edit.results import EditResult
from masks import MaskError

MIN_PREVIEW_INTERVAL = 0.15
"""Seconds; steps that come faster than a page can draw them are not all shown."""
WAITING = html.message("Waiting for the device…")
DEVICE_QUEUE = "device"
"""gradio's queue of all runs: one at a time."""

BuildRequest = Callable[..., Request]
"""From the session, the fields by name and the values of further inputs to a request."""


class RunHandlers:
    """The handlers of one tab. A click puts a ``Run`` in the queue; a second event carries it out.

    Run calls ``build(session, fields, *values of inputs)`` for the request, and repeats it at each of the
    ``strengths`` where the field "several" is ticked.
    """

    def __init__(
        self,
        studio: Studio,
        panel: Panel,
        build: BuildRequest,
        inputs: Sequence[Any] = (),
        strengths: Sequence[float] = (),
    ) -> None:
        self.studio = studio
        self.ui = panel
        self.strengths = strengths
        self.start_with(panel.run, build, inputs)
        # By the page itself: an answer of the server could come after that of the run's own end.
        panel.stop.click(None, None, panel.status, js=f"() => {html.message('Stopping…')!r}", **UNQUEUED)
        buttons = [panel.status, panel.run, panel.stop]
        studio.on(panel.stop.click, self._stop, None, buttons)
        picked = studio.on_pick(panel.strip.select, self._enqueue_draft, None, buttons)
        self._queue(picked, None, [])

    def start_with(self, button: gr.Button, build: BuildRequest, inputs: Sequence[Any]) -> None:
        """Let a button run what ``build`` makes of the fields and of the inputs."""
        ui = self.ui
        buttons = [ui.status, ui.run, ui.stop, ui.seed]
        clicked = self.studio.on(button.click, self._enqueue, [ui.keep_seed, ui.seed], buttons)
        self._queue(clicked, build, [*ui.fields.values(), *inputs])

    def _stop(self, session: Session) -> Updates:
        run = session.tab(self.ui.tab).run
        if run is None:
            return self.ui.run_buttons(is_running=False)
        run.is_stopped = True
        if run.is_started:
            return gr.skip()
        message = html.message("Stopped before its turn came.")
        return {self.ui.status: message, **self.ui.run_buttons(is_running=False)}

    def _queue(self, clicked: Any, build: BuildRequest | None, inputs: list[Any]) -> None:
        """After an event that made a ``Run``, carry it out in its turn; without ``build``, finish a draft."""
        ui = self.ui

        def carry_out(request: gr.Request, *values: Any) -> Iterator[Updates]:
            yield from self._carry_out(self.studio.session(request), build, values)

        done = clicked.success(
            carry_out,
            inputs,
            [ui.status, ui.view, ui.strip, ui.actions, ui.keep],
            concurrency_id=DEVICE_QUEUE,
            concurrency_limit=1,
            show_progress="minimal",
            show_progress_on=ui.status,
            api_visibility="private",
        )
        # Inputs that gradio itself refuses, such as a word for a number, never reach ``carry_out``.
        self.studio.on(done.failure, self._refused, None, ui.status)
        self.studio.on(done.then, self._done, None, [ui.run, ui.stop])

    def _enqueue(self, session: Session, keep_seed: bool, seed: float | None) -> Updates:
        session.tab(self.ui.tab).run = Run()
        new = seed if keep_seed else new_seed()
        return {self.ui.status: WAITING, self.ui.seed: new, **self.ui.run_buttons(is_running=True)}

    def _enqueue_draft(self, session: Session, seed: str) -> Updates:
        """A draft was clicked: finish it, unless something runs or waits already."""
        tab = session.tab(self.ui.tab)
        is_busy = tab.run is not None and not tab.run.is_stopped
        seeds = [str(each.seed) for each in tab.drafts.candidates] if tab.drafts is not None else []
        if is_busy or seed not in seeds:
            return gr.skip()
        tab.run = Run(int(seed))
        return {self.ui.status: WAITING, **self.ui.run_buttons(is_running=True)}

    def _carry_out(
        self, session: Session, build: BuildRequest | None, values: tuple[Any, ...]
    ) -> Iterator[Updates]:
        """Carry out the session's run, unless it was stopped while it waited, or another event made it."""
        run = session.tab(self.ui.tab).run
        if run is None or run.is_started or run.is_stopped or (run.draft_seed is None) != (build is not None):
            yield gr.skip()
            return
        run.is_started = True
        try:
            drafts = session.tab(self.ui.tab).drafts if build is None else None
            if drafts is not None and run.draft_seed is not None:
                yield from self._steps(session, run, drafts.request.alone(run.draft_seed), drafts)
            for request in self._requests(session, build, values) if build is not None else ():
                yield from self._steps(session, run, request)
                if run.is_stopped:
                    return
        except (GlideEditError, MaskError) as error:
            yield self._failed(session, sentence(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            name = type(error).__name__
            yield self._failed(
                session, f"Something went wrong that should not have ({name}). The studio keeps running."
            )
        finally:
            run.is_stopped = True

    def _requests(self, session: Session, build: BuildRequest, values: tuple[Any, ...]) -> Sequence[Request]:
        """The requests of a new run, which clears the strip."""
        count = len(self.ui.fields)
        fields = request_fields(self.ui.fields, values[:count])
        strengths = self.strengths if fields.pop("several", False) else ()
        requests = requests_for(build(session, fields, *values[count:]), strengths)
        session.tab(self.ui.tab).start_run()
        return requests

    def _steps(
        self, session: Session, run: Run, request: Request, drafts: EditResult | None = None
    ) -> Iterator[Updates]:
        """One request, or with ``drafts`` the finishing of one of its candidates, until its end or a stop."""
        editor, ui = self.studio.models.editor(session.model), self.ui
        shown, candidates = 0.0, None
        with closing(run_steps(editor, request, run, self.studio.step_times, drafts)) as steps:
            for step in steps:
                if isinstance(step, RunEnd):
                    yield self._ended(session, step, drafts)
                    continue
                if time.monotonic() - shown < MIN_PREVIEW_INTERVAL:
                    continue
                shown, progress = time.monotonic(), step.progress
                updates: Updates = {
                    ui.status: html.progress_message(progress, step.seconds_left, request),
                    ui.view: html.preview(step.preview, progress),
                }
                if drafts is None and len(progress.candidates) != candidates:
                    updates[ui.strip] = strip_html(session, ui.tab, progress.candidates)
                candidates = len(progress.candidates)
                yield updates

    def _ended(self, session: Session, end: RunEnd, drafts: EditResult | None) -> Updates:
        result, strip = end.result, session.tab(self.ui.tab)
        entries = [
            HistoryEntry(
                number=next(session.numbers),
                result=result,
                index=index,
                thumbnail=html.thumbnail(picture),
                closeup=html.closeup(picture, result.allowed),
                complete=end.complete,
            )
            for index, picture in enumerate(result.pictures)
        ]
        session.add(entries)
        strip.latest += [each.number for each in entries]
        if result.candidates:
            strip.drafts = result
        if drafts is not None and end.complete:
            strip.keep(entries[0].number)  # it was chosen: the next run does not remove it
        return {**self.ui.entry_shown(session, entries[0]), self.ui.actions: gr.Row(visible=True)}

    def _failed(self, session: Session, text: str) -> Updates:
        return {self.ui.status: html.message(text, "error"), self.ui.strip: strip_html(session, self.ui.tab)}

    def _refused(self, session: Session) -> str:
        run = session.tab(self.ui.tab).run
        if run is not None:
            run.is_stopped = True
        return html.message(
            "The page sent something that cannot be read: change what you asked for.", "error"
        )

    def _done(self, session: Session) -> Updates:
        """The run is over; Stop stays where another one waits already."""
        run = session.tab(self.ui.tab).run
        return self.ui.run_buttons(is_running=run is not None and not run.is_stopped)
