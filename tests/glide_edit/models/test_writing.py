"""Writing and joining model folders: whole or not at all."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from glide_edit.errors import ModelError, ModelFormatError, ModelNotFound, OutputExists
from glide_edit.models import Model, TextSpec, assemble, describe, load_model, read_spec, write_model
from glide_edit.models import folder as folder_module
from glide_edit.text.transformer import TextTransformer


def weights_of(model: Model) -> dict[str, torch.Tensor]:
    return {
        f"{stage.name}/{name}": value.float()
        for stage in model.stages
        for name, value in stage.network.state_dict().items()
    }


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def test_a_folder_holds_what_it_must_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "base.safetensors",
        "model.json",
        "text.safetensors",
        "tokenizer.json",
        "upsampler.safetensors",
    ]


def test_the_same_model_has_the_same_identity_wherever_it_is_written(
    parts: Any, other_parts: Any, tmp_path: Path
) -> None:
    first, second, other = (
        load_model(p.write(tmp_path / name, name=name)).identity
        for name, p in (("a", parts), ("b", parts), ("c", other_parts))
    )
    assert first == second
    assert first != other


def test_writing_returns_the_folder_and_makes_its_parents(parts: Any, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    assert parts.write(target) == target
    assert load_model(target).name == "tiny"


def test_without_a_name_the_folder_gives_it(parts: Any, tmp_path: Path) -> None:
    assert load_model(parts.write(tmp_path / "shapes", name="")).name == "shapes"


def test_a_new_model_replaces_the_old_and_nothing_else(parts: Any, other_parts: Any, tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "checkpoint.safetensors").write_bytes(b"dear")
    (target / ".writing-left-by-a-kill").mkdir()
    parts.write(target)
    before = load_model(target)
    other_parts.write(target, name="second")
    after = load_model(target)
    assert (target / "checkpoint.safetensors").read_bytes() == b"dear"
    assert not list(target.glob(".writing-*"))
    assert after.name == "second"
    assert after.identity != before.identity


class _Killed(BaseException):
    """Nobody catches it, as nobody catches a kill."""


def kill_at(monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """Stop dead at the ``moment``-th change of the file system from now, leaving all as it is then."""
    left = iter(range(moment))

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise _Killed
            return function(*arguments, **options)

        return call

    def write_half(data: bytes, path: Path) -> None:
        path.write_bytes(data[: len(data) // 2])
        if next(left, None) is None:
            raise _Killed
        path.write_bytes(data)

    monkeypatch.setattr(folder_module, "write_bytes", write_half)
    monkeypatch.setattr(folder_module.os, "replace", counted(os.replace))
    monkeypatch.setattr(folder_module.os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))
    monkeypatch.setattr(Path, "write_text", counted(Path.write_text))
    monkeypatch.setattr(folder_module.tempfile, "mkdtemp", counted(folder_module.tempfile.mkdtemp))
    # A killed program tidies nothing up.
    monkeypatch.setattr(folder_module.shutil, "rmtree", lambda *arguments, **options: None)


@pytest.mark.parametrize("replacing", [False, True])
def test_killed_at_any_moment_no_half_model_can_be_loaded(
    parts: Any, other_parts: Any, tmp_path: Path, replacing: bool
) -> None:
    small = {"text": None, "stages": [parts.upsampler_stage]}
    whole = weights_of(load_model(parts.write(tmp_path / "new", **small)))
    old_parts = {"text": None, "stages": [other_parts.upsampler_stage], "name": "old"}
    old = weights_of(load_model(parts.write(tmp_path / "old", **old_parts)))
    outcomes = []
    for moment in range(100):
        target = tmp_path / f"target-{moment}"
        if replacing:
            shutil.copytree(tmp_path / "old", target)
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_at(monkeypatch, moment)
            try:
                parts.write(target, **small)
                outcomes.append("done")
            except _Killed:
                outcomes.append("killed")
        try:
            model = load_model(target, verify=False)
            assert model.name in ("tiny", "old")
            assert same(weights_of(model), whole if model.name == "tiny" else old), moment
            outcomes[-1] += ", new" if model.name == "tiny" else ", old"
        except ModelError:
            outcomes[-1] += ", none"
        # What a kill left behind does not hinder the next attempt, and goes with it.
        if outcomes[-1].startswith("killed"):
            parts.write(target, **small)
            assert same(weights_of(load_model(target)), whole)
            assert not list(target.glob(".writing-*"))
        else:
            break
    assert outcomes[-1] == "done, new"
    assert len(outcomes) > 6
    assert outcomes[0] == ("killed, old" if replacing else "killed, none")
    assert "killed, none" in outcomes


@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_leaves_nothing_behind(
    parts: Any, tmp_path: Path, monkeypatch: Any, existing: bool
) -> None:
    target = tmp_path / "model"
    if existing:
        target.mkdir()
        (target / "notes.txt").write_text("mine")

    def full(data: bytes, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "write_bytes", full)
    with pytest.raises(ModelError, match="No space left"):
        parts.write(target)
    assert [path.name for path in tmp_path.rglob("*")] == (["model", "notes.txt"] if existing else [])


def test_a_folder_that_is_a_file(parts: Any, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")
    with pytest.raises(ModelError, match="cannot be written"):
        parts.write(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "a file"


def test_tensors_that_do_not_fit_are_not_written(parts: Any, tmp_path: Path) -> None:
    spec, tensors = parts.upsampler_stage
    lacking = {name: value for name, value in tensors.items() if name != "head.bias"}
    broken = {**tensors, "head.bias": torch.full_like(tensors["head.bias"], float("nan"))}
    huge = {**tensors, "head.bias": torch.full_like(tensors["head.bias"], 1e30)}
    cases = [
        (lacking, torch.bfloat16, "the stage upsampler lacks head.bias"),
        ({**tensors, "more": torch.zeros(1)}, torch.bfloat16, "unknown more"),
        ({**tensors, "head.bias": torch.zeros(1)}, torch.bfloat16, "of shape"),
        (broken, torch.bfloat16, "not finite"),
        (huge, torch.float16, "not finite in float16"),
    ]
    for wrong, dtype, message in cases:
        with pytest.raises(ModelFormatError, match=message):
            parts.write(tmp_path / "model", stages=[(spec, wrong)], text=None, dtype=dtype)
    assert not (tmp_path / "model").exists()


def test_parts_that_do_not_fit_are_not_written(parts: Any, tmp_path: Path) -> None:
    text_spec, tensors, tokenizer = parts.text
    few = replace(text_spec.config, vocabulary=260)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"text": None}, "no text encoder"),
        ({"stages": []}, "stages must be"),
        ({"stages": [parts.upsampler_stage, parts.base_stage]}, "stages must be"),
        ({"text": (TextSpec(few), TextTransformer(few).state_dict(), tokenizer)}, "do not belong together"),
        ({"text": (TextSpec(few), tensors, tokenizer)}, "do not belong together"),
        ({"text": (text_spec, {}, tokenizer)}, "the text encoder lacks"),
        ({"provenance": {"when": object()}}, "provenance cannot be written"),
        ({"provenance": {"loss": float("nan")}}, "provenance cannot be written"),
    ]
    for changes, message in cases:
        with pytest.raises(ModelFormatError, match=message):
            parts.write(tmp_path / "model", **changes)
    assert not (tmp_path / "model").exists()


def test_tensors_may_lie_anyhow_in_memory(parts: Any, tmp_path: Path) -> None:
    spec, tensors = parts.upsampler_stage
    flat = torch.cat([value.flatten() for value in tensors.values()])
    views = dict(zip(tensors, flat.split([value.numel() for value in tensors.values()]), strict=True))
    views = {name: view.view(tensors[name].shape) for name, view in views.items()}
    views["stem.weight"] = views["stem.weight"].contiguous(memory_format=torch.channels_last).requires_grad_()
    one = write_model(tmp_path / "a", name="a", licence="", provenance={}, stages=[(spec, views)])
    other = write_model(tmp_path / "b", name="b", licence="", provenance={}, stages=[(spec, tensors)])
    assert load_model(one).identity == load_model(other).identity


class TestAssemble:
    @pytest.fixture
    def base(self, parts: Any, tmp_path: Path) -> Path:
        provenance = {"training": {"base": {"steps": 1}}, "seed": 1, "made": "here"}
        return parts.write(tmp_path / "base", stages=[parts.base_stage], provenance=provenance)

    @pytest.fixture
    def upsampler(self, other_parts: Any, tmp_path: Path) -> Path:
        provenance = {"training": {"upsampler": {"steps": 2}}, "seed": 2, "made": "here"}
        stages = [other_parts.upsampler_stage]
        return other_parts.write(tmp_path / "upsampler", stages=stages, text=None, provenance=provenance)

    def test_two_folders_become_a_cascade(self, base: Path, upsampler: Path, tmp_path: Path) -> None:
        out = assemble(tmp_path / "out", base, upsampler, "both", "CC0")
        model = load_model(out)
        assert (model.name, model.spec.licence) == ("both", "CC0")
        assert same(weights_of(model), weights_of(load_model(base)) | weights_of(load_model(upsampler)))
        for name in ("base.safetensors", "text.safetensors", "tokenizer.json"):
            assert (out / name).read_bytes() == (base / name).read_bytes()
        assert model.spec.stages[0].preset == load_model(base).stages[0].preset
        assert model.spec.provenance == {
            "training": {"base": {"steps": 1}, "upsampler": {"steps": 2}},
            "seed": {"base": 1, "upsampler": 2},
            "made": "here",
        }

    def test_files_of_the_same_name_do_not_collide(self, parts: Any, upsampler: Path, tmp_path: Path) -> None:
        spec, tensors = parts.base_stage
        stages = [(replace(spec, weights="upsampler.safetensors"), tensors)]
        base = parts.write(tmp_path / "strange", stages=stages)
        out = assemble(tmp_path / "out", base, upsampler, "both", "")
        assert same(
            weights_of(load_model(out)), weights_of(load_model(base)) | weights_of(load_model(upsampler))
        )

    def test_stages_of_whole_cascades_can_be_exchanged(
        self, folder: Path, upsampler: Path, tmp_path: Path
    ) -> None:
        out = assemble(tmp_path / "out", folder, upsampler, "mixed", "")
        assert same(
            weights_of(load_model(out)), weights_of(load_model(folder)) | weights_of(load_model(upsampler))
        )

    def test_a_model_is_overwritten_only_when_asked(self, base: Path, upsampler: Path, folder: Path) -> None:
        before = (folder / "model.json").read_bytes()
        with pytest.raises(OutputExists, match="holds a model already"):
            assemble(folder, base, upsampler, "both", "")
        assert (folder / "model.json").read_bytes() == before
        assemble(folder, base, upsampler, "both", "", overwrite=True)
        assert load_model(folder).name == "both"

    def test_weights_may_be_split_into_files_below_a_size(
        self, base: Path, upsampler: Path, tmp_path: Path
    ) -> None:
        whole = assemble(tmp_path / "whole", base, upsampler, "both", "")
        largest = (whole / "base.safetensors").stat().st_size // 2
        out = assemble(tmp_path / "out", whole, upsampler, "both", "", largest_file=largest)
        files = sorted(path.name for path in out.glob("base*.safetensors"))
        assert files[:2] == ["base-1.safetensors", "base-2.safetensors"]
        assert max((out / name).stat().st_size for name in files) <= largest
        assert same(weights_of(load_model(out)), weights_of(load_model(whole)))
        assert read_spec(out).stages[0].weight_files == ("base.safetensors", *files[:-1])
        again = assemble(tmp_path / "again", out, upsampler, "both", "")
        assert same(weights_of(load_model(again)), weights_of(load_model(whole)))
        assert describe(again).parameters == describe(whole).parameters

    def test_a_tensor_in_two_files_is_refused(self, base: Path, upsampler: Path, tmp_path: Path) -> None:
        out = assemble(tmp_path / "out", base, upsampler, "both", "")
        record = json.loads((out / "model.json").read_text())
        shutil.copyfile(out / "base.safetensors", out / "more.safetensors")
        record["stages"][0]["more_weights"] = ["more.safetensors"]
        record["files"]["more.safetensors"] = record["files"]["base.safetensors"]
        (out / "model.json").write_text(json.dumps(record))
        with pytest.raises(ModelFormatError, match=r"more\.safetensors has .* once more"):
            load_model(out)

    def test_sizes_must_fit(self, parts: Any, base: Path, tmp_path: Path) -> None:
        spec, tensors = parts.upsampler_stage
        larger = (replace(spec, config=replace(spec.config, image_size=72)), tensors)
        wrong = parts.write(tmp_path / "wrong", stages=[larger], text=None)
        with pytest.raises(ModelFormatError, match=r"72 pixels.*a whole multiple"):
            assemble(tmp_path / "out", base, wrong, "both", "")
        assert not (tmp_path / "out").exists()

    def test_a_folder_must_have_its_stage(self, base: Path, upsampler: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelFormatError, match="has no stage base"):
            assemble(tmp_path / "out", upsampler, base, "both", "")
        with pytest.raises(ModelFormatError, match="has no stage upsampler"):
            assemble(tmp_path / "out", base, base, "both", "")
        with pytest.raises(ModelNotFound):
            assemble(tmp_path / "out", base, tmp_path / "nowhere", "both", "")

    def test_a_damaged_part_is_not_copied(self, base: Path, upsampler: Path, tmp_path: Path) -> None:
        data = bytearray((upsampler / "upsampler.safetensors").read_bytes())
        data[-1] ^= 1
        (upsampler / "upsampler.safetensors").write_bytes(bytes(data))
        with pytest.raises(ModelFormatError, match="sha256"):
            assemble(tmp_path / "out", base, upsampler, "both", "")

    @pytest.mark.parametrize("shared", [True, False])
    def test_an_upsampler_that_reads_text(
        self, parts: Any, other_parts: Any, base: Path, tmp_path: Path, shared: bool
    ) -> None:
        spec, _ = parts.upsampler_stage
        config = replace(spec.config, text_width=12)
        network = type(parts.upsampler)(config, spec.schedule)
        stage = (replace(spec, config=config), network.state_dict())
        text = (parts if shared else other_parts).text
        reading = parts.write(tmp_path / "reading", stages=[stage], text=text)
        if shared:
            out = assemble(tmp_path / "out", base, reading, "both", "")
            assert load_model(out).stages[1].network.config.text_width == 12
        else:
            with pytest.raises(ModelFormatError, match="not trained with the text encoder"):
                assemble(tmp_path / "out", base, reading, "both", "")


def test_the_file_is_for_people_too(folder: Path) -> None:
    text = (folder / "model.json").read_text()
    assert text.endswith("}\n")
    assert len(text.splitlines()) > 50
    assert list(json.loads(text))[:4] == ["format", "name", "family", "licence"]


def test_a_third_stage_joins_a_cascade(parts: Any, folder: Path, tmp_path: Path) -> None:
    spec, tensors = parts.upsampler_stage
    third = (replace(spec, config=replace(spec.config, image_size=128)), tensors)
    last = parts.write(tmp_path / "last", stages=[third], text=None)
    out = assemble(tmp_path / "out", folder, last, "three", "")
    assert [stage.name for stage in read_spec(out).stages] == ["base", "upsampler", "upsampler_128"]
    assert read_spec(out).capabilities.upscales == (4, 2)
    assert json.loads((out / "model.json").read_text())["format"] == 3
    assert same(
        {name: value for name, value in weights_of(load_model(out)).items() if "_128" not in name},
        weights_of(load_model(folder)),
    )
