"""Any other function of torch that refuses its operands: what it wants, which operand does not fit, what makes it run.

Each family of functions says what it wants and proposes changes of single operands. A change is given only if the call
then runs, and no axis of one name meets an axis of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import partial
from itertools import combinations
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lstm_shapes.lab.axis_names import axes_of, disagree
from lstm_shapes.lab.trace import Call, Value, tensors_of
from lstm_shapes.lab.trace.families import PRODUCTS, broadcasts, names_in
from lstm_shapes.lab.words import chained, kind_of, last_step, layer_names, symbol, top_row
from lstm_shapes.theory.axes import Axes, Axis

from .raised import Change, Entered, Explanation, Raised, Try, method, whole_range

__all__ = ["function"]

Look = tuple[str, list[Try]]
"""What was measured, in words, and the changes to try."""

Meets = Callable[[dict[int, Axes]], bool]
"""Whether the axes of the operands, by the index of their values, are those that the call brings together."""

_RESHAPES = names_in("view reshape unflatten view_as")
_CONVS = {f"conv{n}d": n for n in (1, 2, 3)} | {f"conv_transpose{n}d": n for n in (1, 2, 3)}
_FLOATS = {torch.float32: "float", torch.float64: "double", torch.float16: "half", torch.bfloat16: "bfloat16"}
_TYPES = re.compile(r"dtype|scalar type|not implemented for|bool|expected .* (Long|Int|Float|Double)|type (Long|Float)")
_SPOKEN = {"__getitem__": "the index", "__setitem__": "the assignment to an index"}
_MOST_WEIGHTS = 5_000_000
_LAST = Change("[-1]", lambda x: x[-1], 1.0)


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
    products = raised.products(*axes) if call.name not in _RESHAPES else ""
    return _explanation(raised, title, "; ".join(filter(None, (measured, products))), fixes, values, code)


def _explanation(
    raised: Raised, title: str, measured: str, fixes: list[Try], values: list[Value], code: str = ""
) -> Explanation:
    layer = raised.from_layer(*values) if values else None
    code, name = (code or "LS113", "") if layer is None else (code or "LS111", layer.name)
    return Explanation(code, title, measured, fixes, values, name)


def _operands(raised: Raised, call: Call) -> list[Value]:
    """What the user handed over: the arguments of a module of torch's own, else the tensors of the call."""
    module = raised.module
    if module is not None and module.depth > raised.spelling.depth and module.of_torch:
        given = [raised.value(tensor) for tensor in tensors_of((module.args, module.kwargs))]
        known = list(dict.fromkeys(value for value in given if value is not None))
        if known:
            return known
    values = [value for value in dict.fromkeys(call.inputs) if not value.parameter]
    return [value for value in values if value.maker is not None or raised.name(value) != "a tensor"] or values


def _spoken(raised: Raised, call: Call) -> str:
    """The function in the user's words: the module that the line calls, else torch's own name."""
    module = raised.module
    if module is None or module.depth <= raised.spelling.depth:
        return _SPOKEN.get(call.name, symbol(call.name))
    called = raised.called(module)
    return module.kind if called == f"the {module.kind}" else f"{called} ({module.kind})"


def _looked(raised: Raised, call: Call) -> tuple[str, Look]:
    """A code where it is not that of the place, and what the family of the function says."""
    devices = {value.tensor.device for value in call.inputs}
    if len(devices) > 1 and not any(v.tensor.device.type == "cpu" and not v.shape for v in call.inputs):
        return "LS106", _devices(raised, call)
    if _TYPES.search(raised.message):
        return "LS105", _types(raised, call)
    look = _FAMILIES.get(call.name) or (_broadcast if broadcasts(call.name) else None)
    known = look(raised, call) if look is not None else None
    if known is None:
        return "", (_plainly(raised, call), [])
    return "", (known[0], known[1] + _layouts(raised, call))


def _plainly(raised: Raised, call: Call) -> str:
    """The call with its plain arguments, where nothing is known of what it wants."""
    given = call.args[1 if call.args and isinstance(call.args[0], Value) else 0 :]
    plain = [repr(one) for one in given if _is_plain(one)]
    plain += [f"{name}={one!r}" for name, one in call.kwargs.items() if _is_plain(one)]
    operands = [v for v in _operands(raised, call)[:4] if v.shape]
    ranks = [f"{raised.described(v)} has the axes 0 to {len(v.shape) - 1}" for v in operands]
    return f"{symbol(call.name)}({', '.join(plain[:6])}): {', '.join(ranks)}"


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, type(None))) or (isinstance(value, tuple) and all(map(_is_plain, value)))


