"""Operations that put tensors side by side: cat and stack.

An axis keeps its name only where the pieces are pieces of one whole: at the seam a step goes from the last
coordinate of one piece to the first of the next, and nothing else may change there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

from lstm_shapes.theory.axes import (
    NEW,
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Fixed,
    Origin,
    Span,
    forgotten,
    injective,
    joined,
    relabelled,
    settle,
    steady,
)

from .combining import agree, join_fixed, places, separate
from .positions import unsqueeze
from .table import Operand, axis_at, described, describing, named_in, rule, sizes_of


@rule("stack")
def stack(tensors: Sequence[Operand], dim: int = 0, **other: int) -> Axes:
    """Tensors of one shape along a new axis, which has a name where it brings an axis together again."""
    at = other.get("axis", dim) % (len(tensors[0]) + 1)
    opened: list[Operand] = [
        unsqueeze(one, at) if isinstance(one, Axes) else (*one[:at], 1, *one[at:]) for one in tensors
    ]
    axes = cat(opened, at)
    # A walk says at least that this axis counts what was stacked.
    lost = describing.get() and not axes[at].known
    return Axes(axes.put(at, described("stacked", len(tensors))), axes.fixed) if lost else axes


@rule("cat concat concatenate")
def cat(tensors: Sequence[Operand], dim: int = 0, **other: int) -> Axes:
    """Tensors one after the other along an axis, which keeps its name where they are pieces of one whole.

    >>> from lstm_shapes.theory._axis_rules.positions import take
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
    at = other.get("axis", dim) % rank
    sizes = sizes_of(operands[0])
    total = sum(sizes_of(operand)[at] for operand in operands)
    pieces = [operand for operand in operands if sizes_of(operand)[at] > 0] or operands[:1]
    named = named_in(pieces)
    if len(pieces) == 1 and named:
        return named[0]
    whole = (_join(named, at) or _alike(named, at)) if len(named) == len(pieces) else None
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
    if not steady(where) or (tails and not injective(where)):
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
    spans = [Span(one, one) if isinstance(one, int) else one for one in where]
    ends = [(one.low, one.high) for one in spans if isinstance(one, Span) and one.along is None]
    if len(ends) < len(where):
        return False
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(ends)]
    return any(all(low * sign >= 0 and high * sign >= 0 and low + high for low, high in steps) for sign in (1, -1))


def _alike(pieces: Sequence[Axes], at: int) -> tuple[Axis, Fixed] | None:
    """Samples after samples, or steps after steps, of whole tensors: they are counted alike in all of them."""
    name, others = pieces[0][at].name, [[places(axis.atoms) for axis in piece.put(at)] for piece in pieces]
    named = all(axis.known and not axis.blank for piece in pieces for axis in piece)
    where = joined([atom.at for piece in pieces for atom in piece[at].atoms[:1]])
    if not named or name not in ("N", "L") or any(piece[at].name != name or piece.fixed for piece in pieces):
        return None
    # Of two axes with one name, as scores (N, L, L) have, the name does not say which is which.
    if others != others[:1] * len(pieces) or len(set(pieces[0].names)) < len(pieces[0]) or where is None:
        return None
    return (Axis((Atom(Origin(name), where),)), {}) if steady(where) else None
