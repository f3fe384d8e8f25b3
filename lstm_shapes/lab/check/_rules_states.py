"""The rules on steps and calls: layers that never recur, state that is kept, input that is never read."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lstm_shapes.display._numbers import counted
from lstm_shapes.lab._words import layer_names, loop_line, symbol, value_name
from lstm_shapes.lab.trace import Where
from lstm_shapes.lab.trace._where import source_line

from ._blame import Blame, blame_of
from ._experiments import Experiments
from ._kept import NoRecurrence, Second, Unread, recurrence_of, second_call_of, unread_of
from .report import Finding, Level
from .rule import rule


@rule("LS210", "no-recurrence", recurrence_of)
def no_recurrence(found: NoRecurrence | None, lab: Experiments) -> Iterator[Finding]:
    """The sequence axis has one step by construction, so the recurrent weights never matter.

    With one step and a zero state, W_hh is multiplied by zero: the layer is a Linear with gates. This happens where a
    window of values is given as features, (N, 1, L) for (N, L, 1), and where a loop never passes its state on.

    Wrong::

        rnn = nn.LSTM(9, 8, batch_first=True)
        model = lambda x: rnn(x.unsqueeze(1))[0][:, -1]
        inputs = (torch.randn(5, 9),)

    Right::

        rnn = nn.LSTM(1, 8, batch_first=True)
        model = lambda x: rnn(x.unsqueeze(-1))[0][:, -1]
        inputs = (torch.randn(5, 9),)
    """
    if found is None:
        return
    layer = found.layer
    level: Level = "error"
    if layer is None:
        shape = found.zeros.shape if found.zeros is not None else ()
        title = "each step of the loop starts from zeros: it never passes its state on"
        measured = f"{symbol(found.call.name)} reads zeros {shape} at all {found.steps} steps"
        fix = "probably the state that the last step made, h, in the place of the zeros"
    elif found.kind == "loop":
        state = "h" if layer.cell else "state"
        title = f"{layer.called} starts each of its steps from nothing: the loop never passes its state on"
        measured = f"every call reads one step from a zero state, and {layer_names(layer)['hn']} goes nowhere"
        fix = f"probably {state} = {layer.called}(x_t, {state}): hand the state that came back to the next step"
    else:
        level = "warning" if found.kind == "step" else "error"
        title = f"{layer.called} reads one step from a zero state: nothing is remembered, W_hh never matters"
        measured = f"x {layer.X.shape} has L = 1 and {counted(layer.Q, 'feature')}"
        fix = "probably x.unsqueeze(-1) or view(N, L, 1) for a window of L values, and input_size=1; "
        fix += "or the state handed on from call to call"
    name = "" if layer is None else layer.name
    yield no_recurrence.finding(title, measured, fix, found.call.where, level=level, layer=name)


@rule("LS211", "state-leak", blame_of, second_call_of)
def state_leak(blame: Blame | None, second: Second, lab: Experiments) -> Iterator[Finding]:
    """State is carried between sequences that have nothing to do with each other.

    The state that a layer returns belongs to the sequence that it has read. Handed to the next sequence, or kept from
    one call to the next without a reset, it makes a row depend on what came before it. Kept without detach it also
    keeps the graph of the call before, and the second backward raises.

    Wrong::

        rnn = nn.LSTM(5, 8)
        def model(x):
            state, rows = None, []
            for sequence in x:
                Y, state = rnn(sequence.unsqueeze(1), state)
                rows.append(Y[-1, 0])
            return torch.stack(rows)
        inputs = (torch.randn(4, 6, 5),)

    Right::

        rnn = nn.LSTM(5, 8)
        def model(x):
            rows = []
            for sequence in x:
                Y, state = rnn(sequence.unsqueeze(1))
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

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, 0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(4, 7, 5),)
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


@rule("LS301", "dropout-one-layer", recurrence_of)
def dropout_one_layer(_: object, lab: Experiments) -> Iterator[Finding]:
    """Dropout on a one-layer recurrent module does nothing.

    The dropout argument drops the outputs of every layer but the last. With num_layers=1 there is no such layer.

    Wrong::

        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rnn = nn.LSTM(5, 8, batch_first=True, dropout=0.5)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, drop = nn.LSTM(5, 8, batch_first=True), nn.Dropout(0.5)
        model = lambda x: drop(rnn(x)[0])
        inputs = (torch.randn(4, 7, 5),)
    """
    for layer in {id(layer.module): layer for layer in reversed(lab.layers)}.values():
        rate = float(getattr(layer.module, "dropout", 0.0) or 0.0)
        if rate and layer.K == 1 and not layer.cell:
            title = f"dropout={rate} of {layer.called} does nothing: it sits between stacked layers, and there is one"
            fix = f"nn.Dropout({rate}) behind the layer, num_layers=2 or more, or dropout=0: "
            fix += layer.constructor(dropout=0)
            measured = f"num_layers = 1, dropout = {rate}"
            yield dropout_one_layer.finding(title, measured, fix, layer.call.where, level="note", layer=layer.name)
