"""Any other function of torch that refuses its operands: what it wants, which operand does not fit, what makes it run.

Each family of functions says what it wants and proposes changes of single operands. A change is given only if the call
then runs, and no axis of one name meets an axis of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_shapes.lab.trace import Call, Value, tensors_of
from lstm_shapes.theory.axes import Axes

from .axis_names import disagree
from .raised import Entered, Explanation, Raised, Try
from .spelled import chained
from .words import layer_names, symbol

__all__ = ["function"]

Look = tuple[str, list[Try]]
"""What was measured, in words, and the changes to try."""

_PRODUCTS = frozenset("matmul __matmul__ __rmatmul__ bmm mm mv dot baddbmm addmm addbmm einsum tensordot".split())
_JOINS = frozenset("cat concat concatenate stack hstack vstack".split())
_VIEWS = frozenset("view reshape unflatten view_as".split())
_INDEXES = frozenset("__getitem__ select index_select gather narrow take_along_dim scatter scatter_ __setitem__".split())
_CONVS = {f"conv{n}d": n for n in (1, 2, 3)} | {f"conv_transpose{n}d": n for n in (1, 2, 3)}
_NORMS = frozenset("batch_norm layer_norm instance_norm group_norm rms_norm".split())
_POINTWISE = frozenset(
    "add sub mul div true_divide truediv floor_divide floordiv pow maximum minimum where lerp addcmul addcdiv eq ne lt gt le ge "
    "logical_and logical_or logical_xor bitwise_and bitwise_or and or xor masked_fill radd rsub rmul rtruediv iadd isub imul "
    "itruediv copy atan2 fmod remainder clamp addcmul".split()
)
_FLOATS = {torch.float32: ".float()", torch.float64: ".double()", torch.float16: ".half()", torch.bfloat16: ".bfloat16()"}
_FAR = 9.0


def function(raised: Raised) -> Explanation | None:
    """The torch function that raised, or the module of torch that refused its input in Python."""
    call = raised.call
    if call is None:
        return _module(raised)
    values = _operands(raised, call)
    code, (measured, fixes) = _looked(raised, call)
    tensors = ", ".join(raised.described(value) for value in values[:4])
    title = f"{_spoken(raised, call)} refuses {tensors or 'its arguments'}"
    axes = ((value, axis) for value in values for axis in range(len(value.shape)))
    products = raised.products(*axes) if call.name not in _VIEWS else ""
    measured += f"; {products}" if products else ""
    layer = raised.from_layer(*values) if values else None
    if not code:
        code = "LS111" if layer is not None else "LS113"
    return Explanation(code, title, measured, fixes, values, layer.name if layer is not None else "")


def _operands(raised: Raised, call: Call) -> list[Value]:
    """What the user handed over: the arguments of a module of torch's own, else the tensors of the call."""
    module = raised.module
    if module is not None and module.depth > raised.spelling.depth and type(module.module).__module__.startswith("torch."):
        given = [raised.value(tensor) for tensor in tensors_of((module.args, module.kwargs))]
        known = [value for value in given if value is not None]
        if known:
            return list(dict.fromkeys(known))
    values = [value for value in call.inputs if not value.parameter]
    return [value for value in dict.fromkeys(values) if value.maker is not None or raised.name(value) != "a tensor"] or values


_SPOKEN = {"__getitem__": "the index", "__setitem__": "the assignment to an index"}


def _spoken(raised: Raised, call: Call) -> str:
    """The function in the user's words: the module that the line calls, else torch's own name."""
    module = raised.module
    if module is not None and module.depth > raised.spelling.depth:
        return f"{raised.called(module)} ({module.kind})" if raised.called(module) != f"the {module.kind}" else module.kind
    return _SPOKEN.get(call.name, symbol(call.name))


def _looked(raised: Raised, call: Call) -> tuple[str, Look]:
    """A code where it is not that of the place, and what the family of the function says."""
    other = _elsewhere(raised, call)
    if other is not None:
        return other
    for names, look in _FAMILIES:
        if call.name in names:
            found = look(raised, call)
            if found is not None:
                return "", found
    pointwise = _broadcast(raised, call)
    if pointwise is not None:
        return "", pointwise
    return "", (", ".join(f"{raised.described(v)} is {_kind(v)}" for v in _operands(raised, call)[:6]), [])


# ---------------------------------------------------------------------- data types and devices, of any function
def _elsewhere(raised: Raised, call: Call) -> tuple[str, Look] | None:
    devices = {value.tensor.device for value in call.inputs}
    if len(devices) > 1 and not any(v.tensor.device.type == "cpu" and not v.shape for v in call.inputs):
        first = call.inputs[0].tensor.device
        words = [f"{raised.name(v)} is on {v.tensor.device}" for v in call.inputs[:3]]
        odd = next(v for v in call.inputs if v.tensor.device != first)
        fix = chained(raised.code(odd), f".to({raised.code(call.inputs[0])}.device)")
        return "LS106", (", ".join(words), [Try(fix, lambda: True)])
    if not re.search(r"dtype|scalar type|not implemented for|bool|expected .* (Long|Int|Float|Double)|type (Long|Float)", raised.message):
        return None
    return _types(raised, call)


