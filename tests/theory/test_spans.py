"""theory/spans.py: answers about ranges, held against their members one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes.theory.spans import below, covers, outside

ranges = st.builds(range, st.integers(0, 12), st.integers(0, 24), st.integers(1, 6))


@given(ranges, st.integers(0, 24))
def test_below_keeps_the_members_below(found: range, stop: int) -> None:
    """The same members as counted one by one."""
    assert list(below(found, stop)) == [place for place in found if place < stop]


@given(ranges, st.lists(st.integers(0, 24)))
def test_outside_sees_every_member_that_is_not_shown(found: range, shown: list[int]) -> None:
    """Whether the set of members is larger than what is shown of it."""
    assert outside(found, shown) == bool(set(found) - set(shown))


@given(st.lists(ranges, max_size=5), st.integers(1, 24))
def test_covers_is_a_union(found: list[range], count: int) -> None:
    """All positions below count are in one of the ranges."""
    assert covers(found, count) == (set(range(count)) <= {place for one in found for place in one})


@pytest.mark.parametrize(
    ("steps", "whole"), [([(0, 2), (1, 2)], True), ([(0, 2), (1, 4), (3, 4)], True), ([(0, 2), (1, 4)], False)]
)
def test_covers_takes_no_longer_for_a_billion(steps: list[tuple[int, int]], whole: bool) -> None:
    """Progressions that interlock, without counting them out."""
    assert covers([range(start, 10**9, step) for start, step in steps], 10**9) == whole
