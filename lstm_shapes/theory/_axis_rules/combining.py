"""Operations that compute with several elements: elementwise with broadcasting, over an axis, products, and layers.

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

from .positions import pick, take
from .table import Answer, Operand, Plain, axis_at, described, describing, named_in, operands_in, rule, sizes_of


# ---------------------------------------------------------------- what belongs together
def combine(
    terms: Sequence[Sequence[object]], kept: Sequence[object], operands: Sequence[Operand], chooses: bool = False
) -> Axes:
    """What comes of operands whose axes are labelled: an axis for each label that is kept, over others is summed.

    An axis of size 1 stands still beside a longer one of its label. With `chooses` every element is one of the
    operands' and not computed from them.
    """
    named = named_in(operands)
    gone = join_fixed(named, computed=not chooses)
    uses: dict[object, list[tuple[Operand, int]]] = {}
    for term, operand in zip(terms, operands, strict=True):
        for at, label in enumerate(term):
            uses.setdefault(label, []).append((operand, at))
    rows: dict[object, Axis] = {}
    for label, bearers in uses.items():
        size = next((n for operand, at in bearers if (n := sizes_of(operand)[at]) != 1), 1)
        moving = [(operand, at) for operand, at in bearers if sizes_of(operand)[at] == size]
        claims = [operand[at] for operand, at in moving if isinstance(operand, Axes)]
        # Where a weight alone runs along an axis, as the transitions of a CRF do, it is the weight's.
        alone = not claims and len(moving) == 1
        rows[label] = axis_at(*moving[0]) if alone else agree(claims, size, chooses)
        for operand, at in bearers:
            if isinstance(operand, Axes) and label not in kept:
                sum_out(gone, operand[at])
            elif isinstance(operand, Axes) and operand[at].size != size:
                fix(gone, operand[at].atoms)
    axes = separate([rows[label] for label in kept], named)
    # A coordinate that stands still in one operand and moves in another is at no place that can be told.
    active = {atom.origin for axis in axes for atom in axis.atoms}
    lost = {origin: forgotten() for origin, at in gone.items() if origin in active and not isinstance(at, tuple)}
    return settle(axes, {**gone, **lost})


def elementwise(*operands: Operand, chooses: bool = False) -> Axes:
    """The axes of an elementwise operation, with torch's broadcasting.

    An operation that `chooses` one operand for each element, as where and maximum do, has a name only where all
    operands stand at the same coordinates; one that computes needs only that they step along the same axis.

    >>> Y, h = Axes.of("N L D", (2, 20, 256)), Axes.of("N 1 D", (2, 1, 256))
    >>> elementwise(Y, h), elementwise(Y, (256,)), elementwise(Y, Axes.of("L Q D", (2, 20, 256)))
    ((N=2, L=20, D=256), (N=2, L=20, D=256), (?=2, ?=20, D=256))
    """
    terms = [range(-len(operand), 0) for operand in operands]
    return forget(combine(terms, max(terms, key=len), operands, chooses), named_in(operands), made=True)


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
    terms: list[list[object]] = []
    most = 0
    for term, operand in zip(left.split(","), operands, strict=True):
        head, _, tail = term.partition("...")
        count = len(operand) - len(head) - len(tail)
        most = max(most, count)
        terms.append([*head, *range(-count, 0), *tail])
    head, dots, tail = right.partition("...")
    return combine(terms, [*head, *(range(-most, 0) if dots else ()), *tail], operands)


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
    """Of two axes that are one, the one whose name stays: the one that has a name, else the one that came first."""

    def age(axis: Axis) -> tuple[bool, bool, int]:
        """What nobody has named yet comes first, then what a weight has made, then what claims nothing."""
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
    """The same axes, where one that came from two operands is told apart: scores (N, L, L) have two L's.

    Two parts of one axis, as heads and their width are of D, are no such two where one operand has both.
    """
    uses: dict[Origin, list[Atom]] = {}
    for atom in [atom for axis in rows for atom in axis.atoms if not atom.origin.blank]:
        uses.setdefault(atom.origin, []).append(atom)
    twice = {origin for origin, atoms in uses.items() if len(atoms) > 1}
    homes = [[atom for axis in operand for atom in axis.atoms if atom.origin in twice] for operand in operands]
    for origin in [*twice]:
        parts = uses[origin]
        digits = all(atom.part for atom in parts) and len({atom.at for atom in parts}) == len(parts)
        if digits and any(all(any(map(atom.same, home)) for atom in parts) for home in homes):
            twice.remove(origin)
    if sum(any(atom.origin in twice for atom in home) for home in homes) < 2:
        return list(rows)
    used: set[Origin] = set()

    def apart(atom: Atom) -> Atom:
        again = atom.origin in used & twice
        used.add(atom.origin)
        return replace(atom, origin=relabelled(atom.origin, object())) if again else atom

    return [Axis(tuple(map(apart, axis.atoms))) for axis in rows]


def join_fixed(operands: Iterable[Axes], computed: bool = False) -> Fixed:
    """Coordinates that several operands have lost; a value computed from two steps stands between them."""
    gone: Fixed = {}
    for origin, at in chain.from_iterable(operand.fixed for operand in operands):
        if origin not in gone or gone[origin] == at:
            gone[origin] = at
            continue
        known = [span for one in (at, gone[origin]) if (span := span_of(one)) is not None]
        along = {one.along for one in known} - {None}
        gone[origin] = forgotten()
        if computed and len(known) == 2 and len(along) < 2:
            low, high = min(one.low for one in known), max(one.high for one in known)
            gone[origin] = Span(low, high, *along)
    return gone


def span_of(where: object) -> Span | None:
    """Between which steps a value stands that is on record at one step or at several, None where that is not known."""
    return Span(where, where) if isinstance(where, int) else where if isinstance(where, Span) else None


def places(atoms: Sequence[Atom]) -> tuple[tuple[object, Steps], ...]:
    """What atoms are called, or whose they are, and which coordinates they visit, whatever tensor they are of."""
    return tuple((atom.origin.root if atom.name == UNKNOWN else atom.name, atom.at) for atom in atoms)


@rule("pointwise", own_record=True)
def pointwise(*values: Any) -> Answer:
    """What all operands agree on: the tensors among the arguments are the operands."""
    return elementwise(*operands_in(values))


@rule("where maximum minimum fmax fmin clamp clamp_max clamp_min clip", own_record=True)
def choosing(*values: Any, out: Any) -> Answer:
    """What all operands agree on, down to the coordinates at which they stand; where(condition) lists positions."""
    return None if isinstance(out, list) else elementwise(*operands_in(values), chooses=True)


@rule("copy")
def copy(input: Operand, src: Operand, *_: object) -> Answer:
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
def reduced(input: Axes, dim: Any = None, *_: object, out: Any) -> Axes:
    """Whether the axis is kept is seen in the result; which axis it was, in the call."""
    first = out[0] if isinstance(out, list) else out
    return reduce(input, dim, len(first) == len(input) > 0)


@rule("max min", own_record=True)
def extreme(input: Operand, dim: Any = None, *more: object, out: Any) -> Answer:
    """max over an axis, or of two tensors element by element."""
    if other := operands_in([dim, *more]):
        return elementwise(input, *other, chooses=True)
    return reduced(input, dim, out=out) if isinstance(input, Axes) else None


@rule("sort argsort")
def reorder(input: Axes, dim: int = -1, *_: object, out: Any) -> Axes:
    """Sorting and topk choose other positions in every row: with several rows the axis they run along is unknown."""
    if not input:
        return input
    size = (out[0] if isinstance(out, list) else out)[dim]
    atom = input[dim].atoms[0] if len(input) == len(input[dim].atoms) == 1 else None
    if atom is not None and injective(atom.at) and not atom.origin.opaque and not atom.part:
        # One row in another order: a step still goes from one of its coordinates to another.
        return Axes((Axis((Atom(relabelled(atom.origin, object()), range(size)),)),))
    return input.changed(input.put(dim, unknown(size)))


@rule("cross_entropy nll_loss")
def class_loss(input: Operand, target: Operand, *_: object, out: tuple[int, ...]) -> Answer:
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


_PRODUCTS = {
    "linear": "...k,jk->...j",
    "bilinear": "...i,...j,kij->...k",
    "embedding": "...,vd->...d",
    "outer ger": "i,j->ij",
    "cdist": "...ik,...jk->...ij",
}


def _in_notation(equation: str, *operands: Any) -> Answer:
    """A function with an equation of its own; biases and settings after the operands change no axis."""
    return product(equation, *operands_in(operands)[: equation.count(",") + 1])


for _names, _equation in _PRODUCTS.items():
    rule(_names)(partial(_in_notation, _equation))


@rule("matmul mm bmm mv dot vdot __matmul__ linalg_matmul _sparse_mm smm spmm hspmm")
def matmul(*operands: Operand) -> Axes:
    """The axes of a @ b, with batches broadcast: (N, L, D) @ (N, D, S) is (N, L, S)."""
    a, b = operands
    i, j = "i" * (len(a) > 1), "j" * (len(b) > 1)
    return product(f"...{i}k,...k{j}->...{i}{j}", a, b)


@rule("multi_head_attention_forward")
def multi_head(query: Axes, key: Operand, *_: object, out: Any) -> Answer:
    """Attention over (L, N, E): the output has the query's rows, the weights (N, L, S) have both."""
    first = query.changed(query.put(-1, unknown(out[0][-1])))
    if len(out) < 2 or len(out[1]) != 3 or not isinstance(key, Axes):
        return [first, None]
    return [first, product("tne,sne->nts", query, key)]


