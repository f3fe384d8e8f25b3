"""What a call keeps and what it never reads: a second call, arguments that reach nothing, layers that never recur."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from lstm_shapes.lab.trace import Call, LayerCall, Value

from .compare import differs
from .experiments import Experiments
from .provenance import follow_parts
from .samples import samples_of

__all__ = ["NoRecurrence", "Second", "Unread", "recurrence_of", "second_call_of", "unread_of"]


@dataclass(frozen=True, slots=True)
class Second:
    """What a second call showed: state with its graph, or state that changes the result (None: nothing is kept)."""

    kind: Literal["graph", "state", "nothing", "untested"]
    layer: LayerCall | None = None
    why: str = ""
    resets: bool = False


def second_call_of(lab: Experiments) -> Second:
    """A call after a call, with what the first one kept: does the result change, and can both be trained?"""
    if lab.baseline.error is not None:
        return Second("untested", why="the program stops with an exception")
    lab.says("a second call")
    first = lab.plain(lab.inputs.same())
    if first.error is not None:
        return Second("untested", why=f"the program raises {type(first.error).__name__} the second time it runs")
    if not lab.state_changed():
        return Second("nothing")
    before = [t.detach().clone() for _, t in first.results]
    graph = _any_graph(lab)
    second = lab.again(lab.inputs.same())
    if second.error is not None:
        return Second("untested", why=f"the second call raises {type(second.error).__name__}: {second.error}")
    after = [t for _, t in second.results]
    moved = [differs(a, b, lab.slack) for a, b in zip(before, after, strict=False)]
    changed = len(before) != len(after) or any(m is None or bool(m.any()) for m in moved)
    layer = _starting_from_kept(lab)
    if layer is None:
        return Second("nothing")
    if graph and _graphs_meet(lab):
        return Second("graph", layer)
    return Second("state", layer, resets=_resets(lab, layer)) if changed else Second("nothing")


def _any_graph(lab: Experiments) -> bool:
    return any(t.requires_grad and t.grad_fn is not None for t in lab.kept_tensors())


def _graphs_meet(lab: Experiments) -> bool:
    """Whether backward through a second call reaches into the first one's graph."""
    import torch

    with torch.enable_grad():
        losses = []
        for turn in range(2):
            outcome = lab.plain(lab.inputs.same()) if turn == 0 else lab.again(lab.inputs.same())
            tensors = [t for _, t in outcome.results if t.requires_grad and t.is_floating_point()]
            if outcome.error is not None or not tensors:
                return False
            losses.append(torch.stack([t.float().sum() for t in tensors]).sum())
            try:
                torch.autograd.grad(losses[-1], _leaves(lab), allow_unused=True)
            except RuntimeError as error:
                return turn == 1 and "second time" in str(error)
    return False


def _leaves(lab: Experiments) -> list[Tensor]:
    found = [p for m in lab.reached.modules.values() for p in m.parameters() if p.requires_grad]
    return list({id(p): p for p in found}.values())


def _starting_from_kept(lab: Experiments) -> LayerCall | None:
    """The first layer that starts from a tensor which was there before the call."""
    inputs = {value.index for value in lab.baseline.inputs}
    for layer in lab.layers:
        for state in layer.states.values():
            ancestors = lab.baseline.ancestors(state)
            outside = [lab.baseline.values[i] for i in ancestors if lab.baseline.values[i].maker is None]
            if any(not v.parameter and v.index not in inputs and id(v.tensor) in lab.kept_ids for v in outside):
                return layer
    return next((layer for layer in lab.layers if not layer.states or _from_nothing(lab, layer)), None)


def _from_nothing(lab: Experiments, layer: LayerCall) -> bool:
    inputs = {value.index for value in lab.baseline.inputs}
    return all(not (lab.baseline.ancestors(state) & inputs) for state in layer.states.values())


def _resets(lab: Experiments, layer: LayerCall) -> bool:
    """Whether the program can start anew: a method that says so, or an input that is multiplied into the state."""
    words = ("reset", "init_hidden", "init_state", "clear", "zero_state", "detach", "repackage", "begin_state")
    things = (*lab.reached.modules.values(), *lab.reached.objects)
    own = {
        name
        for thing in things
        for kind in type(thing).__mro__
        if not kind.__module__.startswith(("torch", "builtins"))
        for name in vars(kind)
    }
    if any(word in name for name in own for word in words):
        return True
    inputs = {value.index for value in lab.baseline.inputs}
    return any(lab.baseline.ancestors(state) & inputs for state in layer.states.values())


# ---------------------------------------------------------------------- arguments and steps that are never read
@dataclass(frozen=True, slots=True)
class Unread:
    """`argument`: a whole argument; `steps`: the steps of an input that a loop reads, of how many, and its line."""

    argument: str = ""
    keeps_state: bool = False
    value: Value | None = None
    call: Call | None = None
    read: int = 0
    steps: int = 0


