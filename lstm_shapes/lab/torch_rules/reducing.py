"""Rules of reductions, of sorting by value, and of losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.torch_rules.table import Answer, axes_of, named, operand, rule, tensors_in
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.axis_rules import broadcasting, reducing

REDUCTIONS = """
sum nansum mean nanmean prod all any amax amin argmax argmin median nanmedian mode std var logsumexp
std_mean var_mean aminmax count_nonzero
"""


@rule(*REDUCTIONS.split())
def reduce(out: Any, input: Tensor, dim: Any = None, *_: Any, **kwargs: Any) -> Answer:
    """Whether the axis is kept is seen in the result; which axis it was, in the call."""
    over = kwargs.get("dim", kwargs.get("axis", dim))
    if isinstance(over, bool | Tensor):
        over = None  # std(x, False): the old spelling of `unbiased`
    return _reduced(out, named(input), over)


@rule("max", "min")
def extreme(out: Any, input: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Answer:
    """max over an axis, or of two tensors element by element."""
    other = dim if isinstance(dim, Tensor) else kwargs.get("other")
    if isinstance(other, Tensor):
        return broadcasting.elementwise(operand(input), operand(other), chooses=True)
    return reduce(out, input, dim, **kwargs)


@rule("kthvalue")
def kthvalue(out: Any, input: Tensor, k: int, dim: int = -1, *_: Any, **kwargs: Any) -> Answer:
    return _reduced(out, named(input), dim)


@rule("quantile", "nanquantile")
def quantile(out: Any, input: Tensor, q: Any, dim: Any = None, *_: Any, **kwargs: Any) -> Answer:
    if isinstance(q, Tensor) and q.dim():
        return None
    return _reduced(out, named(input), dim)


@rule("norm", "vector_norm")
def norm(out: Any, input: Tensor, p: Any = 2, dim: Any = None, *_: Any, **kwargs: Any) -> Answer:
    return _reduced(out, named(input), kwargs.get("axis", dim))


def _reduced(out: Any, axes: Axes, over: Any) -> Answer:
    first = tensors_in(out)[0]
    if over is not None and not isinstance(over, int):
        over = tuple(over)
    keepdim = first.dim() == len(axes)
    return reducing.reduce(axes, over, keepdim and len(axes) > 0)


@rule("msort")
def msort(out: Tensor, input: Tensor) -> Answer:
    """Sorted along the first axis."""
    return reorder(out, input, dim=0)


@rule("sort", "argsort", "topk")
def reorder(out: Any, input: Tensor, *args: Any, **kwargs: Any) -> Answer:
    """Sorting and topk choose other positions in every row: the axis they run along is unknown."""
    first = tensors_in(out)[0]
    axes = named(input)
    if not axes:
        return axes
    numbers = [value for value in args if isinstance(value, int) and not isinstance(value, bool)]
    changed = [at for at in range(len(axes)) if first.shape[at] != axes[at].size]
    # topk(x, k, dim) has k first; sort and argsort have the dimension first.
    given = numbers[1:] if _is_topk(args, kwargs, out) else numbers
    dim = kwargs.get("dim", given[0] if given else -1)
    return reducing.resize(axes, {dim: first.shape[dim], **{at: first.shape[at] for at in changed}})


def _is_topk(args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> bool:
    return isinstance(out, torch.return_types.topk) and "k" not in kwargs


@rule("multinomial")
def multinomial(out: Tensor, input: Tensor, *_: Any, **__: Any) -> Answer:
    """Draws from the last axis: which draw it is, is a new one."""
    return reducing.resize(named(input), {-1: out.shape[-1]})


@rule("glu")
def glu(out: Tensor, input: Tensor, dim: int = -1) -> Answer:
    """One half of an axis gates the other: what runs along it now is both."""
    return reducing.resize(named(input), {dim: out.shape[dim]})


@rule("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy")
@rule("binary_cross_entropy_with_logits")
def loss(out: Tensor, input: Tensor, target: Tensor, *_: Any, **__: Any) -> Answer:
    if out.dim() == 0:
        return Axes()
    return broadcasting.elementwise(operand(input), operand(target))


@rule("cross_entropy", "nll_loss")
def class_loss(out: Tensor, input: Tensor, target: Tensor, *_: Any, **__: Any) -> Answer:
    """A mean over all, or one number for each target: the axis of classes is gone."""
    if out.dim() == 0:
        return Axes()
    if axes_of(target) is not None:
        return named(target)
    return reducing.reduce(named(input), 1) if input.dim() > 1 else None