# ---------------------------------------------------------------------- data types and devices, of any function
def _devices(raised: Raised, call: Call) -> Look:
    first = call.inputs[0]
    words = [f"{raised.name(v)} is on {v.tensor.device}" for v in call.inputs[:3]]
    odd = next(v for v in call.inputs if v.tensor.device != first.tensor.device)
    return ", ".join(words), [Try(chained(raised.code(odd), f".to({raised.code(first)}.device)"), lambda: True)]


def _types(raised: Raised, call: Call) -> Look:
    given, kinds = [v for v in call.inputs if not v.parameter], {v.tensor.dtype: None for v in call.inputs}
    words = ", ".join(f"{raised.described(v)} is {kind_of(v.tensor)}" for v in given)
    weight = next((v for v in call.inputs if v.parameter), None)
    words += f"; the weights are {kind_of(weight.tensor)}" if weight is not None else ""
    casts = {_FLOATS[d]: d for d in sorted(kinds, key=lambda d: d != torch.float32) if d in _FLOATS}
    casts |= {"bool": torch.bool, "float": torch.float32, "long": torch.int64}
    fixes: list[Try] = []
    if "embedding" in call.name:
        casts, words = {"long": torch.int64}, f"nn.Embedding looks rows up by whole numbers, int64; {words}"
        if not any(map(_whole, given)):
            fixes = [Try("leave the embedding out: these are fractions and no ids")]
    for name, dtype in casts.items():
        for value in given:
            if value.tensor.dtype != dtype and (dtype != torch.int64 or _whole(value)):
                fixes.append(_swap(raised, call, value, method(name, rank=len(fixes))))
    if len(kinds) > 1 and {torch.bfloat16, torch.float16} & set(kinds):
        words += "; a layer inside autocast returns the low precision"
    return words, fixes


def _whole(value: Value) -> bool:
    data = value.elements
    return data is not None and not data.is_meta and bool((data.float() % 1 == 0).all())


# ---------------------------------------------------------------------- trying a change of operands
def _swap(raised: Raised, call: Call, value: Value, change: Change, meets: Meets | None = None, text: str = "") -> Try:
    """A change of an operand, held against the names of the axes that meet and then against torch."""

    def holds() -> bool:
        if meets is not None:
            changed = {v.index: raised.axes.tensor(v) for v in call.inputs}
            changed[value.index] = change.does(changed[value.index])
            if not meets({k: axes_of(tensor) for k, tensor in changed.items()}):
                return False
        return raised.runs(call, {value.index: change.does})

    return Try(text or chained(raised.code(value), change.suffix), holds, change.rank)


def _replaced(raised: Raised, call: Call, value: Value, new: Tensor, text: str, rank: float) -> Try:
    """Another tensor in the place of an operand."""
    return _swap(raised, call, value, Change("", lambda _: new, rank), None, text)


def _single(raised: Raised, value: Value) -> Iterator[Change]:
    """The changes of one tensor that people make: an axis more or less, two axes exchanged, a row of a state."""
    rank, names = len(value.shape), raised.axes.names(value)
    if raised.state(value):
        yield _LAST
        yield method("transpose", 0, 1, rank=1.5)
    for axis in range(rank):
        if value.shape[axis] == 1:
            yield method("squeeze", axis, rank=2.0)
    for axis in range(rank + 1):
        yield method("unsqueeze", -1 if axis == rank > 1 else axis, rank=2.0 + 0.1 * axis)
    for a, b in combinations(range(rank), 2):
        moves_batch = a == 0 and names[a] == "N"
        yield method("transpose", a, b, rank=3.0 + (b != rank - 1) + moves_batch)


def _layouts(raised: Raised, call: Call) -> list[Try]:
    """Operands whose samples lie on different axes: the one that has them on axis 1 is turned."""
    lies = {v: names.index("N") for v in call.inputs if "N" in (names := raised.axes.names(v))}
    if set(lies.values()) != {0, 1}:
        return []
    turn, suffix = method("transpose", 0, 1, rank=5.0), ".transpose(0, 1)"
    texts = {v: chained(raised.code(v), suffix) for v, axis in lies.items() if axis == 1}

    def meets(axes: dict[int, Axes]) -> bool:
        return all(axes[v.index][0].name == "N" for v in lies)

    return [_swap(raised, call, v, turn, meets, f"{text}: its samples lie on axis 1") for v, text in texts.items()]


def _moved(raised: Raised, call: Call, x: Value, wanted: int, to: int, tail: str = "") -> Iterator[Try]:
    """Another axis has the wanted size, and is no batch: it is brought where the function looks for it."""
    for axis in range(len(x.shape)):
        if axis != to and x.shape[axis] == wanted and raised.axes.names(x)[axis] != "N":
            near = abs(axis - to) == 1
            name, places = ("transpose", sorted((axis, to))) if near else ("movedim", [axis, to])
            change = method(name, *places, rank=1.0)
            yield _swap(raised, call, x, change, None, chained(raised.code(x), change.suffix) + tail)


