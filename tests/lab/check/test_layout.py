"""Where samples lie in a tensor, and which views cut across them, held to a tensor of the elements' owners."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lstm_shapes.lab.check._layout import SampleAxis, Track, cuts
from tests.scale import examples


def owners(shape: Sequence[int], axis: int, N: int, repeat: int) -> Tensor:
    """A tensor whose elements are the numbers of the samples that they belong to."""
    sizes = [1] * len(shape)
    sizes[axis] = shape[axis]
    return ((torch.arange(shape[axis]) // repeat) % N).view(sizes).expand(*shape).contiguous()


def kept_apart(viewed: Tensor, N: int) -> bool:
    """Whether one axis of a view says alone whose an element is, or several do whose places number the samples."""
    decides = [a for a in range(viewed.dim()) if bool((viewed != viewed.narrow(a, 0, 1)).any())]
    if len(decides) < 2:
        return True
    places = viewed[tuple(slice(None) if a in decides else 0 for a in range(viewed.dim()))]
    return places.numel() == len(places.unique()) == N


def all_shapes(count: int, most: int = 4) -> list[tuple[int, ...]]:
    """Every shape of at most `most` axes without an axis of size one."""
    if most == 1 or count == 1:
        return [(count,)]
    found: list[tuple[int, ...]] = [(count,)]
    for first in range(2, count):
        if count % first == 0:
            found += [(first, *rest) for rest in all_shapes(count // first, most - 1)]
    return found


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], int, int]:
    """(shape, axis, N) of a tensor whose axis is N alone."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    N = draw(st.integers(2, 8))
    axis = draw(st.integers(0, len(shape)))
    return (*shape[:axis], N, *shape[axis:]), axis, N


@example(((4, 8, 3), 1, 8))  # hn.view(N, -1): K·R = 4 and N = 8 look apart by boundaries alone
@example(((2, 6, 3), 1, 6))
@given(layouts())
@settings(max_examples=examples(60), deadline=None)
def test_a_view_cuts_where_no_axes_of_it_number_the_samples(case: tuple[tuple[int, ...], int, int]) -> None:
    """For every shape of as many elements the rule on boundaries says what the elements' owners say."""
    shape, axis, N = case
    own = owners(shape, axis, N, 1)
    layout = SampleAxis(axis, N, prod(shape[axis + 1 :]), 1)
    for new in all_shapes(own.numel()):
        assert cuts(layout, new) is not kept_apart(own.view(new), N), (shape, new)


@given(layouts())
@settings(max_examples=examples(40), deadline=None)
def test_a_view_to_the_same_shape_or_with_axes_of_one_cuts_nothing(case: tuple[tuple[int, ...], int, int]) -> None:
    """Axes of size one, one axis for all elements, and each axis by itself."""
    shape, axis, N = case
    layout = SampleAxis(axis, N, prod(shape[axis + 1 :]), 1)
    assert not cuts(layout, shape)
    assert not cuts(layout, (1, *shape, 1))
    assert not cuts(layout, (prod(shape),))


@pytest.mark.parametrize(
    ("shape", "axis", "new", "cut"),
    [
        ((2, 6, 5), 1, (6, 10), True),  # hn.view(N, -1)
        ((4, 8, 5), 1, (8, 20), True),  # the same where K·R divides N
        ((6, 7, 5), 0, (42, 5), False),  # out.view(-1, D)
        ((6, 7, 5), 0, (7, 6, 5), True),  # out.view(L, N, D)
        ((6, 20), 0, (4, 6, 5), True),  # gates.view(4, N, -1)
        ((6, 20), 0, (6, 4, 5), False),
        ((6, 5), 0, (2, 3, 5), False),  # the batch in groups
        ((6, 5), 0, (3, 10), True),  # two samples in a row
        ((7, 6, 5), 1, (7, 30), False),  # each step's samples side by side
        ((7, 6, 5), 1, (6, 7, 5), True),
    ],
)
def test_known_views(shape: tuple[int, ...], axis: int, new: tuple[int, ...], cut: bool) -> None:
    """The views of issues and forums, with the batch of six or eight samples."""
    layout = SampleAxis(axis, shape[axis], prod(shape[axis + 1 :]), 1)
    assert cuts(layout, new) is cut


