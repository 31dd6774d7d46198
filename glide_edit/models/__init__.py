"""Model folders, the models known by name, and where and how precisely they run."""

from glide_edit.models.folder import Model, Stage, assemble, load_model, write_model
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET, StagePreset
from glide_edit.models.registry import ModelInfo, describe, list_models, resolve
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.models.spec import ModelSpec, StageSpec, TextSpec, read_spec

__all__ = [
    "BASE_PRESET",
    "UPSAMPLER_PRESET",
    "Model",
    "ModelInfo",
    "ModelSpec",
    "Runtime",
    "Stage",
    "StagePreset",
    "StageSpec",
    "TextSpec",
    "apply",
    "assemble",
    "choose_runtime",
    "describe",
    "list_models",
    "load_model",
    "read_spec",
    "resolve",
    "write_model",
]
