"""The parts of an explanation that show themselves: slices, notes and laws."""

from __future__ import annotations

from collections.abc import Iterable

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Lines, Mark, Page, Sheet, code
from lstm_shapes.theory.laws import Law, Laws
from lstm_shapes.theory.notes import Notes
from lstm_shapes.theory.slices import Slice, Slices

from .titles import sizes

__all__ = ["laws_sheet", "laws_view", "notes_lines", "notes_view", "slices_sheet", "slices_view"]


@view.register(Slices)
def slices_view(slices: Slices) -> Page:
    """`Explanation.slices`."""
    if not slices:
        return Page("Slices", "A cell returns no Y: there is nothing to slice.", ())
    return Page("", "", (slices_sheet("Slices", ((one.expression, one) for one in slices)),))


def slices_sheet(title: str, rows: Iterable[tuple[str, Slice]]) -> Sheet:
    """Expressions and what they give; a star on what a classifier usually wants."""
    every = list(rows)
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("★", "good") if one.wanted else "",
            code(expressions),
            Mark(one.axes.formula, "symbol"),
            sizes(one.axes),
            one.meaning,
        )
        for expressions, one in every
    )
    joined = {one.expression for _, one in every if one.wanted} == {"hn[-2]", "hn[-1]"}
    star = "★ for a classifier: `torch.cat([hn[-2], hn[-1]], dim=-1)`." if joined else "★ for a classifier."
    columns = (*[Column("")] * 4, Column("", whole=False))
    return Sheet(title, columns, cells, caption=star)


@view.register(Notes)
def notes_view(notes: Notes) -> Page:
    """`Explanation.notes`."""
    return Page("", "", (notes_lines(notes),))


def notes_lines(notes: Notes) -> Lines:
    """Where learners slip with this layer."""
    return Lines("Notes", notes)


@view.register(Laws)
def laws_view(laws: Laws) -> Page:
    """What `laws` returns."""
    holding = sum(law.holds for law in laws)
    told = f"Identities that hold: {holding}; false friends: {len(laws) - holding}"
    return Page(told, "", (laws_sheet(laws),))


def laws_sheet(laws: Iterable[Law]) -> Sheet:
    """Identities first, false friends after them, each with its reason."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("=", "good") if law.holds else Mark("≠", "bad"),
            code(law.expression if law.holds else law.expression.replace(" == ", " != ")),
            law.why,
        )
        for law in sorted(laws, key=lambda law: not law.holds)
    )
    columns = (Column(""), Column("expression", whole=False), Column("why", whole=False))
    caption = "= an identity, ≠ a false friend: it looks like one and is none for this layer."
    return Sheet("Laws", columns, rows, caption=caption)