# ---------------------------------------------------------------------- whether axes are each other's
def _unlike(one: Axis, other: Axis) -> bool:
    """Whether two axes that broadcast against each other are known to be different."""
    return one.size != 1 and other.size != 1 and disagree(one, other)


def _aligned(axes: dict[int, Axes]) -> bool:
    """Whether no two axes that stand over each other from the right are known to be different."""
    rows = [tuple(reversed(a.axes)) for a in axes.values()]
    pairs = (pair for one, other in combinations(rows, 2) for pair in zip(one, other, strict=False))
    return _placed(axes.values()) and not any(_unlike(a, b) for a, b in pairs)


def _placed(rows: Iterable[Axes]) -> bool:
    """Whether N and L stand at one place each, counted from the right: no N over another tensor's new axis."""
    places: dict[str, set[int]] = {}
    for row in rows:
        for at, axis in enumerate(reversed(row.axes)):
            if axis.name in ("N", "L"):
                places.setdefault(axis.name, set()).add(at)
    return all(len(found) == 1 for found in places.values())


def _contracts(a: Axes, b: Axes) -> bool:
    """Whether a product sums over one and the same axis, and its batches are the same."""
    if not len(a) or not len(b):
        return False
    summed = b[-2] if len(b) > 1 else b[0]
    if disagree(a[-1], summed) or (a[-1].name == "N" and summed.name == "N"):
        return False
    kept = [axis.name for axis in (*a.axes[:-1], *b.axes[max(0, len(a) - 2) : -2], *b.axes[-1:])]
    if kept.count("N") > 1:  # each sample of one with each sample of the other
        return False
    return not any(_unlike(*pair) for pair in zip(reversed(a.axes[:-2]), reversed(b.axes[:-2]), strict=False))


def _joins(rows: list[Axes], dim: int, stacks: bool) -> bool:
    """Whether the axes of tensors to be joined are each other's."""
    if len({len(row) for row in rows}) != 1 or not _placed(rows):
        return False
    skip = -1 if stacks else dim % max(1, len(rows[0]))
    pairs = ((a[k], b[k]) for a, b in combinations(rows, 2) for k in range(len(a)) if k != skip)
    return not any(a.size == b.size and disagree(a, b) for a, b in pairs)


# ---------------------------------------------------------------------- products
def _product(raised: Raised, call: Call) -> Look | None:
    if call.name == "einsum":
        return _einsum(raised, call), []
    if len(call.inputs) < 2:
        return None
    a, b = call.inputs[-2:]
    wants = f"{symbol(call.name)} sums over the last axis of {raised.name(a)} and the last but one of {raised.name(b)}"
    if call.name in ("bmm", "baddbmm"):
        wants = f"bmm wants (N, a, b) and (N, b, c), three axes each; {wants}"
    if a.shape and b.shape:
        wants += f": {a.shape[-1]} and {b.shape[-2] if len(b.shape) > 1 else b.shape[0]}"
    fixes = []
    for later, value in ((0.0, b), (0.5, a)):
        for change in _single(raised, value) if not value.parameter else ():
            one = change._replace(rank=change.rank + later)
            fixes.append(_swap(raised, call, value, one, lambda axes: _contracts(axes[a.index], axes[b.index])))
        fixes += _rows_side_by_side(raised, call, value)
    return wants, fixes


