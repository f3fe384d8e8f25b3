"""The staircase says what `Call` says of packed rows, and fits a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given

from lstm_shapes._views.pictures import packing_blocks, staircase
from lstm_shapes.display.page import Page
from lstm_shapes.testing import lengths
from lstm_shapes.theory.call import Call
from tests.snapshot import Snapshot, as_text


def numbers(text: str) -> list[int]:
    return sorted(int(word) for line in text.splitlines()[1:-1] for word in line.split(")")[1].split() if word != "·")


@given(lengths(most=8))
def test_every_place_of_data_is_drawn_once(drawn: tuple[int, ...]) -> None:
    """Small staircases hold each index of data once, and the padding as often as it is there."""
    packing = Call.of_lengths(drawn)
    text = staircase(packing, width=200)
    assert numbers(text) == list(range(packing.T))
    assert text.count("·") == packing.saved


@given(lengths(most=8))
def test_a_cell_is_the_place_of_that_step(drawn: tuple[int, ...]) -> None:
    """Row r, step s shows where (r, s) stands in data: step by step, longest row first."""
    packing = Call.of_lengths(drawn)
    entries = [(row, step) for step, n in enumerate(packing.batch_sizes) for row in packing.sorted_indices[:n]]
    places = {entry: place for place, entry in enumerate(entries)}
    for line in staircase(packing, width=200).splitlines()[1:-1]:
        head, _, cells = line.partition(")")
        row = int(head.split()[1])
        found = [int(word) for word in cells.split() if word != "·"]
        assert found == [places[row, step] for step in range(drawn[row])]


def test_last_line_is_batch_sizes() -> None:
    """The bottom line is batch_sizes, and steps of pure padding have none."""
    assert staircase(Call.of_lengths((3, 5, 2), L=7)).splitlines()[-1].split()[1:] == ["3", "3", "2", "1", "1"]


@pytest.mark.parametrize(
    ("drawn", "L"), [((4,) * 3, 4), ((10**9, 1), None), (tuple(range(1, 500)), 2_000), ((7,), 10**12)]
)
def test_large_ones_are_elided(drawn: tuple[int, ...], L: int | None) -> None:
    """However large, it has a screen's size, without making an entry for each step."""
    text = as_text(Page("", "", packing_blocks(Call.of_lengths(drawn, L))), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert len(text.splitlines()) <= 40


def test_elided_steps_and_rows_are_marked() -> None:
    """What is left out is marked in its row and its column."""
    text = staircase(Call.of_lengths(tuple(range(1, 41))), width=60, rows=5)
    assert "⋮" in text.splitlines()
    assert all("…" in line for line in text.splitlines() if line != "⋮")
    assert len(text.splitlines()) == 7


def test_page(snapshot: Snapshot) -> None:
    """What a person sees for a small batch, ties mentioned."""
    text = snapshot("small", Page("", "", packing_blocks(Call.of_lengths((3, 5, 2, 3), L=6))))
    assert "torch may put equally long rows in another order" in " ".join(text.split())
    assert numbers("\n".join(text.split("data\n")[1].split("\n\n")[0].splitlines())) == list(range(13))
