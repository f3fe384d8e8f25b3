"""The rules on states and outputs: wrong rows, cell for hidden, half-read directions, state that is kept or lost."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lstm_shapes.display._numbers import counted
from lstm_shapes.lab._words import append_line, last_step, layer_names, loop_line, symbol, value_name
from lstm_shapes.lab.trace import LayerCall, Where
from lstm_shapes.lab.trace._where import source_line

from ._blame import Blame, blame_of
from ._experiments import Experiments
from ._kept import NoRecurrence, Second, Unread, recurrence_of, second_call_of, unread_of
from ._rules_samples import on_batch_axis
from ._states import Cell, Reading, Rows, cell_of, readings_of, rows_of
from .report import Finding, Level
from .rule import RULES, also, rule


@rule("LS203", "half-read-direction", readings_of)
def half_read_direction(reading: Reading | None, lab: Experiments) -> Iterator[Finding]:
    """A bidirectional layer's output is read at a step where one direction has seen only one step.

    Y[:, t] joins what the forward direction has read up to t and what the backward direction has read from the end back
    to t. At the last step the backward half has seen that step alone, at the first step the forward half. The ends of
    both directions are hn[-2] and hn[-1].

    Wrong::

        rnn, head = nn.GRU(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)
        model = lambda x: head(rnn(x)[0][:, -1])
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.GRU(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)
        def model(x):
            hn = rnn(x)[1]
            return head(torch.cat((hn[-2], hn[-1]), dim=1))
        inputs = (torch.randn(4, 7, 5),)
    """
    if reading is None or reading.half == "only" or reading.step == "pairs":
        return
    layer, step, half = reading.layer, reading.step, reading.half
    names = layer_names(layer)
    level: Level = "error"
    Y, hn, H, shown = names["Y"], names["hn"], layer.H, f"{names['Y']} {layer.outputs['Y'].shape} of {layer.called}"
    if step == "none":
        title = f"the {half} half of {Y} is never read"
        measured = f"{shown} has the forward direction in front; of the {half} one nothing reaches the result"
        fix = f"probably both: {Y}[..., :{H}] is forward, {Y}[..., {H}:] backward"
        level = "warning" if reading.meant else "error"
    else:
        title = f"the {step} step of {Y} is read, where the {half} direction has seen one step"
        reaches = "the result" if reading.starts is None else f"the state that {reading.starts.called} starts from"
        measured = f"{shown} reaches {reaches} at the {step} step alone, and its {half} half has read {layer.L} steps "
        measured += f"only at the {'first' if step == 'last' else 'last'} one"
        fix = f"probably torch.cat(({hn}[-2], {hn}[-1]), dim=1), the ends of both directions, of width {2 * H}"
    yield half_read_direction.finding(title, measured, fix, reading.call.where, level=level, layer=layer.name)


@rule("LS205", "wrong-state-row", blame_of, rows_of)
def wrong_state_row(blame: Blame | None, rows: Rows | None, lab: Experiments) -> Iterator[Finding]:
    """A row of hn or cn is used that is not the one meant.

    hn is (K·R, N, H), layer-major, forward before backward, in both layouts: hn[-1] is the top layer (its backward
    direction, if there are two), hn[0] the bottom one, hn[:, 0] the first sample.

    Wrong::

        rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[1][0])
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[1][-1])
        inputs = (torch.randn(4, 7, 5),)
    """
    if blame is not None and blame.state and blame.maker is not None and blame.kind != "order":
        title, measured, fix = on_batch_axis(blame, lab)
        yield wrong_state_row.finding(title, measured, fix, blame.call.where, layer=blame.maker.name)
    if rows is None or rows.problem not in ("lower", "handed", "kept", "unread", "crossed", "twice"):
        return
    layer, name = rows.layer, layer_names(rows.layer).get(rows.role, "hn")
    K, R, reader = layer.K, layer.R, rows.reader.called if rows.reader is not None else ""
    what = f"{name} {layer.outputs['hn'].shape} of {layer.called}, (K·R, N, H) with K = {K}, R = {R}"
    top = f"row {K * R - 1}" if R == 1 else f"rows {K * R - 2} (forward) and {K * R - 1} (backward)"
    fix = f"{name}[-1], the top layer's row"
    if R == 2:
        fix = f"torch.cat(({name}[-2], {name}[-1]), dim=-1), the top layer's two directions"
    if rows.problem == "lower":
        read = f"row {rows.rows[0]} of {name} is" if len(rows.rows) == 1 else f"rows {list(rows.rows)} of {name} are"
        title = f"{read} read, not the top layer's"
        measured = f"of {what}, rows {list(rows.rows)} reach the result; the top layer is {top}"
    elif rows.problem == "twice":
        title = f"the same rows of {name} are joined with themselves"
        measured = f"of {what}, both parts are of one direction, row {rows.rows[0]}; the top layer is {top}"
    elif rows.problem == "kept":
        title = f"the result still has the {K * R} rows of {name} as an axis"
        measured = f"{what}: index k of the result belongs to row k, a layer or direction each"
    elif rows.problem == "unread":
        title = f"{reader} is computed and never read: {layer.called} is read in its place"
        measured = f"the state of {layer.called} reaches the result, and the layer that reads it has no other use"
        fix = "the state of the top layer, states[-1]"
    elif rows.problem == "crossed":
        title = f"{reader} goes on from the state of {layer.called}, another layer"
        measured = f"at each step but the first its state is the one that {layer.called} returned, not its own"
        fix = f"a state of its own for each layer: the one that {reader} returned at the step before"
    elif rows.reader is not None:
        title = f"{reader} starts from the wrong rows of {name}"
        taken = "; ".join(f"row {k} from {list(row)}" for k, row in enumerate(rows.by_row))
        measured = f"{what}, layer-major; {reader} (K = {rows.reader.K}, R = {rows.reader.R}) gets {taken}"
        fix = _handed_fix(name, layer, rows.reader.K)
    yield wrong_state_row.finding(title, measured, f"probably {fix}", rows.call.where, layer=layer.name)


def _handed_fix(name: str, layer: LayerCall, K: int) -> str:
    if layer.R == 2:
        joined = f"torch.cat(({name}[0::2], {name}[1::2]), dim=2) into a layer twice as wide"
        return f"the directions of each layer: {joined}, or {name}.view({layer.K}, 2, N, H).sum(1)"
    return f"{name} as it is, layer k to layer k" if K == layer.K else f"{name}[-{K}:], the top rows"


@rule("LS206", "cell-for-hidden", rows_of, cell_of)
def cell_for_hidden(rows: Rows | None, cell: Cell | None, lab: Experiments) -> Iterator[Finding]:
    """The cell state cn is used where hn was meant, or the two are exchanged.

    An LSTM returns (hn, cn), and its cell (h, c), in this order. The hidden state h = o · tanh(c) is the output; the
    cell state c is the memory behind it, unbounded and not gated by the output gate.

    Wrong::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[1][1][-1])
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[1][0][-1])
        inputs = (torch.randn(4, 7, 5),)
    """
    exchanged = rows is not None and rows.problem in ("exchanged", "given", "lost")
    if cell is not None and not exchanged:
        layer, name = cell.layer, value_name(cell.state)
        c, h = (name, "h") if layer is None else (layer_names(layer)["cn"], layer_names(layer)["hn"])
        whose = "a hand-written LSTM" if layer is None else layer.called
        title = f"{c}, the cell state of {whose}, is read where the hidden state {h} is meant"
        measured = f"{c} reaches the result; {h} and the output reach it nowhere but through the recurrence"
        fix = f"probably {h} in the place of {c}: a layer returns (hn, cn), h first, and hn[-1] is the top layer's"
        if layer is None:
            measured = f"{c} is f · c + i · g and leaves the loop; o · tanh({c}) reaches nothing but the next step"
            fix = f"probably h in the place of {c}: h = o · tanh({c}) is what a cell puts out"
        where = append_line(cell.call)
        yield cell_for_hidden.finding(title, measured, fix, where, layer="" if layer is None else layer.name)
    if rows is None or not exchanged:
        return
    names, called = layer_names(rows.layer), rows.layer.called
    if rows.problem == "given":
        came = rows.role == "h0"
        title = f"{called} {'gets' if came else 'gives back'} the states h and c in the other order"
        orders = ("(c, h)", "(h, c)") if came else ("(h, c)", "(c, h)")
        measured = f"the states come in as {orders[0]} and go out as {orders[1]}"
        fix = "probably (h, c) in both: a caller hands the states back in the order in which they came"
    elif rows.problem == "lost":
        title = f"{called} never goes on from its own {rows.role}: it is lost at each step"
        measured = f"{rows.role[0]}0 is the same tensor at each step, while the other state goes on"
        fix = "probably h, c = cell(x_t, (h, c)): both states go on"
    else:
        title = f"{rows.reader.called if rows.reader is not None else called} starts with h0 and c0 exchanged"
        measured = f"its h0 is made of {names['cn']} and its c0 of {names['hn']} of {called}"
        fix = f"probably ({names['hn']}, {names['cn']}), in the order (hn, cn) in which they came back: h, c = …"
    yield cell_for_hidden.finding(title, measured, fix, rows.call.where, layer=rows.layer.name)


@also(readings_of)
def neighbours_added(reading: Reading | None, lab: Experiments) -> Iterator[Finding]:
    """LS202: the two directions of Y are to be added, and a view adds neighbours of one."""
    if reading is None or reading.step != "pairs":
        return
    call, H = reading.call, reading.layer.H
    name, (before, after) = value_name(call.inputs[0], call), (call.inputs[0].shape, call.outputs[0].shape)
    title = f"{call.name} puts neighbours of one direction side by side, not the two directions"
    measured = f"{name} {before} is (…, R·H), forward half first; as {after} it is cut into pairs"
    fix = f"probably {name}.unflatten(-1, (2, {H})).sum(-2): the directions are the outer axis of the two"
    yield RULES["LS202"].finding(title, measured, fix, call.where, layer=reading.layer.name)


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


@rule("LS213", "unused-input", readings_of, unread_of)
def unused_input(reading: Reading | None, unread: Unread | None, lab: Experiments) -> Iterator[Finding]:
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
    if reading is not None and reading.half == "only":
        layer = reading.layer
        name = layer_names(layer)["Y"]
        title = f"only the first step of {name} is read: the other {layer.L - 1} steps influence nothing"
        measured = f"{name} {layer.outputs['Y'].shape} of {layer.called} reaches the result at step 0 alone"
        fix = f"probably {last_step(layer)}, the last step, which has read them all"
        yield unused_input.finding(title, measured, fix, reading.call.where, layer=layer.name)
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
