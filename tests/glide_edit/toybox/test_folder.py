"""Folders of pictures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.toybox import Scene, render, write_folder


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_a_folder_can_be_read_back(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    out = tmp_path / "new" / "toys"
    write_folder(out, 3, seed=9, size=48, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [9, 10, 11]
    listed = {Path("metadata.jsonl")}
    for line in lines:
        scene = Scene.from_json(line["scene"])
        expected = render(scene, 48)
        assert (read(out / line["file_name"])[:, :, ::-1] == expected.image).all()
        assert (read(out / line["drawing"]) == expected.drawing).all()
        assert line["captions"][0] == line["text"]
        assert len(line["captions"]) > 1
        listed |= {Path(line["file_name"]), Path(line["drawing"])}
        for k, (entry, toy) in enumerate(zip(line["toys"], scene.toys, strict=True)):
            assert (entry["kind"], entry["colour"], entry["material"]) == (toy.kind, toy.colour, toy.material)
            assert tuple(entry["box"]) == expected.boxes[k]
            assert ((read(out / entry["visible"]) == 255) == (expected.visible == k)).all()
            assert ((read(out / entry["whole"]) == 255) == expected.whole[k]).all()
            listed |= {Path(entry["visible"]), Path(entry["whole"])}
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == listed
    assert [path.name for path in out.parent.iterdir()] == ["toys"]


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path: Path) -> None:
    out = tmp_path / "toys"
    out.mkdir()
    write_folder(out, 1, size=32)
    before = sorted(path.name for path in out.rglob("*"))
    with pytest.raises(InputError, match="not empty"):
        write_folder(out, 1, size=32)
    assert sorted(path.name for path in out.rglob("*")) == before
    with pytest.raises(InputError, match="is a file"):
        write_folder(out / "metadata.jsonl", 1, size=32)


def test_nothing_is_left_where_writing_stops_half_way(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "toys", 3, size=32, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [{"count": 0}, {"count": 1, "size": 1}, {"count": 1, "seed": -1}])
def test_bad_arguments_are_refused(tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(InputError):
        write_folder(tmp_path / "toys", **arguments)
    assert list(tmp_path.iterdir()) == []
