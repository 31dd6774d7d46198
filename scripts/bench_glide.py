"""How fast GLIDE's networks step here, against the same networks run the plain way, and what bf16 costs.

    scripts/bench glide [--repeats N] [--profile]

The networks have their full size and random weights: the time does not depend on them. The plain way does
what the published code does on a CPU: float32, contiguous, attention by matrix products and a softmax, the
text encoded at every step. Both ways are timed in one run, the plain way first. Then a whole picture of
256 px is inpainted with the default preset, and compared with the steps of the published settings at the
plain way's speed. Memory is the peak of a fresh process that holds both stages and steps each once.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from benching import own_peak, parser, peak_of
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from glide_edit import Editor, Inpaint, open_picture
from glide_edit.conditioning import Conditioning
from glide_edit.guidance import CFGDenoiser
from glide_edit.models import Model, ModelSpec, Stage, glide, openai, tensors
from glide_edit.models.memory import give_back_freed_memory, keep_freed_memory
from glide_edit.models.runtime import Runtime, choose_runtime
from glide_edit.networks.adm_unet import ADMUNet
from glide_edit.text.encoder import TextEncoder
from glide_edit.text.glide_transformer import GlideTextTransformer
from glide_edit.text.tokenizer import Tokens
from masks import draw

TIMES = (17, 500, 950)
"""The training steps at which precisions are compared."""

GUIDANCE = 5.0


@dataclass(frozen=True)
class Case:
    """A stage of the cascade and how it is stepped."""

    name: str
    published: str
    guided: bool

    @property
    def checkpoint(self) -> openai.Checkpoint:
        return openai.CHECKPOINTS[self.published]


CASES = (
    Case("base, guided: batch 2 at 64 px", "base_inpaint", guided=True),
    Case("upsampler: batch 1 at 256 px", "upsample_inpaint", guided=False),
)


class Words:
    """As many tokens as a prompt has words: the vocabulary need not be here."""

    vocabulary_size = 50257

    def __init__(self, context: int) -> None:
        self.context = context

    def encode(self, prompts: Sequence[str]) -> Tokens:
        counts = torch.tensor([[len(prompt.split())] for prompt in prompts])
        token_mask = torch.arange(self.context) < counts
        ids = torch.where(token_mask, 1000 + torch.arange(self.context), 50256)
        return Tokens(ids, token_mask, (0,) * len(prompts))


# -- networks and inputs --------------------------------------------------------------------------------


def fill(module: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Random weights under which activations keep their size; the same for every precision."""
    values = {}
    for index, (name, value) in enumerate(module.state_dict().items()):
        n = torch.randn(value.shape, generator=torch.Generator().manual_seed(index))
        if value.ndim > 1:
            n *= 0.8 / math.sqrt(value[0].numel())
        else:
            n = 1 + 0.1 * n if name.endswith("weight") else 0.1 * n
        values[name] = n.to(device, dtype)
    module.load_state_dict(values, assign=True)
    module.requires_grad_(False).eval()


Networks = tuple[ADMUNet, TextEncoder]


def build(case: Case, runtime: Runtime) -> Networks:
    """As a model folder is loaded: the U-Net at the runtime's precision, its text encoder in float32."""
    shape = case.checkpoint
    unet = tensors.blank(lambda: ADMUNet(shape.config, shape.schedule), case.name)
    text = tensors.blank(lambda: GlideTextTransformer(shape.text), case.name)
    fill(unet, runtime.dtype, runtime.device)
    fill(text, torch.float32, runtime.device)
    if runtime.channels_last:
        unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return unet, TextEncoder(Words(shape.text.context), text)


def conditions(case: Case, device: torch.device) -> Conditioning:
    size = case.checkpoint.config.image_size
    generator = torch.Generator().manual_seed(1)
    keep_mask = torch.ones(1, 1, size, size)
    keep_mask[:, :, size // 4 : size // 2, size // 4 : size // 2] = 0
    known = (torch.rand(1, 3, size, size, generator=generator) * 2 - 1) * keep_mask
    low_res = torch.rand(1, 3, size // 4, size // 4, generator=generator) * 2 - 1
    return Conditioning(
        known=known.to(device),
        keep_mask=keep_mask.to(device),
        low_res=low_res.to(device) if case.checkpoint.config.low_res else None,
    )


# -- measuring ------------------------------------------------------------------------------------------

Step = Callable[[int], Tensor]
"""Time index -> the network's output, (B, 6, H, W)."""


@torch.no_grad()
def step_of(case: Case, unet: ADMUNet, text: TextEncoder, *, is_plain: bool = False) -> Step:
    """What samplers run, ``CFGDenoiser`` over branches with text: made once, or the plain way at every step.

    The network's own output is caught on the way.
    """
    device, size = unet.stem.weight.device, case.checkpoint.config.image_size
    given = conditions(case, device)
    x_t = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2)).to(device)
    weights = {"word " * 12: GUIDANCE, "": 1 - GUIDANCE} if case.guided else {"word " * 12: 1.0}
    caught: list[Tensor] = []
    unet.register_forward_hook(lambda module, inputs, output: caught.append(output))

    def denoiser() -> CFGDenoiser:
        branches = [(replace(given, text=text.encode([words])), weight) for words, weight in weights.items()]
        return CFGDenoiser(unet, branches)

    ready = None if is_plain else denoiser()

    def step(t: int) -> Tensor:
        caught.clear()
        with sdpa_kernel(SDPBackend.MATH) if is_plain else nullcontext():
            (ready or denoiser())(x_t, torch.full((1,), float(t), device=device))
        return caught[0].float()

    return step


