"""The prompt bench: how often a model draws what plain prompts ask for, judged beside real renders."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.distances import frechet_distance, kernel_distance
from glide_edit.evaluation.drawing import Pictures, Settings, Size, check_settings, draw
from glide_edit.evaluation.inception import InceptionDistance
from glide_edit.evaluation.item_bench import Tell, until_interrupted
from glide_edit.evaluation.prompts import (
    FAULTS,
    KINDS_OF_QUESTION,
    MOST,
    PLAIN_KINDS,
    SCENES,
    Question,
    check,
    fault,
    mark,
    questions,
)
from glide_edit.evaluation.report import Report, Table, Tile, against_real
from glide_edit.evaluation.reranking import check_clip, draw_best
from glide_edit.evaluation.seen import Seen
from glide_edit.evaluation.verifier import Verifier, how_judged
from glide_edit.models.model import Model
from glide_edit.toybox import render

VERSION = 2
"""Goes up with every change that changes numbers."""

SHOWN = 24
"""Pictures of a kind on its contact sheet: the first ones, none picked."""

Draw = Callable[[Sequence[Question], Settings], Iterator[Pictures]]
"""(questions, how they are guided) -> their pictures in order, in batches."""

_RESAMPLES = 1000


@dataclass(frozen=True)
class PromptProtocol:
    """What is asked, and how: ``count`` questions of each of ``kinds``.

    ``seed`` is the first picture's of each kind. ``guidance`` are the scales of classifier-free guidance and
    ``clip_guidance`` those of guidance by the model's CLIP; None is the model's own. Every one of the former
    is tried with every one of the latter. The report's measures are those of the first pair. Raises
    InputError without kinds or scales, for one named twice, a negative seed, and what ``check`` refuses.
    """

    kinds: tuple[str, ...] = PLAIN_KINDS
    count: int = 256
    seed: int = 0
    size: Size = "base"
    guidance: tuple[float | None, ...] = (None,)
    clip_guidance: tuple[float | None, ...] = (None,)

    def __post_init__(self) -> None:
        for what, values in (
            ("kinds of question", self.kinds),
            ("guidance scales", self.guidance),
            ("scales of guidance by CLIP", self.clip_guidance),
        ):
            if not values or len(set(values)) < len(values):
                raise InputError(f"The {what} must be one or more, each named once, not {list(values)}.")
        for kind in self.kinds:
            check(kind, self.count)
        if self.seed < 0:
            raise InputError(f"A seed is 0 or more, not {self.seed}.")

    @property
    def settings(self) -> tuple[Settings, ...]:
        """Every pair of guidance scales, in the order in which they are tried."""
        pairs = itertools.product(self.clip_guidance, self.guidance)
        return tuple(Settings(guidance=scale, clip_guidance=clip) for clip, scale in pairs)

    @property
    def questions(self) -> dict[str, tuple[Question, ...]]:
        return {kind: questions(kind, self.count) for kind in self.kinds}

    def to_json(self, pixels: int, fid: InceptionDistance | None) -> dict[str, Any]:
        """What the numbers follow from but the model, which draws ``pixels`` wide."""
        asked = [[each.prompt, each.scene.to_json()] for kind in self.questions.values() for each in kind]
        return {
            "version": VERSION,
            "kinds": list(self.kinds),
            "count": self.count,
            "seed": self.seed,
            "size": self.size,
            "pixels": pixels,
            "guidance": list(self.guidance),
            "clip_guidance": list(self.clip_guidance),
            "questions": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
            **how_judged("none", SCENES),
            "fid": None if fid is None else fid.protocol,
        }


@dataclass(frozen=True)
class Subject:
    """What is measured: its label, the width of its pictures, and how it draws."""

    label: str
    pixels: int
    draw: Draw


@dataclass
class Judged:
    """Questions of a kind that have a picture, and what the verifier says of each.

    ``features`` are N of (D,), the verifier's; of the pictures only the first ``SHOWN`` are kept.
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
        """Of the first ``count`` questions."""
        return Judged(*(values[:count] for values in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Point:
    """What was drawn with one pair of guidance scales, and the real renders of the same questions, by kind.

    ``fid`` is None without an Inception network, or where the questions were not finished.
    """

    settings: Settings
    drawn: Mapping[str, Judged]
    real: Mapping[str, Judged]
    fid: float | None = None

    @cached_property
    def measures(self) -> dict[str, float]:
        """The flat measures: scores, and the distances of all drawn pictures to all real ones."""
        found: dict[str, float] = {}
        for kind, judged in self.drawn.items():
            found |= against_real(scores(judged), scores(self.real[kind]))
        low, high = self.accuracy_interval()
        found |= {"accuracy": self.accuracy(), "accuracy_low": low, "accuracy_high": high}
        sets = (
            (row for judged in each.values() for row in judged.features) for each in (self.drawn, self.real)
        )
        x, y = (np.stack(list(rows)) for rows in sets)
        if len(x) > 1:
            kernel = kernel_distance(x, y)
            found |= {
                "kernel_distance": kernel.value,
                "kernel_distance_low": kernel.low,
                "kernel_distance_high": kernel.high,
                "frechet_distance": frechet_distance(x, y, resamples=2).value,
            }
        return found if self.fid is None else found | {"fid": self.fid}

    def to_json(self) -> dict[str, float | None]:
        scales = {"scale": self.settings.guidance, "clip_scale": self.settings.clip_guidance}
        return scales | self.measures

    def with_its_own_renders(self) -> Point:
        """The same with the real renders of those questions alone that were finished."""
        finished = {kind: len(each.questions) for kind, each in self.drawn.items()}
        return replace(self, real={kind: self.real[kind].first(count) for kind, count in finished.items()})

    def accuracy(self) -> float:
        """The mean over the kinds of the share that is right, divided by real renders' share."""
        return float(np.mean([_ratio(drawn.mean(), real.mean()) for drawn, real in self._marks()]))

    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of the accuracy, over the questions of each kind."""
        rng = np.random.default_rng(0)
        means = np.zeros(_RESAMPLES)
        for drawn, real in self._marks():
            chosen = rng.integers(len(drawn), size=(_RESAMPLES, len(drawn)))
            share = real[chosen].mean(1)
            means += np.where(share > 0, drawn[chosen].mean(1) / np.where(share > 0, share, 1), math.nan)
        low, high = np.quantile(means / len(self.drawn), (0.025, 0.975))
        return float(low), float(high)

    def _marks(self) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """For each kind whether each picture is right, drawn and real."""
        return [(all_right(judged), all_right(self.real[kind])) for kind, judged in self.drawn.items()]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The report, and a point for each pair of guidance scales that was begun."""

    report: Report
    points: tuple[Point, ...]

    def sheets(self) -> dict[str, list[Tile]]:
        """Of each point and kind the first pictures, drawn and real, with prompt and verdict, by name."""
        named = {}
        for point in self.points:
            parts = (("guidance", point.settings.guidance), ("clip", point.settings.clip_guidance))
            suffix = "".join(f"-{name}-{scale:g}" for name, scale in parts if scale is not None)
            for kind, judged in point.drawn.items():
                named[f"{kind}{suffix}"] = _tiles(judged, point.real[kind])
        return named


def of_model(model: Model, protocol: PromptProtocol) -> Subject:
    """The model as a subject, drawn as the protocol says. Raises InputError for what ``check_settings``
    refuses, or for a kind of question that needs a CLIP where the model has none."""
    for settings in protocol.settings:
        check_settings(model, settings)
    if any(KINDS_OF_QUESTION[kind].candidates > 1 for kind in protocol.kinds):
        check_clip(model)
    stages = model.spec.cascade(inpainting=False)

    def drawn(asked: Sequence[Question], settings: Settings) -> Iterator[Pictures]:
        prompts = [question.prompt for question in asked]
        seeds = range(protocol.seed, protocol.seed + len(asked))
        candidates = KINDS_OF_QUESTION[asked[0].kind].candidates
        if candidates == 1:
            return draw(model, prompts, seeds, settings, protocol.size)
        several = [[seed + MOST * k for k in range(candidates)] for seed in seeds]
        return draw_best(model, prompts, several, settings, protocol.size)

    return Subject(model.label, stages[0 if protocol.size == "base" else -1].config.image_size, drawn)


def renders(asked: Sequence[Question], pixels: int) -> Pictures:
    """The real pictures of the questions, uint8 (B, pixels, pixels, 3)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(lambda each: render(each.scene, pixels, threads=1).image, asked)))


def run(
    subject: Subject,
    protocol: PromptProtocol,
    progress: Tell = lambda done, total: None,
    fid: InceptionDistance | None = None,
) -> Outcome:
    """Ask, draw and judge; ``progress`` is called with (done, count) of the pictures.

    With ``fid`` each finished pair of guidance scales has a FID too. A KeyboardInterrupt ends the run early:
    the outcome is of what was finished, its report not complete.

    Raises:
        InputError: what the subject's ``draw`` refuses.
        KeyboardInterrupt: before anything was finished.
    """
    began = time.perf_counter()
    found, complete = until_interrupted(_drawn(subject, protocol, progress, fid))
    begun = {point.settings: point for point in found}  # the last of each
    points = [point.with_its_own_renders() for point in begun.values()]
    report = Report(
        bench="prompts",
        model=subject.label,
        protocol=protocol.to_json(subject.pixels, fid),
        measures=points[0].measures,
        tables=(*map(_by_kind, points), *([_against_distance(points)] if len(points) > 1 else [])),
        seconds=time.perf_counter() - began,
        complete=complete,
        details={"guidance": [point.to_json() for point in points]},
    )
    return Outcome(report, tuple(points))


def _drawn(
    subject: Subject, protocol: PromptProtocol, progress: Tell, fid: InceptionDistance | None
) -> Iterator[Point]:
    """Each point after every batch of its pictures, and once more with its FID."""
    verifier = Verifier.load()
    total, done = len(protocol.settings) * len(protocol.kinds) * protocol.count, 0
    real: dict[str, Judged] = {}
    for settings in protocol.settings:
        point = Point(settings, drawn := {}, real)
        for kind, asked in protocol.questions.items():
            if kind not in real:
                pictures = renders(asked, subject.pixels)
                real[kind] = Judged()
                real[kind].add(verifier, asked, pictures)
                if fid is not None:
                    fid.add(pictures, real=True)
            judged = Judged()
            for pictures in subject.draw(asked, settings):
                judged.add(verifier, asked[len(judged.questions) :][: len(pictures)], pictures)
                drawn[kind] = judged
                if fid is not None:
                    fid.add(pictures, real=False)
                done += len(pictures)
                yield point
                progress(done, total)
        if fid is not None:
            yield replace(point, fid=fid.finish())


def scores(judged: Judged) -> dict[str, float]:
    """The share that is right by measure, of the pictures where it can be asked; NaN where there are none."""
    marks = [mark(question, seen) for question, seen in zip(judged.questions, judged.seen, strict=True)]
    answers = {name: [bool(each[name]) for each in marks if each[name] is not None] for name in marks[0]}
    return {name: float(np.mean(each)) if each else math.nan for name, each in answers.items()}


def all_right(judged: Judged) -> NDArray[np.bool_]:
    """(N,): on which pictures nothing asked for is wrong."""
    return np.array([fault(*each) is None for each in zip(judged.questions, judged.seen, strict=True)], bool)


def curve(points: Sequence[Point], title: str) -> bytes:
    """Accuracy against kernel distance as a PNG: a dot with its 95 % intervals for each scale of
    classifier-free guidance, a line for each of guidance by CLIP. Raises InputError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        message = "The curve needs the package matplotlib: pip install 'glide-edit[train]'."
        raise InputError(message) from error
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for clip in dict.fromkeys(point.settings.clip_guidance for point in points):
        some = [point for point in points if point.settings.clip_guidance == clip]
        x, y = _bars(some, "kernel_distance", 1000), _bars(some, "accuracy", 1)
        label = "CLIP as the preset says" if clip is None else f"CLIP {clip:g}" if clip else "without CLIP"
        axes.errorbar(x[0], y[0], xerr=x[1:], yerr=y[1:], marker="o", elinewidth=0.6, capsize=2, label=label)
        for point, place in zip(some, zip(x[0], y[0], strict=True), strict=True):
            axes.annotate(_scale(point.settings.guidance), place, textcoords="offset points", xytext=(6, 4))
    axes.set(xlabel="kernel distance x 1000", ylabel="right, of what real renders get", title=title)
    axes.legend(title="at each dot: classifier-free", fontsize="small", title_fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _bars(points: Sequence[Point], name: str, factor: float) -> NDArray[np.float64]:
    """(3, N): a measure's values, and how far their intervals reach below and above, at least 0."""
    value, low, high = (
        factor * np.array([point.measures.get(f"{name}{end}", math.nan) for point in points], np.float64)
        for end in ("", "_low", "_high")
    )
    return np.stack([value, np.maximum(value - low, 0), np.maximum(high - value, 0)])


def _against_distance(points: Sequence[Point]) -> Table:
    """What the curve shows, each value with the ends of its 95 % interval."""
    ends = ("", "_low", "_high")
    rows: list[tuple[str | float, ...]] = []
    for point in points:
        found = point.measures
        accuracy = (found[f"accuracy{end}"] for end in ends)
        kernel = (1000 * found.get(f"kernel_distance{end}", math.nan) for end in ends)
        others = (found.get(name, math.nan) for name in ("frechet_distance", "fid"))
        scales = (_scale(point.settings.guidance), _scale(point.settings.clip_guidance))
        rows.append((*scales, *accuracy, *kernel, *others))
    header = ("classifier-free", "CLIP", "accuracy", "from", "to", "kernel distance x 1000", "from", "to")
    return Table("accuracy against distance", (*header, "Frechet distance", "FID"), tuple(rows))


def _by_kind(point: Point) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for kind, judged in point.drawn.items():
        pairs = list(zip(judged.questions, judged.seen, strict=True))
        faults = [fault(*pair) for pair in pairs]
        more = [len(seen.objects) > len(question.wanted) for question, seen in pairs]
        share, real = float(all_right(judged).mean()), float(all_right(point.real[kind]).mean())
        shares = (faults.count(name) / len(faults) for name in FAULTS)
        about = f"{kind}: {KINDS_OF_QUESTION[kind].about}"
        rows.append((about, len(pairs), share, real, _ratio(share, real), *shares, float(np.mean(more))))
    header = ("question", "pictures", "right", "real renders", "right of real", *FAULTS, "more objects")
    guided, clip = _scale(point.settings.guidance), point.settings.clip_guidance
    title = f"by kind of question, guidance {guided}{'' if clip is None else f', CLIP {_scale(clip)}'}"
    return Table(title, header, tuple(rows))


def _scale(guidance: float | None) -> str:
    return "of the preset" if guidance is None else f"{guidance:g}"


def _ratio(share: float, real: float) -> float:
    return share / real if real else math.nan


def _tiles(judged: Judged, real: Judged) -> list[Tile]:
    """Of each question the drawn picture beside the real one."""
    rows = zip(judged.questions, judged.seen, judged.pictures, real.pictures, strict=False)
    return [
        Tile((picture, other), f"{question.prompt}\n{fault(question, seen) or 'right'}")
        for question, seen, picture, other in rows
    ]
