"""What does a network make of words that it never saw in training?

    scripts/bench frozen --cache DIR [--minutes M] [--text-encoder NAME|FOLDER] [--out DIR] [--sheet FILE]

Two small networks of 32 pixels learn from the same pictures of one toy (6 kinds, 6 colours), in the same
order and for the same number of steps: one reads with a transformer over byte pairs that is trained along,
the other with a frozen language model through a learned projection. DIR is a cache that `glide-edit train
--cache DIR` made. Then each draws known words and words that no caption ever held, and the verifier says how
often kind or colour is right; the same prompts with the known word, from the same seeds, stand beside. What
is in --out is taken as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from glide_edit.diffusion.schedule import Schedule
from glide_edit.evaluation.drawing import Settings, draw
from glide_edit.evaluation.verifier import Verifier
from glide_edit.images import save_picture
from glide_edit.models import Model, StageSpec, TextSpec, load_model, write_model
from glide_edit.models.language import find_language, frozen_config, open_language
from glide_edit.models.presets import BASE_PRESET
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.frozen import FrozenText
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.toybox import KINDS
from glide_edit.training.batches import BatchPlan
from glide_edit.training.cache import CachedToybox
from glide_edit.training.captions import CaptionStates, FewPhrasings, ReadingPlan
from glide_edit.training.loop import Hooks, LoopOptions, train
from glide_edit.training.sources import Item, toybox_captions
from glide_edit.training.trainee import Trainee
from glide_edit.training.views import Mixture
from glide_edit.training.weights import under

NETWORK = EfficientUNetConfig(
    image_size=32,
    channels=(48, 96),
    blocks=(1, 2),
    attention=(False, True),
    patch=4,
    embedding_width=192,
    text_width=96,
)
WORDS = (
    ("automobile", "car"),
    ("auto", "car"),
    ("cottage", "house"),
    ("igloo", "house"),
    ("missile", "rocket"),
    ("sphere", "ball"),
    ("crimson", "red"),
    ("scarlet", "red"),
)
"""A word that no caption holds, and the one that it stands for."""

TAUGHT_KINDS = ("ball", "car", "house", "rocket", "tree", "mug")
TAUGHT_COLOURS = ("red", "blue", "yellow", "green", "white", "purple")
"""Half of the world, so that a training of minutes comes far enough to be asked about words."""

BESIDE = 4
"""With how many of the taught words of the other sort a word is tried."""

SHOWN = 5
"""Pictures of each prompt on the sheet, from each network."""


@dataclass(frozen=True)
class OneToy:
    """The pictures of a cache that show one toy of those taught, made small and worded by the toy alone."""

    toys: CachedToybox
    size: int

    def draw(self, rng: np.random.Generator) -> Item:
        item = self.toys.draw(rng)
        while not _is_taught(item):
            item = self.toys.draw(rng)
        size = (self.size, self.size)

        def small(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
            shares = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            return np.asarray(shares >= 0.5)

        assert item.foreground is not None
        return Item(
            image=np.asarray(cv2.resize(item.image, size, interpolation=cv2.INTER_AREA), np.uint8),
            caption=lambda seed: item.describe(0, seed),
            objects=tuple(small(mask) for mask in item.objects),
            foreground=small(item.foreground),
            scene=item.scene,
        )

    def captions(self) -> Iterable[str]:
        return toybox_captions()


def _is_taught(item: Item) -> bool:
    assert item.scene is not None
    toy = item.scene.toys[0]
    return len(item.scene.toys) == 1 and toy.kind in TAUGHT_KINDS and toy.colour in TAUGHT_COLOURS


def bpe_trainee(tokenizer: BytePairTokenizer) -> Trainee:
    text = TextTransformerConfig(tokenizer.vocabulary_size, width=NETWORK.text_width, heads=3)
    network = EfficientUNet(NETWORK, Schedule.cosine())
    return Trainee(network, TextTransformer(text), tokenizer, tagging=True)


def frozen_trainee(name_or_folder: str, device: torch.device) -> Trainee:
    name, folder = find_language(name_or_folder)
    config = frozen_config(name, folder, NETWORK.text_width)
    language = open_language(folder, config, device)
    network = EfficientUNet(NETWORK, Schedule.cosine())
    return Trainee(network, FrozenText(config, language.model), language.tokenizer, tagging=True)


def trained(trainee: Trainee, source: FewPhrasings, out: Path, options: LoopOptions, runtime: Runtime) -> int:
    """Train into ``out`` and write ``out/model``; the number of steps made."""
    trainee = trainee.to(device=runtime.device, dtype=runtime.dtype)
    trainee = trainee.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert trainee.taggers is not None
    sources = [(source, 1.0, Mixture(known=0, drawing=0))]
    batches = BatchPlan(sources, 32, options.seed, tag_side=trainee.taggers.side)
    plan: BatchPlan | ReadingPlan = batches
    text = trainee.transformer
    assert text is not None
    if isinstance(text, FrozenText):
        assert text.language is not None
        assert trainee.tokenizer is not None
        out.mkdir(parents=True, exist_ok=True)
        states = CaptionStates(out, text.config, trainee.tokenizer, text.language, runtime.device)
        plan = ReadingPlan(batches, states)
    tell = Hooks(on_log=lambda record: print(f"{out.name}: {json.dumps(record)}", flush=True))
    recipe = {"bench": "frozen", "network": asdict(NETWORK), "seed": options.seed}
    weights, progress = train(
        trainee, plan, options, out, json.loads(json.dumps(recipe)), runtime.device, tell
    )
    averaged = weights.ema()
    tokenizer = trainee.tokenizer if isinstance(trainee.tokenizer, BytePairTokenizer) else None
    write_model(
        out / "model",
        name=out.name,
        licence="",
        provenance={"steps": progress.step},
        stages=[(StageSpec("base", NETWORK, Schedule.cosine(), BASE_PRESET), under(averaged, "network."))],
        text=(TextSpec(text.config), under(averaged, "transformer."), tokenizer),
    )
    return progress.step


def prompts_of(word: str, known: str, count: int) -> list[str]:
    """``count`` prompts with the word, among known words of the other sort."""
    if known in KINDS:
        phrases = [f"{colour} {word}" for colour in TAUGHT_COLOURS[:BESIDE]]
    else:
        phrases = [f"{word} {kind}" for kind in TAUGHT_KINDS[:BESIDE]]
    articles = ["an" if phrase[0] in "aeiou" else "a" for phrase in phrases]
    said = [f"{article} {phrase}" for article, phrase in zip(articles, phrases, strict=True)]
    return [said[k % len(said)] for k in range(count)]


def is_right(verifier: Verifier, pictures: NDArray[np.uint8], known: str) -> float:
    """The share of the pictures whose surest object has the known word as its kind or colour."""
    surest = [next(iter(seen.objects), None) for seen in verifier.see(enlarged(pictures))]
    return float(np.mean([one is not None and known in (one.kind, one.colour) for one in surest]))


def enlarged(pictures: NDArray[np.uint8], size: int = 64) -> NDArray[np.uint8]:
    """At the size of the toybox's base network, whose pictures the verifier knows."""
    return np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in pictures])


