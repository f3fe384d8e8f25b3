"""Axes that leave and come back: what pickling keeps of where they came from.

A track is an identity within one process, so a copy gets identities of its own. It keeps which coordinates each
atom visits and which parts belong to one atom: `Y[2:]` read from a file still starts at sample 2, and passes for
no other piece.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lstm_shapes.theory.axes import Atom, Axes, Axis
from lstm_shapes.theory.axis_tracks import Gone, Track, anew, freeze, fresh, marker

__all__ = ["Packed", "pack", "renewed", "unpack"]

Packed = tuple[tuple[tuple[tuple[Any, ...], ...], ...], tuple[tuple[int, str, Any], ...]]
"""Axes as tuples of numbers and words, for torch.load reads no other: atoms as (name, size, token, label, steps),
and what is fixed as (token, label, coordinate)."""


def renewed(axes: Axes) -> Axes:
    """The same axes with identities of their own, one for each that they had: written by another hand.

    >>> from lstm_shapes.theory.axis_tracks import tracked
    >>> N = tracked(Axes.of("N", (2,)))
    >>> renewed(N) == N, renewed(N)[0].atoms[0].track == N[0].atoms[0].track
    (True, False)
    """
    given: dict[int, Atom] = {}

    def own(atom: Atom) -> Atom:
        if atom.track is None:
            return anew(atom)
        first = given.setdefault(atom.track.token, anew(atom)).track
        return replace(atom, track=first and replace(atom.track, token=first.token))

    rows = tuple(Axis(tuple(map(own, axis.atoms))) for axis in axes)
    moved = {token: atom.track.token for token, atom in given.items() if atom.track}
    return Axes(rows, freeze({moved.get(token, token): gone for token, gone in axes.fixed}))


def pack(axes: Axes) -> Packed:
    """Axes as plain tuples.

    >>> pack(Axes.of("N L", (2, 3)))
    (((('N', 2),), (('L', 3),)), ())
    """
    rows = tuple(tuple(_packed(atom) for atom in axis.atoms) for axis in axes)
    return rows, tuple((token, label, at if isinstance(at, int) else None) for token, (label, at) in axes.fixed)


def unpack(rows: Any, fixed: Any) -> Axes:
    """The axes that `pack` took apart, with identities of their own; what was fixed is at no place known.

    >>> unpack(*pack(Axes.of("N L", (2, 3))))
    (N=2, L=3)
    """
    tokens: dict[int, int] = {}
    axes = Axes(tuple(Axis(tuple(_unpacked(tuple(atom), tokens) for atom in row)) for row in rows))
    gone: dict[int, Gone] = {}
    for old, label, at in fixed:
        # The part of a cut atom that stands still counts from there on; any other place is another process's.
        where = at if old in tokens and at is not None else marker()
        gone[_token(old, tokens)] = (label, where)
    return Axes(axes.axes, freeze(gone))


def _unpacked(atom: tuple[Any, ...], tokens: dict[int, int]) -> Atom:
    if len(atom) == 2:
        return Atom(*atom)
    name, size, old, label, steps = atom
    at = range(*steps[1:]) if steps[:1] == ("range",) else tuple(steps)
    return Atom(name, size, Track(_token(old, tokens), label, at))


def _token(old: int, tokens: dict[int, int]) -> int:
    if old not in tokens:
        track = fresh("copy", 1).track
        tokens[old] = track.token if track else old
    return tokens[old]


def _packed(atom: Atom) -> tuple[Any, ...]:
    track = atom.track
    if track is None or track.packed is not None:
        # Sequences and steps inside packed data are another tensor's: without them it is a name, no more.
        return (atom.name, atom.size)
    at = track.at
    steps = ("range", at.start, at.stop, at.step) if isinstance(at, range) else at
    return (atom.name, atom.size, track.token, track.label, steps)
