"""Operations that compute with several elements: elementwise with broadcasting, over an axis, and products.

A plain tensor claims nothing: it neither gives names nor takes them away. Two named tensors that disagree about an
axis leave it unknown; an axis that a weight has made, or that nobody named yet, gives way. What is summed over is
gone, what is not keeps its name, and features that a weight makes are an axis of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from lstm_shapes.theory.axes import (
    NEW,
    NEW_AXIS,
    UNKNOWN,
    Atom,
    Axes,
    Axis,
    Fixed,
    Origin,
    Span,
    Steps,
    blanks,
    fix,
    forget,
    forgotten,
    injective,
    made,
    relabelled,
    settle,
    unknown,
    whole,
)

from .positions import take
from .table import Answer, Operand, axis_at, described, describing, named_in, operands_in, resized, rule, sizes_of


# ---------------------------------------------------------------- element by element
def elementwise(*operands: Operand, chooses: bool = False) -> Axes:
    """The axes of an elementwise operation, with torch's broadcasting.

    An operation that `chooses` one operand for each element, as where and maximum do, has a name only where all
    operands stand at the same coordinates; one that computes needs only that they step along the same axis.

    >>> Y, h = Axes.of("N L D", (2, 20, 256)), Axes.of("N 1 D", (2, 1, 256))
    >>> elementwise(Y, h), elementwise(Y, (256,)), elementwise(Y, Axes.of("L Q D", (2, 20, 256)))
    ((N=2, L=20, D=256), (N=2, L=20, D=256), (?=2, ?=20, D=256))
    """
    named = named_in(operands)
    rows: list[Axis] = []
    gone = join_fixed(named, computed=not chooses)
    for back in range(-max(map(len, operands)), 0):
        present = [(operand, sizes_of(operand)[back]) for operand in operands if len(operand) >= -back]
        size = next((n for _, n in present if n != 1), 1)
        moving = [operand for operand, n in present if n == size]
        claims = [operand[back] for operand in named_in(moving)]
        # Where a weight alone runs along an axis, as the transitions of a CRF do, it is the weight's.
        rows.append(axis_at(moving[0], back) if not claims and len(moving) == 1 else agree(claims, size, chooses))
        for operand, n in present:
            if n == 1 != size and isinstance(operand, Axes):
                fix(gone, operand[back].atoms)
    # A coordinate that stands still in one operand and moves in another is at no place that can be told.
    active = {atom.origin for axis in rows for atom in axis.atoms}
    for origin, at in gone.items():
        if origin in active and not isinstance(at, tuple):
            gone[origin] = forgotten()
    return forget(settle(separate(rows, named), gone), named, made=True)


def agree(claims: Sequence[Axis], size: int, chooses: bool = False) -> Axis:
    """The one axis that all claims describe, or an unknown one."""
    if size == 1:
        # No step is ever taken along it; a name is kept where nobody says otherwise.
        ordered = sorted(claims, key=lambda axis: not axis.blank)
        named = {axis.name: axis for axis in ordered if axis.name not in (NEW, UNKNOWN)}
        waiting = [axis for axis in claims if axis.name in (NEW, UNKNOWN) and axis.gives_way]
        return next(iter([*named.values(), *waiting])) if len(named) == 1 or (waiting and not named) else NEW_AXIS
    if not claims:
        return unknown(size)
    result, *others = claims
    for other in others:
        result = _merge(result, other, chooses)
    return result


def _merge(a: Axis, b: Axis, chooses: bool) -> Axis:
    if a.same(b):
        return a
    alike = [atom.at for atom in a.atoms] == [atom.at for atom in b.atoms]
    if a.blank or b.blank or (alike and (a.waits or b.waits)):
        return _give_way(a, b)
    if len(a.atoms) > 1 and [atom.size for atom in a.atoms] == [atom.size for atom in b.atoms]:
        both = [_merge(Axis((x,)), Axis((y,)), chooses) for x, y in zip(a.atoms, b.atoms, strict=True)]
        if not any(atom.origin.lost or atom.part for axis in both for atom in axis.atoms):
            return Axis(tuple(atom for axis in both for atom in axis.atoms))
    if chooses and places(a.atoms) != places(b.atoms):
        return unknown(a.size)
    if not chooses and (a.gives_way or b.gives_way):
        return _give_way(a, b)
    if len(a.atoms) == 1 and a.atoms == b.atoms:
        return Axis((_merge_atoms(a.atoms[0], b.atoms[0]),))
    if a.name == b.name and a.known and 1 in (len(a.atoms), len(b.atoms)):
        # One side knows the factors, the other only the product; only the product is agreed.
        return Axis((whole(a.name, a.size),))
    words = dict.fromkeys((*a.name.split("|"), *b.name.split("|")))
    if describing.get() and UNKNOWN not in words and len(words) < 4 and not chooses:
        return described("|".join(words), a.size, (a, b))
    return unknown(a.size)


def _give_way(a: Axis, b: Axis) -> Axis:
    """The one that has a name; of two without one, the one that came first."""

    def age(axis: Axis) -> tuple[bool, bool, int]:
        """What nobody has named yet comes before what a weight has made, and that before what claims nothing.

        No two origins have one serial number, so no two axes are of one age.
        """
        return axis.blank, axis.atoms[0].origin.made, min(atom.origin.serial for atom in axis.atoms)

    if a.gives_way and (not b.gives_way or age(b) < age(a)):
        a, b = b, a
    for one, other in zip(a.atoms, b.atoms, strict=False):
        naming = other.origin.naming or one.origin.naming
        if one.size == other.size and other.origin.blank:
            other.origin.filled_with(one.origin)
        elif one.size == other.size and naming is not None and len(a.atoms) == len(b.atoms):
            naming.meet(other.origin, one.origin)
    return a


def _merge_atoms(a: Atom, b: Atom) -> Atom:
    if a.same(b) or (a.name != UNKNOWN and a.origin is not b.origin):
        return a
    if a.name != UNKNOWN and injective(a.at) and injective(b.at):
        # Y[:, 1:] - Y[:, :-1]: steps still change L alone, but there is no longer one coordinate to tell.
        return replace(a, origin=relabelled(a.origin, a.at, b.at))
    return whole(UNKNOWN, a.size)


def separate(rows: Sequence[Axis], operands: Iterable[Axes]) -> list[Axis]:
    """The same axes, where one that came from two operands is told apart: scores (N, L, L) have two L's."""
    uses = [atom.origin for axis in rows for atom in axis.atoms if not atom.origin.blank]
    twice = {origin for origin in uses if uses.count(origin) > 1}
    homes = [{atom.origin for axis in operand for atom in axis.atoms} for operand in operands] if twice else []
    if sum(bool(home & twice) for home in homes) < 2:
        return list(rows)
    used: set[Origin] = set()

    def apart(atom: Atom) -> Atom:
        again = atom.origin in used & twice
        used.add(atom.origin)
        return replace(atom, origin=relabelled(atom.origin, object())) if again else atom

    return [Axis(tuple(map(apart, axis.atoms))) for axis in rows]


