"""Elementwise work with broadcasting: what several tensors agree on.

A plain tensor claims nothing: it neither gives names nor takes them away. Two named tensors that disagree about an
axis leave it unknown; an axis that a weight has made, or that nobody named yet, gives way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from lstm_shapes.theory._axis_rules.table import (
    Answer,
    Operand,
    axis_at,
    described,
    describing,
    operands_in,
    rule,
    sizes_of,
)
from lstm_shapes.theory._origins import UNKNOWN, Atom, Origin, Steps, injective, relabelled, whole
from lstm_shapes.theory.axes import (
    NEW,
    NEW_AXIS,
    Axes,
    Axis,
    Fixed,
    Span,
    blanks,
    fix,
    forget,
    forgotten,
    settle,
    unknown,
)

__all__ = ["agree", "elementwise", "join_fixed", "places", "separate"]


def elementwise(*operands: Operand, chooses: bool = False) -> Axes:
    """The axes of an elementwise operation, with torch's broadcasting.

    An operation that `chooses` one operand for each element, as where and maximum do, has a name only where all
    operands stand at the same coordinates; one that computes needs only that they step along the same axis.

    >>> Y, h = Axes.of("N L D", (2, 20, 256)), Axes.of("N 1 D", (2, 1, 256))
    >>> elementwise(Y, h), elementwise(Y, (256,)), elementwise(Y, Axes.of("L Q D", (2, 20, 256)))
    ((N=2, L=20, D=256), (N=2, L=20, D=256), (?=2, ?=20, D=256))
    """
    shaped = [(operand, sizes_of(operand)) for operand in operands]
    named = [operand for operand in operands if isinstance(operand, Axes)]
    rows: list[Axis] = []
    gone = join_fixed(named, computed=not chooses)
    for back in range(-max(len(sizes) for _, sizes in shaped), 0):
        present = [(operand, sizes[back]) for operand, sizes in shaped if len(sizes) >= -back]
        size = next((n for _, n in present if n != 1), 1)
        moving = [operand for operand, n in present if n == size]
        claims = [operand[back] for operand in moving if isinstance(operand, Axes)]
        # Where a weight alone runs along an axis, as the transitions of a CRF do, it is the weight's.
        rows.append(axis_at(moving[0], back) if not claims and len(moving) == 1 else agree(claims, size, chooses))
        for operand, n in present:
            if n == 1 != size and isinstance(operand, Axes):
                fix(gone, operand[back].atoms)
    return forget(settle(separate(rows, named), _active(rows, gone)), named, made=True)


def agree(claims: Sequence[Axis], size: int, chooses: bool = False) -> Axis:
    """The one axis that all claims describe, or an unknown one.

    >>> N, L = Axes.of("N L", (4, 4))
    >>> agree([N, N], 4), agree([N, L], 4), agree([], 4)
    (N=4, ?=4, ?=4)
    """
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
    if a.blank or b.blank:
        for one, other in zip(a.atoms, b.atoms, strict=False):
            if one.size == other.size:
                (one if a.blank else other).origin.filled_with((other if a.blank else one).origin)
        return a if b.blank else b
    if (a.waits or b.waits) and [atom.at for atom in a.atoms] == [atom.at for atom in b.atoms]:
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
    if a.gives_way and (not b.gives_way or _age(b) < _age(a)):
        a, b = b, a
    for one, other in zip(a.atoms, b.atoms, strict=False):
        naming = other.origin.naming or one.origin.naming
        if naming is not None and len(a.atoms) == len(b.atoms) and one.size == other.size:
            naming.meet(other.origin, one.origin)
    return a


def _age(axis: Axis) -> tuple[bool, int]:
    """What nobody has named yet comes before what a weight has made."""
    return axis.atoms[0].origin.made, min(atom.origin.serial for atom in axis.atoms)


def _merge_atoms(a: Atom, b: Atom) -> Atom:
    if a.same(b):
        return a
    if a.name == UNKNOWN:
        return whole(UNKNOWN, a.size)
    if a.origin is b.origin:
        # Y[:, 1:] - Y[:, :-1]: steps still change L alone, but there is no longer one coordinate to tell.
        if injective(a.at) and injective(b.at):
            return replace(a, origin=relabelled(a.origin, a.at, b.at))
        return whole(UNKNOWN, a.size)
    return a


def separate(rows: Sequence[Axis], operands: Iterable[Axes]) -> list[Axis]:
    """The same axes, where one that came from two operands is told apart: scores (N, L, L) have two L's."""
    uses = [atom.origin for axis in rows for atom in axis.atoms if not atom.origin.blank]
    if len(set(uses)) == len(uses):
        return list(rows)
    twice = {origin for origin in uses if uses.count(origin) > 1}
    homes = [{atom.origin for axis in operand for atom in axis.atoms} for operand in operands]
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


