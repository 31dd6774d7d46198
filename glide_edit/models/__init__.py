"""Model folders, the models known by name, and where and how precisely they run."""

from glide_edit.models.capabilities import Capabilities
from glide_edit.models.folder import assemble, load_model, save_spec, write_model
from glide_edit.models.kinds import register_network, register_text_encoder
from glide_edit.models.model import Model, Stage
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET, StagePreset
from glide_edit.models.registry import ModelInfo, describe, list_models, resolve
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.models.spec import ClipSpec, ModelSpec, StageSpec, TextSpec, read_spec

__all__ = [
    "BASE_PRESET",
    "UPSAMPLER_PRESET",
    "Capabilities",
    "ClipSpec",
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
    "register_network",
    "register_text_encoder",
    "resolve",
    "save_spec",
    "write_model",
]