def _types(raised: Raised, call: Call) -> tuple[str, Look] | None:
    kinds = {v.index: v.tensor.dtype for v in call.inputs}
    words = ", ".join(f"{raised.described(v)} is {_kind(v)}" for v in call.inputs if not v.parameter)
    words = f"{words}; the weights are {_kind(w)}" if (w := next((v for v in call.inputs if v.parameter), None)) else words
    fixes: list[Try] = []
    casts: list[tuple[str, torch.dtype]] = []
    if "embedding" in call.name:
        ids = call.inputs[0] if call.inputs[0].tensor.dtype.is_floating_point else call.inputs[-1]
        casts = [(".long()", torch.int64)]
        wanted: Iterable[Value] = [v for v in call.inputs if not v.parameter] or [ids]
        words = f"nn.Embedding looks rows up by whole numbers, int64; {words}"
        if not any(_whole(v) for v in wanted):
            fixes.append(Try("leave the embedding out: these are fractions and no ids"))
    else:
        wanted = [v for v in call.inputs if not v.parameter]
        floats = [d for d in dict.fromkeys(kinds.values()) if d in _FLOATS]
        casts = [(_FLOATS[d], d) for d in sorted(floats, key=lambda d: d != torch.float32)]
        casts += [(".bool()", torch.bool), (".float()", torch.float32), (".long()", torch.int64)]
    rank = 0.0
    for suffix, dtype in casts:
        for value in wanted:
            if value.tensor.dtype != dtype and not (dtype == torch.int64 and not _whole(value)):
                rank += 1.0
                text = chained(raised.code(value), suffix)
                fixes.append(_swap(raised, call, {value: lambda x, d=dtype: x.to(d)}, text, rank, named=False))
    under = any(d in (torch.bfloat16, torch.float16) for d in kinds.values())
    words += "; a layer inside autocast returns the low precision" if under and len(set(kinds.values())) > 1 else ""
    return "LS105", (words, fixes)


def _kind(value: Value) -> str:
    return str(value.tensor.dtype).removeprefix("torch.")


def _whole(value: Value) -> bool:
    data = value.elements
    return data is not None and not data.is_meta and bool((data.float() % 1 == 0).all())


# ---------------------------------------------------------------------- trying a change of operands
def _swap(
    raised: Raised,
    call: Call,
    changes: dict[Value, Callable[[Tensor], Tensor]],
    text: str,
    rank: float,
    meets: Callable[[dict[int, Axes]], bool] | None = None,
    places: dict[int | str, Any] | None = None,
    named: bool = True,
) -> Try:
    """A change of operands, held against the names of the axes that meet and then against torch."""

    def holds() -> bool:
        if named and meets is not None:
            axes = {}
            for value in call.inputs:
                tensor = raised.axes.tensor(value)
                tensor = changes[value](tensor) if value in changes else tensor
                axes[value.index] = getattr(tensor, "axes", None) or Axes.of(["?"] * tensor.dim(), tuple(tensor.shape))
            if not meets(axes):
                return False
        return raised.runs(call, {v.index: change for v, change in changes.items()}, places=places)

    return Try(text, holds, rank)


def _aligned(axes: dict[int, Axes], skip: int = 0) -> bool:
    """Whether no two axes that stand over each other from the right are known to be different."""
    rows = [tuple(reversed(a.axes)) for a in axes.values()]
    for one, other in combinations(rows, 2):
        for left, right in list(zip(one, other, strict=False))[skip:]:
            if left.size != 1 and right.size != 1 and disagree(left, right):
                return False
    return True


def _single(value: Value, states: bool) -> Iterator[tuple[str, Callable[[Tensor], Tensor], float]]:
    """The changes of one tensor that people make: an axis more or less, two axes exchanged."""
    rank = len(value.shape)
    if states and rank == 3:
        yield "[-1]", lambda x: x[-1], 1.0
        yield ".transpose(0, 1)", lambda x: x.transpose(0, 1), 1.5
    for axis in range(rank):
        if value.shape[axis] == 1:
            yield f".squeeze({axis})", lambda x, a=axis: x.squeeze(a), 2.0
    for axis in range(rank + 1):
        at = -1 if axis == rank and rank > 1 else axis
        yield f".unsqueeze({at})", lambda x, a=at: x.unsqueeze(a), 2.0 + 0.1 * axis
    for a, b in combinations(range(rank), 2):
        yield f".transpose({a}, {b})", lambda x, a=a, b=b: x.transpose(a, b), 3.0 + (b != rank - 1)


