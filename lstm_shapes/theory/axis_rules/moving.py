"""Operations that move axes about without touching what is inside: transpose, permute, squeeze, flip, …

Each takes the axes of its input and the arguments of the torch function of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from lstm_shapes.theory.axes import NEW, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules.picking import at_dim, pick, unknown
from lstm_shapes.theory.axis_tracks import MOST, Steps, joined, leave, marker, settle

__all__ = [
    "expand",
    "flip",
    "len_of",
    "movedim",
    "permute",
    "repeat",
    "repeat_interleave",
    "roll",
    "rot90",
    "squeeze",
    "take",
    "transpose",
    "unsqueeze",
]

NEW_AXIS = Axis((Atom(NEW, 1),))


def permute(axes: Axes, dims: Sequence[int]) -> Axes:
    """The axes in another order.

    >>> permute(Axes.of("N L Q", (2, 20, 28)), (2, 0, 1))
    (Q=28, N=2, L=20)
    """
    return Axes(tuple(axes[at_dim(axes, dim)] for dim in dims), axes.fixed)


def transpose(axes: Axes, dim0: int, dim1: int) -> Axes:
    """Two axes exchanged.

    >>> transpose(Axes.of("N L Q", (2, 20, 28)), 0, 1)
    (L=20, N=2, Q=28)
    """
    if not axes:
        return axes
    order = list(range(len(axes)))
    a, b = at_dim(axes, dim0), at_dim(axes, dim1)
    order[a], order[b] = order[b], order[a]
    return permute(axes, order)


def movedim(axes: Axes, source: Sequence[int], destination: Sequence[int]) -> Axes:
    """Axes moved to new places, the others in their old order.

    >>> movedim(Axes.of("N L Q", (2, 20, 28)), (0,), (-1,))
    (L=20, Q=28, N=2)
    """
    placed = {at_dim(axes, to): at_dim(axes, dim) for dim, to in zip(source, destination, strict=True)}
    rest = iter(dim for dim in range(len(axes)) if dim not in placed.values())
    return permute(axes, [placed[to] if to in placed else next(rest) for to in range(len(axes))])


def squeeze(axes: Axes, dims: Sequence[int] | None = None) -> Axes:
    """Axes of size 1 removed: all of them, or those named.

    >>> squeeze(Axes.of("N 1 Q", (2, 1, 28)))
    (N=2, Q=28)
    """
    wanted = range(len(axes)) if dims is None else {at_dim(axes, dim) for dim in dims}
    gone = dict(axes.fixed)
    rows = []
    for dim, axis in enumerate(axes):
        if dim in wanted and axis.size == 1:
            leave(gone, axis.atoms)
        else:
            rows.append(axis)
    return settle(rows, gone)


def unsqueeze(axes: Axes, dim: int) -> Axes:
    """A new axis of size 1, called `1`.

    >>> unsqueeze(Axes.of("N Q", (2, 28)), 1)
    (N=2, 1=1, Q=28)
    """
    at = at_dim(axes, dim, extra=1)
    return Axes((*axes.axes[:at], NEW_AXIS, *axes.axes[at:]), axes.fixed)


def take(axes: Axes, dim: int, positions: Steps) -> Axes:
    """Some positions of one axis, in this order: narrow, index_select, a piece of split.

    >>> take(Axes.of("N L", (2, 20)), 1, range(5))
    (N=2, L=5)
    """
    at = at_dim(axes, dim)
    axis, still = pick(axes[at], positions)
    gone = dict(axes.fixed)
    leave(gone, still)
    return settle((*axes.axes[:at], axis, *axes.axes[at + 1 :]), gone)


def _take_long(axes: Axes, dim: int, positions: Steps | None, size: int) -> Axes:
    """take; where the positions are too many to write out, the axis is unknown and its coordinates are lost."""
    if positions is not None:
        return take(axes, dim, positions)
    at = at_dim(axes, dim)
    gone = dict(axes.fixed)
    leave(gone, axes[at].atoms, marker())
    return settle((*axes.axes[:at], unknown(size), *axes.axes[at + 1 :]), gone)


def flip(axes: Axes, dims: Sequence[int]) -> Axes:
    """Axes read backwards: the coordinates are the same, their order is not.

    >>> flip(Axes.of("N L", (2, 20)), (1,))
    (N=2, L=20)
    """
    for dim in dims:
        axes = take(axes, dim, range(axes[at_dim(axes, dim)].size)[::-1])
    return axes


def roll(axes: Axes, shifts: Sequence[int], dims: Sequence[int]) -> Axes:
    """Axes read from another start, round the end.

    >>> roll(Axes.of("N L", (2, 20)), (1,), (1,))
    (N=2, L=20)
    """
    for shift, dim in zip(shifts, dims, strict=True):
        size = axes[at_dim(axes, dim)].size
        start = -shift % size if size else 0
        axes = _take_long(axes, dim, joined([range(start, size), range(start)]), size)
    return axes


def rot90(axes: Axes, k: int, dims: Sequence[int]) -> Axes:
    """Quarter turns in the plane of two axes.

    >>> rot90(Axes.of("N L", (2, 20)), 1, (0, 1))
    (L=20, N=2)
    """
    a, b = (at_dim(axes, dim) for dim in dims)
    for _ in range(k % 4):
        axes = transpose(flip(axes, (b,)), a, b)
    return axes


def expand(axes: Axes, sizes: Sequence[int]) -> Axes:
    """Axes of size 1 stretched: stepping along them changes nothing, so they lose their name.

    >>> expand(Axes.of("N 1 Q", (2, 1, 28)), (-1, 5, 28))
    (N=2, ?=5, Q=28)
    """
    front = len(sizes) - len(axes)
    rows = [NEW_AXIS if size == 1 else unknown(size) for size in sizes[:front]]
    gone = dict(axes.fixed)
    for axis, size in zip(axes, sizes[front:], strict=True):
        if size in (-1, axis.size):
            rows.append(axis)
        else:
            leave(gone, axis.atoms)
            rows.append(unknown(size))
    return settle(rows, gone)


def repeat(axes: Axes, repeats: Sequence[int]) -> Axes:
    """Whole copies one after the other along each axis.

    >>> repeat(Axes.of("L", (20,)), (4, 1))
    (?=4, L=20)
    """
    front = len(repeats) - len(axes)
    for dim, times in enumerate(repeats[front:]):
        if times != 1:
            size = axes[dim].size
            at = joined([range(size)] * times) if size > 1 and size * times <= MOST else None
            at = (0,) * times if size == 1 and times <= MOST else at
            axes = _take_long(axes, dim, at if size and times else range(0), size * times)
    rows = [NEW_AXIS if times == 1 else unknown(times) for times in repeats[:front]]
    return settle((*rows, *axes.axes), axes.fixed)


def repeat_interleave(axes: Axes, repeats: int, dim: int | None) -> Axes:
    """Each position several times in a row: a step may change nothing, so the name goes where `repeats` > 1.

    >>> repeat_interleave(Axes.of("N L", (2, 20)), 3, 0)
    (?=6, L=20)
    """
    if dim is None:
        return Axes((unknown(repeats * len_of(axes)),), axes.fixed)
    size = axes[at_dim(axes, dim)].size
    if repeats == 1:
        return axes
    long = size * repeats > MOST
    positions = None if long else tuple(at for at in range(size) for _ in range(repeats))
    return _take_long(axes, dim, positions, size * repeats)


def len_of(axes: Axes) -> int:
    """How many elements a tensor with these axes has.

    >>> len_of(Axes.of("N L", (2, 20)))
    40
    """
    return prod(axes.sizes)
