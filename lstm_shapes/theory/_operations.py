"""What each operation of the grammar makes of shapes and axes, and which elements of its operands each element is.

What torch refuses is refused, the rest is named by the pure axis rules. What is asked of a value is a box, one range
for each axis, so a billion steps cost as little as six.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from lstm_shapes.errors import ShapeError

from ._axis_rules.indexing import Picks
from ._axis_rules.table import RULES
from ._grammar import ALL_ROWS, LAST_STEPS, TENSORS, Node, bound
from .axes import Axes, forget
from .predict import Prediction

Shape = tuple[int, ...]
Box = tuple[range, ...]
Pull = Callable[[Box], Iterator[tuple[int, Box]]]
"""What is asked of a value -> the number of an operand, and what is then asked of it."""
Made = tuple[tuple[Any, ...], Shape | None, Pull]
"""The arguments with places and sizes, the shape of the result where the rule of its axes asks for it, and where its
elements come from."""

_MOST = 10_000
"""So many boxes may come of one, where a reshape cuts across axes; one more or less would do as well."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A node of the grammar for one layer and call: its numbers have values, dims and indices count from the front."""

    op: str
    inputs: tuple[Step, ...] = ()
    arguments: tuple[Any, ...] = ()
    axes: Axes = field(default_factory=Axes)
    pull: Pull | None = None

    @property
    def shape(self) -> Shape:
        return self.axes.sizes

    def leaves(self, box: Iterable[range]) -> Iterator[tuple[str, Box]]:
        """What is asked of X, Y, h0, c0, hn and cn, where this is asked of its value."""
        asked = tuple(box)
        if not all(asked):
            return
        if self.op in ("equal", "any", "not"):
            for operand in self.inputs:
                yield from operand.leaves(map(range, operand.shape))
        elif self.pull is not None:
            for number, inner in self.pull(asked):
                yield from self.inputs[number].leaves(inner)
        elif self.op in TENSORS:  # shapes and sizes are known without reading anything
            yield self.op, asked


