"""Slices as a table: what the usual ways to index Y and hn give."""

from __future__ import annotations

from lstm_shapes.display.page import Cell, Column, Mark, Sheet, code
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import slices

from .titles import sizes

__all__ = ["slices_sheet"]


def slices_sheet(prediction: Prediction) -> Sheet | None:
    """The usual slices of Y and hn; a star on what a classifier usually wants. None for a cell."""
    found = slices(prediction)
    if not found:
        return None
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("★", "good") if one.wanted else "",
            code(one.expression),
            Mark(one.axes.formula, "symbol"),
            sizes(one.axes),
            one.meaning,
        )
        for one in found
    )
    star = "★ what a classifier usually wants."
    if prediction.spec.R == 2:
        star = "★ what a classifier usually wants: both, joined by `torch.cat([hn[-2], hn[-1]], dim=-1)`."
    return Sheet(
        "Slices",
        (
            Column(""),
            Column("expression"),
            Column("axes"),
            Column("sizes"),
            Column("what it gives", whole=False),
        ),
        rows,
        caption=star,
    )
