"""Operations on several tensors that keep their elements: elementwise work with broadcasting, cat, stack.

An operand is the axes of an annotated tensor, or the bare sizes of a plain one. A plain tensor claims
nothing: it neither gives names nor takes them away. Two annotated tensors that disagree about an axis leave
it unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from lstm_shapes.theory.axes import NEW, UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules.moving import NEW_AXIS
from lstm_shapes.theory.axis_rules.picking import at_dim, unknown
from lstm_shapes.theory.axis_tracks import (
    Gone,
    Steps,
    Track,
    anew,
    compact,
    fresh,
    leave,
    marker,
    once,
    settle,
    steady,
)

__all__ = ["Operand", "agree", "cat", "elementwise", "join_fixed", "separate", "sizes_of", "stack"]

Operand = Axes | tuple[int, ...]

_SHARED = ("N", "L")
"""Samples and steps are counted alike in every tensor; two layers' features are not the same coordinate."""


def sizes_of(operand: Operand) -> tuple[int, ...]:
    """The sizes of an operand.

    >>> sizes_of(Axes.of("N", (2,))), sizes_of((3, 4))
    ((2,), (3, 4))
    """
    return operand.sizes if isinstance(operand, Axes) else operand


def elementwise(*operands: Operand, chooses: bool = False) -> Axes:
    """The axes of an elementwise operation, with torch's broadcasting.

    An operation that `chooses` one operand for each element, as where and maximum do, has a name only where all
    operands stand at the same coordinates; one that computes needs only that they step along the same axis.

    >>> Y, h = Axes.of("N L D", (2, 20, 256)), Axes.of("N 1 D", (2, 1, 256))
    >>> elementwise(Y, h), elementwise(Y, (256,)), elementwise(Y, Axes.of("L Q D", (2, 20, 256)))
    ((N=2, L=20, D=256), (N=2, L=20, D=256), (?=2, ?=20, D=256))
    """
    rank = max(len(sizes_of(operand)) for operand in operands)
    rows: list[Axis] = []
    gone = join_fixed([operand for operand in operands if isinstance(operand, Axes)])
    for back in range(-rank, 0):
        present = [operand for operand in operands if len(sizes_of(operand)) >= -back]
        size = next((n for operand in present if (n := sizes_of(operand)[back]) != 1), 1)
        claims = [operand[back] for operand in present if isinstance(operand, Axes)]
        rows.append(agree([axis for axis in claims if axis.size == size], size, chooses))
        if size != 1:
            for axis in claims:
                if axis.size == 1:
                    leave(gone, axis.atoms)
    return settle(separate(rows, operands), _active(rows, gone))


def agree(claims: Sequence[Axis], size: int, chooses: bool = False) -> Axis:
    """The one axis that all claims describe, or an unknown one.

    >>> N, L = Axes.of("N L", (4, 4))
    >>> agree([N, N], 4), agree([N, L], 4), agree([], 4)
    (N=4, ?=4, ?=4)
    """
    if size == 1:
        # No step is ever taken along it; a name is kept where nobody says otherwise.
        named = {axis.name: axis for axis in claims if axis.known and axis.name != NEW}
        return next(iter(named.values())) if len(named) == 1 else NEW_AXIS
    if not claims:
        return unknown(size)
    found, *others = claims
    for other in others:
        found = _merge(found, other, chooses)
    return found


def _merge(a: Axis, b: Axis, chooses: bool) -> Axis:
    if chooses and _places(a.atoms) != _places(b.atoms):
        return unknown(a.size)
    if a.atoms == b.atoms:
        return Axis(tuple(map(_merge_atoms, a.atoms, b.atoms)))
    if a.name == b.name and a.known and 1 in (len(a.atoms), len(b.atoms)):
        # One side knows the factors, the other only the product; only the product is agreed.
        return Axis((Atom(a.name, a.size),))
    return unknown(a.size)


def _merge_atoms(a: Atom, b: Atom) -> Atom:
    if a.track == b.track:
        return a
    if a.name == UNKNOWN:
        return fresh(UNKNOWN, a.size)
    if a.track and b.track and a.track.token == b.track.token:
        # Y[:, 1:] - Y[:, :-1]: steps still change L alone, but there is no longer one coordinate to tell.
        return anew(a) if once(a.track.at) and once(b.track.at) else fresh(UNKNOWN, a.size)
    return a


