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
import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lstm_shapes import _explorer
from lstm_shapes.errors import LstmShapesError, SpecError
from lstm_shapes.language import language, say

from . import _screen
from ._parser import Parser, whole

HOST = "127.0.0.1"
"""Loopback: nobody else on the network reaches it, and a page under another host name is turned away."""


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


def serve(port: int = 0, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serve until Ctrl-C. Port 0 takes a free one; `ready` gets the URL once the server listens."""
    if not 0 <= port <= 65535:
        raise SpecError("--port", "0 (a free one) to 65535", port)
    if find_spec("marimo") is None:
        raise LstmShapesError(
            "The explorer needs marimo, which is missing: install it with pip install 'lstm-shapes[explore]'."
        )
    import marimo
    import uvicorn
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    pages: list[Any] = []

    def guard(app: Any) -> Any:
        pages.append(app)
        # A page under a foreign name that points here (DNS rebinding) has a foreign Host header.
        return TrustedHostMiddleware(app, allowed_hosts=[HOST, "localhost"])

    file = str(Path(_explorer.__file__).with_name("app.py"))
    app = marimo.create_asgi_app(quiet=True).with_app(path="", root=file, middleware=[guard]).build()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((HOST, port))
        door.listen()
        ready(f"http://{HOST}:{door.getsockname()[1]}")
        # An open page holds its connection; Ctrl-C must not wait for somebody to close it.
        config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=1)
        try:
            uvicorn.Server(config).run(sockets=[door])
        except KeyboardInterrupt:
            pass  # the wanted end
        finally:
            # Nor for the threads that compute the open pages; marimo ends them only where it serves by itself.
            for page in pages:
                page.state.session_manager.close_all_sessions()
