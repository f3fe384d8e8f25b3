"""`lstm-shapes explore`: the address it prints, the browser it opens, a port that it cannot have."""

from __future__ import annotations

import socket

import pytest

from lstm_shapes import _explorer
from tests.command_line import here, process, refused


def test_port_that_is_taken() -> None:
    """One line on stderr and exit code 2."""
    with socket.socket() as other:
        other.bind((_explorer.HOST, 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = process("explore", "--no-browser", "--port", port, timeout=60)
    refused(ended, "[Errno")
    assert ended.out == ""


@pytest.mark.parametrize(("option", "opened"), [("--browser", ["http://127.0.0.1:5"]), ("--no-browser", [])])
def test_address_is_printed_and_opened(
    option: str, opened: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address is printed either way; the browser is left alone where one asks for that."""
    tabs: list[str] = []
    monkeypatch.setattr(_explorer, "serve", lambda port, ready: ready(f"http://127.0.0.1:{port}"))
    monkeypatch.setattr("webbrowser.open", tabs.append)
    assert here(capsys, "explore", "--port", "5", option) == (0, "http://127.0.0.1:5  (Ctrl-C ends it)\n", "")
    assert tabs == opened
