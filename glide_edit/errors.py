"""Every error that glide-edit raises on purpose.

    Exception
    └── GlideEditError                      catch this one to catch them all
        ├── InputError (ValueError)         an argument or a request that cannot be carried out
        │   └── ImageError                  a picture that cannot be used
        ├── OutputExists (FileExistsError)  the output is there already and was left alone
        ├── ModelError                      something about a model
        │   ├── ModelNotFound               no model of that name, no such folder, or not fetched yet
        │   └── ModelFormatError            a model folder that is damaged, incomplete or too new
        ├── TrainingError                   a training run that cannot start, continue or be resumed
        └── Cancelled                       stopped because the caller asked for it

    ValueError
    └── masks.MaskError                     lives in `masks`, which imports nothing of ours

A message is one sentence or two on one line: what is wrong, then what to do about it. The command line
prints it as it is and exits non-zero, without a traceback. Anything else that escapes is a defect.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "GlideEditError",
    "ImageError",
    "InputError",
    "ModelError",
    "ModelFormatError",
    "ModelNotFound",
    "OutputExists",
    "TrainingError",
]


class GlideEditError(Exception):
    """The base of all errors below; never raised itself."""


class InputError(GlideEditError, ValueError):
    """An argument or a request that cannot be carried out as given: out of range, contradictory, unknown."""


class ImageError(InputError):
    """A picture that cannot be used: missing, unreadable, damaged, too large, of an unsupported kind."""


class OutputExists(GlideEditError, FileExistsError):
    """The output file exists and overwriting was not asked for. The file on disk was not touched."""


class ModelError(GlideEditError):
    """A model that cannot be used."""


class ModelNotFound(ModelError):
    """No model of this name is known, the folder does not exist, or its weights have not been fetched."""


class ModelFormatError(ModelError):
    """A model folder that is not what it says: a wrong hash, a missing or unknown key, a newer format."""


class TrainingError(GlideEditError):
    """A training run that cannot start, continue or be resumed with what it was given."""


class Cancelled(GlideEditError):
    """The work was stopped on request; what was finished before is kept."""
