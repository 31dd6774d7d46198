"""Fields of requests as gradio components, and their values as what a request takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from glide_edit.requests import FACTORS, Request, settings_of
from masks import AUTOMATIC_CONTEXT

UNSET = {"sampler": "the model's", "aspect": "as it is"}
"""The choice that leaves a field out of the request."""
ASPECTS = (UNSET["aspect"], "1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16")
KINDS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "text": (gr.Textbox, {"lines": 1, "elem_classes": "ge-prompt"}),
    "whole": (gr.Number, {"precision": 0, "elem_classes": "ge-number"}),
    "number": (gr.Number, {"elem_classes": "ge-number"}),
    "choice": (gr.Dropdown, {"min_width": 110}),
    "slider": (gr.Slider, {"buttons": []}),
    "radio": (gr.Radio, {}),
}
"""The component for each kind of ``Setting``, and two more kinds."""
OVERRIDES: dict[str, dict[str, Any]] = {
    "prompt": {"max_lines": 3},
    "negative_prompt": {"label": "What should not be there", "max_lines": 2, "elem_id": "negative"},
    "seed": {"value": 7},
    "n": {"elem_id": "count"},
    "feather": {"value": 0},
    "aspect": {"kind": "choice", "choices": list(ASPECTS)},
    "mode": {"label": "Follow", "min_width": 90},
    "context": {"kind": "slider", "value": AUTOMATIC_CONTEXT, "minimum": 1, "maximum": 8, "step": 0.25},
    "strength": {"kind": "slider", "minimum": 0.05, "maximum": 1, "step": 0.05},
    "factor": {"kind": "radio", "choices": [(f"{each} times", each) for each in FACTORS], "value": 2},
}
"""Where the page departs from the definition of a field."""
NAMES = {"n": "The number of pictures", "upsampler_steps": "The upsampler steps"}
"""What a page calls fields in sentences, where it is not their name."""


def component(request: type[Request], name: str, tab: str, **settings: Any) -> Any:
    """The component of a request's field in a tab, from its definition (``glide_edit.requests.Setting``).

    A number that is out of range is reported by the request, in the page's own words.
    """
    setting = next(each for each in settings_of(request) if each.name == name)
    looks = {
        "kind": setting.kind,
        "label": setting.said.capitalize(),
        "elem_id": name.replace("_", "-"),
        # gradio's page sets an empty text late, over what was typed into a tab that has just been opened.
        "value": UNSET.get(name, None if setting.default == "" else setting.default),
        **OVERRIDES.get(name, {}),
        **settings,
    }
    if setting.kind == "choice":
        unset = [UNSET[name]] if setting.optional else []
        looks.setdefault("choices", [*unset, *setting.choices])
    kind, shared = KINDS[looks.pop("kind")]
    return kind(**{**shared, **looks, "elem_id": f"{tab}-{looks['elem_id']}"})


def several_strengths(tab: str) -> gr.Checkbox:
    """Not a field of a request: whether to run it at several strengths."""
    return gr.Checkbox(
        False,
        label="Four strengths to choose from",
        elem_classes="ge-check",
        elem_id=f"{tab}-several",
        container=False,
    )


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
