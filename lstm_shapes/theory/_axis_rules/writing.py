"""Writing into a tensor: `out[:, t] = y`. A new tensor takes the names of what is written, bit by bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lstm_shapes.theory._axis_rules.broadcasting import join_fixed, places
from lstm_shapes.theory._axis_rules.indexing import Key, Picks, index, spread
from lstm_shapes.theory._axis_rules.joining import later
from lstm_shapes.theory._axis_rules.picking import positions_of
from lstm_shapes.theory._axis_rules.table import Answer, Operand, at_dim, rule
from lstm_shapes.theory._origins import Atom, Origin
from lstm_shapes.theory.axes import NEW_AXIS, Axes, Axis, Span, renewed, settle, unknown

__all__ = ["written"]


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
    keys = [*spread(key, len(target)), *[slice(None)] * len(target)][: len(target)]
    slots = {at: positions_of(one, target[at].size) for at, one in enumerate(keys) if isinstance(one, slice)}
    steps = {
        at: slots[at][0]
        for at, axis in zip(slots, values, strict=True)
        if not axis.atoms and len(slots[at]) == 1 < target[at].size
    }
    if steps:
        # `out[t : t + 1] = y[None]` is `out[t] = y`.
        rest = tuple(axis for at, axis in zip(slots, values, strict=True) if at not in steps)
        return written(target, tuple(steps.get(at, one) for at, one in enumerate(keys)), Axes(rest, value.fixed))
    spots = iter(zip(values, alike, strict=True))
    rows, pieces = [], []
    for axis, one in zip(target, keys, strict=True):
        if not isinstance(one, slice):
            rows.append(_advanced(axis, int(one) % axis.size, value) if isinstance(one, int) else axis)
            pieces.append(True)
            continue
        (there, same), positions = next(spots), positions_of(one, axis.size)
        pieces.append(len(positions) < axis.size)
        if not same and not pieces[-1]:
            return nothing
        rows.append(_laid(axis, positions, there) if same else _anything(axis))
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
def scattered(input: Axes, dim: Any = None, *_: object, **__: object) -> Answer:
    """Values written where another tensor says: along that axis nobody knows whose they are, in features anybody's."""
    if not isinstance(dim, int):
        return None
    at = at_dim(input, dim)
    rows = [_anything(axis) if one == at and not axis.gives_way else axis for one, axis in enumerate(input)]
    return settle(rows, input.fixed)


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
    """Whether each element written stands at the coordinates of the one it replaces, not only under the same names.

    Along an axis without a name nobody knows where that is, unless both are the very same.
    """
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
    if along.blank or not along.atoms or along.size != len(positions):
        # The value is the same all along here: nothing new, if this is the whole axis.
        return axis if len(positions) == axis.size else _anything(axis)
    if len(axis.atoms) == len(along.atoms) == 1 and not along.atoms[0].part:
        axis.atoms[0].origin.filled_with(along.atoms[0].origin)
    if len(positions) == axis.size:
        return along
    atom = along.atoms[0]
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
        other = Origin(blank=axis.atoms[0].origin)
        other.written = (position, set(left))
        return Axis((replace(axis.atoms[0], origin=other),))
    if len({of for one, _, of in ends if one in dict(left)}) != 1:
        return _anything(axis)
    along, offset = left[0]
    axis.atoms[0].origin.filled_with(along)
    return Axis((Atom(along, range(offset, offset + axis.size)),))
