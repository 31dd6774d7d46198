"""model.json: what is written is read back, and what does not fit is named by its place in the file."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glide_edit.errors import GlideEditError, ModelFormatError
from glide_edit.models import ModelSpec, StagePreset, read_spec


@pytest.fixture(scope="module")
def record(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = parts.write(tmp_path_factory.mktemp("spec") / "model")
    return json.loads((folder / "model.json").read_text())


def test_a_spec_comes_back_from_json(record: dict[str, Any]) -> None:
    spec = ModelSpec.from_json(record)
    assert spec.to_json() == record
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert spec.stages[1].config.prediction == "eps"
    assert spec.file_names == [
        "tokenizer.json",
        "text.safetensors",
        "base.safetensors",
        "upsampler.safetensors",
    ]


def test_the_file_says_what_the_format_promises(record: dict[str, Any]) -> None:
    assert record["format"] == 2
    assert record["text_encoder"]["kind"] == "transformer"
    assert [stage["kind"] for stage in record["stages"]] == ["efficient_unet"] * 2
    assert record["stages"][1]["schedule"] == {"name": "linear", "num_timesteps": 200}
    assert record["presets"]["default"]["base"]["sampler"] == "dpm-solver++"
    assert record["presets"]["default"]["upsampler"]["low_res_noise"] == 0.1
    assert set(record["files"]) == {
        "text.safetensors",
        "tokenizer.json",
        "base.safetensors",
        "upsampler.safetensors",
    }


def test_preset_settings_may_be_left_out(record: dict[str, Any]) -> None:
    short = copy.deepcopy(record)
    short["presets"]["default"]["base"] = {"steps": 5, "guidance": 2, "interval": [0, 0.5]}
    assert ModelSpec.from_json(short).stages[0].preset == StagePreset(
        steps=5, guidance=2.0, interval=(0.0, 0.5)
    )


def at(*path: Any) -> Callable[[Any, Any], None]:
    """A setter of the value at this place of the file."""

    def put(record: Any, value: Any) -> None:
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] = value

    return put


BAD_VALUES = [
    (at("format"), 4, "format 4.*newer glide-edit"),
    (at("format"), "1", "format must be a whole number"),
    (at("format"), True, "format must be a whole number"),
    (at("format"), 0, "format must be a whole number"),
    (at("surprise"), 1, "unknown keys: surprise"),
    (at("name"), 3, "name must be text"),
    (at("licence"), None, "licence must be text"),
    (at("provenance"), [], "provenance must be an object"),
    (at("stages"), {}, "stages must be a list"),
    (at("stages"), [], "stages must be one or more"),
    (at("stages", 0), "base", r"stages\[0\] must be an object"),
    (at("stages", 0, "name"), "middle", "lacks the stage middle"),
    (at("stages", 0, "kind"), "mlp", r"stages\[0\].kind is 'mlp'"),
    (at("stages", 0, "extra"), 1, r"stages\[0\] has unknown keys: extra"),
    (at("stages", 0, "config", "patch"), "2", r'stages\[0\].config.patch must be a whole number, not "2"'),
    (at("stages", 0, "config", "patch"), True, r"config.patch must be a whole number, not true"),
    (at("stages", 0, "config", "patch"), 2.0, r"config.patch must be a whole number"),
    (at("stages", 0, "config", "known"), 1, r"config.known must be true or false"),
    (at("stages", 0, "config", "channels"), 16, r"config.channels must be a list"),
    (at("stages", 0, "config", "channels"), [16, "32"], r"config.channels\[1\] must be a whole number"),
    (at("stages", 0, "config", "channels"), [16], r"config will not do: .*each level"),
    (at("stages", 0, "config", "image_size"), 17, r"config will not do: image_size must be a multiple of 4"),
    (at("stages", 0, "config", "prediction"), "x0", "config.prediction must be 'v' or 'eps'"),
    (at("stages", 0, "config", "colour"), 1, "unknown keys: colour"),
    (at("stages", 0, "config", "low_res"), True, "base cannot have a low-resolution"),
    (at("stages", 1, "config", "low_res"), False, "upsampler needs a low-resolution"),
    (at("stages", 1, "config", "image_size"), 72, "72 pixels.*a whole multiple"),
    (at("stages", 1, "config", "image_size"), 16, "16 pixels: after a base of 16 .*2 times as large or more"),
    (at("stages", 1, "config", "image_size"), 128, "has format 2.*4 times as large"),
    (at("stages", 0, "config", "text_width"), 16, "16 wide.*12 wide"),
    (at("stages", 0, "schedule"), {"name": "wavy", "num_timesteps": 10}, "Unknown schedule 'wavy'"),
    (at("stages", 0, "schedule"), "cosine", "schedule must be an object"),
    (at("stages", 0, "schedule", "num_timesteps"), 10, "10 timesteps.*20 steps"),
    (at("stages", 0, "weights"), "../base.safetensors", "not a plain file name"),
    (at("stages", 0, "weights"), "base.pt", "ending in .safetensors"),
    (at("stages", 0, "weights"), ".safetensors", "not a plain file name"),
    (at("stages", 0, "weights"), "upsampler.safetensors", "same file name"),
    (at("stages", 0, "weights"), "other.safetensors", "differs in: base.safetensors, other.safetensors"),
    (at("text_encoder"), None, "no text encoder"),
    (at("text_encoder", "kind"), "t5", "text_encoder.kind is 't5'"),
    (at("text_encoder", "tokenizer"), "model.json", "not a plain file name"),
    (at("text_encoder", "config", "heads"), 5, "multiple of its 5 heads"),
    (at("text_encoder", "config", "width"), None, "text_encoder.config.width must be a whole number"),
    (at("presets"), {}, "presets lacks default"),
    (at("presets", "fast"), {}, "presets.fast lacks the stage base"),
    (at("presets", "default", "other"), {"steps": 3}, "an entry for every stage and no other"),
    (at("presets", "default", "base"), {}, "presets.default.base lacks steps"),
    (
        at("presets", "default", "base", "steps"),
        0,
        "presets.default.base will not do: steps must be 1 or more",
    ),
    (at("presets", "default", "base", "sampler"), "magic", "Unknown sampler 'magic'"),
    (at("presets", "default", "base", "guidance"), "3", "guidance must be a number"),
    (at("presets", "default", "base", "guidance"), 10**400, "too large"),
    (at("presets", "default", "base", "interval"), [0.5], "interval must be a list of 2"),
    (at("presets", "default", "base", "interval"), [0.6, 0.5], "interval must be 0 <= low"),
    (at("presets", "default", "base", "threshold"), "soft", "threshold must be 'dynamic' or 'static'"),
    (at("presets", "default", "base", "percentile"), 0, "percentile must be above 0"),
    (at("presets", "default", "upsampler", "low_res_noise"), 1.5, "low_res_noise must be between 0 and 1"),
    (at("files"), [], "files must be an object"),
    (at("files", "base.safetensors"), "abc", "no sha256"),
    (at("files", "base.safetensors"), None, "no sha256"),
    (at("files", "more.safetensors"), "0" * 64, "differs in: more.safetensors"),
]


@pytest.mark.parametrize(("put", "value", "message"), BAD_VALUES)
def test_a_wrong_value_is_named(record: Any, tmp_path: Path, put: Any, value: Any, message: str) -> None:
    changed = copy.deepcopy(record)
    put(changed, value)
    (tmp_path / "model.json").write_text(json.dumps(changed))
    with pytest.raises(ModelFormatError, match=message) as caught:
        read_spec(tmp_path)
    assert str(tmp_path / "model.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key that must be there: presets and configurations have defaults, provenance is free."""
    if "config" in path or "provenance" in path or (len(path) == 3 and path[0] == "presets"):
        return []
    if isinstance(value, list):
        return [place for i, item in enumerate(value) for place in places(item, (*path, i))]
    if not isinstance(value, dict):
        return []
    inside = [place for key, item in value.items() for place in places(item, (*path, key))]
    return [*((*path, key) for key in value), *inside]


