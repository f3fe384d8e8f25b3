"""Products that sum over a shared axis: matmul, linear, einsum, attention; and embedding, which looks one up.

What is summed over is gone, what is not keeps its name, and features that a weight makes are an axis of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from lstm_shapes.theory._axis_rules.broadcasting import agree, elementwise, join_fixed, separate
from lstm_shapes.theory._axis_rules.moving import permute, resize, transpose
from lstm_shapes.theory._axis_rules.reducing import reduce, sum_out
from lstm_shapes.theory._axis_rules.table import Answer, Operand, axis_at, describing, dims_of, rule, sizes_of
from lstm_shapes.theory.axes import Axes, Axis, made, settle

__all__ = ["attention", "einsum", "embedding", "linear", "matmul", "outer", "tensordot"]


def _product(rows: Sequence[Axis], operands: Sequence[Operand], summed: Sequence[tuple[Operand, int]]) -> Axes:
    """These axes of several operands, after what is summed over is gone."""
    named = [operand for operand in operands if isinstance(operand, Axes)]
    gone = join_fixed(named, computed=True)
    for operand, at in summed:
        if isinstance(operand, Axes):
            sum_out(gone, operand[at])
    return settle(separate(rows, named), gone)


@rule("matmul mm bmm mv dot vdot __matmul__ linalg_matmul _sparse_mm smm spmm hspmm")
def matmul(input: Operand, other: Operand | None = None, **keywords: Any) -> Axes:
    """The axes of a @ b, with batches broadcast: (N, L, D) @ (N, D, S) is (N, L, S).

    >>> matmul(Axes.of("N L D", (2, 20, 256)), (256, 10))
    (N=2, L=20, ?=10)
    """
    a, b = input, next(value for value in (other, *keywords.values()) if value is not None)
    rank_a, rank_b = len(sizes_of(a)), len(sizes_of(b))
    rows = [*elementwise(a[: max(rank_a - 2, 0)], b[: max(rank_b - 2, 0)])]
    rows += [axis_at(a, rank_a - 2)] if rank_a > 1 else []
    rows += [axis_at(b, rank_b - 1)] if rank_b > 1 else []
    return _product(rows, [a, b], [(a, -1), (b, max(rank_b - 2, 0))])


@rule("__rmatmul__")
def rmatmul(input: Operand, other: Operand) -> Axes:
    """The other way round."""
    return matmul(other, input)


@rule("addmm addmv addbmm baddbmm")
def addmm(input: Operand, a: Operand, b: Operand, *, out: tuple[int, ...], **_: object) -> Axes:
    """A product and a sum; with addbmm, products are summed over the batch."""
    product = matmul(a, b)
    return elementwise(reduce(product, 0) if len(out) < len(product) else product, input)


@rule("outer ger")
def outer(input: Operand, other: Operand) -> Axes:
    """Every element of a with every element of b: (N) and (D) give (N, D).

    >>> outer(Axes.of("N", (2,)), Axes.of("D", (256,)))
    (N=2, D=256)
    """
    return _product([axis_at(input, 0), axis_at(other, 0)], [input, other], [])


@rule("linear")
def linear(input: Operand, weight: Operand, *_: object, **__: object) -> Axes:
    """The last axis becomes what the weight makes, its first: (N, L, D) → (N, L, ?).

    >>> linear(Axes.of("N L D", (2, 20, 256)), (10, 256))
    (N=2, L=20, ?=10)
    >>> linear(Axes.of("N D", (2, 256)), Axes.of("C D", (10, 256)))
    (N=2, C=10)
    """
    rows = [axis_at(input, at) for at in range(len(sizes_of(input)) - 1)]
    rows += [axis_at(weight, 0)] if len(sizes_of(weight)) > 1 else []
    return _product(rows, [input, weight], [(input, -1), (weight, -1)])


@rule("bilinear")
def bilinear(a: Operand, b: Operand, weight: Operand, *_: object, **__: object) -> Axes:
    """Two inputs and one weight: (N, D), (N, E) → (N, ?)."""
    both = elementwise(a[:-1], b[:-1])
    return Axes((*both, axis_at(weight, 0)), both.fixed)


@rule("embedding")
def embedding(input: Operand, weight: Operand, *_: object, **__: object) -> Axes:
    """Tokens (N, L) looked up in a table: (N, L, ?), or the name of the table's last axis.

    >>> embedding(Axes.of("N L", (2, 20)), (1000, 64))
    (N=2, L=20, ?=64)
    """
    rows = [axis_at(input, at) for at in range(len(sizes_of(input)))]
    return _product([*rows, axis_at(weight, 1)], [input, weight], [])


@rule("one_hot")
def one_hot(input: Axes, *_: object, out: tuple[int, ...], **__: object) -> Axes:
    """A new axis: which class it is."""
    return Axes((*input, made(out[-1], "one_hot" if describing.get() else "")), input.fixed)


@rule("inner")
def inner(input: Operand, other: Operand) -> Axes:
    """Both last axes are summed over; a number multiplies."""
    if not (sizes_of(input) and sizes_of(other)):
        return elementwise(input, other)
    return _tensordot(input, other, (-1,), (-1,))


@rule("tensordot")
def tensordot(a: Operand, b: Operand, dims: Any = 2) -> Answer:
    """What is left of a, then what is left of b.

    >>> tensordot(Axes.of("N L D", (2, 20, 256)), Axes.of("D C", (256, 10)), ((2,), (0,)))
    (N=2, L=20, C=10)
    """
    if isinstance(dims, int):
        return _tensordot(a, b, range(-dims, 0), range(dims))
    return _tensordot(a, b, *map(dims_of, dims)) if isinstance(dims, list | tuple) and len(dims) == 2 else None


def _tensordot(a: Operand, b: Operand, over_a: Sequence[int], over_b: Sequence[int]) -> Axes:
    rows: list[Axis] = []
    summed: list[tuple[Operand, int]] = []
    for operand, over in ((a, over_a), (b, over_b)):
        rank = len(sizes_of(operand))
        gone = {at % rank for at in over}
        rows += [axis_at(operand, at) for at in range(rank) if at not in gone]
        summed += [(operand, at) for at in gone]
    return _product(rows, [a, b], summed)


@rule("cdist")
def cdist(a: Operand, b: Operand, *_: object, **__: object) -> Axes:
    """Every row of a with every row of b."""
    return matmul(a, _turned(b))


def _turned(operand: Operand) -> Operand:
    return transpose(operand, -2, -1) if isinstance(operand, Axes) else (*operand[:-2], operand[-1], operand[-2])


@rule("cosine_similarity")
def cosine_similarity(x1: Operand, x2: Operand, dim: int = 1, eps: float = 1e-8) -> Axes:
    """Over one axis of both."""
    return reduce(elementwise(x1, x2), dim)


@rule("pairwise_distance")
def pairwise_distance(x1: Operand, x2: Operand, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Axes:
    """Always over the last axis: the number in third place is the norm's."""
    return reduce(elementwise(x1, x2), -1, keepdim)