def _rows_side_by_side(raised: Raised, call: Call, value: Value) -> Iterator[Try]:
    """Where a view cut the rows of hn across samples: the top layer's rows, the two directions side by side."""
    views = [one for _, one in value.way_back() if one.name in _RESHAPES]
    hn = views[-1].inputs[0] if views else None
    made = raised.output_of(hn)
    if hn is None or made is None or not raised.state(hn):
        return
    text, rows = top_row(raised.code(hn, made[1]), hn.tensor.detach(), made[0].R)
    for axis in (-1, 1):
        says = f"{text}.unsqueeze({axis}) in the place of the {views[-1].name}, which mixes samples"
        yield _replaced(raised, call, value, rows.unsqueeze(axis), says, 2.5)


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
    given = call.argument(1, "dim", call.kwargs.get("axis", 0))
    dim = given if isinstance(given, int) else 0
    norm = max((v.shape for v in values), key=lambda s: (len(s), [v.shape for v in values].count(s)))
    rank = len(norm)
    odd = [v for v in values if v.shape != norm and (stacks or _off(v.shape, norm, dim))]
    wants = f"{call.name} along axis {dim} wants " + ("one shape" if stacks else f"all axes but axis {dim} alike")
    measured = f"{wants}; " + ", ".join(dict.fromkeys(raised.described(v) for v in values[:6]))
    if any(len(v.shape) != rank for v in values):
        measured += ": " + ", ".join(f"{raised.name(v)} has {len(v.shape)} axes" for v in values[:4])
    measured += f"; {len(values)} tensors are joined" if len(values) > 2 else ""
    empty = next((found for v in values if 0 in v.shape and (found := _sliced(raised, v))), None)
    if empty is not None:
        return measured + empty[0], [Try(empty[1])]

    def meets(axes: dict[int, Axes]) -> bool:
        return _joins(list(axes.values()), dim, stacks)

    fixes: list[Try] = []
    for value in odd if len(odd) < len(values) else values[-1:]:
        changes = [c for c in _single(raised, value) if ".transpose" not in c.suffix or raised.state(value)]
        for axis in range(rank) if len(value.shape) == rank - 1 and not stacks else ():
            if axis != dim % rank:
                wide = [norm[k] if k == axis else -1 for k in range(rank)]
                suffix = f".unsqueeze({axis}).expand({', '.join(map(str, wide))})"
                changes.append(Change(suffix, lambda x, a=axis, w=wide: x.unsqueeze(a).expand(w), 1.5 + axis))
        fixes += [_swap(raised, call, value, change, meets) for change in changes]
    fixes += [_swap(raised, call, v, _LAST, meets) for v in values if raised.state(v) and v not in odd]
    for other in range(rank):
        if not any(_off(v.shape, norm, other) for v in values):
            place: int | str = 1 if len(call.args) > 1 else "dim"
            text = f"torch.cat(…, dim={other}), which joins along the axis that differs"
            fixes.append(Try(text, partial(raised.runs, call, func=torch.cat, places={place: other}), 4.0))
    return measured, fixes


def _off(shape: tuple[int, ...], norm: tuple[int, ...], dim: int) -> bool:
    if len(shape) != len(norm):
        return True
    return any(a != b for k, (a, b) in enumerate(zip(shape, norm, strict=True)) if k != dim % len(norm))


def _sliced(raised: Raised, value: Value) -> tuple[str, str] | None:
    """What to take where an empty slice of hn was to hold the second direction of a layer that has one."""
    for _, call in value.way_back():
        made = raised.output_of(call.inputs[0])
        if made is not None and raised.state(call.inputs[0]) and made[0].R == 1:
            layer, hn = made[0], raised.code(call.inputs[0], "hn")
            rows = f"K·R = {layer.K}·1 rows, one for each layer and direction"
            why = f"; {raised.name(value)} is empty: {raised.described(call.inputs[0])} has {rows}"
            both = layer.constructor(bidirectional=True)
            return why, f"{hn}[-1], the final state of the top layer: one direction has nothing to join; or {both}"
    return None


# ---------------------------------------------------------------------- views
def _view(raised: Raised, call: Call) -> Look | None:
    value, sizes = call.inputs[0], _sizes(call)
    described = raised.described(value)
    if "contiguous" in raised.message or "stride" in raised.message:
        fix = chained(raised.code(value), f".reshape({', '.join(map(str, sizes))})")
        measured = f"view only relabels memory, and {described} was transposed: its memory is in another order"
        return measured, [Try(fix, lambda: raised.runs(call, func=torch.Tensor.reshape))]
    if not sizes:
        return None
    has, given = prod(value.shape), [n for n in sizes if n >= 0]
    wanted, last, fixes = prod(given), sizes[-1], list(_resized(raised, call, value, sizes))
    written, counted = "·".join(map(str, given)), raised.axes.count(value) or str(has)
    written += f" = {wanted}" if len(given) > 1 else ""
    if -1 in sizes:
        return f"{written} does not divide the {has} elements of {described}: {counted}", fixes
    measured = f"{call.name} to {tuple(sizes)} wants {written} elements; {described} has {counted}"
    if last > 1 and value.shape and value.shape[-1] == last:
        rows = has // last
        measured += f": {wanted // last} rows of {last} are wanted, {rows} {'is' if rows == 1 else 'are'} given"
    return measured, fixes


def _sizes(call: Call) -> list[int]:
    given = call.args[1:] if len(call.args) > 1 else (call.kwargs.get("shape", call.kwargs.get("size", ())),)
    flat = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    return list(flat) if all(isinstance(n, int) for n in flat) else []


