"""The files that a page gives away: a picture in the format that was chosen, with its receipt."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.studio import html
from apps.studio.fields import sentence
from apps.studio.visits import Made, Visit
from glide_edit.errors import GlideEditError
from glide_edit.images import default_output_suffix, save_picture

LOSSLESS = "without loss"
FORMATS = {"JPEG": ".jpg", "WebP": ".webp"}


def format_choice(name: str) -> gr.Dropdown:
    return gr.Dropdown(
        [LOSSLESS, *FORMATS],
        value=LOSSLESS,
        label="Format of the download",
        min_width=110,
        elem_id=name,
    )


def saved(visit: Visit, made: Made | None, chosen: str) -> tuple[Any, ...]:
    """Write a picture for its download, as PNG (TIFF where it was one) or in the format chosen, and say what
    was written."""
    if made is None:
        raise gr.Error("There is nothing to download yet.", print_exception=False)
    suffix = FORMATS.get(chosen) or default_output_suffix(made.picture)
    path = visit.file(f"{made.result.request.operation}-{made.seed}{suffix}")
    try:
        if not made.complete:
            save_picture(made.picture, path)
            return html.downloaded(path.name, None, None), str(path)
        missing = made.result.missing_from(path, made.index)
        receipt = made.result.save(path, made.index)
    except GlideEditError as error:
        raise gr.Error(sentence(error), print_exception=False) from error
    return html.downloaded(path.name, receipt, missing), str(path)
