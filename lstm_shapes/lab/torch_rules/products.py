"""Rules of products that sum over an axis: matmul and its kin, linear, einsum, embedding, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lstm_shapes.lab.torch_rules.table import Answer, axes_of, dims_of, features, operand, operands, rule
from lstm_shapes.theory.axes import UNKNOWN, Atom, Axes, Axis
from lstm_shapes.theory.axis_rules import broadcasting, contracting, moving
from lstm_shapes.theory.axis_rules.broadcasting import Operand
from lstm_shapes.theory.axis_rules.picking import unknown
from lstm_shapes.theory.axis_rules.reducing import reduce, resize


@rule("matmul", "mm", "bmm", "mv", "dot", "vdot", "__matmul__")
def matmul(out: Tensor, input: Tensor, other: Tensor | None = None, **kwargs: Any) -> Answer:
    second = next(value for value in (other, *kwargs.values()) if isinstance(value, Tensor))
    return contracting.matmul(operand(input), _table(second, -1) if second.dim() == 2 else operand(second))


def _table(weight: Tensor, made: int) -> Operand:
    """A weight's axes; of a plain one the axis that it makes is a coordinate with an identity."""
    found = axes_of(weight)
    if found is not None or weight.dim() != 2:
        return operand(weight)
    # The other axis is summed over or looked up in: it has no part in the result, and no identity.
    rows = [Axis((Atom(UNKNOWN, size),)) for size in weight.shape]
    rows[made] = features(weight, UNKNOWN, weight.shape[made], str(made))
    return Axes(tuple(rows))


@rule("inner")
def inner(out: Tensor, input: Tensor, other: Tensor) -> Answer:
    """Both last axes are summed over; a number multiplies."""
    if not (input.dim() and other.dim()):
        return broadcasting.elementwise(operand(input), operand(other))
    return contracting.tensordot(operand(input), operand(other), ((input.dim() - 1,), (other.dim() - 1,)))


@rule("__rmatmul__")
def rmatmul(out: Tensor, input: Tensor, other: Tensor) -> Answer:
    return contracting.matmul(operand(other), operand(input))


@rule("addmm", "addmv", "addbmm", "baddbmm")
def addmm(out: Tensor, input: Tensor, a: Tensor, b: Tensor, **_: Any) -> Answer:
    product = contracting.matmul(operand(a), operand(b))
    if out.dim() < len(product):
        product = Axes(product.axes[1:], product.fixed)
    return broadcasting.elementwise(product, operand(input))


@rule("outer", "ger")
def outer(out: Tensor, input: Tensor, other: Tensor) -> Answer:
    return contracting.outer(operand(input), operand(other))


@rule("linear")
def linear(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Answer:
    return contracting.linear(operand(input), _table(weight, 0))


@rule("bilinear")
def bilinear(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> Answer:
    both = broadcasting.elementwise(operand(a)[:-1], operand(b)[:-1])
    return Axes((*both, unknown(out.shape[-1])), both.fixed)


@rule("embedding")
def embedding(out: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Answer:
    # torch.embedding takes the table first, F.embedding the tokens.
    if input.is_floating_point():
        input, weight = weight, input
    return contracting.embedding(operand(input), _table(weight, 1))


@rule("one_hot")
def one_hot(out: Tensor, input: Tensor, *_: Any, **__: Any) -> Answer:
    axes = axes_of(input)
    return None if axes is None else Axes((*axes, unknown(out.shape[-1])), axes.fixed)


@rule("einsum")
def einsum(out: Tensor, equation: Any, *tensors: Any) -> Answer:
    if not isinstance(equation, str):
        return None
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], Sequence) else tensors
    return contracting.einsum(equation, operands(given))


@rule("tensordot")
def tensordot(out: Tensor, a: Tensor, b: Tensor, dims: Any = 2, **_: Any) -> Answer:
    if isinstance(dims, Tensor):
        return None
    pairs = (
        (tuple(range(a.dim() - dims, a.dim())), tuple(range(dims)))
        if isinstance(dims, int)
        else (dims_of((dims[0],)), dims_of((dims[1],)))
    )
    return contracting.tensordot(operand(a), operand(b), pairs)


@rule("cdist")
def cdist(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> Answer:
    second = axes_of(b)
    turned = (*b.shape[:-2], b.shape[-1], b.shape[-2])
    return contracting.matmul(operand(a), moving.transpose(second, -1, -2) if second else turned)


@rule("cosine_similarity")
def cosine_similarity(out: Tensor, x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Answer:
    return reduce(broadcasting.elementwise(operand(x1), operand(x2)), dim)


@rule("pairwise_distance")
def pairwise_distance(
    out: Tensor, x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Answer:
    """Always over the last axis: the number in third place is the norm's."""
    return reduce(broadcasting.elementwise(operand(x1), operand(x2)), -1, keepdim)


@rule("scaled_dot_product_attention")
def attention(out: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **kwargs: Any) -> Answer:
    if kwargs.get("enable_gqa"):
        return None
    return contracting.attention(operand(query), operand(key), operand(value))


@rule("multi_head_attention_forward")
def multi_head(out: tuple[Tensor, Tensor | None], query: Tensor, key: Tensor, *_: Any, **__: Any) -> Answer:
    """Attention over (L, N, E): the output has the query's rows, the weights (N, L, S) have both."""
    q, k = operand(query), operand(key)
    result, weights = out
    rows = q if isinstance(q, Axes) else None
    first = None if rows is None else resize(rows, {-1: result.shape[-1]})
    if weights is None or weights.dim() != 3 or rows is None or not isinstance(k, Axes):
        return [first, None]
    pair = contracting.matmul(moving.permute(rows, (1, 0, 2)), moving.permute(k, (1, 2, 0)))
    return [first, pair]
