"""Weights on disk: safetensors files, compared key by key and shape by shape with the module they are for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glide_edit.errors import ModelFormatError
from glide_edit.models.runtime import dtype_name

Shapes = Mapping[str, tuple[int, ...]]
M = TypeVar("M", bound=nn.Module)


_FILLING = (Tensor.zero_, Tensor.fill_, Tensor.normal_, Tensor.uniform_)
"""Tensor methods that fill a parameter outside ``torch.nn.init``."""


class _WithoutInitialisation(TorchFunctionMode):
    """Skips everything in ``torch.nn.init``: memory that is never written to costs nothing."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FILLING or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def blank(make: Callable[[], M], what: str) -> M:
    """A module whose values are not set, to compare with and to fill; no random numbers are used up.

    Not on PyTorch's meta device, whose Python modules take seconds to import.

    Raises ModelFormatError if the configuration makes no module, or one that does not fit into memory.
    """
    try:
        with torch.random.fork_rng(devices=[]), _WithoutInitialisation():
            return make()
    except (RuntimeError, ValueError, OverflowError, MemoryError) as error:
        raise ModelFormatError(
            f"The configuration of {what} makes no network: {_one_line(error)}."
        ) from error


def shapes_of(module: nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def to_bytes(tensors: Mapping[str, Tensor], module: nn.Module, dtype: torch.dtype, what: str) -> bytes:
    """The tensors, which must be exactly the module's and finite, as a safetensors file in ``dtype``.

    Raises ModelFormatError if a key is missing or unknown, a shape is wrong, or a value is not finite.
    """
    compare({name: tuple(value.shape) for name, value in tensors.items()}, shapes_of(module), what)
    stored = {}
    for name, value in tensors.items():
        stored[name] = value.detach().to("cpu", dtype, copy=True, memory_format=torch.contiguous_format)
        if not bool(torch.isfinite(stored[name]).all()):
            raise ModelFormatError(
                f"The tensor {name} of {what} holds values that are not finite in {dtype_name(dtype)}: "
                "its training went wrong, so go back to an earlier checkpoint."
            )
    return save(stored, metadata={"format": "pt"})


def read(paths: Sequence[Path], shapes: Shapes) -> dict[str, Tensor]:
    """The tensors of files, on the CPU and as stored. They may be the mapped files themselves: copy to keep.

    Raises ModelFormatError if a file is missing or damaged, or they do not together hold exactly
    floating-point tensors of these names and shapes, each once.
    """
    found: dict[str, tuple[int, ...]] = {}
    for path in paths:
        own = _stored_shapes(path)
        if twice := sorted(set(own) & set(found)):
            raise ModelFormatError(
                f"{path} has {_some(twice)} once more: a tensor must be in one file alone."
            )
        found |= own
    # Before anything is read: a wrong file may be large.
    compare(found, shapes, " and ".join(map(str, paths)))
    return {name: value for path in paths for name, value in _tensors_of(path).items()}


def fill(
    module: nn.Module,
    files: Mapping[Path, str | None],
    device: torch.device,
    dtype: torch.dtype,
    *,
    channels_last: bool = False,
) -> None:
    """Give a module the tensors of files, on this device and in this precision, and make it ready to run.

    ``files`` says what the sha256 of each has to be, in hexadecimal, and None where that is not asked; it is
    taken while the tensors are converted. ``channels_last`` is the order of weights of convolutions.

    Raises:
        ModelFormatError: as ``read`` does, or a file has another sha256.
    """
    with ThreadPoolExecutor(1) as hasher:
        digests = {
            path: hasher.submit(sha256, path) for path, expected in files.items() if expected is not None
        }
        try:
            tensors = read(list(files), shapes_of(module))
            state = {name: _converted(each, device, dtype, channels_last) for name, each in tensors.items()}
        finally:  # that it is another file explains everything else
            for path, digest in digests.items():
                check_digest(path, digest.result(), files[path])
    module.load_state_dict(state, strict=True, assign=True)
    module.requires_grad_(False).eval()


def check_digest(path: Path, digest: str, expected: str | None) -> None:
    """Raises ModelFormatError if a file's sha256 is not the one expected."""
    if digest != expected:
        raise ModelFormatError(
            f"{path} is not the file model.json names (its sha256 differs): "
            "copy or fetch the model folder again."
        )


def _converted(value: Tensor, device: torch.device, dtype: torch.dtype, channels_last: bool) -> Tensor:
    """A copy: what safetensors hands out may be the file itself, mapped into memory."""
    if value.dtype == torch.float16 and dtype == torch.bfloat16 and device.type == "cpu":
        value = value.float()  # PyTorch takes twice as long for the direct way, with the same result
    order = torch.channels_last if channels_last and value.ndim == 4 else torch.preserve_format
    return value.to(device, dtype, copy=True, memory_format=order)


def _stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict


def _tensors_of(path: Path) -> dict[str, Tensor]:
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    for name, value in tensors.items():
        if not value.is_floating_point():
            raise ModelFormatError(
                f"The tensor {name} in {path} is {dtype_name(value.dtype)}: weights are floating-point."
            )
    return tensors


def split(path: Path, largest: int) -> list[bytes]:
    """A file of weights as safetensors files of at most about ``largest`` bytes each, in its own order.

    Raises ModelFormatError if the file is missing or damaged, or one tensor alone is larger.
    """
    return split_tensors(_tensors_of(path), largest, str(path))


def split_tensors(tensors: Mapping[str, Tensor], largest: int, where: str) -> list[bytes]:
    """The tensors as safetensors files of at most about ``largest`` bytes each, in their own order.

    Raises ModelFormatError if one tensor alone is larger.
    """
    groups: list[dict[str, Tensor]] = [{}]
    room = largest
    for name, value in tensors.items():
        # Its values, and its entry in the header.
        size = value.nbytes + 2 * len(name) + 128
        if size > largest:
            raise ModelFormatError(f"The tensor {name} in {where} alone is larger than {largest} bytes.")
        if size > room:
            groups.append({})
            room = largest
        groups[-1][name] = value
        room -= size
    return [save(group, metadata={"format": "pt"}) for group in groups]


def count_parameters(path: Path) -> int:
    """How many numbers a file of weights holds, from its header alone.

    Raises ModelFormatError if the file is missing or damaged.
    """
    return sum(torch.Size(shape).numel() for shape in _stored_shapes(path).values())


def compare(found: Shapes, expected: Shapes, where: str) -> None:
    """Raises ModelFormatError unless names and shapes are the same."""
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    parts = [f"lacks {_some(missing)}" if missing else "", f"has unknown {_some(unknown)}" if unknown else ""]
    if missing or unknown:
        raise ModelFormatError(
            f"{where} {' and '.join(filter(None, parts))}: it was made for another configuration."
        )
    wrong = [name for name, shape in expected.items() if found[name] != shape]
    if wrong:
        raise ModelFormatError(
            f"{where} has {wrong[0]} of shape {list(found[wrong[0]])}, not {list(expected[wrong[0]])}: "
            "it was made for another configuration."
        )


def file_size(path: Path) -> int:
    """In bytes. Raises ModelFormatError if the file is missing or cannot be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def sha256(path: Path) -> str:
    """The file's sha256 in hexadecimal. Raises ModelFormatError if the file is missing or cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """``safe_open`` whose errors, whenever they come, are ours."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ModelFormatError:
    if isinstance(error, FileNotFoundError):
        return ModelFormatError(
            f"{path} is missing: the model folder is incomplete, so copy or fetch it again."
        )
    return ModelFormatError(
        f"{path} is damaged or unreadable, so copy or fetch it again ({_one_line(error)})."
    )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