def unread_of(lab: Experiments) -> Unread | None:
    """The first argument no part of which reaches a result, or a loop that runs over the batch's size."""
    if lab.baseline.error is not None or lab.ask(samples_of).kind in ("mixed", "dropped"):
        return None
    trace = lab.baseline
    results = trace.ancestors(*(value for _, value in trace.results))
    if not trace.results or trace.unseen or not any(v.index in results for v in trace.inputs):
        return _loop(lab)
    names = _argument_names(lab)
    for k, value in enumerate(trace.inputs):
        if value.index in results or value.readers or value.index in trace.asked:
            continue
        name = names[k] if k < len(names) else f"input {k}"
        return Unread(argument=name, keeps_state=lab.ask(second_call_of).kind in ("state", "graph"), value=value)
    return _loop(lab)


def _argument_names(lab: Experiments) -> list[str]:
    """Names of the arguments that hold the inputs, `input 1 (done)`."""
    forward = lab.model.forward if isinstance(lab.model, nn.Module) else lab.model
    try:
        bound = inspect.signature(forward).bind_partial(*lab.inputs.args, **lab.inputs.kwargs).arguments
    except (TypeError, ValueError):
        return []
    from lstm_shapes.lab.trace import tensors_of

    found: list[str] = []
    for k, (name, value) in enumerate(bound.items()):
        found += [f"input {k} ({name})"] * len(list(tensors_of(value)))
    return found


def _loop(lab: Experiments) -> Unread | None:
    """A loop of cells over range(x.size(0)) where size(1) was meant: it reads exactly N of the L steps."""
    import torch

    for value, slot in zip(lab.baseline.inputs, lab.inputs.slots, strict=False):
        if slot.time is None or slot.batch is None or not isinstance(slot.value, Tensor) or value.shape[slot.time] < 2:
            continue
        L = value.shape[slot.time]
        if lab.N >= L or L > 512:
            continue
        marks = torch.zeros(L, *value.shape)
        for t in range(L):
            marks[t].select(slot.time, t).fill_(1)
        parts = follow_parts(lab.baseline, {value: marks}, tuple(range(L)), lab.on_path)
        ends = [v for _, v in parts.read] + [v for _, v in lab.results if v.index in parts.held]
        read = set().union(*(parts.of(v) for v in ends), set())
        if read == set(range(lab.N)):
            picks = [
                call
                for call in lab.baseline.calls
                if call.name in ("__getitem__", "select", "unbind") and any(v.index in parts.held for v in call.inputs)
            ]
            repeated = [call for call in picks if sum(other.line == call.line for other in picks) == lab.N]
            if repeated:
                return Unread(value=value, call=repeated[-1], read=lab.N, steps=L)
    return None


# ---------------------------------------------------------------------- recurrence
@dataclass(frozen=True, slots=True)
class NoRecurrence:
    """A layer whose every call reads one step from a zero state: `window`, `loop`, or `step` (the data have one)."""

    kind: Literal["window", "loop", "step"]
    layer: LayerCall
    call: Call | None = None


def recurrence_of(lab: Experiments) -> NoRecurrence | None:
    """The first layer whose recurrent weights never matter."""
    if lab.baseline.error is not None:
        return None
    groups: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        groups.setdefault(id(layer.module), []).append(layer)
    for calls in groups.values():
        if any(layer.L > 1 or layer.packed for layer in calls) or not all(_zero(lab, layer) for layer in calls):
            continue
        if any(_goes_on(lab, layer, calls) for layer in calls):
            continue
        if len({layer.call.line for layer in calls}) < len(calls):
            return NoRecurrence("loop", calls[0], calls[0].call)
        if calls[0].cell:
            continue
        inserted = next(_inserting(calls[0].X), None)
        return NoRecurrence("window" if inserted is not None else "step", calls[0], inserted)
    return None


def _zero(lab: Experiments, layer: LayerCall) -> bool:
    """Whether a call starts from zeros that the program made itself."""
    inputs = {value.index for value in lab.baseline.inputs}
    for state in layer.states.values():
        elements = state.elements
        if elements is None or bool(elements.any()) or lab.baseline.ancestors(state) & inputs:
            return False
        if state.maker is None and not state.parameter:
            return False  # kept from somewhere else
    return True


def _goes_on(lab: Experiments, layer: LayerCall, calls: list[LayerCall]) -> bool:
    """Whether a state that a call returns is kept, returned, or given to a later call."""
    results = {value.index for _, value in lab.baseline.results}
    for role in ("hn", "cn"):
        value = layer.outputs.get(role)
        if value is None:
            continue
        if not layer.cell and (value.index in results or lab.is_kept(value)):
            return True
        later = [state for other in calls if other is not layer for state in other.states.values()]
        if any(value.index in lab.baseline.ancestors(state) for state in later):
            return True
        if layer.cell and lab.is_kept(value):
            return True
    return False


def _inserting(value: Value) -> Iterator[Call]:
    """The view that made the axis of one step out of data without one."""
    for _ in range(8):
        maker = value.maker
        if maker is None or not maker.inputs:
            return
        before = maker.inputs[0]
        if maker.name in ("unsqueeze", "view", "reshape", "__getitem__") and len(before.shape) < len(value.shape):
            if not any(call.name.startswith("conv") for call in before.readers):
                yield maker
            return
        if maker.name not in ("transpose", "permute", "contiguous", "to", "float"):
            return
        value = before

