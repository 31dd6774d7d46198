"""Parameters in low precision, their float32 masters in the optimizer, and the moving average (EMA)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from glide_edit.errors import TrainingError

_CHECKPOINT_NAMES = {"feature_probe": "taggers", "text_probe": "reader", "patch_probe": "tagger"}
"""Submodules that checkpoints know by another name than the code."""


def strip_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by their names without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


class MasterWeights:
    """AdamW on float32 copies of a module's parameters, and their exponential moving average.

    The module itself may be in bf16: bf16 alone cannot hold updates of a thousandth of a weight. It must be
    on its device, in its precision and memory format, before it is given here.
    """

    def __init__(self, module: nn.Module, learning_rate: float, ema_decay: float) -> None:
        self._parameters = dict(module.named_parameters())
        self._masters = {name: p.detach().float().clone() for name, p in self._parameters.items()}
        self._ema = {name: p.clone() for name, p in self._masters.items()}
        self._ema_decay = ema_decay
        self._steps = 0
        self._optimizer = torch.optim.AdamW(
            list(self._masters.values()), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )

    @torch.no_grad()
    def step(self, learning_rate: float, clip_norm: float = 1.0) -> float:
        """One update from the gradients the module holds, which are cleared.

        Returns the gradient's norm; where it is not finite nothing was updated, so that one bad batch does
        not destroy the run.
        """
        self._steps += 1
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            self._masters[name].grad = None if gradient is None else gradient.float()
            parameter.grad = None
        norm = nn.utils.clip_grad_norm_(list(self._masters.values()), clip_norm)
        if not torch.isfinite(norm):
            return float(norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        # A short memory at first: the first weights are random and should be forgotten soon.
        decay = min(self._ema_decay, (1 + self._steps) / (20 + self._steps))
        torch._foreach_lerp_(list(self._ema.values()), list(self._masters.values()), 1 - decay)
        self._show(self._masters)
        return float(norm)

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
            for key, value in self._optimizer.state.get(master, {}).items():
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
                self._optimizer.state[master] = state
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

    @torch.no_grad()
    def _show(self, tensors: Mapping[str, Tensor]) -> None:
        """Put float32 values into the module, in its own precision."""
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[name])


def _checkpoint_name(name: str) -> str:
    first, *rest = name.split(".")
    return ".".join([_CHECKPOINT_NAMES.get(first, first), *rest])
