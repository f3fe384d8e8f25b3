"""The rules on steps and calls: layers that never recur, state that is kept, input that is never read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

import torch
from torch import Tensor, nn

from lstm_shapes.lab._words import layer_names, loop_line, signature_of, symbol, value_name
from lstm_shapes.lab.trace import CELLS, KERNELS, LEAVES_TORCH, Call, LayerCall, Value, Where, leaves
from lstm_shapes.lab.trace._families import PRODUCTS, names_in
from lstm_shapes.lab.trace._record import source_line
from lstm_shapes.language import counted

from ._blame import Blame, blame_of
from ._experiments import Experiments
from ._layout import differs
from ._provenance import by_layer, losing, reaching, settled
from ._rules_samples import mixing
from .report import Finding, Level, rule

_RESETS = ("reset", "init_hidden", "init_state", "clear", "zero_state", "detach", "repackage", "begin_state")
_LAYERS = PRODUCTS | names_in("conv1d conv2d conv3d")
_ZEROS = names_in("zeros zeros_like new_zeros")
_JOINS = names_in("cat concat hstack expand expand_as repeat unsqueeze to view reshape")
_INSERTS = names_in("unsqueeze view reshape __getitem__")
_TURNS = names_in("transpose permute contiguous to float squeeze")


# ---------------------------------------------------------------------- what a second call shows
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
    if first.error is not None or not lab.snapshot.changed():
        return Second()
    graph = any(t.requires_grad and t.grad_fn is not None for t in lab.kept_tensors())
    before = [t.detach().clone() for _, t in first.results]
    del first
    second = lab.again(lab.inputs.same())
    if second.error is not None:
        return Second()
    moved = [differs(a, b, lab.slack) for a, (_, b) in zip(before, second.results, strict=False)]
    changed = len(before) != len(second.results) or any(m is None or bool(m.any()) for m in moved)
    del before, moved, second
    if not (graph or changed):
        return Second()

    def starts_from_kept(layer: LayerCall) -> bool:
        outside = (v for v in from_outside(lab, layer) if v not in lab.baseline.inputs)
        return any(id(v.tensor) in lab.kept_ids for v in outside)

    # The first layer that starts from a tensor which was there before the call, or leaves one for the next.
    leaving = (layer for layer in lab.layers if any(lab.is_kept(v) for v in layer.outputs.values()))
    layer = next(chain(filter(starts_from_kept, lab.layers), leaving), None)
    if layer is None:
        return Second()
    if graph and _graphs_meet(lab):
        return Second("graph", layer)
    # The program can start anew: by a method that says so, or an input that is multiplied into the state.
    kinds = (kind for thing in (*lab.reached.modules.values(), *lab.reached.objects) for kind in type(thing).__mro__)
    own = {name for kind in kinds if not kind.__module__.startswith(("torch", "builtins")) for name in vars(kind)}
    resets = any(word in name for name in own for word in _RESETS)
    resets = resets or any(value in lab.baseline.inputs for value in from_outside(lab, layer))
    return Second("state", layer, resets) if changed else Second()


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


def from_outside(lab: Experiments, layer: LayerCall) -> list[Value]:
    """The tensors that no call has made, of which a call's states are made."""
    values = [lab.baseline.values[k] for k in lab.baseline.ancestors(*layer.states.values())]
    return [value for value in values if value.maker is None]


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
    signature = signature_of(lab.model)
    if not signature.parameters:
        return None
    rest = iter(trace.inputs)
    for name, given in signature.bind_partial(*lab.inputs.args, **lab.inputs.kwargs).arguments.items():
        values = list(islice(rest, len(list(leaves(given)))))  # a dict of a whole batch is read if one entry is
        read = any(v.index in results or _decides(v) or (v.index in trace.asked and not v.readers) for v in values)
        if values and not read:
            state = lab.ask(second_call_of).kind != "nothing"
            return Unread("argument", values[0], argument=name, keeps_state=state)
    return None


