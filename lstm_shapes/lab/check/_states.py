"""What is read of a recurrent layer's states and outputs on the way to a result: marks on rows of hn and cn, on steps
and halves of Y, followed until they are computed with; and the calls that read a value outside a recurrence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.trace import Call, LayerCall, Value

from ._experiments import Experiments
from ._padding import lengths_of
from ._provenance import Parts, follow_parts
from ._samples import samples_of

FIRST, BETWEEN, LAST = range(3)


def settled(lab: Experiments) -> bool:
    """Whether samples stay apart, so that what is read can be spoken of."""
    return lab.baseline.error is None and lab.ask(samples_of).kind not in ("mixed", "dropped")


def by_layer(lab: Experiments) -> list[list[LayerCall]]:
    """The calls of each layer, together."""
    of: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        of.setdefault(id(layer.module) if layer.module is not None else -layer.call.index - 1, []).append(layer)
    return list(of.values())


def chosen(lab: Experiments, *, cells: bool = False) -> list[LayerCall]:
    """The calls worth looking at: of each layer the first two and the last."""
    some = (layer for calls in by_layer(lab) for layer in calls[:2] + calls[2:][-1:])
    return [layer for layer in some if cells or not layer.cell]


def calls_back(parts: Parts, layer: LayerCall, value: Value | None) -> list[Call]:
    """The calls between a layer and a value along operands that hold parts of what it gives, the last one first."""
    calls: list[Call] = []
    while value is not None and value.maker is not None and value.maker is not layer.call and len(calls) < 40:
        calls.append(value.maker)
        value = next((v for v in value.maker.inputs if parts.of(v)), None)
    return calls


def reaching(lab: Experiments, marks: dict[Value, Tensor], names: tuple[Any, ...]) -> tuple[Parts, set[Any]]:
    """The parts of some values, followed until they are computed with, and which of them go into a result."""
    parts = follow_parts(lab.baseline, marks, names, lab.on_path)
    ends = (*(v for _, v in parts.read), *(v for _, v in lab.results))
    return parts, {part for value in ends for part in parts.of(value)}


def losing(parts: Parts, calls: Iterable[Call], of: Callable[[Any], Any] = lambda part: part) -> Call | None:
    """The first call that is given more of the parts than it hands on."""
    for call in calls:
        before, after = ({of(part) for v in some for part in parts.of(v)} for some in (call.inputs, call.outputs))
        if after and after < before:
            return call
    return None


def readers_outside(lab: Experiments, values: Iterable[Value], skipped: set[int]) -> list[Call]:
    """The calls that read some values on a way to a result on which none of the skipped calls lies, one a value."""
    results = [value for _, value in lab.results]
    waiting, reached = list(results), set[int]()
    for value in waiting:
        if value.index not in reached and (value.maker is None or value.maker.index not in skipped):
            reached.add(value.index)
            waiting.extend(value.parents)
    found: list[Call] = []
    for value in values:
        reading = [call for call in value.readers if any(v.index in reached for v in call.outputs)]
        found += [call for call in [value.maker] if value in results and call is not None][:1] or reading[:1]
    return found


def row_parts(lab: Experiments, layer: LayerCall) -> Parts:
    """hn and cn of a call, row by row, until they are computed with."""
    roles, count = [role for role in ("hn", "cn") if role in layer.outputs], layer.K * layer.R
    sources = {}
    for i, role in enumerate(roles):
        value = layer.outputs[role]
        sources[value] = torch.zeros(len(roles) * count, *value.shape, dtype=torch.bool, device="cpu")
        for k in range(count):
            sources[value][i * count + k][... if layer.cell else k] = True
    return follow_parts(lab.baseline, sources, tuple((role, k) for role in roles for k in range(count)), lab.on_path)


def step_marks(lab: Experiments, layer: LayerCall, Y: Value) -> Tensor:
    """Marks for the first, the last and the other steps of each half of Y, rows read to their own length."""
    if layer.batch_sizes is not None:
        sizes = layer.batch_sizes.tolist()
        step = torch.cat([torch.full((n,), t, device="cpu") for t, n in enumerate(sizes)])
        last = torch.tensor(layer.lengths, device="cpu")[torch.cat([torch.arange(n, device="cpu") for n in sizes])] - 1
    else:
        told = lab.ask(lengths_of)
        known = [] if told is None or isinstance(told, str) else told.steps
        last = torch.tensor(known if len(known) == layer.N else [layer.L] * layer.N, device="cpu").clamp(1, layer.L) - 1
        step, last = (
            torch.arange(layer.L, device="cpu").unsqueeze(1).expand(layer.L, layer.N),
            last.expand(layer.L, layer.N),
        )
        step, last = (step.t(), last.t()) if layer.batch_first else (step, last)
    place = torch.full(Y.shape[:-1], BETWEEN, device="cpu")
    place[step == 0] = FIRST
    place[(step == last) | (step == layer.L - 1)] = LAST
    marks, half = torch.zeros(3 * layer.R, *Y.shape, dtype=torch.bool, device="cpu"), Y.shape[-1] // layer.R
    for k in range(3 * layer.R):
        columns = slice(k // 3 * half, (k // 3 + 1) * half)
        marks[k][..., columns] = (place == k % 3).unsqueeze(-1)
    return marks
