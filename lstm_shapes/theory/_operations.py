"""The operations of the grammar: what torch refuses is refused, and each says which elements of its operands it takes.

They take their operands as steps and torch's arguments under torch's names, so that their signatures say how they are
written; the axes of what they make come of the pure axis rules. What is asked of a value is a box, one range for each
axis, so a billion steps cost as little as six.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import prod
from typing import Any

from lstm_shapes.errors import ShapeError

from ._axis_rules.joining import Picks, spread
from ._axis_rules.table import RULES
from .axes import Axes, forget

Shape = tuple[int, ...]
Box = tuple[range, ...]
Pull = Callable[[Box], Iterator[tuple[int, Box]]]
"""What is asked of a value -> the number of an operand, and what is then asked of it."""
Source = tuple[int | None, range | Shape]
"""The axis of the result along which an axis of an operand is read, and at which positions; None: at all of them."""

# Index items beyond int, slice, None and Ellipsis: one position for each row of the batch.
ALL_ROWS, LAST_STEPS = "torch.arange(N)", "lengths - 1"

_MOST = 10_000
"""The most boxes that one is cut into by a reshape across axes; the exact number does not matter."""
_KINDS = {"equal": "claim", "any": "claim", "not": "claim", "shape": "shape", "size": "number", "number": "number"}


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An operation for one layer and call, with the steps that it works on; X, Y, h0, c0, hn and cn are without any.

    Arguments are as torch and the axis rules take them: dims and indices count from the front.
    """

    op: str
    inputs: tuple[Step, ...] = ()
    arguments: tuple[Any, ...] = ()
    axes: Axes = field(default_factory=Axes)
    pull: Pull | None = None

    @property
    def shape(self) -> Shape:
        return self.axes.sizes

    @property
    def kind(self) -> str:
        """A tensor, or a claim, a shape or a number."""
        return _KINDS.get(self.op, "tensor")

    def leaves(self, box: Iterable[range]) -> Iterator[tuple[str, Box]]:
        """What is asked of X, Y, h0, c0, hn and cn, where this is asked of its value."""
        asked = tuple(box)
        if not all(asked):
            return
        if self.kind == "claim":
            for operand in self.inputs:
                yield from operand.leaves(map(range, operand.shape))
        elif self.pull is not None:
            for number, inner in self.pull(asked):
                yield from self.inputs[number].leaves(inner)
        elif self.kind == "tensor":  # shapes and sizes are known without reading anything
            yield self.op, asked


def _made(op: str, inputs: Sequence[Step], arguments: tuple[Any, ...], pull: Pull, shape: Shape | None = None) -> Step:
    """A step whose axes are named by the rule that named tensors follow, too; some rules ask for the shape as well."""
    rule = RULES[{"getitem": "__getitem__", "add": "pointwise"}.get(op, op)]
    operands: list[Any] = [step.axes for step in inputs]
    given = [operands] if op in ("cat", "stack") else operands
    as_ruled = (tuple(map(_key, arguments[0])),) if op == "getitem" else arguments
    said = rule.function(*given, *as_ruled, **({"out": shape} if rule.wants_out else {}))
    axes = said[0] if isinstance(said, tuple) else said
    return Step(op, tuple(inputs), arguments, axes if rule.own_record else forget(axes, operands), pull)


def _key(entry: Any) -> Any:
    """An entry of a getitem as the axis rules take it."""
    if isinstance(entry, range):
        return slice(entry.start, entry.stop, entry.step)
    return Picks((len(entry),), entry) if isinstance(entry, tuple) else entry


def _wrong(rule: str, got: object) -> ShapeError:
    return ShapeError("expression", rule, got=got)


def _axis(dim: Any, shape: Shape, extra: int = 0) -> int:
    """The place of an axis, counted from the end if negative."""
    if type(dim) is not int:
        raise ValueError
    count = len(shape) + extra
    if not -count <= dim < count:
        raise _wrong(f"an axis from {-count} to {count - 1}", dim)
    return dim % count


def _places(dims: Any, shape: Shape) -> Shape:
    """The places of axes that are each named once, one of them or several."""
    dims = dims if isinstance(dims, tuple) else (dims,)
    places = tuple(_axis(dim, shape) for dim in dims)
    if len(set(places)) != len(places) or not dims:
        raise _wrong("axes that are each named once", dims)
    return places


