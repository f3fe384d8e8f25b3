"""Slices, notes and laws: the parts of an explanation that show themselves."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given

from lstm_shapes import Spec, explain, laws
from lstm_shapes._views.explanation import slices_sheet
from lstm_shapes.display import as_text
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import slices
from tests.strategies import cases


@given(cases())
def test_every_slice_has_a_row(case: tuple[Spec, Call]) -> None:
    """A star, the expression, symbols and sizes of each; a cell has no rows."""
    every = slices(Prediction(*case))
    sheet = slices_sheet("Slices", ((one.expression, one) for one in every))
    rows = [tuple(cell if isinstance(cell, str) else cell.text for cell in row) for row in sheet.rows]
    assert rows == [
        ("★" if one.wanted else "", one.expression, one.axes.formula, str(one.axes.sizes), one.meaning) for one in every
    ]
    assert bool(rows) != case[0].kind.step


@pytest.mark.parametrize("name", ["slices", "notes", "laws"])
def test_a_part_is_a_tuple_that_shows_itself(name: str) -> None:
    """Still a tuple in every way; a REPL and a notebook show a page in place of every field."""
    found: Any = getattr(explain(28, 256, 3, proof=False), name)
    assert (*found,) == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert repr(found) == as_text(found)
    assert "(name=" not in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80
    assert name[:4].title() in found._repr_html_() or "Identities" in found._repr_html_()


def test_a_cell_has_no_slices_and_says_so() -> None:
    """Nothing to index."""
    assert "nothing to slice" in repr(explain(7, 5, cell="GRUCell", proof=False).slices)


def test_laws_are_counted_and_are_plain_data() -> None:
    """Identities and false friends."""
    found = laws(28, 256, 3)
    assert repr(found).startswith("Identities that hold: ")
    assert found[0].expression in repr(found)
    assert found.to_dict() == {"laws": [law.to_dict() for law in found]}
