"""What does a network make of words that it never saw in training?

    scripts/bench frozen --cache DIR [--minutes M] [--text-encoder NAME|FOLDER] [--out DIR] [--sheet FILE]

Two networks begin with the U-Net of the model that ships and with an untrained text encoder. One reads with a
byte-pair transformer that is trained too, the other with a frozen language model through a learned
projection. Both learn from the same pictures of one toy, in the same order and for the same number of steps.
DIR is a cache of 64-pixel pictures that `glide-edit train --cache DIR` made. Then each draws known words and
words that no caption held, and the verifier says how often kind or colour is right; beside it the same
prompts with the known word, from the same seeds. Models that --out holds already are not trained again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benching import parser, print_header, print_row
from numpy.typing import NDArray

from glide_edit.evaluation.drawing import draw
from glide_edit.evaluation.prompts import with_article
from glide_edit.evaluation.report import Tile, contact_sheet
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
"""A word that no caption holds, and the known one that it stands for."""

BESIDE = 4
"""How many known words of the other sort (colours for kinds) a word is tried with."""

SHOWN = 5
"""Pictures of each prompt on the sheet, from each network."""


@dataclass(frozen=True)
class OneToy:
    """The pictures of a cache that show one toy; captions name the toy alone."""

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
    others = list(COLOURS if known in KINDS else KINDS)[:BESIDE]
    phrases = [with_article(f"{each} {word}" if known in KINDS else f"{word} {each}") for each in others]
    return [phrases[k % BESIDE] for k in range(count)]


def is_right(verifier: Verifier, pictures: NDArray[np.uint8], known: str) -> float:
    """The share of the pictures whose surest object has the known word as its kind or colour."""
    surest = [next(iter(seen.objects), None) for seen in verifier.see(pictures)]
    return float(np.mean([one is not None and known in (one.kind, one.colour) for one in surest]))


def table_of_neighbours(models: dict[str, Model]) -> None:
    """Which known words the text encoder puts nearest to each new one: what a network can know at best.

    By the cosine between mean states, which networks read beside the states, less the mean of the known.
    """
    print_header(["word", "stands for", *(f"{name}, nearest" for name in models)])
    for word, known in WORDS:
        words = KINDS if known in KINDS else tuple(COLOURS)
        print_row([word, known, *(nearest(model, word, words) for model in models.values())])


def nearest(model: Model, word: str, known: tuple[str, ...]) -> str:
    encoder = model.text_encoder
    assert encoder is not None
    prompts = [prompt for each in (word, *known) for prompt in prompts_of(each, known[0], BESIDE)]
    text = encoder.encode(prompts)
    real = text.token_mask[:, :, None]
    pooled = ((text.states.float() * real).sum(1) / real.sum(1)).unflatten(0, (1 + len(known), BESIDE))
    pooled = pooled - pooled[1:].mean(0)  # what all say in the company of the same other word
    cosines = torch.nn.functional.cosine_similarity(pooled[:1], pooled[1:], dim=2).mean(1)
    order = cosines.argsort(descending=True)[:2].tolist()
    return ", ".join(f"{known[k]} {cosines[k]:.2f}" for k in order)


def table_of_words(models: dict[str, Model], verifier: Verifier, count: int) -> list[Tile]:
    """Print the table; the sheet's tiles, one for each word."""
    names = [f"{name}, {which}" for which in ("known word", "word") for name in models]
    print_header(["word", "stands for", *names])
    tiles, shares = [], []
    for word, known in WORDS:
        drawn = [
            np.concatenate(list(draw(model, prompts_of(said, known, count), range(count))))
            for said in (known, word)
            for model in models.values()
        ]
        shares.append([is_right(verifier, pictures, known) for pictures in drawn])
        print_row([word, known, *(f"{value:.2f}" for value in shares[-1])])
        tiles.append(Tile(tuple(np.concatenate([each[:SHOWN] for each in drawn[len(models) :]])), word))
    print_row(["mean", "", *(f"{value:.2f}" for value in np.mean(shares, axis=0))])
    return tiles


def main() -> None:
    asked = parser("frozen", __doc__)
    asked.add_argument("--cache", type=Path, required=True)
    asked.add_argument("--minutes", type=float, default=20.0)
    asked.add_argument("--text-encoder", default="minilm")
    asked.add_argument("--out", type=Path, default=Path("runs/bench-frozen"))
    asked.add_argument("--sheet", type=Path)
    asked.add_argument("--pictures", type=int, default=24)
    given = asked.parse_args()
    runtime = choose_runtime()
    apply(runtime)
    source = OneToy(CachedToybox(given.cache))
    models: dict[str, Model] = {}
    shared = {"learning_rate": 1e-3, "warmup_steps": 60, "ema_decay": 0.995, "log_every": 50}
    length: dict[str, Any] = {"minutes": given.minutes, "steps": None}
    for name, language in (("byte pairs", None), ("frozen", given.text_encoder)):
        out = given.out / name.replace(" ", "-")
        if not (out / "model" / "model.json").exists():
            torch.manual_seed(0)
            learn(untaught(language, runtime.device), source, out, LoopOptions(**length, **shared), runtime)
        models[name] = load_model(out / "model", runtime)
        length = {"minutes": None, "steps": models[name].spec.provenance["steps"]}
    table_of_neighbours(models)
    tiles = table_of_words(models, Verifier.load(), given.pictures)
    if given.sheet is not None:
        save_picture(contact_sheet(tiles, across=2, size=64), given.sheet)


if __name__ == "__main__":
    main()
