"""Frozen language models (Imagen, arXiv 2205.11487, section 2.1), read through a learned projection.

A language model is a folder as transformers writes it: ``config.json``, ``tokenizer.json`` and safetensors.
No code out of such a folder is run, and nothing in it is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from glide_edit import optional_dependencies
from glide_edit.conditioning import TextStates
from glide_edit.errors import InputError, ModelFormatError
from glide_edit.text.tokenizer import Tokens, cleaned, padded

ARCHITECTURES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "bert": "BertModel",
    "distilbert": "DistilBertModel",
    "electra": "ElectraModel",
    "mpnet": "MPNetModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
}
"""The ``model_type`` that ``config.json`` may name, and the class of transformers that is its encoder.

All of them see every token from every other one and ignore padding on the right.
"""

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"

_CONTEXT = 64
"""The most tokens of a prompt that are read; long enough for two sentences."""
_UNUSED = ("pooler.",)
"""Weights that a folder may lack: the states do not depend on them."""


@dataclass(frozen=True)
class FrozenTextConfig:
    """Which language model is read, and into what.

    ``name`` is what to look for, ``architecture`` one of ``ARCHITECTURES``' classes, ``sha256`` that of its
    weights and ``tokenizer_sha256`` that of its tokenizer. Its states are ``language_width`` wide, those that
    networks read ``width``. ``context`` is the most tokens, those that begin and end a text included.

    Raises InputError if a number is less than 1, ``context`` less than 4, or the architecture is unknown.
    """

    name: str
    architecture: str
    sha256: str
    tokenizer_sha256: str
    language_width: int
    width: int
    context: int

    def __post_init__(self) -> None:
        if min(self.language_width, self.width) < 1 or self.context < 4:
            raise InputError(
                "The widths of a frozen text encoder must be 1 or more, and its context 4 or more."
            )
        if self.architecture not in ARCHITECTURES.values():
            raise InputError(
                f"The architecture {self.architecture!r} is unknown; known are "
                f"{', '.join(ARCHITECTURES.values())}."
            )


class LanguageTokenizer:
    """A language model's own tokens, with those that begin and end a text.

    The empty prompt has no token at all, as with the tokenizers trained here.
    """

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # A typed "[SEP]" or "</s>" means those characters, not the token.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._around = tokenizer.num_special_tokens_to_add(is_pair=False)
        self.context = context

    @classmethod
    def load(cls, folder: Path, context: int) -> LanguageTokenizer:
        """Raises ModelFormatError where the folder's ``tokenizer.json`` is missing or damaged."""
        path = folder / TOKENIZER_NAME
        try:
            return cls(Tokenizer.from_file(str(path)), context)
        except Exception as error:  # tokenizers raises this very class
            raise ModelFormatError(
                f"{path} is missing or damaged: save the language model's tokenizer there ({error})."
            ) from error

    @property
    def vocabulary_size(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, prompts: Sequence[str]) -> Tokens:
        """Prompts to ids padded to the longest of them (at least 1, at most ``context`` tokens)."""
        rows, dropped = zip(*(self._encode(cleaned(prompt)) for prompt in prompts), strict=True)
        return padded(rows, max(map(len, rows)) or 1, dropped)

    def _encode(self, text: str) -> tuple[list[int], int]:
        """The ids, and how many tokens did not fit."""
        if not text:
            return [], 0
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        excess = max(0, len(encoding) - (self.context - self._around))
        encoding.truncate(len(encoding) - excess)
        return self._tokenizer.post_process(encoding).ids, excess


class LanguageModel:
    """An encoder of transformers, in float32 and evaluation mode: it is never trained.

    It is deliberately not an ``nn.Module``, so that its owner neither saves nor optimises it.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model.requires_grad_(False).eval()

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> LanguageModel:
        """Read a folder's weights.

        Raises:
            ModelFormatError: they are missing, damaged, incomplete, no safetensors, or of an unknown kind.
            InputError: transformers is not installed.
        """
        architecture = shape_of(folder).architecture
        package = optional_dependencies.transformers()
        try:
            with _quiet(package):
                model, info = getattr(package, architecture).from_pretrained(
                    folder,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                    dtype=torch.float32,
                )
        except Exception as error:  # whatever a damaged file makes of the package
            raise ModelFormatError(
                f"The language model {folder} cannot be read ({_one_line(error)}): save it again, "
                "as safetensors."
            ) from error
        lacking = [name for name in info["missing_keys"] if not name.startswith(_UNUSED)]
        wrong = sorted([*lacking, *(str(item[0]) for item in info["mismatched_keys"])])
        if wrong:
            raise ModelFormatError(
                f"The weights in {folder} are not those of its {CONFIG_NAME}: {wrong[0]} is missing or of "
                "another shape, so save it again."
            )
        return cls(model.to(device))

    def __call__(self, ids: Tensor, token_mask: Tensor) -> TextStates:
        """ids (B, L) int64, token_mask (B, L) bool -> last hidden states (B, L, D), zero on padding."""
        # A row without tokens looks at its first place, or the softmax over nothing would not be a number.
        seen = token_mask.clone()
        seen[:, 0] = True
        with torch.no_grad():
            states = self._model(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        return TextStates(states=states * token_mask[:, :, None], token_mask=token_mask)


class FrozenText(nn.Module):
    """A language model's states, projected to the width that the networks read; only that is trained.

    ``language`` is None where states are computed elsewhere, or only the projection's shape is needed.
    """

    def __init__(self, config: FrozenTextConfig, language: LanguageModel | None = None) -> None:
        super().__init__()
        self.config = config
        self.language = language
        self.norm = nn.LayerNorm(config.language_width)
        self.linear = nn.Linear(config.language_width, config.width)

    @property
    def device(self) -> torch.device:
        return self.linear.weight.device

    def project(self, text: TextStates) -> TextStates:
        """The language model's states (B, L, language_width) -> (B, L, width)."""
        states = self.linear(self.norm(text.states.to(self.linear.weight.dtype)))
        return TextStates(states=states, token_mask=text.token_mask)

    def forward(self, ids: Tensor, token_mask: Tensor) -> TextStates:
        """ids (B, L) int64, token_mask (B, L) bool, L at most ``context`` -> states (B, L, width)."""
        assert self.language is not None, "a language model to read with"
        return self.project(self.language(ids, token_mask))


class LanguageShape(NamedTuple):
    """The class of transformers that reads a language model, the width of its states, the most tokens."""

    architecture: str
    width: int
    context: int


def shape_of(folder: Path) -> LanguageShape:
    """What a folder's ``config.json`` says. Raises ModelFormatError if it is missing, damaged or unknown."""
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFormatError(
            f"{folder} is not a language model: its {CONFIG_NAME} is missing or damaged ({error})."
        ) from error
    if not isinstance(config, dict):
        raise ModelFormatError(
            f"{folder} is not a language model: its {CONFIG_NAME} does not hold an object."
        )
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise ModelFormatError(
            f"The language model {folder} is of the kind {kind!r}; known are {', '.join(ARCHITECTURES)}."
        )
    width = next((config[key] for key in ("d_model", "hidden_size", "dim") if key in config), None)
    places = config.get("max_position_embeddings", _CONTEXT + 2)
    if not isinstance(width, int) or not isinstance(places, int):
        raise ModelFormatError(f"{path} does not say how wide its states are.")
    # Models in the line of RoBERTa count places from 2.
    return LanguageShape(ARCHITECTURES[kind], width, min(_CONTEXT, places - 2))


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Turn off the package's progress bar and its warnings about unused weights."""
    logging = package.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