# ---------------------------------------------------------------------- products
def _product(raised: Raised, call: Call) -> Look | None:
    values = [v for v in call.inputs if not v.parameter] or list(call.inputs)
    if call.name == "einsum":
        return _einsum(raised, call), []
    if len(call.inputs) < 2:
        return None
    a, b = call.inputs[-2], call.inputs[-1]
    name = symbol(call.name)
    wants = f"{name} sums over the last axis of {raised.name(a)} and the last but one of {raised.name(b)}"
    if call.name in ("bmm", "baddbmm"):
        wants = f"bmm wants (N, a, b) and (N, b, c), three axes each; {wants}"
    if len(a.shape) and len(b.shape):
        sizes = a.shape[-1], b.shape[-2] if len(b.shape) > 1 else b.shape[0]
        wants += f": {sizes[0]} and {sizes[1]}"
    fixes = []
    for place, value in enumerate((b, a)):
        if value not in values:
            continue
        states = (made := raised.output_of(value)) is not None and made[1] != "Y" and not made[0].cell
        for suffix, change, rank in _single(value, states):
            text = chained(raised.code(value), suffix)
            meets = lambda axes: _contracts(axes[a.index], axes[b.index])  # noqa: E731
            fixes.append(_swap(raised, call, {value: change}, text, rank + 0.5 * place, meets))
        for text, new in _rows_side_by_side(raised, value):
            fixes.append(_swap(raised, call, {value: lambda _, new=new: new}, text, 2.5, named=False))
    return wants, fixes


def _rows_side_by_side(raised: Raised, value: Value) -> Iterator[tuple[str, Tensor]]:
    """Where a view cut the rows of hn across samples: the top layer's rows, the two directions side by side."""
    views = [call for call in raised.way_back(value) if call.name in _VIEWS]
    found = raised.output_of(views[-1].inputs[0]) if views else None
    if found is None or found[1] not in ("hn", "cn") or found[0].cell or len(found[0].outputs[found[1]].shape) != 3:
        return
    layer, hn = found[0], views[-1].inputs[0]
    name = raised.code(hn, found[1])
    rows, text = hn.tensor.detach()[-1], f"{name}[-1]"
    if layer.R == 2:
        rows, text = torch.cat((hn.tensor[-2], hn.tensor[-1]), -1).detach(), f"torch.cat(({name}[-2], {name}[-1]), dim=-1)"
    yield f"{text}.unsqueeze(-1) in the place of the {views[-1].name}, which mixes samples", rows.unsqueeze(-1)
    yield f"{text}.unsqueeze(1) in the place of the {views[-1].name}, which mixes samples", rows.unsqueeze(1)


def _contracts(a: Axes, b: Axes) -> bool:
    """Whether a product sums over one and the same axis, and its batches are the same."""
    if not len(a) or not len(b):
        return False
    summed = b[-2] if len(b) > 1 else b[0]
    if disagree(a[-1], summed) or (a[-1].name == "N" and summed.name == "N"):
        return False
    batches = list(zip(reversed(a.axes[:-2]), reversed(b.axes[:-2]), strict=False))
    return not any(left.size != 1 and right.size != 1 and disagree(left, right) for left, right in batches)


def _einsum(raised: Raised, call: Call) -> str:
    """Which letter stands for two sizes."""
    equation = next((one for one in call.args if isinstance(one, str)), "")
    parts = equation.replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, dict[int, str]] = {}
    said = []
    for part, value in zip(parts, call.inputs, strict=False):
        if "." not in part and len(part) != len(value.shape):
            said.append(f"{part!r} has {len(part)} letters and {raised.described(value)} {len(value.shape)} axes")
        for letter, size in zip(part, value.shape, strict=False):
            if letter != ".":
                sizes.setdefault(letter, {}).setdefault(size, raised.name(value))
    for letter, places in sizes.items():
        if len(places) > 1 and "." not in equation:
            said.append(f"{letter!r} is " + " and ".join(f"{size} in {name}" for size, name in places.items()))
    return f"einsum {equation!r}: " + ("; ".join(said) or "each letter stands for one size")


# ---------------------------------------------------------------------- joining
def _join(raised: Raised, call: Call) -> Look | None:
    values = list(call.inputs)
    if len(values) < 2:
        return None
    stacks = call.name == "stack"
    dim = call.argument(1, "dim", call.kwargs.get("axis", 0))
    dim = dim if isinstance(dim, int) else 0
    shapes = [v.shape for v in values]
    norm = max(shapes, key=lambda s: (len(s), shapes.count(s)))
    odd = [v for v in values if v.shape != norm and (len(v.shape) != len(norm) or stacks or _off(v.shape, norm, dim))]
    wants = f"{call.name} along axis {dim} wants " + ("one shape" if stacks else f"all axes but axis {dim} alike")
    measured = f"{wants}; " + ", ".join(dict.fromkeys(raised.described(v) for v in values[:6]))
    if any(len(v.shape) != len(norm) for v in values):
        ranks = ", ".join(f"{raised.name(v)} has {len(v.shape)} axes" for v in values[:4])
        measured += f": {ranks}"
    empty = next((v for v in values if 0 in v.shape), None)
    if empty is not None:
        measured += f"; {raised.name(empty)} is empty{_rows(raised, empty)}"
        made = _sliced(raised, empty)
        if made:
            return measured, [Try(made)]
    fixes: list[Try] = []
    rank = len(norm)
    for value in odd if len(odd) < len(values) else values[-1:]:
        made = raised.output_of(value)
        states = made is not None and made[1] != "Y" and not made[0].cell
        for suffix, change, cost in _single(value, states):
            if not suffix.startswith(".transpose") or states:
                text = chained(raised.code(value), suffix)
                fixes.append(_swap(raised, call, {value: change}, text, cost, lambda x: _alike(x, dim, stacks)))
        if len(value.shape) == rank - 1 and not stacks:
            for axis in range(rank):
                wide = [-1 if k == dim % rank or k != axis else norm[k] for k in range(rank)]
                change = lambda x, a=axis, w=wide: x.unsqueeze(a).expand(w)  # noqa: E731
                text = chained(raised.code(value), f".unsqueeze({axis}).expand({', '.join(map(str, wide))})")
                fixes.append(_swap(raised, call, {value: change}, text, 1.5 + axis, lambda x: _alike(x, dim, stacks)))
    for value in values:
        made = raised.output_of(value)
        if made is not None and made[1] != "Y" and len(value.shape) == 3 and value not in odd:
            text = chained(raised.code(value), "[-1]")
            fixes.append(_swap(raised, call, {value: lambda x: x[-1]}, text, 1.0, lambda x: _alike(x, dim, stacks)))
    places: dict[int | str, Any]
    if len({len(v.shape) for v in values}) == 1:
        for other in range(rank):
            if not any(_off(v.shape, norm, other) for v in values):
                places = {1: other} if len(call.args) > 1 and not stacks else {"dim": other}
                text = f"torch.cat(…, dim={other}), which joins along the axis that differs"
                run = lambda p=places, d=other: raised.runs(  # noqa: E731
                    call, func=torch.cat, places=p if not stacks else ({1: d} if len(call.args) > 1 else {"dim": d})
                )
                fixes.append(Try(text, run, 4.0))
    return measured + _branches(raised, call, values), fixes


