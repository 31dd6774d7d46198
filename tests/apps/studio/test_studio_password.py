"""A studio that others are let into asks everybody for the password that it made."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.studio.conftest import PATIENCE, SLOW_FRAMES, Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def open_server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("gradio", reason="the extra studio is not installed")
    running = Server(model, tmp_path_factory.mktemp("temporary"), "--host", "0.0.0.0")
    yield running
    running.stop()


def password(server: Server) -> str:
    said = re.search(r"^Sign in as studio with the password (\S+)$", server.said.read_text("utf-8"), re.M)
    assert said
    return said[1]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("gradio_api/call/generate", b'{"data": ["a red ball", 7]}'),
        ("gradio_api/call/inpaint", b'{"data": [null, null, "", 7]}'),
        ("gradio_api/queue/join", b'{"data": [], "fn_index": 0, "session_hash": "x"}'),
        ("gradio_api/upload", b""),
        ("gradio_api/queue/data?session_hash=x", None),
        ("gradio_api/info", None),
        ("config", None),
    ],
)
def test_without_it_no_endpoint_answers(open_server: Server, path: str, data: bytes | None) -> None:
    asked = urllib.request.Request(
        open_server.url + path, data=data, headers={"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=60)
    assert caught.value.code == 401
    caught.value.close()


def test_programs_say_it_too(open_server: Server) -> None:
    gradio_client = pytest.importorskip("gradio_client")
    with pytest.raises(Exception, match=r"[Cc]redentials|[Ll]ogin|401"):
        gradio_client.Client(open_server.url, auth=("studio", "guessed"), verbose=False)
    studio = gradio_client.Client(open_server.url, auth=("studio", password(open_server)), verbose=False)
    assert studio.predict("a red ball", 7, api_name="/generate")[1]["seed"] == 7


def _sign_in(page: Any, word: str) -> None:
    page.locator("input").nth(0).fill("studio")
    page.locator("input[type=password]").fill(word)
    page.get_by_role("button", name="Login").click()


def test_a_visitor_signs_in(chromium: Any, open_server: Server) -> None:
    page = chromium.browser.new_context().new_page()  # the cookie is for the host, whatever the port
    page.set_default_timeout(PATIENCE)
    page.add_init_script(SLOW_FRAMES)
    page.goto(open_server.url)
    page.get_by_text("Sign in as studio").wait_for()
    _sign_in(page, "guessed")
    page.get_by_text("Incorrect Credentials").wait_for()
    assert page.locator("#edit-run").count() == 0
    _sign_in(page, password(open_server))
    page.wait_for_selector("#edit-run")
    page.context.close()