def separate(rows: Sequence[Axis], operands: Iterable[Operand]) -> list[Axis]:
    """The same axes, where one that came from two operands is told apart: scores (N, L, L) have two L's."""
    homes = [
        {atom.track.token for axis in operand for atom in axis.atoms if atom.track}
        for operand in operands
        if isinstance(operand, Axes)
    ]
    seen: dict[int, int] = {}
    for axis in rows:
        for atom in axis.atoms:
            if atom.track:
                seen[atom.track.token] = seen.get(atom.track.token, 0) + 1
    twice = {token for token, times in seen.items() if times > 1}
    if not twice or sum(bool(home & twice) for home in homes) < 2:
        return list(rows)
    used: set[int] = set()
    out = []
    for axis in rows:
        atoms = []
        for atom in axis.atoms:
            token = atom.track.token if atom.track else 0
            atoms.append(anew(atom) if token in used & twice else atom)
            used.add(token)
        out.append(Axis(tuple(atoms)))
    return out


def join_fixed(operands: Sequence[Axes]) -> dict[int, Gone]:
    """What is on record of removed coordinates in several operands at once."""
    gone: dict[int, Gone] = {}
    for operand in operands:
        for token, (label, at) in operand.fixed:
            if token in gone and gone[token] != (label, at):
                gone[token] = (label, marker())
            else:
                gone[token] = (label, at)
    return gone


def _active(rows: Sequence[Axis], gone: dict[int, Gone]) -> dict[int, Gone]:
    """A coordinate that stands still in one operand and moves in another is at no place that can be told."""
    moving = {atom.track.token for axis in rows for atom in axis.atoms if atom.track}
    return {
        token: (label, marker()) if token in moving and not isinstance(at, tuple) else (label, at)
        for token, (label, at) in gone.items()
    }


def stack(operands: Sequence[Operand], dim: int = 0) -> Axes:
    """Tensors of one shape along a new axis, which has a name where it brings an axis together again.

    >>> from lstm_shapes.theory.axis_rules.indexing import select
    >>> from lstm_shapes.theory.axis_tracks import tracked
    >>> X = tracked(Axes.of("N L Q", (2, 3, 28)))
    >>> stack([select(X, 1, t) for t in range(3)], 1), stack([X, (2, 3, 28)])
    ((N=2, L=3, Q=28), (?=2, N=2, L=3, Q=28))
    """
    at = at_dim(sizes_of(operands[0]), dim, extra=1)
    opened: list[Operand] = []
    for operand in operands:
        if isinstance(operand, Axes):
            opened.append(Axes((*operand.axes[:at], NEW_AXIS, *operand.axes[at:]), operand.fixed))
        else:
            opened.append((*operand[:at], 1, *operand[at:]))
    return cat(opened, at)


def cat(operands: Sequence[Operand], dim: int = 0) -> Axes:
    """Tensors one after the other along an axis, which keeps its name where they are pieces of one whole.

    At the seam a step goes from the last coordinate of one piece to the first of the next, so the name is
    true only if nothing else changes there: pieces of one tensor, cut along this axis.

    >>> from lstm_shapes.theory.axis_rules.moving import take
    >>> from lstm_shapes.theory.axis_tracks import tracked
    >>> Y = tracked(Axes.of("N L R·D", (2, 20, 512), R=2))
    >>> halves = take(Y, 2, range(256)), take(Y, 2, range(256, 512))
    >>> halves[0], cat(halves, 2), cat([halves[0], halves[0]], 2)
    ((N=2, L=20, D=256), (N=2, L=20, R·D=512), (N=2, L=20, D=512))
    >>> cat([Axes.of("N D", (2, 8)), Axes.of("N E", (2, 9))], 1)
    (N=2, ?=17)
    """
    rank = max(len(sizes_of(operand)) for operand in operands)
    # torch lets an empty 1-D tensor stand anywhere in the list.
    operands = [operand for operand in operands if len(sizes_of(operand)) == rank]
    at = at_dim(sizes_of(operands[0]), dim)
    total = sum(sizes_of(operand)[at] for operand in operands)
    pieces = [operand for operand in operands if sizes_of(operand)[at] > 0] or operands[:1]
    named = [operand for operand in pieces if isinstance(operand, Axes)]
    if len(pieces) == 1 and named:
        return named[0]
    joined = _join(named, at) if len(named) == len(pieces) else None
    rows = []
    for place in range(rank):
        if place == at:
            rows.append(joined[0] if joined else _side_by_side(pieces, at, total))
        else:
            size = sizes_of(operands[0])[place]
            # Every element stands in one piece only, and where the pieces differ a later max would tell.
            rows.append(agree([operand[place] for operand in named], size, chooses=True))
    gone = joined[1] if joined else join_fixed(named)
    if not joined:
        for piece in named:
            for atom in piece[at].atoms:
                if atom.track:
                    gone[atom.track.token] = (atom.track.label, ("among", atom.track.at))
    return settle(separate(rows, operands), gone)


