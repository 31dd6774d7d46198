"""Models by name: what ships with the program, what can be fetched, and any folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from glide_edit.errors import ModelError, ModelNotFound
from glide_edit.models.glide import glide_folder
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
    "glide": _Known("MIT", "OpenAI's released GLIDE, 64 to 256 pixels", ships=False),
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
        return _known_folder(name_or_folder)
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
    found = []
    for name, known in KNOWN.items():
        try:
            found.append(replace(describe(_known_folder(name)), name=name, about=known.about))
        except ModelError as error:
            found.append(ModelInfo(name, str(error), known.licence, available=False))
    return found


def describe(folder: Path) -> ModelInfo:
    """A model folder as ``list_models`` shows it; only its ``model.json`` and its files' headers are read.

    Raises:
        ModelNotFound, ModelFormatError: there is no such folder, or it cannot be used.
    """
    spec = read_spec(folder)
    sizes = sorted({stage.config.image_size for stage in spec.stages})
    return ModelInfo(
        name=spec.name,
        about=f"{' then '.join(str(size) for size in sizes)} pixels",
        licence=spec.licence,
        available=True,
        where=folder,
        parameters=_parameters(folder, spec),
        size=sum(file_size(folder / name) for name in (SPEC_FILE, *spec.file_names)),
    )


def _known_folder(name: str) -> Path:
    ships = KNOWN[name].ships
    folder = PACKAGED / name if ships else glide_folder()
    if (folder / SPEC_FILE).is_file():
        return folder
    if ships:
        raise ModelNotFound(
            f"The weights of {name!r} are missing from this installation: install glide-edit again, "
            "or name a model folder."
        )
    raise ModelNotFound(
        f"The model {name!r} is not on this machine: run `glide-edit models fetch {name}` first."
    )


def _parameters(folder: Path, spec: ModelSpec) -> dict[str, int]:
    parts: dict[str, tuple[str, ...]] = {} if spec.text is None else {"text": (spec.text.weights,)}
    for stage in spec.stages:
        parts[stage.name] = stage.weight_files
        if stage.text is not None:
            parts[f"{stage.name}.text"] = (stage.text.weights,)
    if spec.clip is not None:
        parts["clip"] = (spec.clip.weights,)
    return {part: sum(count_parameters(folder / name) for name in names) for part, names in parts.items()}
