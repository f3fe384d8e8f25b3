"""What `run` shows."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Cell, Column, Mark, Page, Sheet, code
from lstm_shapes.lab.run import Run

from .pictures import overview
from .titles import headline, sizes, subtitle

__all__ = ["run_view"]


@view.register(Run)
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
    tensors = Sheet("Tensors", columns, rows)
    return Page(headline(run.spec), subtitle(run.spec, run.call), (tensors,), overview(run.prediction))
