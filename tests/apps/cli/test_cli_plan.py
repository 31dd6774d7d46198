"""`glide-edit plan`: the arguments of an operation, and what it would do, without doing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.cli.edits import COMMANDS
from glide_edit.editor import Editor
from glide_edit.requests import Request
from tests.apps.cli.conftest import Cli


class Planned:
    """What stands in for a plan."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def __str__(self) -> str:
        return f"{self.request.operation}\n  seed {self.request.seed}"

    def to_json(self) -> dict[str, Any]:
        return {"request": self.request.to_json()}


@pytest.fixture
def plan(cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr(Editor, "plan", lambda editor, request: Planned(request), raising=False)

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
    assert done.stdout == f"{arguments[0]}\n  seed 7\n"
    assert sorted(here.iterdir()) == before


def test_the_plan_is_of_the_request_that_the_command_carries_out(
    plan: Cli, cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out: list[Request] = []

    def stopped(editor: Editor, request: Request, **_: Any) -> Any:
        carried_out.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(Editor, "stream", stopped)
    arguments = ("inpaint", "photo.png", "--mask", "mask.png", "-p", "a ball", "--grow", 3)
    assert cli(*arguments, "--model", tiny / "both").exit_code == 130
    assert json.loads(plan(*arguments, "--json").stdout) == {"request": carried_out[0].to_json()}


def test_several_plans(plan: Cli) -> None:
    assert plan("generate", "a ball", "a cube").stdout.count("generate\n") == 2
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