# ---------------------------------------------------------------------- layouts from what moved
def tracked(own: Tensor, N: int, samples: Sequence[int]) -> Track:
    """The track of a tensor of owners in which some samples were replaced."""
    track = Track(tuple(own.shape), N)
    for s in samples:
        track.add(s, own == s)
    return track


@given(layouts(), st.integers(1, 3), st.integers(1, 3), st.booleans())
@settings(max_examples=examples(60), deadline=None)
def test_a_layout_is_read_from_what_moved(
    case: tuple[tuple[int, ...], int, int], repeat: int, times: int, few: bool
) -> None:
    """Samples side by side (repeat) or over and over (times) on one axis: the layout names every element's owner."""
    shape, axis, N = case
    shape = (*shape[:axis], N * repeat * times, *shape[axis + 1 :])
    own = owners(shape, axis, N, repeat)
    track = tracked(own, N, sorted({0, 1, N - 1}) if few else range(N))
    assert not track.mixed
    layout = track.layout()
    assert layout is not None
    element = torch.arange(own.numel())
    said = ((element // layout.inner) % N).view(own.shape)
    for s in track.touched:
        assert bool(((said == s) == (own == s)).all()), (shape, repeat, times)


def test_places_and_order() -> None:
    """Rows in their places, rows sorted, and rows that hold the wrong sample."""
    own = torch.tensor([2, 0, 3, 1, 4]).view(5, 1).expand(5, 3)
    track = tracked(own, 5, range(5))
    assert track.places() == {0: 1, 1: 3, 2: 0, 3: 2, 4: 4}
    assert not track.in_place()
    assert track.layout() is None
    right = tracked(owners((5, 3), 0, 5, 1), 5, range(5))
    assert right.in_place()
    assert right.places() == {s: s for s in range(5)}


def test_two_samples_in_one_element_meet() -> None:
    """An element that moved with two samples is mixed, and has no layout."""
    track = Track((4, 3), 4)
    track.add(0, torch.tensor([[1, 0, 0]] + [[0, 0, 0]] * 3, dtype=torch.bool))
    track.add(1, torch.tensor([[1, 0, 0]] + [[0, 1, 0]] + [[0, 0, 0]] * 2, dtype=torch.bool))
    assert track.meeting
    assert track.mixed
    assert track.layout() is None


def test_scrambled_samples_have_no_axis() -> None:
    """hn.view(N, -1): elements of several samples on every index of each axis."""
    own = owners((2, 6, 5), 1, 6, 1).view(6, 10)
    track = tracked(own, 6, range(6))
    assert track.mixed
    assert not track.meeting


@pytest.mark.parametrize("N", [3, 4, 7])
def test_similarities_are_pairs(N: int) -> None:
    """A table of N × N where sample s moves its row and its column is no mixture."""
    track = Track((N, N), N)
    for s in range(N):
        moved = torch.zeros(N, N, dtype=torch.bool)
        moved[s] = moved[:, s] = True
        track.add(s, moved)
    assert track.paired
    assert not track.mixed
    one = Track((N, N), N)
    for s in range(N):
        one.add(s, torch.ones(N, N, dtype=torch.bool))
    assert one.mixed


def test_what_cannot_be_compared_is_unknown() -> None:
    """No comparison is no evidence, and a sample that moved nothing is not touched."""
    track = Track((4, 3), 4)
    track.add(0, None)
    track.add(1, torch.zeros(4, 3, dtype=torch.bool))
    assert track.unknown
    assert not track.touched
    assert not track.mixed
    assert track.layout() is None