def _resized(raised: Raised, call: Call, value: Value, sizes: list[int]) -> Iterator[Try]:
    """The same view with a size that was written down replaced by the tensor's own, where its axis stands there."""
    shift = len(value.shape) - len(sizes)
    # Counted from the right where the first axes are merged; else an axis stands where it stood.
    merged = sizes[0] == -1
    for axis in [len(sizes) - 1] if merged else range(len(sizes)) if shift == 0 else [0]:
        at = axis + shift if merged else axis
        own = value.shape[at]
        if sizes[axis] in (-1, own) or not raised.axes.names(value)[at]:
            continue
        new = [own if k == axis else n for k, n in enumerate(sizes)]
        word = str(own) if at == len(value.shape) - 1 else f"{raised.code(value)}.size({at})"
        words = ", ".join(word if k == axis else str(n) for k, n in enumerate(sizes))
        name = "view" if call.name == "view" and value.tensor.is_contiguous() else "reshape"
        text = chained(raised.code(value), f".{name}({words})")
        yield Try(text, partial(raised.runs, call, func=_as_shape(name, new)), 1.0 + axis)


def _as_shape(name: str, sizes: list[int]) -> Callable[..., Tensor]:
    return lambda x, *_, **__: getattr(x, name)(*sizes)


# ---------------------------------------------------------------------- elementwise
def _broadcast(raised: Raised, call: Call) -> Look | None:
    a, *others = call.inputs
    for b in others:
        pairs = list(zip(reversed(a.shape), reversed(b.shape), strict=False))
        clash = next((k for k, (x, y) in enumerate(pairs) if x != y and 1 not in (x, y)), None)
        if clash is None:
            continue
        sides = [f"axis {len(v.shape) - 1 - clash} of {raised.described(v)}, {v.shape[-1 - clash]}" for v in (a, b)]
        most, fixes = max(len(a.shape), len(b.shape)), []
        for value in [v for v in (b, a) if len(v.shape) < most] or [b, a]:
            barred = (".squeeze", ".unsqueeze") if len(value.shape) == most else ".squeeze"
            changes = [one for one in _single(raised, value) if not one.suffix.startswith(barred)]
            fixes += [_swap(raised, call, value, change, _aligned) for change in changes]
        return f"axes are laid over each other from the right: {sides[0]}, meets {sides[1]}", fixes
    return None


# ---------------------------------------------------------------------- indices
def _index(raised: Raised, call: Call) -> Look | None:
    source = call.inputs[0]
    described = raised.described(source)
    if call.name in ("__getitem__", "__setitem__"):
        parts = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
        counted = [part for part in parts if part is not None and part is not Ellipsis]
        if len(counted) > len(source.shape):
            return f"{len(counted)} indices for the {len(source.shape)} axes of {described}", []
        for axis, (part, size) in enumerate(zip(counted, source.shape, strict=False)):
            if Ellipsis not in parts and isinstance(part, int) and not -size <= part < size:
                return _beyond(raised, call, source, axis, list(parts))
        place = _place(call)
        if place is not None:
            return f"{described} at this index is {place}, and {raised.described(call.args[2])} is written there", []
    axis = call.argument(1, "dim")
    index = next((v for v in call.inputs[1:] if not v.tensor.is_floating_point()), None)
    numbers = whole_range(index)
    if index is None or numbers is None:
        return None
    low, high = numbers
    measured = f"{raised.described(index)} runs from {low} to {high}; {described}"
    if not isinstance(axis, int):
        return measured, []
    size = source.shape[axis]
    measured = f"{call.name} along axis {axis} of {described}, places 0 to {size - 1}; {measured}"
    text = f"{chained(raised.code(index, 'index'), ' - 1')}: lengths count from 1, places from 0"
    less = _swap(raised, call, index, Change(" - 1", lambda x: x - 1, 1.0), None, text)
    return measured, [less] if low >= 1 and high == size else []


def _place(call: Call) -> tuple[int, ...] | None:
    """The shape of what an assignment to an index replaces."""
    key = call.args[1]
    indices = key if isinstance(key, tuple) else (key,)
    if len(call.args) < 3 or not isinstance(call.args[2], Value) or any(isinstance(one, Value) for one in indices):
        return None
    return tuple(call.args[0].tensor[key].shape)


def _beyond(raised: Raised, call: Call, source: Value, axis: int, parts: list[Any]) -> Look:
    """An index that is larger than its axis."""
    size, name, made = source.shape[axis], raised.axes.names(source)[axis], raised.output_of(source)
    measured = f"index {parts[axis]} on axis {axis} of {raised.described(source)}, which has places 0 to {size - 1}"
    measured += f" ({name})" if name else ""
    if made is not None and axis == 0 and raised.state(source):
        layer, hn = made[0], raised.code(source, "hn")
        top = f"{hn}[-2] and {hn}[-1], the top layer's two directions" if layer.R == 2 else f"{hn}[-1], the top layer"
        return f"{measured}: one row for each layer and direction, K·R = {layer.K}·{layer.R}", [Try(top)]
    new = [size - 1 if k == axis else one for k, one in enumerate(parts)]
    key = tuple(new) if len(new) > 1 else new[0]
    text = f"{raised.code(source)}[{', '.join(map(_written, new))}], the last one"
    return measured, [Try(text, lambda: raised.runs(call, places={1: key}))] if size else []


