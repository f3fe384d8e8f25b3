"""What theory says of a slice is what torch gives for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lstm_shapes as ls
from lstm_shapes.theory.slices import slices

SHAPES: list[dict[str, Any]] = [
    {},
    {"batch_first": False},
    {"N": None},
    {"bidirectional": True},
    {"bidirectional": True, "batch_first": False, "proj_size": 2},
    {"lengths": (4, 2, 3)},
    {"cell": "GRU", "bidirectional": True},
]


@pytest.mark.parametrize("fields", SHAPES, ids=str)
def test_axes_and_sizes_are_torchs_own(fields: dict[str, Any]) -> None:
    """Each expression is evaluated on the run's tensors: sizes are torch's, names are AnnotatedTensor's."""
    sizes = {"L": 4, **({} if "lengths" in fields else {"N": 3})}
    run = ls.run(7, 5, 2, **{**sizes, **fields})
    names = {"Y": run.Y, "hn": run.hn, "D": run.spec.D, "P": run.spec.P}
    for row in slices(run.prediction):
        found = eval(row.expression, {}, names)  # our own expressions, on our own tensors
        assert tuple(found.shape) == row.axes.sizes
        assert found.axes.names == row.axes.names


@pytest.mark.parametrize("fields", [{}, {"batch_first": False}, {"N": None}], ids=str)
def test_every_wanted_slice_is_the_same_tensor(fields: dict[str, Any]) -> None:
    """All starred expressions of a one-directional layer agree, bit for bit."""
    run = ls.run(7, 5, 2, **{"N": 3, "L": 4, **fields})
    found = [eval(row.expression, {}, {"Y": run.Y, "hn": run.hn}) for row in slices(run.prediction) if row.wanted]
    assert len(found) >= 2
    assert all(torch.equal(found[0].plain(), other.plain()) for other in found[1:])
