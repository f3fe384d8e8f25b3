"""How a command shows what it has: pages and plain data on stdout, what it waits for and writes on stderr."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

from lstm_shapes.language import say as sentence


def say(text: str = "", stream: TextIO | None = None) -> None:
    """A line, now: what stands in a pipe must not wait for what follows."""
    stream = stream or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def put(value: Any) -> None:
    """A result: in colour on a terminal, as plain lines without trailing blanks in a pipe."""
    from rich.console import Console

    from lstm_shapes.display import as_text
    from lstm_shapes.display.page import Page

    if isinstance(value, Page):  # a command may put its page piece by piece
        value = value.glossed()
    screen = Console(highlight=False)
    if screen.is_terminal:
        screen.print(value, crop=False)  # a program's lines are whole: the terminal wraps them
    else:
        say(as_text(value))


def data(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False, indent=2))


def show(value: Any, as_data: bool) -> None:
    """A result, or its plain data where that was asked for."""
    if as_data:
        data(value.to_dict())
    else:
        put(value)


def write(file: Path, page: str) -> None:
    file.write_text(page, encoding="utf-8")
    say(sentence("wrote", file=str(file)), sys.stderr)


def waiting(message: str) -> AbstractContextManager[object]:
    """A spinner on stderr, so that a pipe stays clean."""
    from rich.console import Console

    return Console(stderr=True).status(message)


@contextmanager
def loading(message: str) -> Iterator[None]:
    """The spinner while something slow is imported.

    The garbage collector waits: what torch makes while it loads stays, and looking through it again and again takes a
    tenth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with waiting(message):
            yield
    finally:
        if collects:
            gc.enable()
