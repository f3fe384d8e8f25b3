"""Any function of torch that refuses its operands: what it wants, which operand does not fit, what makes it run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lstm_shapes.lab._words import chained, kind_of, symbol
from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.trace._families import VIEWS

from ._changes import changed
from ._contracts import Contract, contract_of
from ._raised import TYPES, Explanation, Raised, Try

__all__ = ["function", "loss", "refused"]

Look = tuple[str, list[Try]]
_SPOKEN = {"__getitem__": "the index", "__setitem__": "the assignment to an index"}


def function(raised: Raised) -> Explanation | None:
    """The torch function that raised, or the module of torch that refused its input in Python."""
    return refused(raised, raised.failed) if raised.failed is not None else None


def refused(raised: Raised, call: Call) -> Explanation | None:
    """What one call wants of its operands, which of them does not fit, and the changes with which it runs."""
    if not call.inputs:
        return None
    values = [value for value in dict.fromkeys(call.inputs) if not value.parameter]
    values = [v for v in values if v.maker is not None or raised.name(v) != "a tensor"] or values
    given = _tuple(raised, call)
    if given is not None:
        return given
    contract = contract_of(raised, call)
    measured, faulty = contract.misfits() if contract is not None else ("", [])
    code, said, fixes = "", "", []
    devices = {value.tensor.device: value for value in reversed(call.inputs)}
    if len(devices) > 1:
        code, odd = "LS106", next(v for v in call.inputs if v.tensor.device != call.inputs[0].tensor.device)
        measured = ", ".join(f"{raised.name(v)} is on {v.tensor.device}" for v in call.inputs[:3])
        fixes = [Try(chained(raised.code(odd), f".to({raised.code(call.inputs[0])}.device)"), lambda: True)]
    elif call.name in _SPECIAL and (look := _SPECIAL[call.name](raised, call)) is not None:
        measured, fixes = look
    else:
        if contract is not None:
            said = contract.says()
            later = contract.outside() is None
            fixes = [
                _rebuilt(text, later, [o.value for o in contract.operands if o.value]) for text in contract.rebuilt()
            ]
        else:
            said = _plainly(call)
        types = TYPES.search(raised.message) is not None
        code = "LS105" if types else ""
        if not measured or types or is_loss(call.name):
            kinds = [f"{raised.described(v)} is {kind_of(v.tensor)}" for v in values[:4]]
            weight = next((v for v in call.inputs if v.parameter), None) if types else None
            kinds += [f"the weights are {kind_of(weight.tensor)}"] if weight is not None else []
            measured = "; ".join([*filter(None, [measured]), *kinds])
        fixes += changed(raised, call, contract, faulty)
        fixes += _others(raised, call, contract)
    layer = raised.from_layer(*values) if values else None
    if is_loss(call.name):
        code = "LS112"
    axes = ((value, axis) for value in values for axis in range(len(value.shape)))
    products = raised.products(*axes) if call.name not in VIEWS else ""
    title = f"{_spoken(raised, call)} refuses {', '.join(map(raised.described, values[:4]))}"
    said = "; ".join(dict.fromkeys(filter(None, (said, measured, products))))
    name = layer.name if layer is not None else ""
    return Explanation(code or ("LS113" if layer is None else "LS111"), title, said, fixes, faulty or values, name)


def loss(raised: Raised) -> Explanation | None:
    """A loss function that raised."""
    return function(raised) if raised.call is not None and is_loss(raised.call.name) else None


def _tuple(raised: Raised, call: Call) -> Explanation | None:
    """A tuple that holds the tensor, in the place of the tensor."""
    if not isinstance(raised.error, (TypeError, AttributeError)) or "tuple" not in raised.message:
        return None
    lists = isinstance(call.args[0] if call.args else None, tuple) and any(isinstance(v, Value) for v in call.args[0])
    flat = call.args[0] if lists and any(isinstance(v, tuple) for v in call.args[0]) else call.args
    for place, one in enumerate(flat):
        if not isinstance(one, tuple) or not one or not isinstance(one[0], Value):
            continue
        first = one[0]
        inner = tuple(first if k == place else v for k, v in enumerate(flat))
        places: dict[int | str, Any] = {place: first} if flat is call.args else {0: inner}
        fix, name = raised.code(first), raised.name(first).removesuffix("[0]")
        measured = f"{name} holds {raised.described(first)}" + (f" and {len(one) - 1} more" if len(one) > 1 else "")
        title = f"{name} is a tuple, and {_spoken(raised, call)} wants a tensor"
        return Explanation("LS107", title, measured, [Try(fix, partial(raised.runs, call, places=places))], [first])
    return None


def _spoken(raised: Raised, call: Call) -> str:
    """The function in the user's words: the module that the line calls, else torch's own name."""
    module = raised.module
    if module is None or module.depth <= raised.spelling.depth:
        return _SPOKEN.get(call.name, symbol(call.name))
    called = raised.called(module)
    return module.kind if called == f"the {module.kind}" else f"{called} ({module.kind})"


def _plainly(call: Call) -> str:
    """The call with its plain arguments, where the table has no row."""
    given = call.args[1 if call.args and isinstance(call.args[0], Value) else 0 :]
    plain = [repr(one) for one in given if _is_plain(one)]
    plain += [f"{name}={one!r}" for name, one in call.kwargs.items() if _is_plain(one)]
    return f"{symbol(call.name)}({', '.join(plain[:6])})"


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, type(None))) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def _rebuilt(text: str, later: bool, given: list[Value]) -> Try:
    """The layer for the sizes that came is built and called, without memory where it is large."""

    def holds() -> bool:
        device = "cpu" if prod(map(int, re.findall(r"\d+", text))) < 1_000_000 else "meta"
        with torch.random.fork_rng(devices=[]), torch.device(device):
            eval(text, {"nn": nn})(*(torch.zeros_like(one.tensor, device=device) for one in given))
        return True

    return Try(text, holds, 2.7 if later else 1.0)


# ---------------------------------------------------------------------- changes of the call itself
def _others(raised: Raised, call: Call, contract: Contract | None) -> Iterator[Try]:
    """The same operands with another argument, another function, or another layer in front."""
    if call.name in ("cat", "concat", "concatenate", "stack"):
        yield from _joins(raised, call)
    if call.name == "embedding" and contract is not None:
        ids, outside = contract.operands[0].value, contract.outside()
        if outside is not None and outside[1] < 0 and ids is not None:
            table = f"nn.Embedding({outside[2] + 1 - outside[1]}, …, padding_idx=0)"
            yield Try(f"{raised.code(ids)} + {-outside[1]} with {table}, if {outside[1]} is padding: ids count from 0")
        yield Try("leave the embedding out, if these are fractions and no ids", None, 9.0)
    if isinstance(getattr(call.owner, "batch_first", None), bool) and raised.module is not None:
        yield _other_layout(raised)
    if call.name == "binary_cross_entropy" and contract is not None and contract.operands[0].value is not None:
        p, logits = contract.operands[0].value, F.binary_cross_entropy_with_logits
        yield Try("F.binary_cross_entropy_with_logits, for logits", lambda: raised.runs(call, func=logits), 1.0)
        yield Try(f"torch.sigmoid({raised.code(p)})", lambda: raised.runs(call, {p.index: torch.sigmoid}), 1.2)
    if is_loss(call.name) and contract is not None:
        operands = [one.value for one in contract.operands if one.value is not None]
        if len(operands) > 1:
            yield from _head(raised, call, contract, operands[0])


def _joins(raised: Raised, call: Call) -> Iterator[Try]:
    """Along the axis that differs; a vector beside sequences, once a step; a direction that is not there."""
    shapes = [v.shape for v in call.inputs]
    rank = max(map(len, shapes))
    given = call.argument(1, "dim", call.kwargs.get("axis", 0))
    dim = given % rank if isinstance(given, int) and rank else 0
    for other in range(rank) if not any(0 in shape for shape in shapes) else ():
        rest = {tuple(n for k, n in enumerate(shape) if k != other) for shape in shapes}
        if len(rest) == 1 and {len(shape) for shape in shapes} == {rank}:
            place: int | str = 1 if len(call.args) > 1 else "dim"
            text = f"torch.cat(…, dim={other}), which joins along the axis that differs"
            yield Try(text, partial(raised.runs, call, func=torch.cat, places={place: other}), 4.0)
    norm = next(shape for shape in shapes if len(shape) == rank)
    for value in call.inputs:
        for axis in range(rank) if len(value.shape) == rank - 1 and call.name != "stack" else ():
            if axis != dim:
                wide = [norm[k] if k == axis else -1 for k in range(rank)]
                suffix = f".unsqueeze({axis}).expand({', '.join(map(str, wide))})"
                names = raised.axes.names(value)

                def holds(v: Value = value, a: int = axis, w: list[int] = wide) -> bool:
                    return raised.runs(call, {v.index: lambda x: x.unsqueeze(a).expand(w)})

                if not (names and names[0] == "N" and axis == 0):
                    yield Try(chained(raised.code(value), suffix), holds, 1.5 + axis)
        for _, earlier in value.way_back() if 0 in value.shape else ():
            source = earlier.inputs[0]
            made = raised.output_of(source)
            if made is not None and raised.state(source) and made[0].R == 1:
                hn, both = raised.code(source, "hn"), made[0].constructor(bidirectional=True)
                text = f"{hn}[-1], the final state of the top layer: K·R = {made[0].K}·1, nothing to join; or {both}"
                yield Try(text, None, 0.0)


def _other_layout(raised: Raised) -> Try:
    """A module built for the other layout."""
    module = raised.module
    assert module is not None
    owner = next((one for one in raised.entered if one.depth > raised.spelling.depth), module)
    first = bool(module.module.batch_first)
    inner: Any = module.module
    sizes = f"{inner.embed_dim}, {inner.num_heads}" if owner.module is inner and hasattr(inner, "embed_dim") else "…"
    text = f"nn.{owner.kind}({sizes}), without batch_first" if first else f"nn.{owner.kind}({sizes}, batch_first=True)"

    def holds() -> bool:
        other = raised.copy_of(owner.module)
        for one in other.modules():
            if hasattr(one, "batch_first"):
                one.batch_first = not first  # type: ignore[assignment]
        with torch.random.fork_rng(devices=[]):
            return other(*owner.args, **owner.kwargs) is not None

    return Try(text, holds, 1.8)


def _head(raised: Raised, call: Call, contract: Contract, p: Value) -> Iterator[Try]:
    """Class indices that are no classes: more classes, or a mark for what does not count."""
    outside = contract.outside()
    if outside is None:
        return
    _, low, high, C = outside
    head = next((one for _, one in p.way_back() if one.name == "linear"), None)
    if head is not None and low >= 0 and head.inputs[1].shape[0] == C:

        def wider(x: Tensor) -> Tensor:
            return torch.cat([x, x[:, :1].expand(-1, high + 1 - C, *x.shape[2:])], 1)

        text = f"nn.Linear({head.inputs[1].shape[1]}, {high + 1}) as the head, for {high + 1} classes"
        yield Try(text, lambda: raised.runs(call, {p.index: wider}), 1.0)
    if low < 0:
        text = f"{call.name}(…, ignore_index={low}), if {low} marks what does not count"
        yield Try(text, lambda: raised.runs(call, places={"ignore_index": low}), 1.0)


# ---------------------------------------------------------------------- views and indices: numbers beside one tensor
def _view(raised: Raised, call: Call) -> Look | None:
    value, described = call.inputs[0], raised.described(call.inputs[0])
    given = call.args[1:] if len(call.args) > 1 else (call.kwargs.get("shape", call.kwargs.get("size", ())),)
    flat = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    sizes = list(flat) if all(isinstance(n, int) for n in flat) else []
    if "contiguous" in raised.message or "stride" in raised.message:
        fix = chained(raised.code(value), f".reshape({', '.join(map(str, sizes))})")
        measured = f"view only relabels memory, and {described} was transposed: its memory is in another order"
        return measured, [Try(fix, lambda: raised.runs(call, func=torch.Tensor.reshape))]
    if not sizes:
        return None
    has, whole = prod(value.shape), [n for n in sizes if n >= 0]
    wanted, fixes = prod(whole), list(_resized(raised, call, value, sizes))
    written, counted = "·".join(map(str, whole)), raised.axes.count(value) or str(has)
    written += f" = {wanted}" if len(whole) > 1 else ""
    if -1 in sizes:
        return f"{written} does not divide the {has} elements of {described}: {counted}", fixes
    measured = f"{call.name} to {tuple(sizes)} wants {written} elements; {described} has {counted}"
    if (last := sizes[-1]) > 1 and value.shape and value.shape[-1] == last:
        measured += f": {wanted // last} rows of {last} are wanted, and there are {has // last}"
    return measured, fixes


def _resized(raised: Raised, call: Call, value: Value, sizes: list[int]) -> Iterator[Try]:
    """The same view with a size that was written down replaced by the tensor's own, where its axis stands there."""
    shift, merged = len(value.shape) - len(sizes), sizes[0] == -1
    # Counted from the right where the first axes are merged; else an axis stands where it stood.
    for axis in [len(sizes) - 1] if merged else range(min(len(sizes), len(value.shape))):
        at = axis + shift if merged else axis
        if not 0 <= at < len(value.shape) or sizes[axis] in (-1, value.shape[at]):
            continue
        own = value.shape[at]
        word = str(own) if at == len(value.shape) - 1 else f"{raised.code(value)}.size({at})"
        words = ", ".join(word if k == axis else str(n) for k, n in enumerate(sizes))
        name = "view" if call.name == "view" and value.tensor.is_contiguous() else "reshape"
        new = [own if k == axis else n for k, n in enumerate(sizes)]
        text = chained(raised.code(value), f".{name}({words})")
        yield Try(text, partial(raised.runs, call, func=partial(_reshaped, new)), 1.0 + axis)