def step_of(node: Node, prediction: Prediction) -> Step:
    """A node, and all that it works on, for one layer and call."""
    spec, call = prediction.spec, prediction.call
    if node.op in TENSORS:
        axes = prediction.tensors.get(node.op)
        if axes is None:
            raise _wrong(f"about a tensor of {spec.cell}: {', '.join(prediction.tensors)}", node.op)
        return Step(node.op, axes=axes)
    inputs = tuple(step_of(operand, prediction) for operand in node.operands)
    sizes = {"L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P, "H": spec.H}
    arguments = bound(node.arguments, sizes if call.N is None else {**sizes, "N": call.N})
    if node.op == "size":
        arguments = (_axis(arguments[0], inputs[0].shape),)
    if node.op not in _OPERATIONS:  # a claim or a number
        return Step(node.op, inputs, arguments)
    if node.op == "getitem":
        arguments = _keys(arguments[0], inputs[0], call.lengths, call.N)
    shapes = tuple(step.shape for step in inputs)
    arguments, shape, pull = _OPERATIONS[node.op](shapes, *arguments)
    # Axes that a view joins must lie in memory as they stand, which is sure of X and of states as the layer has them.
    if (
        node.op == "view"
        and inputs[0].op not in ("X", "h0", "c0", "hn", "cn")
        and shape is not None
        and _joins(shapes[0], shape)
    ):
        raise _wrong("a view of X or a state itself, or one that joins no axes; write reshape", (*shapes, arguments))
    return Step(node.op, inputs, arguments, _named(node.op, inputs, arguments, shape), pull)


def _named(op: str, inputs: tuple[Step, ...], arguments: tuple[Any, ...], shape: Shape | None) -> Axes:
    """The axes of the result, by the rule that named tensors follow, too."""
    rule = RULES[{"getitem": "__getitem__", "add": "pointwise"}.get(op, op)]
    operands: list[Any] = [step.axes for step in inputs]
    if op == "squeeze" and not arguments[0]:
        return inputs[0].axes  # the rule takes no place for every place
    if op == "getitem":
        arguments = (tuple(_key(entry) for entry in arguments[0]),)
    given = [operands] if op in ("cat", "stack") else operands
    said = rule.function(*given, *arguments, **({"out": shape} if rule.wants_out else {}))
    axes = said[0] if isinstance(said, tuple) else said
    return axes if rule.own_record else forget(axes, operands)


def _key(entry: Any) -> Any:
    """An entry of a getitem as the axis rules take it."""
    if isinstance(entry, range):
        return slice(entry.start, entry.stop, entry.step)
    return Picks((len(entry),), entry) if isinstance(entry, tuple) else entry


def _wrong(rule: str, got: object) -> ShapeError:
    return ShapeError("expression", rule, got=got)


def _axis(dim: int, shape: Shape, extra: int = 0) -> int:
    """The place of an axis, counted from the end if negative."""
    count = len(shape) + extra
    if not -count <= dim < count:
        raise _wrong(f"an axis from {-count} to {count - 1}", dim)
    return dim % count


def _places(dims: Shape | None, shape: Shape) -> Shape:
    """The places of axes that are each named once; of all for None."""
    places = tuple(range(len(shape))) if dims is None else tuple(_axis(dim, shape) for dim in dims)
    if len(set(places)) != len(places) or dims == ():
        raise _wrong("axes that are each named once", dims)
    return places


def _keys(items: tuple[Any, ...], step: Step, lengths: Shape | None, N: int | None) -> tuple[Any, ...]:
    """One entry for each axis: a position, a range of them, or a tuple with one for each row; None makes an axis."""
    shape = step.shape
    taken = [item for item in items if item is not None and item is not Ellipsis]
    if len(taken) > len(shape) or sum(item is Ellipsis for item in items) > 1:
        raise _wrong(f"at most {len(shape)} indices and one ...", items)
    if LAST_STEPS in taken and lengths is None:
        raise _wrong("without lengths, since this call has none", LAST_STEPS)
    missing = [slice(None)] * (len(shape) - len(taken))
    full = [one for item in items for one in (missing if item is Ellipsis else [item])]
    full += missing if Ellipsis not in items else []
    keys: list[Any] = []
    for item in full:
        place = sum(key is not None for key in keys)
        if item is None:
            keys.append(None)
        elif isinstance(item, slice):
            if item.step is not None and item.step < 1:
                raise _wrong("a step of at least 1, as torch wants", item)
            keys.append(range(shape[place])[item])
        elif isinstance(item, str):
            positions = tuple(range(N or 0)) if item == ALL_ROWS else tuple(length - 1 for length in lengths or ())
            if positions and max(positions) >= shape[place]:
                raise _wrong(f"on an axis of at least {max(positions) + 1}: {item}", shape)
            keys.append(positions)
        elif -shape[place] <= item < shape[place]:
            keys.append(item % shape[place])
        else:
            size, name = shape[place], step.axes.names[place]
            where = f"axis {name}" if name not in ("?", "1") else f"axis {place}"
            raise _wrong(f"an index from {-size} to {size - 1} on {where}" if size else "no index: size 0", item)
    return tuple(keys)


# ---- each operation: the shapes of its operands and its arguments -> what it makes
def _getitem(shapes: Sequence[Shape], *keys: Any) -> Made:
    axes = [key for key in keys if not isinstance(key, int)]
    picks = [place for place, key in enumerate(axes) if isinstance(key, tuple)]
    if picks and picks[-1] - picks[0] != len(picks) - 1:
        raise _wrong("rows and steps beside each other", shapes[0])
    return (keys,), None, _picked(keys)


def _picked(keys: Sequence[Any]) -> Pull:
    """The elements at these keys of the operand."""

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        left, rows = iter(box), range(0)
        asked: list[range | tuple[int, ...]] = []
        for key in keys:
            if key is None:
                next(left)
            elif isinstance(key, int):
                asked.append(range(key, key + 1))
            elif isinstance(key, range):
                one = next(left)
                chosen = key[one.start : one.stop : one.step]
                asked.append(chosen if chosen.step > 0 else chosen[::-1])  # no step is 0
            else:  # a position for each row, the same rows for all such keys
                rows = rows or next(left)
                asked.append(key)
        for n in rows or (0,):  # without such keys once, and n is not asked for
            yield 0, tuple(range(at[n], at[n] + 1) if isinstance(at, tuple) else at for at in asked)

    return pull


def _squeeze(shapes: Sequence[Shape], dims: Shape | None) -> Made:
    """Axes of size 1 taken away; torch leaves others as they are."""
    (shape,) = shapes
    places = tuple(place for place in _places(dims, shape) if shape[place] == 1)
    return (places,), None, _picked([0 if at in places else range(size) for at, size in enumerate(shape)])


def _unsqueeze(shapes: Sequence[Shape], dim: int) -> Made:
    place, keys = _axis(dim, shapes[0], extra=1), [*map(range, shapes[0])]
    return (place,), None, _picked([*keys[:place], None, *keys[place:]])


def _flip(shapes: Sequence[Shape], *dims: int) -> Made:
    places = _places(dims, shapes[0])
    keys = [range(size)[::-1] if at in places else range(size) for at, size in enumerate(shapes[0])]
    return (places,), None, _picked(keys)


def _permute(shapes: Sequence[Shape], *dims: int) -> Made:
    (shape,) = shapes
    places = tuple(_axis(dim, shape) for dim in dims)
    if sorted(places) != list(range(len(shape))):
        raise _wrong(f"each of the {len(shape)} axes once", dims)

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        yield 0, tuple(box[places.index(place)] for place in range(len(box)))

    return places, None, pull


def _transpose(shapes: Sequence[Shape], first: int, second: int) -> Made:
    a, b = _axis(first, shapes[0]), _axis(second, shapes[0])
    order = list(range(len(shapes[0])))
    order[a], order[b] = b, a
    return (a, b), *_permute(shapes, *order)[1:]


def _reduce(shapes: Sequence[Shape], dims: Shape | None, keep: bool) -> Made:
    (shape,) = shapes
    places = _places(dims, shape)

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        left = iter(box)
        kept = [next(left) if keep or at not in places else None for at in range(len(shape))]
        yield 0, tuple(range(shape[at]) if one is None or at in places else one for at, one in enumerate(kept))

    sizes = (1 if at in places else size for at, size in enumerate(shape) if keep or at not in places)
    return (places, keep), tuple(sizes), pull


def _add(shapes: Sequence[Shape]) -> Made:
    count = max(map(len, shapes))
    a, b = ((1,) * (count - len(shape)) + shape for shape in shapes)
    if any(1 not in (one, other) and one != other for one, other in zip(a, b, strict=True)):
        raise _wrong("a sum of tensors that broadcast: from the right, sizes equal or 1", shapes)

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        for number, shape in enumerate(shapes):
            sizes = zip(box[count - len(shape) :], shape, strict=True)
            yield number, tuple(range(1) if size == 1 else one for one, size in sizes)

    return (), None, pull


def _cat(shapes: Sequence[Shape], dim: int) -> Made:
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

    return (place,), None, pull


def _stack(shapes: Sequence[Shape], dim: int) -> Made:
    if len(set(shapes)) > 1:
        raise _wrong("tensors of one shape in torch.stack", shapes)
    place = _axis(dim, shapes[0], extra=1)

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        return ((number, (*box[:place], *box[place + 1 :])) for number in box[place])

    return (place,), None, pull


def _reshape(shapes: Sequence[Shape], *sizes: int) -> Made:
    (shape,) = shapes
    count, others = prod(shape), prod(size for size in sizes if size != -1)
    if min(sizes) < -1 or sizes.count(-1) > 1 or (count % others if -1 in sizes and others else count != others):
        raise _wrong(f"as many elements as {shape} has, {count}, with one size of -1 at most", sizes)
    if -1 in sizes and not others:
        raise _wrong("no -1 beside a 0, which could be any size", sizes)
    sizes = tuple(count // others if size == -1 else size for size in sizes)
    return sizes, sizes, _reshaped(shape, sizes)


def _flatten(shapes: Sequence[Shape], start: int = 0, end: int = -1, *more: int) -> Made:
    (shape,) = shapes
    first, last = _axis(start, shape or (1,)), _axis(end, shape or (1,))
    if more or first > last:
        raise _wrong("the first axis to join and the last", (start, end, *more))
    sizes = (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])
    return (first, last), sizes, _reshaped(shape, sizes)


def _reshaped(old: Shape, new: Shape) -> Pull:
    """Axes are flattened and cut again, each group of them by itself that holds the same elements before and after."""

    def pull(box: Box) -> Iterator[tuple[int, Box]]:
        groups = []
        for after, before in _groups(new, old):
            runs = _runs([box[at] for at in after], [new[at] for at in after])
            groups.append([cut for run in runs for cut in _cut(*run, [old[at] for at in before])])
        _few(prod(map(len, groups)))
        return ((0, tuple(one for piece in pieces for one in piece)) for pieces in product(*groups))

    return pull


_OPERATIONS: dict[str, Callable[..., Made]] = {
    "add": _add,
    "cat": _cat,
    "flatten": _flatten,
    "flip": _flip,
    "getitem": _getitem,
    "mean": _reduce,
    "permute": _permute,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "stack": _stack,
    "sum": _reduce,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    "view": _reshape,
}


def _joins(old: Shape, new: Shape) -> bool:
    """Whether an axis of the new shape holds elements of several old ones."""
    todo = [size for size in old if size != 1][::-1]
    for size in new:
        if size == 1:
            continue
        if not todo or not size or todo[-1] % size:
            return True
        todo[-1] //= size
        if todo[-1] == 1:
            todo.pop()
    return False


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
