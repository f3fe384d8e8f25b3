"""What `count` returns: parameters, and for a call what is kept for backward and what other tools print."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Mark, Page, Sheet
from lstm_shapes.theory.call import DTYPES
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.memory import kept_for_backward

from .conventions import conventions_sheet
from .parameters import parameters_sheet
from .titles import headline, number_of_bytes, subtitle

__all__ = ["counts_view", "memory_sheet"]


@view.register(Counts)
def counts_view(counts: Counts) -> Page:
    """Parameters alone; with a call also MACs, memory and the table of other tools."""
    title = f"Parameters of {headline(counts.spec)}"
    if counts.call is None:
        return Page(title, "give N and L, or lengths, for MACs", (parameters_sheet(counts),))
    sheets = (parameters_sheet(counts), memory_sheet(counts), conventions_sheet(counts.spec, counts.call))
    return Page(title, subtitle(counts.spec, counts.call), sheets)


def memory_sheet(counts: Counts) -> Sheet:
    """What training keeps until backward, in elements, and in bytes of the dtype."""
    assert counts.call is not None  # nothing is kept before there is a call
    terms = kept_for_backward(counts.spec, counts.call)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (term.name, f"{term.formula} = {term.substituted}", f"{term.value:,}") for term in terms
    )
    size = DTYPES[counts.dtype]
    total = sum(term.value for term in terms)
    return Sheet(
        "Kept for backward",
        (Column("tensor", whole=False), Column("formula", whole=False), Column("elements", right=True)),
        rows,
        (
            (
                Mark("total", "strong"),
                f"{number_of_bytes(total * size)} in {counts.dtype}",
                Mark(f"{total:,}", "strong"),
            ),
        ),
        "What autograd saves where the layer is computed step by step, as in float64 on the CPU; weights and "
        "gradients not counted. Fused kernels keep the same facts in a larger form of their own.",
    )
