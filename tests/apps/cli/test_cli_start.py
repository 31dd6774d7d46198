"""Help, the version, usage errors and unexpected ones; and that none of it takes long."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from apps.cli.main import COMMANDS as HOMES
from apps.cli.main import command_at_home

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = (
    ["inpaint"],
    ["generate"],
    ["sketch"],
    ["info"],
    ["train"],
    ["toybox"],
    ["toybox", "render"],
    ["models"],
    ["models", "list"],
    ["models", "info"],
    ["models", "assemble"],
)
UNNEEDED = (
    *("numba", "scipy", "matplotlib", "gradio", "requests", "glide_edit.training", "glide_edit.evaluation"),
    *(
        "transformers",
        "open_clip",
        "torchvision",
        "torchmetrics",
        "sympy",
        "torch._dynamo",
        "torch._inductor",
    ),
)
"""Heavy packages that an edit with a model of one's own has no use for."""


def one_error_line(result: Result, code: int = 2) -> str:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ") or code != 2
    return result.stderr


def test_without_arguments_it_shows_help(cli) -> None:
    bare, asked = cli(), cli("--help")
    assert bare.exit_code == asked.exit_code == 0
    assert bare.stdout == asked.stdout
    assert all(names[0] in bare.stdout for names in COMMANDS)


def test_version(cli) -> None:
    import glide_edit

    assert cli("--version").stdout == f"glide-edit {glide_edit.__version__}\n"


def test_help_says_what_white_means(cli) -> None:
    assert "white = change" in cli("inpaint", "--help").stdout


def test_help_loads_nothing_heavy() -> None:
    """Every command's help, and a usage error: in one process, whose modules are looked at afterwards."""
    code = f"""
import sys
from apps.cli.main import app
def run(arguments):
    try:
        app(arguments, prog_name="glide-edit")
    except SystemExit as stop:
        return stop.code
codes = [run([*names, "--help"]) for names in {[[], *COMMANDS]!r}] + [run(["inpaint", "--surprise"])]
heavy = ("torch", "numpy", "cv2", "PIL", "numba", "rich")
before = [name for name in heavy if name in sys.modules]
run(["info", "missing.png"])
after = [name for name in heavy if name in sys.modules]
print(codes, before, "numpy" in after, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = [*[0] * (len(COMMANDS) + 1), 2]
    assert done.stderr.splitlines()[-1] == f"{expected} [] True"  # True: the check does see modules


def test_help_on_all_commands_imports_none_of_them() -> None:
    code = """
import sys
sys.argv = ["glide-edit", "--help"]
from apps.cli.main import main
try:
    main()
finally:
    print(*[name for name in sys.modules if name.startswith("apps.cli.")], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "inpaint" in done.stdout
    assert done.stderr.split() == ["apps.cli.errors", "apps.cli.main"]


def test_an_edit_imports_nothing_that_it_does_not_need(here: Path, tiny: Path) -> None:
    code = f"""
import sys
sys.argv = ["glide-edit", "inpaint", "photo.png", "--mask", "mask.png", "--prompt", "a ball",
            "--model", {str(tiny / "both")!r}]
from apps.cli.main import main
try:
    main()
finally:
    print(*[name for name in {UNNEEDED!r} if name in sys.modules], "torch" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=True
    )
    assert "0 of" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("name", HOMES)
def test_the_help_on_all_commands_says_what_each_says_itself(name: str) -> None:
    command = command_at_home(name)
    assert command.name == name
    paragraph = " ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split())
    assert paragraph == HOMES[name].help or paragraph.startswith(f"{HOMES[name].help} ")


def test_run_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli.main", "inpaint", "missing.png", "--mask", "m.png", "--prompt", "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: missing.png does not exist: check the path.\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("surprise", "surprise"),
        ("inpaint photo.png", "--mask"),
        ("inpaint photo.png --mask mask.png", "--prompt"),
        ("inpaint photo.png --mask mask.png --prompt x --n many", "--n"),
        ("inpaint photo.png --mask mask.png --prompt x --finish soft", "membrane"),
        ("train everything --out run", "upsampler"),
        ("train base --steps 1", "--out"),
        ("toybox render 1 out --split surprise", "held_out"),
    ],
)
def test_usage_errors(cli, line: str, words: str) -> None:
    result = cli(*line.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: glide-edit" in result.stderr
    assert words in result.stderr.splitlines()[-1]


def test_unexpected_error_is_one_line_unless_debugging(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("glide_edit.toybox.write_folder", broken)
    line = one_error_line(cli("toybox", "render", "1", "out"), code=1)
    assert "unexpected error (RuntimeError: two lines)" in line
    assert "GLIDE_EDIT_DEBUG=1" in line
    for debugging in (
        cli("toybox", "render", "1", "out", debug=True),
        cli("--debug", "toybox", "render", "1", "out"),
    ):
        assert isinstance(debugging.exception, RuntimeError)


def test_ctrl_c_outside_of_a_run(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glide_edit.toybox.write_folder", interrupted)
    result = cli("toybox", "render", "1", "out")
    assert result.exit_code == 130
    assert result.stderr == "stopped\n"


def test_what_the_system_refuses_is_one_line(cli, here: Path) -> None:
    (here / "file").write_text("in the way")
    line = one_error_line(cli("toybox", "render", "1", "file/out"))
    assert "file" in line
