"""The explorer's page: the tables of an explanation, and what could not be done with the controls."""

from __future__ import annotations

from collections.abc import Callable

from lstm_shapes.display.page import Block, Drawing, Lines, Page
from lstm_shapes.explanation import Explanation

from .explanation import explanation_view

__all__ = ["explorer_view"]

_NAMES = {"proj_size": "P", "bidirectional": "directions", "batch_first": "layout"}


def explorer_view(
    explanation: Explanation, picture: Callable[[], str], trouble: str = "", left_out: tuple[str, ...] = ()
) -> Page:
    """An explanation below what went wrong with the highlight, and the controls that this cell does not have."""
    page = explanation_view(explanation)
    blocks: list[Block] = []
    if trouble:
        blocks.append(Drawing("Not drawn", trouble))  # as written: the grammar is laid out in lines
    if left_out:
        names = ", ".join(_NAMES.get(name, name) for name in left_out)
        blocks.append(Lines("Left out", (f"{explanation.spec.cell} does not have: {names}.",)))
    return Page(page.title, page.subtitle, (*blocks, *page.blocks), picture)
