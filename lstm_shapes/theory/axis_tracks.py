"""Where an atom came from: what tells two pieces of one axis from two axes that share a name.

Every atom of an annotated tensor carries a `Track`: a token for the whole axis it was cut from, and the
coordinates that its steps visit. Two pieces with one token can be joined again under their name
(`torch.cat(Y.split(5, 1), 1)` is L again); two features of two layers can not. Coordinates that an operation
took away (`Y[:, 3]`) stay on record in `Axes.fixed`, so that stacking the steps of a loop gives back L.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

from lstm_shapes.theory.axes import NEW, UNKNOWN, Atom, Axes, Axis

__all__ = [
    "MOST",
    "Steps",
    "Track",
    "anew",
    "compact",
    "freeze",
    "fresh",
    "joined",
    "leave",
    "marker",
    "once",
    "settle",
    "steady",
    "tracked",
]

Steps = range | tuple[int, ...]
"""The coordinates that an atom visits, in order."""

Gone = tuple[str, object]
"""The label of an axis that is gone, and the coordinate at which it stood when it went."""

# Tokens are identities within one process; a random start keeps those of two processes apart.
_tokens = count(int.from_bytes(os.urandom(6), "big"))

MOST = 100_000
"""The longest list of coordinates that is written out; evenly spaced ones are a range of any length."""

_LIMIT = 32
"""How many removed coordinates are kept on record: a loop of many steps must not grow without bound."""


@dataclass(frozen=True, slots=True)
class Track:
    """The whole axis that an atom belongs to, and which of its coordinates the atom visits.

    >>> from lstm_shapes.theory.axes import Axes
    >>> tracked(Axes.of("N L", (2, 20)))[1].atoms[0].track.at
    range(0, 20)
    """

    token: int
    label: str
    at: Steps
    packed: tuple[Axis, Axis] | None = None
    """The sequences and steps inside the one axis of packed data, for the way back to padded rows."""


def fresh(name: str, size: int) -> Atom:
    """A new atom with a coordinate of its own; an unknown one too is the same unknown wherever it goes.

    >>> fresh("N", 2) == Atom("N", 2)
    True
    """
    if name == NEW:
        return Atom(name, size)
    return Atom(name, size, Track(next(_tokens), name, range(size)))


def marker() -> object:
    """A value that equals no other: what is known of a coordinate that depends on the data.

    >>> marker() == marker()
    False
    """
    return ("data", next(_tokens))


def anew(atom: Atom) -> Atom:
    """The same name, size and steps as a coordinate of its own.

    >>> anew(Atom("N", 2))
    N=2
    """
    if atom.track is None:
        return fresh(atom.name, atom.size)
    return replace(atom, track=replace(atom.track, token=next(_tokens)))


def tracked(axes: Axes) -> Axes:
    """The same axes, each atom with an identity.

    >>> tracked(Axes.of("K·R N", K=3, R=2, N=4))
    (K·R=6, N=4)
    """
    return Axes(
        tuple(Axis(tuple(atom if atom.track else anew(atom) for atom in axis.atoms)) for axis in axes),
        axes.fixed,
    )


def steady(at: Steps) -> bool:
    """Whether every step changes the coordinate, as the name of an axis promises.

    >>> steady(range(0, 10, 3)), steady((0, 1, 0)), steady((0, 0, 1))
    (True, True, False)
    """
    return isinstance(at, range) or all(a != b for a, b in pairwise(at))


def once(at: Steps) -> bool:
    """Whether no coordinate is visited twice, as the row-major product of a composite needs.

    >>> once((2, 0, 1)), once((0, 1, 0))
    (True, False)
    """
    return isinstance(at, range) or len(set(at)) == len(at)


def settle(axes: Iterable[Axis], fixed: Mapping[int, Gone] | Iterable[tuple[int, Gone]] = ()) -> Axes:
    """Axes after an operation: parts that are alone again get the name of their whole back.

    An atom that was cut in two is `?` twice; when one half is indexed away or both are joined, the coordinate
    runs along one atom again, and that atom may carry the name.
    """
    rows = tuple(axes)
    gone = dict(fixed)
    uses: dict[int, int] = {}
    for axis in rows:
        for atom in axis.atoms:
            if atom.track:
                uses[atom.track.token] = uses.get(atom.track.token, 0) + 1

    def named(atom: Atom) -> Atom:
        track = atom.track
        if track is None or atom.name != UNKNOWN or uses[track.token] > 1:
            return atom
        _, offset = gone.get(track.token, ("", 0))
        if not isinstance(offset, int) or not steady(track.at) or track.packed is not None:
            return atom
        gone.pop(track.token, None)
        at = track.at
        if isinstance(at, range):
            moved: Steps = range(at.start + offset, at.stop + offset, at.step)
        else:
            moved = tuple(step + offset for step in at)
        return Atom(track.label, atom.size, replace(track, at=compact(moved)))

    # Only a cut atom can be renamed, and those are rare: most shapes go through untouched.
    if any(atom.name == UNKNOWN and atom.track for axis in rows for atom in axis.atoms):
        rows = tuple(Axis(tuple(named(atom) for atom in axis.atoms)) for axis in rows)
    return Axes(rows, freeze(gone))


def leave(gone: dict[int, Gone], atoms: Iterable[Atom], where: object = None) -> None:
    """Record that these atoms are no longer axes: they stand at their first coordinate, or at `where`.

    >>> gone: dict[int, Gone] = {}
    >>> leave(gone, [fresh("N", 2)])
    >>> list(gone.values())
    [('N', 0)]
    """
    for atom in atoms:
        track = atom.track
        if track is None:
            continue
        here = where if where is not None else track.at[0] if len(track.at) else "nowhere"
        if track.token in gone:
            before = gone[track.token][1]
            # Two parts of one axis that stand still add up, as the digits of a number do.
            here = here + before if isinstance(here, int) and isinstance(before, int) else marker()
        gone[track.token] = (track.label, here)


def account(axes: Axes, operands: Iterable[Axes]) -> Axes:
    """The same axes, with every coordinate of the operands on record: one that was lost is at no place known.

    Without this two tensors that differ in a lost coordinate would pass for pieces of one whole.

    >>> len(account(Axes(), [tracked(Axes.of("N L", (2, 3)))]).fixed)
    2
    """
    gone = dict(axes.fixed)
    known = {atom.track.token for axis in axes for atom in axis.atoms if atom.track} | gone.keys()
    lost = {token: label for operand in operands for token, label in _coordinates(operand) if token not in known}
    if not lost:
        return axes
    gone.update({token: (label, marker()) for token, label in lost.items()})
    return Axes(axes.axes, freeze(gone))


def _coordinates(axes: Axes) -> Iterable[tuple[int, str]]:
    for axis in axes:
        for atom in axis.atoms:
            if atom.track:
                yield atom.track.token, atom.track.label
    for token, (label, _) in axes.fixed:
        yield token, label


def compact(at: Steps) -> Steps:
    """The same coordinates as a range where they are evenly spaced, so that memory does not grow with size.

    >>> compact((3, 5, 7)), compact((3, 5, 6))
    (range(3, 8, 2), (3, 5, 6))
    """
    if isinstance(at, range) or len(at) == 0:
        return at
    if len(at) == 1:
        return range(at[0], at[0] + 1)
    step = at[1] - at[0]
    if step == 0 or any(b - a != step for a, b in pairwise(at)):
        return at
    return range(at[0], at[-1] + (1 if step > 0 else -1), step)


def joined(parts: Sequence[Steps]) -> Steps | None:
    """Steps one after the other; None where only a list could hold them and it would be longer than MOST.

    >>> joined([range(3), range(3, 9)]), joined([range(2), range(1)]), joined([range(10**9)] * 2)
    (range(0, 9), (0, 1, 0), None)
    """
    whole, *others = [part for part in map(compact, parts) if len(part)] or [range(0)]
    for part in others:
        follows = isinstance(whole, range) and isinstance(part, range) and _follows(whole, part)
        if follows:
            step = part[0] - whole[-1]
            whole = range(whole[0], part[-1] + (1 if step > 0 else -1), step)
        elif len(whole) + len(part) > MOST:
            return None
        else:
            whole = (*whole, *part)
    return compact(whole)


def _follows(a: range, b: range) -> bool:
    step = b[0] - a[-1]
    return step != 0 and all(len(one) == 1 or one.step == step for one in (a, b))


def freeze(fixed: Mapping[int, Gone]) -> tuple[tuple[int, Gone], ...]:
    """The record of removed coordinates as it is stored; grown too long, one marker that equals no other."""
    if len(fixed) > _LIMIT:
        return ((next(_tokens), ("", marker())),)
    return tuple(sorted(fixed.items(), key=lambda item: item[0]))
