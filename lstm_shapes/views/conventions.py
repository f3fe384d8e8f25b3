"""Why another tool prints another number, as a table."""

from __future__ import annotations

from lstm_shapes.display.page import Cell, Column, Page, Sheet
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.conventions import conventions
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.spec import Spec

from .titles import headline, subtitle

__all__ = ["conventions_sheet", "conventions_view"]


def conventions_sheet(spec: Spec, call: Call) -> Sheet:
    """One row a tool: its number, its formula and what is different about it."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            f"{one.tool}\n{one.version}",
            "none" if one.value is None else f"{one.value:,}\n{one.unit}",
            f"{one.formula}: {one.why}" if one.formula else one.why,
        )
        for one in conventions(spec, call)
    )
    counts = Counts(spec, call)
    here = f"{counts.macs:,} MACs, one for each product of a matrix product, and {counts.total:,} parameters."
    columns = (Column("tool"), Column("its number", right=True), Column("how it comes about", whole=False))
    return Sheet("Why another tool prints another number", columns, rows, caption=f"Here: {here}")


def conventions_view(spec: Spec, call: Call) -> Page:
    """The table as a page of its own."""
    return Page(headline(spec), subtitle(spec, call), (conventions_sheet(spec, call),))
