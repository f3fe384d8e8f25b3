"""Sliders for the sizes of a layer, in the browser; its tables follow.

Needs the extra [explore]. Only this machine reaches the page, and nothing is
fetched from elsewhere.

Examples:

  lstm-shapes explore

  lstm-shapes explore --port 2718 --no-browser
"""

from __future__ import annotations

import os

from lstm_shapes._explorer.server import serve

from . import _screen
from ._parser import Parser, whole

__all__ = ["declare", "main"]


def declare(parser: Parser) -> None:
    parser.add_argument("--port", metavar="PORT", type=whole, help="0 takes a free one (default: 0)")
    parser.switch("browser", "open the page, or only print its address")


# Beside the tables the page has words of its own, in English: one page has one language. A server has many threads.
_LANGUAGE = {"LSTM_SHAPES_LANG": "en"}


def main(*, port: int = 0, browser: bool = True) -> int:
    os.environ.update(_LANGUAGE)

    def ready(url: str) -> None:
        _screen.say(f"{url}  (Ctrl-C ends it)")
        if browser:
            import webbrowser

            webbrowser.open(url)

    serve(port, ready)
    return 0
