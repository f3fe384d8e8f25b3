"""What a call keeps and what it never reads: a second call, arguments and steps that reach nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn

from lstm_shapes.lab.trace import LEAVES_TORCH, Call, LayerCall, Value, leaves

from ._compare import differs
from ._experiments import Experiments
from ._states import by_layer, losing, reaching, settled

_RESETS = ("reset", "init_hidden", "init_state", "clear", "zero_state", "detach", "repackage", "begin_state")


@dataclass(frozen=True, slots=True)
class Second:
    """What a second call showed: a state with its graph, or one that changes the result, of which layer."""

    kind: Literal["graph", "state", "nothing"] = "nothing"
    layer: LayerCall | None = None
    resets: bool = False


def second_call_of(lab: Experiments) -> Second:
    """A call after a call, with what the first one kept: does the result change, and can both be trained?"""
    if lab.baseline.error is not None:
        return Second()
    lab.says("a second call")
    first = lab.plain(lab.inputs.same())
    if first.error is not None or not lab.state_changed():
        return Second()
    graph = any(t.requires_grad and t.grad_fn is not None for t in lab.kept_tensors())
    before = [t.detach().clone() for _, t in first.results]
    del first
    second = lab.again(lab.inputs.same())
    if second.error is not None:
        return Second()
    after = [t for _, t in second.results]
    moved = [differs(a, b, lab.slack) for a, b in zip(before, after, strict=False)]
    changed = len(before) != len(after) or any(m is None or bool(m.any()) for m in moved)
    del before, after, moved, second
    layer = _starting_from_kept(lab)
    if layer is not None and graph and _graphs_meet(lab):
        return Second("graph", layer)
    return Second("state", layer, _resets(lab, layer)) if layer is not None and changed else Second()


def _graphs_meet(lab: Experiments) -> bool:
    """Whether backward through a second call reaches into the first one's graph."""
    weights = list({p: None for m in lab.reached.modules.values() for p in m.parameters() if p.requires_grad})
    with torch.enable_grad():
        for run in (lab.plain, lab.again):
            outcome = run(lab.inputs.same())
            tensors = [t for _, t in outcome.results if t.requires_grad and t.is_floating_point()]
            if outcome.error is not None or not tensors:
                return False
            try:
                torch.autograd.grad(torch.stack([t.float().sum() for t in tensors]).sum(), weights, allow_unused=True)
            except RuntimeError as error:
                return run == lab.again and "second time" in str(error)
    return False


def _starting_from_kept(lab: Experiments) -> LayerCall | None:
    """The first layer that starts from a tensor which was there before the call, or leaves one for the next."""
    for layer in lab.layers:
        outside = from_outside(lab, layer)
        if any(v not in lab.baseline.inputs and id(v.tensor) in lab.kept_ids for v in outside):
            return layer
    return next((layer for layer in lab.layers if any(lab.is_kept(v) for v in layer.outputs.values())), None)


def from_outside(lab: Experiments, layer: LayerCall) -> list[Value]:
    """The tensors that no call has made, of which a call's states are made."""
    values = [lab.baseline.values[k] for k in lab.baseline.ancestors(*layer.states.values())]
    return [value for value in values if value.maker is None]


def _resets(lab: Experiments, layer: LayerCall) -> bool:
    """Whether the program can start anew: a method that says so, or an input that is multiplied into the state."""
    kinds = (kind for thing in (*lab.reached.modules.values(), *lab.reached.objects) for kind in type(thing).__mro__)
    own = {name for kind in kinds if not kind.__module__.startswith(("torch", "builtins")) for name in vars(kind)}
    if any(word in name for name in own for word in _RESETS):
        return True
    return any(value in lab.baseline.inputs for value in from_outside(lab, layer))


# ---------------------------------------------------------------------- arguments and steps that are never read
@dataclass(frozen=True, slots=True)
class Unread:
    """An `argument` that is never read; a `loop` that takes `read` of `steps` places; a tensor whose `first` step alone
    matters."""

    kind: Literal["argument", "loop", "first"]
    value: Value
    call: Call | None = None
    argument: str = ""
    keeps_state: bool = False
    read: int = 0
    steps: int = 0


def unread_of(lab: Experiments) -> Unread | None:
    """The first argument no part of which reaches a result, or steps that a loop leaves out."""
    if not settled(lab):
        return None
    trace = lab.baseline
    results = trace.ancestors(*(value for _, value in trace.results))
    steps = _loop(lab) or _first_only(lab)
    if steps is not None or not trace.results or trace.unseen or not any(v.index in results for v in trace.inputs):
        return steps
    for name, values in _arguments(lab).items():
        if any(v.index in results or _decides(v) or (v.index in trace.asked and not v.readers) for v in values):
            continue
        state = lab.ask(second_call_of).kind != "nothing"
        return Unread("argument", values[0], argument=name, keeps_state=state)
    return None


def _decides(value: Value) -> bool:
    """Whether numbers of a tensor leave torch, where they may decide what is computed."""
    return any(call.name in LEAVES_TORCH for made in value.way_on(lambda *_: True) for call in made.readers)