def _decides(value: Value) -> bool:
    """Whether numbers of a tensor leave torch, where they may decide what is computed."""
    return any(call.name in LEAVES_TORCH for made in value.way_on(lambda *_: True) for call in made.readers)


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
        whole = (c for c in value.readers if value not in c.outputs and not c.creates and not list(_places(lab, c)))
        if any(v.index in lab.on_path for c in whole for v in c.outputs):
            continue
        calls = [call for some in places.values() for call in some]
        lines = [call.line for call in calls]
        # A decoder that is fed all steps but the last takes N of N + 1 by chance.
        by_batch = 1 < lab.N < steps - 1 and set(places) == set(range(lab.N))
        if by_batch and max(map(lines.count, lines), default=0) >= lab.N - 1:
            return Unread("loop", value, calls[-1], read=lab.N, steps=steps)
        if len(calls) == 1 and steps > 2 and steps != lab.N and len(value.shape) > 2:
            # What is taken is the only step that a cell reads, from a state of zeros.
            made = {v.index for v in calls[0].outputs}
            cells = [some for some in by_layer(lab) if some[0].cell and made & lab.baseline.ancestors(some[0].X)]
            if cells and all(len(some) == 1 and from_zero(lab, some[0]) for some in cells):
                return Unread("loop", value, calls[-1], read=1, steps=steps)
    return None


def _places(lab: Experiments, call: Call) -> Iterator[tuple[int, int, bool]]:
    """The places of one axis that a call takes one by one: (axis, place, whether it reaches a result)."""
    if call.name == "unbind" and call.inputs:
        axis = call.argument(1, "dim", 0)
        for k, value in enumerate(call.outputs):
            yield axis % len(call.inputs[0].shape), k, value.index in lab.on_path
    elif (place := _single_index(call)) is not None:
        yield (*place, any(v.index in lab.on_path for v in call.outputs))


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


# ---------------------------------------------------------------------- layers that never recur
@rule("LS210", "no-recurrence")
def no_recurrence(lab: Experiments) -> Iterator[Finding]:
    """The sequence axis has one step by construction, so the recurrent weights never matter.

    With one step and a zero state, W_hh is multiplied by zero: the layer is a Linear with gates. This happens where a
    window of values is given as features, (N, 1, L) for (N, L, 1), and where a loop never passes its state on.

    Wrong and right::

      - rnn = nn.LSTM(9, 8, batch_first=True)
      + rnn = nn.LSTM(1, 8, batch_first=True)
      - model = lambda x: rnn(x.unsqueeze(1))[0][:, -1]
      + model = lambda x: rnn(x.unsqueeze(-1))[0][:, -1]
        inputs = (torch.randn(5, 9),)
    """
    if lab.baseline.error is not None:
        return
    for calls in by_layer(lab):
        layer, inputs = calls[0], lab.baseline.inputs
        if any(one.L > 1 or one.packed for one in calls) or _goes_on(lab, calls):
            continue
        looped = len({one.call.line for one in calls}) < len(calls)
        kept = (v for one in calls for v in from_outside(lab, one) if not v.parameter and v not in inputs)
        if looped and not any(kept):
            state = "h" if layer.cell else "state"
            title = f"{layer.called} starts each of its steps from nothing: the loop never passes its state on"
            measured = f"every call reads one step from a zero state, and {layer_names(layer)['hn']} goes nowhere"
            fix = f"probably {state} = {layer.called}(x_t, {state}): hand the state that came back to the next step"
            yield no_recurrence.finding(title, measured, fix, layer)
            return
        if not looped and not layer.cell and all(from_zero(lab, one) for one in calls):
            window = _window(layer.X)
            level: Level = "warning" if window is None else "error"
            title = f"{layer.called} reads one step from a zero state: nothing is remembered, W_hh never matters"
            measured = f"x {layer.X.shape} has L = 1 and {counted(layer.Q, 'feature')}"
            fix = "probably x.unsqueeze(-1) or view(N, L, 1) for a window of L values, and input_size=1; "
            fix += "or the state handed on from call to call"
            yield no_recurrence.finding(title, measured, fix, window or layer, level=level, layer=layer.name)
            return
    if settled(lab):
        yield from _from_zeros(lab)


