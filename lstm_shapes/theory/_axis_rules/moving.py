"""Operations that move axes about without touching what is inside: transpose, permute, squeeze, flip, …"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from lstm_shapes.theory._axis_rules.picking import pick
from lstm_shapes.theory._axis_rules.table import Answer, Operand, at_dim, describing, dims_of, rule, sizes_of
from lstm_shapes.theory._origins import COPIES, DESCRIBED_COPIES, MOST, Atom, Steps, joined
from lstm_shapes.theory.axes import NEW_AXIS, Axes, Axis, fix, forgotten, settle, unknown

__all__ = ["expand", "flip", "movedim", "permute", "repeat", "repeat_interleave", "resize", "roll", "rot90"]
__all__ += ["select", "split", "squeeze", "take", "transpose", "unsqueeze"]


@rule("permute")
def permute(input: Axes, *order: Any, dims: Any = ()) -> Axes:
    """The axes in another order.

    >>> permute(Axes.of("N L Q", (2, 20, 28)), (2, 0, 1))
    (Q=28, N=2, L=20)
    """
    return Axes(tuple(input[at_dim(input, dim)] for dim in dims_of(*order or (dims,))), input.fixed)


@rule("transpose swapaxes swapdims")
def transpose(input: Axes, dim0: int = 0, dim1: int = 0, **other: int) -> Axes:
    """Two axes exchanged.

    >>> transpose(Axes.of("N L Q", (2, 20, 28)), 0, 1)
    (L=20, N=2, Q=28)
    """
    if not input:
        return input
    order = list(range(len(input)))
    a, b = at_dim(input, other.get("axis0", dim0)), at_dim(input, other.get("axis1", dim1))
    order[a], order[b] = order[b], order[a]
    return permute(input, order)


@rule("t T H adjoint")
def turn(input: Axes, *_: object) -> Answer:
    """A matrix turned; of more axes there is no one way to turn."""
    return permute(input, range(len(input))[::-1]) if len(input) <= 2 else None


@rule("mT mH")
def turn_last(input: Axes, *_: object) -> Axes:
    """The last two axes exchanged."""
    return transpose(input, -2, -1)


@rule("movedim moveaxis")
def movedim(input: Axes, source: Any, destination: Any) -> Axes:
    """Axes moved to new places, the others in their old order.

    >>> movedim(Axes.of("N L Q", (2, 20, 28)), (0,), (-1,))
    (L=20, Q=28, N=2)
    """
    pairs = zip(dims_of(source), dims_of(destination), strict=True)
    placed = {at_dim(input, to): at_dim(input, dim) for dim, to in pairs}
    rest = iter(dim for dim in range(len(input)) if dim not in placed.values())
    return permute(input, [placed[to] if to in placed else next(rest) for to in range(len(input))])


@rule("squeeze")
def squeeze(input: Axes, *dims: Any, dim: Any = ()) -> Axes:
    """Axes of size 1 removed: all of them, or those named.

    >>> squeeze(Axes.of("N 1 Q", (2, 1, 28)))
    (N=2, Q=28)
    """
    named = dims_of(*dims or (dim,))
    wanted = {at_dim(input, at) for at in named} if named else range(len(input))
    gone = dict(input.fixed)
    rows = []
    for place, axis in enumerate(input):
        if place in wanted and axis.size == 1:
            fix(gone, axis.atoms)
        else:
            rows.append(axis)
    return settle(rows, gone)


@rule("unsqueeze")
def unsqueeze(input: Axes, dim: int) -> Axes:
    """A new axis of size 1, called `1`.

    >>> unsqueeze(Axes.of("N Q", (2, 28)), 1)
    (N=2, 1, Q=28)
    """
    at = at_dim(input, dim, extra=1)
    return Axes((*input.axes[:at], NEW_AXIS, *input.axes[at:]), input.fixed)


def take(axes: Axes, dim: int, positions: Steps | None, size: int = 0) -> Axes:
    """Some positions of one axis, in this order: a piece of split, flip, roll.

    None stands for positions that are too many to write out: the axis is unknown and its coordinates are lost.

    >>> take(Axes.of("N L", (2, 20)), 1, range(5))
    (N=2, L=5)
    """
    at = at_dim(axes, dim)
    gone = dict(axes.fixed)
    if positions is None:
        axis = unknown(size)
        fix(gone, axes[at].atoms, forgotten())
    else:
        axis, still = pick(axes[at], positions)
        fix(gone, still)
    return settle((*axes.axes[:at], axis, *axes.axes[at + 1 :]), gone)


@rule("select")
def select(input: Axes, dim: int, index: int) -> Axes:
    """One position of one axis: the axis is gone.

    >>> select(Axes.of("N L D", (2, 20, 256)), 1, -1)
    (N=2, D=256)
    """
    at = at_dim(input, dim)
    place = at_dim(range(input[at].size), int(index))
    return squeeze(take(input, at, range(place, place + 1)), at)


@rule("narrow")
def narrow(input: Axes, dim: int, start: Any, length: int) -> Axes:
    """So many positions from here on."""
    first = int(start) % (input[dim].size or 1)
    return take(input, dim, range(first, first + length))


@rule("unbind __iter__")
def unbind(input: Axes, dim: int = 0) -> Answer:
    """Every position by itself."""
    return [select(input, dim, at) for at in range(input[dim].size)]


@rule("split chunk tensor_split split_with_sizes unsafe_split unsafe_chunk")
def split(input: Axes, *how: Any, out: Sequence[tuple[int, ...]], dim: int = 0, **_: object) -> Answer:
    """Pieces of an axis, one after the other; how long each is, is seen in the result."""
    dim = how[1] if len(how) > 1 else dim
    start, pieces = 0, []
    for sizes in out:
        pieces.append(take(input, dim, range(start, start + sizes[dim])))
        start += sizes[dim]
    return pieces


@rule("hsplit vsplit dsplit")
def axis_split(input: Axes, *_: object, out: Sequence[tuple[int, ...]]) -> Answer:
    """Pieces along the axis in which they differ from the whole."""
    dims = [dim for dim in range(len(input)) if any(sizes[dim] != input[dim].size for sizes in out)]
    return split(input, out=out, dim=dims[0]) if len(dims) == 1 else [input] if len(out) == 1 else None


@rule("flip")
def flip(input: Axes, *order: Any, dims: Any = ()) -> Axes:
    """Axes read backwards: the coordinates are the same, their order is not.

    >>> flip(Axes.of("N L", (2, 20)), (1,))
    (N=2, L=20)
    """
    for dim in dims_of(*order or (dims,)):
        input = take(input, dim, range(input[dim].size)[::-1])
    return input


@rule("fliplr")
def fliplr(input: Axes) -> Axes:
    """The second axis read backwards."""
    return flip(input, 1)


@rule("flipud __reversed__")
def flipud(input: Axes) -> Axes:
    """The first axis read backwards."""
    return flip(input, 0) if input else input


@rule("roll")
def roll(input: Axes, shifts: Any, dims: Any = None) -> Answer:
    """Axes read from another start, round the end; without dims all of them at once, as one long row.

    >>> roll(Axes.of("N L", (2, 20)), (1,), (1,))
    (N=2, L=20)
    """
    over = () if dims is None else dims_of(dims)
    if not over and len(input) != 1:
        return None if input else input
    for shift, dim in zip(dims_of(shifts), over or (0,), strict=True):
        size = input[dim].size
        start = -shift % size if size else 0
        input = take(input, dim, joined([range(start, size), range(start)]), size)
    return input


@rule("rot90")
def rot90(input: Axes, k: int = 1, dims: Sequence[int] = (0, 1)) -> Axes:
    """Quarter turns in the plane of two axes.

    >>> rot90(Axes.of("N L", (2, 20)), 1, (0, 1))
    (L=20, N=2)
    """
    for _ in range(k % 4):
        input = transpose(flip(input, dims[1]), *dims)
    return input


@rule("expand broadcast_to expand_as")
def expand(input: Axes, *_: object, out: tuple[int, ...], **__: object) -> Axes:
    """Axes of size 1 stretched to the sizes of the result: stepping along them changes nothing, they lose their name.

    >>> expand(Axes.of("N 1 Q", (2, 1, 28)), out=(2, 5, 28))
    (N=2, ?=5, Q=28)
    """
    front = len(out) - len(input)
    rows = [_copies(size) for size in out[:front]]
    gone = dict(input.fixed)
    for axis, size in zip(input, out[front:], strict=True):
        rows.append(axis if size == axis.size else _copies(size))
        if size != axis.size:
            fix(gone, axis.atoms)
    return settle(rows, gone)


def _copies(size: int) -> Axis:
    if size == 1:
        return NEW_AXIS
    return Axis((Atom(DESCRIBED_COPIES if describing.get() else COPIES, range(size)),))


@rule("broadcast_tensors")
def broadcast_tensors(*tensors: Any, out: Sequence[tuple[int, ...]]) -> Answer:
    """Each stretched to the shape of all."""
    given: Sequence[Operand] = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list) else tensors
    pairs = zip(given, out, strict=True)
    return [expand(one, out=sizes) if isinstance(one, Axes) else None for one, sizes in pairs]


@rule("repeat tile")
def repeat(input: Axes, *repeats: Any, dims: Any = (), **other: Any) -> Axes:
    """Whole copies one after the other along each axis.

    >>> repeat(Axes.of("L", (20,)), (4, 1))
    (?=4, L=20)
    """
    given = dims_of(*repeats or (other.get("repeats", dims),))
    times = (1,) * (len(input) - len(given)) + given
    front = len(times) - len(input)
    for dim, n in enumerate(times[front:]):
        size = input[dim].size
        if n == 1:
            continue
        if size == 1 and n > 1:
            gone = dict(input.fixed)
            fix(gone, input[dim].atoms)
            input = settle((*input.axes[:dim], _copies(n), *input.axes[dim + 1 :]), gone)
        else:
            at = joined([range(size)] * n) if size * n <= MOST else None
            input = take(input, dim, at if size and n else range(0), size * n)
    return settle((*map(_copies, times[:front]), *input.axes), input.fixed)


@rule("repeat_interleave")
def repeat_interleave(
    input: Axes, repeats: Any = None, dim: int | None = None, *, out: Any = (), **_: object
) -> Answer:
    """Each position several times in a row: a step may change nothing, so the name goes where `repeats` > 1.

    >>> repeat_interleave(Axes.of("N L", (2, 20)), 3, 0)
    (?=6, L=20)
    """
    if not isinstance(repeats, int):
        if prod(sizes_of(repeats)) != 1:
            return None if dim is None else resize(input, {dim: out[dim]})
        repeats = out[dim or 0] // max(prod(input.sizes) if dim is None else input[dim].size, 1)
    if dim is None:
        return Axes((unknown(repeats * prod(input.sizes)),), input.fixed)
    size = input[dim].size
    if repeats == 1:
        return input
    long = size * repeats > MOST
    return take(input, dim, None if long else tuple(at for at in range(size) for _ in range(repeats)), size * repeats)


def resize(axes: Axes, sizes: dict[int, int]) -> Axes:
    """The axes where some have become others of a new size: pooling, topk.

    >>> resize(Axes.of("N L D", (2, 20, 256)), {-1: 128})
    (N=2, L=20, ?=128)
    """
    rows = list(axes)
    for dim, size in sizes.items():
        rows[at_dim(axes, dim)] = unknown(size) if size != 1 else NEW_AXIS
    return settle(rows, axes.fixed)


@rule("diagonal")
def diagonal(input: Axes, offset: int = 0, dim1: int = 0, dim2: int = 1, *, out: tuple[int, ...]) -> Axes:
    """The diagonal runs along two axes at once: it has no name."""
    rest = [axis for at, axis in enumerate(input) if at not in (dim1 % len(input), dim2 % len(input))]
    return settle([*rest, unknown(out[-1])], input.fixed)


@rule("linalg_diagonal")
def linalg_diagonal(input: Axes, *, offset: int = 0, dim1: int = -2, dim2: int = -1, out: tuple[int, ...]) -> Axes:
    """Of matrices, which are the last two axes unless others are named."""
    return diagonal(input, offset, dim1, dim2, out=out)


@rule("Tensor.unfold")
def unfold(input: Axes, dimension: int, size: int, step: int, *, out: tuple[int, ...]) -> Axes:
    """Windows: where they begin is a step along the axis, and so is a step inside one.

    Both run along one coordinate, as the parts of a cut axis do: each has its name once the other is gone.

    >>> windows = unfold(Axes.of("N L", (2, 20)), 1, 3, 2, out=(2, 9, 3))
    >>> windows, select(windows, -1, 0)
    ((N=2, ?=9, ?=3), (N=2, L=9))
    """
    at = at_dim(input, dimension)
    if size == 1:
        return unsqueeze(take(input, at, range(0, out[at] * step, step)), -1)
    rows = [*resize(input, {at: out[at]}), unknown(size)]
    atoms = input[at].atoms
    if len(atoms) == 1 and not atoms[0].part and isinstance(steps := atoms[0].at, range):
        inside = range(0, size * steps.step, steps.step)
        rows[at], rows[-1] = (
            Axis((Atom(atoms[0].origin, one, part=True),)) for one in (steps[::step][: out[at]], inside)
        )
    return settle(rows, input.fixed)
