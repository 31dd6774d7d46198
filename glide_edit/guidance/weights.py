"""Which prompts are asked for, with and without the known picture, and how much of each goes into x0."""

from __future__ import annotations

from collections.abc import Mapping

Asked = tuple[str, bool]
"""A prompt, "" for nothing said, and whether the network is shown what is known of the picture."""


def mixture(
    prompt: Mapping[str, float],
    against: Mapping[str, float],
    guidance: float,
    context_guidance: float = 1.0,
) -> dict[Asked, float]:
    """The weights of branches; they sum to 1, and the first is the whole prompt with what is known.

    ``prompt`` and ``against`` are prompts and their shares, which sum to 1 each (``Words.shares``). The sum
    is x0(against, nothing known) + context_guidance * (x0(against, known) - x0(against, nothing known)) +
    guidance * (x0(prompt, known) - x0(against, known)), as Brooks et al. 2022 (InstructPix2Pix, arXiv
    2211.09800, eq. 3) weigh a text and a picture. A context guidance of 1 is classifier-free guidance.
    """
    mixed: dict[Asked, float] = {}
    for words, share in prompt.items():
        mixed[words, True] = mixed.get((words, True), 0.0) + guidance * share
    for words, share in against.items():
        mixed[words, True] = mixed.get((words, True), 0.0) + (context_guidance - guidance) * share
        if context_guidance != 1.0:
            mixed[words, False] = (1.0 - context_guidance) * share
    return mixed
