"""The changes of operands that people make: one list for every function, each tried before it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product
from operator import methodcaller
from typing import NamedTuple

import torch
from torch import Tensor

from lstm_shapes.lab._axis_names import axes_of
from lstm_shapes.lab._words import chained, last_step, layer_names, top_row
from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.trace._families import VIEWS
from lstm_shapes.theory.axes import Axes

from ._contracts import Contract, whole_range
from ._raised import TYPES, Raised, Try

_CASTS = {
    torch.float32: "float",
    torch.float64: "double",
    torch.float16: "half",
    torch.bfloat16: "bfloat16",
    torch.int64: "long",
    torch.bool: "bool",
}


class Change(NamedTuple):
    """A change of one operand: what is written behind it, or in its place; what it does; how unlikely it is; why."""

    suffix: str
    does: Callable[[Tensor], Tensor]
    rank: float = 0.0
    says: str = ""
    whole: bool = False

    def written(self, code: str) -> str:
        """The changed operand."""
        return self.suffix if self.whole else chained(code, self.suffix) if self.suffix else code


_SAME = Change("", lambda x: x)


def method(name: str, *args: int, rank: float = 0.0) -> Change:
    """The call of a tensor's method: `.transpose(1, 2)`."""
    return Change(f".{name}({', '.join(map(str, args))})", methodcaller(name, *args), rank)


# ---------------------------------------------------------------------- the list
def _shapes(raised: Raised, value: Value, most: int, broadcast: bool, rows: bool) -> Iterator[Change]:
    """An axis more or less, axes in another order, one row of several; nothing that has more than `most` axes."""
    rank, names = len(value.shape), raised.axes.names(value)
    state, last = raised.is_state(value), len(value.shape) - 1
    if state or (rows and rank > 1 and names[0].split("·")[0] in ("K", "L")):
        yield Change("[-1]", lambda x: x[-1], 1.0 if state else 2.0)
    for axis in reversed(range(rank)):
        if value.shape[axis] == 1 and names[axis] not in ("N", "L") and not broadcast:
            yield method("squeeze", -1 if axis == last else axis, rank=1.5)
    for axis in range(rank + 1 if rank < most else 0):
        yield method("unsqueeze", -1 if axis == rank > 1 else axis, rank=2.0 + 0.1 * axis)
    for a, b in combinations(range(rank), 2):
        yield method(
            "transpose", a, b, rank=1.5 if rank == 2 else 2.4 + (0.6 if b != last else 0) + (a == 0 and names[a] == "N")
        )
    if rank > 2:
        if rows and names[1] == "L":
            yield Change("[:, -1]", lambda x: x[:, -1], 2.6)
        yield from (method("permute", *order, rank=3.2) for order in ((1, 2, 0), (2, 0, 1)) if rank == 3)
        yield from (method("movedim", a, b, rank=3.0) for a, b in ((0, -1), (-1, 1)) if rank > 3)


def _flat(value: Value) -> Iterator[Change]:
    """All rows in one row, for a loss, and the ids of what is one-hot."""
    if len(value.shape) > 2:
        yield method("reshape", -1, value.shape[-1], rank=2.5)
    if len(value.shape) > 1:
        yield method("reshape", -1, rank=1.8)
        yield Change(".t().reshape(-1)", lambda x: x.t().reshape(-1), 2.5)


def _casts(value: Value, others: set[torch.dtype]) -> Iterator[Change]:
    """Another data type: that of the other operands first; whole numbers only where no fraction is lost."""
    data = value.elements
    whole = data is not None and not data.is_meta and bool((data.float() % 1 == 0).all())
    for k, dtype in enumerate(sorted(_CASTS, key=lambda one: one not in others)):
        likely = dtype in others or dtype in (torch.float32, torch.int64, torch.bool)
        loses = not whole and (dtype == torch.bool or (dtype == torch.int64 and value.tensor.is_floating_point()))
        if likely and not loses and value.tensor.dtype != dtype:
            yield method(_CASTS[dtype], rank=0.2 + 0.1 * k)


def _numbers(value: Value) -> Iterator[Change]:
    """Places counted from another number than 0, and the ids of what is one-hot."""
    low, high = whole_range(value) or (0, 0)
    numbers = value.elements if (low, high) == (0, 1) and value.shape[-1:] > (1,) else None
    if numbers is not None and bool((numbers.sum(-1) == 1).all()):
        yield method("argmax", -1, rank=0.1)
    if low >= 1:
        yield Change(" - 1", lambda x: x - 1, 1.2, ": places count from 0")
    elif low < 0:
        yield Change(f" + {-low}", lambda x: x - low, 1.4)


def _other(tensor: Tensor, _: Tensor) -> Tensor:
    return tensor


