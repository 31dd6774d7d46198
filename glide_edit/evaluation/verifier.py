"""The verifier: a network, trained on renders alone, that names what a picture of the toybox world shows.

It measures models; it never trains or ranks what it measures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from glide_edit.errors import InputError, ModelFormatError
from glide_edit.evaluation.seen import Seen, SeenObject, nearest, overlap
from glide_edit.evaluation.verifier_network import Answers, VerifierConfig, VerifierNetwork
from glide_edit.images import write_atomically
from glide_edit.models.tensors import blank, read, sha256, shapes_of
from glide_edit.toybox import COLOURS, GROUNDS, KINDS, LIGHTS, MATERIALS

SHIPPED = Path(__file__).parent / "weights"
WEIGHTS_NAME, ABOUT_NAME = "verifier.safetensors", "verifier.json"

SEEN_FROM = 0.25
"""Objects of at least this score count as seen."""

FORMAT = 1
WORDS = {
    "kinds": list(KINDS),
    "colours": list(COLOURS),
    "materials": list(MATERIALS),
    "grounds": list(GROUNDS),
    "lights": list(LIGHTS),
}

_PERHAPS = 0.12  # the least score at the first look; a closer one decides
_BATCH = 64
_SAME = 0.5  # two boxes that overlap by more than this are one object
_MARGIN = 1.6  # a box is looked at with this much around it
_SMALLEST_WINDOW = 0.35  # of the picture's shorter side: less shows too little of ground and light


class Verifier:
    """A network with its words, always on the CPU in float32, so that scores of two machines agree.

    ``Verifier.load()`` gives the one that ships.
    """

    def __init__(self, network: VerifierNetwork) -> None:
        self._network = network.to("cpu", torch.float32, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @classmethod
    def load(cls, folder: Path = SHIPPED) -> Verifier:
        """The verifier of a folder; raises what ``read_network`` raises."""
        return cls(read_network(folder))

    def see(self, pictures: NDArray[np.uint8], boxes: NDArray[np.floating] | None = None) -> list[Seen]:
        """What is on each picture, uint8 (B, H, W, 3).

        With ``boxes``, (B, 4) of x0, y0, x1, y1 as fractions of the picture, one for each picture: only the
        objects whose middles lie in the box. Boxes in the answer are always fractions of the whole picture.
        Raises InputError for other shapes or types, an empty box or one outside its picture, or, without
        boxes, pictures that are not square.
        """
        _check(pictures, boxes)
        if boxes is None:
            return self._looked_at_again(pictures, self._decoded(pictures, _PERHAPS))
        everything = self._in_windows(pictures, boxes)
        return [_only_in(seen, box) for seen, box in zip(everything, boxes.tolist(), strict=True)]

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, D) means of the network's last layers over each square picture, uint8 (B, S, S, 3), for
        distances between sets of pictures. Raises InputError as ``see``."""
        _check(pictures, None)
        return torch.cat([answers.features for answers in self._answers(pictures)]).numpy()

    def _decoded(self, pictures: NDArray[np.uint8], seen_from: float = SEEN_FROM) -> list[Seen]:
        return [seen for answers in self._answers(pictures) for seen in decode(answers, seen_from)]

    def _in_windows(self, pictures: Iterable[NDArray[np.uint8]], boxes: NDArray[np.floating]) -> list[Seen]:
        """All that is seen in a window about each box, in fractions of the whole pictures."""
        size = self._network.config.image_size
        cut, places = [], []
        for picture, box in zip(pictures, boxes, strict=True):
            height, width = picture.shape[:2]
            left, top, side = _window(box, height, width)
            cut.append(_resized(picture[top : top + side, left : left + side], size))
            places.append((left / width, top / height, side / width, side / height))
        return [_moved(seen, place) for seen, place in zip(self._decoded(np.stack(cut)), places, strict=True)]

    def _looked_at_again(self, pictures: NDArray[np.uint8], first: list[Seen]) -> list[Seen]:
        """Each object as a closer look at it shows it, where that look is the surer one."""
        whose = [n for n, seen in enumerate(first) for _ in seen.objects]
        if not whose:
            return first
        boxes = np.array([found.box for seen in first for found in seen.objects])
        closer = iter(self._in_windows((pictures[n] for n in whose), boxes))
        again = []
        for seen in first:
            objects = [_surer(found, next(closer)) for found in seen.objects]
            sure = [found for found in objects if found.score >= SEEN_FROM]
            again.append(replace(seen, objects=_apart(sure)))
        return again

    def _answers(self, pictures: NDArray[np.uint8]) -> Iterator[Answers]:
        size = self._network.config.image_size
        for start in range(0, len(pictures), _BATCH):
            batch = np.stack([_resized(picture, size) for picture in pictures[start : start + _BATCH]])
            with torch.inference_mode():
                yield self._network(to_input(batch).contiguous(memory_format=torch.channels_last))


