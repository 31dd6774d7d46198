"""Parameters in low precision, their float32 masters in the optimizer, and the moving average (EMA)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glide_edit.errors import TrainingError
from glide_edit.training.shares import Gradients, Workers

_CHECKPOINT_NAMES = {"feature_probe": "taggers", "text_probe": "reader", "patch_probe": "tagger"}
"""Submodules that checkpoints know by another name than the code."""


def strip_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by their names without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@dataclass(frozen=True, eq=False)
class _Group:
    """Parameters that one thread updates, by name."""

    names: Sequence[str]
    optimizer: torch.optim.AdamW

    def gradients(self) -> list[Tensor]:
        """Those of the masters that have one."""
        masters = self.optimizer.param_groups[0]["params"]
        return [master.grad for master in masters if master.grad is not None]


def _even_groups(tensors: Mapping[str, Tensor], count: int) -> list[list[str]]:
    """The names in at most ``count`` groups with about as many numbers each, always the same ones."""
    groups: list[list[str]] = [[] for _ in range(min(count, len(tensors)))]
    sizes = [0] * len(groups)
    for name in sorted(tensors, key=lambda name: -tensors[name].numel()):
        smallest = sizes.index(min(sizes))
        groups[smallest].append(name)
        sizes[smallest] += tensors[name].numel()
    return groups


class MasterWeights:
    """AdamW on float32 copies of a module's parameters, and their exponential moving average.

    The module itself may be in bf16: bf16 alone cannot hold updates of a thousandth of a weight. It must be
    on its device, in its precision and memory format, before it is given here. The work is shared out over
    ``workers``, by default the caller's thread alone.
    """

    def __init__(
        self, module: nn.Module, learning_rate: float, ema_decay: float, workers: Workers | None = None
    ) -> None:
        self._parameters = dict(module.named_parameters())
        self._masters = {name: p.detach().float().clone() for name, p in self._parameters.items()}
        self._ema = {name: p.clone() for name, p in self._masters.items()}
        self._ema_decay = ema_decay
        self._steps = 0
        self._workers = workers or Workers()
        self._groups = [
            _Group(names, self._optimizer(names, learning_rate))
            for names in _even_groups(self._masters, self._workers.count)
        ]

    def _optimizer(self, names: Sequence[str], learning_rate: float) -> torch.optim.AdamW:
        masters = [self._masters[name] for name in names]
        return torch.optim.AdamW(masters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)

    @property
    def parameters(self) -> list[Tensor]:
        """The module's, in the order in which ``step`` takes their gradients."""
        return list(self._parameters.values())

    def step(
        self, learning_rate: float, clip_norm: float = 1.0, gradients: Sequence[Gradients] | None = None
    ) -> float:
        """One update from the sum of some gradients, or from those the module holds, which are cleared.

        Returns the gradient's norm; where it is not finite nothing was updated, so that one bad batch does
        not destroy the run.
        """
        if gradients is None:
            gradients = [[parameter.grad for parameter in self.parameters]]
            for parameter in self.parameters:
                parameter.grad = None
        self._steps += 1
        named = [dict(zip(self._masters, each, strict=True)) for each in gradients]
        norms = self._workers.map(lambda group: self._collect(group, named), self._groups)
        norm = float(torch.stack(norms).square().sum().sqrt())
        if math.isfinite(norm):
            scale = min(1.0, clip_norm / (norm + 1e-6))
            self._workers.map(lambda group: self._update(group, learning_rate, scale), self._groups)
        return norm

    @torch.no_grad()
    def _collect(self, group: _Group, gradients: Sequence[Mapping[str, Tensor | None]]) -> Tensor:
        """Put the sums of the gradients beside the masters; returns their norm."""
        for name in group.names:
            master = self._masters[name]
            given = [value for each in gradients if (value := each[name]) is not None]
            if not given:
                master.grad = None
                continue
            if master.grad is None:
                master.grad = torch.empty_like(master)
            master.grad.copy_(given[0])
            for value in given[1:]:
                master.grad.add_(value)
        return nn.utils.get_total_norm(group.gradients())

    @torch.no_grad()
    def _update(self, group: _Group, learning_rate: float, scale: float) -> None:
        if scale < 1:
            torch._foreach_mul_(group.gradients(), scale)
        for settings in group.optimizer.param_groups:
            settings["lr"] = learning_rate
        group.optimizer.step()
        # A short memory at first: the first weights are random and should be forgotten soon.
        decay = min(self._ema_decay, (1 + self._steps) / (20 + self._steps))
        masters = [self._masters[name] for name in group.names]
        torch._foreach_lerp_([self._ema[name] for name in group.names], masters, 1 - decay)
        for name, master in zip(group.names, masters, strict=True):
            self._parameters[name].copy_(master)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module holds the moving average."""
        self._show(self._ema)
        try:
            yield
        finally:
            self._show(self._masters)

    def ema(self) -> dict[str, Tensor]:
        """The moving average by parameter name, float32."""
        return dict(self._ema)

    def state(self) -> dict[str, Tensor]:
        """Everything needed to continue, as flat tensors for safetensors."""
        tensors: dict[str, Tensor] = {}
        for name, master in self._masters.items():
            stored = _checkpoint_name(name)
            tensors |= {f"master/{stored}": master, f"ema/{stored}": self._ema[name]}
            for key, value in self._adam_state(name).items():
                tensors[f"adam.{key}/{stored}"] = value.reshape(-1) if value.ndim == 0 else value
        return tensors

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Continue from ``state()`` after that many steps.

        Raises:
            TrainingError: the tensors are not those of this module.
        """
        names = {_checkpoint_name(name): name for name in self._masters}
        for kind, own in (("master", self._masters), ("ema", self._ema)):
            given = strip_prefix(tensors, f"{kind}/")
            self._copy(own, {names.get(stored, stored): value for stored, value in given.items()})
        for stored, name in names.items():
            master = self._masters[name]
            state: dict[str, Tensor] = {}
            if f"adam.step/{stored}" in tensors:
                # On the parameter's device: the fused kernel counts there.
                state["step"] = tensors[f"adam.step/{stored}"].reshape(()).to(master.device, copy=True)
            for key in ("exp_avg", "exp_avg_sq"):
                if (value := tensors.get(f"adam.{key}/{stored}")) is not None:
                    # With the parameter's strides: the fused kernel walks all four in memory order.
                    state[key] = torch.empty_like(master).copy_(value.view_as(master))
            if state:
                self._adam_state(name).update(state)
        self._steps = steps
        self._show(self._masters)

    @torch.no_grad()
    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin with given weights, by parameter name, and a fresh optimizer.

        Raises:
            TrainingError: the tensors are not those of this module.
        """
        self._copy(self._masters, tensors)
        self._copy(self._ema, tensors)
        self._show(self._masters)

    def _copy(self, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
        shapes = {name: value.shape for name, value in own.items()}
        if {name: value.shape for name, value in given.items()} != shapes:
            raise TrainingError(
                "The weights belong to another network: their names or shapes differ. "
                "Give the settings it was trained with, or another folder."
            )
        for name, value in own.items():
            value.copy_(given[name])

    def _adam_state(self, name: str) -> dict[str, Tensor]:
        """What the optimizer keeps for a master, to be read and changed; empty before its first step."""
        optimizer = next(group.optimizer for group in self._groups if name in group.names)
        state: dict[str, Tensor] = optimizer.state[self._masters[name]]
        return state

    @torch.no_grad()
    def _show(self, tensors: Mapping[str, Tensor]) -> None:
        """Put float32 values into the module, in its own precision."""
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[name])


def _checkpoint_name(name: str) -> str:
    first, *rest = name.split(".")
    return ".".join([_CHECKPOINT_NAMES.get(first, first), *rest])
