"""The one table of options of ``glide-edit train`` and ``python -m glide_edit.training``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glide_edit.training.settings import TrainSettings

STAGE_HELP = (
    "The network that draws, the one that enlarges, a CLIP that reads noisy pictures, a small one "
    "that reads clean ones, or a student that draws in a few steps what its teacher draws in many."
)


@dataclass(frozen=True)
class Option:
    """An option, named like the field of ``TrainSettings`` that it sets."""

    name: str
    type: type
    metavar: str
    help: str
    letter: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        flag = f"--{self.name.replace('_', '-')}"
        return (flag, f"-{self.letter}") if self.letter else (flag,)

    @property
    def default(self) -> Any:
        """``dataclasses.MISSING`` if the option is required, None if its default depends on the stage."""
        return TrainSettings.__dataclass_fields__[self.name].default


OPTIONS = (
    Option("out", Path, "DIR", "The run's folder; a run that was stopped is resumed.", "o"),
    Option("data", str, "toybox|FOLDER", "What to learn from; a FOLDER needs metadata.jsonl."),
    Option("cache", Path, "DIR", "Render the toybox once into this folder [default: on the fly]."),
    Option("cache_size", int, "N", "How many pictures the cache holds."),
    Option("photos", Path, "FOLDER", "Mix in photographs; the FOLDER needs metadata.jsonl."),
    Option("photo_share", float, "X", "The share of views that photographs get."),
    Option(
        "text_encoder",
        str,
        "NAME|FOLDER",
        "Read captions with this frozen language model (T5, BERT, ...) [default: train a small one].",
    ),
    Option("minutes", float, "M", "How long to train. Either this or --steps."),
    Option("steps", int, "N", "How many steps to train."),
    Option("batch_size", int, "N", "Pictures a step [default: 32, for a CLIP 64]."),
    Option("learning_rate", float, "X", "The highest of the run [default: 0.0006, for a CLIP 0.001]."),
    Option("seed", int, "S", "Of weights, order and noise.", "s"),
    Option(
        "start",
        str,
        "MODEL",
        "A model's name or folder whose weights to begin with; "
        "its U-Net's alone where --text-encoder is another than the model's.",
    ),
    Option("teacher", str, "MODEL", "distil: the model whose stage to distil."),
    Option("teacher_stage", str, "STAGE", "distil: which of its stages."),
    Option("teacher_steps", int, "N", "distil: the teacher's steps [default: those of its preset]."),
    Option("guidance", float, "X", "distil: the teacher's guidance [default: that of its preset]."),
    Option("student_steps", int, "N", "distil: how many steps the student is to take."),
    Option("student_times", str, "T,T,...", "distil: its times, falling [default: evenly spaced]."),
    Option("preset", str, "NAME", "distil: the preset of the new model in which the student draws."),
    Option("device", str, "NAME", "auto, cpu, cuda, cuda:1 … or mps."),
    Option("precision", str, "NAME", "auto, float32 or bfloat16."),
    Option("checkpoint_seconds", float, "S", "Time between two checkpoints."),
    Option("sample_seconds", float, "S", "Time between two sheets of samples."),
    Option("log_every", int, "N", "Steps between two lines of the log."),
)


def settings_of(values: Mapping[str, Any]) -> TrainSettings:
    """The settings of a command line's stage and options; those with the value None were not given."""
    return TrainSettings(**{name: value for name, value in values.items() if value is not None})
