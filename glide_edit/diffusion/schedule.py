"""Noise schedules: how much of the clean picture is left in x_t, and which steps a sampler visits.

Everything follows x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps (Ho et al. 2020, eq. 4). Time t is
the training index 0 ... T-1, and may lie between two indices: log-SNR is linear there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.errors import InputError

FloatArray = NDArray[np.float64]

HALF_LOG_SNR_FLOOR = -5.1
"""Where DPM-Solver starts: noisier than this, an error in eps comes back more than 160-fold in x0."""


MOST_TIMESTEPS = 100_000
"""Of a schedule: published ones have up to 4,000, and each is a row of a table."""


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """A variance-preserving schedule of T steps, in float64 tables made from its betas.

    ``betas`` and ``alphas_bar`` are (T,) and read-only; index 0 is the cleanest step. Two schedules are
    equal when their names and betas are. The tensor methods take x0, x_t, eps and v as (B, ...) of any
    float dtype and t as (B,) on the same device; their coefficients are worked out in float64 and their
    results are float32 (float64 when an argument is float64).

    Raises:
        InputError: the betas are not a one-dimensional table of numbers strictly between 0 and 1.
    """

    name: str
    betas: FloatArray
    alphas_bar: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        betas = np.array(self.betas, dtype=np.float64)
        if betas.ndim != 1 or betas.size == 0 or not np.all((betas > 0) & (betas < 1)):
            raise InputError(
                f"The betas of the schedule {self.name!r} must be a list of numbers strictly between 0 and 1."
            )
        alphas_bar = np.cumprod(1.0 - betas)
        for table_name, table in (("betas", betas), ("alphas_bar", alphas_bar)):
            table.flags.writeable = False
            object.__setattr__(self, table_name, table)

    @classmethod
    def cosine(cls, num_timesteps: int = 1000) -> Schedule:
        """GLIDE's squaredcos_cap_v2 (Nichol & Dhariwal 2021, eq. 17): betas capped at 0.999.

        Raises:
            InputError: ``num_timesteps`` is less than 1.
        """
        _check_num_timesteps(num_timesteps)

        def alpha_bar(fraction: float) -> float:
            return math.cos((fraction + 0.008) / 1.008 * math.pi / 2) ** 2

        betas = [
            min(1.0 - alpha_bar((i + 1) / num_timesteps) / alpha_bar(i / num_timesteps), 0.999)
            for i in range(num_timesteps)
        ]
        return cls("cosine", np.array(betas))

    @classmethod
    def linear(cls, num_timesteps: int = 1000) -> Schedule:
        """Betas from 1e-4 to 0.02 (Ho et al. 2020, sec. 4), scaled by 1000 / T as published code does.

        Raises:
            InputError: ``num_timesteps`` is 20 or less, where the last beta would reach 1.
        """
        _check_num_timesteps(num_timesteps)
        if num_timesteps <= 20:
            raise InputError(f"A linear schedule needs more than 20 steps, not {num_timesteps}.")
        scale = 1000.0 / num_timesteps
        return cls("linear", np.linspace(scale * 1e-4, scale * 0.02, num_timesteps, dtype=np.float64))

    @property
    def num_timesteps(self) -> int:
        """T, the number of training steps."""
        return len(self.betas)

    def to_json(self) -> dict[str, str | int]:
        """What ``from_json`` makes this schedule from: {"name": "cosine", "num_timesteps": 1000}.

        Raises:
            InputError: the betas are not those of a named schedule, so a name would not bring them back.
        """
        record: dict[str, str | int] = {"name": self.name, "num_timesteps": self.num_timesteps}
        if Schedule.from_json(record) != self:
            raise InputError(f"The schedule {self.name!r} has betas of its own and cannot be stored by name.")
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> Schedule:
        """The schedule that ``to_json`` described.

        Raises:
            InputError: a key is missing, unknown or of the wrong type, or the name is not known.
        """
        if set(record) != {"name", "num_timesteps"}:
            raise InputError(f'A schedule is stored as "name" and "num_timesteps", not {sorted(record)}.')
        name, num_timesteps = record["name"], record["num_timesteps"]
        if not isinstance(name, str) or name not in SCHEDULES:
            raise InputError(f"Unknown schedule {name!r}; known are {', '.join(sorted(SCHEDULES))}.")
        if not isinstance(num_timesteps, int) or isinstance(num_timesteps, bool):
            raise InputError(f"num_timesteps must be a whole number, not {num_timesteps!r}.")
        return SCHEDULES[name](num_timesteps)

    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha_bar / (1 - alpha_bar)) at t.

        t has any shape and is clamped to 0 ... T-1; the result is float64, of its shape and on its device.
        """
        table = torch.as_tensor(self.log_snr_table(), device=t.device)
        position = t.to(torch.float64).clamp(0, self.num_timesteps - 1)
        below = position.floor().long()
        above = position.ceil().long()
        return torch.lerp(table[below], table[above], position - below)

    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha_bar at t, for the same t and in the same form as ``log_snr``."""
        return torch.sigmoid(self.log_snr(t))

    def log_snr_table(self) -> FloatArray:
        """log-SNR at every training index, (T,), strictly falling."""
        return np.log(self.alphas_bar) - np.log1p(-self.alphas_bar)

    def add_noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps."""
        signal, sigma = self._signal_and_sigma(t)
        return _combine(signal, x0, sigma, eps)

    def eps(self, x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The noise in x_t when the clean picture is x0."""
        signal, sigma = self._signal_and_sigma(t)
        return _combine(1 / sigma, x_t, -signal / sigma, x0)

    def x0_from_eps(self, eps: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The clean picture when the noise in x_t is eps."""
        signal, sigma = self._signal_and_sigma(t)
        return _combine(1 / signal, x_t, -sigma / signal, eps)

    def x0_from_v(self, v: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The clean picture from v (Salimans & Ho 2022, appendix D)."""
        signal, sigma = self._signal_and_sigma(t)
        return _combine(signal, x_t, -sigma, v)

    def v_target(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0, what a v-network learns (Salimans & Ho 2022)."""
        signal, sigma = self._signal_and_sigma(t)
        return _combine(signal, eps, -sigma, x0)

    def _signal_and_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar) and sqrt(1 - alpha_bar), each to full relative precision at both ends."""
        log_snr = self.log_snr(t)
        return torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self.name == other.name and np.array_equal(self.betas, other.betas)

    def __hash__(self) -> int:
        return hash((self.name, self.betas.tobytes()))

    def __repr__(self) -> str:
        return f"Schedule(name={self.name!r}, num_timesteps={self.num_timesteps})"


SCHEDULES: dict[str, Callable[[int], Schedule]] = {"cosine": Schedule.cosine, "linear": Schedule.linear}


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """(B,) values shaped (B, 1, ..., 1), to multiply ``like``, which is (B, ...)."""
    assert values.ndim == 1, f"expected one value an image, got shape {tuple(values.shape)}"
    return values.reshape(-1, *[1] * (like.ndim - 1))


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """The precision diffusion arithmetic runs in: float32, or float64 when a tensor already is."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def timesteps(schedule: Schedule | int, spec: int | str) -> list[int]:
    """The training indices a sampler visits, strictly descending (Nichol & Dhariwal 2021, sec. 4).

    ``schedule`` is a Schedule or its T. ``spec`` is the number of evenly spaced steps N, from T-1 down to
    0 (one step alone is T-1), or a published rule as text: "100", a list such as "10,10,3,2,2" that cuts
    the axis into equal sections and spends that many steps in each (the first is the cleanest), "ddim50" for
    the whole-number stride that gives 50 steps, "fast27", GLIDE's choice for its upsampler, or "trailing4"
    for 4 evenly spaced steps, the last of them a quarter of the axis from the clean picture, as distilled
    networks take them (Salimans & Ho 2022; Lin et al. 2023, arXiv 2305.08891, table 2), which begin where x0
    can still be told from eps, see ``solver_timesteps``. "at 990,749,249" names the steps themselves.

    Raises:
        InputError: the spec cannot be read, asks for less than one step, or for more than there are.
    """
    total = schedule if isinstance(schedule, int) else schedule.num_timesteps
    _check_num_timesteps(total)
    if isinstance(spec, int):
        return _evenly_spaced(total, spec)
    text = spec.strip()
    if text == "fast27":
        return _fast27(total)
    if text.startswith("at "):
        return _named(total, [_step_count(part, spec) for part in text.removeprefix("at ").split(",")])
    if text.startswith("trailing"):
        noisiest = total - 1 if isinstance(schedule, int) else _noisiest(schedule)
        return _trailing(total, _step_count(text.removeprefix("trailing"), spec), noisiest)
    if text.startswith("ddim"):
        return _whole_stride(total, _step_count(text.removeprefix("ddim"), spec))
    counts = [_step_count(part, spec) for part in text.split(",")]
    if len(counts) == 1:
        return _evenly_spaced(total, counts[0])
    return _sections(total, counts)


def solver_timesteps(schedule: Schedule, count: int, kind: Literal["dpm", "time"] = "dpm") -> list[float]:
    """Steps for an ODE solver, strictly descending floats from high noise to index 0.

    "dpm" spaces them evenly in half the log-SNR (Lu et al. 2022, DPM-Solver, sec. 3.3), "time" evenly in t.
    Both start at T-1, or where half the log-SNR has risen to -5.1 if that is later: before it alpha_bar is so
    small that the clean picture cannot be recovered from predicted noise. The values are exact in float32,
    the precision in which a network is told the time.

    Raises:
        InputError: ``count`` is less than 1 or more than T, or ``kind`` is not known.
    """
    _check_count(count, schedule.num_timesteps)
    half_log_snr = schedule.log_snr_table() / 2
    rising, index = half_log_snr[::-1], np.arange(schedule.num_timesteps - 1, -1, -1, dtype=np.float64)
    first = max(HALF_LOG_SNR_FLOOR, float(rising[0]))
    if kind == "dpm":
        steps = np.interp(np.linspace(first, rising[-1], count), rising, index)
    elif kind == "time":
        steps = np.linspace(np.interp(first, rising, index), 0.0, count)
    else:
        raise InputError(f'Unknown kind of solver steps {kind!r}; known are "dpm" and "time".')
    return [float(np.float32(step)) for step in steps]


def _evenly_spaced(total: int, count: int) -> list[int]:
    # The published rule puts a single step at index 0, where x_t should be almost clean: from pure noise
    # only the noisiest index makes sense.
    _check_count(count, total)
    return [total - 1] if count == 1 else _sections(total, [count])


def _sections(total: int, counts: list[int]) -> list[int]:
    """The published space_timesteps: each equal section of the axis gets its own number of steps."""
    steps: set[int] = set()
    start = 0
    for i, count in enumerate(counts):
        size = total // len(counts) + (1 if i < total % len(counts) else 0)
        if not 1 <= count <= size:
            raise InputError(f"A section of {size} timesteps must be given 1 to {size} steps, not {count}.")
        stride = (size - 1) / (count - 1) if count > 1 else 1.0
        position = 0.0
        for _ in range(count):
            steps.add(start + round(position))
            # Summed, not multiplied: the published rounding depends on it.
            position += stride
        start += size
    return sorted(steps, reverse=True)


def _whole_stride(total: int, count: int) -> list[int]:
    _check_count(count, total)
    for stride in range(1, total + 1):
        steps = range(0, total, stride)
        if len(steps) == count:
            return list(reversed(steps))
    raise InputError(f"No whole-number stride takes {count} steps out of {total}: leave out 'ddim'.")


def _fast27(total: int) -> list[int]:
    steps = _sections(total, [10, 10, 3, 2, 2])
    # Published so: DDIM leaves artifacts when it starts at the very noisiest step.
    return [total - 3, *steps[1:]]


def _named(total: int, steps: list[int]) -> list[int]:
    if any(step >= before for before, step in pairwise([total, *steps])):
        raise InputError(f"Steps must fall from at most {total - 1}, not {', '.join(map(str, steps))}.")
    return steps


def _trailing(total: int, count: int, noisiest: int) -> list[int]:
    _check_count(count, total)
    first, *steps = (round(total * (count - k) / count) - 1 for k in range(count))
    return [min(first, noisiest), *steps]


def _noisiest(schedule: Schedule) -> int:
    """The last index whose half log-SNR is not below the floor."""
    return int(np.flatnonzero(schedule.log_snr_table() / 2 >= HALF_LOG_SNR_FLOOR)[-1])


def _step_count(text: str, spec: str) -> int:
    if not text.strip().isdecimal():
        raise InputError(
            f"Cannot read the steps {spec!r}: "
            "give a number (100), a list (10,10,3,2,2), ddim50, trailing4, at 990,749,249 or fast27."
        )
    return int(text)


def _check_count(count: int, total: int) -> None:
    if not 1 <= count <= total:
        raise InputError(f"The number of steps must be between 1 and {total}, not {count}.")


def _check_num_timesteps(num_timesteps: int) -> None:
    if not 1 <= num_timesteps <= MOST_TIMESTEPS:
        raise InputError(f"A schedule has 1 to {MOST_TIMESTEPS:,} steps, not {num_timesteps}.")


def _combine(a: Tensor, x: Tensor, b: Tensor, y: Tensor) -> Tensor:
    """a x + b y, with a value of a and b for each image."""
    dtype = working_dtype(x, y)
    return per_image(a, x).to(dtype) * x.to(dtype) + per_image(b, y).to(dtype) * y.to(dtype)
