"""Operations that put tensors side by side: cat and stack.

An axis keeps its name only where the pieces are pieces of one whole: at the seam a step goes from the last
coordinate of one piece to the first of the next, and nothing else may change there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from lstm_shapes.theory.axes import NEW, UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules.broadcasting import (
    Operand,
    agree,
    join_fixed,
    places,
    separate,
    sizes_of,
    steps_of,
)
from lstm_shapes.theory.axis_rules.moving import NEW_AXIS
from lstm_shapes.theory.axis_rules.picking import at_dim, unknown
from lstm_shapes.theory.axis_tracks import Gone, Steps, Track, anew, compact, joined, once, settle, steady

__all__ = ["cat", "stack"]

_SHARED = ("N", "L")
"""Samples and steps are counted alike in every tensor; two layers' features are not the same coordinate."""


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
    if len(tails) > 1 or any(atom.track is None for atom in rows[0]):
        return None
    if any(track.packed or "·" in track.label for track in tracks):
        return None
    first = rows[0]
    where = joined([track.at for track in tracks])
    if where is None or not steady(where) or (len(first) > 1 and not once(where)):
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
    if len({tuple(places(axis.atoms) for axis in _without(piece, at)) for piece in pieces}) > 1:
        return None
    if len({frozenset(gone for _, gone in piece.fixed) for piece in pieces}) > 1:
        return None
    where = joined([steps_of(piece[at].atoms[0]) for piece in pieces])
    if where is None or not steady(where):
        return None
    atom = anew(Atom(pieces[0][at].name, len(where)))
    track = atom.track and replace(atom.track, at=compact(where))
    return Axis((replace(atom, track=track),)), join_fixed(pieces)


def _without(axes: Axes, at: int) -> tuple[Axis, ...]:
    return (*axes.axes[:at], *axes.axes[at + 1 :])
