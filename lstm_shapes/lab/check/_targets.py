"""Targets that a prediction can read: ids equal to the input's, or the next ones behind a layer that reads backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.trace import Call, LayerCall, Value, Where, layer_calls
from lstm_shapes.lab.trace._families import names_in

from ._compare import differs
from ._experiments import Experiments
from ._losses import Losses, Pair

__all__ = ["Leak", "Seen", "leak_of", "sees_of"]

_FEWEST = 8  # so many ids are equal by chance in no program that anybody means
_HALVES = names_in("chunk split tensor_split view reshape unflatten __getitem__ narrow")


@dataclass(frozen=True, slots=True)
class Seen:
    """Targets equal to the ids of `source`, 0 or 1 step ahead on its `axis`; `rows` holds the index there of each.

    `features` is the axis of the prediction that holds the classes.
    """

    source: Value
    shift: int
    axis: int
    count: int
    rows: Tensor
    features: int


@dataclass(frozen=True, slots=True)
class Leak:
    """How a step reads the id that it is to predict."""

    layer: LayerCall | None
    measured: str
    where: Where | None


def sees_of(losses: Losses, pair: Pair) -> Seen | None:
    """Whether whole-number targets are ids of the input: those at the same step, or the next ones."""
    places, target = losses.places(pair.output), _whole_numbers(pair.target)
    if places is None or target is None or len(places.features_on()) != 1:
        return None
    ids = _whole_numbers(places.source)
    if ids is None or ids.dim() not in (1, 2):
        return None
    feature = places.features_on()[0]
    index = [None if t is None else t.select(feature, 0).flatten().long() for t in places.at]
    known = [t for t in index if t is not None]
    wanted = target.flatten()
    if len(known) != len(index) or any(t.numel() != wanted.numel() for t in known):
        return None
    ignored = pair.call.argument(4, "ignore_index", -100) if pair.call is not None else -100
    here = torch.stack([t >= 0 for t in known]).all(0) & (wanted != ignored)
    for shift, axis in ((0, 0), *((1, k) for k in reversed(range(ids.dim())))):
        moved = [t + shift * (k == axis) for k, t in enumerate(known)]
        counted = here & (moved[axis] < ids.shape[axis])
        if int(counted.sum()) < _FEWEST:
            continue
        read = ids[tuple(t[counted] for t in moved)]
        if bool((read == wanted[counted]).all()) and torch.unique(read).numel() > 2:
            return Seen(places.source, shift, axis, int(counted.sum()), known[axis], feature)
    return None


def _whole_numbers(value: Value) -> Tensor | None:
    numbers = value.elements
    if numbers is None or numbers.is_meta or numbers.is_floating_point():
        return None
    return numbers.detach().cpu()


def leak_of(losses: Losses, pair: Pair, seen: Seen, lab: Experiments | None) -> Leak | None:
    """How the prediction at a step reads the next id: it moves when that id is replaced, or a layer reads both ways."""
    trace = losses.trace
    way = trace.ancestors(pair.output)
    layers = lab.layers if lab is not None else layer_calls(trace, {})
    both = [one for one in layers if one.R == 2 and one.outputs["Y"].index in way]
    both = [one for one in both if seen.source.index in trace.ancestors(one.X)]
    layer = both[0] if both else None
    if lab is None:
        if layer is None or any(call.name in _HALVES for call in layer.outputs["Y"].readers):
            return None  # the halves may be read apart, each for its own direction
        return Leak(layer, f"{layer.constructor()} gives each step what it has read from the end", layer.call.where)
    call = next((c for c in trace.calls if seen.source in c.inputs[:1] and c.name == "embedding"), None)
    if call is None:
        return None
    step = seen.source.shape[seen.axis] // 2
    moved = _moved(lab, pair.output, call, seen, step)
    before = moved & (seen.rows == step - 1) if moved is not None and moved.shape == seen.rows.shape else None
    if before is None or not bool(before.any()):
        return None
    measured = f"the id of step {step} replaced, the prediction of step {step - 1} moves"
    return Leak(layer, measured, layer.call.where if layer is not None else None)


def _moved(lab: Experiments, output: Value, call: Call, seen: Seen, step: int) -> Tensor | None:
    """Which predictions move when the ids of a step are replaced where the embedding reads them.

    States that a layer hands to another one stay what they were: a decoder may know its sequence from its start.
    """
    moved: list[Tensor] = []

    def compare(value: Value, tensor: Tensor) -> None:
        before = value.elements
        if value.index == output.index and before is not None:
            found = differs(before, tensor, lab.slack)
            if found is not None:
                moved.append(found)

    def other(func: Any) -> Any:
        def changed(ids: Tensor, *args: Any, **kwargs: Any) -> Any:
            ids = ids.clone()
            row = ids.select(seen.axis, step)
            values = torch.unique(ids)
            row.copy_(values[(torch.searchsorted(values, row.contiguous()) + 1) % values.numel()])
            return func(ids, *args, **kwargs)

        return changed

    edits: dict[int, Callable[..., Any]] = {call.index: other}
    for layer in lab.layers:
        if not layer.cell and layer.L > 1 and layer.states:
            edits[layer.call.index] = _holding(layer)
    outcome = lab.follow(lab.inputs.same(), compare, edits=edits)
    if outcome.error is not None or not moved:
        return None
    flags = moved[0].any(seen.features).flatten().cpu()  # of the classes of each target
    return flags if flags.numel() == seen.rows.numel() else None


def _holding(layer: LayerCall) -> Any:
    """The layer's call with the state of the recorded run."""
    place = 2 if layer.packed else 1
    states = tuple(value.elements for value in layer.states.values())
    held = states if isinstance(layer.call.args[place], tuple) else states[0]

    def edit(func: Any) -> Any:
        return lambda *args, **kwargs: func(*args[:place], held, *args[place + 1 :], **kwargs)

    return edit
