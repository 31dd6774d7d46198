"""What a model cannot do is refused before any work, and what it will not heed is said."""

from __future__ import annotations

from collections.abc import Sequence

from glide_edit.codecs import PixelCodec
from glide_edit.errors import InputError
from glide_edit.models.model import Model
from glide_edit.models.spec import DEFAULT, ModelSpec, StageSpec
from glide_edit.operations.inpaint import context_of, grow_of
from glide_edit.pipeline.stage_settings import StageSettings, preset_of, sampling_times
from glide_edit.requests import Inpaint, Request, Sketch, Upscale
from glide_edit.requests.settings import settings_of
from glide_edit.text.prompt_weights import read_words
from masks import Finding, diagnose


def check(model: Model, request: Request, *, has_clip: bool = False) -> None:
    """Refuse what this model cannot do; ``has_clip``: a CLIP is there in place of the model's own.

    Raises:
        InputError: no stage for this operation, a selection or a drawing for a model without that channel, a
            preset it does not have, guidance by CLIP without one or of latents, or more steps than a schedule
            has.
    """
    spec = model.spec
    if request.preset is not None and request.preset not in spec.preset_names:
        raise InputError(
            f"The model {spec.name} has no preset {request.preset!r}; it has {', '.join(spec.preset_names)}.",
            code="preset_unknown",
            field="preset",
        )
    if fills_alone(request):
        if request.candidates is not None:
            raise InputError(
                "A repair is the same for every seed: leave candidates out, or give a strength.",
                code="candidates_without_drafts",
                field="candidates",
            )
        return
    stages = spec.cascade(request.repaints, request.preset or DEFAULT)
    if request.candidates is not None and not request.has_drafts:
        raise InputError(
            f"Candidates cannot be told apart before they are finished in {request.operation}: "
            "leave candidates out.",
            code="candidates_without_drafts",
            field="candidates",
        )
    if request.stage_steps is not None and len(request.stage_steps) > len(stages):
        raise InputError(
            f"stage_steps has {len(request.stage_steps)} numbers, and the model {spec.name} "
            f"{len(stages)} stage{'s' if len(stages) > 1 else ''} here: give one for each.",
            code="stage_steps_too_many",
            field="stage_steps",
        )
    if isinstance(request, Upscale):
        if len(stages) < 2 or not stages[-1].config.low_res:
            raise _lacking(spec, "upsampler")
        _check_steps(stages[-1], len(stages) - 1, request)
        return
    if not stages or stages[0].config.low_res:
        raise _lacking(spec, "base network for this")
    capabilities = spec.capabilities
    if isinstance(request, Sketch) and not capabilities.drawing and request.mode != "tone":
        raise InputError(
            f"The model {spec.name} has no drawing channel: it can follow a sketch by its tones alone "
            "(mode tone).",
            code="mode_without_drawings",
            field="mode",
        )
    if request.repaints and not capabilities.inpaint:
        raise _lacking(spec, "network that was trained to inpaint")
    for index, stage in enumerate(stages):
        _check_steps(stage, index, request)
    if not is_guided_by_clip(spec, request):
        return
    if not isinstance(model.codec_of(stages[0]), PixelCodec):
        raise InputError(
            f"The {stages[0].label} of the model {spec.name} denoises latents, which no CLIP can look at: "
            "leave guidance by CLIP out.",
            code="clip_guidance_of_latents",
            field="clip_guidance",
        )
    if not has_clip and not capabilities.clip_score:
        raise InputError(
            f"The model {spec.name} has no CLIP of its own to be guided by: name one (clip), or leave "
            "guidance by CLIP out.",
            code="clip_missing",
            field="clip_guidance",
        )


def fills_alone(request: Request) -> bool:
    """Whether the mask fill is the result, and no network of the model runs."""
    return isinstance(request, Inpaint) and request.fills_alone


def is_guided_by_clip(spec: ModelSpec, request: Request) -> bool:
    """Whether the request, or the preset that it names, asks for guidance by CLIP where one acts."""
    preset = request.preset or DEFAULT
    stages = spec.cascade(request.repaints, preset)
    if isinstance(request, Upscale) or not stages or preset not in spec.preset_names:
        return False
    return preset_of(stages[0], 0, request, preset).clip_guidance > 0


def _check_steps(stage: StageSpec, index: int, request: Request) -> None:
    _check_student(stage, index, request)
    try:
        sampling_times(stage.schedule, preset_of(stage, index, request, request.preset or DEFAULT))
    except InputError as error:
        field = "upsampler_steps" if index else "steps"
        if index < len(request.stage_steps or ()):
            field = "stage_steps"
        raise InputError(str(error), code=f"{field}_out_of_range", field=field) from error