def _off(shape: tuple[int, ...], norm: tuple[int, ...], dim: int) -> bool:
    if len(shape) != len(norm):
        return True
    return any(a != b for k, (a, b) in enumerate(zip(shape, norm, strict=True)) if k != dim % len(norm))


def _alike(axes: dict[int, Axes], dim: int, stacks: bool) -> bool:
    rows = list(axes.values())
    if len({len(row) for row in rows}) != 1:
        return False
    skip = -1 if stacks else dim % max(1, len(rows[0]))
    return not any(
        disagree(a[k], b[k]) for a, b in combinations(rows, 2) for k in range(len(a)) if k != skip and a[k].size == b[k].size
    )


def _rows(raised: Raised, value: Value) -> str:
    """Why a slice of hn is empty: it has no such row."""
    for call in raised.way_back(value):
        made = raised.output_of(call.inputs[0])
        if made is not None and made[1] in ("hn", "cn") and not made[0].cell:
            layer = made[0]
            return f": {raised.described(call.inputs[0])} has K·R = {layer.K}·{layer.R} rows, one for each layer and direction"
    return ""


def _sliced(raised: Raised, value: Value) -> str:
    """What to take where a slice of hn holds the second direction of a layer that has one."""
    for call in raised.way_back(value):
        found = raised.output_of(call.inputs[0])
        if found is not None and found[1] in ("hn", "cn") and found[0].R == 1:
            hn = raised.code(call.inputs[0], "hn")
            both = found[0].constructor(bidirectional=True)
            return f"{hn}[-1], the final state of the top layer: with one direction nothing is to be joined; or {both}"
    return ""


def _branches(raised: Raised, call: Call, values: list[Value]) -> str:
    return f"; {len(values)} tensors are joined" if len(values) > 2 else ""


# ---------------------------------------------------------------------- views
def _view(raised: Raised, call: Call) -> Look | None:
    value = call.inputs[0]
    sizes = _sizes(call)
    name = raised.name(value)
    if "contiguous" in raised.message or "stride" in raised.message:
        fix = chained(raised.code(value), f".reshape({', '.join(map(str, sizes))})")
        measured = f"view only relabels memory, and {name} {raised.shape(value)} was transposed: its memory is in another order"
        return measured, [Try(fix, lambda: raised.runs(call, func=torch.Tensor.reshape))]
    if not sizes:
        return None
    has, wanted = prod(value.shape), prod(n for n in sizes if n >= 0)
    counted = raised.axes.count(value) or str(has)
    if -1 in sizes:
        measured = f"the axes that {call.name} gives, {'·'.join(str(n) for n in sizes if n >= 0)} = {wanted}, do not divide the "
        measured += f"{has} elements of {name} {raised.shape(value)}: {counted}"
        return measured, _resized(raised, call, value, sizes)
    measured = f"{call.name} to {tuple(sizes)} wants {wanted} = {'·'.join(map(str, sizes))} elements; {name} "
    measured += f"{raised.shape(value)} has {counted}"
    last = sizes[-1]
    if last > 1 and has % last == 0 and value.shape and value.shape[-1] == last:
        rows, want = has // last, wanted // last
        measured += f": {want} rows of {last} are wanted, {rows} {'is' if rows == 1 else 'are'} given"
    return measured, _resized(raised, call, value, sizes)


def _sizes(call: Call) -> list[int]:
    given = call.args[1:] if len(call.args) > 1 else (call.kwargs.get("shape", call.kwargs.get("size", ())),)
    flat = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    return [n for n in flat if isinstance(n, int)] if all(isinstance(n, int) for n in flat) else []


