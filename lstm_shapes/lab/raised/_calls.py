"""Any function of torch that refuses its operands: what it wants, which operand does not fit, what makes it run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lstm_shapes.lab._words import chained, kind_of, symbol
from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.trace._families import VIEWS

from ._changes import changed
from ._contracts import Contract, contract_of
from ._raised import TYPES, Explanation, Raised, Try

Look = tuple[str, list[Try]]
_SPOKEN = {"__getitem__": "the index", "__setitem__": "the assignment to an index"}
_PACKS = ("pack_padded_sequence", "pack_sequence", "pad_sequence")
_CATS = ("cat", "concat", "concatenate")


def function(raised: Raised) -> Explanation | None:
    """The torch function that raised, or the module of torch that refused its input in Python."""
    return refused(raised, raised.failed) if raised.failed is not None and raised.failed.inputs else None


def refused(raised: Raised, call: Call) -> Explanation:
    """What one call wants of its operands, which of them does not fit, and the changes with which it runs."""
    values = [value for value in dict.fromkeys(call.inputs) if not value.parameter]
    values = [v for v in values if v.maker is not None or raised.name(v) != "a tensor"] or values
    given = _tuple(raised, call)
    if given is not None:
        return given
    contract = contract_of(raised, call)
    measured, faulty = contract.misfits() if contract is not None else ("", [])
    fixes: list[Try] = []
    code, said = "", ""
    odd = next((v for v in call.inputs if v.tensor.device != call.inputs[0].tensor.device), None)
    look = _view(raised, call) if call.name in VIEWS else None
    if odd is not None:
        code, measured = "LS106", ", ".join(f"{raised.name(v)} is on {v.tensor.device}" for v in call.inputs[:3])
        fixes = [Try(chained(raised.code(odd), f".to({raised.code(call.inputs[0])}.device)"), True)]
    elif call.name in _SPOKEN:
        measured = raised.message
    elif look is not None:
        measured, fixes = look
    else:
        said = contract.says() if contract is not None else _plainly(call)
        types = TYPES.search(raised.message) is not None
        code = "LS105" if types else ""
        if not measured or types or is_loss(call.name):
            weights = [v for v in call.inputs if v.parameter and types][:1]
            kinds = [f"{raised.described(v)} is {kind_of(v.tensor)}" for v in values[:4]]
            kinds += [f"the weights are {kind_of(v.tensor)}" for v in weights]
            measured = "; ".join([*filter(None, [measured]), *kinds])
        fixes = [*_rebuilt(contract), *changed(raised, call, contract, faulty), *_others(raised, call, contract)]
    layer = raised.from_layer(*values) if values else None
    code = "LS112" if is_loss(call.name) else "LS108" if call.name in _PACKS else code
    products = raised.products(*values) if call.name not in VIEWS else ""
    title = f"{_spoken(raised, call)} refuses {', '.join(map(raised.described, values[:4]))}"
    said = "; ".join(dict.fromkeys(filter(None, (said, measured, products))))
    name = layer.name if layer is not None else ""
    return Explanation(code or ("LS113" if layer is None else "LS111"), title, said, fixes, faulty or values, name)


def _tuple(raised: Raised, call: Call) -> Explanation | None:
    """A tuple that holds the tensor, in the place of the tensor."""
    if not isinstance(raised.error, (TypeError, AttributeError)) or "tuple" not in raised.message:
        return None
    inner = call.args[0] if call.args and isinstance(call.args[0], tuple) else ()
    lists = any(isinstance(v, Value) for v in inner) and any(isinstance(v, tuple) for v in inner)
    flat = inner if lists else call.args
    for place, one in enumerate(flat):
        if isinstance(one, tuple) and one and isinstance(one[0], Value):
            first = one[0]
            whole = tuple(first if k == place else v for k, v in enumerate(flat))
            again = partial(raised.runs, call, places={0: whole} if lists else {place: first})
            fix, name = raised.code(first), raised.name(first).removesuffix("[0]")
            measured = f"{name} holds {raised.described(first)}" + (f" and {len(one) - 1} more" if len(one) > 1 else "")
            title = f"{name} is a tuple, and {_spoken(raised, call)} wants a tensor"
            return Explanation("LS107", title, measured, [Try(fix, again)], [first])
    return None


def _spoken(raised: Raised, call: Call) -> str:
    """The function in the user's words: the module that the line calls, else torch's own name."""
    module = raised.module
    if module is None or module not in raised.below:
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


# ---------------------------------------------------------------------- changes of the call itself
def _rebuilt(contract: Contract | None) -> Iterator[Try]:
    """The layer for the sizes that came is built and called, without memory where it is large."""
    text = contract.rebuilt() if contract is not None else ""
    if contract is None or not text:
        return
    given = [one.value.tensor for one in contract.operands if one.value is not None]

    def holds() -> bool:
        device = "cpu" if prod(map(int, re.findall(r"\d+", text))) < 1_000_000 else "meta"
        with torch.random.fork_rng(devices=[]), torch.device(device):
            eval(text, {"nn": nn})(*(torch.zeros_like(one, device=device) for one in given))
        return True

    yield Try(text, holds, 1.0 if contract.outside() is not None else 2.7)


def _others(raised: Raised, call: Call, contract: Contract | None) -> Iterator[Try]:
    """The same operands with another argument, another function, or another layer in front."""
    if call.name in (*_CATS, "stack"):
        yield from _joins(raised, call)
    if isinstance(call.owner, nn.MultiheadAttention):
        turned: Any = raised.copy_of(call.owner)
        turned.batch_first = not call.owner.batch_first
        text = f"nn.MultiheadAttention({turned.embed_dim}, {turned.num_heads}, batch_first={turned.batch_first})"
        yield Try(text, partial(raised.runs, call, func=turned), 1.8)
    operands = [one.value for one in contract.operands if one.value is not None] if contract is not None else []
    outside = contract.outside() if contract is not None else None
    if call.name == "embedding" and operands and operands[0].tensor.is_floating_point():
        yield Try("leave the embedding out, if these are fractions and no ids")
    elif call.name == "embedding" and outside is not None and outside[1] < 0:
        table = f"nn.Embedding({outside[2] + 1 - outside[1]}, …)"
        yield Try(f"{raised.code(operands[0])} + {-outside[1]} with {table}: ids count from 0")
    if call.name == "binary_cross_entropy" and operands:
        p, logits = operands[0], F.binary_cross_entropy_with_logits
        yield Try("F.binary_cross_entropy_with_logits, for logits", lambda: raised.runs(call, func=logits), 1.0)
        yield Try(f"torch.sigmoid({raised.code(p)})", lambda: raised.runs(call, {p.index: torch.sigmoid}), 1.2)
    if is_loss(call.name) and len(operands) > 1 and outside is not None:
        _, low, high, C = outside
        head = next((one for _, one in operands[0].way_back() if one.name == "linear"), None)
        if head is not None and low >= 0 and head.inputs[1].shape[0] == C:
            text = f"nn.Linear({head.inputs[1].shape[1]}, {high + 1}) as the head, for {high + 1} classes"
            yield Try(text, True, 1.0)
        if low < 0:
            text = f"{call.name}(…, ignore_index={low}), if {low} marks what does not count"
            yield Try(text, lambda: raised.runs(call, places={"ignore_index": low}), 1.0)


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
            if axis != dim and not (axis == 0 and raised.axes.names(value)[:1] == ("N",)):
                wide = [norm[k] if k == axis else -1 for k in range(rank)]
                suffix = f".unsqueeze({axis}).expand({', '.join(map(str, wide))})"
                spread = {value.index: lambda x, a=axis, w=wide: x.unsqueeze(a).expand(w)}
                yield Try(chained(raised.code(value), suffix), partial(raised.runs, call, spread), 1.5 + axis)
        source = next((earlier.inputs[0] for _, earlier in value.way_back()), None) if 0 in value.shape else None
        made = raised.output_of(source) if source is not None and raised.is_state(source) else None
        if source is not None and made is not None and made[0].R == 1:
            both = made[0].constructor(bidirectional=True)
            yield Try(f"{raised.code(source, 'hn')}[-1]: one direction has nothing to join; or {both}")


# ---------------------------------------------------------------------- views: numbers beside one tensor
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
    counted = raised.axes.count(value) or str(has)
    if -1 in sizes:
        return f"{'·'.join(map(str, whole))} does not divide the {has} elements of {described}: {counted}", fixes
    measured = f"{call.name} to {tuple(sizes)} wants {wanted} elements; {described} has {counted}"
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
        new = [own if k == axis else n for k, n in enumerate(sizes)]
        name = "view" if call.name == "view" and value.tensor.is_contiguous() else "reshape"
        text = chained(raised.code(value), f".{name}({words})")
        yield Try(text, partial(raised.runs, call, func=lambda x, *_, new=new, **__: x.reshape(new)), 1.0 + axis)