def _several(given: tuple[Any, ...]) -> Shape:
    """Whole numbers, which torch takes one by one or as one list."""
    numbers = given[0] if len(given) == 1 and isinstance(given[0], tuple) else given
    if not numbers or not all(type(number) is int for number in numbers):
        raise ValueError
    return tuple(numbers)


# ---- each operation: its operands and its arguments -> the step; a ValueError is what the grammar does not have
def getitem(x: Step, items: tuple[Any, ...], rows: Mapping[str, Shape]) -> Step:
    """x[items]; `rows` are the positions, one for each row of the batch, that ALL_ROWS and LAST_STEPS stand for."""
    shape = x.shape
    taken = [item for item in items if item is not None and item is not Ellipsis]
    if len(taken) > len(shape) or sum(item is Ellipsis for item in items) > 1:
        raise _wrong(f"at most {len(shape)} indices and one ...", items)
    if LAST_STEPS in taken and not rows[LAST_STEPS]:
        raise _wrong("without lengths, since this call has none", LAST_STEPS)
    full: list[Any] = spread(items, len(shape))
    keys: list[Any] = []
    for item in full:
        if item is None:
            keys.append(None)
            continue
        place = sum(key is not None for key in keys)
        size = shape[place]
        if isinstance(item, slice):
            if item.step is not None and item.step < 1:
                raise _wrong("a step of at least 1, as torch wants", item)
            keys.append(range(size)[item])
        elif isinstance(item, str):
            if max(rows[item], default=-1) >= size:
                raise _wrong(f"on an axis of at least {max(rows[item]) + 1}: {item}", shape)
            keys.append(rows[item])
        elif -size <= item < size:
            keys.append(item % size)
        else:
            name = x.axes.names[place]
            where = f"axis {name}" if name not in ("?", "1") else f"axis {place}"
            raise _wrong(f"an index from {-size} to {size - 1} on {where}" if size else "no index: size 0", item)
    axes = [key for key in keys if not isinstance(key, int)]
    picks = [place for place, key in enumerate(axes) if isinstance(key, tuple)]
    if picks and picks[-1] - picks[0] != len(picks) - 1:
        raise _wrong("rows and steps beside each other", shape)
    return _picked(x, keys)


def _picked(x: Step, keys: Sequence[Any]) -> Step:
    """The elements at these keys: a position, a range, or a tuple with a position for each row; None makes an axis."""
    axis, sources = 0, list[Source]()
    rows = None
    for key in keys:
        if isinstance(key, int):
            sources.append((None, range(key, key + 1)))
        elif isinstance(key, tuple) and rows is not None:  # the same rows for all such keys
            sources.append((rows, key))
        else:
            rows = axis if isinstance(key, tuple) else rows
            sources += [] if key is None else [(axis, key)]
            axis += 1
    return _made("getitem", (x,), (tuple(keys),), _along(sources))


def _along(*operands: Sequence[Source]) -> Pull:
    """Each operand's axes, read along axes of the result, or whole."""

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        def read(axis: int | None, at: range | Shape, n: int) -> range:
            if isinstance(at, tuple):
                return range(at[n], at[n] + 1)
            chosen = at if axis is None else at[box[axis].start : box[axis].stop : box[axis].step]
            return chosen if chosen.step > 0 else chosen[::-1]  # no step is 0

        for number, sources in enumerate(operands):
            rows = [box[axis] for axis, at in sources if isinstance(at, tuple) and axis is not None]
            for n in rows[0] if rows else (0,):  # without positions for each row once, and n is not asked for
                yield number, tuple(read(axis, at, n) for axis, at in sources)

    return pull


def _squeeze(x: Step, dim: Any = ...) -> Step:
    """Axes of size 1 taken away; torch leaves others as they are."""
    places = range(len(x.shape)) if dim is ... else _places(dim, x.shape)
    return _picked(x, [0 if at in places and size == 1 else range(size) for at, size in enumerate(x.shape)])


def _unsqueeze(x: Step, dim: int) -> Step:
    place, keys = _axis(dim, x.shape, extra=1), [*map(range, x.shape)]
    return _picked(x, [*keys[:place], None, *keys[place:]])


