"""Operations that visit positions of axes and compute nothing: permute, squeeze, select, flip, roll, repeat, …

`pick` is under all of them: what an axis is called when only these positions are visited, in this order. A single
atom keeps its name as long as every step changes the coordinate. A composite keeps its names where the positions are
again a row-major product: a half of R·D is D, every second of K·R is K. Anything else is `?`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from lstm_shapes.theory.axes import (
    COPIES,
    DESCRIBED_COPIES,
    MOST,
    NEW_AXIS,
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Steps,
    compact,
    factors,
    forgotten,
    joined,
    shifted,
    steady,
    unknown,
    whole,
)

from .table import Answer, describing, dims_of, resized, rule


# ---------------------------------------------------------------- positions of one axis
def pick(axis: Axis, positions: Steps) -> tuple[Axis, tuple[Atom, ...]]:
    """The axis that visits these positions, and the atoms of it that now stand still.

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
    each = _product([atom.size for atom in atoms], positions)
    if each is None:
        return unknown(len(positions)), ()
    taken = tuple(map(_take, atoms, each))
    if len(positions) == 1 or len(taken) == 1:
        # One position of the whole axis: its name is true of a single step, whatever it is called.
        return Axis(taken), ()
    return Axis(tuple(atom for atom in taken if atom.size > 1)), tuple(atom for atom in taken if atom.size == 1)


