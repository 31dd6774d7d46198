"""Fetching and converting GLIDE, with networks a thousandth of the size and a server on this machine."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch
from safetensors.torch import load_file

from glide_edit.editor import Editor
from glide_edit.errors import InputError, ModelError, ModelFormatError
from glide_edit.images import open_picture
from glide_edit.models import choose_runtime, glide, load_model, openai, openai_clip, read_spec, torch_file
from glide_edit.models.fetch import HOME_VARIABLE, FetchStatus, RetryPolicy, locked
from glide_edit.requests import Generate, Upscale
from tests.glide_edit import tiny_glide

KEYS = Path(__file__).parents[2] / "data/glide"
QUICK = RetryPolicy(connect=2.0, stall=0.5, tries=2, pause=0.001)
DIFFUSION = ("base", "upsample", "inpaint")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_glide.write(tmp_path_factory.mktemp("released") / "files")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_glide.shrink(monkeypatch, tmp_path / "home")
    return tmp_path / "home/models/glide"


def prints(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"}


def fetch_all(source: Path) -> None:
    for part in glide.PARTS:
        assert glide.fetch_part(part, source=source)


# -- what is made --------------------------------------------------------------------------------------


def test_every_part_is_made_from_a_folder_that_is_left_alone(home: Path, released: Path) -> None:
    before = prints(released)
    fetch_all(released)
    assert prints(released) == before
    stages = tiny_glide.STAGES.values()
    made = {*(f"{stage}.safetensors" for stage in stages), *(f"{stage}.text.safetensors" for stage in stages)}
    assert names(home) == made | {"clip.safetensors", "gpt2.tiktoken", "model.json", "published.json"}
    spec = read_spec(home)
    assert [stage.name for stage in spec.stages] == list(stages)
    assert {stage.preset.sampler for stage in spec.stages} == {"dpm-solver++"}
    assert {name: found["sha256"] for name, found in spec.provenance["published"].items()} == before
    assert spec.provenance["published"]["base.pt"]["address"] == (
        "https://openaipublic.blob.core.windows.net/diffusion/dec-2021/base.pt"
    )


def test_the_model_that_is_made_has_the_published_numbers(home: Path, released: Path) -> None:
    fetch_all(released)
    model = load_model(home, choose_runtime("cpu", "float32"))
    loaded = {stage.name: stage for stage in model.stages}
    states = tiny_glide.published()
    for name, checkpoint in tiny_glide.CHECKPOINTS.items():
        unet, text = openai.split(states[name], checkpoint)
        stage = loaded[tiny_glide.STAGES[name]]
        assert_same(stage.network, unet)
        assert stage.text_encoder is not None
        assert_same(stage.text_encoder.transformer, text)
    assert model.clip is not None
    image, text = states["clip_image_enc"], states["clip_text_enc"]
    assert_same(model.clip.network, openai_clip.joined(image, text, tiny_glide.CLIP))
    tokens = loaded["base"].text_encoder.tokenizer.encode(["a corgi"])
    assert tokens.ids[0].tolist() == [64, 1162, 12397, *[50256] * 9]


def assert_same(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    assert set(module.state_dict()) == set(state)
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name].float()), name


def test_numbers_keep_their_precision(home: Path, released: Path) -> None:
    glide.fetch_part("base", source=released)
    for name in ("base.safetensors", "base.text.safetensors"):
        assert {value.dtype for value in load_file(home / name).values()} == {torch.float16}


def test_the_published_preset_is_that_of_the_notebooks(home: Path, released: Path) -> None:
    fetch_all(released)
    presets = {stage.name: stage.presets["published"] for stage in read_spec(home).stages}
    assert [(p.sampler, p.steps, p.guidance) for p in presets.values()] == [
        ("ddpm", 100, 3.0),
        ("ddim", 27, 1.0),
        ("ddpm", 100, 5.0),
        ("ddpm", 27, 1.0),
    ]
    assert {p.threshold for p in presets.values()} == {"static"}
    for name in ("upsampler", "upsampler_inpaint"):
        upsampler = presets[name]
        assert (upsampler.respacing, upsampler.temperature) == ("fast27", 0.997)
        assert upsampler.round_low_res
        assert upsampler.enlarge_keep_mask


def test_planning_reads_no_network_and_enlarging_the_upsampler_alone(home: Path, released: Path) -> None:
    fetch_all(released)
    editor = Editor(load_model(home, choose_runtime("cpu", "float32")))
    for path in home.glob("*.safetensors"):
        if "upsampler" not in path.name or "inpaint" in path.name:
            path.unlink()
    said = editor.plan(Generate(prompt="a corgi " * 20)).notes
    assert any("too long" in note for note in said)
    image = open_picture(np.zeros((8, 8, 3), np.uint8))
    assert editor.run(Upscale(image=image, upsampler_steps=1)).pictures[0].width == 32


def test_threads_that_need_a_network_read_it_once(home: Path, released: Path) -> None:
    fetch_all(released)
    model = load_model(home, choose_runtime("cpu", "float32"))
    with ThreadPoolExecutor(4) as pool:
        stages = list(pool.map(lambda number: model.load_stage["base"](), range(4)))
    assert len(set(map(id, stages))) == 1


@pytest.mark.parametrize("part", DIFFUSION)
def test_a_part_alone_is_a_model(home: Path, released: Path, part: str) -> None:
    glide.fetch_part(part, source=released)
    model = load_model(home, choose_runtime("cpu", "float32"))
    assert [stage.name for stage in model.stages] == [tiny_glide.STAGES[name] for name in glide.PARTS[part]]
    assert model.clip is None


def test_the_clip_is_listed_once_there_is_a_network_to_guide(home: Path, released: Path) -> None:
    glide.fetch_part("clip", source=released)
    assert names(home) == {"clip.safetensors", "published.json"}  # and no vocabulary: CLIP has its own
    assert not glide.fetch_part("clip", source=released)
    glide.fetch_part("base", source=released)
    assert load_model(home, choose_runtime("cpu", "float32")).clip is not None


def test_what_is_made_can_be_read_by_whom_the_folder_is_for(home: Path, released: Path) -> None:
    old = os.umask(0o022)
    try:
        glide.fetch_part("base", source=released)
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in home.iterdir() if path.name != ".lock"} == {0o644}


def test_the_format_before_torch_1_6_is_read_too(home: Path, tmp_path: Path) -> None:
    old = tiny_glide.write(tmp_path / "old", _use_new_zipfile_serialization=False)
    glide.fetch_part("base", source=old)
    assert load_model(home, choose_runtime("cpu", "float32")).stages


@pytest.mark.parametrize("name", [name for part in glide.PARTS.values() for name in part])
def test_the_tensors_asked_for_are_those_that_were_published(name: str) -> None:
    lines = [line.split() for line in (KEYS / f"{name}.keys.txt").read_text().splitlines()]
    expected = {key: tuple(map(int, shape)) for key, *shape in lines}
    assert glide._published_shapes(name, name) == expected


# -- fetching again ------------------------------------------------------------------------------------


def test_what_is_there_is_not_fetched_again(home: Path, released: Path, tmp_path: Path) -> None:
    fetch_all(released)
    before = {path: path.stat().st_mtime_ns for path in home.iterdir()}
    for part in glide.PARTS:
        assert not glide.fetch_part(part, source=tmp_path / "nowhere")
    assert {path: path.stat().st_mtime_ns for path in home.iterdir()} == before


@pytest.mark.parametrize("name", ["base.safetensors", "base.text.safetensors", "gpt2.tiktoken"])
@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_what_is_damaged_is_fetched_again(home: Path, released: Path, name: str, damage: str) -> None:
    glide.fetch_part("base", source=released)
    whole = prints(home)
    if damage == "missing":
        (home / name).unlink()
    else:
        data = bytearray((home / name).read_bytes())
        data[-1] ^= 1
        (home / name).write_bytes(data)
    assert glide.fetch_part("base", source=released)
    assert prints(home) == whole


@pytest.mark.parametrize("text", [None, "{", '{"format": 1}'])
def test_a_lost_model_json_is_written_again(home: Path, released: Path, text: str | None) -> None:
    glide.fetch_part("base", source=released)
    whole = (home / "model.json").read_bytes()
    if text is None:
        (home / "model.json").unlink()
    else:
        (home / "model.json").write_text(text)
    glide.fetch_part("base", source=released)
    assert (home / "model.json").read_bytes() == whole


def test_what_a_stop_left_unlisted_is_listed(home: Path, released: Path) -> None:
    glide.fetch_part("upsample", source=released)
    listed = (home / "model.json").read_bytes()
    glide.fetch_part("base", source=released)
    whole = (home / "model.json").read_bytes()
    (home / "model.json").write_bytes(listed)  # as if stopped before the last step
    assert not glide.fetch_part("base", source=released)
    assert (home / "model.json").read_bytes() == whole


def test_another_file_than_the_first_time_is_refused(home: Path, released: Path, tmp_path: Path) -> None:
    glide.fetch_part("base", source=released)
    (home / "base.safetensors").unlink()
    other = tmp_path / "other"
    shutil.copytree(released, other)
    state = tiny_glide.published()["base"]
    torch.save({name: value + 1 for name, value in state.items()}, other / "base.pt")
    with pytest.raises(ModelError, match=r"base\.pt is not the .* fetched before"):
        glide.fetch_part("base", source=other)
    assert not (home / "base.safetensors").exists()
    assert glide.fetch_part("base", source=released)


def test_a_damaged_record_is_told(home: Path, released: Path) -> None:
    glide.fetch_part("base", source=released)
    (home / "published.json").write_text('{"base.pt": {"size": "large"}}')
    with pytest.raises(ModelError, match=r"published\.json is damaged .* delete it"):
        glide.fetch_part("upsample", source=released)


def test_another_process_is_waited_for(home: Path, released: Path) -> None:
    home.mkdir(parents=True)
    told: list[FetchStatus] = []
    waiting = threading.Event()

    def report(status: FetchStatus) -> None:
        told.append(status)
        waiting.set()

    work = threading.Thread(target=lambda: glide.fetch_part("base", source=released, report=report))
    with locked(home / ".lock", "other"):
        work.start()
        assert waiting.wait(10)
        assert not (home / "model.json").exists()
    work.join(30)
    assert told[0].what == "waiting for another process to finish"
    assert (home / "model.json").exists()


def test_two_parts_fetched_at_once_are_both_listed(home: Path, released: Path) -> None:
    work = [
        threading.Thread(target=glide.fetch_part, args=(part,), kwargs={"source": released})
        for part in DIFFUSION
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join(60)
    assert [stage.name for stage in read_spec(home).stages] == list(tiny_glide.STAGES.values())


# -- what goes wrong -----------------------------------------------------------------------------------


class Evil:
    """Writes a file when it is unpickled by whoever does that."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def without_one(state: dict[str, torch.Tensor]) -> object:
    return dict(list(state.items())[1:])