def _flip(x: Step, *dims: Any) -> Step:
    places = _places(_several(dims), x.shape)
    sources = [(at, range(size)[:: -1 if at in places else 1]) for at, size in enumerate(x.shape)]
    return _made("flip", (x,), (places,), _along(sources))


def _permute(x: Step, *dims: Any) -> Step:
    order = _several(dims)
    places = tuple(_axis(dim, x.shape) for dim in order)
    if sorted(places) != list(range(len(x.shape))):
        raise _wrong(f"each of the {len(x.shape)} axes once", order)
    return _made("permute", (x,), places, _along([(places.index(at), range(size)) for at, size in enumerate(x.shape)]))


def _transpose(x: Step, first: int, second: int) -> Step:
    a, b = _axis(first, x.shape), _axis(second, x.shape)
    order = list(range(len(x.shape)))
    order[a], order[b] = b, a
    return _permute(x, *order)


def _reduce(op: str, x: Step, dim: Any = ..., keepdim: Any = None) -> Step:
    # torch takes keepdim with a dim only.
    if not isinstance(keepdim, bool | None) or (dim is ... and keepdim is not None):
        raise ValueError
    shape, keep = x.shape, bool(keepdim)
    places = tuple(range(len(shape))) if dim in (..., None) else _places(dim, shape)
    left = [at for at in range(len(shape)) if keep or at not in places]
    sources = [(None if at in places else left.index(at), range(size)) for at, size in enumerate(shape)]
    return _made(op, (x,), (places, keep), _along(sources), tuple(1 if at in places else shape[at] for at in left))


def add(x: Step, other: Step) -> Step:
    """x + other, broadcast as torch does it."""
    shapes = x.shape, other.shape
    count = max(map(len, shapes))
    a, b = ((1,) * (count - len(shape)) + shape for shape in shapes)
    if any(1 not in (one, other) and one != other for one, other in zip(a, b, strict=True)):
        raise _wrong("a sum of tensors that broadcast: from the right, sizes equal or 1", shapes)
    sources = [
        [(None if size == 1 else at, range(size)) for at, size in enumerate(shape, count - len(shape))]
        for shape in shapes
    ]
    return _made("add", (x, other), (), _along(*sources))


def _shapes(tensors: Any) -> tuple[Shape, ...]:
    """The shapes of what is joined, a list of tensors."""
    if not isinstance(tensors, tuple) or not tensors or not all(isinstance(one, Step) for one in tensors):
        raise ValueError
    return tuple(step.shape for step in tensors)


def _cat(tensors: Any, dim: int = 0) -> Step:
    shapes = _shapes(tensors)
    if len({len(shape) for shape in shapes}) > 1 or () in shapes:
        raise _wrong("tensors with the same axes, at least one, in torch.cat", shapes)
    place = _axis(dim, shapes[0])
    if len({(*shape[:place], *shape[place + 1 :]) for shape in shapes}) > 1:
        raise _wrong(f"tensors that differ in size only along dim={dim} in torch.cat", shapes)

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        start = 0
        for number, shape in enumerate(shapes):
            end = start + shape[place]
            yield number, (*box[:place], between(box[place], start, end), *box[place + 1 :])
            start = end

    return _made("cat", tensors, (place,), pull)


def _stack(tensors: Any, dim: int = 0) -> Step:
    shapes = _shapes(tensors)
    if len(set(shapes)) > 1:
        raise _wrong("tensors of one shape in torch.stack", shapes)
    place = _axis(dim, shapes[0], extra=1)

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        return ((number, (*box[:place], *box[place + 1 :])) for number in box[place])

    return _made("stack", tensors, (place,), pull)


