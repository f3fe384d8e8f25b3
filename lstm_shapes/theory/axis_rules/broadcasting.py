"""Elementwise work with broadcasting: what several tensors agree on.

An operand is the axes of an annotated tensor, or the bare sizes of a plain one. A plain tensor claims nothing:
it neither gives names nor takes them away. Two annotated tensors that disagree about an axis leave it unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lstm_shapes.theory.axes import NEW, UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules.moving import NEW_AXIS
from lstm_shapes.theory.axis_rules.picking import unknown
from lstm_shapes.theory.axis_tracks import Gone, Steps, anew, fresh, leave, marker, once, settle

__all__ = ["Operand", "agree", "elementwise", "join_fixed", "places", "separate", "sizes_of", "steps_of"]

Operand = Axes | tuple[int, ...]


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
    if chooses and places(a.atoms) != places(b.atoms):
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


def places(atoms: Sequence[Atom]) -> tuple[tuple[str, Steps], ...]:
    return tuple((atom.name, steps_of(atom)) for atom in atoms)


def steps_of(atom: Atom) -> Steps:
    return atom.track.at if atom.track else range(atom.size)