def rows_of(atom: Atom, inner: int, positions: Steps) -> tuple[Atom, ...]:
    """A made axis in rows as long as a block of it that is taken: all gates of a cell run along the same D."""
    at = atom.at
    if not atom.origin.made or atom.part or inner < 2 or not (isinstance(at, range) and isinstance(positions, range)):
        return (atom,)
    if {at.step, positions.step} != {1} or at.start % inner or at.stop % inner or positions.start % inner:
        return (atom,)
    row, element = factors(atom.origin, inner)
    return Atom(row, range(at.start // inner, at.stop // inner)), Atom(element, range(inner))


def _product(sizes: Sequence[int], positions: Steps) -> list[Steps] | None:
    """For each factor of an axis the positions it takes, where they form a row-major product; else None."""
    if len(sizes) == 1:
        return [positions]
    if not isinstance(positions, range):
        return None
    inner = prod(sizes[1:])
    block = positions[0] // inner
    # So many positions stand in the first block of the outer factor; each further block must have the same row.
    run = bisect_left(positions, True, key=lambda position: position // inner != block)
    row, heads = shifted(positions[:run], -block * inner), positions[::run]
    step = heads.step // inner if len(heads) > 1 else 1
    if len(heads) > 1 and (heads.step % inner or len(positions) % run):
        return None
    below = _product(sizes[1:], row)
    return None if below is None else [range(block, block + len(heads) * step, step), *below]


def _take(atom: Atom, positions: Steps) -> Atom:
    """The atom that visits these positions of it."""
    if atom.origin.blank:
        return replace(atom, at=range(len(positions)))
    if isinstance(atom.at, range) and isinstance(positions, range) and positions:
        start, step = atom.at[positions[0]], atom.at.step * positions.step
        at: Steps = range(start, start + len(positions) * step, step)
    else:
        at = compact(tuple(atom.at[position] for position in positions))
    cut = len(at) > 1 and positions != range(atom.size)[::-1]
    # Which part of a product this is depends on factors that nobody gave; part of a packed axis can not be padded back.
    if (atom.origin.opaque and cut) or atom.origin.packed is not None or not steady(at):
        return whole(UNKNOWN, len(at))
    return replace(atom, at=at)


def take(axes: Axes, dim: int, positions: Steps | None, size: int = 0) -> Axes:
    """Some positions of one axis, in this order; None stands for positions that are too many to write out."""
    if positions is None:
        return axes.changed(axes.put(dim, unknown(size)), axes[dim].atoms, forgotten())
    axis, still = pick(axes[dim], positions)
    return axes.changed(axes.put(dim, axis), still)


# ---------------------------------------------------------------- axes in another order, more of them, fewer
@rule("permute")
def permute(input: Axes, *order: Any, dims: Any = ()) -> Axes:
    return Axes(tuple(input[dim] for dim in dims_of(*order or (dims,))), input.fixed)


@rule("transpose swapaxes swapdims")
def transpose(input: Axes, dim0: int = 0, dim1: int = 0, **other: int) -> Axes:
    order = list(range(len(input)))
    a, b = other.get("axis0", dim0), other.get("axis1", dim1)
    if order:
        order[a], order[b] = order[b], order[a]
    return permute(input, order)


@rule("movedim moveaxis")
def movedim(input: Axes, source: Any, destination: Any) -> Axes:
    rank = len(input)
    pairs = zip(dims_of(source), dims_of(destination), strict=True)
    placed = {to % rank: dim % rank for dim, to in pairs}
    rest = iter(dim for dim in range(rank) if dim not in placed.values())
    return permute(input, [placed[to] if to in placed else next(rest) for to in range(rank)])


@rule("squeeze")
def squeeze(input: Axes, *dims: Any, dim: Any = ()) -> Axes:
    """Axes of size 1 removed: all of them, or those named."""
    named = dims_of(*dims or (dim,))
    wanted = {at % len(input) for at in named} if named else set(range(len(input)))
    gone = [axis for at, axis in enumerate(input) if at in wanted and axis.size == 1]
    rows = [axis for at, axis in enumerate(input) if at not in wanted or axis.size != 1]
    return input.changed(rows, [atom for axis in gone for atom in axis.atoms])


@rule("unsqueeze")
def unsqueeze(input: Axes, dim: int) -> Axes:
    at = dim % (len(input) + 1)
    return Axes((*input.axes[:at], NEW_AXIS, *input.axes[at:]), input.fixed)


@rule("select")
def select(input: Axes, dim: int, index: int) -> Axes:
    """One position of one axis: the axis is gone."""
    place = int(index) % input[dim].size
    return squeeze(take(input, dim, range(place, place + 1)), dim)


@rule("narrow")
def narrow(input: Axes, dim: int, start: Any, length: int) -> Axes:
    return take(input, dim, range(input[dim].size)[int(start) :][:length])


@rule("split chunk tensor_split split_with_sizes unsafe_split unsafe_chunk")
def split(input: Axes, *how: Any, out: Sequence[tuple[int, ...]], dim: int = 0, **_: object) -> Answer:
    """Pieces of an axis, one after the other; how long each is, is seen in the result."""
    dim = how[1] if len(how) > 1 else dim
    start, pieces = 0, []
    for sizes in out:
        pieces.append(take(input, dim, range(start, start + sizes[dim])))
        start += sizes[dim]
    return pieces


@rule("flip")
def flip(input: Axes, *order: Any, dims: Any = ()) -> Axes:
    """Axes read backwards: the coordinates are the same, their order is not."""
    for dim in dims_of(*order or (dims,)):
        input = take(input, dim, range(input[dim].size)[::-1])
    return input


_RESPELLED: dict[str, Callable[..., Answer]] = {
    "t T H adjoint": lambda x, *_: permute(x, range(len(x))[::-1]) if len(x) <= 2 else None,
    # Windows: which one it is, and the step inside one, run along one coordinate together.
    "Tensor.unfold": lambda x, dim, size, step, *, out: x.changed(
        (*resized(x, {dim: out[dim % len(x)]}), unknown(size))
    ),
    "mT mH": lambda x, *_: transpose(x, -2, -1),
    "unbind __iter__": lambda x, dim=0: [select(x, dim, at) for at in range(x[dim].size)],
    "fliplr": lambda x: flip(x, 1),
    "flipud __reversed__": lambda x: flip(x, 0) if x else x,
}
for _names, _function in _RESPELLED.items():
    rule(_names)(_function)


# ---------------------------------------------------------------- copies
@rule("expand broadcast_to expand_as")
def expand(input: Axes, *_: object, out: tuple[int, ...], **__: object) -> Axes:
    """Axes of size 1 stretched: stepping along them changes nothing, they lose their name."""
    front = len(out) - len(input)
    pairs = list(zip(input, out[front:], strict=True))
    rows = [axis if size == axis.size else _copies(size) for axis, size in pairs]
    return input.changed(
        [*map(_copies, out[:front]), *rows], [atom for axis, size in pairs if size != axis.size for atom in axis.atoms]
    )


def _copies(size: int) -> Axis:
    if size == 1:
        return NEW_AXIS
    return Axis((Atom(DESCRIBED_COPIES if describing.get() else COPIES, range(size)),))


@rule("repeat tile")
def repeat(input: Axes, *repeats: Any, dims: Any = (), **other: Any) -> Axes:
    """Whole copies one after the other along each axis."""
    given = dims_of(*repeats or (other.get("repeats", dims),))
    times = (1,) * (len(input) - len(given)) + given
    front = len(times) - len(input)
    for dim, n in enumerate(times[front:]):
        size = input[dim].size
        if size == 1 and n > 1:
            input = input.changed(input.put(dim, _copies(n)), input[dim].atoms)
        elif n != 1:
            input = take(input, dim, joined([range(size)] * n) if size * n <= MOST else None, size * n)
    return input.changed((*map(_copies, times[:front]), *input.axes))


@rule("repeat_interleave")
def repeat_interleave(input: Axes, repeats: Any, dim: int | None = None, *, out: tuple[int, ...], **_: object) -> Axes:
    """Each position several times in a row: a step may change nothing, so the name goes where `repeats` > 1."""
    if dim is None:
        return Axes((unknown(out[0]),), input.fixed)
    if not isinstance(repeats, int):
        return resized(input, {dim: out[dim]})
    at = tuple(at for at in range(input[dim].size) for _ in range(repeats)) if out[dim] <= MOST else None
    return take(input, dim, at, out[dim])
