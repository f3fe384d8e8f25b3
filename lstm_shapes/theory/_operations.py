"""What each operation of the grammar makes of shapes and axes: what torch refuses is refused, the rest is named.

A `Step` is a node of the grammar for one layer and call: its numbers have values, negative dims and indices are counted
from the front, and its axes are those that the pure axis rules give.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from lstm_shapes.errors import ShapeError

from ._axis_rules.indexing import Picks
from ._axis_rules.table import RULES
from ._grammar import ALL_ROWS, LAST_STEPS, TENSORS, Node, bound
from .axes import Axes, forget
from .predict import Prediction

__all__ = ["Step", "step_of"]

Shape = tuple[int, ...]
_RULES = {"getitem": "__getitem__", "add": "pointwise"}


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operation: on what, how, and the axes of what it gives; none for a claim or a number."""

    op: str
    inputs: tuple[Step, ...] = ()
    arguments: tuple[Any, ...] = ()
    axes: Axes = field(default_factory=Axes)

    @property
    def shape(self) -> Shape:
        """The sizes of what it gives."""
        return self.axes.sizes


def step_of(node: Node, prediction: Prediction) -> Step:
    """A node, and all that it works on, for one layer and call.

    Raises: ShapeError for what torch would refuse; ValueError for a number that has no value here.
    """
    if node.op in TENSORS:
        axes = prediction.tensors.get(node.op)
        if axes is None:
            has = ", ".join(prediction.tensors)
            raise ShapeError("expression", f"about a tensor of {prediction.spec.cell}: {has}", got=node.op)
        return Step(node.op, axes=axes)
    inputs = tuple(step_of(operand, prediction) for operand in node.operands)
    arguments = bound(node.arguments, _sizes_of(prediction))
    if node.op in ("equal", "any", "not", "shape", "number"):
        return Step(node.op, inputs, arguments)
    if node.op == "size":
        return Step("size", inputs, (_axis(arguments[0], inputs[0].shape),))
    if node.op == "getitem":
        arguments = (_keys(arguments[0], inputs[0], prediction.call.lengths, prediction.call.N),)
    shapes = tuple(step.shape for step in inputs)
    arguments, shape = _OPERATIONS[node.op](arguments, *shapes)
    # Axes that a view joins must lie in memory as they stand, which is sure of X and of states as the layer has them.
    if node.op == "view" and inputs[0].op not in ("X", "h0", "c0", "hn", "cn") and _joins(shapes[0], shape):
        raise _wrong("a view of X or a state itself, or one that joins no axes; write reshape", (*shapes, shape))
    return Step(node.op, inputs, arguments, _named(node.op, inputs, arguments, shape))


