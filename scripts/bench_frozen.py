"""What does a network make of words that it never saw in training?

    scripts/bench frozen --cache DIR [--minutes M] [--text-encoder NAME|FOLDER] [--out DIR] [--sheet FILE]

Two networks begin with the U-Net of the model that ships, which can draw every toy, and with a text encoder
that knows nothing: what words mean is all there is to learn. One reads with a transformer over byte pairs
that is trained along, the other with a frozen language model through a learned projection. Both learn from
the same pictures of one toy, in the same order and for the same number of steps. DIR is a cache of 64-pixel
pictures that `glide-edit train --cache DIR` made. Then each draws known words and words that no caption ever
held, and the verifier says how often kind or colour is right; the same prompts with the known word, from the
same seeds, stand beside. What is in --out is taken as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from glide_edit.evaluation.drawing import draw
from glide_edit.evaluation.verifier import Verifier
from glide_edit.images import save_picture
from glide_edit.models import Model, StageSpec, TextSpec, load_model, write_model
from glide_edit.models.language import find_language, frozen_config, open_language
from glide_edit.models.presets import BASE_PRESET
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.networks.efficient_unet import EfficientUNet
from glide_edit.text.frozen import FrozenText
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer
from glide_edit.toybox import COLOURS, KINDS
from glide_edit.training.batches import BatchPlan
from glide_edit.training.cache import CachedToybox
from glide_edit.training.caption_states import PHRASINGS, CaptionStates
from glide_edit.training.loop import train
from glide_edit.training.settings import LoopOptions
from glide_edit.training.sources import Item, Source
from glide_edit.training.training_module import TrainingModule
from glide_edit.training.views import Mixture
from glide_edit.training.weights import strip_prefix

WORDS = (
    ("automobile", "car"),
    ("auto", "car"),
    ("cottage", "house"),
    ("igloo", "house"),
    ("missile", "rocket"),
    ("sphere", "ball"),
    ("cup", "mug"),
    ("oak", "tree"),
    ("crimson", "red"),
    ("scarlet", "red"),
    ("emerald", "green"),
    ("violet", "purple"),
)
"""A word that no caption holds, and the one that it stands for."""

BESIDE = 4
"""With how many of the known words of the other sort a word is tried."""

SHOWN = 5
"""Pictures of each prompt on the sheet, from each network."""


@dataclass(frozen=True)
class OneToy:
    """The pictures of a cache that show one toy, worded by the toy alone."""

    toys: CachedToybox

    def draw(self, rng: np.random.Generator) -> Item:
        item = self.toys.draw(rng)
        while len(item.objects) != 1:
            item = self.toys.draw(rng)
        return replace(item, caption=lambda seed: item.describe(0, seed))

    def captions(self) -> Iterable[str]:
        return self.toys.captions()


def untaught(language: str | None, device: torch.device) -> TrainingModule:
    """The U-Net that ships, and a new text encoder: a transformer like its own, or a projection."""
    shipped = load_model(resolve("toybox"), choose_runtime("cpu", "float32"))
    network, reads = shipped.stages[0].network, shipped.text_encoder
    assert isinstance(network, EfficientUNet)
    network.requires_grad_(True)
    if language is None:
        assert reads is not None
        assert isinstance(reads.transformer, TextTransformer)
        text = TextTransformer(reads.transformer.config)
        module = TrainingModule(network, text, reads.tokenizer, probes=True)
        module.text_probe = None  # the other side has none
        return module
    name, folder = find_language(language)
    config = frozen_config(name, folder, network.config.text_width)
    opened = open_language(folder, config, device)
    return TrainingModule(network, FrozenText(config, opened.model), opened.tokenizer, probes=True)


def learn(module: TrainingModule, source: Source, out: Path, options: LoopOptions, runtime: Runtime) -> None:
    """Train into ``out`` and write ``out/model``."""
    module = module.to(device=runtime.device, dtype=runtime.dtype)
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    text, tokenizer = module.transformer, module.tokenizer
    assert module.feature_probe is not None
    assert text is not None
    assert tokenizer is not None
    sources = [(source, 1.0, Mixture(known=0, drawing=0))]
    plan = BatchPlan(sources, 32, options.seed, tag_side=module.feature_probe.side, phrasings=PHRASINGS)
    if isinstance(text, FrozenText):
        assert text.language is not None
        out.mkdir(parents=True, exist_ok=True)
        states = CaptionStates(out, text.config, tokenizer, text.language, runtime.device)
        plan = replace(plan, caption_states=states)

    def tell(record: dict[str, Any]) -> None:
        print(f"{out.name}: {json.dumps(record)}", flush=True)

    weights, progress = train(module, plan, options, out, {"bench": "frozen"}, runtime.device, tell)
    averaged = weights.ema()
    stage = StageSpec("base", module.network.config, module.schedule, BASE_PRESET)
    byte_pairs = tokenizer if isinstance(tokenizer, BytePairTokenizer) else None
    write_model(
        out / "model",
        name=out.name,
        licence="",
        provenance={"steps": progress.step},
        stages=[(stage, strip_prefix(averaged, "network."))],
        text=(TextSpec(text.config), strip_prefix(averaged, "transformer."), byte_pairs),
    )


def prompts_of(word: str, known: str, count: int) -> list[str]:
    """``count`` prompts with the word, among known words of the other sort."""
    if known in KINDS:
        phrases = [f"{colour} {word}" for colour in list(COLOURS)[:BESIDE]]
    else:
        phrases = [f"{word} {kind}" for kind in KINDS[:BESIDE]]
    articles = ["an" if phrase[0] in "aeiou" else "a" for phrase in phrases]
    said = [f"{article} {phrase}" for article, phrase in zip(articles, phrases, strict=True)]
    return [said[k % len(said)] for k in range(count)]


def is_right(verifier: Verifier, pictures: NDArray[np.uint8], known: str) -> float:
    """The share of the pictures whose surest object has the known word as its kind or colour."""
    surest = [next(iter(seen.objects), None) for seen in verifier.see(pictures)]
    return float(np.mean([one is not None and known in (one.kind, one.colour) for one in surest]))


def table_of_neighbours(models: dict[str, Model]) -> None:
    """Which known word the text encoder puts nearest to each new one: what a network can know at best.

    By the cosine between mean states, which networks read beside the states, less the mean of the known.
    """
    row(["word", "stands for", *(f"{name}, nearest" for name in models)])
    row(["---"] * (2 + len(models)))
    for word, known in WORDS:
        words = KINDS if known in KINDS else tuple(COLOURS)
        nearest = [_nearest(model, word, words) for model in models.values()]
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


def drawn(model: Model, prompts: list[str]) -> NDArray[np.uint8]:
    return np.concatenate(list(draw(model, prompts, range(len(prompts)))))


def table_of_words(models: dict[str, Model], verifier: Verifier, count: int) -> list[NDArray[np.uint8]]:
    """Print the table; rows of the sheet, one for each word."""
    row(["word", "stands for", *(f"{name}, known word" for name in models), *(f"{n}, word" for n in models)])
    row(["---"] * (2 + 2 * len(models)))
    rows, shares = [], []
    for word, known in WORDS:
        pictures = {
            (name, said): drawn(model, prompts_of(said, known, count))
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
    height = groups[0].shape[1]
    cells = [np.full((height, 110, 3), 255, np.uint8)]
    cv2.putText(cells[0], label, (4, 38), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    for pictures in groups:
        cells += [*pictures, np.full((height, 12, 3), 255, np.uint8)]
    return np.concatenate(cells, axis=1)


def row(cells: Iterable[object]) -> None:
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser("scripts/bench frozen", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--text-encoder", default="minilm")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-frozen"))
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--pictures", type=int, default=24)
    given = parser.parse_args()
    runtime = choose_runtime()
    apply(runtime)
    source = OneToy(CachedToybox(given.cache))
    models: dict[str, Model] = {}
    steps: int | None = None
    for name, language in (("byte pairs", None), ("frozen", given.text_encoder)):
        out = given.out / name.replace(" ", "-")
        if not (out / "model" / "model.json").exists():
            torch.manual_seed(0)
            options = LoopOptions(
                minutes=given.minutes if steps is None else None,
                steps=steps,
                learning_rate=1e-3,
                warmup_steps=60,
                ema_decay=0.995,
                log_every=50,
            )
            learn(untaught(language, runtime.device), source, out, options, runtime)
        models[name] = load_model(out / "model", runtime)
        steps = models[name].spec.provenance["steps"]
    table_of_neighbours(models)
    rows = table_of_words(models, Verifier.load(), given.pictures)
    if given.sheet is not None:
        save_picture(np.concatenate(rows), given.sheet)


if __name__ == "__main__":
    main()
