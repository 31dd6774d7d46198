"""Which changes to a caption a base network notices.

    scripts/bench captions [--model NAME|FOLDER]... [--count N]

Renders of unseen scenes with two toys are noised and denoised twice: by a true caption, and by the same one
with one thing changed: a kind, a colour, the colours of both toys exchanged, left for right, in front for
behind. The table gives the squared error on the toys by the false caption over that by the true one, at
several noise levels, with 95 % bootstrap intervals: 1 is a change that the network does not notice. All
models see the same pictures, noise and captions.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from benching import parser, resampled_means
from numpy.typing import NDArray

from glide_edit.conditioning import Conditioning
from glide_edit.evaluation.report import Table
from glide_edit.models import load_model, resolve
from glide_edit.models.model import Model
from glide_edit.toybox import caption, render, sample_scene
from glide_edit.training.batches import to_images
from glide_edit.training.hard_negatives import hard_negative

CHANGES = ("kind", "colour", "exchange", "side", "depth")
"""Of ``hard_negative``; "exchange" is of colours."""
TIMES = (950.0, 900.0, 800.0, 700.0)
FIRST_SCENE = 880_000
BATCH = 32


Question = tuple[NDArray[np.uint8], NDArray[np.bool_], str, str]
"""A picture (S, S, 3), where a toy is seen on it (S, S), and its true and its false caption."""


def questions(count: int, size: int) -> dict[str, list[Question]]:
    """``count`` of each change; a scene is asked about once."""
    found: dict[str, list[Question]] = defaultdict(list)
    seed = FIRST_SCENE
    while any(len(found[change]) < count for change in CHANGES):
        scene, rng = sample_scene(seed), np.random.default_rng(seed)
        seed += 1
        if len(scene.toys) != 2 or scene.toys[0].kind == scene.toys[1].kind:
            continue
        true = caption(scene, seed)
        for _ in range(8):  # drawn by chance, until one comes that is still missing
            false = hard_negative(true, rng)
            if false.change in CHANGES and len(found[false.change]) < count:
                picture = render(scene, size)
                found[false.change].append((picture.image, picture.visible >= 0, true, false.caption))
                break
    return found


@torch.no_grad()
def errors(model: Model, asked: list[Question], time: float) -> NDArray[np.float64]:
    """(N, 2): each picture's squared error on its toys by the true and by the false caption."""
    stage, encoder = model.stages[0], model.stages[0].text_encoder
    assert encoder is not None, "a base network reads words"
    generator = torch.Generator().manual_seed(0)
    parts = []
    for start in range(0, len(asked), BATCH):
        pictures, places, *captions = zip(*asked[start : start + BATCH], strict=True)
        image, toys = to_images(list(pictures)), torch.from_numpy(np.stack(places))
        t = torch.full((len(image),), time)
        x_t = stage.schedule.add_noise(image, torch.randn(image.shape, generator=generator), t)
        found = stage.network.predict(x_t, t, [Conditioning(text=encoder.encode(said)) for said in captions])
        wrong = [((each.x0 - image).square().mean(1) * toys).sum((1, 2)) / toys.sum((1, 2)) for each in found]
        parts.append(torch.stack(wrong, 1))
    return torch.cat(parts).double().numpy()


def ratio(wrong: NDArray[np.float64]) -> str:
    """False over true, with its interval."""
    means = resampled_means(wrong, 1000)
    low, high = np.quantile(means[:, 1] / means[:, 0], (0.025, 0.975))
    true, false = wrong.mean(0)
    return f"{false / true:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    options = parser("captions", __doc__)
    options.add_argument("--model", action="append", metavar="NAME|FOLDER")
    options.add_argument("--count", type=int, default=128, help="of each change (128)")
    given = options.parse_args()
    for name in given.model or ["toybox"]:
        model = load_model(resolve(name))
        stage = model.stages[0]
        asked = questions(given.count, stage.image_size)
        levels = [f"log-SNR {float(stage.schedule.log_snr(torch.tensor([t]))):.1f}" for t in TIMES]
        rows = [(change, *(ratio(errors(model, asked[change], t)) for t in TIMES)) for change in CHANGES]
        print(f"{name}\n\n{Table(name, ('changed', *levels), tuple(rows)).to_markdown()}\n", flush=True)


if __name__ == "__main__":
    main()
