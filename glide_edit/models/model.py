"""A loaded model: its stages, what encodes their prompts, and the CLIP that may guide them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from glide_edit.codecs import PIXELS, Codec
from glide_edit.diffusion.schedule import Schedule
from glide_edit.models.capabilities import Capabilities
from glide_edit.models.kinds import StageNetwork
from glide_edit.models.parts import DEFAULT
from glide_edit.models.presets import StagePreset
from glide_edit.models.runtime import Runtime
from glide_edit.models.spec import ModelSpec, StageSpec
from glide_edit.networks.noised_clip import NoisedCLIP
from glide_edit.text.encoder import TextEncoder, Tokenizer

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Stage:
    """One network of the cascade, in evaluation mode, without gradients, where and as the runtime says.

    ``text_encoder`` is None where the network reads no text. ``codec`` turns pictures into what the network
    denoises.
    """

    spec: StageSpec
    network: StageNetwork
    text_encoder: TextEncoder | None = None
    codec: Codec = PIXELS

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def preset(self) -> StagePreset:
        return self.spec.preset

    @property
    def schedule(self) -> Schedule:
        return self.spec.schedule

    @property
    def image_size(self) -> int:
        return self.spec.config.image_size


def once(load: Callable[[], T], lock: AbstractContextManager[Any]) -> Callable[[], T]:
    """What ``load`` gives, loaded when it is first asked for, by one thread at a time."""
    loaded: list[T] = []

    def get() -> T:
        with lock:
            if not loaded:
                loaded.append(load())
            return loaded[0]

    return get


@dataclass(frozen=True, eq=False)
class NoisedClip:
    """GLIDE's noised CLIP with its tokenizer: it judges how well a noisy picture fits a prompt."""

    network: NoisedCLIP
    tokenizer: Tokenizer


@dataclass(frozen=True, eq=False)
class Model:
    """A model folder ready to run. A stage is read when it is first needed, and then kept.

    ``codecs`` holds those of stages that do not denoise pixels, by name, and ``load_tokenizer`` gives the
    tokenizers of those that read text: neither needs a stage to be read.
    """

    spec: ModelSpec
    runtime: Runtime
    load_stage: Mapping[str, Callable[[], Stage]]
    load_clip: Callable[[], NoisedClip] | None = None
    codecs: Mapping[str, Codec] = field(default_factory=dict)
    load_tokenizer: Mapping[str, Callable[[], Tokenizer]] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: ModelSpec, runtime: Runtime, stages: Sequence[Stage]) -> Model:
        """A model of stages that are loaded already."""
        ready = {stage.name: stage for stage in stages}
        load = {name: partial(ready.__getitem__, name) for name in ready}
        tokenizers = {
            name: partial(getattr, stage.text_encoder, "tokenizer")
            for name, stage in ready.items()
            if stage.text_encoder is not None
        }
        codecs = {name: stage.codec for name, stage in ready.items()}
        return cls(spec, runtime, load, codecs=codecs, load_tokenizer=tokenizers)

    def with_usual_preset(self, name: str) -> Model:
        """The same model with another preset for requests that leave the sampling to it.

        Raises:
            ModelFormatError: it has no preset of that name.
        """
        return replace(self, spec=replace(self.spec, usual_preset=name, edit_preset=None))

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def identity(self) -> str:
        """16 hexadecimal digits for recipes; see ``ModelSpec.identity``."""
        return self.spec.identity

    @property
    def label(self) -> str:
        """Name and identity, as results and recipes give them."""
        return f"{self.name} {self.identity}"

    @property
    def capabilities(self) -> Capabilities:
        return self.spec.capabilities

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of them, in the order of ``model.json``."""
        return tuple(self.load_stage[stage.name]() for stage in self.spec.stages)

    def cascade(self, inpainting: bool, preset: str = DEFAULT) -> tuple[Stage, ...]:
        """The stages that run, in order; see ``ModelSpec.cascade``."""
        return tuple(self.load_stage[stage.name]() for stage in self.spec.cascade(inpainting, preset))

    def codec_of(self, stage: StageSpec) -> Codec:
        return self.codecs.get(stage.name, PIXELS)

    def tokenizer_of(self, stage: StageSpec) -> Tokenizer | None:
        """What makes tokens of this stage's prompts; None where it reads none."""
        load = self.load_tokenizer.get(stage.name)
        return None if load is None else load()

    @property
    def text_encoder(self) -> TextEncoder | None:
        """That of the first stage that reads text, None where none does."""
        return next((stage.text_encoder for stage in self.stages if stage.text_encoder is not None), None)

    @property
    def clip(self) -> NoisedClip | None:
        """The model's own CLIP, None where it has none."""
        return None if self.load_clip is None else self.load_clip()
