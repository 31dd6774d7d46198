"""The studio's endpoints, as programs call them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glide_edit.images import open_picture, save_picture
from tests.apps.studio.conftest import Server

pytestmark = pytest.mark.browser  # it starts a server, as those of the browser do


def client(server: Server) -> Any:
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(server.url, verbose=False)


def mask_file(folder: Path) -> Path:
    white = np.zeros((140, 200), np.uint8)
    white[50:90, 60:120] = 255
    return save_picture(white, folder / "mask.png")


def test_inpaint_gives_a_file_that_differs_in_the_mask_only(
    server: Server, photo: Path, tmp_path: Path
) -> None:
    from gradio_client import handle_file

    mask = mask_file(tmp_path)
    file, info = client(server).predict(
        handle_file(photo), handle_file(mask), "a red ball", 7, api_name="/inpaint"
    )
    changed = (open_picture(file).pixels != open_picture(photo).pixels).any(axis=2)
    assert changed.any()
    assert not changed[open_picture(mask).pixels[:, :, 0] == 0].any()
    assert info["receipt"]["changed"] == 0
    assert info["seed"] == 7


def test_the_other_operations_give_a_file_as_well(server: Server, photo: Path, tmp_path: Path) -> None:
    from gradio_client import handle_file

    studio, mask = client(server), mask_file(tmp_path)
    sizes = {
        "remove": ([handle_file(photo), handle_file(mask), 7], (140, 200)),
        "outpaint": ([handle_file(photo), "", 7, 0, 16, 0, 0], (140, 216)),
        "vary": ([handle_file(photo), "a ball", 7, 0.8], (45, 64)),
        "upscale": ([handle_file(photo), 7, 2], (280, 400)),
    }
    for name, (asked, size) in sizes.items():
        file, info = studio.predict(*asked, api_name=f"/{name}")
        assert open_picture(file).pixels.shape[:2] == size
        assert (info["receipt"] is None) == (name in ("vary", "upscale"))


def test_a_request_that_cannot_be_carried_out_says_why(server: Server) -> None:
    with pytest.raises(Exception, match="The prompt is empty"):
        client(server).predict("", 7, api_name="/generate")


def test_no_file_of_the_server_can_be_read(server: Server, photo: Path, tmp_path: Path) -> None:
    secret = {"path": str(mask_file(tmp_path)), "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(Exception, match=r"not in the cache|cannot be|not allowed|Invalid|[Ee]rror"):
        client(server).predict(secret, secret, "a red ball", 7, api_name="/inpaint")
    assert Path(secret["path"]).exists()


def visitors(server: Server, seeds: range) -> list[bytes]:
    """So many visitors at once: each gets the picture of his own seed, in the order in which they came."""
    from gradio_client.utils import Status

    clients = [client(server) for _ in seeds]
    made: list[int] = []
    jobs = []
    for each, seed in zip(clients, seeds, strict=True):
        job = each.submit("a red ball", seed, api_name="/generate")
        job.add_done_callback(lambda _, seed=seed: made.append(seed))
        while job.status().code in (Status.STARTING, Status.JOINING_QUEUE):
            time.sleep(0.005)  # the next one comes after this one
        jobs.append(job)
    answers = [job.result(timeout=240) for job in jobs]
    assert [info["seed"] for _, info in answers] == list(seeds)
    assert made == list(seeds)
    for each in clients:
        each.close()
    return [Path(file).read_bytes() for file, _ in answers]


def test_eight_who_wait_are_served_in_order_each_his_own_and_leave_no_memory_behind(server: Server) -> None:
    (alone,) = visitors(server, range(103, 104))
    visitors(server, range(200, 204))
    before = server.memory()
    files = visitors(server, range(100, 108))
    assert len(set(files)) == 8
    assert files[3] == alone
    assert server.memory() < 1.1 * before
