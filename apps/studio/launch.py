"""Serving the studio: where it listens, the password, and the temporary folder, which is always deleted."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from apps.studio.loaded_models import LoadedModels
from glide_edit.errors import GlideEditError, InputError

HERE = Path(__file__).parent
FOLDER = "glide-edit-studio-"
USER = "studio"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """How the studio is served. ``port`` None is the first free one from 7860; ``password`` None makes one
    where ``host`` or ``share`` let others in, and none otherwise."""

    model: str = "toybox"
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    share: bool = False
    password: str | None = None
    open_browser: bool = False

    @property
    def lets_others_in(self) -> bool:
        return self.share or self.host not in LOOPBACK


def password_of(settings: Settings) -> str | None:
    """The password that was given, a new one where others are let in, else None.

    Raises:
        InputError: the password is empty.
    """
    if settings.password is None:
        return secrets.token_urlsafe(12) if settings.lets_others_in else None
    if not settings.password.strip():
        raise InputError("The password is empty: say one, or leave it out and one is made.")
    return settings.password


def serve(settings: Settings) -> None:
    """Serve the studio until Ctrl-C.

    Raises:
        InputError: the address or port cannot be used, the password is empty, or gradio is not installed.
    """
    password = password_of(settings)
    remove_left_behind()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder is deleted
    prefix = f"{FOLDER}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        # gradio reads these on import.
        os.environ["GRADIO_TEMP_DIR"] = folder
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        _serve(settings, Path(folder), password)


def remove_left_behind() -> None:
    """Delete the folders of studios that were killed; they are named after their processes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*-*"):
        process = folder.name.removeprefix(FOLDER).partition("-")[0]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":
        return True  # os.kill would end it there
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _serve(settings: Settings, folder: Path, password: str | None) -> None:
    if find_spec("gradio") is None:
        raise InputError("The studio needs gradio, which is not installed: pip install 'glide-edit[studio]'.")
    from apps.studio.page import build_page, theme
    from apps.studio.sessions import Sessions
    from apps.studio.shared import Studio
    from apps.studio.uploads import MAX_BYTES

    models = LoadedModels(settings.model, settings.device, settings.precision, settings.threads)
    threading.Thread(target=_load, args=(models,), daemon=True).start()
    page = build_page(Studio(Sessions(folder / "sessions", models.default), models), folder / "finished")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    try:
        _, local, shared = page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share,
            auth=(USER, password) if password else None,
            auth_message=f"Sign in as <b>{USER}</b>, with the password of whoever has started this studio.",
            inbrowser=settings.open_browser,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=MAX_BYTES,
            ssr_mode=False,
            enable_monitoring=False,
            footer_links=[],
            theme=theme(),
            css_paths=HERE / "page.css",
            head=f"<script>const GLIDE_EDIT_MOST_BYTES = {MAX_BYTES};\n{script}</script>",
        )
    except OSError as error:
        raise InputError(f"The studio cannot listen on {settings.host}: {error}.") from error
    print(f"The studio is open at {shared or local}", flush=True)
    if password and settings.password is None:
        print(f"Sign in as {USER} with the password {password}", flush=True)
    print("Stop it with Ctrl-C.", flush=True)
    page.block_thread()


def _load(models: LoadedModels) -> None:
    """Load the default model while the page opens; a run reports again what is wrong with it."""
    try:
        models.editor(models.default)
    except GlideEditError as error:
        print(f"The model {models.default} cannot be loaded: {error}", file=sys.stderr, flush=True)