def _arguments(lab: Experiments) -> dict[str, list[Value]]:
    """The tensors of each argument: a dict of a whole batch is read if one entry is."""
    forward = lab.model.forward if isinstance(lab.model, nn.Module) else lab.model
    try:
        signature = inspect.signature(forward)
    except (TypeError, ValueError):
        return {}
    bound, rest = signature.bind_partial(*lab.inputs.args, **lab.inputs.kwargs).arguments, iter(lab.baseline.inputs)
    named = {name: list(islice(rest, len(list(leaves(given))))) for name, given in bound.items()}
    return {name: values for name, values in named.items() if values}


def _loop(lab: Experiments) -> Unread | None:
    """A loop that takes as many steps as the batch has samples, or one, of which a cell starts from zeros."""
    taken: dict[tuple[int, int], dict[int, list[Call]]] = {}
    for call in lab.baseline.calls:
        for axis, at, reaches in _places(lab, call):
            source = call.inputs[0]
            taken.setdefault((source.index, axis), {}).setdefault(at % source.shape[axis], []).extend([call] * reaches)
    for (index, axis), places in taken.items():
        value = lab.baseline.values[index]
        steps = value.shape[axis]
        whole = (c for c in value.readers if value not in c.outputs and not list(_places(lab, c)))
        if any(_reads(lab, c) for c in whole):
            continue
        calls = [call for some in places.values() for call in some]
        lines = [call.line for call in calls]
        # A decoder that is fed all steps but the last takes N of N + 1 by chance.
        by_batch = 1 < lab.N < steps - 1 and set(places) == set(range(lab.N))
        if by_batch and max(map(lines.count, lines), default=0) >= lab.N - 1:
            return Unread("loop", value, calls[-1], read=lab.N, steps=steps)
        one = len(calls) == 1 and steps > 2 and steps != lab.N and len(value.shape) > 2
        if one and _only_step(lab, calls[0]):
            return Unread("loop", value, calls[-1], read=1, steps=steps)
    return None


def _only_step(lab: Experiments, call: Call) -> bool:
    """Whether what is taken is the only step that a cell reads, from a state of zeros."""
    made = {v.index for v in call.outputs}
    cells = [calls for calls in by_layer(lab) if calls[0].cell and made & lab.baseline.ancestors(calls[0].X)]
    return bool(cells) and all(len(calls) == 1 and from_zero(lab, calls[0]) for calls in cells)


def _places(lab: Experiments, call: Call) -> Iterator[tuple[int, int, bool]]:
    """The places of one axis that a call takes one by one: (axis, place, whether it reaches a result)."""
    if call.name == "unbind" and call.inputs:
        axis = call.argument(1, "dim", 0)
        for k, value in enumerate(call.outputs):
            yield axis % len(call.inputs[0].shape), k, value.index in lab.on_path
    elif (place := _single_index(call)) is not None:
        yield (*place, any(v.index in lab.on_path for v in call.outputs))


def _reads(lab: Experiments, call: Call) -> bool:
    """Whether a call takes elements of its tensors, and a result is made of them."""
    return not call.creates and any(v.index in lab.on_path for v in call.outputs)


def _single_index(call: Call) -> tuple[int, int] | None:
    """(axis, place) where a call takes one place of one axis: x[t], x[:, t], x[:, t:t + 1], select."""
    if call.name == "select" and [type(arg) for arg in call.args[1:]] == [int, int]:
        return call.args[1] % len(call.inputs[0].shape), call.args[2]
    if call.name != "__getitem__" or not call.inputs or call.args[0] is not call.inputs[0]:
        return None
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    cut = [(axis, item) for axis, item in enumerate(index) if item != slice(None)]
    if len(cut) != 1:
        return None
    axis, item = cut[0]
    if isinstance(item, slice) and isinstance(item.start, int) and item.stop == item.start + 1:
        item = item.start
    return (axis, item) if type(item) is int else None


def _first_only(lab: Experiments) -> Unread | None:
    """The only sequence of which no step but the first goes into a result."""
    slots = [slot for slot in lab.inputs.movable if slot.time is not None and isinstance(slot.value, Tensor)]
    if len(slots) != 1 or slots[0].tensor.size(axis := slots[0].time or 0) < 2:
        return None
    value = lab.baseline.inputs[slots[0].index]
    marks = torch.zeros(2, *value.shape, dtype=torch.bool, device="cpu")
    marks[0].narrow(axis, 0, 1).fill_(True)
    marks[1] = ~marks[0]
    parts, ends = reaching(lab, {value: marks}, ("first", "rest"))
    if ends != {"first"}:
        return None
    # From the results back: a loop takes its first step from all of them too, and goes on to the others.
    on_the_way = [call for call in lab.baseline.calls if any(v.index in lab.on_path for v in call.outputs)]
    return Unread("first", value, losing(parts, reversed(on_the_way)))


def from_zero(lab: Experiments, layer: LayerCall) -> bool:
    """Whether a call starts from zeros that the program made itself."""
    elements = [state.elements for state in layer.states.values()]
    return not any(e is None or bool(e.any()) for e in elements) and not from_outside(lab, layer)
