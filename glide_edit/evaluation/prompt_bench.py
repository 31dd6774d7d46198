"""The prompt bench: how often a model draws what plain prompts ask for, judged beside real renders."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.distances import frechet_distance, kernel_distance
from glide_edit.evaluation.drawing import Pictures, Settings, Size, check_settings, draw
from glide_edit.evaluation.prompts import FAULTS, KINDS_OF_QUESTION, Question, check, fault, mark, questions
from glide_edit.evaluation.report import Report, Table, Tile, against_real
from glide_edit.evaluation.seen import Seen
from glide_edit.evaluation.verifier import ABOUT_NAME, SHIPPED, Verifier
from glide_edit.models.model import Model
from glide_edit.toybox import render

VERSION = 1
"""Goes up with every change that changes numbers."""

SHOWN = 24
"""Pictures of a kind on its contact sheet: the first ones, none picked."""

Draw = Callable[[Sequence[Question], float | None], Iterator[Pictures]]
"""(questions, guidance) -> their pictures in order, in batches; guidance None is the subject's own."""


@dataclass(frozen=True)
class Plan:
    """What is asked, and how: ``count`` questions of each of ``kinds``.

    ``seed`` is the first picture's of each kind, ``guidance`` the scales that are tried one after the other,
    None for the model's own. The report's measures are those of the first.

    Raises:
        InputError: no kinds or scales, or one twice; a negative seed; what ``check`` refuses.
    """

    kinds: tuple[str, ...] = tuple(KINDS_OF_QUESTION)
    count: int = 256
    seed: int = 0
    size: Size = "base"
    guidance: tuple[float | None, ...] = (None,)

    def __post_init__(self) -> None:
        for what, values in (("kinds of question", self.kinds), ("guidance scales", self.guidance)):
            if not values or len(set(values)) < len(values):
                raise InputError(f"The {what} must be one or more, each named once, not {list(values)}.")
        for kind in self.kinds:
            check(kind, self.count)
        if self.seed < 0:
            raise InputError(f"A seed is 0 or more, not {self.seed}.")


@dataclass(frozen=True)
class Subject:
    """What is measured: its label, the width of its pictures, and how it draws."""

    label: str
    pixels: int
    draw: Draw


