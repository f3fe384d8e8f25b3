"""What `t[...]` does to axes: integers, slices, None, Ellipsis, and tensors or masks as indices.

`Y[:, -1]` is (N, D), `Y[:, -1:]` is (N, L=1, D), and `Y[torch.arange(N), lengths - 1]`, the right way to take
the last valid step, is (N, D) again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import EllipsisType
from typing import Any

from lstm_shapes.theory._axis_rules.broadcasting import agree
from lstm_shapes.theory._axis_rules.moving import select, take, unsqueeze
from lstm_shapes.theory._axis_rules.picking import pick, positions_of
from lstm_shapes.theory._axis_rules.table import Answer, Operand, at_dim, axis_at, rule, sizes_of
from lstm_shapes.theory._origins import Atom, relabelled
from lstm_shapes.theory.axes import NEW_AXIS, Axes, Axis, fix, forgotten, settle, unknown

__all__ = ["Key", "Picks", "gather", "index", "spread"]


@dataclass(frozen=True, slots=True)
class Picks:
    """A tensor of positions used as an index: its shape, its values where they can be read, its own axes."""

    shape: tuple[int, ...]
    values: tuple[int, ...] | None = None
    axes: Axes | None = None


Key = int | slice | EllipsisType | Picks | None


@rule("__getitem__")
def getitem(input: Operand, key: tuple[Key, ...] | None) -> Answer:
    """What `input[key]` is called; a plain table looked up with named positions has the axes that a weight makes."""
    if key is None:
        return None
    if not isinstance(input, Axes):
        rows = [unknown(size) if at == 0 else axis_at(input, at) for at, size in enumerate(sizes_of(input))]
        input = Axes(tuple(rows))
    return index(input, key)


@rule("index_select")
def index_select(input: Axes, dim: int, index: tuple[Key, ...]) -> Answer:
    """Positions of one axis, in this order."""
    return getitem(input, (*[slice(None)] * at_dim(input, dim), *index))


@rule("masked_select")
def masked_select(input: Axes, mask: Any) -> Answer:
    """Where a mask is true, in one long row."""
    return getitem(input, mask) if mask is not None and len(mask) == len(input) else None


def index(axes: Axes, key: Key | tuple[Key, ...]) -> Axes:
    """What `t[key]` is called.

    >>> Y = Axes.of("N L D", (2, 20, 256))
    >>> index(Y, (slice(None), -1)), index(Y, (slice(None), slice(-1, None))), index(Y, (Ellipsis, None))
    ((N=2, D=256), (N=2, L=1, D=256), (N=2, L=20, D=256, 1))
    >>> index(Y, (Picks((2,), (0, 1)), Picks((2,), (7, 19))))
    (N=2, D=256)
    """
    keys = key if isinstance(key, tuple) else (key,)
    dim = 0
    picks: dict[int, Picks] = {}
    for one in spread(keys, len(axes)):
        if isinstance(one, int):
            axes = select(axes, dim, one)
            continue
        if one is None:
            axes = unsqueeze(axes, dim)
        elif isinstance(one, Picks):
            picks[dim] = one
        else:
            axes = take(axes, dim, positions_of(one, axes[dim].size))
        dim += 1
    return _pick_all(axes, picks) if picks else axes


def spread(keys: Sequence[Key], rank: int) -> Iterator[int | slice | Picks | None]:
    """The keys with the Ellipsis written out."""
    used = sum(1 for key in keys if key is not None and key is not Ellipsis)
    for key in keys:
        if isinstance(key, EllipsisType):
            yield from [slice(None)] * (rank - used)
        else:
            yield key


def _pick_all(axes: Axes, picks: dict[int, Picks]) -> Axes:
    """Tensors as indices: they broadcast together, and their shape stands where they stood, or in front."""
    picks = {dim: _counted(one, axes[dim].size) for dim, one in picks.items()}
    shape = _broadcast([one.shape for one in picks.values()])
    gone = dict(axes.fixed)
    rows = []
    led: set[int] = set()
    for place, size in enumerate(shape):
        row, dim, still = _new_axis(axes, picks, place - len(shape), size)
        rows.append(row)
        fix(gone, still)
        led.add(dim)
    for dim in picks.keys() - led:
        values = picks[dim].values
        if values and _constant(picks[dim]):
            fix(gone, pick(axes[dim], range(values[0], values[0] + 1))[0].atoms)
        else:
            fix(gone, axes[dim].atoms, forgotten())
    rest = [axis for dim, axis in enumerate(axes) if dim not in picks]
    together = max(picks) - min(picks) == len(picks) - 1
    at = min(picks) if together else 0
    return settle((*rest[:at], *rows, *rest[at:]), gone)


def _new_axis(axes: Axes, picks: dict[int, Picks], back: int, size: int) -> tuple[Axis, int, tuple[Atom, ...]]:
    """One axis of the index tensors' common shape: its name, the dimension it runs along, what stands still.

    It is named after what moves along it, if that is one thing.
    """
    if size == 1:
        alone = [dim for dim, one in picks.items() if one.values is not None and len(picks) == 1]
        if alone and prod(picks[alone[0]].shape) == 1:
            return *pick(axes[alone[0]], picks[alone[0]].values or ())[:1], alone[0], ()
        return NEW_AXIS, -1, ()
    spanning = {dim: one for dim, one in picks.items() if len(one.shape) >= -back and one.shape[back] != 1}
    along = {dim: one for dim, one in spanning.items() if not _constant(one)}
    claims = [one.axes[back] for one in spanning.values() if one.axes is not None]
    own = {axis.name: axis for axis in claims if axis.known}
    if len(own) == 1:
        # The index says itself what its axis runs over: tokens (N, L) looked up in a table are (N, L, …).
        (axis,) = own.values()
        return Axis(tuple(replace(atom, origin=relabelled(atom.origin, object())) for atom in axis.atoms)), -1, ()
    straight = {dim: one.values for dim, one in along.items() if one.values and prod(one.shape) == size}
    if len(along) > 1:
        # Several coordinates move at once. Where one index is the whole axis in order, as arange(N) is, the
        # others are a choice for each of its positions, and they are not axes of the result.
        straight = {dim: at for dim, at in straight.items() if at == tuple(range(axes[dim].size))}
    if len(straight) != 1:
        return unknown(size), -1, ()
    ((dim, at),) = straight.items()
    if len(set(at)) == axes[dim].size == size:
        # Every position once, in another order: the index has a row for each, as it has.
        for claim in claims:
            agree([claim, axes[dim]], size)
    axis, still = pick(axes[dim], at)
    return axis, dim, still


def _counted(one: Picks, size: int) -> Picks:
    """Positions counted from the front."""
    if one.values is None or all(at >= 0 for at in one.values):
        return one
    return replace(one, values=tuple(at % size for at in one.values))


def _constant(one: Picks) -> bool:
    return one.values is not None and len(set(one.values)) == 1


@rule("gather take_along_dim")
def gather(input: Axes, dim: Any = None, index: Any = None, *, out: tuple[int, ...], **_: object) -> Answer:
    """Positions chosen along one axis for every element: the others keep their names, that one can not.

    >>> gather(Axes.of("N L D", (2, 20, 256)), 1, out=(2, 1, 256))
    (N=2, 1, D=256)
    """
    if not isinstance(dim, int):
        dim = index  # take_along_dim(input, indices, dim)
    if not isinstance(dim, int):
        return None
    at = at_dim(input, dim)
    gone = dict(input.fixed)
    rows = []
    for place, (axis, size) in enumerate(zip(input, out, strict=True)):
        if place != at:
            row, still = pick(axis, range(size))
            fix(gone, still)
        else:
            fix(gone, axis.atoms, forgotten())
            row = NEW_AXIS if size == 1 else unknown(size)
        rows.append(row)
    return settle(rows, gone)


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))