def _resized(raised: Raised, call: Call, value: Value, sizes: list[int]) -> list[Try]:
    """The same view with a size that was written down replaced by the tensor's own, where its axis stands there."""
    fixes = []
    for axis, size in enumerate(sizes[: len(value.shape)]):
        own = value.shape[axis]
        if size in (-1, own) or not raised.axes.names(value)[axis]:
            continue
        new = [own if k == axis else n for k, n in enumerate(sizes)]
        words = [f"{raised.code(value)}.size({axis})" if k == axis else str(n) for k, n in enumerate(sizes)]
        text = chained(raised.code(value), f".{call.name}({', '.join(words)})")
        run = lambda new=new: raised.runs(call, func=lambda x, *_, **__: x.reshape(new))  # noqa: E731
        fixes.append(Try(text, run, 1.0 + axis))
    return fixes


# ---------------------------------------------------------------------- elementwise
def _broadcast(raised: Raised, call: Call) -> Look | None:
    values = list(call.inputs)
    if len(values) < 2 or call.name.strip("_") not in _POINTWISE:
        return None
    a, b = values[0], values[1]
    clash = None
    for value in values[1:]:
        pairs = list(zip(reversed(a.shape), reversed(value.shape), strict=False))
        at = next((k for k, (x, y) in enumerate(pairs) if x != y and 1 not in (x, y)), None)
        if at is not None:
            b, clash = value, at
            break
    if clash is None:
        return None
    sides = [f"axis {len(v.shape) - 1 - clash} of {raised.described(v)}, {v.shape[-1 - clash]}" for v in (a, b)]
    measured = f"axes are laid over each other from the right: {sides[0]}, meets {sides[1]}"
    fixes = []
    less = [v for v in (b, a) if len(v.shape) < max(len(a.shape), len(b.shape))] or [b, a]
    for value in less:
        made = raised.output_of(value)
        states = made is not None and made[1] != "Y" and not made[0].cell
        for suffix, change, rank in _single(value, states):
            other = b if value is a else a
            grows = lambda axes: _aligned(axes) and _kept(axes)  # noqa: E731
            if suffix.startswith(".unsqueeze") and len(value.shape) >= len(other.shape):
                continue
            if suffix.startswith(".squeeze"):
                continue
            text = chained(raised.code(value), suffix)
            fixes.append(_swap(raised, call, {value: change}, text, rank, grows))
    return measured, fixes


def _kept(axes: dict[int, Axes]) -> bool:
    """Whether each axis of a name stands at one place only: no N over another tensor's new axis."""
    places: dict[str, set[int]] = {}
    for each in axes.values():
        for at, axis in enumerate(reversed(each.axes)):
            if axis.name in ("N", "L"):
                places.setdefault(axis.name, set()).add(at)
    return all(len(found) == 1 for found in places.values())


# ---------------------------------------------------------------------- indices
def _index(raised: Raised, call: Call) -> Look | None:
    source = call.inputs[0]
    described = raised.described(source)
    key = call.args[1] if len(call.args) > 1 else None
    if call.name in ("__getitem__", "__setitem__"):
        parts = key if isinstance(key, tuple) else (key,)
        counted = [part for part in parts if part is not None and part is not Ellipsis]
        if len(counted) > len(source.shape):
            return f"{len(counted)} indices for the {len(source.shape)} axes of {described}", []
        if Ellipsis not in parts:
            for axis, part in enumerate(counted):
                size = source.shape[axis]
                if isinstance(part, int) and not -size <= part < size:
                    return _beyond(raised, call, source, (axis, part, size), list(parts))
    axis = call.argument(1, "dim")
    index = next((v for v in call.inputs[1:] if not v.tensor.is_floating_point()), None)
    if not isinstance(axis, int) or index is None or not source.shape:
        if index is not None and index.elements is not None and index.tensor.numel() and index.tensor.dtype != torch.bool:
            return f"{raised.described(index)} runs from {int(index.tensor.min())} to {int(index.tensor.max())}; {described}", []
        return None
    size, numbers = source.shape[axis], index.elements
    measured = f"{call.name} along axis {axis} of {described}, places 0 to {size - 1}"
    if numbers is None or numbers.is_meta or not numbers.numel():
        return measured, []
    low, high = int(numbers.min()), int(numbers.max())
    measured += f"; {raised.described(index)} runs from {low} to {high}"
    name = raised.code(index, "index")
    fixes = []
    if high >= size and low >= 1 and high == size:
        text = f"{chained(name, ' - 1')}: lengths count from 1, places from 0"
        fixes.append(_swap(raised, call, {index: lambda x: x - 1}, text, 1.0, named=False))
    return measured, fixes


