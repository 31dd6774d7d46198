"""How fast GLIDE's networks step here, against the same networks run the plain way, and what bf16 costs.

    scripts/bench glide [--repeats N] [--profile]

The networks have their full size and random weights: the time does not depend on them. The plain way is that
of the published code on a CPU: float32, contiguous, attention by einsum, the text encoded at every step. Both
ways are timed in one run, the plain way first. Then a whole picture of 256 px is inpainted with the default
preset, and held against the steps of the published settings at the plain way's speed. Memory is the peak of a
process of its own that holds both stages and steps each once.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit import Editor, Inpaint, open_picture
from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.guidance.cfg import CFGDenoiser, classifier_free
from glide_edit.models import Model, ModelSpec, Stage, glide, openai, tensors
from glide_edit.models.memory import give_back_freed_memory, keep_freed_memory
from glide_edit.models.runtime import Runtime, choose_runtime
from glide_edit.networks.adm_unet import ADMUNet, ResidualBlock, TextAttention
from glide_edit.networks.parts import sinusoidal_embedding
from glide_edit.text.encoder import TextEncoder
from glide_edit.text.glide_transformer import GlideTextTransformer
from glide_edit.text.tokenizer import Tokens
from masks import draw

TIMES = (17, 500, 950)
"""The training steps at which precisions are compared."""


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


# -- the plain way -------------------------------------------------------------------------------------


def plain_block(block: ResidualBlock, x: Tensor, embedding: Tensor) -> Tensor:
    h = block._resized(F.silu(block.norm_in(x)))
    scale, shift = block.film(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
    h = block.norm_out(F.conv2d(h, block.conv_in.weight, block.conv_in.bias, padding=1)) * (1 + scale) + shift
    h = F.conv2d(F.silu(h), block.conv_out.weight, block.conv_out.bias, padding=1)
    x = block._resized(x)
    return h + (x if block.shortcut is None else F.conv2d(x, block.shortcut.weight, block.shortcut.bias))


def plain_attention(layer: TextAttention, x: Tensor, states: Tensor) -> Tensor:
    batch, channels = x.shape[:2]
    qkv = F.conv1d(layer.norm(x).flatten(2), layer.qkv.weight[..., None], layer.qkv.bias)
    text = F.conv1d(states.transpose(1, 2), layer.text_kv.weight[..., None], layer.text_kv.bias)
    head_width = channels // layer.heads
    q, k, v = qkv.reshape(batch * layer.heads, 3 * head_width, -1).split(head_width, dim=1)
    text_k, text_v = text.reshape(batch * layer.heads, 2 * head_width, -1).split(head_width, dim=1)
    k, v = torch.cat([text_k, k], dim=-1), torch.cat([text_v, v], dim=-1)
    scale = head_width**-0.25
    weights = torch.einsum("bct,bcs->bts", q * scale, k * scale).softmax(dim=-1)
    h = torch.einsum("bts,bcs->bct", weights, v).reshape(batch, channels, -1)
    return x + F.conv1d(h, layer.out.weight[..., None], layer.out.bias).reshape(x.shape)


def plain_text(text: GlideTextTransformer, ids: Tensor, token_mask: Tensor) -> TextStates:
    x = torch.where(token_mask[:, :, None], text.tokens(ids) + text.positions, text.padding)
    for block in text.blocks:
        q, k, v = block.qkv(block.norm_attention(x)).unflatten(-1, (block.heads, 3, -1)).unbind(3)
        scale = q.shape[-1] ** -0.25
        weights = torch.einsum("bthc,bshc->bhts", q * scale, k * scale).softmax(dim=-1)
        x = x + block.out(torch.einsum("bhts,bshc->bthc", weights, v).flatten(2))
        x = x + block.contract(F.gelu(block.expand(block.norm_mlp(x))))
    return TextStates(text.norm(x), token_mask)


def plain(network: ADMUNet, x_t: Tensor, t: Tensor, text: TextStates, given: Conditioning) -> Tensor:
    """One forward pass of the same weights as the published code does it: (B, 6, H, W)."""
    parts = [x_t, given.known, given.keep_mask]
    if given.low_res is not None:
        parts.append(F.interpolate(given.low_res, x_t.shape[-2:], mode="bilinear"))
    embedding = network.time(sinusoidal_embedding(t, network.config.width))
    embedding = embedding + network.text_pool(text.states[:, -1])
    h = F.conv2d(torch.cat(parts, dim=1), network.stem.weight, network.stem.bias, padding=1)
    skips = [h]
    for level in network.down:
        for i, block in enumerate(level.blocks):
            h = plain_block(block, h, embedding)
            if level.attentions:
                h = plain_attention(level.attentions[i], h, text.states)
            skips.append(h)
        if level.resample is not None:
            h = plain_block(level.resample, h, embedding)
            skips.append(h)
    h = plain_block(network.middle_in, h, embedding)
    h = plain_attention(network.middle_attention, h, text.states)
    h = plain_block(network.middle_out, h, embedding)
    for level in network.up:
        for i, block in enumerate(level.blocks):
            h = plain_block(block, torch.cat([h, skips.pop()], dim=1), embedding)
            if level.attentions:
                h = plain_attention(level.attentions[i], h, text.states)
        if level.resample is not None:
            h = plain_block(level.resample, h, embedding)
    return F.conv2d(F.silu(network.norm(h)), network.head.weight, network.head.bias, padding=1)


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


def build(case: Case, runtime: Runtime) -> tuple[ADMUNet, GlideTextTransformer]:
    """As a model folder is loaded: the U-Net at the runtime's precision, its text encoder in float32."""
    shape = case.checkpoint
    unet = tensors.blank(lambda: ADMUNet(shape.config, shape.schedule), case.name)
    text = tensors.blank(lambda: GlideTextTransformer(shape.text), case.name)
    fill(unet, runtime.dtype, runtime.device)
    fill(text, torch.float32, runtime.device)
    if runtime.channels_last:
        unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return unet, text


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