def test_nothing_may_be_missing(record: dict[str, Any]) -> None:
    required = places(record)
    assert len(required) == 34
    for place in required:
        changed = copy.deepcopy(record)
        inner: Any = changed
        for step in place[:-1]:
            inner = inner[step]
        del inner[place[-1]]
        with pytest.raises(ModelFormatError):
            ModelSpec.from_json(changed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ('{"format": NaN}', "NaN is not a number"),
        ('{"format": 1, "format": 1}', "names format twice"),
        ("[" * 100_000, "not valid JSON"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_is_not_json(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelFormatError, match=message):
        read_spec(tmp_path)


def test_stages_in_the_wrong_order(record: dict[str, Any]) -> None:
    for stages in (record["stages"][::-1], record["stages"][:1] * 2):
        with pytest.raises(GlideEditError):
            ModelSpec.from_json({**record, "stages": stages})


class TestIdentity:
    def test_it_is_short_and_follows_from_the_content(self, record: dict[str, Any]) -> None:
        spec = ModelSpec.from_json(record)
        assert len(spec.identity) == 16
        assert int(spec.identity, 16) >= 0
        assert ModelSpec.from_json(json.loads(json.dumps(record, sort_keys=True))).identity == spec.identity

    def test_a_name_does_not_count(self, record: dict[str, Any]) -> None:
        spec = ModelSpec.from_json(record)
        renamed = replace(spec, name="else", licence="other", provenance={"a": 1}, family="f")
        assert renamed.identity == spec.identity

    @pytest.mark.parametrize(
        ("put", "value"),
        [
            (at("files", "base.safetensors"), "0" * 64),
            (at("files", "tokenizer.json"), "0" * 64),
            (at("presets", "default", "base", "guidance"), 4.0),
            (at("stages", 0, "config", "prediction"), "eps"),
            (at("stages", 0, "schedule", "name"), "linear"),
        ],
    )
    def test_what_changes_pictures_counts(self, record: dict[str, Any], put: Any, value: Any) -> None:
        changed = copy.deepcopy(record)
        put(changed, value)
        assert ModelSpec.from_json(changed).identity != ModelSpec.from_json(record).identity


@pytest.mark.parametrize(
    ("put", "value", "message"),
    [
        (at("stages", 0, "config", "blocks"), [2_000_000], "config.blocks"),
        (at("stages", 0, "config", "channels"), [16 * 10**9], "config.channels"),
        (at("stages", 0, "config", "channels"), [16] * 100_000, "100000 entries"),
        (at("stages", 0, "config", "image_size"), 2**40, "config.image_size"),
        (at("stages", 0, "schedule", "num_timesteps"), 10**9, "1 to 100,000 steps"),
        (at("text_encoder", "config", "layers"), 10**6, "config.layers"),
        (at("text_encoder", "config", "vocabulary"), 10**9, "config.vocabulary"),
    ],
)
def test_what_no_machine_could_hold_is_refused_before_it_is_made(
    record: Any, put: Any, value: Any, message: str
) -> None:
    changed = copy.deepcopy(record)
    put(changed, value)
    with pytest.raises(ModelFormatError, match=re.escape(message)):
        ModelSpec.from_json(changed)


def test_a_description_of_many_keys_is_read_at_once(record: dict[str, Any], tmp_path: Path) -> None:
    long = {**record, "provenance": {f"note {k}": k for k in range(100_000)}}
    (tmp_path / "model.json").write_text(json.dumps(long))
    assert len(read_spec(tmp_path).provenance) == 100_000  # minutes where keys are compared one by one
    (tmp_path / "model.json").write_text(json.dumps({**record, "name": "x" * (9 * 2**20)}))
    with pytest.raises(ModelFormatError, match="8 MB"):
        read_spec(tmp_path)
