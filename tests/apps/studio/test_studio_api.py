"""The studio's endpoints, as programs call them."""

from __future__ import annotations

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


def test_eight_who_wait_are_served_in_their_order(server: Server) -> None:
    clients = [client(server) for _ in range(8)]
    finished: list[int] = []
    jobs = []
    for number, each in enumerate(clients):
        job = each.submit("a red ball", 100 + number, api_name="/generate")
        job.add_done_callback(lambda _, number=number: finished.append(number))
        jobs.append(job)
    assert [job.result(timeout=240)[1]["seed"] for job in jobs] == list(range(100, 108))
    assert sorted(finished) == list(range(8))
