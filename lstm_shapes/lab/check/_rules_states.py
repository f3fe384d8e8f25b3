"""The rules on steps and calls: layers that never recur, state that is kept, input that is never read."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lstm_shapes.lab._words import layer_names, loop_line, symbol, value_name
from lstm_shapes.lab.trace import CELLS, KERNELS, Call, LayerCall, Value, Where
from lstm_shapes.lab.trace._families import PRODUCTS, names_in
from lstm_shapes.lab.trace._record import source_line
from lstm_shapes.language import counted

from ._blame import Blame, blame_of
from ._experiments import Experiments
from ._kept import Second, Unread, from_outside, from_zero, second_call_of, unread_of
from ._states import by_layer, settled
from .report import Finding, Level
from .rule import rule

_LAYERS = PRODUCTS | names_in("conv1d conv2d conv3d")
_ZEROS = names_in("zeros zeros_like new_zeros")
_JOINS = names_in("cat concat hstack expand expand_as repeat unsqueeze to view reshape")
_INSERTS = names_in("unsqueeze view reshape __getitem__")
_TURNS = names_in("transpose permute contiguous to float squeeze")


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
            state, at = "h" if layer.cell else "state", layer.call.where
            title = f"{layer.called} starts each of its steps from nothing: the loop never passes its state on"
            measured = f"every call reads one step from a zero state, and {layer_names(layer)['hn']} goes nowhere"
            fix = f"probably {state} = {layer.called}(x_t, {state}): hand the state that came back to the next step"
            yield no_recurrence.finding(title, measured, fix, at, layer=layer.name)
            return
        if not looped and not layer.cell and all(from_zero(lab, one) for one in calls):
            window = _window(layer.X)
            level: Level = "warning" if window is None else "error"
            title = f"{layer.called} reads one step from a zero state: nothing is remembered, W_hh never matters"
            measured = f"x {layer.X.shape} has L = 1 and {counted(layer.Q, 'feature')}"
            fix = "probably x.unsqueeze(-1) or view(N, L, 1) for a window of L values, and input_size=1; "
            fix += "or the state handed on from call to call"
            at = (window or layer.call).where
            yield no_recurrence.finding(title, measured, fix, at, level=level, layer=layer.name)
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
        zeros = [_reads_zeros(call) for call in calls]
        together = [some for some in loops.values() if some[0].index < calls[1].index < some[-1].index]
        reaches = any(v.index in lab.on_path for v in calls[-1].outputs)
        if all(zeros) and reaches and not any(_recurs(lab, some) for some in together):
            title = "each step of the loop starts from zeros: it never passes its state on"
            measured = f"{symbol(calls[0].name)} reads zeros at all {len(calls)} steps"
            fix = "probably the state that the last step made, h, in the place of the zeros"
            yield no_recurrence.finding(title, measured, fix, calls[-1].where)
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


def _recurs(lab: Experiments, calls: list[Call]) -> bool:
    """Whether the last of these calls reads what the first one made."""
    made = {v.index for v in calls[0].outputs}
    return bool(made & lab.baseline.ancestors(*(v for v in calls[-1].inputs if not v.parameter)))


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
    if blame is not None and blame.kind == "carried" and blame.layer is not None:
        called = blame.layer.called
        title = f"{called} starts a sequence from the state that another sequence left"
        measured = f"x {blame.value.shape} is one sample, and its h0 was made from others"
        fix = f"probably reset the state for each sequence: call {called} without a state, or with zeros"
        yield state_leak.finding(title, measured, fix, blame.call.where, layer=blame.layer.name)
    if (layer := second.layer) is not None and second.kind == "state" and not second.resets:  # with its graph: LS109
        title = f"{layer.called} goes on from the state that the last call left"
        measured = "the same inputs give another result in a second call; nothing that resets the state was seen"
        fix = "probably a reset (zeros, None) where a new sequence begins; leave it where calls continue one sequence"
        yield state_leak.finding(title, measured, fix, layer.call.where, level="warning", layer=layer.name)


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
    where = unread.call.where if unread.call is not None else None
    level: Level = "error"
    if unread.kind == "argument":
        title = f"{unread.argument} is never read: it cannot influence the result"
        measured, where, level = "no call on the way to the result takes it", _definition(lab), "warning"
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


def _definition(lab: Experiments) -> Where | None:
    """Where the program's own function is defined."""
    function = lab.model.forward if isinstance(lab.model, nn.Module) else lab.model
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    file, line = code.co_filename, code.co_firstlineno
    return Where(file, line, source_line(file, line), code.co_name)


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
            yield dropout_one_layer.finding(title, measured, fix, layer.call.where, level="note", layer=layer.name)
