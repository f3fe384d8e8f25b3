"""What `run` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .page import Cell, Column, Mark, Page, Sheet, code
from .titles import headline, sizes, subtitle

if TYPE_CHECKING:
    from lstm_shapes.lab.run import Run

__all__ = ["run_view"]


def run_view(run: Run) -> Page:
    """What `run` returns: the tensors it holds, not their numbers."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            code(name),
            Mark(tensor.axes.formula, "symbol"),
            sizes(tensor.axes),
            str(tensor.dtype).removeprefix("torch."),
            str(tensor.device),
        )
        for name, tensor in run.tensors.items()
    )
    columns = tuple(Column(name) for name in ("name", "axes", "sizes", "dtype", "device"))
    return Page(headline(run.spec), subtitle(run.spec, run.call), (Sheet("Tensors", columns, rows),))