def _check_student(stage: StageSpec, index: int, request: Request) -> None:
    """A distilled stage takes the steps that it was trained for, and has guidance built in."""
    if stage.distils is None:
        return
    fields = ["upsampler_steps"] if index else ["steps", "sampler", "guidance", "clip_guidance"]
    for field in [*fields, *(["stage_steps"] if index < len(request.stage_steps or ()) else [])]:
        if getattr(request, field) is not None:
            raise InputError(
                f"The {stage.label} of the preset {request.preset} was distilled to {stage.preset.steps} "
                f"steps, with guidance built in: leave {field} out, or choose the preset {DEFAULT}.",
                code=f"{field}_of_a_distilled_stage",
                field=field,
            )


def findings(spec: ModelSpec, request: Request) -> tuple[Finding, ...]:
    """What the mask doctor says of a request's selection at the size where this model draws.

    Raises:
        MaskError: the protected area leaves nothing to change.
    """
    if not isinstance(request, Inpaint):
        return ()
    image = request.image
    found = diagnose(
        request.mask,
        (image.height, image.width),
        image.orientation,
        context=context_of(request),
        network_size=spec.cascade(True)[0].config.image_size,
        grow=grow_of(request),
        protect=request.protect,
    )
    # A repair sees the photograph as it is.
    return tuple(each for each in found if not (each.code == "thin" and request.fills_alone))


def remarks(
    model: Model, request: Request, specs: Sequence[StageSpec], stages: Sequence[StageSettings]
) -> tuple[str, ...]:
    """What of a request this model will not heed, as sentences for the user; ``specs`` are the stages'."""
    said: list[str] = []
    who = f"The model {model.name}"
    if isinstance(request, Upscale):  # which runs the last stage alone
        specs, stages, who = specs[-1:], stages[-1:], f"The {stages[-1].label} of the model {model.name}"
        said += _unheeded_enlarging(request, stages[-1])
    tokenizers = [model.tokenizer_of(spec) for spec in specs]
    readers = [tokenizer for tokenizer in tokenizers if tokenizer is not None]
    for name, prompt in (("prompt", request.prompt), ("negative prompt", request.negative_prompt or "")):
        words = read_words(prompt)
        if words.dropped:
            said.append(f"The {name} has control characters: {words.dropped} of them were left out.")
        if words.plain and not readers:
            said.append(f"{who} reads no text: the {name} was ignored.")
        elif words.plain and (dropped := readers[0].encode([words.plain]).dropped[0]):
            said.append(f"The {name} is too long for this model: its last {dropped} tokens were left out.")
    if request.negative_prompt and readers and not _is_heeded(request.negative_prompt, stages):
        said.append("With a guidance of 1 a negative prompt has no effect: it was ignored.")
    if request.upsampler_steps is not None and len(stages) == 1 and not isinstance(request, Upscale):
        said.append(f"The model {model.name} has no upsampler: upsampler_steps was ignored.")
    return tuple(said)


def remarks_on_a_fill(request: Request) -> tuple[str, ...]:
    """What of a request a fill alone does not heed."""
    defaults = {each.name: each.default for each in settings_of(type(request)) if not each.required}
    names = [name for name in _OF_SAMPLING if getattr(request, name) != defaults[name]]
    if not names:
        return ()
    verb = "was" if len(names) == 1 else "were"
    return (
        f"A repair takes no steps, and {', '.join(names)} {verb} ignored: strength makes the model draw.",
    )


_OF_SAMPLING = (
    "negative_prompt",
    "steps",
    "upsampler_steps",
    "stage_steps",
    "guidance",
    "sampler",
    "clip_guidance",
    "context_guidance",
)


def _is_heeded(negative: str, stages: Sequence[StageSettings]) -> bool:
    """Whether a branch of guidance asks for the negative prompt's words with a weight other than 0."""
    words = read_words(negative)
    prompts = {words.plain, *words.shares()}
    branches = (branch for settings in stages for branch in (*settings.branches, *settings.outside_branches))
    return any(branch.weight != 0 and branch.prompt in prompts for branch in branches)


def _unheeded_enlarging(request: Upscale, settings: StageSettings) -> list[str]:
    """What is for the first stage, which an enlargement does without."""
    first = ("steps", "sampler", "guidance", "clip_guidance", "clip_cuts", "clip_interval")
    names = [name for name in first if getattr(request, name) is not None]
    if request.stage_steps is not None and len(request.stage_steps) <= settings.index:
        names.append("stage_steps")
    if not names:
        return []
    verb = "was" if len(names) == 1 else "were"
    return [
        f"Enlarging runs the {settings.label} alone, and {', '.join(names)} {verb} ignored: "
        "upsampler_steps says how many steps it takes."
    ]


def _lacking(spec: ModelSpec, what: str) -> InputError:
    there = ", ".join(stage.name for stage in spec.stages)
    return InputError(
        f"The model {spec.name} has no {what}, only {there}: "
        "`glide-edit models fetch` or `models assemble` can add one.",
        code="stage_missing",
        field="operation",
    )