def _active(rows: Sequence[Axis], gone: Fixed) -> Fixed:
    """A coordinate that stands still in one operand and moves in another is at no place that can be told."""
    moving = {atom.origin for axis in rows for atom in axis.atoms}
    return {
        origin: forgotten() if origin in moving and not isinstance(at, tuple) else at for origin, at in gone.items()
    }


def places(atoms: Sequence[Atom]) -> tuple[tuple[object, Steps], ...]:
    """What atoms are called, or whose they are, and which coordinates they visit, whatever tensor they are of."""
    return tuple((atom.origin.root if atom.name == UNKNOWN else atom.name, atom.at) for atom in atoms)


@rule("pointwise", own_record=True)
def pointwise(*values: Any, **keywords: Any) -> Answer:
    """What all operands agree on: the tensors among the arguments are the operands."""
    return elementwise(*operands_in([*values, *keywords.values()]))


@rule("where maximum minimum fmax fmin clamp clamp_max clamp_min clip", own_record=True)
def choosing(*values: Any, out: Any, **keywords: Any) -> Answer:
    """What all operands agree on, down to the coordinates at which they stand."""
    if isinstance(out, list):
        return None  # torch.where(condition) alone lists positions
    return elementwise(*operands_in([*values, *keywords.values()]), chooses=True)


@rule(
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
)
def same(input: Axes, *_: object, **__: object) -> Axes:
    """The axes of the first argument; whatever else is given is a parameter of the operation."""
    return input


@rule("zeros_like ones_like empty_like full_like rand_like randn_like randint_like", own_record=True)
def like(input: Axes, *_: object, out: tuple[int, ...], **__: object) -> Answer:
    """A new tensor with the axes of another, and no coordinates of it: what is written into it names it."""
    return blanks(out, input if out == input.sizes else ())


@rule(
    """
    new new_zeros new_ones new_empty new_full new_tensor zeros ones empty full eye arange linspace rand randn randint
    randperm normal tensor as_tensor from_numpy asarray
    """,
    own_record=True,
)
def new(*_: object, out: tuple[int, ...], **__: object) -> Axes:
    """A new tensor, which claims nothing."""
    return blanks(out)


@rule("cumsum cumprod cummax cummin logcumsumexp")
def accumulate(input: Axes, *_: object, **__: object) -> Axes:
    """The same axes, but that along copies something changes now."""
    return Axes(tuple(unknown(axis.size) if axis.blank else axis for axis in input), input.fixed)


@rule("type")
def retype(input: Axes, *_: object, out: Any = None, **__: object) -> Answer:
    """The same axes where the shape is the same: `x.type()` alone is a string."""
    return input if out == input.sizes else None


@rule("copy")
def copy(input: Operand, src: Operand, *_: object, **__: object) -> Answer:
    """What was written over has the axes of what was written."""
    return elementwise(src, sizes_of(input)) if isinstance(src, Axes) else input if isinstance(input, Axes) else None