@dataclass
class Judged:
    """Questions of a kind that have a picture, and what the verifier says of each.

    ``features`` (N, D) are the verifier's; of the pictures only the first ``SHOWN`` are kept.
    """

    questions: list[Question] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    features: list[NDArray[np.float32]] = field(default_factory=list)
    pictures: list[Pictures] = field(default_factory=list)

    def add(self, verifier: Verifier, asked: Sequence[Question], pictures: Pictures) -> None:
        self.questions += asked
        self.seen += verifier.see(pictures)
        self.features += list(verifier.features(pictures))
        self.pictures += list(pictures[: max(0, SHOWN - len(self.pictures))])

    def first(self, count: int) -> Judged:
        """Of the first ``count`` questions alone."""
        return Judged(*(values[:count] for values in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Point:
    """What was drawn at one guidance scale, and the real renders of the same questions, by kind."""

    guidance: float | None
    drawn: Mapping[str, Judged]
    real: Mapping[str, Judged]

    @cached_property
    def measures(self) -> dict[str, float]:
        """The flat measures: scores, and the distances of all drawn pictures to all real ones."""
        found: dict[str, float] = {}
        for kind, judged in self.drawn.items():
            found |= against_real(scores(judged), scores(self.real[kind]))
        x, y = (
            np.stack([row for judged in each.values() for row in judged.features])
            for each in (self.drawn, self.real)
        )
        if len(x) > 1:
            kernel = kernel_distance(x, y)
            found |= {
                "kernel_distance": kernel.value,
                "kernel_distance_low": kernel.low,
                "kernel_distance_high": kernel.high,
                "frechet_distance": frechet_distance(x, y, resamples=2).value,
            }
        return found

    def accuracy(self) -> float:
        """The mean over the kinds of the share that is right, divided by real renders' share."""
        pairs = [(right(judged), right(self.real[kind])) for kind, judged in self.drawn.items()]
        return float(np.mean([share / real if real else math.nan for share, real in pairs]))


@dataclass(frozen=True, eq=False)
class Outcome:
    """The report, and what else can be made of the run: a point for each guidance scale that was begun."""

    report: Report
    points: tuple[Point, ...]

    def sheets(self) -> dict[str, list[Tile]]:
        """For each scale and kind the first pictures, drawn and real, with prompt and verdict, by name."""
        named = {}
        for point in self.points:
            suffix = "" if point.guidance is None else f"-guidance-{point.guidance:g}"
            for kind, judged in point.drawn.items():
                named[f"{kind}{suffix}"] = _tiles(judged, point.real[kind])
        return named


def of_model(model: Model, plan: Plan) -> Subject:
    """The model as a subject, drawn as the plan says. Raises what ``check_settings`` raises."""
    for scale in plan.guidance:
        check_settings(model, Settings(guidance=scale))
    stages = model.spec.cascade(inpainting=False)

    def drawn(asked: Sequence[Question], guidance: float | None) -> Iterator[Pictures]:
        prompts = [question.prompt for question in asked]
        seeds = range(plan.seed, plan.seed + len(asked))
        return draw(model, prompts, seeds, Settings(guidance=guidance), plan.size)

    return Subject(model.label, stages[0 if plan.size == "base" else -1].config.image_size, drawn)


def renders(asked: Sequence[Question], pixels: int) -> Pictures:
    """The real pictures of the questions, uint8 (B, pixels, pixels, 3)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(lambda each: render(each.scene, pixels, threads=1).image, asked)))


def run(subject: Subject, plan: Plan, progress: Callable[[int, int], None] | None = None) -> Outcome:
    """Ask, draw and judge; ``progress`` is called with (done, count) of the pictures.

    A KeyboardInterrupt ends the run early: the outcome is of what was finished, its report not complete.

    Raises:
        InputError: what the subject's ``draw`` refuses.
        KeyboardInterrupt: before anything was finished.
    """
    began = time.perf_counter()
    verifier = Verifier.load()
    asked = {kind: questions(kind, plan.count) for kind in plan.kinds}
    real: dict[str, Judged] = {}
    drawn: dict[float | None, dict[str, Judged]] = {}
    complete = True
    try:
        total, done = len(plan.guidance) * plan.count * len(asked), 0
        for guidance in plan.guidance:
            for kind, of_kind in asked.items():
                if kind not in real:
                    real[kind] = Judged()
                    real[kind].add(verifier, of_kind, renders(of_kind, subject.pixels))
                judged = Judged()
                for pictures in subject.draw(of_kind, guidance):
                    judged.add(verifier, of_kind[len(judged.questions) :][: len(pictures)], pictures)
                    drawn.setdefault(guidance, {})[kind] = judged
                    done += len(pictures)
                    if progress is not None:
                        progress(done, total)
    except KeyboardInterrupt:
        if not drawn:
            raise
        complete = False
    points = [
        Point(
            guidance, by_kind, {kind: real[kind].first(len(each.questions)) for kind, each in by_kind.items()}
        )
        for guidance, by_kind in drawn.items()
    ]
    report = Report(
        bench="prompts",
        model=subject.label,
        protocol=_protocol(plan, subject.pixels, asked),
        measures=points[0].measures,
        tables=_tables(points),
        seconds=time.perf_counter() - began,
        complete=complete,
        details={"guidance": [{"scale": point.guidance, **point.measures} for point in points]},
    )
    return Outcome(report, tuple(points))


def scores(judged: Judged) -> dict[str, float]:
    """The share that is right by measure, of the pictures where it can be asked; NaN where there are none."""
    marks = [mark(question, seen) for question, seen in zip(judged.questions, judged.seen, strict=True)]
    answers = {name: [each[name] for each in marks] for name in marks[0]}
    asked = {name: [answer for answer in each if answer is not None] for name, each in answers.items()}
    return {name: float(np.mean(each)) if each else math.nan for name, each in asked.items()}


def right(judged: Judged) -> float:
    """The share of the pictures on which nothing asked for is wrong."""
    return float(np.mean([fault(*each) is None for each in zip(judged.questions, judged.seen, strict=True)]))


def curve(points: Sequence[Point], title: str) -> bytes:
    """Accuracy against kernel distance, a dot for each guidance scale, as a PNG.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "The curve needs the package matplotlib: pip install 'glide-edit[train]'."
        ) from error
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    x = [1000 * point.measures["kernel_distance"] for point in points]
    y = [point.accuracy() for point in points]
    axes.plot(x, y, marker="o")
    for point, place in zip(points, zip(x, y, strict=True), strict=True):
        axes.annotate(_scale(point.guidance), place, textcoords="offset points", xytext=(6, 4))
    axes.set(xlabel="kernel distance x 1000", ylabel="right, of what real renders get", title=title)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _protocol(plan: Plan, pixels: int, asked: Mapping[str, Sequence[Question]]) -> dict[str, Any]:
    text = json.dumps([[each.prompt, each.scene.to_json()] for kind in asked.values() for each in kind])
    about = json.loads((SHIPPED / ABOUT_NAME).read_text(encoding="utf-8"))
    return {
        "version": VERSION,
        "kinds": list(plan.kinds),
        "count": plan.count,
        "seed": plan.seed,
        "size": plan.size,
        "pixels": pixels,
        "guidance": list(plan.guidance),
        "questions": hashlib.sha256(text.encode()).hexdigest(),
        "crop": "none",
        "resize": f"to {about['image_size']} px, by areas down, bicubic up",
        "split": "unseen scenes, seeds from 500,000",
        "extractor": f"verifier {about['sha256']}",
    }


def _tables(points: Sequence[Point]) -> tuple[Table, ...]:
    tables = [_by_kind(point) for point in points]
    if len(points) > 1:
        rows = []
        for point in points:
            found = point.measures
            rows.append(
                (
                    _scale(point.guidance),
                    point.accuracy(),
                    1000 * found["kernel_distance"],
                    found["frechet_distance"],
                )
            )
        header = ("guidance", "accuracy", "kernel distance x 1000", "Frechet distance")
        tables.append(Table("accuracy against distance", header, tuple(rows)))
    return tuple(tables)


def _by_kind(point: Point) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for kind, judged in point.drawn.items():
        pairs = list(zip(judged.questions, judged.seen, strict=True))
        faults = [fault(*pair) for pair in pairs]
        more = [len(seen.objects) > len(question.wanted) for question, seen in pairs]
        all_right, all_real = right(judged), right(point.real[kind])
        ratio = all_right / all_real if all_real else math.nan
        shares = (faults.count(name) / len(faults) for name in FAULTS)
        about = f"{kind}: {KINDS_OF_QUESTION[kind].about}"
        rows.append((about, len(pairs), all_right, all_real, ratio, *shares, float(np.mean(more))))
    header = ("question", "pictures", "right", "real renders", "right of real", *FAULTS, "more objects")
    return Table(f"by kind of question, guidance {_scale(point.guidance)}", header, tuple(rows))


def _scale(guidance: float | None) -> str:
    return "of the preset" if guidance is None else f"{guidance:g}"


def _tiles(judged: Judged, real: Judged) -> list[Tile]:
    """Of each question the drawn picture beside the real one."""
    rows = zip(judged.questions, judged.seen, judged.pictures, real.pictures, strict=False)
    return [
        Tile((picture, other), f"{question.prompt}\n{fault(question, seen) or 'right'}")
        for question, seen, picture, other in rows
    ]
