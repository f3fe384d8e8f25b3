"""The primitive under slicing, flipping, rolling, repeating and masking: visit these positions of an axis.

`pick(axis, positions)` says what the axis is called when only these positions are visited, in this order. A
single atom keeps its name as long as every step changes the coordinate. A composite keeps its names where the
positions are again a row-major product: a half of R·D is D, every second of K·R is K. Anything else is `?`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from lstm_shapes.theory._origins import Atom, Steps, compact, factors, injective, steady
from lstm_shapes.theory.axes import Axis, unknown

__all__ = ["pick", "positions_of", "rows_of"]


def positions_of(key: slice, size: int) -> range:
    """The positions that a slice visits.

    >>> positions_of(slice(None, None, 2), 5)
    range(0, 5, 2)
    """
    return range(*key.indices(size))


def pick(axis: Axis, positions: Steps) -> tuple[Axis, tuple[Atom, ...]]:
    """The axis that visits these positions, and the atoms of it that now stand still.

    >>> from lstm_shapes.theory.axes import Axes
    >>> halves = Axes.of("R·D", R=2, D=8)[0]
    >>> pick(halves, range(8))[0], pick(halves, range(0, 16, 2))[0], pick(halves, range(3, 9))[0]
    (D=8, R·D=8, ?=6)
    """
    positions = compact(positions)
    if positions == range(axis.size):
        return axis, ()
    if not axis.atoms:
        return unknown(len(positions)), ()
    if len(positions) == 0:
        first, *rest = axis.atoms
        return Axis((_take(first, range(0)), *rest)), ()
    atoms = rows_of(axis.atoms[0], len(positions), positions) if len(axis.atoms) == 1 else axis.atoms
    found = _product(atoms, positions)
    if found is None:
        return unknown(len(positions)), ()
    taken = [_take(atom, at) for atom, at in zip(atoms, found, strict=True)]
    moving = tuple(atom for atom in taken if atom.size > 1)
    if not moving or len(taken) == 1:
        # One position of the whole axis: its name is true of a single step, whatever it is called.
        return Axis(tuple(taken)), ()
    if any(not injective(at) for at in found):
        # A product counts each pair of coordinates once.
        return unknown(len(positions)), ()
    return Axis(moving), tuple(atom for atom in taken if atom.size == 1)


def rows_of(atom: Atom, inner: int, positions: Steps) -> tuple[Atom, ...]:
    """A made axis in rows as long as a block of it that is taken: all gates of a cell run along the same D.

    >>> from lstm_shapes.theory._origins import whole
    >>> rows_of(whole("", 20, made=True), 5, range(5, 10)), rows_of(whole("D", 20), 5, range(5, 10))
    ((?=4, ?=5), (D=20,))
    """
    at = atom.at
    if not atom.origin.made or atom.part or inner < 2 or not (isinstance(at, range) and isinstance(positions, range)):
        return (atom,)
    if {at.step, positions.step} != {1} or at.start % inner or at.stop % inner or positions.start % inner:
        return (atom,)
    row, element = factors(atom.origin, inner)
    return Atom(row, range(at.start // inner, at.stop // inner)), Atom(element, range(inner))


def _product(atoms: tuple[Atom, ...], positions: Steps) -> list[Steps] | None:
    """For each atom the positions it takes, where they form a row-major product; else None."""
    if len(atoms) == 1:
        return [positions]
    inner = prod(atom.size for atom in atoms[1:])
    cut = _cut_range(inner, positions) if isinstance(positions, range) else _cut_list(inner, positions)
    if cut is None:
        return None
    outer, rest = cut
    below = _product(atoms[1:], compact(rest))
    return None if below is None else [compact(outer), *below]


def _cut_range(inner: int, positions: range) -> tuple[Steps, Steps] | None:
    """Split evenly spaced positions into those of the outer atom and those of everything inside it."""
    if positions.step < 0:
        back = _cut_range(inner, positions[::-1])
        return None if back is None else (back[0][::-1], back[1][::-1])
    first, last, step, n = positions[0], positions[-1], positions.step, len(positions)
    if first // inner == last // inner:
        return (first // inner,), range(first % inner, last % inner + 1, step)
    if step % inner == 0:
        return range(first // inner, last // inner + 1, step // inner), (first % inner,)
    if inner % step == 0 and first % inner < step and n % (inner // step) == 0:
        return range(first // inner, last // inner + 1), range(first % inner, inner, step)
    return None


def _cut_list(inner: int, positions: Sequence[int]) -> tuple[Steps, Steps] | None:
    """The same for positions in any order: blocks of one outer position with one row of inner ones."""
    run = 1
    while run < len(positions) and positions[run] // inner == positions[0] // inner:
        run += 1
    row = [at % inner for at in positions[:run]]
    outer = [at // inner for at in positions[::run]]
    # One row of inner positions in one block would leave nothing to prove; several must all be the same.
    if [block * inner + at for block in outer for at in row] != list(positions):
        return None
    return tuple(outer), tuple(row)


def _take(atom: Atom, positions: Steps) -> Atom:
    """The atom that visits these positions of it."""
    if atom.origin.blank:
        return replace(atom, at=range(len(positions)))
    at = compact(_visit(atom.at, positions))
    cut = len(at) > 1 and positions != range(atom.size)[::-1]
    # Which part of a product this is depends on factors that nobody gave; part of a packed axis can not be padded back.
    if (atom.origin.opaque and cut) or atom.origin.packed is not None or not steady(at):
        return unknown(len(at)).atoms[0]
    return replace(atom, at=at)


def _visit(at: Steps, positions: Steps) -> Steps:
    if isinstance(at, range) and isinstance(positions, range):
        if not positions:
            return range(0)
        step = at.step * positions.step
        start = at[positions[0]]
        return range(start, start + len(positions) * step, step)
    return tuple(at[position] for position in positions)
