"""Operations that visit positions of axes and compute nothing: permute, select, flip, repeat, …, and reshape.

`pick` is under most of them: what an axis is called when only these positions are visited, in this order. A single
atom keeps its name as long as every step changes the coordinate. A composite keeps its names where the positions are
again a row-major product: a half of R·D is D, every second of K·R is K. Anything else is `?`.

A reshape flattens the atoms in row-major order and cuts again at the new sizes. Cuts that fall between atoms give
names: (K·R, N, H) → (K, R, N, H). A cut through an atom gives `?`, and where pieces of different atoms end up in one
axis, elements of different owners are mixed: `hn.view(N, -1)` is the famous case. The pieces of a cut atom remember
their whole: heads split off and joined again are D.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations, permutations
from math import prod
from operator import mul
from typing import Any

from lstm_shapes.language import say
from lstm_shapes.theory.axes import (
    COPIES,
    DESCRIBED_COPIES,
    MOST,
    NEW_AXIS,
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Steps,
    changes_every_step,
    compact,
    factors,
    fix,
    forgotten,
    injective,
    joined,
    settle,
    shifted,
    unknown,
    whole,
)

from .table import Answer, describing, dims_of, rule


# ---------------------------------------------------------------- positions of one axis
def pick(axis: Axis, positions: Steps) -> tuple[Axis, tuple[Atom, ...]]:
    """The axis that visits these positions, and the atoms of it that now stand still.

    >>> halves = Axes.of("R·D", R=2, D=8)[0]
    >>> pick(halves, range(8))[0], pick(halves, range(0, 16, 2))[0], pick(halves, range(3, 9))[0]
    (D=8, R·D=8, ?=6)
    """
    positions = compact(positions)
    if positions == range(axis.size):
        return axis, ()
    if not axis.atoms:
        return unknown(len(positions)), ()
    if len(positions) == 0:
        first, *rest = axis.atoms
        return Axis((_take(first, range(0)), *rest)), ()
    atoms = rows_of(axis.atoms[0], len(positions), positions) if len(axis.atoms) == 1 else axis.atoms
    each = _product([atom.size for atom in atoms], positions)
    if each is None:
        return unknown(len(positions)), ()
    taken = tuple(map(_take, atoms, each))
    if len(positions) == 1 or len(taken) == 1:
        # One position of the whole axis: its name is true of a single step, whatever it is called.
        return Axis(taken), ()
    return Axis(tuple(atom for atom in taken if atom.size > 1)), tuple(atom for atom in taken if atom.size == 1)


def rows_of(atom: Atom, inner: int, positions: Steps) -> tuple[Atom, ...]:
    """A made axis in rows as long as a block of it that is taken: all gates of a cell run along the same D."""
    at = atom.at
    if not atom.origin.made or atom.part or inner < 2 or not (isinstance(at, range) and isinstance(positions, range)):
        return (atom,)
    if {at.step, positions.step} != {1} or at.start % inner or at.stop % inner or positions.start % inner:
        return (atom,)
    row, element = factors(atom.origin, inner)
    return Atom(row, range(at.start // inner, at.stop // inner)), Atom(element, range(inner))


def _product(sizes: Sequence[int], positions: Steps) -> list[Steps] | None:
    """For each factor of an axis the positions it takes, where they form a row-major product; else None."""
    if len(sizes) == 1:
        return [positions]
    if not isinstance(positions, range):
        return None
    inner = prod(sizes[1:])
    block = positions[0] // inner
    # So many positions stand in the first block of the outer factor; each further block must have the same row.
    run = bisect_left(positions, True, key=lambda position: position // inner != block)
    row, heads = shifted(positions[:run], -block * inner), positions[::run]
    step = heads.step // inner if len(heads) > 1 else 1
    if len(heads) > 1 and (heads.step % inner or len(positions) % run):
        return None
    below = _product(sizes[1:], row)
    return None if below is None else [range(block, block + len(heads) * step, step), *below]


def _take(atom: Atom, positions: Steps) -> Atom:
    """The atom that visits these positions of it."""
    if atom.origin.blank:
        return replace(atom, at=range(len(positions)))
    if isinstance(atom.at, range) and isinstance(positions, range) and positions:
        start, step = atom.at[positions[0]], atom.at.step * positions.step
        at: Steps = range(start, start + len(positions) * step, step)
    else:
        at = compact(tuple(atom.at[position] for position in positions))
    cut = len(at) > 1 and positions != range(atom.size)[::-1]
    # Which part of a product this is depends on factors that nobody gave; part of a packed axis can not be padded back.
    if (atom.origin.opaque and cut) or atom.origin.packed is not None or not changes_every_step(at):
        return whole(UNKNOWN, len(at))
    return replace(atom, at=at)


def take(axes: Axes, dim: int, positions: Steps | None, size: int = 0) -> Axes:
    """Some positions of one axis, in this order; None stands for positions that are too many to write out."""
    if positions is None:
        return axes.changed(axes.put(dim, unknown(size)), axes[dim].atoms, forgotten())
    axis, still = pick(axes[dim], positions)
    return axes.changed(axes.put(dim, axis), still)


# ---------------------------------------------------------------- axes in another order, more of them, fewer
@rule("permute")
def permute(input: Axes, *dims: Any) -> Axes:
    return Axes(tuple(input[dim] for dim in dims_of(*dims)), input.fixed)


@rule("transpose swapaxes swapdims")
def transpose(input: Axes, dim0: int, dim1: int) -> Axes:
    order = list(range(len(input)))
    if order:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(input, order)


@rule("movedim moveaxis")
def movedim(input: Axes, source: Any, destination: Any) -> Axes:
    rank = len(input)
    pairs = zip(dims_of(source), dims_of(destination), strict=True)
    placed = {to % rank: dim % rank for dim, to in pairs}
    rest = iter(dim for dim in range(rank) if dim not in placed.values())
    return permute(input, [placed[to] if to in placed else next(rest) for to in range(rank)])


@rule("squeeze")
def squeeze(input: Axes, *dims: Any) -> Axes:
    """Axes of size 1 removed: all of them, or those named."""
    wanted = {at % len(input) for at in dims_of(*dims) or range(len(input))}
    gone = [axis for at, axis in enumerate(input) if at in wanted and axis.size == 1]
    rows = [axis for at, axis in enumerate(input) if at not in wanted or axis.size != 1]
    return input.changed(rows, [atom for axis in gone for atom in axis.atoms])


@rule("unsqueeze")
def unsqueeze(input: Axes, dim: int) -> Axes:
    at = dim % (len(input) + 1)
    return Axes((*input.axes[:at], NEW_AXIS, *input.axes[at:]), input.fixed)


@rule("select")
def select(input: Axes, dim: int, index: int) -> Axes:
    """One position of one axis: the axis is gone."""
    place = int(index) % input[dim].size
    return squeeze(take(input, dim, range(place, place + 1)), dim)


@rule("narrow")
def narrow(input: Axes, dim: int, start: Any, length: int) -> Axes:
    return take(input, dim, range(input[dim].size)[int(start) :][:length])


@rule("split chunk tensor_split split_with_sizes unsafe_split unsafe_chunk")
def split(input: Axes, how: Any = None, dim: int = 0, *_: object, out: Sequence[tuple[int, ...]]) -> Answer:
    """Pieces of an axis, one after the other; how long each is, is seen in the result."""
    start, pieces = 0, []
    for sizes in out:
        pieces.append(take(input, dim, range(start, start + sizes[dim])))
        start += sizes[dim]
    return pieces


@rule("flip")
def flip(input: Axes, *dims: Any) -> Axes:
    """Axes read backwards: the coordinates are the same, their order is not."""
    for dim in dims_of(*dims):
        input = take(input, dim, range(input[dim].size)[::-1])
    return input


_RESPELLED: dict[str, Callable[..., Answer]] = {
    "t T H adjoint": lambda x, *_: permute(x, range(len(x))[::-1]) if len(x) <= 2 else None,
    # Windows: which one it is, and the step inside one, run along one coordinate together.
    "Tensor.unfold": lambda x, dim, size, step, *, out: x.changed(
        (*x.put(dim, unknown(out[dim % len(x)])), unknown(size))
    ),
    "mT mH": lambda x, *_: transpose(x, -2, -1),
    "unbind __iter__": lambda x, dim=0: [select(x, dim, at) for at in range(x[dim].size)],
    "fliplr": lambda x: flip(x, 1),
    "flipud __reversed__": lambda x: flip(x, 0) if x else x,
}
for _names, _function in _RESPELLED.items():
    rule(_names)(_function)


# ---------------------------------------------------------------- copies
@rule("expand broadcast_to expand_as")
def expand(input: Axes, *_: object, out: tuple[int, ...]) -> Axes:
    """Axes of size 1 stretched: stepping along them changes nothing, they lose their name."""
    front = len(out) - len(input)
    pairs = list(zip(input, out[front:], strict=True))
    rows = [axis if size == axis.size else _copies(size) for axis, size in pairs]
    return input.changed(
        [*map(_copies, out[:front]), *rows], [atom for axis, size in pairs if size != axis.size for atom in axis.atoms]
    )


def _copies(size: int) -> Axis:
    if size == 1:
        return NEW_AXIS
    return Axis((Atom(DESCRIBED_COPIES if describing.get() else COPIES, range(size)),))


@rule("repeat tile")
def repeat(input: Axes, *repeats: Any) -> Axes:
    """Whole copies one after the other along each axis."""
    given = dims_of(*repeats)
    times = (1,) * (len(input) - len(given)) + given
    front = len(times) - len(input)
    for dim, n in enumerate(times[front:]):
        size = input[dim].size
        if size == 1 and n > 1:
            input = input.changed(input.put(dim, _copies(n)), input[dim].atoms)
        elif n != 1:
            input = take(input, dim, joined([range(size)] * n) if size * n <= MOST else None, size * n)
    return input.changed((*map(_copies, times[:front]), *input.axes))


@rule("repeat_interleave")
def repeat_interleave(input: Axes, repeats: Any, dim: int | None = None, *_: object, out: tuple[int, ...]) -> Axes:
    """Each position several times in a row: a step may change nothing, so the name goes where `repeats` > 1."""
    if dim is None:
        return Axes((unknown(out[0]),), input.fixed)
    if not isinstance(repeats, int):
        return input.changed(input.put(dim, unknown(out[dim])))
    at = tuple(at for at in range(input[dim].size) for _ in range(repeats)) if out[dim] <= MOST else None
    return take(input, dim, at, out[dim])


# ---------------------------------------------------------------- other sizes
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
    owners = [(atom, at) for at, axis in enumerate(axes) for atom in axis.atoms]
    # Where new axes end: before how many elements. An end inside an atom cuts it in two, if both parts come out even.
    ends = [*accumulate(reversed(sizes), mul, initial=1)][::-1]
    todo: list[tuple[Atom, int]] = []  # with the number of the owner
    uneven: set[int] = set()
    outer = inner = ends[0]
    for number, (atom, _) in enumerate(owners):
        outer, inner = inner, inner // atom.size
        for end in dict.fromkeys(ends):
            if inner < end < outer and (end % inner or outer % end):
                uneven.add(end)
            elif inner < end < outer:
                part, atom = _split(atom, outer // end)
                todo.append((part, number))
                outer = end
        todo.append((atom, number))
    todo.reverse()
    gone = dict(axes.fixed)
    rows: list[Axis] = []
    mixes: list[list[tuple[Atom, int]]] = []
    broken: list[tuple[Atom, int]] = []
    while len(rows) < len(sizes):
        start = len(rows)
        stop = next(at for at in range(start + 1, len(ends)) if ends[at] not in uneven)
        need = ends[start] // ends[stop]
        taken = [todo.pop()] if need == 1 and todo and todo[-1][0].size == 1 else []
        while need > 1:
            atom, number = todo.pop()
            if atom.size == 1 and all(owners[beside][1] != owners[number][1] for _, beside in taken[-1:] or todo[-1:]):
                fix(gone, [atom])  # a size of 1 between two axes belongs to nothing; inside a composite it stays
            else:
                taken.append((atom, number))
                need //= atom.size
        if stop > start + 1:  # no row-major product fits: all axes up to the next common boundary are mixed
            rows += map(unknown, sizes[start:stop])
            fix(gone, [atom for atom, _ in taken], forgotten())
            broken += taken
            continue
        rows.append(_join([atom for atom, _ in taken]))
        if len({number for _, number in taken}) > 1 and any(atom is not owners[at][0] for atom, at in taken):
            mixes.append(taken)
    fix(gone, [atom for atom, _ in todo])
    after = settle(rows, gone)
    mixed = {at: owners[at][0] for pieces in (*mixes, broken) for _, at in pieces if owners[at][0].size > 1}
    meant = _probably(axes, sizes) if len(mixed) > 1 else None
    # A mistake, or meant? A fold ends with the outer part of an atom, (N, 8 heads of D); it keeps each row's elements
    # together. Frames are stacked on purpose.
    heads = [(atom, owners[at][0]) for (atom, at), *_ in mixes]
    glued = any(atom is not owner and owner.name != FRAMES for atom, owner in heads)
    if len(mixed) < 2 or not (broken or glued or meant):
        return after, None
    return after, Scramble(axes, sizes, tuple(dict.fromkeys(atom.origin.name for atom in mixed.values())), meant)


@rule("reshape view view_as reshape_as flatten ravel unflatten _unsafe_view")
def reshaped(input: Axes, *given: object, out: tuple[int, ...]) -> Any:
    """The axes reshaped to the sizes of the result; `view(dtype)` keeps them where it keeps the shape."""
    if any(type(value).__name__ == "dtype" for value in given):
        return input if out == input.sizes else None
    return reshape(input, out)


def _split(atom: Atom, outer: int) -> Sequence[Atom]:
    """One atom cut in two, each part with its share of the coordinate."""
    origin, at, inner = atom.origin, atom.at, atom.size // outer
    if origin.blank:
        return [replace(atom, at=range(size)) for size in (outer, inner)]
    if len(rows := rows_of(atom, inner, range(inner))) == 2:
        return rows
    if origin.naming is not None and not origin.root.named and at == range(atom.size) and not atom.part:
        # An input that nobody has named: what reads it says what its factors are, as N and L of 24 = L·N.
        return [Atom(one, range(size)) for one, size in zip(factors(origin, inner), (outer, inner), strict=True)]
    if origin.packed is not None or origin.opaque or not isinstance(at, range):
        return [whole(UNKNOWN, size) for size in (outer, inner)]
    return [Atom(origin, one, part=True) for one in (at[::inner], range(0, inner * at.step, at.step))]


def _join(pieces: Sequence[Atom]) -> Axis:
    """One new axis from its pieces; neighbours that are parts of one atom become one again."""
    atoms: list[Atom] = []
    for piece in pieces:
        if atoms and (merged := _joined_parts(atoms[-1], piece)) is not None:
            atoms[-1] = merged
        else:
            atoms.append(piece)
    if len(atoms) > 1:
        # A product counts each coordinate once: an axis that visits one twice has no place in it.
        atoms = [atom if injective(atom.at) else whole(UNKNOWN, atom.size) for atom in atoms]
    return Axis(tuple(atoms))


def _joined_parts(outer: Atom, inner: Atom) -> Atom | None:
    a, b = outer.at, inner.at
    if outer.origin is not inner.origin or not (outer.part and inner.part) or not isinstance(a, range) or not a:
        return None
    if not isinstance(b, range) or not b or (len(a) > 1 and a.step != b.step * len(b)):
        return None
    start = a.start + b.start
    return replace(outer, at=range(start, start + len(a) * len(b) * b.step, b.step))


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
