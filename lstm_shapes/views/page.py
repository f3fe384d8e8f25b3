"""Page: what a view says, before it is text or HTML. One description, two renderers (`text.py`, `html.py`).

A cell is a str, or a `Mark` where a word has a role: code, symbol, number, good, bad or quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Block", "Cell", "Column", "Drawing", "Lines", "Mark", "Page", "Role", "Sheet", "code", "tick"]

Role = Literal["code", "symbol", "number", "good", "bad", "quiet", "strong"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A word with a role."""

    text: str
    role: Role


Cell = str | Mark


def code(text: str) -> Mark:
    return Mark(text, "code")


def tick(ok: bool) -> Mark:
    return Mark("✓", "good") if ok else Mark("✗", "bad")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading. `whole` columns are never wrapped; `right` ones hold numbers."""

    name: str
    whole: bool = True
    right: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: every row has a cell for each column; `totals` rows stand apart below."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: tuple[tuple[Cell, ...], ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """A short list of sentences; `code` in backticks."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture: `svg` for pages, `text` (lines of characters, laid out already or for a width) for consoles."""

    title: str
    text: str | Callable[[int], str]
    svg: str = ""

    def at(self, width: int) -> str:
        """The text on so many columns."""
        return self.text if isinstance(self.text, str) else self.text(width)


Block = Sheet | Lines | Drawing


@dataclass(frozen=True, slots=True)
class Page:
    """A title, what it is about, and the blocks below it."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from .text import renderables

        yield from renderables(self, options.max_width)
