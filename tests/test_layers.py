"""The house stands: a module imports only what is listed above it, and heavy packages wait for their use.

The order is the one that docs/architecture.md explains. An `__init__.py` that only hands names on belongs
to no layer: importing through it says nothing about who depends on whom.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = (
    "masks",
    "glide_edit.errors",
    "glide_edit.openmp",
    "glide_edit.cores",
    "glide_edit.optional_dependencies",
    "glide_edit.images",
    "glide_edit.selections",
    "glide_edit.comparing",
    "glide_edit.toybox",
    "glide_edit.diffusion.schedule",
    "glide_edit.conditioning",
    "glide_edit.codecs",
    "glide_edit.networks",
    "glide_edit.text",
    "glide_edit.diffusion",
    "glide_edit.sampling",
    "glide_edit.guidance",
    "glide_edit.models",
    "glide_edit.requests",
    "glide_edit.recipes",
    "glide_edit.results",
    "glide_edit.operations",
    "glide_edit.pipeline",
    "glide_edit.editor_methods",
    "glide_edit.editor_async",
    "glide_edit.editor",
    "glide_edit.batch",
    "glide_edit.training",
    "glide_edit.evaluation",
    "glide_edit",
    "apps",
)
OURS = {"masks", "glide_edit", "apps"}
MASKS_MAY_USE = {"numpy", "cv2"}
HEAVY = ("torch", "cv2", "numba", "gradio", "transformers", "matplotlib", "PIL", "numpy")


def layer_of(module: str) -> str | None:
    """The layer with the longest name that the module lies in; ``glide_edit`` itself is the top only."""
    fitting = [layer for layer in LAYERS if module == layer or module.startswith(f"{layer}.")]
    best = max(fitting, key=len, default=None)
    return None if best == "glide_edit" and module != "glide_edit" else best


def imports_of(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported, also inside functions and for types only.

    ``from a import b`` counts as ``a.b``, since b may be a module.
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def only_hands_names_on(tree: ast.Module) -> bool:
    """No code but imports, a docstring, dunder or private constants, and a module's own __getattr__."""

    def harmless(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                return True
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return all(harmless(inner) for inner in [*node.body, *node.orelse])
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                return name.startswith("_")
            case ast.FunctionDef(name="__getattr__" | "__dir__"):
                return True
        return False

    return all(harmless(node) for node in tree.body)


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What a module's imports break, one sentence each."""
    tree = ast.parse(source)
    if is_package and only_hands_names_on(tree):
        return []
    layer = layer_of(module)
    if layer is None:
        return [f"{module} lies in no layer: give it a place in LAYERS and in docs/architecture.md"]
    found = []
    for line, name in imports_of(tree, module, is_package):
        top = name.split(".")[0]
        if layer == "masks" and top not in {*sys.stdlib_module_names, *MASKS_MAY_USE, "masks"}:
            found.append(f"{module}:{line} imports {name}: masks may use numpy and OpenCV only")
        elif top in {"tests", "scripts"}:
            found.append(f"{module}:{line} imports {name}, which is not part of the program")
        elif top in OURS:
            target = layer_of(name) or layer_of(top)
            assert target is not None
            if LAYERS.index(target) > LAYERS.index(layer):
                found.append(f"{module}:{line} imports {name} of {target}, which is not above {layer}")
    return found


def modules() -> list[tuple[str, Path]]:
    paths = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))
    named = []
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        named.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return named


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_module_imports_only_what_is_above_it(module: str, path: Path) -> None:
    found = violations(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("masks.mask", "import torch"),
        ("masks.mask", "from PIL import Image"),
        ("masks.mask", "from glide_edit.errors import InputError"),
        ("glide_edit.errors", "import masks"),
        ("glide_edit.diffusion.schedule", "from glide_edit.diffusion import ddim"),
        ("glide_edit.diffusion.schedule", "from . import ddim"),
        ("glide_edit.diffusion.schedule", "from .ddim import ddim"),
        ("glide_edit.diffusion.ddim", "from glide_edit.guidance.cfg import CFGDenoiser"),
        ("glide_edit.networks.unet", "import glide_edit.text.tokenizer"),
        ("glide_edit.requests", "from glide_edit import Editor"),
        ("glide_edit.requests", "import glide_edit"),
        ("glide_edit.requests", "def f():\n    from glide_edit import editor"),
        ("glide_edit.requests", "if TYPE_CHECKING:\n    from glide_edit.results import Receipt"),
        ("glide_edit.operations.inpaint", "from apps.cli import main"),
        ("glide_edit.operations.inpaint", "from ..editor import Editor"),
        ("glide_edit.editor", "from tests.conftest import something"),
        ("glide_edit.surprise", "import os"),
    ],
)
def test_checker_finds_a_violation(module: str, source: str) -> None:
    if module == "glide_edit.errors":  # the one import that is allowed downwards
        assert violations(source, module) == []
    else:
        assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "masks.mask",
            "import math\nimport numpy as np\nimport cv2\nfrom masks.shape import grow\nfrom . import draw",
        ),
        (
            "glide_edit.diffusion.ddim",
            "from glide_edit.conditioning import Denoiser\nfrom . import schedule, ddpm",
        ),
        ("glide_edit.conditioning", "from glide_edit.diffusion.schedule import Schedule"),
        ("glide_edit.operations.inpaint", "from masks import Mask\nfrom ..requests import Inpaint"),
        ("apps.cli.main", "import glide_edit\nfrom glide_edit import Editor\nfrom masks import Mask"),
    ],
)
def test_checker_lets_pass_what_is_above(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_only_an_init_that_hands_names_on_is_exempt() -> None:
    handing_on = '"""Docs."""\nfrom glide_edit.editor import Editor\n__all__ = ["Editor"]\n'
    working = handing_on + "def load():\n    return Editor()\n"
    assert violations(handing_on, "glide_edit.diffusion", is_package=True) == []
    assert len(violations(working, "glide_edit.diffusion", is_package=True)) == 1
    assert len(violations(handing_on, "glide_edit.diffusion.ddim")) == 1


def heavy_after(statement: str) -> list[str]:
    code = f"import sys; {statement}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert heavy_after("import glide_edit, masks.mask") == ["cv2", "numpy"], (
        "the check itself does not see modules"
    )
    assert heavy_after("import glide_edit, glide_edit.errors") == []


@pytest.mark.skipif(not (ROOT / "apps/cli/main.py").exists(), reason="the command line is not there yet")
def test_importing_the_command_line_loads_nothing_heavy() -> None:
    assert heavy_after("import apps.cli.main") == []


def test_pictures_do_not_load_torch() -> None:
    assert "torch" not in heavy_after("import glide_edit.images")


def test_public_names_agree() -> None:
    """`__all__`, what the type checker sees and what is looked up lazily are one list."""
    import glide_edit

    tree = ast.parse((ROOT / "glide_edit/__init__.py").read_text(encoding="utf-8"))
    for_types = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS
        for alias in node.names
    }
    assert for_types == glide_edit._HOMES
    assert {*for_types, "__version__"} == set(glide_edit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'surprise'"):
        glide_edit.surprise  # noqa: B018
