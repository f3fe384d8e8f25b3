"""Provenance: which parts of one tensor lie where in the tensors that are made of it, by putting marks through the
recorded calls.

A part is a set of elements: a row of hn, a step of Y, a half of it. Each part's mark is a tensor of zeros and ones of
the same shape, and goes through the functions that move elements as the elements did. Functions that add or combine
elements keep the marks' places; what computes with a whole tensor (a kernel, a product) reads every part that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab._build import PLAIN
from lstm_shapes.lab.trace import Call, Trace, Value
from lstm_shapes.lab.trace._families import MOVES, SAME, names_in

from ._replay import moved, written

__all__ = ["Parts", "follow_parts"]

_SUMS = names_in("sum mean amax amin nansum nanmean cumsum")
_POINTWISE = names_in(
    "add sub mul div truediv __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __neg__ neg "
    "where lerp addcmul maximum minimum tanh sigmoid relu relu_ gelu silu elu leaky_relu softplus exp log abs sqrt "
    "pow square clamp masked_fill rsub hardtanh softmax log_softmax layer_norm batch_norm __pow__ __iadd__ __imul__ "
    "add_ mul_ tanh_ sigmoid_ clone normalize nan_to_num instance_norm rms_norm selu celu mish logsigmoid"
)


@dataclass(eq=False, slots=True)
class Parts:
    """Where the parts of a tensor lie, by the index of each value that holds any, and which calls read them.

    `held[value][part]`: true where elements of the value come from that part.
    `read`: (call, value) pairs at which parts are computed with and their places are lost.
    """

    names: tuple[Any, ...]
    held: dict[int, Tensor] = field(default_factory=dict)
    read: list[tuple[Call, Value]] = field(default_factory=list)

    def of(self, value: Value) -> set[Any]:
        """The parts that a value holds."""
        marks = self.held.get(value.index)
        if marks is None:
            return set()
        return {name for name, mark in zip(self.names, marks, strict=True) if bool(mark.any())}

    def along(self, value: Value, axis: int) -> list[set[Any]]:
        """The parts at each index of an axis."""
        marks = self.held[value.index]
        rows = marks.movedim(axis + 1, 1).flatten(2).any(2)
        return [{name for name, row in zip(self.names, rows, strict=True) if bool(row[k])} for k in range(rows.size(1))]


def follow_parts(
    trace: Trace,
    sources: Mapping[Value, Tensor],
    names: tuple[Any, ...],
    way: set[int],
    stop: Callable[[Call], bool] = lambda call: False,
) -> Parts:
    """Put the marks of some values through the calls on a way; `sources[value]` is (parts, *shape).

    A call for which `stop` says yes reads what it is given, and nothing is followed behind it.
    """
    parts = Parts(names)
    for value, marks in sources.items():
        parts.held[value.index] = marks.bool()
    if not sources:
        return parts
    first = min(value.maker.index if value.maker is not None else -1 for value in sources)
    for call in trace.calls:
        if call.index <= first or call.error is not None:
            continue
        given = [v for v in call.inputs if v.index in parts.held]
        if call.name.startswith("new_") or call.name.endswith("_like"):
            continue  # takes nothing but type and sizes
        if not given or not any(v.index in way for v in call.outputs):
            continue
        made = None if stop(call) else _through(call, parts, len(names))
        if made is None:
            parts.read += [(call, v) for v in dict.fromkeys(given)]
            continue
        for value, marks in made.items():
            if value.index not in parts.held and bool(marks.any()):
                parts.held[value.index] = marks
    return parts


def _through(call: Call, parts: Parts, count: int) -> dict[Value, Tensor] | None:
    """The marks of a call's outputs, None where the places are lost."""
    name = call.name
    try:
        if name == "__setitem__":
            return _written(call, parts, count)
        if name in MOVES | SAME | _SUMS:
            made = [_run(call, parts, part) for part in range(count)]
            return _stacked(call, made)
        if name in ("max", "min", "median", "logsumexp", "var", "std") and len(call.outputs):
            made = [_reduced(call, parts, part) for part in range(count)]
            return _stacked(call, made)
        if name in _POINTWISE:
            return _pointwise(call, parts)
        if name in ("linear", "__matmul__", "matmul") and _is_weight(call):
            value = call.inputs[0]
            marks = parts.held[value.index].any(-1, keepdim=True)
            return {call.outputs[0]: marks.expand(count, *call.outputs[0].shape)}
        if name == "embedding":
            value = call.inputs[0]
            return {call.outputs[0]: parts.held[value.index].unsqueeze(-1).expand(count, *call.outputs[0].shape)}
    except (RuntimeError, IndexError, TypeError, ValueError, KeyError):
        return None
    return None


def _is_weight(call: Call) -> bool:
    return len(call.inputs) > 1 and call.inputs[1].parameter and not call.inputs[0].parameter


def _run(call: Call, parts: Parts, part: int) -> list[Tensor]:
    """A call on the mark of one part in the place of its elements; what holds no part counts as zeros."""

    def mark(value: Value) -> Tensor | None:
        if value.index in parts.held:
            return parts.held[value.index][part].float()
        return torch.zeros(value.shape, **PLAIN) if value.tensor.is_floating_point() else None

    return moved(call, mark, name="sum" if call.name in ("mean", "nansum", "nanmean") else "")


def _reduced(call: Call, parts: Parts, part: int) -> list[Tensor]:
    value = call.inputs[0]
    mark = parts.held[value.index][part].float()
    dim = call.argument(1, "dim")
    if not isinstance(dim, (int, tuple)):
        return [mark.amax() for _ in call.outputs]
    kept = mark.amax(dim, keepdim=bool(call.argument(2, "keepdim", False)))
    return [kept for _ in call.outputs]


def _stacked(call: Call, made: list[list[Tensor]]) -> dict[Value, Tensor]:
    found = {}
    for k, value in enumerate(call.outputs):
        marks = torch.stack([outputs[k] != 0 for outputs in made])
        if tuple(marks.shape[1:]) != value.shape:
            raise ValueError
        found[value] = marks
    return found


def _pointwise(call: Call, parts: Parts) -> dict[Value, Tensor] | None:
    value = call.outputs[0]
    total = None
    for given in call.inputs:
        marks = parts.held.get(given.index)
        if marks is None or given.parameter:
            continue
        pad = len(value.shape) - (marks.dim() - 1)
        if pad < 0:
            return None
        wide = marks.reshape(marks.size(0), *([1] * pad), *marks.shape[1:]).expand(marks.size(0), *value.shape)
        total = wide if total is None else total | wide
    return None if total is None else {value: total}


def _written(call: Call, parts: Parts, count: int) -> dict[Value, Tensor]:
    """A buffer with a part of it overwritten."""
    before, value = parts.held.get(call.args[0].index), call.args[2]
    held = isinstance(value, Value) and value.index in parts.held
    marks = parts.held[value.index] if held else torch.zeros(count, dtype=torch.bool, device="cpu")
    olds = [None] * count if before is None else list(before)
    made = [written(call, old, mark, 0.0) for old, mark in zip(olds, marks, strict=True)]
    return {call.outputs[0]: torch.stack(made).bool()}