def _nearby(raised: Raised, value: Value, loss: bool) -> Iterator[Change]:
    """Other tensors that may have been meant: what a view was made of, the top layer's rows, the last step."""
    atoms = {atom for axis in range(len(value.shape)) for atom in raised.axes.atoms(value, axis)}
    merged = any(len(raised.axes.atoms(value, axis)) > 1 for axis in range(len(value.shape)))
    cut: Value | None = None
    for _, call in value.way_back():
        if not call.inputs or call.name not in VIEWS | {"contiguous", "squeeze", "permute", "transpose"}:
            break
        cut = call.inputs[0]
        if call.name in VIEWS:
            tensor = cut.tensor.detach()
            rank = 3.0 if {"K", "R"} & atoms else 0.5
            head = raised.called(raised.module) if raised.module is not None else ""
            text = f"{head}({raised.code(cut)})" if head and not head.startswith("the ") else raised.code(cut)
            yield Change(text, partial(_other, tensor), rank, f": no {call.name} is needed", True)
    layer = raised.from_layer(value)
    hn = layer.outputs.get("hn") if layer is not None and not layer.cell else None
    if layer is None or hn is None or len(hn.shape) != 3:
        return
    word = layer_names(layer)["hn"]
    of_state = hn.index in raised.trace.ancestors(value)
    where = ", one row a sample, in front of the head" if loss else ""
    if (
        {"K", "R"} & atoms
        or (not loss and cut and raised.is_state(cut))
        or (not loss and of_state and len(value.shape) == 2)
    ):
        text, rows = top_row(word, hn.tensor.detach(), layer.R)
        says = (", the top layer's two directions" if layer.R == 2 else ", the top layer's row") + where
        yield Change(text, partial(_other, rows), 2.1 if loss else 1.0, says, True)
        for axis in () if loss else (-1, 1):
            yield Change(f"{text}.unsqueeze({axis})", partial(_other, rows.unsqueeze(axis)), 2.5, says, True)
    if "Y" in layer.outputs and not layer.packed:
        Y = layer.outputs["Y"].tensor.detach()
        step = Y[:, -1] if layer.batch_first else Y[-1]
        if "L" in atoms and (merged or loss):
            yield Change(last_step(layer), partial(_other, step), 2.7, f", the last step{where}", True)
        if loss and layer.batch_first and "L" not in atoms:
            says = ", every step, in front of the head, and behind it .transpose(1, 2): the classes on axis 1"
            yield Change(layer_names(layer)["Y"], partial(_other, Y.transpose(1, 2)), 4.0, says, True)


# ---------------------------------------------------------------------- trying it
def changed(raised: Raised, call: Call, contract: Contract | None, faulty: list[Value]) -> Iterator[Try]:
    """Changes of one operand that the contract allows; the call has to run with them."""
    values = list(dict.fromkeys(one.value for one in contract.operands if one.value) if contract else call.inputs)
    known = contract.named() if contract is not None else {}
    right = contract is not None and contract.fits(known)
    types = right or contract is None or is_loss(call.name) or TYPES.search(raised.message) is not None
    for value in values:
        if value.parameter:
            continue
        edits = [_SAME, *_numbers(value)]
        for one in _candidates(raised, value, values, contract) if not right else ():
            axes = _axes_after(raised, value, one)
            if contract is None or (axes is not None and contract.fits(known | {value.index: axes})):
                edits.append(one)
        others = {other.tensor.dtype for other in call.inputs if other is not value}
        for edit, cast in product(edits, [_SAME, *(_casts(value, others) if types else ())]):
            if edit is _SAME and cast is _SAME:
                continue
            text = cast.written(edit.written(raised.code(value))) + (edit.says if cast is _SAME else "")
            # What comes later is likelier the wrong one.
            rank = edit.rank + cast.rank + 0.1 * (len(call.inputs) - 1 - call.inputs.index(value))
            rank += 0.5 if faulty and value not in faulty else 0
            does = {value.index: lambda x, a=edit, b=cast: b.does(a.does(x))}
            yield Try(text, partial(raised.runs, call, does), rank)


def _candidates(raised: Raised, value: Value, values: list[Value], contract: Contract | None) -> Iterator[Change]:
    if contract is None:
        # What an unknown function wants of its axes is not known; a module of torch's has one input.
        module = raised.failed is not None and raised.failed.owner is not None and raised.failed.line is None
        yield from (one for one in _shapes(raised, value, 5, False, False) if "queeze" in one.suffix and module)
        return
    elementwise = contract.row.over and not contract.row.summed
    ranks = [len(v.shape) for v in values]
    most = max(ranks) if elementwise or len(set(ranks)) > 1 else 5
    moves = raised.is_state(value) or "tensors" not in {one.name for one in contract.ways[0]}
    loss = is_loss(contract.call.name)
    for one in _shapes(raised, value, most, elementwise, loss):
        if moves or not one.suffix.startswith((".transpose", ".permute", ".movedim")):
            yield one
    yield from _flat(value) if loss else ()
    yield from _nearby(raised, value, loss)


def _axes_after(raised: Raised, value: Value, change: Change) -> Axes | None:
    try:
        return axes_of(change.does(raised.axes.tensor(value)))
    except Exception:  # a change that the tensor does not take
        return None
