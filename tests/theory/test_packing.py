"""theory/packing.py without torch; tests/lab/test_packing.py holds it against torch's own packing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.testing import lengths
from lstm_shapes.theory._packing import Packing


@given(lengths(), st.integers(0, 5))
def test_parts_agree_with_each_other(drawn: tuple[int, ...], extra: int) -> None:
    """Counts, permutations and entries are five views of one thing."""
    packing = Packing.of(drawn, max(drawn) + extra)
    assert sum(packing.batch_sizes) == packing.T == len(list(packing.entries()))
    assert packing.T + packing.saved == packing.padded == packing.N * packing.L
    assert packing.share == pytest.approx(packing.saved / packing.padded)
    assert [packing.sorted_indices[place] for place in packing.unsorted_indices] == list(range(packing.N))
    assert list(packing.sorted_lengths) == sorted(drawn, reverse=True)
    assert packing.ties == (len(set(drawn)) != len(drawn))


@given(lengths())
def test_every_row_has_its_steps_in_order(drawn: tuple[int, ...]) -> None:
    """Row r appears once for each of its steps, 0 first."""
    entries = list(Packing.of(drawn).entries())
    for row, length in enumerate(drawn):
        assert [step for other, step in entries if other == row] == list(range(length))


def test_order_of_torch_is_taken() -> None:
    """Another order among equal rows is described as it is."""
    packing = Packing.of((3, 2, 3), order=(2, 0, 1))
    assert packing.sorted_indices == (2, 0, 1)
    assert packing.unsorted_indices == (1, 2, 0)
    assert next(packing.entries()) == (2, 0)


@pytest.mark.parametrize(("order", "rule"), [((0, 0, 1), "each row once"), ((1, 0, 2), "longest row first")])
def test_order_that_does_not_fit(order: tuple[int, ...], rule: str) -> None:
    """An order is a permutation that sorts by length, or it is refused."""
    with pytest.raises(ShapeError, match=rf"order must be {rule}"):
        Packing.of((3, 2, 1), order=order)


def test_impossible_lengths() -> None:
    """Lengths are whole numbers of at least 1, at most L, and there is one."""
    with pytest.raises(SpecError, match=r"lengths\[1\] must be a whole number of at least 1, got 0"):
        Packing.of((3, 0))
    with pytest.raises(SpecError, match="lengths must be one whole number for each sequence"):
        Packing.of(())
    with pytest.raises(ShapeError, match=r"lengths must be at most L each = 2, got \(3, 1\)"):
        Packing.of((3, 1), L=2)


def test_to_dict_is_plain() -> None:
    """The same as JSON would hold it."""
    assert Packing.of((1, 3), L=4).to_dict() == {
        "lengths": [1, 3],
        "L": 4,
        "batch_sizes": [2, 1, 1],
        "sorted_indices": [1, 0],
        "unsorted_indices": [1, 0],
        "steps": 4,
        "padded_steps": 8,
        "saved_steps": 4,
        "saved_share": 0.5,
    }