def _written(part: Any) -> str:
    if isinstance(part, slice):
        return ":".join("" if end is None else str(end) for end in (part.start, part.stop))
    return "..." if part is Ellipsis else str(part) if isinstance(part, (int, type(None))) else "…"


# ---------------------------------------------------------------------- layers of torch: one axis of one size
class Sized(NamedTuple):
    """What a layer wants of its input: a size on one axis. `rebuilt` is the layer for the size that it got.

    `along` is the axis of the weights that has the size; `rest` what is wanted of the other axes, where they are
    wrong.
    """

    wants: str
    axis: int
    size: int
    rebuilt: str
    along: int
    rest: str = ""


def _linear(call: Call, x: Value, module: Any) -> Sized | None:
    weight = call.argument(1, "weight")
    if not isinstance(weight, Value) or len(weight.shape) != 2 or not x.shape:
        return None
    out, want = weight.shape
    wants = f"nn.Linear({want}, {out}) works on the last axis: {want} features wanted"
    return Sized(wants, len(x.shape) - 1, want, f"nn.Linear({x.shape[-1]}, {out})", 1)


def _conv(call: Call, x: Value, module: Any) -> Sized | None:
    n, weight, groups = _CONVS[call.name], call.argument(1, "weight"), getattr(module, "groups", 1)
    if not isinstance(weight, Value):
        return None
    turned = "transpose" in call.name
    C, full = weight.shape[0] if turned else weight.shape[1] * groups, len(x.shape) == n + 2
    axes = ("N, C, L", "N, C, H, W", "N, C, D, H, W")[n - 1]
    rest, rebuilt = "" if full else f"{len(x.shape)} axes", ""
    if full and x.shape[1] == C:
        rest = f"the kernel covers {weight.shape[2:]} positions of {x.shape[2:]}"
    elif full and not turned and groups == 1 and isinstance(module, nn.Module):
        kernel: Any = module.kernel_size
        word = kernel[0] if len(set(kernel)) == 1 else kernel
        rebuilt = f"nn.{type(module).__name__}({x.shape[1]}, {module.out_channels}, {word})"
        rebuilt += f", built for {x.shape[1]} channels"
    return Sized(f"{call.name} wants ({axes}) with C = {C} channels on axis 1", 1, C, rebuilt, 1, rest)


def _layer_norm(call: Call, x: Value, module: Any) -> Sized | None:
    given = call.argument(1, "normalized_shape", ())
    wanted = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    kind, last = "LayerNorm" if call.name == "layer_norm" else "RMSNorm", x.shape[-len(wanted) :]
    rebuilt = f"nn.{kind}({last[0] if len(last) == 1 else last})" if len(last) == len(wanted) else ""
    return Sized(f"nn.{kind} wants {wanted} as the last axes", len(x.shape) - 1, wanted[0], rebuilt, 0)


def _norm(call: Call, x: Value, module: Any) -> Sized | None:
    if len(x.shape) < 2:
        return None
    weights = [v for v in call.inputs if v is not x and len(v.shape) == 1]
    C = getattr(module, "num_features", getattr(module, "num_channels", weights[0].shape[0] if weights else 0))
    kind = type(module).__name__ if module is not None else call.name
    wants = f"{kind} wants the features on axis 1, (N, C) or (N, C, L), with C = {C}"
    return Sized(wants, 1, C, f"nn.{kind}({x.shape[1]})", 0)


_SIZED: dict[str, Callable[[Call, Value, Any], Sized | None]] = {
    "linear": _linear,
    "layer_norm": _layer_norm,
    "rms_norm": _layer_norm,
    **dict.fromkeys(_CONVS, _conv),
    **dict.fromkeys(("batch_norm", "instance_norm", "group_norm"), _norm),
}


def _sized(raised: Raised, call: Call) -> Look | None:
    """A layer that wants one size on one axis: the axis elsewhere, another tensor of that size, the layer rebuilt."""
    x, module = call.argument(0, "input"), raised.module.module if raised.module is not None else None
    want = _SIZED[call.name](call, x, module) if isinstance(x, Value) else None
    if want is None or not isinstance(x, Value):
        return None
    axis, got = want.axis, x.shape[want.axis] if len(x.shape) > want.axis else 0
    measured = f"{want.wants}; {raised.described(x)} has {want.rest or (f'{got} there' if axis == 1 else got)}"
    if want.rest:
        grows = len(x.shape) == _CONVS[call.name] + 1 and want.size == 1
        return measured, [_swap(raised, call, x, method("unsqueeze", 1, rank=1.0))] if grows else []
    if raised.state(x) and call.name != "linear":
        return measured, [_swap(raised, call, x, _LAST)]
    back = " before it, and the same behind it" if _SIZED[call.name] is _norm else ""
    fixes = list(_moved(raised, call, x, want.size, axis, back)) if not back or len(x.shape) == 3 else []
    if call.name == "linear":
        fixes += [*_last_step(raised, call, x, want.size), *_before_view(raised, call, x, want.size)]
    if want.rebuilt and got and (axis != 1 or raised.axes.names(x)[1] not in ("N", "L") or len(x.shape) == 2):
        weights = [v for v in call.inputs if v is not x and v.shape[want.along :][:1] == (want.size,)]
        places: dict[int | str, Any] = {1: (got,)} if _SIZED[call.name] is _layer_norm else {}

        def wider(w: Tensor) -> Tensor:
            return w.narrow(want.along, 0, 1).expand([got if k == want.along else n for k, n in enumerate(w.shape)])

        changes = {v.index: wider for v in weights}
        fixes.append(Try(want.rebuilt, partial(raised.runs, call, changes, places=places), 2.0))
    return measured, fixes