def table_of_renders(source: FewPhrasings, verifier: Verifier, count: int) -> None:
    """What the verifier makes of real pictures of this size."""
    rng = np.random.default_rng(1)
    items = [source.draw(rng) for _ in range(count)]
    seen = verifier.see(enlarged(np.stack([item.image for item in items])))
    toys = [item.scene.toys[0] for item in items if item.scene is not None]
    for what in ("kind", "colour"):
        right = [
            bool(one.objects) and getattr(one.objects[0], what) == getattr(toy, what)
            for one, toy in zip(seen, toys, strict=True)
        ]
        print(f"real pictures of this size: {what} right {np.mean(right):.2f}")


def table_of_neighbours(models: dict[str, Model]) -> None:
    """Which known word the text encoder puts nearest to each new one: what a network can know at best.

    By the cosine between mean states, which networks read beside the states, less the mean of the known.
    """
    row(["word", "stands for", *(f"{name}, nearest" for name in models)])
    row(["---"] * (2 + len(models)))
    for word, known in WORDS:
        nearest = [
            _nearest(model, word, TAUGHT_KINDS if known in KINDS else TAUGHT_COLOURS)
            for model in models.values()
        ]
        row([word, known, *nearest])


def _nearest(model: Model, word: str, known: tuple[str, ...]) -> str:
    encoder = model.text_encoder
    assert encoder is not None
    sort = known[0]
    text = encoder.encode([prompt for each in (word, *known) for prompt in prompts_of(each, sort, BESIDE)])
    real = text.token_mask[:, :, None]
    pooled = ((text.states.float() * real).sum(1) / real.sum(1)).unflatten(0, (1 + len(known), BESIDE))
    pooled = pooled - pooled[1:].mean(0)  # what all say in the company of the same other word
    cosines = torch.nn.functional.cosine_similarity(pooled[:1], pooled[1:], dim=2).mean(1)
    order = cosines.argsort(descending=True)[:2].tolist()
    return ", ".join(f"{known[k]} {cosines[k]:.2f}" for k in order)


