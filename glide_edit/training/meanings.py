"""What the words of a caption speak of, and a layer that has to say it while a text encoder learns.

From errors of pixels a text encoder soon learns which words there are, and hardly ever which of them belong
together: after 950,000 views a base network did the same with "a red ball and a blue cube" as with "a blue
ball and a red cube". So each word that can mean only one toy of its picture has to say all of that toy, and
where it stands, by a layer that is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.networks.parts import zeroed
from glide_edit.text.encoder import Tokenizer
from glide_edit.training.sources import Item
from glide_edit.training.tags import TAGS

Meanings = Mapping[str, Tensor]
"""Of words: which of ``TAGS`` are true of the toy, 0 or 1, and x and y of its middle, -1 to 1 over the
picture: (len(TAGS) + 2,) each."""

PLACE_WEIGHT = 20.0
"""How much the squared error of x and y counts beside the tags' cross-entropy."""


def meanings_of(item: Item) -> Meanings:
    """What each kind, colour and material means that exactly one toy of the picture has."""
    toys = () if item.scene is None else item.scene.toys
    words = [(toy.kind, toy.colour, toy.material) for toy in toys]
    said = [word for own in words for word in own]
    meanings: dict[str, Tensor] = {}
    for own, mask in zip(words, item.objects, strict=False):
        if not mask.any():
            continue
        y, x = ((2 * cells.mean() + 1) / len(mask) - 1 for cells in np.nonzero(mask))
        meaning = torch.tensor([*(tag in own for tag in TAGS), x, y], dtype=torch.float32)
        meanings |= {word: meaning for word in own if said.count(word) == 1}
    return meanings


class TextProbe(nn.Module):
    """A layer over the states of a text encoder, ``width`` wide.

    Words that its tokenizer cuts into pieces are left out.
    """

    def __init__(self, width: int, tokenizer: Tokenizer) -> None:
        super().__init__()
        ids = tokenizer.encode(TAGS)
        single = ids.token_mask.sum(1) == 1
        self.words = {int(row[0]): word for row, word, one in zip(ids.ids, TAGS, single, strict=True) if one}
        self.layer = zeroed(nn.Linear(width, len(TAGS) + 2))

    def loss(self, states: Tensor, ids: Tensor, meanings: Sequence[Meanings]) -> Tensor:
        """What the words of captions say wrongly: the cross-entropy of tags, summed, and the error of places.

        ``states`` (B, L, width) of tokens ``ids`` (B, L), in captions of pictures with such ``meanings``.
        Averaged over the words that mean one toy, 0 where there are none.
        """
        places, targets = [], []
        for row, (tokens, known) in enumerate(zip(ids.tolist(), meanings, strict=True)):
            for column, token in enumerate(tokens):
                if (meaning := known.get(self.words.get(token, ""))) is not None:
                    places.append((row, column))
                    targets.append(meaning)
        if not targets:
            return states.new_zeros((), dtype=torch.float32)
        rows, columns = torch.tensor(places, device=states.device).T
        said, target = self.layer(states[rows, columns]).float(), torch.stack(targets).to(states.device)
        tags = F.binary_cross_entropy_with_logits(said[:, :-2], target[:, :-2], reduction="none").sum(1)
        off = (said[:, -2:] - target[:, -2:]).square().sum(1)
        return (tags + PLACE_WEIGHT * off).mean()
