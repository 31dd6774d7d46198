"""Fields of requests as gradio components, and their values as what a request takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.requests import FACTORS, FINISHES, SKETCH_MODES
from masks import AUTOMATIC_CONTEXT

ASPECTS = ("as it is", "1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16")
UNSET = {"sampler": "the model's", "aspect": "as it is"}
"""The choice that leaves a field out of the request."""

_WHOLE = {"precision": 0}
COMPONENTS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "prompt": (gr.Textbox, {"max_lines": 3}),
    "negative_prompt": (
        gr.Textbox,
        {"label": "What should not be there", "max_lines": 2, "elem_id": "negative"},
    ),
    "seed": (gr.Number, {"value": 7, **_WHOLE}),
    "n": (gr.Number, {"value": 1, "elem_id": "count", **_WHOLE}),
    "steps": (gr.Number, {"value": None, **_WHOLE}),
    "upsampler_steps": (gr.Number, {"value": None, **_WHOLE}),
    "guidance": (gr.Number, {"value": None}),
    "sampler": (
        gr.Dropdown,
        {"choices": [UNSET["sampler"], *SAMPLERS], "value": UNSET["sampler"], "min_width": 110},
    ),
    "finish": (gr.Dropdown, {"choices": list(FINISHES), "value": "membrane", "min_width": 110}),
    "feather": (gr.Number, {"value": 0}),
    "context": (
        gr.Slider,
        {"minimum": 1, "maximum": 8, "value": AUTOMATIC_CONTEXT, "step": 0.25, "min_width": 140},
    ),
    **{side: (gr.Number, {"value": 0, **_WHOLE}) for side in ("left", "right", "top", "bottom")},
    "aspect": (gr.Dropdown, {"choices": list(ASPECTS), "value": UNSET["aspect"], "min_width": 110}),
    "mode": (
        gr.Dropdown,
        {"choices": list(SKETCH_MODES), "value": "auto", "label": "Follow", "min_width": 90},
    ),
    "strength": (gr.Slider, {"minimum": 0.05, "maximum": 1, "step": 0.05}),
    "factor": (
        gr.Radio,
        {"choices": [(f"{each} times", each) for each in FACTORS], "value": FACTORS[0], "label": "Larger by"},
    ),
    "several": (
        gr.Checkbox,
        {"value": False, "label": "Four strengths to choose from", "container": False},
    ),
}
"""The component of each field and its settings. ``several`` is of the page alone: a run at several strengths."""
SHARED: dict[type[Any], dict[str, Any]] = {
    gr.Textbox: {"lines": 1, "elem_classes": "ge-prompt"},
    gr.Number: {"elem_classes": "ge-number"},
    gr.Slider: {"buttons": []},
    gr.Checkbox: {"elem_classes": "ge-check"},
}
"""Settings of all components of a kind."""
NAMES = {"n": "The number of pictures", "upsampler_steps": "The upsampler steps"}
"""What a page calls fields in sentences, where it is not their name."""


def component(name: str, tab: str, **settings: Any) -> Any:
    """The component of a request's field in a tab; ``settings`` override those of ``COMPONENTS``.

    A number that is out of range is reported by the request, in the page's own words.
    """
    kind, own = COMPONENTS[name]
    texts = {"label": name.replace("_", " ").capitalize(), "elem_id": name.replace("_", "-")}
    merged = {**texts, **SHARED.get(kind, {}), **own, **settings}
    return kind(**{**merged, "elem_id": f"{tab}-{merged['elem_id']}"})


def request_fields(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """The values of components as fields of a request; what is empty or unset is left out."""
    fields = dict(zip(names, values, strict=True))
    if fields.get("negative_prompt"):
        fields["negative_prompt"] = fields["negative_prompt"].strip()
    return {
        name: value for name, value in fields.items() if value not in (None, "") and value != UNSET.get(name)
    }


def sentence(text: Exception | str) -> str:
    """An error or a finding for a reader who knows no names of fields."""
    first, *rest = str(text).split()
    words = " ".join([NAMES.get(first, first) if rest[:1] == ["must"] else first, *rest])
    return words[:1].upper() + words[1:]