def join_fixed(operands: Iterable[Axes], computed: bool = False) -> Fixed:
    """What is on record of removed coordinates in several operands at once.

    A value that was computed from two steps stands between them; elements of two steps side by side do not.
    """
    gone: Fixed = {}
    for origin, at in chain.from_iterable(operand.fixed for operand in operands):
        if origin not in gone or gone[origin] == at:
            gone[origin] = at
            continue
        spans = [Span(one, one) if isinstance(one, int) else one for one in (at, gone[origin])]
        known = [one for one in spans if isinstance(one, Span)]
        along = {one.along for one in known} - {None}
        gone[origin] = forgotten()
        if computed and len(known) == 2 and len(along) < 2:
            low, high = min(one.low for one in known), max(one.high for one in known)
            gone[origin] = Span(low, high, *along)
    return gone


def places(atoms: Sequence[Atom]) -> tuple[tuple[object, Steps], ...]:
    """What atoms are called, or whose they are, and which coordinates they visit, whatever tensor they are of."""
    return tuple((atom.origin.root if atom.name == UNKNOWN else atom.name, atom.at) for atom in atoms)


@rule("pointwise", own_record=True)
def pointwise(*values: Any, **keywords: Any) -> Answer:
    """What all operands agree on: the tensors among the arguments are the operands."""
    return elementwise(*operands_in([*values, *keywords.values()]))


@rule("where maximum minimum fmax fmin clamp clamp_max clamp_min clip", own_record=True)
def choosing(*values: Any, out: Any, **keywords: Any) -> Answer:
    """What all operands agree on, down to the coordinates at which they stand; where(condition) lists positions."""
    operands = operands_in([*values, *keywords.values()])
    return None if isinstance(out, list) else elementwise(*operands, chooses=True)


@rule("copy")
def copy(input: Operand, src: Operand, *_: object, **__: object) -> Answer:
    """What was written over has the axes of what was written."""
    if isinstance(src, Axes):
        return elementwise(src, sizes_of(input))
    return input if isinstance(input, Axes) else None


@rule("glu", own_record=True)
def glu(input: Axes, dim: int = -1) -> Axes:
    """One half of an axis gates the other."""
    n = input[dim].size // 2
    return elementwise(take(input, dim, range(n)), take(input, dim, range(n, 2 * n)))


