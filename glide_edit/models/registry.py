"""Models by name: what ships with the program, what is planned, and any folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from glide_edit.errors import ModelError, ModelNotFound
from glide_edit.models.spec import SPEC_FILE, ModelSpec, read_spec
from glide_edit.models.tensors import count_parameters, file_size

PACKAGED = Path(__file__).parent / "weights"
"""Where the models that ship with the program are, a folder each."""


@dataclass(frozen=True)
class _Known:
    licence: str
    about: str
    ships: bool


KNOWN = {
    "toybox": _Known("MIT", "the default: a small cascade trained on the toybox world", ships=True),
    "glide": _Known(
        "MIT", "OpenAI's released GLIDE, 64 to 256 pixels: planned, not supported yet", ships=False
    ),
}


@dataclass(frozen=True)
class ModelInfo:
    """A known model as ``list_models`` shows it.

    ``where`` is None when it is not on this machine, and ``parameters`` (by part) and ``size`` (bytes on
    disk) are then empty and 0. ``about`` says in a line what it is, or what is wrong with it.
    """

    name: str
    about: str
    licence: str
    available: bool
    where: Path | None = None
    parameters: dict[str, int] = field(default_factory=dict)
    size: int = 0


def resolve(name_or_folder: str | Path) -> Path:
    """The model folder that a known name or a path means. A known name wins over a folder called so.

    Raises:
        ModelNotFound: no such name or folder, the folder holds no ``model.json``, or the model is known but
            not on this machine.
    """
    if isinstance(name_or_folder, str) and name_or_folder in KNOWN:
        return _packaged(name_or_folder)
    folder = Path(name_or_folder).expanduser()
    if (folder / SPEC_FILE).is_file():
        return folder
    if folder.is_dir():
        raise ModelNotFound(f"{folder} is not a model folder: it has no {SPEC_FILE}.")
    raise ModelNotFound(
        f"No model {str(name_or_folder)!r}: name a model folder, or one of {', '.join(KNOWN)}."
    )


def list_models() -> list[ModelInfo]:
    """Every known model, whether it is here or not; a damaged one is listed as not available."""
    return [_info(name) for name in KNOWN]


def describe(folder: Path) -> ModelInfo:
    """A model folder as ``list_models`` shows it; only its ``model.json`` and its files' headers are read.

    Raises:
        ModelNotFound, ModelFormatError: there is no such folder, or it cannot be used.
    """
    spec = read_spec(folder)
    return ModelInfo(
        name=spec.name,
        about=f"{' then '.join(str(stage.config.image_size) for stage in spec.stages)} pixels",
        licence=spec.licence,
        available=True,
        where=folder,
        parameters=_parameters(folder, spec),
        size=sum(file_size(folder / name) for name in (SPEC_FILE, *spec.file_names)),
    )


def _packaged(name: str) -> Path:
    folder = PACKAGED / name
    if not KNOWN[name].ships:
        raise ModelNotFound(
            f"The model {name!r} is planned: this version can neither run nor fetch it. "
            "Use 'toybox' or a model folder."
        )
    if not (folder / SPEC_FILE).is_file():
        raise ModelNotFound(
            f"The weights of {name!r} are missing from this installation: install glide-edit again, "
            "or name a model folder."
        )
    return folder


def _info(name: str) -> ModelInfo:
    known = KNOWN[name]
    if not known.ships:
        return ModelInfo(name, known.about, known.licence, available=False)
    try:
        info = describe(_packaged(name))
    except ModelError as error:
        return ModelInfo(name, str(error), known.licence, available=False)
    return ModelInfo(name, known.about, info.licence, True, info.where, info.parameters, info.size)


def _parameters(folder: Path, spec: ModelSpec) -> dict[str, int]:
    parts = {stage.name: stage.weights for stage in spec.stages}
    if spec.text is not None:
        parts = {"text": spec.text.weights, **parts}
    return {part: count_parameters(folder / file_name) for part, file_name in parts.items()}
