"""A run's log: numbers every few steps, and their plot."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from glide_edit.errors import TrainingError
from glide_edit.training.checkpoint import Progress

LOG_NAME = "log.jsonl"
PATIENCE = 50
"""After this many steps in a row without a finite gradient a run is given up."""


class RunLog:
    """The run's log, one JSON record a line. Records later than the checkpoint's step are cut off."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._losses: list[float] = []
        self._norm = math.nan
        self._skipped = 0
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= step]
        if kept != lines:
            temporary = path.with_suffix(".tmp")
            temporary.write_text("".join(kept), encoding="utf-8")
            os.replace(temporary, path)

    def add(self, loss: float, norm: float) -> None:
        """Raises TrainingError after ``PATIENCE`` steps in a row without a finite gradient."""
        if math.isfinite(norm):
            self._losses.append(loss)
            self._norm = norm
            self._skipped = 0
            return
        self._skipped += 1
        if self._skipped == PATIENCE:
            raise TrainingError(
                f"The loss has not been a number for {PATIENCE} steps: "
                "begin again in another --out folder, with a lower learning rate."
            )

    def write(self, progress: Progress, rate: float) -> dict[str, Any] | None:
        """Write and return the record of the steps since the last one; None if all of them were skipped."""
        if not self._losses:
            return None
        record = {
            **asdict(progress),
            "loss": sum(self._losses) / len(self._losses),
            "grad_norm": self._norm,
            "learning_rate": rate,
            "views_per_second": progress.views / max(progress.seconds, 1e-9),
        }
        self._losses.clear()
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return record


def _step_of(line: str) -> float:
    """The step of a record, or infinity for a line that is incomplete."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf


def loss_plot(log: Path, path: Path) -> None:
    """Plot the loss of a JSONL log against views, if matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if len(records) < 2:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    views = [record["views"] for record in records]
    losses = np.array([record["loss"] for record in records])
    width = max(1, len(losses) // 50)
    axes.plot(views, losses, linewidth=0.5, alpha=0.4)
    if len(losses) > width:
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        axes.plot(views[width - 1 :], smooth, linewidth=1.5)
    axes.set(xlabel="views", ylabel="weighted loss", yscale="log", title=log.parent.name)
    axes.grid(alpha=0.3)
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)