def how_judged(crop: str, scenes: tuple[int, int]) -> dict[str, str]:
    """A bench protocol's entries about its judge: the part of each picture that the shipped verifier is
    shown, the size it is resized to, the seeds of the scenes, and the hash of its weights."""
    about = json.loads((SHIPPED / ABOUT_NAME).read_text(encoding="utf-8"))
    return {
        "crop": crop,
        "resize": f"to {about['image_size']} px, by areas down, bicubic up",
        "split": f"unseen scenes, seeds {scenes[0]:,} to {scenes[1] - 1:,}",
        "extractor": f"verifier {about['sha256']}",
    }


def to_input(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 (B, S, S, 3) -> float32 (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def decode(answers: Answers, seen_from: float = SEEN_FROM) -> list[Seen]:
    """Answers in words: local maxima of the score, without those whose box overlaps a surer one's."""
    score, kind = answers.kind.sigmoid().max(dim=1)
    peaks = (score == F.max_pool2d(score[:, None], 3, 1, 1)[:, 0]) & (score >= seen_from)
    colour, material = answers.colour.argmax(1), answers.material.argmax(1)
    ground, light = answers.ground.argmax(1).tolist(), answers.light.argmax(1).tolist()
    found: list[list[SeenObject]] = [[] for _ in score]
    cells = score.shape[-1]
    for n, row, column in peaks.nonzero().tolist():
        left, top, right, bottom = answers.sides[n, :, row, column].tolist()
        x, y = (column + 0.5) / cells, (row + 0.5) / cells
        found[n].append(
            SeenObject(
                kind=KINDS[kind[n, row, column]],
                colour=WORDS["colours"][colour[n, row, column]],
                material=MATERIALS[material[n, row, column]],
                box=(max(0.0, x - left), max(0.0, y - top), min(1.0, x + right), min(1.0, y + bottom)),
                score=float(score[n, row, column]),
            )
        )
    return [Seen(_apart(objects), GROUNDS[ground[n]], LIGHTS[light[n]]) for n, objects in enumerate(found)]


def read_network(folder: Path) -> VerifierNetwork:
    """The network of a folder with ``verifier.json`` and ``verifier.safetensors``, on the CPU, in float32.

    Raises:
        ModelFormatError: a file is missing, damaged, too new, or of a toybox with other words.
    """
    config, written = _read_about(folder / ABOUT_NAME)
    path = folder / WEIGHTS_NAME
    if sha256(path) != written:
        raise ModelFormatError(f"{path} is not what {ABOUT_NAME} says: copy or fetch both again.")
    network = blank(lambda: VerifierNetwork(config), str(folder))
    network.load_state_dict(read([path], _stored(network)), strict=False)
    return network.float()


def write_verifier(folder: Path, network: VerifierNetwork, provenance: dict[str, Any]) -> None:
    """Weights in float16 (norms in float32) and ``verifier.json``, which ``Verifier.load`` reads. Raises
    InputError where they cannot be written."""
    state = network.state_dict()
    tensors = {name: state[name].cpu().contiguous() for name in _stored(network)}
    data = save({name: each.half() if each.ndim > 1 else each.float() for name, each in tensors.items()})
    about = {
        "format": FORMAT,
        "image_size": network.config.image_size,
        "channels": network.config.channels,
        "words": WORDS,
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "MIT",
        "provenance": provenance,
    }
    write_atomically(folder / WEIGHTS_NAME, data, force=True)
    write_atomically(folder / ABOUT_NAME, f"{json.dumps(about, indent=2)}\n".encode(), force=True)


def default_config() -> VerifierConfig:
    """The configuration of the network that ships."""
    return VerifierConfig(len(KINDS), len(COLOURS), len(MATERIALS), len(GROUNDS), len(LIGHTS))


def _read_about(path: Path) -> tuple[VerifierConfig, str]:
    """The configuration, and the hash of the weights."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ModelFormatError(f"{path} has format {about['format']}, this version reads {FORMAT}.")
        if about["words"] != WORDS:
            raise ModelFormatError(f"{path} is of a toybox with other words: train it again.")
        config = replace(default_config(), image_size=about["image_size"], channels=tuple(about["channels"]))
        return config, about["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{path} is missing or damaged ({error}): copy or fetch it again.") from error


def _stored(network: VerifierNetwork) -> dict[str, tuple[int, ...]]:
    """The shapes of what is saved of a network: everything but its norms' batch counters."""
    shapes = shapes_of(network)
    return {name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}


def _apart(objects: list[SeenObject]) -> tuple[SeenObject, ...]:
    """Non-maximum suppression: without the objects that overlap a surer one."""
    kept: list[SeenObject] = []
    for candidate in sorted(objects, key=lambda seen: -seen.score):
        if all(overlap(candidate.box, other.box) <= _SAME for other in kept):
            kept.append(candidate)
    return tuple(kept)


def _check(pictures: NDArray[np.uint8], boxes: NDArray[np.floating] | None) -> None:
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3 or not pictures.size:
        raise InputError(
            f"Pictures to judge are uint8 (count, height, width, 3), not {pictures.dtype} {pictures.shape}."
        )
    height, width = pictures.shape[1:3]
    if boxes is None and height != width:
        raise InputError(f"A picture of {width} x {height} is not square: say which box to look at.")
    if boxes is None:
        return
    if boxes.shape != (len(pictures), 4):
        raise InputError(f"{len(pictures)} pictures need boxes ({len(pictures)}, 4), not {boxes.shape}.")
    if not ((boxes[:, :2] < boxes[:, 2:]).all() and boxes.min() >= 0 and boxes.max() <= 1):
        raise InputError("A box is x0 < x1 and y0 < y1, as fractions between 0 and 1.")


def _resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if picture.shape[0] == size:
        return picture
    way = cv2.INTER_AREA if picture.shape[0] > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (size, size), interpolation=way), np.uint8)


