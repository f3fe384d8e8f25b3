"""The table of slices: what the usual ways to index Y and hn give."""

from __future__ import annotations

from hypothesis import given

from lstm_shapes import Spec
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import slices
from lstm_shapes.views.slices import slices_sheet
from tests.strategies import cases


@given(cases())
def test_every_slice_has_a_row(case: tuple[Spec, Call]) -> None:
    """A star, the expression, symbols and sizes of each; a cell, which has no steps to slice, has no table."""
    prediction = Prediction(*case)
    sheet = slices_sheet(prediction)
    assert (sheet is None) == prediction.spec.kind.step
    if sheet is not None:
        rows = [tuple(cell if isinstance(cell, str) else cell.text for cell in row) for row in sheet.rows]
        assert rows == [
            ("★" if one.wanted else "", one.expression, one.axes.formula, str(one.axes.sizes), one.meaning)
            for one in slices(prediction)
        ]
