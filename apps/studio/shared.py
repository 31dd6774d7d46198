"""What all tabs share: the sessions, the loaded models, and how gradio's events reach their handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from apps.studio.eta import StepTimes
from apps.studio.loaded_models import LoadedModels
from apps.studio.sessions import Session, Sessions

Updates = dict[Any, Any]
"""New values by component: what a handler returns. Components that are left out stay as they are."""
UNQUEUED: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For handlers that answer at once, outside the queue of runs."""
ON_PICK_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick], [data-finish]');
  if (!button) return;
  const {pick, finish} = button.dataset;
  if (pick) trigger('click', {pick});
  else trigger('select', {pick: finish});
});
"""
"""A click on a picture triggers a click event with its name or number; on a draft, a select with its seed."""


@dataclass
class Studio:
    """The state of the whole process."""

    sessions: Sessions
    models: LoadedModels
    step_times: StepTimes = field(default_factory=StepTimes)

    def session(self, request: gr.Request) -> Session:
        return self.sessions.get(request.session_hash)

    def on(self, event: Any, function: Callable[..., Any], *wiring: Any, **settings: Any) -> Any:
        """Let an event call ``function(session, *inputs)``, by default outside the queue.

        ``wiring`` is the inputs and the outputs, as gradio takes them.
        """

        def handle(request: gr.Request, *values: Any) -> Any:
            return function(self.session(request), *values)

        return event(handle, *wiring, **UNQUEUED | settings)

    def on_pick(self, event: Any, function: Callable[..., Any], *wiring: Any, **settings: Any) -> Any:
        """Let an event of ``ON_PICK_JS`` call ``function(session, picked, *inputs)``."""

        def handle(request: gr.Request, data: gr.EventData, *values: Any) -> Any:
            picked = data._data.get("pick", "") if isinstance(data._data, dict) else ""
            return function(self.session(request), str(picked), *values)

        return event(handle, *wiring, **UNQUEUED | settings)
