"""`glide-edit app`: open the studio."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli import options

Host = Annotated[
    str,
    typer.Option(
        "--host", metavar="ADDRESS", help="Where to listen; other than loopback asks for a password."
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="N", min=1, max=65535, help="Which port [default: the first free one from 7860]."
    ),
]
Share = Annotated[
    bool, typer.Option("--share", help="Also open it to the internet by gradio's tunnel, with a password.")
]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="TEXT",
        envvar="GLIDE_EDIT_PASSWORD",
        help="Who opens the page must say it [default: none on loopback, else one is made and printed].",
    ),
]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")]


def app(
    model: options.ModelName = "toybox",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    share: Share = False,
    password: Password = None,
    browser: Browser = True,
) -> None:
    """Open the studio in the browser: paint, name it, see it happen. Ctrl-C closes it."""
    from apps.studio.launch import Settings, serve

    serve(Settings(model, device, precision, threads, host, port, share, password, browser))