def _beyond(raised: Raised, call: Call, source: Value, found: tuple[int, int, int], parts: list[Any]) -> Look:
    axis, part, size = found
    name = raised.axes.names(source)[axis]
    measured = f"index {part} on axis {axis} of {raised.described(source)}, which has places 0 to {size - 1}"
    measured += f" ({name})" if name else ""
    made = raised.output_of(source)
    if made is not None and made[1] in ("hn", "cn") and axis == 0 and not made[0].cell:
        layer, hn = made[0], raised.code(source, "hn")
        measured += f": one row for each layer and direction, K·R = {layer.K}·{layer.R}"
        top = f"{hn}[-2] and {hn}[-1], the top layer's two directions" if layer.R == 2 else f"{hn}[-1], the top layer"
        return measured, [Try(top)]
    written = [_written(size - 1 if k == axis else one) for k, one in enumerate(parts)]
    fix = f"{raised.code(source)}[{', '.join(written)}], the last one"
    new = [size - 1 if k == axis else one for k, one in enumerate(parts)]
    new_key = tuple(new) if len(new) > 1 else new[0]
    return measured, [Try(fix, lambda: raised.runs(call, places={1: new_key}))] if size else []


def _written(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends)
    return "..." if part is Ellipsis else "None" if part is None else str(part) if isinstance(part, int) else "…"


# ---------------------------------------------------------------------- layers of torch
def _linear(raised: Raised, call: Call) -> Look | None:
    x, weight = call.argument(0, "input"), call.argument(1, "weight")
    if not isinstance(x, Value) or not isinstance(weight, Value) or len(weight.shape) != 2 or not x.shape:
        return None
    (out, want), got = weight.shape, x.shape[-1]
    measured = f"nn.Linear({want}, {out}) works on the last axis: {want} features wanted, {raised.described(x)} has {got}"
    name = raised.code(x)
    rebuilt = Try(f"nn.Linear({got}, {out})", lambda: got > 0, 2.0)
    fixes = [rebuilt, *_last_step(raised, call, x, want), *_before_view(raised, call, x, want)]
    for axis in range(len(x.shape) - 1):
        if x.shape[axis] == want and raised.axes.names(x)[axis] != "N":
            suffix = f".transpose({axis}, {len(x.shape) - 1})" if axis == len(x.shape) - 2 else f".movedim({axis}, -1)"
            change = lambda t, a=axis: t.movedim(a, -1)  # noqa: E731
            fixes.append(_swap(raised, call, {x: change}, chained(name, suffix), 1.5, named=False))
    return measured, fixes


def _last_step(raised: Raised, call: Call, x: Value, want: int) -> Iterator[Try]:
    """What the layer in front gives in the wanted width: one step, one row of hn, both directions side by side."""
    layer = raised.from_layer(x)
    if layer is None or layer.cell:
        return
    names, atoms = layer_names(layer), raised.axes.atoms(x, len(x.shape) - 1)
    hn = layer.outputs.get("hn")
    if layer.R == 2 and want == 2 * layer.H and hn is not None and x.shape[-1] == layer.H:
        text = f"torch.cat(({names['hn']}[-2], {names['hn']}[-1]), dim=-1), the top layer's two directions"
        both = lambda _: torch.cat((hn.tensor[-2], hn.tensor[-1]), -1)  # noqa: E731
        if len(x.shape) == 2:
            yield _swap(raised, call, {x: both}, text, 1.0, named=False)
    if "K" in atoms and want == layer.H and hn is not None:
        yield _swap(raised, call, {x: lambda _: hn.tensor[-1]}, f"{names['hn']}[-1], the top layer's row", 1.0, named=False)
    if "L" in atoms and layer.outputs.get("Y") is not None:
        Y, width = layer.outputs["Y"], layer.R * layer.H
        last = f"{names['Y']}[:, -1]" if layer.batch_first else f"{names['Y']}[-1]"
        weight = call.argument(1, "weight")
        text = f"{last}, the last step, with nn.Linear({width}, {weight.shape[0]}), which fits every length"
        step = 1 if layer.batch_first else 0
        yield Try(text, lambda: Y.tensor.select(step, -1).shape[-1] == width, 1.0)


def _before_view(raised: Raised, call: Call, x: Value, want: int) -> Iterator[Try]:
    """The tensor before a view that merged its axes, where its last axis is the wanted one."""
    for earlier in raised.way_back(x):
        source = earlier.inputs[0] if earlier.inputs else None
        if source is None or earlier.name not in (*_VIEWS, "flatten", "contiguous", "squeeze"):
            return
        if source.shape and source.shape[-1] == want:
            head = raised.called(raised.module) if raised.module is not None else "the layer"
            text = f"{head}({raised.code(source)}): it works on the last axis of {raised.shape(source)}, no {earlier.name} is needed"
            new = source.tensor
            rank = 3.0 if {"K", "R"} & set(raised.axes.atoms(x, len(x.shape) - 1)) else 0.5
            yield _swap(raised, call, {x: lambda _, new=new: new.detach()}, text, rank, named=False)
            return


def _conv(raised: Raised, call: Call) -> Look | None:
    n = _CONVS[call.name]
    x, weight = call.argument(0, "input"), call.argument(1, "weight")
    if not isinstance(x, Value) or not isinstance(weight, Value):
        return None
    groups = call.argument(6, "groups", 1) or 1
    C = weight.shape[0] if "transpose" in call.name else weight.shape[1] * (groups if isinstance(groups, int) else 1)
    axes = ", ".join(("N, C, L", "N, C, H, W", "N, C, D, H, W")[n - 1].split(", "))
    measured = f"{call.name} wants ({axes}) with C = {C} channels on axis 1; {raised.described(x)} has "
    measured += f"{x.shape[1]} there" if len(x.shape) == n + 2 else f"{len(x.shape)} axes"
    return measured, _channels(raised, call, x, C, n + 2)


