"""Operations that put elements into places: cat and stack, `t[...]` read and written.

Joined, an axis keeps its name only where the pieces are pieces of one whole: at the seam a step goes from the last
coordinate of one piece to the first of the next, and nothing else may change there. Indexed, `Y[:, -1]` is (N, D),
`Y[:, -1:]` is (N, L=1, D), and `Y[torch.arange(N), lengths - 1]`, the right way to take the last valid step, is (N, D)
again. A new tensor takes the names of what is written into it, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from math import prod
from types import EllipsisType
from typing import Any

from lstm_shapes.theory.axes import (
    NEW,
    NEW_AXIS,
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Fixed,
    Origin,
    Span,
    changes_every_step,
    fix,
    forgotten,
    injective,
    joined,
    relabelled,
    renewed,
    settle,
    unknown,
)

from .combining import agree, elementwise, join_fixed, places, separate, span_of
from .positions import pick, select, take, unsqueeze
from .table import Answer, Operand, axis_at, described, describing, named_in, rule, sizes_of


# ---------------------------------------------------------------- side by side
@rule("stack")
def stack(tensors: Sequence[Operand], dim: int = 0) -> Axes:
    """Tensors of one shape along a new axis, which has a name where it brings an axis together again."""
    at = dim % (len(tensors[0]) + 1)
    opened: list[Operand] = [
        unsqueeze(one, at) if isinstance(one, Axes) else (*one[:at], 1, *one[at:]) for one in tensors
    ]
    axes = cat(opened, at)
    # A walk says at least that this axis counts what was stacked.
    lost = describing.get() and not axes[at].known
    return Axes(axes.put(at, described("stacked", len(tensors))), axes.fixed) if lost else axes


@rule("cat concat concatenate")
def cat(tensors: Sequence[Operand], dim: int = 0) -> Axes:
    """Tensors one after the other along an axis, which keeps its name where they are pieces of one whole.

    >>> Y = Axes.of("N L R·D", (2, 20, 512), R=2)
    >>> halves = take(Y, 2, range(256)), take(Y, 2, range(256, 512))
    >>> halves[0], cat(halves, 2), cat([halves[0], halves[0]], 2)
    ((N=2, L=20, D=256), (N=2, L=20, R·D=512), (N=2, L=20, D=512))
    >>> cat([Axes.of("N D", (2, 8)), Axes.of("N E", (2, 9))], 1)
    (N=2, ?=17)
    """
    rank = max(map(len, tensors))
    # torch lets an empty 1-D tensor stand anywhere in the list.
    operands = [operand for operand in tensors if len(operand) == rank]
    at = dim % rank
    sizes = sizes_of(operands[0])
    total = sum(sizes_of(operand)[at] for operand in operands)
    pieces = [operand for operand in operands if sizes_of(operand)[at] > 0] or operands[:1]
    named = named_in(pieces)
    if len(pieces) == 1 and named:
        return named[0]
    whole = (_join(named, at) or _counted_alike(named, at)) if len(named) == len(pieces) else None
    along, gone = whole or (_side_by_side(pieces, at, total), join_fixed(named, computed=True))
    if not whole:
        # Pieces of several steps side by side: each step is on record until they are computed over together.
        origin = along.atoms[0].origin if along.atoms else None
        records = [dict(one.fixed) for one in named]
        for one, where in gone.items():
            if isinstance(where, Span) and any(record.get(one) != where for record in records):
                gone[one] = replace(where, along=origin)
        gone.update(
            {atom.origin: ("among", atom.at) for one in named for atom in one[at].atoms if not atom.origin.made}
        )
    # Every element stands in one piece only, and where the pieces differ a later max would tell.
    rows = [
        along if place == at else agree([one[place] for one in named], sizes[place], chooses=True)
        for place in range(rank)
    ]
    return settle(separate(rows, named), gone)


def _side_by_side(pieces: Sequence[Operand], at: int, total: int) -> Axis:
    """An axis without a name, the same one whenever the same pieces are joined; a walk says of what: embed+D."""
    names = [piece[at].name if isinstance(piece, Axes) else UNKNOWN for piece in pieces]
    kinds, words = set(names), UNKNOWN
    if kinds <= {NEW, "stacked"}:
        words = "stacked"
    elif len(names) <= 4 and kinds != {UNKNOWN}:
        words = "+".join(names)
    elif len(kinds) == 1 and kinds != {UNKNOWN}:
        words = f"{len(names)}×{kinds.pop()}"
    return described(words, total, [axis_at(piece, at) for piece in pieces])


def _join(pieces: Sequence[Axes], at: int) -> tuple[Axis, Fixed] | None:
    """The axis along which the pieces lie one after the other, if it is one coordinate that moves."""
    others = [[(atom.origin, atom.at) for axis in piece.put(at) for atom in axis.atoms] for piece in pieces]
    opened = _open(pieces, at) if all(row == others[0] for row in others) else None
    rows, gone = opened or ([()], {})
    heads = [row[0] for row in rows if row]
    if len(heads) < len(rows) or len({(head.origin, head.part) for head in heads}) > 1:
        return None
    origin, tails = heads[0].origin, rows[0][1:]  # any of the heads would do
    if not all(len(row) == len(rows[0]) and all(map(Atom.same, row[1:], tails)) for row in rows):
        return None
    where = joined([head.at for head in heads])
    if where is None or origin.packed or origin.opaque or origin.blank:
        return None
    if not changes_every_step(where) or (tails and not injective(where)):
        return None
    return Axis((replace(heads[0], at=where), *tails)), gone


def _open(pieces: Sequence[Axes], at: int) -> tuple[list[tuple[Atom, ...]], Fixed] | None:
    """The atoms of each piece along the axis; a coordinate in which they stand apart becomes their first."""
    records = [dict(piece.fixed) for piece in pieces]
    apart = [one for one in set(chain(*records)) if any(record.get(one) != records[0].get(one) for record in records)]
    rows = [piece[at].atoms for piece in pieces]
    placed = [one for one in apart if any(isinstance(record.get(one), int | Span) for record in records)]
    placed = [one for one in placed if not one.made] or placed
    if len(placed) == 1 and any(isinstance(record.get(placed[0]), Span) for record in records):
        # Values of several steps, as the states of a loop are: a step further along them is a step along all. What
        # else went into the one and not into the other has no place.
        if not _advancing([record.get(placed[0]) for record in records]):
            return None
        gone = {one: where for one, where in records[-1].items() if one not in apart}
        lost = {one: forgotten() for one in apart if one not in placed}
        return [(Atom(later(placed[0]), range(i, i + 1)), *row) for i, row in enumerate(rows)], {**gone, **lost}
    if len(apart) > 1:
        return None
    for origin in apart:
        for i, record in enumerate(records):
            where = record.pop(origin, None)
            if isinstance(where, int):
                rows[i] = (Atom(origin, range(where, where + 1)), *rows[i])
            elif where is not None or not any(atom.origin is origin for atom in rows[i]):
                return None
    return rows, records[0]


def later(origin: Origin, end: str = "high") -> Origin:
    """The coordinate of what was computed along another one, counted by the highest step or by the lowest."""
    return relabelled(origin, end)


def _advancing(where: Sequence[object]) -> bool:
    """Whether each value stands further on than the one before it, or each further back."""
    ends = [span for one in where if (span := span_of(one)) is not None and span.along is None]
    if len(ends) < len(where):
        return False
    steps = [(b.low - a.low, b.high - a.high) for a, b in pairwise(ends)]
    return any(all(low * sign >= 0 and high * sign >= 0 and low + high for low, high in steps) for sign in (1, -1))


def _counted_alike(pieces: Sequence[Axes], at: int) -> tuple[Axis, Fixed] | None:
    """Samples after samples, or steps after steps, of whole tensors: they are counted alike in all of them."""
    name, others = pieces[0][at].name, [[places(axis.atoms) for axis in piece.put(at)] for piece in pieces]
    named = all(axis.known and not axis.blank for piece in pieces for axis in piece)
    where = joined([atom.at for piece in pieces for atom in piece[at].atoms[:1]])
    if not named or name not in ("N", "L") or any(piece[at].name != name or piece.fixed for piece in pieces):
        return None
    # Of two axes with one name, as scores (N, L, L) have, the name does not say which is which.
    if others != others[:1] * len(pieces) or len(set(pieces[0].names)) < len(pieces[0]) or where is None:
        return None
    return (Axis((Atom(Origin(name), where),)), {}) if changes_every_step(where) else None


# ---------------------------------------------------------------- reading
@dataclass(frozen=True, slots=True)
class Picks:
    """A tensor of positions used as an index: its shape, its values where they can be read, its own axes."""

    shape: tuple[int, ...]
    values: tuple[int, ...] | None = None
    axes: Axes | None = None

    @property
    def constant(self) -> bool:
        """Whether it is one position, however often."""
        return self.values is not None and len(set(self.values)) == 1


Key = int | slice | EllipsisType | Picks | None


@rule("__getitem__")
def getitem(input: Operand, key: tuple[Key, ...] | None) -> Answer:
    """What `input[key]` is called; a plain table looked up with named positions has the axes that a weight makes."""
    if not isinstance(input, Axes):
        input = Axes((unknown(input[0]), *(axis_at(input, at) for at in range(1, len(input)))))
    return None if key is None else index(input, key)


@rule("index_select")
def index_select(input: Axes, dim: int, index: tuple[Key, ...]) -> Answer:
    return getitem(input, (*[slice(None)] * (dim % len(input)), *index))


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
            counted = None if one.values is None else tuple(at % axes[dim].size for at in one.values)
            picks[dim] = replace(one, values=counted)
        else:
            axes = take(axes, dim, range(*one.indices(axes[dim].size)))
        dim += 1
    return _pick_all(axes, picks) if picks else axes


def spread(keys: Sequence[Key], rank: int) -> list[int | slice | Picks | None]:
    """The keys with the Ellipsis written out, which stands at the end where there is none."""
    at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    missing = rank - sum(key is not None and key is not Ellipsis for key in keys)
    every: list[Any] = [*keys[:at], *[slice(None)] * missing, *keys[at + 1 :]]
    return every


def _pick_all(axes: Axes, picks: dict[int, Picks]) -> Axes:
    """Tensors as indices: they broadcast together, and their shape stands where they stood, or in front."""
    shape = elementwise(*(one.shape for one in picks.values())).sizes
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
        if values and picks[dim].constant:
            fix(gone, pick(axes[dim], range(values[0], values[0] + 1))[0].atoms)
        else:
            fix(gone, axes[dim].atoms, forgotten())
    rest = [axis for dim, axis in enumerate(axes) if dim not in picks]
    together = max(picks) - min(picks) == len(picks) - 1
    at = min(picks) if together else 0
    return settle((*rest[:at], *rows, *rest[at:]), gone)


def _new_axis(axes: Axes, picks: dict[int, Picks], back: int, size: int) -> tuple[Axis, int, tuple[Atom, ...]]:
    """One axis of the shape of the indices, named after the one thing that moves; its dimension; what stands still."""
    if size == 1:
        ((dim, alone), *others) = picks.items()
        if alone.values is not None and not others and prod(alone.shape) == 1:
            return *pick(axes[dim], alone.values)[:1], dim, ()
        return NEW_AXIS, -1, ()
    spanning = {dim: one for dim, one in picks.items() if len(one.shape) >= -back and one.shape[back] != 1}
    along = {dim: one for dim, one in spanning.items() if not one.constant}
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


@rule("gather")
def gather(input: Axes, dim: int, *_: Any, out: tuple[int, ...]) -> Axes:
    """Positions chosen along one axis for every element: the others keep their names, that one can not."""
    for at, size in enumerate(out):
        input = take(input, at, None if at == dim % len(input) else range(size), size)
    return input


# ---------------------------------------------------------------- writing
@rule("__setitem__", own_record=True)
def written(target: Axes, key: tuple[Key, ...] | None, value: Operand | float) -> Axes:
    """What a tensor is called after `target[key] = value`.

    Written over, it keeps the names that are true of the value too. A new one takes the names of what is written,
    and the axis along which it is filled takes the name of what advances with it: steps written one by one are L.

    >>> from lstm_shapes.theory.axes import blanks
    >>> X, buffer = Axes.of("N L Q", (2, 3, 28)), blanks((2, 3, 28))
    >>> for t in range(2):
    ...     buffer = written(buffer, (slice(None), t), index(X, (slice(None), t)))
    ...     print(buffer)
    (N=2, ?=3, Q=28)
    (N=2, L=3, Q=28)
    """
    if not isinstance(value, Axes):
        return target
    nothing = Axes(tuple(map(_anything, target)))
    if key is None:
        return nothing
    place = index(target, key)
    values = ([NEW_AXIS] * len(place) + list(value))[-len(place) :] if len(place) else []
    alike = list(map(_alike, place, values))
    if any(one is None or isinstance(one, Picks) for one in key):
        every = {atom.origin for axis in target for atom in axis.atoms}
        return renewed(target) if all(alike) and not _elsewhere(place, value, set(), every) else nothing
    keys = spread(key, len(target))
    slots = {at: range(*one.indices(target[at].size)) for at, one in enumerate(keys) if isinstance(one, slice)}
    steps = {
        at: slots[at][0]
        for at, axis in zip(slots, values, strict=True)
        if not axis.atoms and len(slots[at]) == 1 < target[at].size
    }
    if steps:
        # `out[t : t + 1] = y[None]` is `out[t] = y`.
        rest = tuple(axis for at, axis in zip(slots, values, strict=True) if at not in steps)
        return written(target, tuple(steps.get(at, one) for at, one in enumerate(keys)), Axes(rest, value.fixed))
    rows, pieces = list(target), [True] * len(target)
    for (at, positions), there, same in zip(slots.items(), values, alike, strict=True):
        pieces[at] = len(positions) < target[at].size
        if not same and not pieces[at]:
            return nothing
        rows[at] = _laid(target[at], positions, there) if same else _anything(target[at])
    for at, one in enumerate(keys):
        if isinstance(one, int):
            rows[at] = _advanced(target[at], one % target[at].size, value)
    # What a new axis is called after, or may yet be, is accounted for; what else is elsewhere than it was is not.
    new = [atom.origin for row, axis in zip(rows, target, strict=True) if axis.blank for atom in row.atoms]
    told = {*new, *(one for origin in new if origin.written for one, _ in origin.written[1])}
    fresh = all(axis.blank or not axis.atoms for axis in target)
    cut = {atom.origin for axis, piece in zip(target, pieces, strict=True) if piece for atom in axis.atoms}
    if not fresh and _elsewhere(place, value, told, cut):
        # A step from what was there to what is written changes more than the name of the axis says.
        rows = [_anything(row) if piece else row for row, piece in zip(rows, pieces, strict=True)]
    gone = dict(value.fixed) if fresh or not any(pieces) else join_fixed([target, value])
    moving = {atom.origin for row in rows if not row.blank for atom in row.atoms}
    axes = settle(rows, {one: where for one, where in gone.items() if not _kin(one) & moving})
    # Written by another hand: still these axes, but no longer a piece of what it was cut from.
    own = {atom.origin for axis in (*target, *place) for atom in axis.atoms}
    foreign = any(atom.origin not in own for axis in value if not axis.blank for atom in axis.atoms)
    return renewed(axes) if foreign and not any(axis.blank for axis in target) else axes


@rule("scatter scatter_add scatter_reduce index_add index_copy index_put")
def scattered(input: Axes, dim: Any = None, *_: object) -> Answer:
    """Values written where another tensor says: their axis loses its name, unless a weight made it."""
    if not isinstance(dim, int):
        return None
    return input if input[dim].gives_way else input.changed(input.put(dim, _anything(input[dim])))


def _elsewhere(place: Axes, value: Axes, told: set[Origin], cut: set[Origin]) -> bool:
    """Whether a value stands at other coordinates than the place that it is written to; `cut` are written in part."""
    stands = dict(place.fixed)
    return any(
        not _kin(origin) & told and not any(stands.get(one) == end for one, end in _ends(origin, where))
        for origin, where in value.fixed
        # A state that has seen several steps, and what was computed over, stands nowhere: its rows may have seen other
        # ones than the rest, as those of hn have after packing.
        if isinstance(where, int) or isinstance(stands.get(origin), int) or _kin(origin) & cut
    )


def _anything(axis: Axis) -> Axis:
    """An axis along which different things are written."""
    return unknown(axis.size) if axis.atoms else axis


def _alike(here: Axis, there: Axis) -> bool:
    """Whether each element written stands at the coordinates of the one it replaces, not only under its names."""
    if here.blank or there.blank or not there.atoms or here.same(there):
        return True
    return places(here.atoms) == places(there.atoms) and not any(atom.part for atom in here.atoms)


def _kin(origin: Origin) -> set[Origin]:
    return {one for one, _ in _ends(origin, 0)}


def _ends(origin: Origin, where: object) -> list[tuple[Origin, object]]:
    """Where a value stands: along its origin, and along axes that are filled with values of several steps."""
    high, low = later(origin), later(origin, "low")
    if isinstance(where, Span):
        return [] if where.along else [(high, where.high), (low, where.low)]
    return [(origin, where), (high, where), (low, where)]


def _laid(axis: Axis, positions: range, along: Axis) -> Axis:
    """A new axis with a value along these positions of it."""
    if not axis.blank:
        return axis
    all_along = len(positions) == axis.size
    if along.blank or not along.atoms or along.size != len(positions):
        # The value is the same all along here: nothing new, if this is the whole axis.
        return axis if all_along else _anything(axis)
    atom = along.atoms[0]
    if len(axis.atoms) == len(along.atoms) == 1 and not atom.part:
        axis.atoms[0].origin.filled_with(atom.origin)
    if all_along:
        return along
    if len(along.atoms) > 1 or atom.part or not isinstance(atom.at, range) or {atom.at.step, positions.step} != {1}:
        return _anything(axis)
    start = atom.at.start - positions.start
    return Axis((replace(atom, at=range(start, start + axis.size)),))


def _advanced(axis: Axis, position: int, value: Axes) -> Axis:
    """A new axis with a value at one position of it: named after what has advanced as far as the position has."""
    if not axis.blank:
        return axis
    ends = [(one, at, origin) for origin, where in value.fixed for one, at in _ends(origin, where)]
    offsets = {(one, at - position) for one, at, _ in ends if isinstance(at, int)}
    before, seen = axis.atoms[0].origin.written or (position, offsets)
    left = sorted(seen & offsets, key=lambda one: one[0].serial)
    if before == position:
        other = Origin(blank=True, same=axis.atoms[0].origin)
        other.written = (position, set(left))
        return Axis((replace(axis.atoms[0], origin=other),))
    if len({of for one, _, of in ends if one in dict(left)}) != 1:
        return _anything(axis)
    along, offset = left[0]
    axis.atoms[0].origin.filled_with(along)
    return Axis((Atom(along, range(offset, offset + axis.size)),))
