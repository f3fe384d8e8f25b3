"""Axes as values: names, sizes, and errors that say what to write instead."""

from __future__ import annotations

import copy
import pickle

import pytest

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory.axes import Atom, Axes, Axis
from lstm_shapes.theory.axis_tracks import account, anew, freeze, fresh, leave, marker, settle, steady, tracked


def test_axes_are_a_sequence_that_prints_as_it_is_written() -> None:
    """Indexing, slicing, joining, length, and one entry an axis in names, symbols and sizes."""
    axes = Axes.of("K·R N H", K=3, R=2, N=4, H=5)
    assert repr(axes) == "(K·R=6, N=4, H=5)"
    assert axes.names == axes.symbols == ("K·R", "N", "H")
    assert axes.sizes == (6, 4, 5)
    assert axes.formula == "(K·R, N, H)"
    assert (len(axes), axes[0].symbol, axes[-1].size) == (3, "K·R", 5)
    assert axes[1:] + axes[:1] == Axes.of("N H K·R", K=3, R=2, N=4, H=5)
    assert axes.known
    assert not Axes.of("N ?", (2, 3)).known
    assert (repr(Axes()), repr(Axes.of("N", (2,))), Axes.of("N", (2,)).formula) == ("()", "(N=2,)", "(N,)")


@pytest.mark.parametrize(
    ("names", "sizes", "atoms", "expected"),
    [
        ("K*R N", (6, 4), {"R": 2}, "(K·R=6, N=4)"),
        ("K·R", (6,), {}, "(K·R=6,)"),
        (("N", "L"), (2, 3), {}, "(N=2, L=3)"),
        ("", (), {}, "()"),
        ("N 1 ?", (2, 1, 5), {}, "(N=2, 1=1, ?=5)"),
        ("K·R", (0,), {"R": 2}, "(K·R=0,)"),
        ("R·D", (0,), {"R": 0}, "(R·D=0,)"),
    ],
)
def test_axes_of_names_and_sizes(
    names: str | tuple[str, ...], sizes: tuple[int, ...], atoms: dict[str, int], expected: str
) -> None:
    """Sizes an axis, sizes an atom, or both; ASCII spelling; nothing at all."""
    assert repr(Axes.of(names, sizes, **atoms)) == expected


@pytest.mark.parametrize(
    ("names", "sizes", "atoms", "error", "message"),
    [
        ("N L", (2, 3, 4), {}, ShapeError, "1 more needed; write \\? for an axis without a name"),
        ("N L Q", (2, 3), {}, ShapeError, r"1 too many; a 2-D tensor of one sequence is \(L, Q\)"),
        ("N L", None, {"N": 2}, ShapeError, "given a size for L. pass L=…"),
        ("K·R", (7,), {"R": 2}, ShapeError, r"axis K·R must be K=… · R=2, got 7"),
        ("N+", (7,), {}, SpecError, "a word such as N or K·R"),
        ("N", (True,), {}, SpecError, "size of axis 0 must be a whole number of at least 0, got True"),
        ("N", (2.0,), {}, SpecError, "got 2.0"),
        ("N", None, {"N": -1}, SpecError, "N must be a whole number of at least 0, got -1"),
    ],
)
def test_bad_axes_say_what_is_wrong(
    names: str, sizes: tuple[int, ...] | None, atoms: dict[str, int], error: type[Exception], message: str
) -> None:
    """Counts, sizes and names that do not fit."""
    with pytest.raises(error, match=message):
        Axes.of(names, sizes, **atoms)


def test_one_unknown_atom_makes_the_axis_unknown() -> None:
    """A composite of something known and something unknown has no name."""
    assert Axis((Atom("N", 2), Atom("?", 3))).name == "?"
    assert Axis(()).name == "?"


def test_identity_stays_in_the_process_and_out_of_comparisons() -> None:
    """Tracks tell pieces of one tensor from two; copies from elsewhere must not claim them."""
    axes = tracked(Axes.of("N L", (2, 3)))
    assert axes == Axes.of("N L", (2, 3))
    assert hash(axes) == hash(Axes.of("N L", (2, 3)))
    for other in (pickle.loads(pickle.dumps(axes)), copy.deepcopy(axes)):
        assert other == axes
        for here, there in zip(axes, other, strict=True):
            mine, copied = here.atoms[0].track, there.atoms[0].track
            assert mine is not None
            assert copied is not None
            assert (copied.token == mine.token, copied.at) == (False, mine.at)
    assert anew(axes[0].atoms[0]).track != axes[0].atoms[0].track


def test_what_left_is_on_record_until_the_record_is_too_long() -> None:
    """Two parts that stand still add up; what depends on the data equals nothing; memory stays bounded."""
    atom = fresh("D", 8)
    gone: dict[int, tuple[str, object]] = {}
    leave(gone, [atom, atom])
    assert list(gone.values()) == [("D", 0)]
    leave(gone, [atom], marker())
    leave(gone, [Atom("N", 2), fresh("L", 0)])
    assert [label for label, _ in gone.values()] == ["D", "L"]
    many: dict[int, tuple[str, object]] = dict.fromkeys(range(40), ("L", 0))
    assert len(freeze(many)) == 1
    assert freeze(many) != freeze(many)
    assert account(Axes(), []) == Axes()


def test_a_part_that_is_alone_gets_its_name_back() -> None:
    """Unless it does not step, or another part of it still moves."""
    track = fresh("D", 8).track
    assert track is not None
    part = Atom("?", 8, track)
    assert settle([Axis((part,))]).names == ("D",)
    assert settle([Axis((part,)), Axis((part,))]).names == ("?", "?")
    assert settle([Axis((part,))], {track.token: ("D", marker())}).names == ("?",)
    moved = settle([Axis((part,))], {track.token: ("D", 3)})[0].atoms[0].track
    assert moved is not None
    assert moved.at == range(3, 11)
    assert not steady((1, 1))
