"""The samplers by name; ``glide_edit.sampling`` runs them."""

from __future__ import annotations

from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.ddpm import ddpm
from glide_edit.diffusion.dpm_solver import dpm_solver
from glide_edit.diffusion.step import Sampler
from glide_edit.errors import InputError

SAMPLERS: dict[str, Sampler] = {"ddpm": ddpm, "ddim": ddim, "dpm-solver++": dpm_solver}


def get_sampler(name: str) -> Sampler:
    """The sampler of this name.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    if name not in SAMPLERS:
        raise InputError(f"Unknown sampler {name!r}; known are {', '.join(SAMPLERS)}.")
    return SAMPLERS[name]
