"""What `run` shows."""

from __future__ import annotations

import torch

from lstm_shapes import run
from lstm_shapes.display.page import Sheet
from lstm_shapes.views.run import run_view


def test_a_run_is_its_tensors_without_their_numbers(shape_device: torch.device) -> None:
    """A row for each tensor that it holds: name, axes, sizes, and what no prediction knows, dtype and device."""
    made = run(7, 5, 2, N=3, L=4, device=shape_device, dtype="float64")
    (sheet,) = run_view(made).blocks
    assert isinstance(sheet, Sheet)
    rows = [tuple(cell if isinstance(cell, str) else cell.text for cell in row) for row in sheet.rows]
    assert rows == [
        (name, t.axes.formula, str(tuple(t.shape)), "float64", str(t.device)) for name, t in made.tensors.items()
    ]
    assert {row[4].partition(":")[0] for row in rows} == {shape_device.type}