# ---------------------------------------------------------------- recurrent layers and what feeds them
@rule("lstm gru rnn_tanh rnn_relu", own_record=True)
def recurrent(input: Operand, *given: Any, out: Sequence[tuple[int, ...]]) -> Answer:
    """The axes of Y, hn and cn, from the axes of the layer's input, batched or not or packed.

    torch hands over (input, hx, weights, bias?, K, dropout, train?, R?, batch_first?); packed, (data, sizes, hx, …).

    >>> arguments = [], [Plain((1024, 28))], True, 3, 0.0, True, True, True
    >>> Y, hn, cn = recurrent(Axes.of("N L Q", (2, 20, 28)), *arguments, out=[(2, 20, 512), (6, 2, 256), (6, 2, 256)])
    >>> Y, hn
    ((N=2, L=20, R·D=512), (K·R=6, N=2, D=256))
    """
    if not isinstance(input, Axes):
        return None
    packed = isinstance(given[2], list)
    hx, (weight, *_), _, K, _, _, both, *batch_first = given[packed:]
    hidden, width = out[1][-1], out[-1][-1]
    name = "P" if hidden != width else "D"

    def axis(*factors: tuple[str, int]) -> Axis:
        """A composite of atoms that the layer makes; R of 1, as in most layers, is left out."""
        return Axis(tuple(_atom(weight, symbol, size) for symbol, size in factors if (symbol, size) != ("R", 1)))

    R = 2 if both else 1
    gone = dict(input.fixed)
    sum_out(gone, input[-1])
    front = list(input.axes[:-1])
    time = 1 if not packed and batch_first[0] and len(input) == 3 else 0
    if front[time].blank:
        # Equal steps, as of a vector repeated to be decoded: the layer tells them apart.
        front[time] = axis(("L", front[time].size))
    inside = front[0].atoms[0].origin.packed if packed else None
    sequences = [inside[0]] if inside else [axis for at, axis in enumerate(front) if at != time]
    if inside or not packed:
        _read([*sequences, inside[1] if inside else front[time]], [*["N"] * len(sequences), "L"])
    _read([input[-1]], ["Q"])
    for state, symbol in zip(hx if isinstance(hx, list) else [hx], (name, "D"), strict=False):
        _read(state or (), ["K·R" if both else "K", *["N"] * len(sequences), symbol])
    Y = settle([*front, axis(("R", R), (name, hidden))], gone)
    if packed and inside is None:
        return [Y, None, None]
    states = [[axis(("K", K), ("R", R)), *sequences, axis(one)] for one in ((name, hidden), ("D", width))]
    return [Y, *(settle(rows, gone) for rows in states)]


