"""The pictures of docs/guide/prompts.md."""

from __future__ import annotations

from pathlib import Path

from guide import Pixels

from glide_edit.editor import Editor
from glide_edit.evaluation.edit_items import edit_item
from glide_edit.images import save_picture, to_uint8
from glide_edit.images.sheet import Tile, contact_sheet

WORDS = (
    ("a red ball on grass", None),
    ("a (red:0) ball on grass", None),
    ("a (red:2) ball on grass", None),
    ("a red ball on (grass:0)", None),
    ("a red ball on grass", "red"),
    ("a red ball on grass", "grass"),
)
ITEM = 2
"""Of the edit bench: a scene from which a toy was taken, and where it was."""


def make(folder: Path) -> None:
    """Write words.jpg, context.jpg and candidates.jpg."""
    editor = Editor.load("toybox")
    save_picture(_words(editor), folder / "words.jpg", force=True)
    save_picture(_context(editor), folder / "context.jpg", force=True)
    item = edit_item(ITEM)
    result = editor.inpaint(item.picture, item.mask, item.prompt, candidates=9, n=3)
    assert result.sheet is not None
    save_picture(result.sheet, folder / "candidates.jpg", force=True)


def _words(editor: Editor) -> Pixels:
    tiles = []
    for prompt, negative in WORDS:
        result = editor.generate(prompt, negative_prompt=negative, n=2, seed=3)
        said = prompt if negative is None else f"{prompt}; negative: {negative}"
        tiles.append(Tile(tuple(to_uint8(each.pixels) for each in result.pictures), said))
    return contact_sheet(tiles, across=3, size=160)


def _context(editor: Editor) -> Pixels:
    item = edit_item(ITEM)
    tiles = [Tile((to_uint8(item.picture.pixels),), f"before; {item.prompt}")]
    for scale in (0.0, 0.5, 1.0, 2.0):
        result = editor.inpaint(item.picture, item.mask, item.prompt, context_guidance=scale, seed=1)
        tiles.append(Tile((to_uint8(result.pictures[0].pixels),), f"context guidance {scale:g}"))
    return contact_sheet(tiles, across=5, size=192)
