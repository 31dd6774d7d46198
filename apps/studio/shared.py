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
"""Clicking a picture triggers a click event with its name or number; a draft, a select event with its seed."""


@dataclass
class Studio:
    """The state of the whole process."""

    sessions: Sessions
    models: LoadedModels
    step_times: StepTimes = field(default_factory=StepTimes)

    def session(self, request: gr.Request) -> Session:
        return self.sessions.get(request.session_hash)

    def handler(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """An event handler that calls ``function(session, *inputs)``."""

        def handle(request: gr.Request, *inputs: Any) -> Any:
            return function(self.session(request), *inputs)

        return handle

    def pick_handler(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same for events of ``ON_PICK_JS``: calls ``function(session, picked, *inputs)``."""

        def handle(request: gr.Request, event: gr.EventData, *inputs: Any) -> Any:
            data = event._data if isinstance(event._data, dict) else {}
            return function(self.session(request), str(data.get("pick", "")), *inputs)

        return handle
