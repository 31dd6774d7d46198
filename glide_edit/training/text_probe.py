"""Text probes: a layer that makes a text encoder's words say what they refer to, while it trains.

From pixel errors a text encoder soon learns which words there are, but hardly ever which of them belong
together: after 950,000 views a base network drew the same for "a red ball and a blue cube" as for "a blue
ball and a red cube". So each word that can refer to only one toy of its picture must also say the kind,
colour, material and position of that toy. The layer that reads this from the word is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.networks.parts import zeroed
from glide_edit.text.encoder import Tokenizer
from glide_edit.training.feature_probe import TAGS
from glide_edit.training.sources import Item

WordTargets = Mapping[str, Tensor]
"""For each word (len(TAGS) + 2,): which of ``TAGS`` its toy has, 0 or 1, and the x and y of the toy's centre,
-1 to 1 over the picture."""

PLACE_WEIGHT = 20.0
"""The weight of the squared error of x and y, beside the cross-entropy of the tags."""


def word_targets(item: Item) -> WordTargets:
    """The targets of each kind, colour and material that exactly one toy of the picture has."""
    toys = () if item.scene is None else item.scene.toys
    tags = [(toy.kind, toy.colour, toy.material) for toy in toys]
    words = [word for own in tags for word in own]
    targets: dict[str, Tensor] = {}
    for own, mask in zip(tags, item.objects, strict=False):
        if not mask.any():
            continue
        y, x = ((2 * cells.mean() + 1) / len(mask) - 1 for cells in np.nonzero(mask))
        target = torch.tensor([*(tag in own for tag in TAGS), x, y], dtype=torch.float32)
        targets |= {word: target for word in own if words.count(word) == 1}
    return targets


class TextProbe(nn.Module):
    """A linear layer over the states of a text encoder, ``width`` wide.

    Words that the tokenizer splits into several tokens are left out.
    """

    def __init__(self, width: int, tokenizer: Tokenizer) -> None:
        super().__init__()
        tokens = tokenizer.encode(TAGS)
        single = tokens.token_mask.sum(1) == 1
        self.words = {
            int(ids[0]): word for ids, word, one in zip(tokens.ids, TAGS, single, strict=True) if one
        }
        self.layer = zeroed(nn.Linear(width, len(TAGS) + 2))

    def told(self, ids: Tensor, targets: Sequence[WordTargets]) -> list[tuple[int, int, Tensor]]:
        """The row and column of each of the tokens ``ids`` (B, L) that has a target, and that target."""
        return [
            (row, column, target)
            for row, (tokens, known) in enumerate(zip(ids.tolist(), targets, strict=True))
            for column, token in enumerate(tokens)
            if (target := known.get(self.words.get(token, ""))) is not None
        ]

    def loss(
        self, states: Tensor, ids: Tensor, targets: Sequence[WordTargets], count: int | None = None
    ) -> Tensor:
        """The cross-entropy of the tags, summed, plus the weighted squared error of the position.

        ``states`` (B, L, width) are those of the captions' tokens ``ids`` (B, L), ``targets`` those of their
        pictures. Averaged over the words that have a target, 0 where none has. Of a part of a batch the loss
        is its share, where ``count`` is the number of such words in the whole.
        """
        told = self.told(ids, targets)
        if not told:
            return states.new_zeros((), dtype=torch.float32)
        rows, columns, wanted = zip(*told, strict=True)
        output, true = self.layer(states[rows, columns]).float(), torch.stack(wanted).to(states.device)
        tags = F.binary_cross_entropy_with_logits(output[:, :-2], true[:, :-2], reduction="none").sum(1)
        place = (output[:, -2:] - true[:, -2:]).square().sum(1)
        return (tags + PLACE_WEIGHT * place).sum() / (count or len(told))