def _channels(raised: Raised, call: Call, x: Value, C: int, rank: int) -> list[Try]:
    name, fixes, size = raised.code(x), [], len(x.shape)
    for axis in range(size):
        if size == rank and axis != 1 and x.shape[axis] == C and raised.axes.names(x)[axis] != "N":
            suffix = f".transpose(1, {axis})" if axis == 2 or rank == 3 else f".movedim({axis}, 1)"
            change = lambda t, a=axis: t.movedim(a, 1)  # noqa: E731
            fixes.append(_swap(raised, call, {x: change}, chained(name, suffix), 1.0, named=False))
    if size == rank - 1 and C == 1:
        fixes.append(_swap(raised, call, {x: lambda t: t.unsqueeze(1)}, chained(name, ".unsqueeze(1)"), 1.0, named=False))
    if size == rank and call.name in _CONVS and "transpose" not in call.name:
        module = raised.module.module if raised.module is not None else None
        out, kernel = getattr(module, "out_channels", None), getattr(module, "kernel_size", None)
        if out is not None and getattr(module, "groups", 1) == 1 and kernel is not None:
            word = kernel[0] if len(set(kernel)) == 1 else tuple(kernel)
            text = f"{type(module).__name__}({x.shape[1]}, {out}, {word}), built for {x.shape[1]} channels"
            weight = call.argument(1, "weight")
            fixes.append(
                _swap(
                    raised,
                    call,
                    {weight: lambda w: w[:, :1].expand(-1, x.shape[1], *w.shape[2:])},
                    f"nn.{text}",
                    2.0,
                    named=False,
                )
            )
    return fixes


def _norm(raised: Raised, call: Call) -> Look | None:
    x = call.argument(0, "input")
    if not isinstance(x, Value):
        return None
    module = raised.module.module if raised.module is not None else None
    if call.name in ("layer_norm", "rms_norm"):
        wanted = call.argument(1, "normalized_shape", ())
        wanted = tuple(wanted) if isinstance(wanted, (tuple, list)) else (wanted,)
        kind = "LayerNorm" if call.name == "layer_norm" else "RMSNorm"
        measured = f"nn.{kind}({', '.join(map(str, wanted))}) wants {wanted} as the last axes; {raised.described(x)}"
        fixes = []
        for axis in range(len(x.shape) - 1):
            if len(wanted) == 1 and x.shape[axis] == wanted[0] and raised.axes.names(x)[axis] != "N":
                suffix = f".transpose({axis}, {len(x.shape) - 1})"
                change = lambda t, a=axis: t.transpose(a, -1)  # noqa: E731
                fixes.append(_swap(raised, call, {x: change}, chained(raised.code(x), suffix), 1.0, named=False))
        last = x.shape[-len(wanted) :]
        word = ", ".join(map(str, last)) if len(last) == 1 else str(tuple(last))
        fixes.append(Try(f"nn.{kind}({word})", lambda: F.layer_norm(x.tensor, list(last)) is not None, 2.0))
        return measured, fixes
    weights = [v for v in call.inputs if v is not x and len(v.shape) == 1]
    C = getattr(module, "num_features", None) or getattr(module, "num_channels", None)
    C = C or (weights[0].shape[0] if weights else 0)
    wants = f"{type(module).__name__ if module is not None else call.name} wants the features on axis 1, (N, C) or (N, C, L)"
    measured = f"{wants}, with C = {C}; {raised.described(x)} has {x.shape[1] if len(x.shape) > 1 else 'no axis'} there"
    return measured, _normalized(raised, call, x, int(C))


def _normalized(raised: Raised, call: Call, x: Value, C: int) -> list[Try]:
    name, fixes = raised.code(x), []
    if len(x.shape) == 3 and x.shape[2] == C:
        text = f"{chained(name, '.transpose(1, 2)')} before it, and .transpose(1, 2) behind it"
        fixes.append(_swap(raised, call, {x: lambda t: t.transpose(1, 2)}, text, 1.0, named=False))
    if len(x.shape) > 1:
        kind = raised.module.kind if raised.module is not None else "BatchNorm1d"
        new = torch.ones(x.shape[1])
        changes: dict[Value, Callable[[Tensor], Tensor]] = {
            v: (lambda _, new=new: new) for v in call.inputs if v is not x and len(v.shape) == 1
        }
        fixes.append(_swap(raised, call, changes, f"nn.{kind}({x.shape[1]})", 2.0, named=False))
    return fixes


