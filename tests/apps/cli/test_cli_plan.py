"""`glide-edit plan`: the arguments of an operation, and what it would do, without doing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.cli.edits import COMMANDS
from glide_edit.editor import Editor
from glide_edit.pipeline.plan import Plan
from tests.apps.cli.conftest import Cli


@pytest.fixture
def plan(cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    def drawn(*_: Any, **__: Any) -> Any:
        raise AssertionError("a plan draws nothing")

    monkeypatch.setattr(Editor, "stream", drawn)
    return lambda *arguments: cli("plan", *arguments, "--model", tiny / "both")


@pytest.mark.parametrize(
    "arguments",
    [
        ("inpaint", "photo.png", "--mask", "mask.png", "--prompt", "a ball"),
        ("remove", "photo.png", "--mask", "mask.png"),
        ("outpaint", "photo.png", "--left", 8),
        ("upscale", "photo.png"),
        ("vary", "photo.png", "a ball"),
        ("sketch", "drawing.png", "--prompt", "a ball"),
        ("generate", "a ball"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_plan_is_printed_and_nothing_is_written(plan: Cli, here: Path, arguments: tuple[Any, ...]) -> None:
    before = sorted(here.iterdir())
    done = plan(*arguments, "--seed", 7)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{arguments[0]} with ")
    assert "1 picture, seeds 7" in done.stdout
    assert "network calls: " in done.stdout
    assert sorted(here.iterdir()) == before


def test_the_plan_is_of_the_request_that_the_command_carries_out(
    plan: Cli, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out: list[Plan] = []

    def stopped(editor: Editor, work: Plan, **_: Any) -> Any:
        carried_out.append(work)
        raise KeyboardInterrupt

    monkeypatch.setattr(Editor, "stream", stopped)
    arguments = ("inpaint", "photo.png", "--mask", "mask.png", "-p", "a ball", "--grow", 3)
    assert cli(*arguments, "--model", tiny / "both").exit_code == 130
    assert json.loads(plan(*arguments, "--json").stdout) == carried_out[0].to_json()


def test_several_plans(plan: Cli) -> None:
    assert plan("generate", "a ball", "a cube").stdout.count("generate with ") == 2
    records = json.loads(plan("vary", "photo.png", "--strengths", "0.4:0.8:3", "--json").stdout)
    assert [each["request"]["strength"] for each in records["plans"]] == [0.4, 0.6, 0.8]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("upscale", "missing.png"), "missing.png does not exist"),
        (("generate", "a ball", "--n", 0), "n must be a whole number between 1 and 64, not 0"),
        (("generate",), "Give the prompt once"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(plan: Cli, arguments: tuple[Any, ...], says: str) -> None:
    done = plan(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert says in done.stderr


@pytest.mark.parametrize("name", [operation.name for operation in COMMANDS])
def test_help_is_that_of_the_operation(cli: Cli, name: str) -> None:
    def options(*command: str) -> str:
        return cli(*command, "--help").stdout.split("Options:")[1]

    assert options("plan", name) == options(name)


def test_a_plan_refuses_an_out_that_could_not_be_written(plan: Cli, here: Path) -> None:
    done = plan("generate", "a ball", "--out", "nowhere/x.png")
    assert done.exit_code == 2
    assert "the folder nowhere does not exist" in done.stderr
    (here / "there.png").write_bytes(b"")
    assert plan("generate", "a ball", "--out", "there.png").exit_code == 2
    assert plan("generate", "a ball", "--out", "there.png", "--force").exit_code == 0


def test_names_of_files_are_printed_so_that_no_terminal_obeys_them(plan: Cli, here: Path) -> None:
    odd = here / "photo\x1b[31m.png"
    (here / "photo.png").rename(odd)
    done = plan("upscale", odd.name, "--out", "other.jpg")
    assert "\x1b" not in done.stdout + done.stderr
