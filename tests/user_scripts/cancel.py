"""Stop a long edit and keep what was finished by then: from another thread, or by closing its stream.

python cancel.py photo.png mask.png "a red ball" out --n 8 --keep 1
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from glide_edit import (
    Cancelled,
    Editor,
    EditResult,
    Inpaint,
    Picture,
    Progress,
    open_mask,
    open_picture,
    save_picture,
)


class Job:
    """An edit in a thread of its own. ``finished`` holds the pictures by their seeds."""

    def __init__(self, editor: Editor, request: Inpaint) -> None:
        self.editor = editor
        self.request = request
        self.finished: dict[int, Picture] = {}
        self.some = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Stop at the next step, and wait until the work has ended."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            self.editor.run(self.request, callback=self._on_progress)
        except Cancelled:
            pass
        finally:
            self.some.set()

    def _on_progress(self, progress: Progress) -> None:
        self.finished.update(zip(progress.seeds, progress.pictures, strict=True))
        if self.finished:
            self.some.set()
        if self._stop.is_set():
            raise Cancelled("The user pressed stop.")


def from_another_thread(editor: Editor, request: Inpaint) -> dict[int, Picture]:
    job = Job(editor, request)
    job.start()
    job.some.wait()
    job.cancel()
    return job.finished


def by_closing_the_stream(editor: Editor, request: Inpaint, keep: int) -> dict[int, Picture]:
    finished: dict[int, Picture] = {}
    with closing(editor.stream(request)) as events:
        for event in events:
            if isinstance(event, EditResult):
                return dict(zip(event.seeds, event.pictures, strict=True))
            finished.update(zip(event.seeds, event.pictures, strict=True))
            if len(finished) >= keep:
                break
    return finished


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--keep", type=int, default=1)
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args(arguments)
    editor = Editor.load(given.model)
    image, mask = open_picture(given.photo), open_mask(given.mask)
    request = Inpaint(image=image, mask=mask, prompt=given.prompt, n=given.n)
    for name, finished in {
        "thread": from_another_thread(editor, request),
        "stream": by_closing_the_stream(editor, request, given.keep),
    }.items():
        folder: Path = given.out / name
        folder.mkdir(parents=True)
        for seed, picture in finished.items():
            save_picture(picture, folder / f"{seed}.png")
        print(f"{name}: {len(finished)} of {request.n} pictures were finished")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