def _side_by_side(pieces: Sequence[Operand], at: int, total: int) -> Axis:
    """An axis without a name, the same one whenever the same pieces are joined."""
    tracks = tuple(tuple(atom.track for atom in piece[at].atoms) for piece in pieces if isinstance(piece, Axes))
    if len(tracks) < len(pieces) or any(track is None for row in tracks for track in row):
        return unknown(total)
    return _remembered(tracks, total)


@lru_cache(maxsize=1024)
def _remembered(tracks: tuple[tuple[Track | None, ...], ...], total: int) -> Axis:
    return unknown(total)


def _join(pieces: Sequence[Axes], at: int) -> tuple[Axis, dict[int, Gone]] | None:
    """The axis along which the pieces lie one after the other, if it is one coordinate that moves."""
    others = [[atom for axis in _without(piece, at) for atom in axis.atoms] for piece in pieces]
    if any(atom.name == UNKNOWN and atom.track is None for row in others for atom in row):
        # What an unknown axis holds may be different in each piece.
        return None
    if len({tuple(atom.track for atom in row) for row in others}) > 1:
        return _alike(pieces, at)
    opened = _open(pieces, at)
    if opened is None:
        return _alike(pieces, at)
    rows, gone = opened
    heads = [row[0] for row in rows if row]
    tracks = [head.track for head in heads if head.track]
    if (
        len(tracks) < len(rows)
        or len({(head.name, track.token) for head, track in zip(heads, tracks, strict=True)}) > 1
    ):
        return _alike(pieces, at)
    tails = {tuple((atom.name, atom.track) for atom in row[1:]) for row in rows}
    if len(tails) > 1 or any(track.packed or atom.track is None for track in tracks for atom in rows[0]):
        return None
    first = rows[0]
    where = compact(tuple(step for track in tracks for step in track.at))
    if not steady(where) or (len(first) > 1 and not once(where)):
        return None
    head = Atom(heads[0].name, len(where), replace(tracks[0], at=where))
    return Axis((head, *first[1:])), gone


def _open(pieces: Sequence[Axes], at: int) -> tuple[list[tuple[Atom, ...]], dict[int, Gone]] | None:
    """The atoms of each piece along the axis; a coordinate in which they stand apart becomes their first."""
    records = [dict(piece.fixed) for piece in pieces]
    tokens = {token for record in records for token in record}
    apart = [token for token in tokens if len({record.get(token) for record in records}) > 1]
    rows = [tuple(atom for atom in piece[at].atoms if atom.name != NEW) for piece in pieces]
    if len(apart) > 1:
        return None
    for token in apart:
        for i, record in enumerate(records):
            label, where = record.pop(token, ("", None))
            if isinstance(where, int):
                here: Steps = range(where, where + 1)
                rows[i] = (Atom(label, 1, Track(token, label, here)), *rows[i])
            elif where is not None or not any(atom.track and atom.track.token == token for atom in rows[i]):
                return None
    return rows, records[0]


def _alike(pieces: Sequence[Axes], at: int) -> tuple[Axis, dict[int, Gone]] | None:
    """Samples after samples, or steps after steps, of different tensors: still samples, still steps."""
    names = {piece[at].name for piece in pieces}
    if len(names) > 1 or not names <= set(_SHARED):
        return None
    if len({tuple(_places(axis.atoms) for axis in _without(piece, at)) for piece in pieces}) > 1:
        return None
    if len({frozenset(gone for _, gone in piece.fixed) for piece in pieces}) > 1:
        return None
    where = tuple(step for piece in pieces for step in _steps(piece[at].atoms[0]))
    if not steady(where):
        return None
    atom = anew(Atom(pieces[0][at].name, len(where)))
    track = atom.track and replace(atom.track, at=compact(where))
    return Axis((replace(atom, track=track),)), join_fixed(pieces)


def _without(axes: Axes, at: int) -> tuple[Axis, ...]:
    return (*axes.axes[:at], *axes.axes[at + 1 :])


def _places(atoms: Sequence[Atom]) -> tuple[tuple[str, Steps], ...]:
    return tuple((atom.name, _steps(atom)) for atom in atoms)


def _steps(atom: Atom) -> Steps:
    return atom.track.at if atom.track else range(atom.size)
