"""The parameter table: each layer's formula, what the layers add up to, and where another tool differs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lstm_shapes import count
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Page
from lstm_shapes.views.parameters import parameters_sheet


def written(Q: int, D: int, K: int = 1, **options: Any) -> str:
    """The parameter table alone, as it is printed."""
    return as_text(Page("", "", (parameters_sheet(count(Q, D, K, **options)),)), width=80)


def test_D_costs_where_it_does() -> None:
    """The sentence is not said of a layer that is all input."""
    assert "D is what costs" in written(28, 256)
    assert "D is what costs" not in written(65_536, 8)


def test_keras_has_a_row_where_it_differs() -> None:
    """One bias fewer a gate, and the number it prints."""
    assert re.search(r"Keras.*minus 3,072 +1,342,464", written(28, 256, 3))


@pytest.mark.parametrize("options", [{"cell": "GRU"}, {"bias": False}, {"proj_size": 64}])
def test_keras_has_no_row_where_it_is_alike_or_has_no_such_layer(options: dict[str, Any]) -> None:
    """A GRU has two biases there too; without bias there is none to miss; it has no projection."""
    assert "Keras" not in written(28, 256, 3, **options)
