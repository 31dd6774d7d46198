"""Optional packages: what is said where they are missing, and a torchvision that only half fits."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from glide_edit import optional_dependencies
from glide_edit.errors import InputError
from tests.glide_edit.clips import needs_open_clip

HALF_FITTING = """
from . import part
import torch_that_knows_it
if not torch_that_knows_it.ANSWER:
    raise RuntimeError({message!r})
"""


def forget_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def half_fitting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A torchvision that can be imported once its operators have names."""
    folder = tmp_path / "torchvision"
    folder.mkdir()
    (folder / "part.py").touch()
    (folder / "__init__.py").write_text(
        HALF_FITTING.format(message="operator torchvision::nms does not exist"), encoding="utf-8"
    )
    (tmp_path / "some_extra.py").write_text("import torchvision", encoding="utf-8")
    forget_torchvision(monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    answer = ModuleType("torch_that_knows_it")
    answer.ANSWER = False  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_that_knows_it", answer)

    def define() -> object:
        answer.ANSWER = True  # type: ignore[attr-defined]
        return object()

    monkeypatch.setattr(optional_dependencies, "_define_operators", define)
    yield folder
    for name in ("torchvision", "torchvision.part", "some_extra"):
        sys.modules.pop(name, None)


def test_a_torchvision_for_another_torch_is_mended(half_fitting: Path) -> None:
    with pytest.raises(RuntimeError, match="nms"):
        importlib.import_module("torchvision")
    assert optional_dependencies._imported("some_extra", "clip").torchvision.__file__ == str(
        half_fitting / "__init__.py"
    )


def test_a_torchvision_that_fails_otherwise_is_told(half_fitting: Path) -> None:
    (half_fitting / "__init__.py").write_text('raise RuntimeError("out of\\norder")', encoding="utf-8")
    with pytest.raises(InputError, match=r"some_extra, which cannot be imported \(out of order\)"):
        optional_dependencies._imported("some_extra", "clip")


@pytest.mark.parametrize(
    ("name", "extra"), [("open_clip", "clip"), ("transformers", "clip"), ("torchmetrics", "fid")]
)
def test_a_missing_package_is_named_with_its_set(
    name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"package {name}.*pip install 'glide-edit\[{extra}\]'"):
        getattr(optional_dependencies, name)()


def test_a_missing_scikit_image_is_named_with_its_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(InputError, match=r"package skimage.*pip install 'glide-edit\[repairs\]'"):
        optional_dependencies.skimage("metrics")


@needs_open_clip
def test_the_packages_are_there() -> None:
    assert "ViT-B-32" in optional_dependencies.open_clip().list_models()
    assert optional_dependencies.transformers().__name__ == "transformers"
    assert optional_dependencies.open_clip() is sys.modules["open_clip"]


def test_nothing_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, glide_edit.optional_dependencies; "
        "print(*sys.modules.keys() & {'torch', 'torchvision', 'open_clip', 'transformers'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
