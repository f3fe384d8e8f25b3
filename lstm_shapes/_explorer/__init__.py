"""The explorer: a page with a control for every symbol, and what the library says beside it.

answer  the values of the controls -> the pieces of the page; torch is loaded when somebody asks for a step
app     the marimo app: controls, and nothing else; explorer.css lays it out. `lstm-shapes explore` serves it
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lstm_shapes.errors import LstmShapesError, SpecError

HOST = "127.0.0.1"
"""Loopback: nobody else on the network reaches it, and a page under another host name is turned away."""


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

    file = str(Path(__file__).with_name("app.py"))
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
