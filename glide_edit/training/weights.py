"""Parameters in low precision, their float32 masters in the optimizer, and the moving average (EMA)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from glide_edit.errors import TrainingError


class MasterWeights:
    """AdamW on float32 copies of a module's parameters, and their exponential moving average.

    The module itself may be in bf16: bf16 alone cannot hold updates of a thousandth of a weight.
    """

    def __init__(
        self, module: nn.Module, learning_rate: float, ema_decay: float, weight_decay: float = 0.0
    ) -> None:
        self._parameters = dict(module.named_parameters())
        self._masters = {name: p.detach().float().clone() for name, p in self._parameters.items()}
        self._ema = {name: p.clone() for name, p in self._masters.items()}
        self._ema_decay = ema_decay
        self.steps = 0
        self._optimizer = torch.optim.AdamW(
            list(self._masters.values()),
            lr=learning_rate,
            betas=(0.9, 0.99),
            weight_decay=weight_decay,
            fused=True,
        )

    @torch.no_grad()
    def step(self, learning_rate: float, clip_norm: float = 1.0) -> float:
        """One update from the gradients the module holds, which are cleared. Returns the gradient's norm."""
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            self._masters[name].grad = None if gradient is None else gradient.float()
            parameter.grad = None
        norm = nn.utils.clip_grad_norm_(list(self._masters.values()), clip_norm)
        if not torch.isfinite(norm):
            # One bad batch must not destroy the run: skip it.
            return float("nan")
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self.steps += 1
        # A short memory at first: the first weights are random and should be forgotten soon.
        decay = min(self._ema_decay, (1 + self.steps) / (20 + self.steps))
        torch._foreach_lerp_(list(self._ema.values()), list(self._masters.values()), 1 - decay)
        for name, parameter in self._parameters.items():
            parameter.copy_(self._masters[name])
        return float(norm)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module holds the moving average."""
        self._load(self._ema)
        try:
            yield
        finally:
            self._load(self._masters)

    def ema(self) -> dict[str, Tensor]:
        return dict(self._ema)

    @torch.no_grad()
    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[name])

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on, as flat tensors for safetensors."""
        tensors = {f"master/{k}": v for k, v in self._masters.items()} | {
            f"ema/{k}": v for k, v in self._ema.items()
        }
        for name, master in self._masters.items():
            for key, value in self._optimizer.state.get(master, {}).items():
                tensors[f"adam.{key}/{name}"] = value.reshape(-1) if value.ndim == 0 else value
        return tensors

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Raises TrainingError where the tensors are not those of this module."""
        for kind, own in (("master", self._masters), ("ema", self._ema)):
            given = {k.removeprefix(f"{kind}/") for k in tensors if k.startswith(f"{kind}/")}
            if given != set(own):
                raise TrainingError(
                    "The checkpoint belongs to another network: its parameters differ. "
                    "Give the options it was trained with, or another --out folder."
                )
            for name, tensor in own.items():
                tensor.copy_(tensors[f"{kind}/{name}"])
        for name, master in self._masters.items():
            state = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"adam.{key}/{name}")
                if value is not None:
                    state[key] = (
                        value.reshape(()).clone() if key == "step" else value.to(master.device).clone()
                    )
            if state:
                self._optimizer.state[master] = state
        self.steps = steps
        self._load(self._masters)

    @torch.no_grad()
    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin with given weights (the shipped ones, say) and a fresh optimizer."""
        for name, master in self._masters.items():
            master.copy_(tensors[name])
            self._ema[name].copy_(tensors[name])
        self._load(self._masters)