def drawn(model: Model, prompts: list[str], guidance: float) -> NDArray[np.uint8]:
    settings = Settings(guidance=guidance)
    return np.concatenate(list(draw(model, prompts, range(len(prompts)), settings, "base")))


def table_of_words(
    models: dict[str, Model], verifier: Verifier, count: int, guidance: float
) -> list[NDArray]:
    """Print the table; rows of the sheet, a picture of a row for each word."""
    row(["word", "stands for", *(f"{name}, known word" for name in models), *(f"{n}, word" for n in models)])
    row(["---"] * (2 + 2 * len(models)))
    rows, shares = [], []
    for word, known in WORDS:
        pictures = {
            (name, said): drawn(model, prompts_of(said, known, count), guidance)
            for said in (known, word)
            for name, model in models.items()
        }
        share = [is_right(verifier, found, known) for found in pictures.values()]
        row([word, known, *(f"{value:.2f}" for value in share)])
        shares.append(share)
        rows.append(sheet_row(word, [pictures[name, word][:SHOWN] for name in models]))
    row(["mean", "", *(f"{value:.2f}" for value in np.mean(shares, axis=0))])
    return rows


def sheet_row(label: str, groups: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """A label, and each network's pictures with a gap between the networks."""
    cells = [np.full((64, 110, 3), 255, np.uint8)]
    cv2.putText(cells[0], label, (4, 38), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    for pictures in groups:
        cells += [*enlarged(pictures), np.full((64, 12, 3), 255, np.uint8)]
    return np.concatenate(cells, axis=1)


def row(cells: Iterable[object]) -> None:
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser("scripts/bench frozen", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--text-encoder", default="minilm")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-frozen"))
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--guidance", type=float, default=3.0)
    given = parser.parse_args()
    runtime = choose_runtime()
    apply(runtime)
    source = FewPhrasings(OneToy(CachedToybox(given.cache), NETWORK.image_size))
    folders = {"byte pairs": given.out / "byte-pairs", "frozen": given.out / "frozen"}
    steps = None
    for name, out in folders.items():
        if (out / "model" / "model.json").exists():
            continue
        torch.manual_seed(0)
        if name == "frozen":
            trainee = frozen_trainee(given.text_encoder, runtime.device)
        else:
            trainee = bpe_trainee(BytePairTokenizer.train(source.captions(), 512, 40))
        minutes = given.minutes if steps is None else None
        options = LoopOptions(
            minutes=minutes,
            steps=steps,
            learning_rate=1e-3,
            warmup_steps=60,
            ema_decay=0.995,
            log_every=100,
        )
        steps = trained(trainee, source, out, options, runtime)
    models = {name: load_model(out / "model", runtime) for name, out in folders.items()}
    table_of_neighbours(models)
    verifier = Verifier.load()
    table_of_renders(source, verifier, 8 * given.pictures)
    rows = table_of_words(models, verifier, given.pictures, given.guidance)
    if given.sheet is not None:
        save_picture(np.concatenate(rows), given.sheet)


if __name__ == "__main__":
    main()
