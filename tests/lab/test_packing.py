"""Packing against `torch.nn.utils.rnn.pack_padded_sequence`."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence

from lstm_shapes.testing import lengths
from lstm_shapes.theory.call import Call
from tests.scale import examples

pytestmark = pytest.mark.fuzz


def packed(drawn: tuple[int, ...], L: int, device: torch.device | str = "cpu") -> tuple[torch.Tensor, ...]:
    """torch's packing of rows whose element (n, t) is n·L + t, so that data says what it holds."""
    X = torch.arange(len(drawn) * L, device=device, dtype=torch.float64).reshape(len(drawn), L, 1)
    found = pack_padded_sequence(X, torch.tensor(drawn), batch_first=True, enforce_sorted=False)
    assert found.sorted_indices is not None
    assert found.unsorted_indices is not None
    return found.data, found.batch_sizes, found.sorted_indices, found.unsorted_indices


def describes(packing: Call, parts: tuple[torch.Tensor, ...]) -> bool:
    data, batch_sizes, sorted_, unsorted = parts
    return (
        tuple(batch_sizes.tolist()) == packing.batch_sizes
        and tuple(sorted_.tolist()) == packing.sorted_indices
        and tuple(unsorted.tolist()) == packing.unsorted_indices
        and data.shape[0] == packing.T
    )


@settings(max_examples=examples(300))
@given(st.lists(st.integers(1, 200), min_size=1, max_size=60, unique=True), st.integers(0, 5))
def test_different_lengths_match_exactly(drawn: list[int], extra: int) -> None:
    """Without ties every part is torch's, element for element."""
    L = max(drawn) + extra
    assert describes(Call.of_lengths(drawn, L), packed(tuple(drawn), L))


@settings(max_examples=examples(300))
@given(st.integers(1, 60).flatmap(lambda rows: lengths(rows)), st.integers(0, 5))
@example((2,) * 17, 0)  # 17 rows: the first number for which torch's sort turns equal rows around
def test_ties_differ_in_their_order_only(drawn: tuple[int, ...], extra: int) -> None:
    """batch_sizes and sorted lengths are torch's; without ties all is."""
    L = max(drawn) + extra
    parts = packed(drawn, L)
    ours = Call.of_lengths(drawn, L)
    assert tuple(parts[1].tolist()) == ours.batch_sizes
    assert tuple(drawn[row] for row in parts[2].tolist()) == ours.sorted_lengths
    assert describes(ours, parts) or ours.ties


def test_device_does_not_matter(device: torch.device) -> None:
    """On every device the same parts come out."""
    assert describes(Call.of_lengths((3, 5, 2), 6), packed((3, 5, 2), 6, device))


def test_the_comparison_can_fail() -> None:
    """`describes` is false for other lengths."""
    assert not describes(Call.of_lengths((3, 5, 2), 6), packed((3, 4, 2), 6))
