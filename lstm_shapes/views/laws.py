"""Laws as a table: what is equal for this layer, and what only looks so."""

from __future__ import annotations

from collections.abc import Iterable

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Mark, Page, Sheet, code
from lstm_shapes.theory.laws import Law, Laws

__all__ = ["laws_sheet", "laws_view"]


@view.register(Laws)
def laws_view(laws: Laws) -> Page:
    """What `laws` returns."""
    holding = sum(law.holds for law in laws)
    told = f"Identities that hold: {holding}; false friends: {len(laws) - holding}"
    return Page(told, "", (laws_sheet(laws),))


def laws_sheet(laws: Iterable[Law]) -> Sheet:
    """Identities first, false friends after them, each with its reason."""
    ordered = sorted(laws, key=lambda law: not law.holds)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("=", "good") if law.holds else Mark("≠", "bad"),
            code(law.expression if law.holds else law.expression.replace(" == ", " != ")),
            law.why,
        )
        for law in ordered
    )
    return Sheet(
        "Laws",
        (Column(""), Column("expression", whole=False), Column("why", whole=False)),
        rows,
        caption="= an identity, ≠ a false friend: it looks like one and is none for this layer.",
    )
