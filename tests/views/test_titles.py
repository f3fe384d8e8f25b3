"""Titles name the layer and the call; sizes and bytes are written alike in every table."""

from __future__ import annotations

import pytest
from hypothesis import given

from lstm_shapes import Spec
from lstm_shapes._views.titles import number_of_bytes, sizes, subtitle
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import headline
from tests.strategies import cases


@given(cases())
def test_titles_name_the_layer_and_the_call(case: tuple[Spec, Call]) -> None:
    """What differs from a plain layer is in the headline; how much data below it."""
    spec, call = case
    title, below = headline(spec), subtitle(spec, call)
    assert title.startswith(f"{spec.cell}(Q={spec.Q}, D={spec.D}")
    assert ("bidirectional" in title, "bias=False" in title, "relu" in title) == (
        spec.bidirectional,
        not spec.bias,
        spec.nonlinearity == "relu",
    )
    assert (f"P={spec.P}" in title) == (spec.P > 0)
    assert ("unbatched" in below) == (not call.batched)
    assert ("packed" in below) == (call.lengths is not None)
    assert ("batch_first" in below) == (not spec.kind.step)


def test_dropout_is_in_the_headline() -> None:
    """As it was given."""
    assert headline(Spec(7, 5, 2, dropout=0.5)) == "LSTM(Q=7, D=5, K=2, dropout=0.5)"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1.00 KiB"), (5_382_144, "5.13 MiB"), (2**60, "1,024.00 PiB")],
)
def test_bytes(number: int, text: str) -> None:
    """In the largest unit that leaves at least 1."""
    assert number_of_bytes(number) == text


def test_sizes_are_written_as_torch_prints_a_shape() -> None:
    """A tuple, also of one axis."""
    assert sizes(Axes.of("N L D", (3, 4, 5))) == "(3, 4, 5)"
    assert sizes(Axes.of("D", (5,))) == "(5,)"