def _last_step(raised: Raised, call: Call, x: Value, want: int) -> Iterator[Try]:
    """What the layer in front gives in the wanted width: one step, one row of hn, both directions side by side."""
    layer = raised.from_layer(x)
    hn = layer.outputs.get("hn") if layer is not None and not layer.cell else None
    if layer is None or hn is None:
        return
    word, atoms, state = layer_names(layer)["hn"], raised.axes.atoms(x, len(x.shape) - 1), hn.tensor.detach()
    if layer.R == 2 and want == 2 * layer.H and x.shape[-1] == layer.H and len(x.shape) == 2:
        text, rows = top_row(word, state, 2)
        yield _replaced(raised, call, x, rows, f"{text}, the top layer's two directions", 1.0)
    if "K" in atoms and want == layer.H:
        yield _replaced(raised, call, x, state[-1], f"{word}[-1], the top layer's row", 1.0)
    if "L" in atoms and "Y" in layer.outputs:
        width, out = layer.R * layer.H, call.inputs[1].shape[0]
        head = "" if want == width else f", with nn.Linear({width}, {out}), which fits every length"
        text = f"{last_step(layer)}, the last step{head}"
        yield Try(text, lambda: layer.outputs["Y"].shape[-1] == width, 1.0)


def _before_view(raised: Raised, call: Call, x: Value, want: int) -> Iterator[Try]:
    """The tensor before a view that merged its axes, where its last axis is the wanted one."""
    for _, earlier in x.way_back():
        source = earlier.inputs[0] if earlier.inputs else None
        if source is None or earlier.name not in (*_RESHAPES, "flatten", "contiguous", "squeeze"):
            return
        if source.shape and source.shape[-1] == want:
            head = raised.called(raised.module) if raised.module is not None else "the layer"
            on = f"it works on the last axis of {raised.shape(source)}, no {earlier.name} is needed"
            rank = 3.0 if {"K", "R"} & set(raised.axes.atoms(x, len(x.shape) - 1)) else 0.5
            yield _replaced(raised, call, x, source.tensor.detach(), f"{head}({raised.code(source)}): {on}", rank)
            return


def _embedding(raised: Raised, call: Call) -> Look | None:
    table = next((v for v in call.inputs if len(v.shape) == 2 and v.tensor.is_floating_point()), None)
    ids = next((v for v in call.inputs if v is not table), None)
    numbers = whole_range(ids)
    if table is None or ids is None or numbers is None or ids.elements is None:
        return None
    (rows, width), (low, high) = table.shape, numbers
    worst = high if high >= rows else low
    place = torch.nonzero(ids.elements == worst)[0].tolist()
    measured = f"nn.Embedding({rows}, {width}) has num_embeddings = {rows} rows, 0 to {rows - 1}; "
    measured += f"{raised.described(ids)} runs from {low} to {high}: {worst} stands at {place}"
    name = raised.code(ids, "ids")
    if low < 0:
        table_text = f"nn.Embedding({high + 1 - low}, {width}, padding_idx=0)"
        text = f"{chained(name, f' + {-low}')} with {table_text}, if {low} is padding: ids count from 0"
        return measured, [Try(text)]
    wider = Change("", lambda t: torch.cat([t, t[:1].expand(high + 1 - rows, -1)]), 1.0)
    fixes = [_swap(raised, call, table, wider, None, f"nn.Embedding({high + 1}, {width}), a row for every id")]
    if low >= 1 and high == rows:
        text = f"{chained(name, ' - 1')}, if the ids count from 1"
        fixes.append(_swap(raised, call, ids, Change(" - 1", lambda t: t - 1, 2.0), None, text))
    return measured, fixes


