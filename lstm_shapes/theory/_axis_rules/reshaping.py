"""reshape as an algebra of atoms: flatten them in row-major order, and cut again at the new sizes.

Cuts that fall between atoms give names: (K·R, N, H) → (K, R, N, H). A cut through an atom gives `?`, and
where pieces of different atoms end up in one axis, elements of different owners are mixed: `hn.view(N, -1)`
is the famous case. The pieces of a cut atom remember their whole: heads split off and joined again are D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations, permutations
from math import prod
from operator import mul
from typing import Any

from lstm_shapes.language import say
from lstm_shapes.theory.axes import (
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Fixed,
    factors,
    fix,
    forgotten,
    injective,
    settle,
    unknown,
    whole,
)

from .positions import permute, rows_of
from .table import rule

FRAMES = "L"
"""Steps may be stacked on purpose: (N, L, Q) → (N, L/2, 2·Q) is how pyramidal encoders shorten a sequence."""


@dataclass(frozen=True, slots=True)
class Scramble:
    """What a reshape mixed, and the permute that was probably meant."""

    before: Axes
    sizes: tuple[int, ...]
    mixed: tuple[str, ...]
    permute: tuple[int, ...] | None = None

    @property
    def hint(self) -> str:
        """The expression that keeps the axes apart: `permute(1, 0, 2).reshape(2, 768)`."""
        if self.permute is None:
            return say("keep whole axes")
        moved = permute(self.before, self.permute)
        meant, _ = reshape(moved, self.sizes)
        reshaped = "" if moved.sizes == self.sizes else f".reshape({', '.join(map(str, self.sizes))})"
        order = ", ".join(map(str, self.permute))
        return say("scramble meant", code=f".permute({order}){reshaped}", axes=str(meant))

    def __str__(self) -> str:
        names = self.mixed[0]
        if self.mixed[1:]:
            names = say("and", one=", ".join(self.mixed[:-1]), other=self.mixed[-1])
        return say("scramble", before=str(self.before), sizes=str(self.sizes), names=names, hint=self.hint)


@dataclass(frozen=True, slots=True)
class _Piece:
    """An atom, or a part of one, on its way into a new axis."""

    atom: Atom
    owner: Atom
    number: int
    """Which atom of the tensor it is, or is a part of."""
    axis: int
    whole: bool = True


def reshape(axes: Axes, sizes: Sequence[int]) -> tuple[Axes, Scramble | None]:
    """The axes after view or reshape to these sizes (no -1), and what was mixed, if anything.

    >>> reshape(Axes.of("K·R N H", K=3, R=2, N=4, H=5), (3, 2, 4, 5))[0]
    (K=3, R=2, N=4, H=5)
    >>> axes, scramble = reshape(Axes.of("K N D", (3, 2, 256)), (2, 768))
    >>> axes
    (?=2, ?=768)
    >>> print(scramble.hint)
    probably meant: .permute(1, 0, 2).reshape(2, 768), which is (N=2, K·D=768)
    """
    sizes = tuple(sizes)
    if sizes == axes.sizes:
        return axes, None
    if 0 in sizes:
        return Axes(tuple(map(unknown, sizes))), None
    gone = dict(axes.fixed)
    atoms = [(atom, at) for at, axis in enumerate(axes) for atom in axis.atoms]
    todo = [_Piece(atom, atom, number, at) for number, (atom, at) in enumerate(atoms)][::-1]
    rows: list[Axis] = []
    mixes: list[list[_Piece]] = []
    broken: list[_Piece] = []
    while len(rows) < len(sizes):
        place = len(rows)
        pieces, end = _fill(sizes, place, todo, gone)
        if end == place:
            rows.append(_join(pieces))
            if not all(piece.whole for piece in pieces) and len({piece.number for piece in pieces}) > 1:
                mixes.append(pieces)
        else:
            rows += map(unknown, sizes[place : end + 1])
            fix(gone, [piece.atom for piece in pieces], forgotten())
            broken += pieces
    fix(gone, [piece.atom for piece in todo])
    return settle(rows, gone), _judge(axes, sizes, mixes, broken)


@rule("reshape view view_as reshape_as flatten ravel unflatten _unsafe_view")
def reshaped(input: Axes, *given: object, out: tuple[int, ...], **_: object) -> Any:
    """To the sizes of the result; `view(dtype)` keeps the axes where it keeps the shape."""
    if any(type(value).__name__ == "dtype" for value in given):
        return input if out == input.sizes else None
    return reshape(input, out)


def _fill(sizes: tuple[int, ...], place: int, todo: list[_Piece], gone: Fixed) -> tuple[list[_Piece], int]:
    """Pieces for the new axis at `place`, or for all new axes up to where old and new sizes meet again."""
    need = sizes[place]
    if need == 1:
        return ([todo.pop()], place) if todo and todo[-1].atom.size == 1 else ([], place)
    taken: list[_Piece] = []
    while need > 1:
        piece = todo.pop()
        size = piece.atom.size
        if size == 1 and all(beside.axis != piece.axis for beside in taken[-1:] or todo[-1:]):
            # A size of 1 between two axes belongs to nothing; inside a composite it stays.
            fix(gone, [piece.atom])
        elif need % size == 0:
            taken.append(piece)
            need //= size
        elif size % need == 0:
            outer, inner = _split(piece, need)
            taken.append(outer)
            todo.append(inner)
            need = 1
        else:
            return _meet(sizes, place, [*taken, piece], todo)
    return taken, place


def _meet(sizes: tuple[int, ...], place: int, taken: list[_Piece], todo: list[_Piece]) -> tuple[list[_Piece], int]:
    """No row-major product fits: all axes up to the next common boundary are mixed."""
    inside, outside, end = prod(piece.atom.size for piece in taken), sizes[place], place
    while inside != outside:
        if inside < outside:
            taken.append(todo.pop())
            inside *= taken[-1].atom.size
        else:
            end += 1
            outside *= sizes[end]
    return taken, end


def _split(piece: _Piece, outer: int) -> tuple[_Piece, _Piece]:
    """One atom cut in two, each part with its share of the coordinate."""
    atom, inner = piece.atom, piece.atom.size // outer
    origin, at = atom.origin, atom.at
    parts: Sequence[Atom]
    if origin.blank:
        parts = [replace(atom, at=range(size)) for size in (outer, inner)]
    elif len(rows := rows_of(atom, inner, range(inner))) == 2:
        parts = rows
    elif origin.naming is not None and not origin.root.named and at == range(piece.atom.size) and not atom.part:
        # An input that nobody has named: what reads it says what its factors are, as N and L of 24 = L·N.
        parts = [Atom(one, range(size)) for one, size in zip(factors(origin, inner), (outer, inner), strict=True)]
    elif origin.packed is not None or origin.opaque or not isinstance(at, range):
        parts = [whole(UNKNOWN, size) for size in (outer, inner)]
    else:
        parts = [Atom(origin, one, part=True) for one in (at[::inner], range(0, inner * at.step, at.step))]
    first, second = (replace(piece, atom=part, whole=False) for part in parts)
    return first, second


def _join(pieces: list[_Piece]) -> Axis:
    """One new axis from its pieces; neighbours that are parts of one atom become one again."""
    atoms: list[Atom] = []
    for piece in pieces:
        if atoms and (merged := _merge(atoms[-1], piece.atom)) is not None:
            atoms[-1] = merged
        else:
            atoms.append(piece.atom)
    if len(atoms) > 1:
        # A product counts each coordinate once: an axis that visits one twice has no place in it.
        atoms = [atom if injective(atom.at) else whole(UNKNOWN, atom.size) for atom in atoms]
    return Axis(tuple(atoms))


def _merge(outer: Atom, inner: Atom) -> Atom | None:
    a, b = outer.at, inner.at
    if outer.origin is not inner.origin or not (outer.part and inner.part) or not isinstance(a, range) or not a:
        return None
    if not isinstance(b, range) or not b or (len(a) > 1 and a.step != b.step * len(b)):
        return None
    start = a.start + b.start
    return replace(outer, at=range(start, start + len(a) * len(b) * b.step, b.step))


def _judge(axes: Axes, sizes: tuple[int, ...], mixes: list[list[_Piece]], broken: list[_Piece]) -> Scramble | None:
    """Whether pieces in one axis are a mistake, or meant: heads folded into the batch, frames stacked."""
    owners = {piece.number: piece.owner for pieces in (*mixes, broken) for piece in pieces if piece.owner.size > 1}
    if len(owners) < 2:
        return None
    meant = _probably(axes, sizes)
    # A fold ends with the outer part of an atom, (N, 8 heads of D); it keeps each row's elements together.
    glued = [pieces for pieces in mixes if not pieces[0].whole and pieces[0].owner.name != FRAMES]
    if not broken and not glued and meant is None:
        return None
    return Scramble(axes, sizes, tuple(dict.fromkeys(owner.origin.name for owner in owners.values())), meant)


def _probably(axes: Axes, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The permutation of whole axes nearest to the given order that needs no cut: new boundaries are old ones."""
    if len(axes) > 6:  # so many orders that a few more or less do not matter
        return None

    def disorder(order: tuple[int, ...]) -> int:
        return sum(a > b for a, b in combinations(order, 2))

    for order in sorted(permutations(range(len(axes))), key=disorder)[1:]:
        if {*accumulate(sizes, mul)} <= {*accumulate((atom.size for at in order for atom in axes[at].atoms), mul)}:
            return order
    return None
