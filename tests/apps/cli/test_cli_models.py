"""`glide-edit models`."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_list_names_every_known_model(cli) -> None:
    from glide_edit.models import list_models

    result = cli("models", "list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for info in list_models():
        line = next(line for line in lines if line.startswith(f"{info.name} "))
        assert ("not here" in line) != info.available
        assert info.about in line


def test_list_says_what_an_available_model_costs(cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit.models import list_models, registry

    monkeypatch.setattr(registry, "PACKAGED", tiny)
    monkeypatch.setitem(registry.KNOWN, "both", registry.KNOWN["toybox"])
    info = next(info for info in list_models() if info.name == "both")
    lines = cli("models", "list").stdout.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("both "))
    assert lines[at].split()[1] == "here"
    assert f"{sum(info.parameters.values()) / 1e6:.1f} M parameters" in lines[at + 1]
    assert lines[at + 1].endswith("MIT")


def test_info(cli, tiny: Path) -> None:
    from glide_edit.models import describe

    result = cli("models", "info", tiny / "both", "--precision", "float32", "--device", "cpu")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    for part, count in describe(tiny / "both").parameters.items():
        assert f" {part} {count:,} " in said
    assert "pictures 16 then 64 pixels" in said
    assert "licence MIT" in said
    assert "base 2 steps of dpm-solver++, guidance 2" in said
    assert "seen: 1234" in said
    assert "runs here cpu, float32 (CPU" in said
    assert "float32 weights as asked" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("surprise",), "No model 'surprise'"),
        (("glide",), "models fetch glide"),
        (("toybox", "--device", "toaster"), "toaster"),
    ],
)
def test_info_refuses(cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli("models", "info", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_assemble(cli, tiny: Path, here: Path) -> None:
    parts = (
        "models",
        "assemble",
        "--base",
        tiny / "base",
        "--upsampler",
        tiny / "upsampler",
        "--out",
        "cascade",
    )
    result = cli(*parts)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("cascade: 16 then 64 pixels, ")
    said = " ".join(cli("models", "info", "cascade").stdout.split())
    assert said.startswith("name cascade (")
    assert "licence CC0-1.0" in said  # the base's

    again = cli(*parts)
    assert again.exit_code == 2
    assert "with --force" in again.stderr
    assert cli(*parts, "--force", "--name", "other", "--licence", "MIT").exit_code == 0
    said = " ".join(cli("models", "info", "cascade").stdout.split())
    assert said.startswith("name other (")
    assert "licence MIT" in said


def test_assemble_refuses_a_missing_stage(cli, tiny: Path, here: Path) -> None:
    result = cli(
        "models", "assemble", "--base", tiny / "base", "--upsampler", tiny / "base", "--out", "cascade"
    )
    assert result.exit_code == 2
    assert "no stage upsampler" in result.stderr
    assert not (here / "cascade").exists()
