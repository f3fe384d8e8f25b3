"""Operations that take axes away by computing over them, or reorder them by value: sum, max, sort, topk, losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lstm_shapes.theory._axis_rules.broadcasting import elementwise
from lstm_shapes.theory._axis_rules.moving import resize, take
from lstm_shapes.theory._axis_rules.table import Answer, Operand, at_dim, rule
from lstm_shapes.theory._origins import Atom, injective, relabelled
from lstm_shapes.theory.axes import NEW_AXIS, Axes, Axis, Fixed, Span, fix, settle

__all__ = ["reduce", "sum_out"]


def reduce(axes: Axes, dims: int | Sequence[int] | None = None, keepdim: bool = False) -> Axes:
    """The axes after sum, mean, max, argmax … over some axes, or over all.

    >>> Y = Axes.of("N L D", (2, 20, 256))
    >>> reduce(Y, 1), reduce(Y, (0, 1), keepdim=True), reduce(Y)
    ((N=2, D=256), (1, 1, D=256), ())
    """
    dims = (dims,) if isinstance(dims, int) else dims or range(len(axes))
    over = {at_dim(axes, dim) for dim in dims} if axes else set()
    gone = dict(axes.fixed)
    rows = []
    for place, axis in enumerate(axes):
        if place in over:
            sum_out(gone, axis)
        if place not in over or keepdim:
            rows.append(NEW_AXIS if place in over else axis)
    return settle(rows, gone)


def sum_out(gone: Fixed, axis: Axis) -> None:
    """Record that an axis was computed over: the result belongs to all its coordinates at once.

    >>> gone: Fixed = {}
    >>> sum_out(gone, Axes.of("N", (2,))[0])
    """
    for atom in axis.atoms:
        if not atom.origin.made and gone.get(atom.origin) != ("over", atom.at):
            fix(gone, [atom], ("over", atom.at))
        for origin, at in gone.items():
            # What stood at several steps side by side along this axis is now computed from all of them.
            if isinstance(at, Span) and at.along is atom.origin:
                gone[origin] = replace(at, along=None)


@rule(
    """
    sum nansum mean nanmean prod all any amax amin argmax argmin median nanmedian mode std var logsumexp
    std_mean var_mean aminmax count_nonzero
    """
)
def reduced(input: Axes, dim: Any = None, *_: object, out: Any, **other: Any) -> Axes:
    """Whether the axis is kept is seen in the result; which axis it was, in the call."""
    over = other.get("axis", dim)
    if isinstance(over, bool | Axes):
        over = None  # std(x, False): the old spelling of `unbiased`
    first = out[0] if isinstance(out, list) else out
    return reduce(input, over, len(first) == len(input) > 0)


@rule("max min", own_record=True)
def extreme(input: Operand, dim: Any = None, *_: object, out: Any, **other: Any) -> Answer:
    """max over an axis, or of two tensors element by element."""
    second = other.pop("other", dim)
    if isinstance(second, Axes | tuple):
        return elementwise(input, second, chooses=True)
    return reduced(input, dim, out=out, **other) if isinstance(input, Axes) else None


@rule("kthvalue norm linalg_norm vector_norm linalg_vector_norm")
def over_third(input: Axes, number: Any = 2, dim: Any = None, *_: object, out: Any, **other: Any) -> Axes:
    """The dimension comes third; the last one, if kthvalue is told none."""
    over = other.get("axis", dim)
    return reduced(input, -1 if over is None and isinstance(out, list) else over, out=out)


@rule("quantile nanquantile")
def quantile(input: Axes, q: Any, dim: Any = None, *_: object, out: Any, **other: Any) -> Answer:
    """One quantile takes the axis away; several make one that nobody named."""
    return reduced(input, dim, out=out) if not isinstance(q, Axes | tuple) or not len(q) else None


def reorder(input: Axes, dim: int, out: Any) -> Axes:
    """Sorting and topk choose other positions in every row: with several rows the axis they run along is unknown."""
    if not input:
        return input
    size = (out[0] if isinstance(out, list) else out)[dim]
    origin = input[dim].atoms[0].origin if len(input) == len(input[dim].atoms) == 1 else None
    if origin is not None and injective(input[dim].atoms[0].at) and not origin.opaque and not input[dim].atoms[0].part:
        # One row in another order: a step still goes from one of its coordinates to another.
        return Axes((Axis((Atom(relabelled(origin, object()), range(size)),)),))
    return resize(input, {dim: size})


@rule("msort")
def msort(input: Axes, *, out: Any) -> Axes:
    """Sorted along the first axis."""
    return reorder(input, 0, out)


@rule("sort argsort")
def sort(input: Axes, *given: Any, dim: int = -1, out: Any, **_: object) -> Axes:
    """Sorted along the last axis, or along one that is named by itself or after `stable`."""
    numbers = [value for value in given if not isinstance(value, bool)]
    return reorder(input, numbers[0] if numbers else dim, out)


@rule("topk")
def topk(input: Axes, k: int = 0, dim: int = -1, *_: object, out: Any, **__: object) -> Axes:
    """The largest ones."""
    return reorder(input, dim, out)


@rule("multinomial")
def multinomial(input: Axes, *_: object, out: tuple[int, ...], **__: object) -> Axes:
    """Draws from the last axis: which draw it is, is a new one."""
    return resize(input, {-1: out[-1]})


@rule("glu", own_record=True)
def glu(input: Axes, dim: int = -1) -> Axes:
    """One half of an axis gates the other."""
    n = input[dim].size // 2
    return elementwise(take(input, dim, range(n)), take(input, dim, range(n, 2 * n)))


@rule("mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits")
def loss(input: Operand, target: Operand, *_: object, out: tuple[int, ...], **__: object) -> Axes:
    """Element by element, or one number."""
    return elementwise(input, target) if out else Axes()


@rule("cross_entropy nll_loss")
def class_loss(input: Operand, target: Operand, *_: object, out: tuple[int, ...], **__: object) -> Answer:
    """A mean over all, or one number for each target: the axis of classes is gone."""
    if not out:
        return Axes()
    if isinstance(target, Axes):
        return target
    return reduce(input, 1) if isinstance(input, Axes) and len(input) > 1 else None