@torch.no_grad()
def seconds(step: Step, repeats: int) -> float:
    """The fastest of so many steps: what else runs here only ever adds. The first is not counted."""
    taken = []
    for k in range(repeats + 1):
        began = time.perf_counter()
        step(TIMES[k % len(TIMES)])
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


@dataclass(frozen=True)
class Measured:
    """Seconds a step, and the outputs by time."""

    seconds: float
    outputs: dict[int, Tensor]


@torch.no_grad()
def measured(
    case: Case, networks: Networks, repeats: int, profiling: bool, *, is_plain: bool = False
) -> Measured:
    step = step_of(case, *networks, is_plain=is_plain)
    taken = seconds(step, repeats)
    if profiling:
        with torch.profiler.profile() as profiler:
            step(500)
        print(f"profile of {case.name}, {'the plain way' if is_plain else 'as chosen'}:")
        table = profiler.key_averages().table
        print(table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=40))
    return Measured(taken, {t: step(t) for t in TIMES})


def compare(case: Case, ours: Measured, plain: Measured) -> None:
    print(case.name)
    print(f"  the plain way  {plain.seconds:6.2f} s a step")
    print(f"  as chosen      {ours.seconds:6.2f} s a step, {plain.seconds / ours.seconds:.1f} times as fast")
    errors = {t: float((ours.outputs[t] - true).norm() / true.norm()) for t, true in plain.outputs.items()}
    at_times = ", ".join(f"{error:.2%} at t = {t}" for t, error in errors.items())
    print(f"  relative L2 error of the output against float32: {at_times}")


def measure_whole(
    networks: list[Networks], runtime: Runtime, plain_ways: list[Measured], repeats: int
) -> None:
    """A whole inpainting with the default preset, beside the published one's steps run the plain way."""
    stages = [
        Stage(glide.stage_spec(case.published), *each) for case, each in zip(CASES, networks, strict=True)
    ]
    specs = tuple(stage.spec for stage in stages)
    editor = Editor(Model.of(ModelSpec("glide", "glide", "", {}, specs, None), runtime, stages))
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    picture, mask = open_picture(pixels), draw.box((80, 80, 176, 176), (256, 256))
    request = Inpaint(image=picture, mask=mask, prompt="a red ball on the grass", context=16)
    taken = min(editor.run(request).seconds for _ in range(repeats))
    chosen = " and ".join(str(stage.preset.steps) for stage in specs)
    published = [stage.presets["published"].steps for stage in specs]
    plain_taken = sum(count * way.seconds for count, way in zip(published, plain_ways, strict=True))
    print(f"a whole inpainting, {chosen} steps: {taken:.1f} s")
    print(
        f"  published settings, {published[0]} and {published[1]} steps, at the plain way's speed: "
        f"{plain_taken:.0f} s, {plain_taken / taken:.1f} times as long"
    )


@torch.no_grad()
def once(runtime: Runtime) -> None:
    """Hold both stages with their text encoders, step each once, print the peak in GiB."""
    parts = [(case, *build(case, runtime)) for case in CASES]
    keep_freed_memory()
    for part in parts:
        give_back_freed_memory()
        step_of(*part)(500)
    print(own_peak())


def main() -> None:
    options = parser("glide", __doc__)
    options.add_argument("--device", default="auto")
    options.add_argument("--repeats", type=int, default=12)
    options.add_argument("--profile", action="store_true", help="print what takes the time in both ways")
    options.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    runtime = choose_runtime(given.device)
    torch.set_num_threads(runtime.threads)  # not apply: the plain way runs as published
    if given.once:
        once(runtime)
        return
    print(f"{runtime.reason}; {torch.get_num_threads()} threads; torch {torch.__version__}")
    float32 = replace(runtime, dtype=torch.float32, channels_last=False)
    few = max(1, given.repeats // 2)
    plain_ways = [measured(case, build(case, float32), few, given.profile, is_plain=True) for case in CASES]
    keep_freed_memory()
    networks = [build(case, runtime) for case in CASES]
    for case, each, plain in zip(CASES, networks, plain_ways, strict=True):
        compare(case, measured(case, each, given.repeats, given.profile), plain)
    measure_whole(networks, runtime, plain_ways, max(1, given.repeats // 4))
    peak = peak_of(__file__, "--device", given.device)
    print(f"peak memory of both stages with their text encoders: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
