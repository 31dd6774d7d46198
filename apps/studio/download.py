"""Downloading a picture in the format that was chosen, with its receipt."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from apps.studio import html
from apps.studio.fields import sentence
from apps.studio.sessions import HistoryEntry, Session
from apps.studio.shared import UNQUEUED, Studio
from glide_edit.errors import GlideEditError
from glide_edit.images import default_output_suffix, save_picture

LOSSLESS = "without loss"
FORMATS = {"JPEG": ".jpg", "WebP": ".webp"}


class Download:
    """A button, a choice of formats, and a hidden button with the file, which the page presses itself."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._button = gr.Button("Download", size="sm", elem_id=f"{name}-download")
        self._format = gr.Dropdown(
            [LOSSLESS, *FORMATS],
            value=LOSSLESS,
            label="Format of the download",
            min_width=110,
            elem_id=f"{name}-format",
        )

    def lay_out_file(self) -> None:
        """Create the hidden button, outside of the row of the others."""
        self._file = gr.DownloadButton("File", elem_id=f"{self._name}-file", elem_classes="ge-out-of-sight")

    def wire(
        self, studio: Studio, entry_of: Callable[[Session], HistoryEntry | None], message: gr.HTML
    ) -> None:
        """Let the button save the entry that is shown, and say in ``message`` what was written."""

        def save(session: Session, file_format: str) -> tuple[str, str]:
            return _saved(session, entry_of(session), file_format)

        saved = studio.on(self._button.click, save, self._format, [message, self._file])
        click = f"() => document.querySelector('#{self._name}-file').click()"
        saved.success(None, None, None, js=click, **UNQUEUED)


def _saved(session: Session, entry: HistoryEntry | None, file_format: str) -> tuple[str, str]:
    """Write a picture, without loss as PNG (or TIFF, if it was one): a message, and the path of the file."""
    if entry is None:
        raise gr.Error("There is nothing to download yet.", print_exception=False)
    suffix = FORMATS.get(file_format) or default_output_suffix(entry.picture)
    path = session.new_file(f"{entry.result.request.operation}-{entry.seed}{suffix}")
    receipt, missing = None, None
    try:
        if entry.complete:
            missing = entry.result.missing_from(path, entry.index)
            receipt = entry.result.save(path, entry.index, rescue="never")
        else:
            save_picture(entry.picture, path)
    except GlideEditError as error:
        raise gr.Error(sentence(error), print_exception=False) from error
    return html.download_message(path.name, receipt, missing), str(path)