# ---------------------------------------------------------------- over an axis
def reduce(axes: Axes, dims: int | Sequence[int] | None = None, keepdim: bool = False) -> Axes:
    """The axes after sum, mean, max, argmax … over some axes, or over all."""
    dims = (dims,) if isinstance(dims, int) else dims or range(len(axes))
    over = {dim % len(axes) for dim in dims} if axes else set()
    gone = dict(axes.fixed)
    for place in over:
        sum_out(gone, axes[place])
    rows = [NEW_AXIS if at in over else axis for at, axis in enumerate(axes) if keepdim or at not in over]
    return settle(rows, gone)


def sum_out(gone: Fixed, axis: Axis) -> None:
    """Record that an axis was computed over: the result belongs to all its coordinates at once."""
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
    first = out[0] if isinstance(out, list) else out
    return reduce(input, other.get("axis", dim), len(first) == len(input) > 0)


@rule("max min", own_record=True)
def extreme(input: Operand, dim: Any = None, *_: object, out: Any, **other: Any) -> Answer:
    """max over an axis, or of two tensors element by element."""
    second = other.pop("other", dim)
    if isinstance(second, Axes | tuple):
        return elementwise(input, second, chooses=True)
    return reduced(input, dim, out=out, **other) if isinstance(input, Axes) else None


def reorder(input: Axes, dim: int, out: Any) -> Axes:
    """Sorting and topk choose other positions in every row: with several rows the axis they run along is unknown."""
    if not input:
        return input
    size = (out[0] if isinstance(out, list) else out)[dim]
    atom = input[dim].atoms[0] if len(input) == len(input[dim].atoms) == 1 else None
    if atom is not None and injective(atom.at) and not atom.origin.opaque and not atom.part:
        # One row in another order: a step still goes from one of its coordinates to another.
        return Axes((Axis((Atom(relabelled(atom.origin, object()), range(size)),)),))
    return resized(input, {dim: size})


@rule("sort argsort")
def sort(input: Axes, *given: Any, dim: int = -1, out: Any, **_: object) -> Axes:
    """Sorted along the last axis, or along one that is named by itself or after `stable`."""
    numbers = [value for value in given if not isinstance(value, bool)]
    return reorder(input, numbers[0] if numbers else dim, out)


@rule("cross_entropy nll_loss")
def class_loss(input: Operand, target: Operand, *_: object, out: tuple[int, ...], **__: object) -> Answer:
    """A mean over all, or one number for each target: the axis of classes is gone."""
    if not out:
        return Axes()
    return target if isinstance(target, Axes) else None


# ---------------------------------------------------------------- products
@rule("einsum")
def einsum(equation: Any, *operands: Any) -> Answer:
    """Every letter is one axis; letters that do not come back are summed over."""
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], list) else operands
    return product(equation, *given) if isinstance(equation, str) else None


def product(equation: str, *operands: Operand) -> Axes:
    """A product of tensors in the notation of einsum.

    >>> q, k = Axes.of("N L D", (2, 20, 8)), Axes.of("N S D", (2, 5, 8))
    >>> product("nld,nsd->nls", q, k), product("...d,d", q, (8,))
    ((N=2, L=20, S=5), (N=2, L=20))
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    if not arrow:
        letters = sorted(letter for letter in set(left) - set(",.") if left.count(letter) == 1)
        right = "..." * ("..." in left) + "".join(letters)
    claims: dict[str, list[Axis]] = {}
    sizes: dict[str, int] = {}
    dots: list[Operand] = []
    named = named_in(operands)
    gone = join_fixed(named, computed=True)
    for term, operand in zip(left.split(","), operands, strict=True):
        head, ellipsis, tail = term.partition("...")
        rank = len(operand)
        if ellipsis:
            dots.append(operand[len(head) : rank - len(tail)])
        for at, letter in chain(enumerate(head), enumerate(tail, rank - len(tail))):
            size = sizes_of(operand)[at]
            sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
            if isinstance(operand, Axes) and letter not in right:
                sum_out(gone, operand[at])
            # What a plain weight makes counts where nobody else has the letter.
            if isinstance(operand, Axes) or left.count(letter) == 1:
                claims.setdefault(letter, []).append(axis_at(operand, at))

    def axis(letter: str) -> Axis:
        size = sizes[letter]
        return agree([axis for axis in claims.get(letter, ()) if axis.size == size], size)

    head, ellipsis, tail = right.partition("...")
    middle = elementwise(*dots) if dots and ellipsis else Axes()
    return settle(separate([*map(axis, head), *middle, *map(axis, tail)], named), gone)


_PRODUCTS = {
    "linear": "...k,jk->...j",
    "bilinear": "...i,...j,kij->...k",
    "embedding": "...,vd->...d",
    "outer ger": "i,j->ij",
    "cdist": "...ik,...jk->...ij",
}


def _in_notation(equation: str, *operands: Any, **keywords: Any) -> Answer:
    """A function with an equation of its own; biases and settings after the operands change no axis."""
    count = equation.count(",") + 1
    return product(equation, *operands_in([*operands, *keywords.values()])[:count])


for _names, _equation in _PRODUCTS.items():
    rule(_names)(partial(_in_notation, _equation))


@rule("matmul mm bmm mv dot vdot __matmul__ linalg_matmul _sparse_mm smm spmm hspmm")
def matmul(input: Operand, other: Operand | None = None, **keywords: Any) -> Axes:
    """The axes of a @ b, with batches broadcast: (N, L, D) @ (N, D, S) is (N, L, S)."""
    a, b = input, next(value for value in (other, *keywords.values()) if value is not None)
    i, j = "i" * (len(a) > 1), "j" * (len(b) > 1)
    return product(f"...{i}k,...k{j}->...{i}{j}", a, b)


def attention(query: Operand, key: Operand, value: Operand) -> Axes:
    """softmax(query · key) · value: (N, T, E), (N, S, E), (N, S, V) → (N, T, V)."""
    return product("...ts,...sv->...tv", product("...te,...se->...ts", query, key), value)


@rule("multi_head_attention_forward")
def multi_head(query: Axes, key: Operand, *_: object, out: Any, **__: object) -> Answer:
    """Attention over (L, N, E): the output has the query's rows, the weights (N, L, S) have both."""
    first = resized(query, {-1: out[0][-1]})
    if len(out) < 2 or len(out[1]) != 3 or not isinstance(key, Axes):
        return [first, None]
    return [first, product("tne,sne->nts", query, key)]