def _sizes_of(prediction: Prediction) -> dict[str, int]:
    """What the symbols stand for; N for a batch only."""
    spec, call = prediction.spec, prediction.call
    sizes = {"L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P, "H": spec.H}
    return sizes if call.N is None else {**sizes, "N": call.N}


def _named(op: str, inputs: tuple[Step, ...], arguments: tuple[Any, ...], shape: Shape) -> Axes:
    """The axes of the result, by the rule that named tensors follow, too."""
    rule = RULES[_RULES.get(op, op)]
    operands: list[Any] = [step.axes for step in inputs]
    if op == "squeeze" and not arguments[0]:
        return inputs[0].axes  # the rule takes no place for every place
    if op in ("cat", "stack"):
        said = rule.function(operands, *arguments)
    elif op == "getitem":
        said = rule.function(*operands, tuple(_key(entry) for entry in arguments[0]))
    elif rule.wants_out:
        said = rule.function(*operands, *arguments, out=shape)
    else:
        said = rule.function(*operands, *arguments)
    axes = said[0] if isinstance(said, tuple) else said
    return axes if rule.own_record else forget(axes, operands)


def _key(entry: Any) -> Any:
    """An entry of a getitem as the axis rules take it."""
    if isinstance(entry, range):
        return slice(entry.start, entry.stop, entry.step)
    return Picks((len(entry),), entry) if isinstance(entry, tuple) else entry


def _wrong(rule: str, got: object) -> ShapeError:
    """The error of what torch would refuse."""
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
        else:
            keys.append(_position(item, step.axes, place))
    return tuple(keys)


def _position(item: int, axes: Axes, place: int) -> int:
    size, name = axes.sizes[place], axes.names[place]
    if not -size <= item < size:
        where = f"axis {name}" if name not in ("?", "1") else f"axis {place}"
        raise _wrong(f"an index from {-size} to {size - 1} on {where}" if size else "no index: size 0", item)
    return item % size


# (the arguments, the shapes of the operands) -> the arguments with places and sizes, and the shape of the result


def _getitem(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    keys = [key for key in arguments[0] if not isinstance(key, int)]
    picks = [place for place, key in enumerate(keys) if isinstance(key, tuple)]
    if picks and picks[-1] - picks[0] != len(picks) - 1:
        raise _wrong("rows and steps beside each other", shapes[0])
    kept = [key for place, key in enumerate(keys) if place not in picks[1:]]
    return arguments, tuple(1 if key is None else len(key) for key in kept)


def _permute(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    (shape,) = shapes
    places = tuple(_axis(dim, shape) for dim in arguments)
    if sorted(places) != list(range(len(shape))):
        raise _wrong(f"each of the {len(shape)} axes once", arguments)
    return places, tuple(shape[place] for place in places)


def _transpose(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    (shape,) = shapes
    a, b = (_axis(dim, shape) for dim in arguments)
    order = list(range(len(shape)))
    order[a], order[b] = b, a
    return (a, b), tuple(shape[place] for place in order)


def _reduce(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    (shape,), (dims, keep) = shapes, arguments
    places = _places(dims, shape)
    sizes = (1 if at in places else size for at, size in enumerate(shape) if keep or at not in places)
    return (places, keep), tuple(sizes)


def _squeeze(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    """Axes of size 1 taken away; torch leaves others as they are."""
    (shape,) = shapes
    places = tuple(place for place in _places(arguments[0], shape) if shape[place] == 1)
    return (places,), tuple(size for at, size in enumerate(shape) if at not in places)


def _unsqueeze(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    (shape,) = shapes
    place = _axis(arguments[0], shape, extra=1)
    return (place,), (*shape[:place], 1, *shape[place:])


def _flip(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    return (_places(arguments, shapes[0]),), shapes[0]


def _reshape(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    (shape,), sizes = shapes, tuple(arguments)
    count, others = prod(shape), prod(size for size in sizes if size != -1)
    if min(sizes) < -1 or sizes.count(-1) > 1 or (count % others if -1 in sizes and others else count != others):
        raise _wrong(f"as many elements as {shape} has, {count}, with one size of -1 at most", sizes)
    if -1 in sizes and not others:
        raise _wrong("no -1 beside a 0, which could be any size", sizes)
    sizes = tuple(count // others if size == -1 else size for size in sizes)
    return sizes, sizes


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


def _flatten(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    (shape,) = shapes
    first, last = (_axis(dim, shape or (1,)) for dim in (*arguments, *(0, -1)[len(arguments) :])[:2])
    if len(arguments) > 2 or first > last:
        raise _wrong("the first axis to join and the last", arguments)
    return (first, last), (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])


def _add(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    count = max(map(len, shapes))
    a, b = ((1,) * (count - len(shape)) + shape for shape in shapes)
    if any(1 not in (one, other) and one != other for one, other in zip(a, b, strict=True)):
        raise _wrong("a sum of tensors that broadcast: from the right, sizes equal or 1", shapes)
    return (), tuple(other if one == 1 else one for one, other in zip(a, b, strict=True))


def _cat(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    if len({len(shape) for shape in shapes}) > 1 or () in shapes:
        raise _wrong("tensors with the same axes, at least one, in torch.cat", shapes)
    first, place = shapes[0], _axis(arguments[0], shapes[0])
    if len({(*shape[:place], *shape[place + 1 :]) for shape in shapes}) > 1:
        raise _wrong(f"tensors that differ in size only along dim={arguments[0]} in torch.cat", shapes)
    return (place,), (*first[:place], sum(shape[place] for shape in shapes), *first[place + 1 :])


def _stack(arguments: Any, *shapes: Shape) -> tuple[Any, Shape]:
    if len(set(shapes)) > 1:
        raise _wrong("tensors of one shape in torch.stack", shapes)
    place = _axis(arguments[0], shapes[0], extra=1)
    return (place,), (*shapes[0][:place], len(shapes), *shapes[0][place:])


_OPERATIONS = {
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
