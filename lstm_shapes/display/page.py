"""Page: what a view says, before it is text or HTML; and how it is printed, in colour or as plain characters.

A cell is a str, or a `Mark` where it has a role: code, symbol, number (figures in columns), good, bad, quiet, strong.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from lstm_shapes.language import gloss, language

__all__ = [
    "STYLES",
    "Block",
    "Branch",
    "Cell",
    "Column",
    "Drawing",
    "Lines",
    "Mark",
    "Page",
    "Role",
    "Sheet",
    "Tree",
    "code",
    "console",
    "renderables",
    "tick",
    "written",
]

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
    """A column's heading. `whole` columns are never wrapped; `right` ones hold numbers; `fold` breaks long words."""

    name: str
    whole: bool = True
    right: bool = False
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: every row has a cell for each column; `totals` rows stand apart below, `caption` under them."""

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
    """A picture: `svg` for pages, `text` for consoles: laid out for a width, or lines as they are, a program's."""

    title: str
    text: str | Callable[[int], str]
    svg: str = ""

    def at(self, width: int) -> str:
        """The text on so many columns."""
        return self.text if isinstance(self.text, str) else self.text(width)


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows that belong together, and what is inside them."""

    rows: tuple[tuple[Cell, ...], ...]
    inner: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """A table whose rows have others inside: all of them in a console; in a page folded, `open` levels open."""

    title: str
    columns: tuple[Column, ...]
    branches: tuple[Branch, ...]
    open: int = 1

    @property
    def sheet(self) -> Sheet:
        """All rows below each other."""

        def rows(branches: tuple[Branch, ...]) -> Iterator[tuple[Cell, ...]]:
            for branch in branches:
                yield from branch.rows
                yield from rows(branch.inner)

        return Sheet(self.title, self.columns, tuple(rows(self.branches)))


Block = Sheet | Tree | Lines | Drawing


@dataclass(frozen=True, slots=True)
class Page:
    """A title, what it is about, and the blocks below it."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]
    picture: Callable[[], str] | None = None
    """An SVG that stands above the blocks where pictures can be shown; drawn when it is asked for."""
    folded: tuple[Block, ...] = ()
    """What a notebook shows when a reader opens it, and a console not at all."""
    more: str = ""
    """The line that says, on a console, where the folded blocks are."""
    lang: str = field(default_factory=language)

    def glossed(self) -> Page:
        """With the English word behind each term of the field that it has for the first time, where it is in Korean."""
        if self.lang == "en":
            return self
        title, subtitle, blocks = gloss(self.title), gloss(self.subtitle), tuple(map(_glossed, self.blocks))
        return replace(self, title=title, subtitle=subtitle, blocks=blocks, folded=tuple(map(_glossed, self.folded)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from renderables(self, options.max_width)


def _glossed(block: Block) -> Block:
    """Glosses stand in sentences: in lists, in captions, and in cells that may be wrapped."""
    if isinstance(block, Drawing | Tree):  # a tree shows a program, which stays as it was written
        return block
    if isinstance(block, Lines):
        return replace(block, items=tuple(map(gloss, block.items)))

    def row(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        columns = zip(block.columns, cells, strict=True)
        return tuple(cell if column.whole or isinstance(cell, Mark) else gloss(cell) for column, cell in columns)

    rows, totals = tuple(map(row, block.rows)), tuple(map(row, block.totals))
    return replace(block, rows=rows, totals=totals, caption=gloss(block.caption))


# Readable on dark and on light: weight and a few mid-tone colours, never white, yellow, or a background.
STYLES: dict[Role, str] = {
    "code": "bold",
    "symbol": "magenta",
    "number": "none",
    "good": "bold green",
    "bad": "bold red",
    "quiet": "italic",
    "strong": "bold",
}


def console(value: Any, *, width: int | None = None, colour: bool = False) -> str:
    """A renderable as a string, without trailing blanks."""
    columns = width or shutil.get_terminal_size((80, 24)).columns
    screen = Console(
        file=StringIO(),
        width=columns,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        force_jupyter=False,
        highlight=False,
        _environ={},
    )
    screen.print(value, crop=False)  # a program's lines are whole, however long
    text: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def renderables(page: Page, width: int = 80) -> Iterator[RenderableType]:
    """A page from top to bottom, on so many columns."""
    if page.title:
        yield Text(page.title, style="bold")
    if page.subtitle:
        yield written(page.subtitle)
    for number, block in enumerate(page.blocks):
        if number or page.title:
            yield Text("")
        if block.title:
            yield Text(block.title, style="bold underline")
        if isinstance(block, Sheet | Tree):
            sheet = block if isinstance(block, Sheet) else block.sheet
            table, needs = _table(sheet)
            yield table if needs <= width else _records(sheet)
            if sheet.caption:
                yield written(sheet.caption)
        elif isinstance(block, Lines):
            grid = Table.grid(padding=(0, 1, 0, 0))
            grid.add_column()
            grid.add_column(overflow="fold")
            for item in block.items:
                grid.add_row("•", written(item))
            yield grid
        else:
            # Drawings lay themselves out; where even the smallest does not fit, an ellipsis says so.
            lines = Text.assemble(*(f" {line}\n" for line in block.at(width - 1).splitlines()), no_wrap=True, end="")
            lines.overflow = "ignore" if isinstance(block.text, str) else "ellipsis"
            yield lines
    if page.more:
        if page.blocks and page.blocks[-1].title:
            yield Text("")
        yield written(page.more)


def written(sentence: str) -> Text:
    """A sentence, with what stands in backticks as code."""
    text = Text()
    for number, part in enumerate(re.split(r"`([^`]*)`", sentence)):
        text.append(part, style=STYLES["code"] if number % 2 else None)
    return text


def _cell(cell: Cell) -> Text:
    return Text(cell.text, style=STYLES[cell.role]) if isinstance(cell, Mark) else written(cell)


def _records(sheet: Sheet) -> RenderableType:
    """What is too wide for a table: each row as lines of heading and value."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="italic", no_wrap=True)
    grid.add_column(overflow="fold")
    for row in (*sheet.rows, *sheet.totals):
        for column, cell in zip(sheet.columns, row, strict=True):
            if _cell(cell).plain:
                grid.add_row(Text(column.name), _cell(cell))
        grid.add_row()
    return grid


def _table(sheet: Sheet) -> tuple[Table, int]:
    """A table, and the columns below which rich would cut words: what must stay whole, and room to wrap the rest in."""
    headed = any(column.name for column in sheet.columns)
    table = Table(
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        pad_edge=False,
        show_edge=False,
        header_style="italic",
        padding=(0, 2, 0, 0),
    )
    # rich reserves the gap of two behind the last column, too, and a heading's rule parts columns by one more.
    needs = len(sheet.columns) * (3 if headed else 2) - headed
    for number, column in enumerate(sheet.columns):
        texts = [column.name, *(_cell(row[number]).plain for row in (*sheet.rows, *sheet.totals))]
        word = max((cell_len(word) for text in texts for word in text.split()), default=0)
        line = max((cell_len(line) for text in texts for line in text.split("\n")), default=0)
        # rich cuts what may wrap before it looks at the words: a column of single words would push the last one out.
        whole = not column.fold and (column.whole or word == line)
        table.add_column(
            Text(column.name),
            justify="right" if column.right else "left",
            # rich takes a line's last blank for a letter too many where letters are wide, and would cut one off.
            overflow="ellipsis" if whole else "fold",
            no_wrap=whole,
            min_width=None if whole or column.fold else word,
        )
        needs += 16 if column.fold else line if whole else max(16, word)
    for rows in (sheet.rows, sheet.totals):
        table.add_section()
        for row in rows:
            table.add_row(*map(_cell, row))
    return table, needs
