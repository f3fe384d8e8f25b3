"""Packing without torch; tests/lab/test_packing.py holds it against torch's own packing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.testing import lengths
from lstm_shapes.theory.call import Call


@given(lengths(), st.integers(0, 5))
def test_parts_agree_with_each_other(drawn: tuple[int, ...], extra: int) -> None:
    """Counts and permutations are views of one thing."""
    packing = Call.of_lengths(drawn, max(drawn) + extra)
    assert sum(packing.batch_sizes) == packing.T
    assert packing.batch_sizes == tuple(packing.batch_size(step) for step in range(max(drawn)))
    assert packing.T + packing.saved == packing.padded == len(drawn) * packing.L
    assert packing.share == pytest.approx(packing.saved / packing.padded)
    assert [packing.sorted_indices[place] for place in packing.unsorted_indices] == list(range(len(drawn)))
    assert list(packing.sorted_lengths) == [drawn[row] for row in packing.sorted_indices]
    assert packing.ties == (len(set(drawn)) != len(drawn))


def test_impossible_lengths() -> None:
    """Lengths are whole numbers of at least 1, at most L, and there is one."""
    with pytest.raises(SpecError, match=r"lengths\[1\] must be a whole number of at least 1, got 0"):
        Call.of_lengths((3, 0))
    with pytest.raises(SpecError, match="lengths must be one whole number for each sequence"):
        Call.of_lengths(())
    with pytest.raises(ShapeError, match=r"lengths must be at most L each = 2, got \(3, 1\)"):
        Call.of_lengths((3, 1), L=2)