@rule("scaled_dot_product_attention")
def scaled_attention(query: Operand, key: Operand, value: Operand, *_: object, **other: Any) -> Answer:
    """Attention, unless groups of queries share a key."""
    return None if other.get("enable_gqa") else attention(query, key, value)


def attention(query: Operand, key: Operand, value: Operand) -> Axes:
    """softmax(query · key) · value: (N, T, E), (N, S, E), (N, S, V) → (N, T, V).

    >>> x = Axes.of("N L D", (2, 20, 256))
    >>> attention(x, x, x)
    (N=2, L=20, D=256)
    """
    return matmul(matmul(query, _turned(key)), value)


@rule("multi_head_attention_forward")
def multi_head(query: Axes, key: Operand, *_: object, out: Any, **__: object) -> Answer:
    """Attention over (L, N, E): the output has the query's rows, the weights (N, L, S) have both."""
    first = resize(query, {-1: out[0][-1]})
    if len(out) < 2 or len(out[1]) != 3 or not isinstance(key, Axes):
        return [first, None]
    return [first, matmul(permute(query, 1, 0, 2), permute(key, 1, 2, 0))]


@rule("einsum")
def einsum(equation: Any, *operands: Any) -> Answer:
    """Every letter is one axis; letters that do not come back are summed over.

    >>> q, k = Axes.of("N L D", (2, 20, 8)), Axes.of("N S D", (2, 5, 8))
    >>> einsum("nld,nsd->nls", q, k), einsum("...d,d", q, (8,))
    ((N=2, L=20, S=5), (N=2, L=20))
    """
    if not isinstance(equation, str):
        return None
    given: Sequence[Operand] = operands[0] if len(operands) == 1 and isinstance(operands[0], list) else operands
    left, arrow, right = equation.replace(" ", "").partition("->")
    claims: dict[str, list[Axis]] = {}
    sizes: dict[str, int] = {}
    dots: list[Operand] = []
    for term, operand in zip(left.split(","), given, strict=True):
        head, ellipsis, tail = term.partition("...")
        rank = len(sizes_of(operand))
        if ellipsis:
            dots.append(operand[len(head) : rank - len(tail)])
        for at, letter in chain(enumerate(head), enumerate(tail, rank - len(tail))):
            size = sizes_of(operand)[at]
            sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
            # What a plain weight makes counts where nobody else has the letter.
            if isinstance(operand, Axes) or left.count(letter) == 1:
                claims.setdefault(letter, []).append(axis_at(operand, at))
    if not arrow:
        right = "..." * bool(dots) + "".join(sorted(letter for letter in sizes if left.count(letter) == 1))
    axes = {
        letter: agree([axis for axis in claims.get(letter, ()) if axis.size == size], size)
        for letter, size in sizes.items()
    }
    head, ellipsis, tail = right.partition("...")
    middle = elementwise(*dots) if dots and ellipsis else Axes()
    rows = [*(axes[letter] for letter in head), *middle, *(axes[letter] for letter in tail)]
    summed: list[tuple[Operand, int]] = [(Axes((axis,)), 0) for letter, axis in axes.items() if letter not in right]
    return _product(rows, given, summed)
