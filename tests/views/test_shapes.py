"""The first table: every tensor of a call."""

from __future__ import annotations

from hypothesis import given

from lstm_shapes import Spec
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.views.shapes import shapes_sheet, shapes_view
from lstm_shapes.views.titles import headline, subtitle
from tests.strategies import cases


@given(cases())
def test_every_tensor_has_a_row(case: tuple[Spec, Call]) -> None:
    """Names, symbols and sizes of all tensors, and of packed data."""
    prediction = Prediction(*case)
    rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in shapes_sheet(prediction).rows]
    expected = [[name, a.formula, str(a.sizes)] for name, a in prediction.tensors.items()]
    assert [row[:3] for row in rows[: len(expected)]] == expected
    assert [row[0] for row in rows[len(expected) :]] == ["X.data", "Y.data"] * (case[1].lengths is not None)


def test_the_first_page_is_the_shapes_alone() -> None:
    """Which layer, how much data, and that one table: nothing else has to load before it is on the screen."""
    prediction = Prediction(Spec(7, 5, 2), Call(3, 4))
    page = shapes_view(prediction)
    assert (page.title, page.subtitle) == (headline(prediction.spec), subtitle(prediction.spec, prediction.call))
    assert page.blocks == (shapes_sheet(prediction),)