def _goes_on(lab: Experiments, calls: list[LayerCall]) -> bool:
    """Whether a state that a call returns is kept, returned, or given to a later call."""
    later = lab.baseline.ancestors(*(state for layer in calls for state in layer.states.values()))
    given = {v.index for _, v in lab.baseline.results if not calls[0].cell} | later
    returned = [value for layer in calls for role, value in layer.outputs.items() if role != "Y"]
    return any(value.index in given or lab.is_kept(value) for value in returned)


def _window(value: Value) -> Call | None:
    """The view that made the axis of one step out of an input without one."""
    view = value.made_by(_INSERTS, _TURNS)
    before = view.inputs[0] if view is not None else value
    given = all(call.name in _TURNS for _, call in before.way_back()) and len(before.shape) < len(value.shape)
    return view if given and not any(call.name.startswith("conv") for call in before.readers) else None


def _from_zeros(lab: Experiments) -> Iterator[Finding]:
    """Weights that a loop uses at each step on zeros, where no weights of the loop read what an earlier step made."""
    loops: dict[tuple[object, ...], list[Call]] = {}
    for call in lab.baseline.calls:
        weights = [v.index for v in call.inputs if v.parameter]
        if call.name in _LAYERS | CELLS | KERNELS and weights and call.outputs:
            loops.setdefault((call.line, *weights), []).append(call)
    for calls in loops.values():
        if len(calls) < 3 or calls[0].name not in _LAYERS:
            continue
        together = [some for some in loops.values() if some[0].index < calls[1].index < some[-1].index]
        reaches = any(v.index in lab.on_path for v in calls[-1].outputs)
        made = [
            ({v.index for v in some[0].outputs}, [v for v in some[-1].inputs if not v.parameter]) for some in together
        ]
        recurs = any(first & lab.baseline.ancestors(*last) for first, last in made)
        if reaches and not recurs and all(map(_reads_zeros, calls)):
            title = "each step of the loop starts from zeros: it never passes its state on"
            measured = f"{symbol(calls[0].name)} reads zeros at all {len(calls)} steps"
            fix = "probably the state that the last step made, h, in the place of the zeros"
            yield no_recurrence.finding(title, measured, fix, calls[-1])
            return


def _reads_zeros(call: Call) -> bool:
    """Whether a product reads zeros that the program made itself, alone or joined with what else it reads."""
    waiting = [v for v in call.inputs if not v.parameter]
    for value in waiting:
        maker = value.maker
        if maker is not None and maker.name in _ZEROS and len(value.shape) > 1:
            if value.elements is not None and not bool(value.elements.any()):
                return True
        elif maker is not None and maker.name in _JOINS and len(waiting) < 12:
            waiting.extend(v for v in maker.inputs if not v.parameter)
    return False


# ---------------------------------------------------------------------- what is kept, and what is never read
@rule("LS211", "state-leak", blame_of, second_call_of)
def state_leak(blame: Blame | None, second: Second, lab: Experiments) -> Iterator[Finding]:
    """State is carried between sequences that have nothing to do with each other.

    The state that a layer returns belongs to the sequence that it has read. Handed to the next sequence, or kept from
    one call to the next without a reset, it makes a row depend on what came before it. Kept without detach it also
    keeps the graph of the call before, and the second backward raises.

    Wrong and right::

        rnn = nn.LSTM(5, 8)
        def model(x):
      -     state, rows = None, []
      +     rows = []
            for sequence in x:
      -         Y, state = rnn(sequence.unsqueeze(1), state)
      +         Y, state = rnn(sequence.unsqueeze(1))
                rows.append(Y[-1, 0])
            return torch.stack(rows)
        inputs = (torch.randn(4, 6, 5),)
    """
    yield from mixing("LS211", blame, lab)
    if (layer := second.layer) is not None and second.kind == "state" and not second.resets:  # with its graph: LS109
        title = f"{layer.called} goes on from the state that the last call left"
        measured = "the same inputs give another result in a second call; nothing that resets the state was seen"
        fix = "probably a reset (zeros, None) where a new sequence begins; leave it where calls continue one sequence"
        yield state_leak.finding(title, measured, fix, layer, level="warning")