def _attention(raised: Raised, call: Call) -> Look | None:
    entered, names = raised.module, ("query", "key", "value")
    given = [v for k, name in enumerate(names) if isinstance(v := call.argument(k, name), Value)]
    if len(given) < 3:
        return None
    module, masks, fixes = entered.module if entered is not None else None, {}, list[Try]()
    wants = "attention wants (…, L, E), query and key equally wide, key and value equally long"
    if entered is not None and isinstance(module, nn.MultiheadAttention):
        first, masks = module.batch_first, entered.kwargs
        given = [raised.value(one) or w for one, w in zip(entered.args, given, strict=False)]
        wants = f"attention wants {'(N, L, E)' if first else '(L, N, E)'} because batch_first={first}, "
        wants += f"E = {module.embed_dim}, and one N for all three"
        owner = next((one for one in raised.entered if one.depth > raised.spelling.depth), entered)
        sizes = f"{module.embed_dim}, {module.num_heads}" if owner is entered else "…"
        fixes = [_other_layout(owner, first, sizes)]
    shown = (f"{name} {raised.described(v)}" for name, v in zip(names, given, strict=False))
    measured = f"{wants}; {', '.join(shown)}"
    for name, axes in (("key_padding_mask", "(N, S)"), ("attn_mask", "(L, S)")):
        mask = call.kwargs.get(name)
        if isinstance(mask, Value):
            own = raised.value(masks.get(name)) or mask
            measured += f"; {name} must be {axes} and is {raised.described(own)}"
            if len(mask.shape) == 2:
                text = chained(raised.code(own), ".t()")
                fixes.append(_swap(raised, call, mask, method("t", rank=0.5), None, text))
    return measured, fixes


def _other_layout(owner: Entered, first: bool, sizes: str = "…") -> Try:
    """A module of attention built for the other layout."""
    text = f"nn.{owner.kind}({sizes}), without batch_first" if first else f"nn.{owner.kind}({sizes}, batch_first=True)"

    def holds() -> bool:
        module = _copy(owner.module)
        for inner in module.modules() if module is not None else ():
            if hasattr(inner, "batch_first"):
                inner.batch_first = not first  # type: ignore[assignment]
        with torch.random.fork_rng(devices=[]):
            return module is not None and module(*owner.args, **owner.kwargs) is not None

    return Try(text, holds, 1.0)


def _copy(module: nn.Module) -> nn.Module | None:
    """A module that may be run without a trace in the program: its buffers and counters are others."""
    return deepcopy(module) if sum(p.numel() for p in module.parameters()) <= _MOST_WEIGHTS else None


def _gives(module: nn.Module | None, change: Change, x: Value) -> bool:
    return module is not None and module(change.does(x.tensor.detach())) is not None


# ---------------------------------------------------------------------- refused in Python, before any call
def _module(raised: Raised) -> Explanation | None:
    """A module of torch that looks at its input itself: BatchNorm1d's number of axes, padding, pooling."""
    entered = raised.module
    x = raised.value(entered.args[0]) if entered is not None and entered.args else None
    if entered is None or x is None or not entered.of_torch or isinstance(entered.module, nn.Sequential):
        return None
    values = [v for tensor in tensors_of((entered.args, entered.kwargs)) if (v := raised.value(tensor)) is not None]
    title = f"{raised.called(entered)} ({entered.kind}) refuses {raised.described(x)}"
    measured = "it was given " + ", ".join(raised.described(v) for v in dict.fromkeys(values))
    fixes = []
    first = getattr(entered.module, "batch_first", None)
    if isinstance(first, bool):
        measured += f"; batch_first={first} reads {'(N, L, …)' if first else '(L, N, …)'}"
        fixes.append(_other_layout(entered, first))
    if entered.kind == "BatchNorm1d":
        measured += "; nn.BatchNorm1d wants (N, C) or (N, C, L)"
    trial = _copy(entered.module) if len(entered.args) == 1 else None
    for change in _single(raised, x) if trial is not None else ():
        if not change.suffix.startswith(".transpose"):
            tried = partial(_gives, trial, change, x)
            fixes.append(Try(chained(raised.code(x), change.suffix), tried, change.rank))
    return _explanation(raised, title, measured, fixes, [x])


_FAMILIES: dict[str, Callable[[Raised, Call], Look | None]] = {
    **dict.fromkeys(PRODUCTS - {"linear"}, _product),
    **dict.fromkeys(names_in("cat concat concatenate stack hstack vstack"), _join),
    **dict.fromkeys(_RESHAPES, _view),
    **dict.fromkeys(
        names_in("__getitem__ select index_select gather take_along_dim scatter scatter_ __setitem__"), _index
    ),
    **dict.fromkeys(_SIZED, _sized),
    **dict.fromkeys(("embedding", "embedding_bag"), _embedding),
    **dict.fromkeys(("multi_head_attention_forward", "scaled_dot_product_attention"), _attention),
}