def _read(axes: Any, names: Sequence[str]) -> None:
    """A layer reads these axes so: those that are named last get their names, and those of a state of zeros do."""
    for axis, name in zip(axes, names, strict=False):
        if not isinstance(axis, Axis) or len(axis.atoms) != 1:
            continue
        origin = axis.atoms[0].origin
        if origin.naming is not None:
            origin.naming.bind(origin, name)
        elif origin.blank:
            origin.read_as(name)


def _atom(weight: Operand, symbol: str, size: int) -> Atom:
    return weight.atom(symbol, size) if isinstance(weight, Plain) else whole(symbol, size)


@rule("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell", own_record=True)
def cell(input: Operand, hx: Any, weight: Operand, *_: object, out: Any) -> Answer:
    """The state after one step of a cell: (N, D), at the step that the input belongs to."""
    states = hx if isinstance(hx, list) else [hx]
    for state, symbol in ((input, "Q"), *((one, "D") for one in states if one is not None)):
        _read(state, ["N", symbol] if isinstance(state, Axes) and len(state) == 2 else [symbol])
    source = input if isinstance(input, Axes) else states[0]
    if not isinstance(source, Axes):
        return None
    gone = join_fixed(named_in([input, *states]), computed=True)
    sum_out(gone, source[-1])
    size = (out[0] if isinstance(out, list) else out)[-1]
    return settle([*source.axes[:-1], Axis((_atom(weight, "D", size),))], gone)