def prompts(case: Case, device: torch.device) -> tuple[Tensor, Tensor]:
    """A prompt of 12 tokens and the empty one, as a guided step has them; else the first alone."""
    count = 2 if case.guided else 1
    context = case.checkpoint.text.context
    token_mask = torch.arange(context) < torch.tensor([[12], [0]])[:count]
    ids = torch.where(token_mask, 1000 + torch.arange(context), 50256)
    return ids.to(device), token_mask.to(device)


def start(case: Case, device: torch.device) -> Tensor:
    size = case.checkpoint.config.image_size
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2)).to(device)


# -- measuring ------------------------------------------------------------------------------------------

Step = Callable[[int], Tensor]
"""Time index -> the network's output, (B, 6, H, W)."""


@torch.no_grad()
def plain_step(case: Case, unet: ADMUNet, text: GlideTextTransformer) -> Step:
    ids, token_mask = prompts(case, unet.stem.weight.device)
    count = len(ids)
    given = conditions(case, ids.device)
    pictures = {
        name: value.repeat(count, 1, 1, 1)
        for name in ("known", "keep_mask", "low_res")
        if (value := getattr(given, name)) is not None
    }
    given = replace(given, **pictures)
    x_t = start(case, ids.device).repeat(count, 1, 1, 1)

    def step(t: int) -> Tensor:
        times = torch.full((count,), t, device=ids.device)
        return plain(unet, x_t, times, plain_text(text, ids, token_mask), given)

    return step


@torch.no_grad()
def our_step(case: Case, unet: ADMUNet, text: GlideTextTransformer) -> Step:
    """What samplers run: ``CFGDenoiser`` over prepared branches. Its own output is caught on the way."""
    ids, token_mask = prompts(case, unet.stem.weight.device)
    given = conditions(case, ids.device)
    branches = [replace(given, text=text(ids[k : k + 1], token_mask[k : k + 1])) for k in range(len(ids))]
    guided = CFGDenoiser(unet, classifier_free(*branches, 5.0) if case.guided else [(branches[0], 1.0)])
    x_t = start(case, ids.device)
    caught: list[Tensor] = []
    unet.register_forward_hook(lambda module, inputs, output: caught.append(output))

    def step(t: int) -> Tensor:
        caught.clear()
        guided(x_t, torch.full((1,), float(t), device=ids.device))
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