# ---------------------------------------------------------------- one line each

# Whatever else these are given is a parameter of the operation.
rule(
    """
    softmax log_softmax softmin normalize layer_norm batch_norm instance_norm group_norm rms_norm
    local_response_norm native_layer_norm dropout alpha_dropout feature_dropout feature_alpha_dropout
    dropout1d dropout2d dropout3d prelu rrelu gumbel_softmax clone contiguous detach to cpu cuda xpu double float half
    bfloat16 int long short char byte bool cfloat cdouble type_as requires_grad requires_grad_ pin_memory
    share_memory_ conj conj_physical resolve_conj resolve_neg renorm fill zero tril triu bernoulli data grad
    __deepcopy__ alias _cast_Double _cast_Float _cast_Half _cast_Int _cast_Long fake_quantize_per_tensor_affine
    quantize_per_tensor dequantize imag index_fill masked_scatter
    coalesce to_dense to_sparse embedding_renorm
    """
)(lambda x, *_, **__: x)
# A new tensor claims nothing; with the axes of another it holds no coordinates of it: what is written into it names it.
rule("zeros_like ones_like empty_like full_like rand_like randn_like randint_like", own_record=True)(
    lambda x, *_, out, **__: blanks(out, x if out == x.sizes else ())
)
rule(
    """
    new new_zeros new_ones new_empty new_full new_tensor zeros ones empty full eye arange linspace rand randn randint
    randperm normal tensor as_tensor from_numpy asarray
    """,
    own_record=True,
)(lambda *_, out, **__: blanks(out))

_COMPUTED: dict[str, Callable[..., Answer]] = {
    # Along copies something changes now.
    "cumsum cumprod cummax cummin logcumsumexp": lambda x, *_, **__: x.changed(
        unknown(axis.size) if axis.blank else axis for axis in x
    ),
    "norm linalg_norm vector_norm linalg_vector_norm": lambda x, p=2, dim=None, *_, out, **other: reduced(
        x, other.get("axis", dim), out=out
    ),
    "topk": lambda x, k=0, dim=-1, *_, out, **__: reorder(x, dim, out),
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits": (
        lambda a, b, *_, out, **__: elementwise(a, b) if out else Axes()
    ),
    "type": lambda x, *_, out=None, **__: x if out == x.sizes else None,  # `x.type()` alone is a string
    "multinomial": lambda x, *_, out, **__: resized(x, {-1: out[-1]}),
    "one_hot": lambda x, *_, out, **__: Axes((*x, made(out[-1], "one_hot" if describing.get() else "")), x.fixed),
    "__rmatmul__": lambda a, b: matmul(b, a),
    "addmm addmv baddbmm": lambda added, a, b, **_: elementwise(matmul(a, b), added),
    "cosine_similarity": lambda a, b, dim=1, eps=1e-8: reduce(elementwise(a, b), dim),
    "pairwise_distance": lambda a, b, p=2.0, eps=1e-6, keepdim=False: reduce(elementwise(a, b), -1, keepdim),
    "scaled_dot_product_attention": lambda q, k, v, *_, **how: None if how.get("enable_gqa") else attention(q, k, v),
}
for _names, _function in _COMPUTED.items():
    rule(_names)(_function)