@rule("_pack_padded_sequence", own_record=True)
def pack(input: Axes, lengths: Operand, batch_first: bool, *, out: Any) -> Answer:
    """Padded rows packed: (N, L, Q) → (T, Q), all real steps in one axis that remembers N and L."""
    N, L = input[:2] if batch_first else input[1::-1]
    _read([N, L, *(lengths if isinstance(lengths, Axes) else ())], ["N", "L", "N"])
    atom = whole("T", out[0][0])
    atom.origin.packed = (N, L)
    return [input.changed([Axis((atom,)), *input.axes[2:]], (*N.atoms, *L.atoms), ("packed",)), None]


@rule("_pad_packed_sequence", own_record=True)
def pad_packed(data: Axes, sizes: Operand, batch_first: bool, *_: object, out: Any) -> Answer:
    """Packed data padded back to rows: N and L as they were before packing."""
    N, L = out[0][:2] if batch_first else out[0][1::-1]
    inside = data[0].atoms[0].origin.packed if data[0].atoms else None
    rows = [unknown(N), unknown(L)]
    gone = dict(data.fixed)
    if inside and inside[0].size == N:
        sequences, steps = inside
        rows[0] = sequences
        if steps.size >= L:
            rows[1], _ = pick(steps, range(L))
        for atom in (*sequences.atoms, *steps.atoms):
            gone.pop(atom.origin, None)
    return [settle([*(rows if batch_first else rows[::-1]), *data.axes[1:]], gone), None]


