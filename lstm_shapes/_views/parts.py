"""The parts of an explanation that show themselves: slices, notes and laws."""

from __future__ import annotations

from collections.abc import Iterable

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Lines, Mark, Page, Sheet, code
from lstm_shapes.language import say
from lstm_shapes.theory.laws import Law, Laws
from lstm_shapes.theory.notes import Notes
from lstm_shapes.theory.slices import Slice, Slices

from .titles import sizes

__all__ = ["laws_sheet", "laws_view", "notes_lines", "notes_view", "slices_sheet", "slices_view"]


@view.register(Slices)
def slices_view(slices: Slices) -> Page:
    """`Explanation.slices`."""
    if not slices:
        return Page(say("slices"), say("nothing to slice"), ())
    return Page("", "", (slices_sheet(say("slices"), ((one.expression, one) for one in slices)),))


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
    columns = (*[Column("")] * 4, Column("", whole=False))
    return Sheet(title, columns, cells, caption=say("star joined" if joined else "star"))


@view.register(Notes)
def notes_view(notes: Notes) -> Page:
    """`Explanation.notes`."""
    return Page("", "", (notes_lines(notes),))


def notes_lines(notes: Notes) -> Lines:
    """Where learners slip with this layer."""
    return Lines(say("notes"), notes)


@view.register(Laws)
def laws_view(laws: Laws) -> Page:
    """What `laws` returns."""
    holding = sum(law.holds for law in laws)
    told = say("laws counted", holding=holding, others=len(laws) - holding)
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
    columns = (Column(""), Column(say("expression"), whole=False), Column(say("why"), whole=False))
    return Sheet(say("laws"), columns, rows, caption=say("laws caption"))