DAMAGE = {
    "empty": lambda path, _: path.write_bytes(b""),
    "a page": lambda path, _: path.write_bytes(b"<html>Please log in</html>"),
    "truncated": lambda path, _: path.write_bytes(path.read_bytes()[:-100_000]),
    "a flipped bit": lambda path, _: flipped(path),
    "no tensors": lambda path, _: torch.save({"a": 1}, path),
    "not by name": lambda path, state: torch.save(dict(enumerate(state.values())), path),
    "no dictionary": lambda path, state: torch.save(list(state.values()), path),
    "whole numbers": lambda path, state: torch.save({k: v.long() for k, v in state.items()}, path),
    "sparse": lambda path, state: torch.save({k: v.float().to_sparse() for k, v in state.items()}, path),
    "another checkpoint": lambda path, _: shutil.copy(path.with_name("upsample.pt"), path),
    "one missing": lambda path, state: torch.save(without_one(state), path),
    "one more": lambda path, state: torch.save(state | {"more": torch.zeros(1)}, path),
    "another shape": lambda path, state: torch.save(state | {"out.2.bias": torch.zeros(5)}, path),
    "a program": lambda path, _: torch.save(Evil(path.with_name("evil")), path),
    "an old program": lambda path, _: torch.save(
        Evil(path.with_name("evil")), path, _use_new_zipfile_serialization=False
    ),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_foreign_or_damaged_file_is_refused(
    home: Path, released: Path, tmp_path: Path, damage: str
) -> None:
    source = tmp_path / "source"
    shutil.copytree(released, source)
    DAMAGE[damage](source / "base.pt", tiny_glide.published()["base"])
    with pytest.raises(ModelFormatError) as caught:
        glide.fetch_part("base", source=source)
    assert str(caught.value).startswith(f"{source / 'base.pt'} ")
    assert "\n" not in str(caught.value)
    assert not (source / "evil").exists()
    assert names(home) == {"gpt2.tiktoken", "published.json"}
    assert "base.pt" not in json.loads((home / "published.json").read_text())
    assert glide.fetch_part("base", source=released)


def test_a_vocabulary_that_is_not_gpt2s_is_refused(home: Path, released: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(released, source)
    (source / "encoder.json").write_text("{}")
    with pytest.raises(ModelError, match=r"not the published encoder\.json"):
        glide.fetch_part("base", source=source)


def test_a_folder_without_the_files_is_told_all_that_is_missing(
    home: Path, tmp_path: Path, released: Path
) -> None:
    shutil.copy(released / "clip_text_enc.pt", tmp_path)
    with pytest.raises(ModelError, match=r"no clip_image_enc\.pt: download .*/clip_image_enc\.pt there"):
        glide.fetch_part("clip", source=tmp_path)
    with pytest.raises(ModelError, match=r"no vocab\.bpe and no encoder\.json and no base\.pt: download .*"):
        glide.fetch_part("base", source=tmp_path / "nowhere")
    assert names(home) == set()


def test_a_stop_while_converting_leaves_nothing_half_done(
    home: Path, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(tensors: object, path: Path, metadata: object) -> None:
        path.with_name("unfinished").write_bytes(b"half")
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(glide, "save_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            glide.fetch_part("base", source=released)
    assert names(home) == {"gpt2.tiktoken", "published.json"}
    (home / ".converting").mkdir()  # a kill leaves this
    (home / ".converting/base.safetensors").write_bytes(b"half")
    glide.fetch_part("base", source=released)
    assert not (home / ".converting").exists()
    assert load_model(home, choose_runtime("cpu", "float32")).stages


def test_a_full_disk_is_told(home: Path, released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glide.fetch_part("base", source=released)
    usage = shutil.disk_usage(home)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"upsampler\.safetensors needs .* make room"):
        glide.fetch_part("upsample", source=released)


def test_a_folder_that_cannot_be_made_is_told(home: Path, released: Path) -> None:
    home.parent.mkdir(parents=True)
    home.write_text("a file")
    with pytest.raises(ModelError, match="cannot be used"):
        glide.fetch_part("base", source=released)


def test_an_unknown_part_is_refused(home: Path) -> None:
    with pytest.raises(InputError, match="base, upsample, inpaint, clip"):
        glide.fetch_part("surprise")


def test_a_checkpoint_is_mapped_and_not_read(tmp_path: Path) -> None:
    torch.save(OrderedDict(weight=torch.ones(1000)), tmp_path / "a.pt")
    state = torch_file.read(tmp_path / "a.pt")
    with open(tmp_path / "a.pt", "r+b") as file:
        at = file.read().index(torch.ones(1000).numpy().tobytes())
        file.seek(at)
        file.write(torch.full((1000,), 2.0).numpy().tobytes())
    assert state["weight"].eq(2).all()


# -- from a server -------------------------------------------------------------------------------------


@pytest.fixture
def server(released: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Serves the published files under both addresses; gives the list of what was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = functools.partial(Handler, directory=str(released))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        address = f"http://127.0.0.1:{running.server_address[1]}"
        monkeypatch.setattr(glide, "ADDRESS", address)
        monkeypatch.setattr(glide, "VOCABULARY_ADDRESS", address)
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield asked
        running.shutdown()
        thread.join()


def test_downloads_are_deleted_when_they_are_converted(home: Path, server: list[str]) -> None:
    for part in glide.PARTS:
        assert glide.fetch_part(part, retry=QUICK)
    files = [f"/{name}.pt" for part in glide.PARTS.values() for name in part]
    assert sorted(server) == sorted([*files, "/vocab.bpe", "/encoder.json"])
    assert not (home / "published").exists()
    assert len(load_model(home, choose_runtime("cpu", "float32")).stages) == 4


def test_downloads_are_kept_when_asked(home: Path, released: Path, server: list[str]) -> None:
    glide.fetch_part("base", keep=True, retry=QUICK)
    for name in ("base.pt", "vocab.bpe", "encoder.json"):
        assert (home / "published" / name).read_bytes() == (released / name).read_bytes()
    (home / "base.safetensors").unlink()
    server.clear()
    glide.fetch_part("base", keep=True, retry=QUICK)
    assert server == []
    glide.fetch_part("base", retry=QUICK)  # also deletes what a stop after converting left
    assert "published/base.pt" not in names(home)


def test_a_download_that_was_not_converted_is_used(home: Path, released: Path, server: list[str]) -> None:
    (home / "published").mkdir(parents=True)
    shutil.copy(released / "base.pt", home / "published")
    glide.fetch_part("base", retry=QUICK)
    assert "/base.pt" not in server
    assert load_model(home, choose_runtime("cpu", "float32")).stages


def test_a_wrong_download_gets_no_name_and_is_not_recorded(
    home: Path, server: list[str], released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glide, "ADDRESS", f"{glide.ADDRESS}/nowhere")
    with pytest.raises(ModelError, match=r"404.*--from DIR"):
        glide.fetch_part("base", retry=QUICK)
    assert "base.pt" not in json.loads((home / "published.json").read_text())
    monkeypatch.setattr(openai, "CHECKPOINTS", openai.CHECKPOINTS | {"base": openai.CHECKPOINTS["upsample"]})
    monkeypatch.setattr(glide, "ADDRESS", glide.VOCABULARY_ADDRESS)
    with pytest.raises(ModelFormatError, match="was made for another configuration"):
        glide.fetch_part("base", retry=QUICK)
    assert "published/base.pt" not in names(home)
    assert "base.pt" not in json.loads((home / "published.json").read_text())


# -- where it lives ------------------------------------------------------------------------------------


def test_the_folder_is_the_users_or_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    usual = Path(platformdirs.user_data_dir("glide-edit", appauthor=False))
    assert glide.glide_folder() == usual / "models/glide"
    monkeypatch.setenv(HOME_VARIABLE, "~/elsewhere")
    assert glide.glide_folder() == Path.home() / "elsewhere/models/glide"
    monkeypatch.setenv(HOME_VARIABLE, "")
    assert glide.glide_folder() == usual / "models/glide"
