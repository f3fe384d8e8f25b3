"""Axes as values: names, sizes, and errors that say what to write instead."""

from __future__ import annotations

import copy
import pickle

import pytest

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory.axes import (
    Atom,
    Axes,
    Axis,
    Fixed,
    Naming,
    Origin,
    changes_every_step,
    factors,
    fix,
    forget,
    forgotten,
    freeze,
    made,
    relabelled,
    settle,
    whole,
)


def test_axes_are_a_sequence_that_prints_as_it_is_written() -> None:
    """Indexing, slicing, joining, length, and one entry an axis in names and sizes."""
    axes = Axes.of("K·R N H", K=3, R=2, N=4, H=5)
    assert repr(axes) == "(K·R=6, N=4, H=5)"
    assert axes.names == ("K·R", "N", "H")
    assert axes.sizes == (6, 4, 5)
    assert axes.formula == "(K·R, N, H)"
    assert (len(axes), axes[0].name, axes[-1].size) == (3, "K·R", 5)
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
        ("N 1 ?", (2, 1, 5), {}, "(N=2, 1, ?=5)"),
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
        ("N, L", (7, 5), {}, SpecError, r"got 'N,'. Names stand apart by blanks: \"N L Q\""),
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
    """A composite of something known and something unknown has no name; a product of nothing is new."""
    assert Axis((whole("N", 2), whole("?", 3))).name == "?"
    assert (Axis().name, Axis().size) == ("1", 1)


def test_identity_stays_in_the_process_and_out_of_comparisons() -> None:
    """Origins tell pieces of one tensor from two; copies from elsewhere must not claim them."""
    axes = Axes.of("N L", (2, 3))
    assert axes == Axes.of("N L", (2, 3))
    assert hash(axes) == hash(Axes.of("N L", (2, 3)))
    for other in (pickle.loads(pickle.dumps(axes)), copy.deepcopy(axes)):
        assert other == axes
        for here, there in zip(axes, other, strict=True):
            assert here.atoms[0].origin is not there.atoms[0].origin
            assert here.atoms[0].at == there.atoms[0].at


def test_what_left_is_on_record_until_the_record_is_too_long() -> None:
    """Two parts that stand still add up; what depends on the data equals nothing; memory stays bounded."""
    atom = whole("D", 8)
    gone: Fixed = {}
    fix(gone, [atom, atom])
    assert list(gone.values()) == [0]
    fix(gone, [atom], forgotten())
    fix(gone, [whole("N", 2), whole("L", 0)])
    assert [origin.name for origin in gone] == ["D", "N", "L"]
    many: Fixed = {Origin("L"): 0 for _ in range(40)}
    assert len(freeze(many)) == 1
    assert freeze(many) != freeze(many)
    assert forget(Axes(), []) == Axes()


def test_a_part_that_is_alone_gets_its_name_back() -> None:
    """Unless it does not step, or another part of it still moves."""
    origin = Origin("D")
    part = Axis((Atom(origin, range(8), part=True),))
    assert settle([part]).names == ("D",)
    assert settle([part, part]).names == ("?", "?")
    assert settle([part], {origin: forgotten()}).names == ("?",)
    assert settle([part], {origin: 3})[0].atoms[0].at == range(3, 11)
    assert not changes_every_step((1, 1))


def test_rows_of_a_made_axis_share_what_runs_along_them() -> None:
    """The gates of a cell are rows of one axis: all have one D, and side by side they are that axis again."""
    gates = made(20)
    gate, unit = factors(gates.atoms[0].origin, 5)
    again = Axis((Atom(gate, range(4)), Atom(unit, range(5))))
    assert again.same(gates)
    assert Axis((Atom(gate, range(1, 4)), Atom(unit, range(5)))).atoms[0].at == range(5, 20)
    assert len(Axis((Atom(gate, (0, 2)), Atom(unit, range(5)))).atoms) == 2
    assert len(Axis((Atom(gate, range(4)), Atom(unit, range(3)))).atoms) == 2


# ---------------------------------------------------------------- names that are given last


def test_an_axis_is_named_by_what_reads_it() -> None:
    """Tensors that were made before have the name too, also under another label."""
    naming = Naming()
    x = Axes(tuple(Axis((Atom(Origin(naming=naming), range(size)),)) for size in (2, 5)))
    other = relabelled(x[1].atoms[0].origin)
    assert x.names == ("?", "?")
    assert naming.bind(x[0].atoms[0].origin, "N")
    assert naming.bind(x[1].atoms[0].origin, "L")
    assert (x.names, other.name, naming.conflicts) == (("N", "L"), "L", [])


def test_two_names_for_one_axis_are_a_conflict_with_both_places() -> None:
    """The first stays, and is bound again without complaint; each conflict is told once."""
    naming = Naming()
    axis = Origin(naming=naming)
    naming.where = "line 3"
    naming.bind(axis, "N")
    naming.bind(axis, "N")
    for _ in range(2):
        assert not naming.bind(axis, "L", "line 5")
    (conflict,) = naming.conflicts
    assert (conflict.name, conflict.where, conflict.other, conflict.other_where) == ("N", "line 3", "L", "line 5")


def test_what_a_person_named_stays_so() -> None:
    """A layer that reads it as another axis is a conflict; a weight's features and blanks are nobody's to name."""
    naming, given = Naming(), Origin("L")
    assert not naming.bind(given, "N", "line 2")
    assert [(one.name, one.where, one.other) for one in naming.conflicts] == [("L", None, "N")]
    assert not naming.bind(Origin(made=True), "Q")
    assert not naming.bind(Origin("?"), "Q")
    assert len(naming.conflicts) == 1


def test_axes_that_meet_are_called_alike_from_then_on() -> None:
    """Whichever is named first, in whatever order they met; two that are named differently are a conflict."""
    naming = Naming()
    a, b, c = (Origin(naming=naming) for _ in range(3))
    naming.meet(a, b)
    naming.meet(c, b)
    naming.meet(a, c)
    naming.bind(b, "N")
    assert (a.name, b.name, c.name) == ("N", "N", "N")
    late, person = Origin(naming=naming), Origin("L")
    naming.meet(person, late)
    assert late.name == "L"
    naming.meet(late, a)
    assert [(one.name, one.other) for one in naming.conflicts] == [("L", "N")]
    naming.meet(late, Origin("?"))
    naming.meet(late, Origin("fc", made=True))
    assert len(naming.conflicts) == 1