def _reshape(x: Step, *given: Any) -> Step:
    sizes, count = _several(given), prod(x.shape)
    others = prod(size for size in sizes if size != -1)
    if min(sizes) < -1 or sizes.count(-1) > 1 or (count % others if -1 in sizes and others else count != others):
        raise _wrong(f"as many elements as {x.shape} has, {count}, with one size of -1 at most", sizes)
    if -1 in sizes and not others:
        raise _wrong("no -1 beside a 0, which could be any size", sizes)
    return _reshaped(x, tuple(count // others if size == -1 else size for size in sizes))


def _view(x: Step, *given: Any) -> Step:
    """A reshape; axes that it joins must lie in memory as they stand, which is sure of X and of states themselves.

    It is computed as a reshape: a layer of one's own may return states that lie otherwise, where view would raise.
    """
    made = _reshape(x, *given)
    joins = any(sum(x.shape[at] != 1 for at in before) > 1 for _, before in _groups(made.shape, x.shape))
    if joins and x.op not in ("X", "h0", "c0", "hn", "cn"):
        raise _wrong("a view of X or a state itself, or one that joins no axes; write reshape", (x.shape, made.shape))
    return made


def _flatten(x: Step, start: int = 0, end: int = -1, *more: int) -> Step:
    shape = x.shape
    first, last = _axis(start, shape or (1,)), _axis(end, shape or (1,))
    if more or first > last:
        raise _wrong("the first axis to join and the last", (start, end, *more))
    return _reshaped(x, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))


def _reshaped(x: Step, new: Shape) -> Step:
    """Axes are flattened and cut again, each group of them by itself that holds the same elements before and after."""
    old = x.shape

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        groups = []
        for after, before in _groups(new, old):
            runs = _runs([box[at] for at in after], [new[at] for at in after])
            groups.append([cut for run in runs for cut in _cut(*run, [old[at] for at in before])])
        _few(prod(map(len, groups)))
        return ((0, tuple(one for piece in pieces for one in piece)) for pieces in product(*groups))

    return _made("reshape", (x,), new, pull, new)


FUNCTIONS: dict[str, Callable[..., Step]] = {"cat": _cat, "concat": _cat, "stack": _stack}
METHODS: dict[str, Callable[..., Step]] = {
    "any": lambda x: Step("any", (x,)),
    "flatten": _flatten,
    "flip": _flip,
    "mean": partial(_reduce, "mean"),
    "permute": _permute,
    "reshape": _reshape,
    "size": lambda x, dim: Step("size", (x,), (_axis(dim, x.shape),)),
    "squeeze": _squeeze,
    "sum": partial(_reduce, "sum"),
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    "view": _view,
}
"""torch's name -> what it does; the signature says how it is written."""


def between(one: range, low: int, high: int) -> range:
    """The members of a range from low to high - 1, counted from low."""
    below = max(0, -((one.start - low) // one.step))
    return range(one.start + below * one.step - low, min(one.stop, high) - low, one.step)


def _groups(new: Sequence[int], old: Sequence[int]) -> Iterator[tuple[range, range]]:
    """Neighbouring axes that hold the same elements in both shapes, as few at a time as can be."""
    i = j = 0
    while i < len(new) or j < len(old):
        a, b = i, j
        size_new = size_old = 1
        while i == a or size_new != size_old:
            if i < len(new) and (size_new <= size_old or j == len(old)):
                size_new, i = size_new * new[i], i + 1
            elif j < len(old):
                size_old, j = size_old * old[j], j + 1
            else:
                break
        if i == len(new):  # axes of size 1 are left
            j = len(old)
        yield range(a, i), range(b, j)


def _runs(box: Sequence[range], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """The elements of a box in row-major order, as runs of neighbouring positions: where each begins and ends."""
    runs, inner = [(0, 1)], 1
    for outer, size in zip(reversed(box), reversed(sizes), strict=True):
        if outer.step == 1 and runs == [(0, inner)]:
            runs = [(outer.start * inner, outer.stop * inner)]
        else:
            _few(len(outer) * len(runs))
            runs = [(row * inner + low, row * inner + high) for row in outer for low, high in runs]
        inner *= size
    return runs


def _cut(low: int, high: int, sizes: Sequence[int]) -> Iterator[Box]:
    """The positions from low to high - 1 of a row-major order as boxes of these sizes."""
    if len(sizes) < 2:
        yield (range(low, high),) if sizes else ()
        return
    inner, rest = prod(sizes[1:]), sizes[1:]
    for row in sorted({low // inner, (high - 1) // inner}):
        start, end = max(low - row * inner, 0), min(high - row * inner, inner)
        if end - start < inner:  # a row of which a part is read
            yield from ((range(row, row + 1), *inside) for inside in _cut(start, end, rest))
    first, last = -(-low // inner), high // inner
    if first < last:
        yield (range(first, last), *map(range, rest))


def _few(count: int) -> None:
    if count > _MOST:
        raise _wrong("one whose reshape keeps long axes whole", f"{count:,} pieces of one")