@rule("pad")
def pad(input: Axes, pad: Sequence[int], *_: object, out: tuple[int, ...]) -> Axes:
    """An axis that got padding is not the axis it was; one that was cut (pad < 0) is a piece of it."""
    for back, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = len(input) - 1 - back
        axis = input[dim]
        if before > 0 or after > 0:
            words = "+".join([*["pad"] * (before > 0), axis.name, *["pad"] * (after > 0)])
            input = input.changed(input.put(dim, described(words if axis.known else UNKNOWN, out[dim], [axis])))
        else:
            input = take(input, dim, range(axis.size)[-before : axis.size + after])
    return input


def _windowed(input: Axes, sizes: tuple[int, ...], spatial: int, channels: Axis | None = None) -> Axes:
    """Windows that slide over so many axes; as many positions as before stand where they stood, others are L′."""
    start = len(input) - spatial
    rows = list(input)
    gone = dict(input.fixed)
    if channels is not None:
        sum_out(gone, rows[start - 1])
        rows[start - 1] = channels
    for at, size in enumerate(sizes[start:], start):
        axis = rows[at]
        windows = axis.name.rstrip("′") + "′" if axis.known and len(axis.atoms) == 1 else UNKNOWN
        rows[at] = axis if size == axis.size and size > 1 else described(windows, size, (axis,))
    return settle(rows, gone)


@rule("conv1d conv2d conv3d")
def convolution(input: Axes, weight: Operand, *_: object, out: tuple[int, ...]) -> Axes:
    return _windowed(input, out, len(weight) - 2, axis_at(weight, 0))


def _pooled(spatial: int, input: Axes, *_: object, out: Any) -> Axes:
    return _windowed(input, out[0] if isinstance(out, list) else out, spatial)


_POOLS = ("max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool")
for _spatial in (1, 2, 3):
    rule(" ".join(f"{name}{_spatial}d" for name in _POOLS))(partial(_pooled, _spatial))


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
)(lambda x, *_: x)
# A new tensor claims nothing; with the axes of another it holds no coordinates of it: what is written into it names it.
rule("zeros_like ones_like empty_like full_like rand_like randn_like randint_like", own_record=True)(
    lambda x, *_, out: blanks(out, x if out == x.sizes else ())
)
rule(
    """
    new new_zeros new_ones new_empty new_full new_tensor zeros ones empty full eye arange linspace rand randn randint
    randperm normal tensor as_tensor from_numpy asarray
    """,
    own_record=True,
)(lambda *_, out: blanks(out))

_COMPUTED: dict[str, Callable[..., Answer]] = {
    # Along copies something changes now.
    "cumsum cumprod cummax cummin logcumsumexp": lambda x, *_: x.changed(
        unknown(axis.size) if axis.blank else axis for axis in x
    ),
    "norm linalg_norm vector_norm linalg_vector_norm": lambda x, p=2, dim=None, *_, out: reduced(x, dim, out=out),
    "topk": lambda x, k, dim=-1, *_, out: reorder(x, dim, out=out),
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits": (
        lambda a, b, *_, out: elementwise(a, b) if out else Axes()
    ),
    "type": lambda x, *_, out=None: x if out == x.sizes else None,  # `x.type()` alone is a string
    "multinomial": lambda x, *_, out: x.changed(x.put(-1, unknown(out[-1]))),
    "one_hot": lambda x, *_, out: Axes((*x, made(out[-1], "one_hot" if describing.get() else "")), x.fixed),
    "__rmatmul__": lambda a, b: matmul(b, a),
    "addmm addmv baddbmm": lambda added, a, b, *_: elementwise(matmul(a, b), added),
    "cosine_similarity": lambda a, b, dim=1, eps=1e-8: reduce(elementwise(a, b), dim),
    "pairwise_distance": lambda a, b, p=2.0, eps=1e-6, keepdim=False: reduce(elementwise(a, b), -1, keepdim),
    "scaled_dot_product_attention": lambda q, k, v, *_, enable_gqa=False: (
        None if enable_gqa else product("...te,...se,...sv->...tv", q, k, v)
    ),
}
for _names, _function in _COMPUTED.items():
    rule(_names)(_function)