def _embedding(raised: Raised, call: Call) -> Look | None:
    table = next((v for v in call.inputs if len(v.shape) == 2 and v.tensor.is_floating_point()), None)
    ids = next((v for v in call.inputs if v is not table), None)
    if table is None or ids is None:
        return None
    rows, width = table.shape
    numbers = ids.elements
    measured = f"nn.Embedding({rows}, {width}) has num_embeddings = {rows} rows, 0 to {rows - 1}; {raised.described(ids)}"
    if numbers is None or numbers.is_meta or not numbers.numel() or numbers.is_floating_point():
        return measured, []
    low, high = int(numbers.min()), int(numbers.max())
    worst = high if high >= rows else low
    place = torch.nonzero(numbers == worst)[0].tolist()
    measured += f" runs from {low} to {high}: {worst} stands at {place}"
    fixes = []
    if high >= rows and low >= 0:
        wider = lambda t: torch.cat([t, t[:1].expand(high + 1 - rows, -1)])  # noqa: E731
        text = f"nn.Embedding({high + 1}, {width}), a row for every id"
        fixes.append(_swap(raised, call, {table: wider}, text, 1.0, named=False))
        if low >= 1 and high == rows:
            text = f"{chained(raised.code(ids, 'ids'), ' - 1')}, if the ids count from 1"
            fixes.append(_swap(raised, call, {ids: lambda t: t - 1}, text, 2.0, named=False))
    elif low < 0:
        text = f"{chained(raised.code(ids, 'ids'), f' + {-low}')} with nn.Embedding({high + 1 - low}, {width}, padding_idx=0), if "
        text += f"{low} is padding: ids count from 0"
        fixes.append(Try(text, None, 1.0))
    return measured, fixes


def _attention(raised: Raised, call: Call) -> Look | None:
    module = raised.module.module if raised.module is not None else None
    names = ("query", "key", "value")
    given = [v for k, name in enumerate(names) if isinstance(v := call.argument(k, name), Value)]
    if len(given) < 3:
        return None
    first = bool(getattr(module, "batch_first", False)) if module is not None else False
    entered = raised.module
    if entered is not None and isinstance(module, nn.MultiheadAttention) and len(entered.args) > 2:
        given = [v if (v := raised.value(one)) is not None else w for one, w in zip(entered.args, given, strict=False)]
    order = "(N, L, E)" if first else "(L, N, E)"
    width = getattr(module, "embed_dim", given[0].shape[-1])
    shapes = ", ".join(f"{name} {raised.described(v)}" for name, v in zip(names, given, strict=True))
    measured = f"attention wants {order} because batch_first={first}, E = {width}, and one N for all three; {shapes}"
    fixes = []
    if isinstance(module, nn.MultiheadAttention) and entered is not None:
        heads = module.num_heads
        text = f"nn.MultiheadAttention({width}, {heads}{', batch_first=True' if not first else ''})"
        fixes.append(Try(text + ("" if not first else ", without batch_first"), lambda: _attends(entered, not first), 1.0))
    for name, axes in (("key_padding_mask", "(N, S)"), ("attn_mask", "(L, S)")):
        mask = call.kwargs.get(name)
        if isinstance(mask, Value):
            measured += f"; {name} must be {axes}, {raised.described(mask)}"
            if len(mask.shape) == 2:
                text = chained(raised.code(mask, "mask"), ".t()")
                fixes.append(_swap(raised, call, {mask: lambda t: t.t()}, text, 0.5, named=False))
    return measured, fixes


def _attends(entered: Entered, batch_first: bool) -> bool:
    """Whether the attention runs in the other layout, samples on the batch axis of all three."""
    module = entered.module
    assert isinstance(module, nn.MultiheadAttention)
    before = module.batch_first
    try:
        module.batch_first = batch_first
        module(*entered.args, **entered.kwargs)
    finally:
        module.batch_first = before
    return True


# ---------------------------------------------------------------------- refused in Python, before any call
def _module(raised: Raised) -> Explanation | None:
    """A module of torch that looks at its input itself: BatchNorm1d's number of axes, padding, pooling."""
    entered = raised.module
    if entered is None or not entered.args or not type(entered.module).__module__.startswith("torch.nn"):
        return None
    x = raised.value(entered.args[0])
    if x is None or isinstance(entered.module, nn.Sequential):
        return None
    layer = raised.from_layer(x)
    title = f"{raised.called(entered)} ({entered.kind}) refuses {raised.described(x)}"
    measured = f"{type(raised.error).__name__}: {raised.message.splitlines()[0] if raised.message else ''}"
    C = getattr(entered.module, "num_features", None)
    fixes = []
    if C is not None and "BatchNorm1d" in entered.kind and len(x.shape) != 3:
        measured += "; nn.BatchNorm1d wants (N, C) or (N, C, L)"
    for suffix, change, rank in _single(x, False):
        if suffix.startswith((".squeeze", ".unsqueeze")):
            run = lambda change=change: entered.module(change(x.tensor.detach())) is not None  # noqa: E731
            fixes.append(Try(chained(raised.code(x), suffix), run, rank))
    code = "LS111" if layer is not None else "LS113"
    return Explanation(code, title, measured, fixes, [x], layer.name if layer is not None else "")


_FAMILIES: tuple[tuple[Iterable[str], Callable[[Raised, Call], Look | None]], ...] = (
    (("linear",), _linear),
    (_PRODUCTS, _product),
    (_JOINS, _join),
    (_VIEWS, _view),
    (_INDEXES, _index),
    (tuple(_CONVS), _conv),
    (_NORMS, _norm),
    (("embedding", "embedding_bag"), _embedding),
    (("multi_head_attention_forward", "scaled_dot_product_attention"), _attention),
)
