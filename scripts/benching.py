"""What the benches of this folder share: options, rows of tables, bootstrap intervals, peak memory."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from glide_edit.toybox import Scene, caption, sample_scene

RESAMPLES = 2000


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """The options of ``scripts/bench NAME``; its description is shown as it is written."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(f"scripts/bench {name}", description=description, formatter_class=raw)


def print_row(cells: Iterable[object]) -> None:
    """A row of a Markdown table, as soon as it is known."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_header(names: Iterable[object]) -> None:
    names = list(names)
    print_row(names)
    print_row(["---"] * len(names))


def resampled_means(values: NDArray[np.float64], resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """(N, ...) -> (resamples, ...): means of bootstrap samples of the rows, always the same ones."""
    chosen = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    return values[chosen].mean(1)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of (N,) values."""
    low, high = np.quantile(resampled_means(values), (0.025, 0.975))
    return float(low), float(high)


def unseen_prompts(first: int, count: int) -> tuple[list[Scene], list[str]]:
    """The scenes of seeds ``first``, ``first`` + 1, ..., and a caption of each."""
    scenes = [sample_scene(first + k) for k in range(count)]
    return scenes, [caption(scene, k) for k, scene in enumerate(scenes)]


def own_peak() -> float:
    """The peak memory of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform != "darwin" else 2**30)


def peak_of(script: str, *arguments: str) -> float:
    """What a fresh process of the script prints when called with ``--once``: its peak memory in GiB."""
    command = [sys.executable, script, "--once", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
