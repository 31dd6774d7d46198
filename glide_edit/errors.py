"""Every error that glide-edit raises on purpose.

    Exception
    └── GlideEditError                      catch this one to catch them all
        ├── InputError (ValueError)         an argument or a request that cannot be carried out
        │   ├── ImageError                  a picture that cannot be used
        │   └── SaveFailed                  a finished picture could not be saved under its name
        ├── OutputExists (FileExistsError)  the output is there already and was left alone
        ├── ModelError                      something about a model
        │   ├── ModelNotFound               no model of that name, no such folder, or not fetched yet
        │   └── ModelFormatError            a model folder that is damaged, incomplete or too new
        ├── TrainingError                   a training run that cannot start, continue or be resumed
        ├── DeviceBusy (TimeoutError)       another run had the device for longer than the caller waits
        └── Cancelled                       stopped because the caller asked for it

    ValueError
    └── masks.MaskError                     lives in `masks`, which imports nothing of ours

A message is one sentence or two on one line: what is wrong, then what to do about it. The command line
prints it and exits non-zero, without a traceback. Anything else that escapes is a defect. For programs there
is ``code``, which stays the same from release to release, and ``field``, the request's field at fault; a
MaskError has both as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "Cancelled",
    "DeviceBusy",
    "GlideEditError",
    "ImageError",
    "InputError",
    "ModelError",
    "ModelFormatError",
    "ModelNotFound",
    "OutputExists",
    "SaveFailed",
    "TrainingError",
]


class GlideEditError(Exception):
    """The base of all errors below; never raised itself.

    Attributes:
        code: what is wrong, such as "seed_out_of_range"; without anything more exact that of the class.
        field: the name of the field of a request that is at fault, if it is one.
    """

    code: str = "error"
    field: str | None = None

    def __init__(self, message: str = "", *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.code = self.code if code is None else code
        self.field = field


class InputError(GlideEditError, ValueError):
    """An argument or a request that cannot be carried out as given: out of range, contradictory, unknown."""

    code = "bad_input"


class ImageError(InputError):
    """A picture that cannot be used: missing, unreadable, damaged, too large, of an unsupported kind."""

    code = "bad_image"


class SaveFailed(InputError):
    """A finished picture could not be saved under the name that it was to have.

    Attributes:
        rescued: the PNG that it was saved in instead; None where no other file could be written either.
    """

    code = "save_failed"
    rescued: Path | None = None

    @classmethod
    def of_several(cls, errors: Sequence[SaveFailed]) -> SaveFailed:
        """One for all, whose message has theirs, and whose ``rescued`` is that of the first."""
        together = cls(" ".join(map(str, errors)))
        together.rescued = errors[0].rescued
        together.__cause__ = errors[0]
        return together


class OutputExists(GlideEditError, FileExistsError):
    """The output file exists and overwriting was not asked for. The file on disk was not touched."""

    code = "output_exists"


class DeviceBusy(GlideEditError, TimeoutError):
    """Another run had the device for longer than the caller was ready to wait. Nothing was drawn."""

    code = "device_busy"


class ModelError(GlideEditError):
    """A model that cannot be used."""

    code = "bad_model"


class ModelNotFound(ModelError):
    """No model of this name is known, the folder does not exist, or its weights have not been fetched."""

    code = "model_not_found"


class ModelFormatError(ModelError):
    """A model folder that is not what it says: a wrong hash, a missing or unknown key, a newer format."""

    code = "bad_model_format"


class TrainingError(GlideEditError):
    """A training run that cannot start, continue or be resumed with what it was given."""

    code = "bad_training"


class Cancelled(GlideEditError):
    """The work was stopped on request; what was finished before is kept."""

    code = "cancelled"