def relative_error(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).norm() / reference.norm())


def profile(step: Step, title: str) -> None:
    with torch.no_grad(), torch.profiler.profile() as profiler:
        step(500)
    print(f"profile of {title}:")
    print(
        profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=40)
    )


@dataclass(frozen=True)
class Plain:
    """What the plain way took, in seconds, and its outputs by time."""

    seconds: float
    outputs: dict[int, Tensor]


@torch.no_grad()
def measure_plain(case: Case, chosen: Runtime, repeats: int, profiling: bool) -> Plain:
    step = plain_step(case, *build(case, replace(chosen, dtype=torch.float32, channels_last=False)))
    taken = seconds(step, max(1, repeats // 2))
    if profiling:
        profile(step, f"{case.name}, the plain way")
    return Plain(taken, {t: step(t) for t in TIMES})


@torch.no_grad()
def measure_ours(case: Case, chosen: Runtime, plain: Plain, repeats: int, profiling: bool) -> Stage:
    unet, text = build(case, chosen)
    step = our_step(case, unet, text)
    taken = seconds(step, repeats)
    errors = ", ".join(f"{relative_error(step(t), plain.outputs[t]):.2%} at t = {t}" for t in TIMES)
    print(case.name)
    print(f"  the plain way  {plain.seconds:6.2f} s a step")
    print(f"  as chosen      {taken:6.2f} s a step, {plain.seconds / taken:.1f} times as fast")
    print(f"  relative L2 error of the output against float32: {errors}")
    if profiling:
        profile(step, f"{case.name}, as chosen")
    return Stage(
        glide.stage_spec(case.published), unet, TextEncoder(Words(case.checkpoint.text.context), text)
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


def measure_whole(stages: list[Stage], runtime: Runtime, plain_ways: list[Plain], repeats: int) -> None:
    """A whole inpainting with the default preset, beside the published one's steps run the plain way."""
    specs = tuple(stage.spec for stage in stages)
    editor = Editor(Model.of(ModelSpec("glide", "glide", "", {}, specs, None), runtime, stages))
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    picture, mask = open_picture(pixels), draw.box((80, 80, 176, 176), (256, 256))
    request = Inpaint(image=picture, mask=mask, prompt="a red ball on the grass", context=16)
    taken = min(editor.run(request).seconds for _ in range(repeats))
    ours = " and ".join(f"{stage.preset.steps} {stage.label} steps" for stage in specs)
    published = [stage.presets["published"].steps for stage in specs]
    plain_taken = sum(count * way.seconds for count, way in zip(published, plain_ways, strict=True))
    print(f"a whole inpainting, {ours}: {taken:.1f} s")
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
        our_step(*part)(500)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(kilobytes / (2**20 if sys.platform != "darwin" else 2**30))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time GLIDE's networks, also run the plain way.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--profile", action="store_true", help="print what takes the time in both ways")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    runtime = choose_runtime(options.device)
    torch.set_num_threads(runtime.threads)  # not apply: the plain way runs as published
    if options.once:
        once(runtime)
        return
    print(f"{runtime.reason}; {torch.get_num_threads()} threads; torch {torch.__version__}")
    plain_ways = [measure_plain(case, runtime, options.repeats, options.profile) for case in CASES]
    keep_freed_memory()
    stages = [
        measure_ours(case, runtime, plain_way, options.repeats, options.profile)
        for case, plain_way in zip(CASES, plain_ways, strict=True)
    ]
    measure_whole(stages, runtime, plain_ways, max(1, options.repeats // 4))
    command = [sys.executable, __file__, "--once", "--device", options.device]
    peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(f"peak memory of both stages with their text encoders: {float(peak):.2f} GiB")


if __name__ == "__main__":
    main()
