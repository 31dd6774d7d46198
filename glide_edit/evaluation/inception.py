"""FID: the Frechet distance on the features of an Inception network, as torchmetrics computes it.

The numbers that papers call FID are of one network with one set of weights (Heusel et al. 2017, arXiv
1706.08500), which torch-fidelity fetches on first use and keeps. It is not part of this package.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glide_edit import optional_dependencies
from glide_edit.errors import InputError

_WIDTH = 2048


class InceptionDistance:
    """FID of drawn pictures against real ones, added in batches.

    ``extractor`` takes uint8 (B, 3, H, W) to (B, D), with ``num_features`` D; by default it is the published
    Inception network. Compare only sets of one size: the fewer pictures, the larger the upward bias. Raises
    InputError where torchmetrics or torch-fidelity is not installed, or the weights cannot be had.
    """

    def __init__(self, extractor: nn.Module | None = None) -> None:
        package = optional_dependencies.torchmetrics()
        try:
            from torchmetrics.image.fid import FrechetInceptionDistance

            feature: int | nn.Module = _WIDTH if extractor is None else extractor
            self._metric = FrechetInceptionDistance(feature=feature, reset_real_features=False)
        except ImportError as error:
            message = "FID needs the package torch-fidelity: pip install 'glide-edit[fid]'."
            raise InputError(message) from error
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"The weights of the Inception network cannot be had ({' '.join(str(error).split())}): "
                "fetch them once where the network is reached, or leave FID out."
            ) from error
        name = "inception-v3-compat" if extractor is None else type(extractor).__name__
        self._protocol = {
            "by": f"torchmetrics {package.__version__}",
            "extractor": f"{name} {_hash(self._metric.inception)}",
            "resize": "by the extractor",
        }

    @property
    def protocol(self) -> dict[str, Any]:
        """What the number follows from, for a report's fingerprint."""
        return self._protocol

    def add(self, pictures: NDArray[np.uint8], *, real: bool) -> None:
        """Pictures uint8 (B, H, W, 3), drawn or real ones."""
        with torch.inference_mode():
            self._metric.update(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), real=real)

    def finish(self) -> float:
        """The distance of all drawn pictures to all real ones, NaN for fewer than two of either; the drawn
        ones are then forgotten, and the real ones kept for the next that are drawn."""
        counts = (self._metric.real_features_num_samples, self._metric.fake_features_num_samples)
        value = float(self._metric.compute()) if min(map(int, counts)) > 1 else math.nan
        self._metric.reset()
        return value


def _hash(network: nn.Module) -> str:
    """16 hexadecimal digits that follow from the network's tensors."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]
