"""Pages as text: the same words at every width, escape codes only where they are asked for."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lstm_shapes.display import as_text
from lstm_shapes.display.page import (
    STYLES,
    Column,
    Drawing,
    Lines,
    Mark,
    Page,
    Role,
    Sheet,
    code,
    tick,
    written,
)

WORDS = st.lists(st.text("abcXYZ019(),·", min_size=1, max_size=30), max_size=6).map(" ".join)


def sheet(*rows: tuple[str, ...], totals: tuple[tuple[str, ...], ...] = ()) -> Sheet:
    """Three columns: whole, wrapped, and numbers."""
    columns = (Column("name"), Column("what", whole=False), Column("number", right=True))
    return Sheet("Things", columns, rows, totals, "A caption.")


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4), st.integers(40, 120))
@example([("", "0" * 20, "1"), ("0 0 0 00", "", "0" * 7)], 40)
def test_no_word_is_lost(rows: list[tuple[str, str, str]], width: int) -> None:
    """Every character of every cell is on the page, however narrow it is."""
    text = as_text(Page("T", "S", (sheet(*rows),)), width=width)
    everything = "".join(text.split())
    for row in rows:
        for cell in row:
            for word in cell.split():
                assert word in text or word in everything
    assert "…" not in text


def test_a_table_that_fits_is_a_table() -> None:
    """Numbers stand right, totals below a gap, the caption under it."""
    lines = as_text(Page("", "", (sheet(("a", "b c", "1"), totals=(("all", "", "10"),)),)), width=40).splitlines()
    assert lines == [
        "Things",
        "name   what   number",
        "────────────────────",
        "a      b c         1",
        "",
        "all               10",
        "A caption.",
    ]


def test_a_table_that_does_not_fit_is_written_row_by_row() -> None:
    """Headings beside values; a value longer than the line goes on in the next one, in full."""
    text = as_text(Page("", "", (sheet(("x" * 50, "b", "1"), ("y", "", "2")),)), width=40)
    assert text.splitlines()[1:6] == ["name    " + "x" * 32, "        " + "x" * 18, "what    b", "number  1", ""]
    assert "what" not in text.split("number  1")[1]


@pytest.mark.parametrize("width", [30, 40, 60, 80])
@pytest.mark.parametrize("length", range(3, 60, 4))
def test_the_last_column_stays_on_the_page(length: int, width: int) -> None:
    """A long name that may wrap and cannot, beside a text that can: the number is there in full."""
    columns = (Column("name", whole=False), Column("what", whole=False), Column("number", right=True))
    row = ("m" * length, "LSTM(Q=28, D=256, K=3, bidirectional)", "3,739,648")
    text = as_text(Page("", "", (Sheet("Things", columns, (row,)),)), width=width)
    assert "3,739,648" in text
    assert max(map(len, text.splitlines())) <= width


def test_marks_and_code_are_styled_only_in_colour() -> None:
    """Ticks, code and symbols have a style; the words are the same without."""
    page = Page("T", "see `x.size(0)`", (Lines("L", ("one `two`",)), Drawing("D", " a\n  b")))
    plain, coloured = as_text(page, width=40), as_text(page, width=40, colour=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert "\x1b[1mx.size(0)" in coloured
    assert plain.splitlines() == ["T", "see x.size(0)", "", "L", "• one two", "", "D", "  a", "   b"]


def test_markup_is_no_markup() -> None:
    """Square brackets are text: `Y[:, -1]` and `[bold]` come out as they went in."""
    assert written("`Y[:, -1]` [bold]x[/bold]").plain == "Y[:, -1] [bold]x[/bold]"
    assert "[red]" in as_text(Page("[red]", "", ()), width=40)


def test_styles_are_readable_on_dark_and_light() -> None:
    """No white, yellow, black or background colour."""
    for style in STYLES.values():
        assert not re.search(r"white|yellow|black|\bon\b", style)
    assert set(STYLES) == set(Role.__args__)  # type: ignore[attr-defined]


def test_cells() -> None:
    """The shorthands for the usual marks."""
    assert code("Y") == Mark("Y", "code")
    assert (tick(True).text, tick(False).text) == ("✓", "✗")
    assert (tick(True).role, tick(False).role) == ("good", "bad")