def _reshaped(sizes: list[int], x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x.reshape(sizes)


def _index(raised: Raised, call: Call) -> Look | None:
    """Whole numbers and slices; tensors of places and masks have a row in the table."""
    source, key = call.inputs[0], call.args[1]
    described, parts = raised.described(source), list(key) if isinstance(key, tuple) else [key]
    counted = [part for part in parts if part is not None and part is not Ellipsis]
    if len(counted) > len(source.shape):
        return f"{len(counted)} indices for the {len(source.shape)} axes of {described}", []
    for axis, (part, size) in enumerate(zip(counted, source.shape, strict=False)):
        if Ellipsis in parts or not isinstance(part, int) or -size <= part < size:
            continue
        name, made = raised.axes.names(source)[axis], raised.output_of(source)
        measured = f"index {part} on axis {axis} of {described}, which has places 0 to {size - 1}"
        measured += f" ({name})" if name else ""
        if made is not None and axis == 0 and raised.state(source):
            layer, hn = made[0], raised.code(source, "hn")
            top = (
                f"{hn}[-2] and {hn}[-1], the top layer's two directions" if layer.R == 2 else f"{hn}[-1], the top layer"
            )
            return f"{measured}: one row for each layer and direction, K·R = {layer.K}·{layer.R}", [Try(top)]
        new = [size - 1 if k == axis else one for k, one in enumerate(parts)]
        text = f"{raised.code(source)}[{', '.join(map(_written, new))}], the last one"
        last = tuple(new) if len(new) > 1 else new[0]
        return measured, [Try(text, partial(raised.runs, call, places={1: last}))] if size else []
    if len(call.args) > 2 and isinstance(call.args[2], Value) and not any(isinstance(one, Value) for one in parts):
        place = tuple(source.tensor[key].shape)
        return f"{described} at this index is {place}, and {raised.described(call.args[2])} is written there", []
    return None


def _written(part: Any) -> str:
    if isinstance(part, slice):
        return ":".join("" if end is None else str(end) for end in (part.start, part.stop))
    return "..." if part is Ellipsis else str(part) if isinstance(part, (int, type(None))) else "…"


_SPECIAL: dict[str, Callable[[Raised, Call], Look | None]] = {
    **dict.fromkeys(VIEWS, _view),
    "__getitem__": _index,
    "__setitem__": _index,
}
