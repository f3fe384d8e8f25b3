"""How a result is put on the screen, in a pipe and on a terminal, and what waits while something loads."""

from __future__ import annotations

import gc
import io
import os
import re
import subprocess
import sys

import pytest

from lstm_shapes._commands._screen import loading, put
from lstm_shapes.display.page import Drawing, Page
from tests.command_line import ROOT, here


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """No escape codes, no blanks at their ends, 80 columns."""
    code, out, _ = here(capsys, "explain", "28", "256", "3", "--no-proof")
    assert code == 0
    assert "\x1b" not in out
    assert all(line == line.rstrip() and len(line) <= 80 for line in out.splitlines())


def test_a_terminal_gets_a_programs_lines_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wraps them itself, so that they can be copied."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    put(Page("", "", (Drawing("Wrong", "x" * 90),)))
    assert f" {'x' * 90}\n" in screen.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(("setting", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal(setting: dict[str, str], coloured: bool) -> None:
    """On a terminal there is colour, unless it is declined."""
    import pty

    reader, writer = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **setting}
    command = [sys.executable, "-m", "lstm_shapes", "explain", "28", "256", "--no-proof"]
    with subprocess.Popen(command, cwd=ROOT, stdout=writer, stderr=writer, env=environment) as process:
        os.close(writer)
        found = b""
        while True:
            try:
                piece = os.read(reader, 65_536)
            except OSError:
                break
            if not piece:
                break
            found += piece
    os.close(reader)
    assert process.returncode == 0
    assert b"292,864" in found
    assert (re.search(rb"\x1b\[(?:\d+;)*3\dm", found) is not None) == coloured


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_waits_while_something_loads(collects: bool) -> None:
    """Off inside, and as it was afterwards, also where the loading fails."""
    inside = []

    def load() -> None:
        with loading("Loading …"):
            inside.append(gc.isenabled())
            raise RuntimeError("broken")

    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(RuntimeError, match=r"^broken$"):
            load()
        assert (inside, gc.isenabled()) == ([False], collects)
    finally:
        gc.enable()
