"""Writes glide_edit/editor_methods.py from the definitions of the requests' fields.

python scripts/generate_api.py           write it
python scripts/generate_api.py --check   exit with 1 where it is not up to date
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from glide_edit.requests import OPERATIONS, Inpaint, Outpaint, Request, Setting, settings_of

TARGET = Path(__file__).resolve().parents[1] / "glide_edit" / "editor_methods.py"
WIDTH = 110

POSITIONAL = {
    "generate": ("prompt",),
    "inpaint": ("image", "mask", "prompt"),
    "sketch": ("drawing", "prompt"),
    "remove": ("image", "mask"),
    "outpaint": ("image", "prompt"),
    "upscale": ("image", "factor"),
    "vary": ("image", "prompt"),
}
"""The parameters that may be given without their names."""

LEFT_OUT = {"remove": ("prompt",)}
REQUIRED = {"generate": ("prompt",)}
UNSET = {"seed"} | {new for kind in OPERATIONS.values() for new in kind.old_names.values()}
"""Parameters that are None unless they are given, so that what contradicts them is seen."""

TYPES = {
    "text": "str",
    "whole": "int",
    "number": "float",
    "switch": "bool",
    "interval": "tuple[float, float]",
    "wholes": "Sequence[int]",
    "picture": "PictureLike",
    "mask": "MaskLike",
}

HEAD = '''"""The operations as methods of ``Editor``. Made by scripts/generate_api.py from the requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from glide_edit.requests import {classes}
from glide_edit.requests.inputs import request_of

if TYPE_CHECKING:
    import torch

    from glide_edit.images import PictureLike
    from glide_edit.pipeline.plan import Plan
    from glide_edit.requests import Request
    from glide_edit.results import EditResult, Progress
    from glide_edit.sampling import SampleStep
    from glide_edit.selections import MaskLike


class EditorMethods(ABC):
    """The operations as methods, each with the fields of its request as parameters.

    Pictures may be paths, the bytes of a file, open binary files, PIL images, NumPy arrays or torch tensors,
    (C, H, W) or (1, C, H, W), float in [0, 1] or uint8. Masks may be the same, where white (128 and above)
    is on, or a ``Mask``.

    Every method raises ``InputError`` for a value that cannot be used, ``ImageError`` and ``MaskError`` for a
    picture or mask, and has these parameters beside its own:

    Args:
{common}
        callback: Called with every ``Progress``.
        on_step: Called with every ``SampleStep``: the latents and the x0 of each step of a sampler.
        generator: A seed is drawn from it, so that two calls differ; in place of seed and seeds.

    Those that repaint a part of a picture also share:

    Args:
{repaint}
    """

    @abstractmethod
    def run(
        self,
        request: Request | Plan,
        *,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
    ) -> EditResult:
        """Carry out a request or a plan."""
'''

METHOD = '''
    def {operation}(
        self,
{positional}
        *,
{keywords}
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> EditResult:
        """{doc}"""
        return self.run(request_of({kind}, locals()), callback=callback, on_step=on_step)
'''


def source() -> str:
    """The text of the module."""
    common = "\n".join(_explained(each, 8) for each in settings_of(Request))
    repaint = "\n".join(_explained(each, 8) for each in _of_repaints())
    classes = ", ".join(sorted(kind.__name__ for kind in OPERATIONS.values()))
    methods = [_method(operation, kind) for operation, kind in OPERATIONS.items()]
    return HEAD.format(classes=classes, common=common, repaint=repaint) + "".join(methods)


def _method(operation: str, kind: type[Request]) -> str:
    settings = {each.name: each for each in settings_of(kind) if each.name not in LEFT_OUT.get(operation, ())}
    first = POSITIONAL[operation]
    keywords = [_parameter(operation, each) for name, each in settings.items() if name not in first]
    keywords += [
        f"        {old}: str | None = None,  # the old name of {new}" for old, new in kind.old_names.items()
    ]
    shared = {each.name for each in [*settings_of(Request), *_of_repaints()]}
    names = dict.fromkeys([*first, *settings])
    own = [_explained(settings[name]) for name in names if name not in shared]
    doc = (kind.__doc__ or "").split("\n\n")[0]
    return METHOD.format(
        operation=operation,
        positional="\n".join(_parameter(operation, settings[name]) for name in first),
        keywords="\n".join(keywords),
        doc="\n".join([doc, "", "        Args:", *own, "        "]) if own else doc,
        kind=kind.__name__,
    )


def _of_repaints() -> list[Setting]:
    """What inpainting and outpainting have in common beside what all requests have."""
    both = {each.name: each for each in settings_of(Inpaint)}
    common = {each.name for each in settings_of(Request)} | {"image"}
    return [each for each in settings_of(Outpaint) if each.name not in common and both.get(each.name) == each]


def _type(each: Setting) -> str:
    if each.choices and isinstance(each.choices[0], str):
        return f"Literal[{', '.join(map(_quoted, each.choices))}]"
    return TYPES.get(each.kind, "int")


def _parameter(operation: str, each: Setting) -> str:
    unset = each.name in UNSET
    kind = f"{_type(each)} | None" if each.optional or unset else _type(each)
    if each.required or each.name in REQUIRED.get(operation, ()):
        return f"        {each.name}: {kind},"
    return f"        {each.name}: {kind} = {None if unset else _quoted(each.default)},"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _explained(each: Setting, indent: int = 12) -> str:
    unset = f" (None: {each.unset})" if each.unset else ""
    if each.name in UNSET:
        unset = f" (None: {each.default})"
    text = f"{each.name}: {each.help}{unset}."
    return textwrap.fill(text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4))


def main(arguments: list[str]) -> int:
    """Write the module, or with --check say whether it is up to date."""
    if arguments == ["--check"]:
        fresh = TARGET.exists() and TARGET.read_text(encoding="utf-8") == source()
        if not fresh:
            print(f"{TARGET.name} is not up to date: run scripts/generate_api.py", file=sys.stderr)
        return 0 if fresh else 1
    TARGET.write_text(source(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
