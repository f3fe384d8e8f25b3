"""Page: what a view says, before it is text or HTML; and how a console shows it.

A cell is a str, or a `Mark` where it has a role: code, symbol, number (figures in columns), good, bad, quiet, strong.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import measure_renderables
from rich.table import Table
from rich.text import Text

from lstm_shapes.language import gloss, language

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
        """The page; in Korean, each term of the field has its English word behind it where it comes first."""
        if self.lang == "en":
            return self
        title, subtitle, blocks = gloss(self.title), gloss(self.subtitle), tuple(map(_glossed, self.blocks))
        return replace(self, title=title, subtitle=subtitle, blocks=blocks, folded=tuple(map(_glossed, self.folded)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title, the subtitle and each block, laid out for the width of the console."""
        if self.title:
            yield Text(self.title, style="bold")
        if self.subtitle:
            yield written(self.subtitle)
        for number, block in enumerate(self.blocks):
            if number or self.title:
                yield Text("")
            if block.title:
                yield Text(block.title, style="bold underline")
            yield from _renderables(block, console, options)
        if self.more:
            if self.blocks and self.blocks[-1].title:
                yield Text("")
            yield written(self.more)


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


def _renderables(block: Block, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
    if isinstance(block, Sheet | Tree):
        sheet = block if isinstance(block, Sheet) else block.sheet
        yield _table(sheet, console, options)
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
        drawn = block.at(options.max_width - 1).splitlines()
        lines = Text.assemble(*(f" {line}\n" for line in drawn), no_wrap=True, end="")
        lines.overflow = "ignore" if isinstance(block.text, str) else "ellipsis"
        yield lines


def console(value: RenderableType, width: int, colour: bool) -> str:
    """A renderable as a string, without trailing blanks."""
    screen = Console(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        force_jupyter=False,
        highlight=False,
        _environ={},
    )
    # rich draws numbers for its styles: what a caller draws next must not depend on having looked.
    state = random.getstate()
    try:
        screen.print(value, crop=False)  # a program's lines are whole, however long
    finally:
        random.setstate(state)
    text: str = screen.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def written(sentence: str) -> Text:
    """A sentence, with what stands in backticks as code."""
    text = Text()
    for number, part in enumerate(re.split(r"`([^`]*)`", sentence)):
        text.append(part, style=STYLES["code"] if number % 2 else None)
    return text


def _cell(cell: Cell) -> Text:
    return Text(cell.text, style=STYLES[cell.role]) if isinstance(cell, Mark) else written(cell)


def _table(sheet: Sheet, console: Console, options: ConsoleOptions) -> Table:
    """A table; each row on lines of its own where rich would have to cut what must stay whole."""
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
        texts = [Text(column.name), *(_cell(row[number]) for row in (*sheet.rows, *sheet.totals))]
        word, line = measure_renderables(console, options, texts)
        # rich cuts what may wrap before it looks at the words: a column of single words would push the last one out.
        whole = not column.fold and (column.whole or word == line)
        table.add_column(
            texts[0],
            justify="right" if column.right else "left",
            # rich takes a line's last blank for a letter too many where letters are wide, and would cut one off.
            overflow="ellipsis" if whole else "fold",
            no_wrap=whole,
            min_width=None if whole or column.fold else word,
        )
        needs += line if whole else max(16, 0 if column.fold else word)
    for rows in (sheet.rows, sheet.totals):
        table.add_section()
        for row in rows:
            table.add_row(*map(_cell, row))
    return table if needs <= options.max_width else _records(sheet)


def _records(sheet: Sheet) -> Table:
    """Each row as lines of heading and value."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="italic", no_wrap=True)
    grid.add_column(overflow="fold")
    for row in (*sheet.rows, *sheet.totals):
        for column, cell in zip(sheet.columns, row, strict=True):
            if _cell(cell).plain:
                grid.add_row(Text(column.name), _cell(cell))
        grid.add_row()
    return grid
