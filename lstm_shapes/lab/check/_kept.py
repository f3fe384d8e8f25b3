"""What a call keeps and what it never reads: a second call, arguments that reach nothing, layers that never recur."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from torch import Tensor, nn

from lstm_shapes.lab.trace import LEAVES_TORCH, Call, LayerCall, Value, leaves

from ._compare import differs
from ._experiments import Experiments
from ._samples import samples_of

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
    graph = _any_graph(lab)
    before = [t.detach().clone() for _, t in first.results]
    del first
    second = lab.again(lab.inputs.same())
    if second.error is not None:
        return Second("untested", why=f"the second call raises {type(second.error).__name__}: {second.error}")
    after = [t for _, t in second.results]
    moved = [differs(a, b, lab.slack) for a, b in zip(before, after, strict=False)]
    changed = len(before) != len(after) or any(m is None or bool(m.any()) for m in moved)
    del before, after, moved, second
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
    """The first layer that starts from a tensor which was there before the call, or leaves one for the next."""
    inputs = {value.index for value in lab.baseline.inputs}
    for layer in lab.layers:
        for state in layer.states.values():
            outside = [lab.baseline.values[i] for i in lab.baseline.ancestors(state)]
            if any(v.maker is None and v.index not in inputs and id(v.tensor) in lab.kept_ids for v in outside):
                return layer
    return next((layer for layer in lab.layers if any(lab.is_kept(v) for v in layer.outputs.values())), None)


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
    """`argument`: a whole argument; `loop`, `same`, `one`: the steps of a tensor that a loop takes, of how many;
    `first`: all but the first."""

    kind: Literal["argument", "loop", "same", "one", "first"]
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
    steps = _loop(lab)
    if steps is not None or not trace.results or trace.unseen or not any(v.index in results for v in trace.inputs):
        return steps
    for name, values in _arguments(lab).items():
        if any(v.index in results or _decides(v) or (v.index in trace.asked and not v.readers) for v in values):
            continue
        state = lab.ask(second_call_of).kind in ("state", "graph")
        return Unread("argument", name, keeps_state=state, value=values[0])
    return None


def _decides(value: Value) -> bool:
    """Whether numbers of a tensor leave torch, where they may decide what is computed."""
    return any(call.name in LEAVES_TORCH for made in value.way_on(lambda *_: True) for call in made.readers)


def _arguments(lab: Experiments) -> dict[str, list[Value]]:
    """The tensors of each argument, by words for it: a dict of a whole batch is read if one entry is."""
    forward = lab.model.forward if isinstance(lab.model, nn.Module) else lab.model
    values = lab.baseline.inputs
    try:
        bound = inspect.signature(forward).bind_partial(*lab.inputs.args, **lab.inputs.kwargs).arguments
    except (TypeError, ValueError):
        return {f"input {k}": [value] for k, value in enumerate(values)}
    rest, named = iter(values), dict[str, list[Value]]()
    for name, given in bound.items():
        if (
            name
            and isinstance(given, tuple)
            and inspect.signature(forward).parameters[name].kind.name == "VAR_POSITIONAL"
        ):
            named |= {f"{name}[{k}]": list(islice(rest, len(list(leaves(one))))) for k, one in enumerate(given)}
        else:
            named[name] = list(islice(rest, len(list(leaves(given)))))
    return {name: mine for name, mine in named.items() if mine}


def _loop(lab: Experiments) -> Unread | None:
    """A loop that takes not all steps: as many as the batch has samples, or one and the same, or only one."""
    taken: dict[tuple[int, int], dict[int, list[Call]]] = {}
    for call in lab.baseline.calls:
        for axis, at, reaches in _places(lab, call):
            source = call.inputs[0]
            taken.setdefault((source.index, axis), {}).setdefault(at % source.shape[axis], []).extend([call] * reaches)
    for (index, axis), places in taken.items():
        value = lab.baseline.values[index]
        steps = value.shape[axis]
        if any(not list(_places(lab, c)) and _reads(lab, c) for c in value.readers if value not in c.outputs):
            continue
        used = {place: calls for place, calls in places.items() if calls}
        calls = [call for found in used.values() for call in found]
        lines = [call.line for call in calls]
        # A decoder that is fed all steps but the last takes N of N + 1 by chance.
        by_batch = 1 < lab.N < steps - 1 and set(places) == set(range(lab.N))
        if by_batch and max(map(lines.count, lines), default=0) >= lab.N - 1:
            return Unread("loop", value=value, call=calls[-1], read=lab.N, steps=steps)
        if len(used) == 1 and steps > 2:
            slot = next((s for s in lab.inputs.slots if value.origin == f"input {s.index}"), None)
            if slot is not None and slot.time == axis and len(lines) > 2 and len(set(lines)) == 1:
                return Unread("same", value=value, call=calls[-1], read=next(iter(used)), steps=steps)
            if len(value.shape) > 2 and steps != lab.N and _one_step(lab, calls):
                return Unread("one", value=value, call=calls[-1], read=next(iter(used)), steps=steps)
    return _first_only(lab)


def _one_step(lab: Experiments, calls: list[Call]) -> bool:
    """Whether what is taken is the only step that a cell reads, from a state of zeros."""
    made = {v.index for call in calls for v in call.outputs}
    cells = [layer for layer in lab.layers if layer.cell]
    own = [layer for layer in cells if made & lab.baseline.ancestors(layer.X)]
    return bool(own) and all(
        _zero(lab, layer) and sum(other.module is layer.module for other in cells) == 1 for layer in own
    )


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
    creates = call.name.startswith("new_") or call.name.endswith("_like")
    return not creates and any(v.index in lab.on_path for v in call.outputs)


def _single_index(call: Call) -> tuple[int, int] | None:
    """(axis, place) where a call takes one place of one axis: x[t], x[:, t], x[:, t:t + 1], select."""
    if call.name == "select" and len(call.args) > 2 and isinstance(call.args[1], int) and isinstance(call.args[2], int):
        return call.args[1] % len(call.inputs[0].shape), call.args[2]
    if call.name != "__getitem__" or not call.inputs or call.args[0] is not call.inputs[0]:
        return None
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    found = None
    for axis, item in enumerate(index):
        if item == slice(None):
            continue
        if isinstance(item, int) and not isinstance(item, bool) and found is None:
            found = (axis, item)
        elif isinstance(item, slice) and isinstance(item.start, int) and item.stop == item.start + 1 and found is None:
            found = (axis, item.start)
        else:
            return None
    return found


def _first_only(lab: Experiments) -> Unread | None:
    """Whether all steps of the only sequence but the first can be replaced without any result moving, in two ways."""
    slots = [slot for slot in lab.inputs.movable if slot.time is not None and isinstance(slot.value, Tensor)]
    if len(slots) != 1 or slots[0].tensor.size(slots[0].time or 0) < 2 or lab.inputs.lengths is not None:
        return None
    slot = slots[0]
    axis = slot.time or 0
    if slot.tensor.dim() > 3 or not any(_finite(v) for _, v in lab.results) or not lab.repeatable:
        return None  # NaN stays NaN, and whole numbers may stay what they are
    first = slot.tensor.narrow(axis, 0, 1)
    for seed, rest in ((3, True), (8, True), (5, False)):
        other = lab.inputs.other(slot, seed)
        if rest:
            other.narrow(axis, 0, 1).copy_(first)
        else:
            other = _copied(slot.tensor, other, axis)
        if _moves(lab, {slot.index: other}) is not (not rest):
            return None
    return Unread(
        "first", value=lab.baseline.inputs[slot.index], call=_last_pick(lab), read=1, steps=slot.tensor.size(axis)
    )


def _finite(value: Value) -> bool:
    """Whether a tensor holds numbers that could move."""
    elements = value.elements
    return elements is not None and elements.is_floating_point() and bool(elements.isfinite().any())


def _copied(tensor: Tensor, other: Tensor, axis: int) -> Tensor:
    """A tensor with its first step taken from another one."""
    made = tensor.detach().clone()
    made.narrow(axis, 0, 1).copy_(other.narrow(axis, 0, 1))
    return made


def _moves(lab: Experiments, values: dict[int, Tensor]) -> bool | None:
    """Whether any element of a result moves with other inputs, None where that cannot be said."""
    wanted = {value.index for _, value in lab.results}
    moved: list[bool] = []

    def compare(value: Value, tensor: Tensor) -> None:
        before = value.elements
        if value.index in wanted and before is not None:
            different = differs(before, tensor)
            moved.append(different is None or bool(different.any()))

    outcome = lab.follow(lab.inputs.replaced(values), compare)
    return None if outcome.error is not None or len(moved) < len(wanted) else any(moved)


def _last_pick(lab: Experiments) -> Call | None:
    """The call on the way that takes a first step, or the first that takes a single one."""
    picks = [call for call in lab.baseline.calls if any(v.index in lab.on_path for v in call.outputs)]
    firsts = [call for call in picks if (place := _single_index(call)) is not None and place[1] == 0]
    return firsts[-1] if firsts else next((call for call in picks if call.name in ("unbind", "__getitem__")), None)


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
        if any(layer.L > 1 or layer.packed for layer in calls) or any(_goes_on(lab, layer, calls) for layer in calls):
            continue
        looped = len({layer.call.line for layer in calls}) < len(calls)
        if looped and not any(_from_outside(lab, layer) for layer in calls):
            return NoRecurrence("loop", calls[0], calls[0].call)
        if looped or calls[0].cell or not all(_zero(lab, layer) for layer in calls):
            continue
        inserted = next(_inserting(calls[0].X), None)
        window = inserted is not None and _is_input(lab, inserted.inputs[0])
        return NoRecurrence("window" if window else "step", calls[0], inserted)
    return None


def _is_input(lab: Experiments, value: Value) -> bool:
    """Whether a value is an input as it came, or a view of it."""
    moves = ("transpose", "permute", "contiguous", "float", "to", "squeeze")
    while value.maker is not None and value.maker.name in moves:
        value = value.maker.inputs[0]
    return value in lab.baseline.inputs


def _from_outside(lab: Experiments, layer: LayerCall) -> bool:
    """Whether a call starts from a tensor that was kept from before the program ran."""
    values = [lab.baseline.values[i] for state in layer.states.values() for i in lab.baseline.ancestors(state)]
    return any(v.maker is None and not v.parameter and v not in lab.baseline.inputs for v in values)


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
