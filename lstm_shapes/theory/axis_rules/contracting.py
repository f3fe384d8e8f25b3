"""Products that sum over a shared axis: matmul, linear, einsum, attention; and embedding, which looks one up.

What is summed over is gone, what is not keeps its name, and features that a weight makes are a new axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from lstm_shapes.theory.axes import Axes, Axis
from lstm_shapes.theory.axis_rules.broadcasting import Operand, agree, elementwise, join_fixed, separate, sizes_of
from lstm_shapes.theory.axis_rules.moving import transpose
from lstm_shapes.theory.axis_rules.picking import unknown
from lstm_shapes.theory.axis_rules.reducing import sum_out
from lstm_shapes.theory.axis_tracks import settle

__all__ = ["attention", "axis_at", "einsum", "embedding", "linear", "matmul", "outer", "tensordot"]


def axis_at(operand: Operand, at: int) -> Axis:
    """One axis of an operand, unknown where the tensor is plain.

    >>> axis_at((3, 4), 0), axis_at(Axes.of("N", (2,)), 0)
    (?=3, N=2)
    """
    return operand[at] if isinstance(operand, Axes) else unknown(operand[at])


def _named(operands: Sequence[Operand]) -> list[Axes]:
    return [operand for operand in operands if isinstance(operand, Axes)]


def _rows(operand: Operand, start: int, end: int) -> Operand:
    return operand[start:end]


def matmul(a: Operand, b: Operand) -> Axes:
    """The axes of a @ b, with batches broadcast: (N, L, D) @ (N, D, S) is (N, L, S).

    >>> matmul(Axes.of("N L D", (2, 20, 256)), (256, 10))
    (N=2, L=20, ?=10)
    """
    rank_a, rank_b = len(sizes_of(a)), len(sizes_of(b))
    batch = elementwise(_rows(a, 0, max(rank_a - 2, 0)), _rows(b, 0, max(rank_b - 2, 0)))
    ends = []
    if rank_a > 1:
        ends.append(axis_at(a, rank_a - 2))
    if rank_b > 1:
        ends.append(axis_at(b, rank_b - 1))
    gone = join_fixed(_named([a, b])) | dict(batch.fixed)
    if isinstance(a, Axes):
        sum_out(gone, a[-1])
    if isinstance(b, Axes):
        sum_out(gone, b[-2 if rank_b > 1 else -1])
    return settle(separate([*batch, *ends], [a, b]), gone)


def outer(a: Operand, b: Operand) -> Axes:
    """Every element of a with every element of b: (N) and (D) give (N, D).

    >>> outer(Axes.of("N", (2,)), Axes.of("D", (256,)))
    (N=2, D=256)
    """
    rows = [axis_at(a, 0), axis_at(b, 0)]
    return settle(separate(rows, [a, b]), join_fixed(_named([a, b])))


def linear(x: Operand, weight: Operand, bias: Operand | None = None) -> Axes:
    """The last axis becomes a new one, named as the weight's first: (N, L, D) → (N, L, ?).

    >>> linear(Axes.of("N L D", (2, 20, 256)), (10, 256))
    (N=2, L=20, ?=10)
    >>> linear(Axes.of("N D", (2, 256)), Axes.of("C D", (10, 256)))
    (N=2, C=10)
    """
    return matmul(x, weight[::-1])


def embedding(tokens: Operand, weight: Operand) -> Axes:
    """Tokens (N, L) looked up in a table: (N, L, ?), or the name of the table's last axis.

    >>> embedding(Axes.of("N L", (2, 20)), (1000, 64))
    (N=2, L=20, ?=64)
    """
    rows = [axis_at(tokens, at) for at in range(len(sizes_of(tokens)))]
    named = _named([tokens, weight])
    return settle(separate([*rows, axis_at(weight, 1)], [tokens, weight]), join_fixed(named))


def tensordot(a: Operand, b: Operand, dims: tuple[Sequence[int], Sequence[int]]) -> Axes:
    """What is left of a, then what is left of b.

    >>> tensordot(Axes.of("N L D", (2, 20, 256)), Axes.of("D C", (256, 10)), ((2,), (0,)))
    (N=2, L=20, C=10)
    """
    rows = []
    gone = join_fixed(_named([a, b]))
    for operand, over in zip((a, b), dims, strict=True):
        rank = len(sizes_of(operand))
        summed = {at % rank for at in over}
        rows += [axis_at(operand, at) for at in range(rank) if at not in summed]
        if operand is a and isinstance(a, Axes):
            for at in summed:
                sum_out(gone, a[at])
    return settle(separate(rows, [a, b]), gone)


def attention(query: Operand, key: Operand, value: Operand) -> Axes:
    """softmax(query · key) · value: (N, T, E), (N, S, E), (N, S, V) → (N, T, V).

    >>> x = Axes.of("N L D", (2, 20, 256))
    >>> attention(x, x, x)
    (N=2, L=20, D=256)
    """
    turned = transpose(key, -2, -1) if isinstance(key, Axes) else (*key[:-2], key[-1], key[-2])
    return matmul(matmul(query, turned), value)


def einsum(equation: str, operands: Sequence[Operand]) -> Axes:
    """Every letter is one axis; letters that do not come back are summed over.

    >>> q, k = Axes.of("N L D", (2, 20, 8)), Axes.of("N S D", (2, 5, 8))
    >>> einsum("nld,nsd->nls", [q, k]), einsum("...d,d", [q, (8,)])
    ((N=2, L=20, S=5), (N=2, L=20))
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    claims: dict[str, list[Axis]] = {}
    sizes: dict[str, int] = {}
    dots: list[Operand] = []
    for term, operand in zip(terms, operands, strict=True):
        head, ellipsis, tail = term.partition("...")
        rank = len(sizes_of(operand))
        if ellipsis:
            dots.append(operand[len(head) : rank - len(tail)])
        places = chain(enumerate(head), enumerate(tail, rank - len(tail)))
        for at, letter in places:
            size = sizes_of(operand)[at]
            sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
            if isinstance(operand, Axes):
                claims.setdefault(letter, []).append(operand[at])
    if not arrow:
        once = sorted(letter for letter in sizes if left.count(letter) == 1)
        right = "..." * bool(dots) + "".join(once)
    axes = {
        letter: agree([axis for axis in claims.get(letter, ()) if axis.size == size], size)
        for letter, size in sizes.items()
    }
    gone = join_fixed(_named(operands))
    head, ellipsis, tail = right.partition("...")
    middle = elementwise(*dots) if dots and ellipsis else Axes()
    rows = [*(axes[letter] for letter in head), *middle, *(axes[letter] for letter in tail)]
    for letter, axis in axes.items():
        if letter not in right:
            sum_out(gone, axis)
    return settle(separate(rows, operands), gone)
