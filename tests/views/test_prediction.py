"""What `predict` shows."""

from __future__ import annotations

import pytest

from lstm_shapes import predict
from lstm_shapes.display.page import Sheet
from lstm_shapes.views.prediction import prediction_view


@pytest.mark.parametrize(
    ("cell", "titles"),
    [("LSTM", ["Shapes", "Parameters", "Slices"]), ("LSTMCell", ["Shapes", "Parameters"])],
)
def test_a_prediction_is_shapes_parameters_and_slices(cell: str, titles: list[str]) -> None:
    """In this order, under the layer and the call; a cell has nothing to slice."""
    page = prediction_view(predict(7, 5, cell=cell, N=3))
    assert [block.title for block in page.blocks if isinstance(block, Sheet)] == titles
    assert page.title.startswith(f"{cell}(Q=7, D=5")
    assert page.subtitle.startswith("N=3 sequences")