def _window(box: NDArray[np.floating], height: int, width: int) -> tuple[int, int, int]:
    """Left, top and side of the square to look at for a box: with a margin, moved into the picture."""
    x0, y0, x1, y1 = box * (width, height, width, height)
    short = min(height, width)
    side = round(min(short, max(_MARGIN * max(x1 - x0, y1 - y0), _SMALLEST_WINDOW * short)))
    left = round(min(max(0.0, (x0 + x1 - side) / 2), width - side))
    top = round(min(max(0.0, (y0 + y1 - side) / 2), height - side))
    return left, top, side


def _moved(seen: Seen, place: tuple[float, float, float, float]) -> Seen:
    """What was seen in a window, as fractions of the picture in which the window is x, y, width, height."""
    left, top, wide, tall = place
    boxes = [
        (left + wide * x0, top + tall * y0, left + wide * x1, top + tall * y1)
        for x0, y0, x1, y1 in (found.box for found in seen.objects)
    ]
    moved = (replace(found, box=box) for found, box in zip(seen.objects, boxes, strict=True))
    return replace(seen, objects=tuple(moved))


def _only_in(seen: Seen, box: list[float]) -> Seen:
    """Without the objects whose middles are outside the box."""
    left, top, right, bottom = (2 * end for end in box)
    middles = [(found, found.box[0] + found.box[2], found.box[1] + found.box[3]) for found in seen.objects]
    inside = [found for found, x, y in middles if left <= x <= right and top <= y <= bottom]
    return replace(seen, objects=tuple(inside))


def _surer(found: SeenObject, closer: Seen) -> SeenObject:
    """The object, or what a closer look shows at its place if that is surer."""
    same = nearest(closer, found.box) or found
    return same if overlap(found.box, same.box) > _SAME and same.score > found.score else found
