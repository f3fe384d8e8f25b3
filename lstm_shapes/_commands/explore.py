"""Sliders for the sizes of a layer, in the browser; its tables follow.

Needs the extra [explore]. Only this machine reaches the page, and nothing is
fetched from elsewhere.

Examples:

  lstm-shapes explore

  lstm-shapes explore --port 2718 --no-browser

  lstm-shapes explore --lang ko
"""

from __future__ import annotations

import os

from lstm_shapes._explorer.server import serve
from lstm_shapes.language import language, say

from . import _screen
from ._parser import Parser, whole


def declare(parser: Parser) -> None:
    parser.add_argument("--port", metavar="PORT", type=whole, help="0 takes a free one (default: 0)")
    parser.switch("browser", "open the page, or only print its address")
    parser.lang()


def main(*, port: int = 0, browser: bool = True) -> int:
    os.environ["LSTM_SHAPES_LANG"] = language()  # for the threads of the server

    def ready(url: str) -> None:
        _screen.say(say("ends it", url=url))
        if browser:
            import webbrowser

            webbrowser.open(url)

    serve(port, ready)
    return 0