@rule("LS213", "unused-input", unread_of)
def unused_input(unread: Unread | None, lab: Experiments) -> Iterator[Finding]:
    """Part of the input (steps, samples, features) cannot influence the output.

    The first step of a one-directional layer has read one step: Y[:, 0] knows nothing of the rest. A loop over
    range(x.size(0)) runs over the batch's size, and with fewer samples than steps never reads the last steps.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
      - model = lambda x: rnn(x)[0][:, 0]
      + model = lambda x: rnn(x)[0][:, -1]
    """
    if unread is None:
        return
    name, shape = value_name(unread.value), unread.value.shape
    level: Level = "error"
    where = unread.call.where if unread.call is not None else None
    if unread.kind == "argument":
        title = f"{unread.argument} is never read: it cannot influence the result"
        measured, level = "no call on the way to the result takes it", "warning"
        function = lab.model.forward if isinstance(lab.model, nn.Module) else lab.model
        code = getattr(function, "__code__", None)
        if code is not None:  # where the program's own function is defined
            file, line = code.co_filename, code.co_firstlineno
            where = Where(file, line, source_line(file, line), code.co_name)
        fix = "probably it was meant to be used; leave the argument out if not"
        if unread.keeps_state:
            fix = f"probably reset the state that is kept where {unread.argument} says that a sequence starts"
    elif unread.kind == "first":
        title = f"only the first step of {name} can influence the result"
        measured = f"of {name} {shape} nothing but the first step goes into the result"
        fix = "probably a loop over all steps, range(x.size(1)), or the last step in the place of the first"
    else:
        title = f"the loop takes {unread.read} of {unread.steps} steps"
        title += ": it runs over the batch's size" if unread.read == lab.N else ""
        measured = f"of {name} {shape} the places behind {unread.read - 1} are not read, and N is {lab.N}"
        fix = "probably range(x.size(1)), or for x_t in x.unbind(1): the steps are axis 1 of (N, L, ·)"
        where = loop_line(where)
    yield unused_input.finding(title, measured, fix, where, level=level)


@rule("LS301", "dropout-one-layer")
def dropout_one_layer(lab: Experiments) -> Iterator[Finding]:
    """Dropout on a one-layer recurrent module does nothing.

    The dropout argument drops the outputs of every layer but the last. With num_layers=1 there is no such layer.

    Wrong and right::

      - import warnings
      - with warnings.catch_warnings():
      -     warnings.simplefilter("ignore")
      -     rnn = nn.LSTM(5, 8, batch_first=True, dropout=0.5)
      + rnn, drop = nn.LSTM(5, 8, batch_first=True), nn.Dropout(0.5)
      - model = lambda x: rnn(x)[0]
      + model = lambda x: drop(rnn(x)[0])
    """
    for layer in {id(layer.module): layer for layer in reversed(lab.layers)}.values():
        rate = float(getattr(layer.module, "dropout", 0.0) or 0.0)
        if rate and layer.K == 1 and not layer.cell:
            title = f"dropout={rate} of {layer.called} does nothing: it sits between stacked layers, and there is one"
            fix = f"nn.Dropout({rate}) behind the layer, num_layers=2 or more, or dropout=0: "
            fix += layer.constructor(dropout=0)
            measured = f"num_layers = 1, dropout = {rate}"
            yield dropout_one_layer.finding(title, measured, fix, layer, level="note")
