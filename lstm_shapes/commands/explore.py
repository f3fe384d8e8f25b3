"""`lstm-shapes explore`: a page with a control for every symbol."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from lstm_shapes.explorer.server import serve

__all__ = ["explore"]

Port = Annotated[int, typer.Option(metavar="PORT", help="0 takes a free one")]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="open the page, or only print its address")]


def explore(port: Port = 0, browser: Browser = True) -> None:
    """Sliders for Q, D, K, N and L in the browser; tables, picture and laws follow. Needs the extra [explore].

    Only this machine reaches the page, and nothing is fetched from elsewhere.

    Examples:

      lstm-shapes explore

      lstm-shapes explore --port 2718 --no-browser
    """

    def ready(url: str) -> None:
        typer.echo(f"{url}  (Ctrl-C ends it)")
        if browser:
            webbrowser.open(url)

    serve(port, ready)
