"""What the repair bench makes of its outcomes: measures, tables, and sheets of pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.repair_covers import COVERS
from glide_edit.evaluation.repair_items import HALVES
from glide_edit.evaluation.report import Table, Tile, contact_sheet

Image = NDArray[np.uint8]

OURS = "remove"
"""The name of what is measured, among the programs."""

SHOWN = 8
"""Items of each kind that the sheets show, the first ones; the others' pictures are not kept."""

_SHEET_SIDE = 256


@dataclass(frozen=True)
class Score:
    """How near a picture is to the truth inside the selection, and the seconds it took; ``changed`` counts
    pixels outside the selection that differ from the covered picture."""

    psnr: float
    ssim: float
    seconds: float
    changed: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an item: a score for each program, OURS first. ``beyond`` counts pixels that OURS
    changed where nothing may change; ``shown`` has parts of the pictures for the sheet, or nothing."""

    index: int
    kind: str
    half: str
    name: str
    scores: dict[str, Score]
    beyond: int
    shown: dict[str, Image] = field(default_factory=dict)


@dataclass(frozen=True)
class Lead:
    """OURS against the other program with the highest mean PSNR of a kind, over the same items.

    ``lead`` in dB is the mean of the items' differences, ``error`` its standard error (NaN for one item), and
    ``won`` counts the items in which OURS is nearer. ``ssim`` is the difference of the means.
    """

    best: str
    items: int
    ours: float
    other: float
    lead: float
    error: float
    won: int
    ssim: float


def mean(outcomes: Iterable[Outcome], program: str, what: Literal["psnr", "ssim"]) -> float:
    """The mean over the items of a program's PSNR or SSIM."""
    return float(np.mean([getattr(each.scores[program], what) for each in outcomes]))


def lead(outcomes: list[Outcome]) -> Lead | None:
    """OURS against the best other program; None without others."""
    others = [name for name in outcomes[0].scores if name != OURS]
    if not others:
        return None
    best = max(others, key=lambda name: mean(outcomes, name, "psnr"))
    ours, other = (np.array([each.scores[name].psnr for each in outcomes]) for name in (OURS, best))
    # Two that are both perfect are no different.
    differences = np.subtract(ours, other, out=np.zeros(len(ours)), where=ours != other)
    many = len(outcomes) > 1 and bool(np.isfinite(differences).all())
    return Lead(
        best=best,
        items=len(outcomes),
        ours=float(ours.mean()),
        other=float(other.mean()),
        lead=float(differences.mean()),
        error=float(differences.std(ddof=1) / math.sqrt(len(differences))) if many else math.nan,
        won=int((differences > 0).sum()),
        ssim=mean(outcomes, OURS, "ssim") - mean(outcomes, best, "ssim"),
    )


def measures(outcomes: list[Outcome]) -> dict[str, float]:
    """The flat measures of what is measured, for each kind and half.

    ``repair_psnr_KIND_HALF``, ``repair_ssim_KIND_HALF`` and ``repair_lead_KIND_HALF`` (dB over the best other
    program); ``changed_outside`` counts pixels outside the selections that OURS changed, as it may where it
    grows them, and ``changed_beyond`` those where nothing may change.
    """
    found: dict[str, float] = {}
    for half in HALVES:
        for kind in COVERS:
            some = _some(outcomes, kind, half)
            if not some:
                continue
            found[f"repair_psnr_{kind}_{half}"] = mean(some, OURS, "psnr")
            found[f"repair_ssim_{kind}_{half}"] = mean(some, OURS, "ssim")
            if (against := lead(some)) is not None:
                found[f"repair_lead_{kind}_{half}"] = against.lead
    found["changed_outside"] = sum(each.scores[OURS].changed for each in outcomes)
    found["changed_beyond"] = sum(each.beyond for each in outcomes)
    return found


def tables(outcomes: list[Outcome]) -> tuple[Table, ...]:
    """OURS against the best other program, then PSNR, SSIM and seconds of all programs, by halves."""
    found = [_leads(outcomes)] if len(outcomes[0].scores) > 1 else []
    for half in reversed(HALVES):
        found += [
            _by_program(outcomes, half, "PSNR in dB, mean", "psnr"),
            _by_program(outcomes, half, "SSIM, mean", "ssim"),
            _by_program(outcomes, half, "seconds, median", "seconds"),
        ]
    return tuple(table for table in found if table.rows)


def details(outcomes: list[Outcome]) -> dict[str, object]:
    """Every item's photograph and scores, so that settings can be compared item by item."""
    return {
        "items": [
            {
                "index": each.index,
                "kind": each.kind,
                "half": each.half,
                "photograph": each.name,
                "scores": {name: vars(score) for name, score in each.scores.items()},
            }
            for each in outcomes
        ]
    }


def sheets(outcomes: list[Outcome]) -> dict[str, Image]:
    """A picture for each kind: a row for each of its first items, a column for the truth, the covered picture
    and each program."""
    made = {}
    for kind in COVERS:
        rows = [each for each in outcomes if each.kind == kind and each.shown]
        if rows:
            tiles = [_tile(each, name) for each in rows for name in each.shown]
            made[kind] = contact_sheet(tiles, across=len(rows[0].shown), size=_SHEET_SIDE)
    return made


def _tile(outcome: Outcome, name: str) -> Tile:
    if name in outcome.scores:
        score = outcome.scores[name]
        return Tile((outcome.shown[name],), f"{name}: {score.psnr:.1f} dB, {score.ssim:.2f}")
    about = f" {outcome.index} ({outcome.name}, {outcome.half})" if name == "truth" else ""
    return Tile((outcome.shown[name],), f"{name}{about}")


def _some(outcomes: list[Outcome], kind: str, half: str) -> list[Outcome]:
    return [each for each in outcomes if (each.kind, each.half) == (kind, half)]


def _leads(outcomes: list[Outcome]) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for half in reversed(HALVES):
        for kind in COVERS:
            some = _some(outcomes, kind, half)
            if some and (against := lead(some)) is not None:
                rows.append(
                    (
                        half,
                        kind,
                        against.items,
                        against.ours,
                        against.best,
                        against.other,
                        against.lead,
                        against.error,
                        against.won,
                        against.ssim,
                    )
                )
    header = (
        "half",
        "cover",
        "items",
        f"{OURS}, dB",
        "best other",
        "its dB",
        "difference, dB",
        "standard error",
        "items won",
        "difference of SSIM",
    )
    return Table(f"{OURS} against the best other program for each kind", header, tuple(rows))


def _by_program(
    outcomes: list[Outcome], half: str, title: str, what: Literal["psnr", "ssim", "seconds"]
) -> Table:
    programs = tuple(outcomes[0].scores)
    average = np.median if what == "seconds" else np.mean
    rows: list[tuple[str | float, ...]] = []
    for kind in COVERS:
        some = _some(outcomes, kind, half)
        if some:
            scores = [[getattr(each.scores[name], what) for each in some] for name in programs]
            rows.append((kind, len(some), *(float(average(each)) for each in scores)))
    return Table(f"{title}: {half} half", ("cover", "items", *programs), tuple(rows))
