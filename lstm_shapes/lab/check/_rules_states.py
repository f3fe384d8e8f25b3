"""The rules on states and outputs: wrong rows, cell for hidden, half-read directions, state that is kept or lost."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from lstm_shapes.display._numbers import counted
from lstm_shapes.lab._words import append_line, layer_names, loop_line, symbol, value_name
from lstm_shapes.lab.trace import Where
from lstm_shapes.lab.trace._where import source_line

from ._blame import Blame, blame_of
from ._experiments import Experiments
from ._kept import NoRecurrence, Second, Unread, recurrence_of, second_call_of, unread_of
from ._own_cells import OwnCell, own_cells_of
from ._rules_samples import on_batch_axis
from ._states import Reading, Rows, readings_of, rows_of
from .report import Finding, Level
from .rule import RULES, also, rule

__all__: list[str] = []


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
    if reading is None or reading.half == "only":
        return
    layer = reading.layer
    names = layer_names(layer)
    if reading.step == "pairs":
        return
    if reading.step == "none":
        title = f"the {reading.half} half of {names['Y']} is never read"
        shown = f"{names['Y']} {layer.outputs['Y'].shape} of {layer.called} has the forward direction in front"
        measured = f"{shown}, the backward one behind; of the {reading.half} one nothing reaches the result"
        fix = f"probably both: {names['Y']}[..., :{layer.H}] is forward, {names['Y']}[..., {layer.H}:] backward"
        level: Level = "warning" if reading.meant else "error"
        yield half_read_direction.finding(title, measured, fix, reading.call.where, level=level, layer=layer.name)
        return
    title = f"the {reading.step} step of {names['Y']} is read, where the {reading.half} direction has seen one step"
    shown, other = f"{names['Y']} {layer.outputs['Y'].shape}", "first" if reading.step == "last" else "last"
    reaches = "the result" if reading.starts is None else f"the state that {reading.starts.called} starts from"
    measured = (
        f"{shown} of {layer.called} reaches {reaches} at the {reading.step} step alone; "
        f"its {reading.half} half has read {layer.L} steps only at the {other} one"
    )
    hn = names["hn"] if names["hn"] != "_" else "hn"
    fix = f"probably torch.cat(({hn}[-2], {hn}[-1]), dim=1), the ends of both directions, of width {2 * layer.H}"
    yield half_read_direction.finding(title, measured, fix, reading.call.where, layer=layer.name)


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
    layer = rows.layer
    name = layer_names(layer).get("hn" if rows.problem == "handed" else rows.role, "hn")
    what = f"{name} {layer.outputs['hn'].shape} of {layer.called}, (K·R, N, H) with K = {layer.K}, R = {layer.R}"
    if rows.problem == "lower":
        title = f"{_spoken(rows)} of {name} {'is' if len(rows.rows) == 1 else 'are'} read, not the top layer's"
        measured = f"of {what}, rows {list(rows.rows)} reach the result; the top layer is {_top(layer)}"
        fix = f"probably {_top_fix(name, layer)}"
    elif rows.problem == "twice":
        title = f"the same row of {name} is joined with itself"
        measured = f"of {what}, both parts are row {rows.rows[0]}; the top layer is {_top(layer)}"
        fix = f"probably {_top_fix(name, layer)}"
    elif rows.problem == "kept":
        title = f"the result still has the {layer.K * layer.R} rows of {name} as an axis"
        measured = f"{what}: index k of the result belongs to row k, one for each {_each(layer)}"
        fix = f"probably {_top_fix(name, layer)}"
    elif rows.problem == "unread":
        unread = rows.reader.called if rows.reader else "the layer above"
        title = f"{unread} is computed and never read: {layer.called} is read in its place"
        measured = f"the state of {layer.called} reaches the result, and the layer that reads it has no other use"
        fix = "probably the state of the top layer, states[-1]"
    elif rows.problem == "crossed":
        assert rows.reader is not None
        title = f"{rows.reader.called} goes on from the state of {layer.called}, another layer"
        measured = f"at each step but the first its state is the one that {layer.called} returned, not its own"
        own = f"the one that {rows.reader.called} returned at the step before"
        fix = f"probably a state of its own for each layer: {own}"
    else:
        reader = rows.reader
        assert reader is not None
        title = f"{reader.called} starts from the wrong rows of {name}"
        taken = "; ".join(f"row {k} from {list(row)}" for k, row in enumerate(rows.by_row))
        gets = f"{reader.called} (K = {reader.K}, R = {reader.R}) gets {taken}"
        measured = f"{what}; {gets}: rows are layer-major, {_order(layer)}"
        fix = f"probably {_handed_fix(name, rows)}"
    yield wrong_state_row.finding(title, measured, fix, rows.call.where, layer=layer.name)


@rule("LS206", "cell-for-hidden", rows_of)
def cell_for_hidden(rows: Rows | None, lab: Experiments) -> Iterator[Finding]:
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
    if rows is None or rows.problem not in ("cell", "exchanged", "given", "lost"):
        return
    names = layer_names(rows.layer)
    hn, cn = names["hn"], names["cn"]
    if rows.problem == "cell":
        title = f"{cn}, the cell state of {rows.layer.called}, is read where the hidden state {hn} is meant"
        measured = f"{cn} reaches the result; {hn} and the output reach it nowhere but through the recurrence"
        fix = f"probably {hn} in the place of {cn}: the layer returns (hn, cn), h first; {hn}[-1] is the top layer's"
    elif rows.problem == "given":
        came = rows.role == "h0"
        title = f"{rows.layer.called} {'gets' if came else 'gives back'} the states h and c in the other order"
        shown = "its h0 is made of the second state that is handed in, its c0 of the first"
        back = "the states come in as (h, c) and go out as (c, h)"
        measured = shown if came else back
        fix = "probably (h, c) in both: a caller hands the states back in the order in which they came"
    elif rows.problem == "lost":
        assert rows.reader is not None
        called, word, role = (
            rows.reader.called,
            ("h", "hidden state") if rows.role == "hn" else ("c", "cell state"),
            rows.role,
        )
        title = f"{called} never goes on from its own {word[1]}: {role} of a step is lost"
        measured = f"at each step but the first, {word[0]}0 holds nothing of the {role} that the step before returned"
        fix = "probably h, c = cell(x_t, (h, c)): both states go on"
    else:
        assert rows.reader is not None
        title = f"{rows.reader.called} starts with h0 and c0 exchanged"
        measured = f"its h0 is made of {cn} and its c0 of {hn} of {rows.layer.called}"
        fix = f"probably ({hn}, {cn}), in the order (hn, cn) in which they came back: h, c = …"
    where = append_line(rows.call) if rows.problem == "cell" else rows.call.where
    yield cell_for_hidden.finding(title, measured, fix, where, layer=rows.layer.name)


@also(readings_of)
def neighbours_added(reading: Reading | None, lab: Experiments) -> Iterator[Finding]:
    """LS202: the two directions of Y are to be added, and a view adds neighbours of one."""
    if reading is None or reading.step != "pairs":
        return
    layer, call = reading.layer, reading.call
    H, name = layer.H, value_name(call.inputs[0], call)
    title = f"{call.name} puts neighbours of one direction side by side, not the two directions"
    shapes = call.inputs[0].shape, call.outputs[0].shape
    measured = f"{name} {shapes[0]} is (…, R·H), forward half first; as {shapes[1]} it is cut into pairs"
    fix = f"probably {name}.unflatten(-1, (2, {H})).sum(-2): the directions are the outer axis of the two"
    yield RULES["LS202"].finding(title, measured, fix, call.where, layer=layer.name)


@also(own_cells_of)
def own_cells(cell: OwnCell | None, lab: Experiments) -> Iterator[Finding]:
    """LS206 and LS210 in cells that are written by hand."""
    if cell is None:
        return
    if cell.problem == "cell":
        name = value_name(cell.state)
        title = f"{name}, the cell state of a hand-written LSTM, is read where the hidden state h is meant"
        measured = f"{name} is f · c + i · g and leaves the loop; o · tanh({name}) reaches nothing but the next step"
        fix = f"probably h in the place of {name}: h = o · tanh({name}) is what a cell puts out"
        yield cell_for_hidden.finding(title, measured, fix, append_line(cell.call))
    else:
        title = "each step of the loop starts from zeros: it never passes its state on"
        shown = f"{symbol(cell.call.name)} reads zeros {cell.state.shape} at all {cell.steps} steps"
        measured = f"{shown}, and no weights of the loop read what an earlier step made"
        fix = "probably the state that the last step made, h, in the place of the zeros"
        yield no_recurrence.finding(title, measured, fix, cell.call.where)


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
    called = layer.called
    if found.kind == "loop":
        title = f"{called} starts each of its steps from nothing: the loop never passes its state on"
        hn = layer_names(layer)["hn"]
        measured = f"every call reads one step and starts from a zero state, and {hn} goes nowhere"
        state = "h" if layer.cell else "state"
        fix = f"probably {state} = {called}(x_t, {state}): hand the state that came back to the next step"
    else:
        title = f"{called} reads one step from a zero state: nothing is remembered, W_hh never matters"
        measured = f"x {layer.X.shape} has L = 1 and {counted(layer.Q, 'feature')}"
        fix = (
            "probably x.unsqueeze(-1) or view(N, L, 1) for a window of L values, and input_size=1; "
            "or the state handed on from call to call"
        )
    where = (found.call or layer.call).where
    level: Level = "warning" if found.kind == "step" else "error"
    yield no_recurrence.finding(title, measured, fix, where, level=level, layer=layer.name)


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
    if second.layer is None or second.kind != "state":  # a state kept with its graph is LS109
        return
    layer = second.layer
    if not second.resets:
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
        shown = f"{name} {layer.outputs['Y'].shape} of {layer.called}"
        measured = f"{shown} reaches the result at step 0 alone, which has read one step"
        index = f"{name}[:, -1]" if layer.batch_first else f"{name}[-1]"
        fix = f"probably {index}, the last step, which has read them all"
        yield unused_input.finding(title, measured, fix, reading.call.where, layer=layer.name)
    if unread is None:
        return
    if unread.value is not None and unread.kind != "argument":
        name = value_name(unread.value)
        shape = unread.value.shape
        where = None if unread.call is None else unread.call.where
        if unread.kind == "first":
            title = f"only the first step of {name} can influence the result"
            replaced = f"all steps of {name} {shape} but the first were replaced, twice"
            measured = f"{replaced}, and no element of the result moved"
            fix = "probably a loop over all steps, range(x.size(1)), or the last step in the place of the first"
        elif unread.kind == "same":
            title = (
                f"each turn of the loop takes step {unread.read} of {name}: the other {unread.steps - 1} are not read"
            )
            measured = f"of {name} {shape} nothing but place {unread.read} reaches the result"
            fix = "probably the loop's own index in the place of the number"
        elif unread.kind == "one":
            where = loop_line(where)
            title = f"step {unread.read} of {name} is the only one that is read: nothing is remembered"
            measured = f"of {name} {shape} one step of {unread.steps} reaches a cell, which starts from zeros"
            fix = "probably a loop over all steps, range(x.size(1)), with the state handed on"
        else:
            where = loop_line(where)
            title = f"the loop takes {unread.read} of {unread.steps} steps: it runs over the batch's size"
            measured = f"of {name} {shape} it takes places 0 to {unread.read - 1} alone, and N is {unread.read}"
            fix = "probably range(x.size(1)), or for x_t in x.unbind(1): the steps are axis 1 of (N, L, ·)"
        yield unused_input.finding(title, measured, fix, where)
    elif unread.argument:
        title = f"{unread.argument} is never read: it cannot influence the result"
        measured = "no call on the way to the result takes it, and nothing asks for its size"
        fix = (
            f"probably reset the state that is kept where {unread.argument} says that a sequence starts: it goes on as "
            "none did"
            if unread.keeps_state
            else "probably it was meant to be used; leave the argument out if not"
        )
        yield unused_input.finding(title, measured, fix, _definition(lab), level="warning")


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
    seen: set[int] = set()
    for layer in lab.layers:
        rate = float(getattr(layer.module, "dropout", 0.0) or 0.0)
        if rate and layer.K == 1 and not layer.cell and id(layer.module) not in seen:
            seen.add(id(layer.module))
            title = f"dropout={rate} of {layer.called} does nothing: it sits between stacked layers, and there is one"
            zero = f"dropout=0: {layer.constructor(dropout=0)}"
            fix = f"nn.Dropout({rate}) behind the layer, num_layers=2 or more, or {zero}"
            measured = f"num_layers = 1, dropout = {rate}"
            yield dropout_one_layer.finding(title, measured, fix, layer.call.where, level="note", layer=layer.name)


# ---------------------------------------------------------------------- words
def _definition(lab: Experiments) -> Where | None:
    """Where the program's own function is defined."""
    function = lab.model.forward if isinstance(lab.model, nn.Module) else lab.model
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    file, line = code.co_filename, code.co_firstlineno
    return Where(file, line, source_line(file, line), code.co_name)


def _spoken(rows: Rows) -> str:
    found = ", ".join(map(str, rows.rows))
    return f"row {found}" if len(rows.rows) == 1 else f"rows {found}"


def _top(layer: object) -> str:
    from lstm_shapes.lab.trace import LayerCall

    assert isinstance(layer, LayerCall)
    last = layer.K * layer.R - 1
    return f"rows {last - 1} (forward) and {last} (backward)" if layer.R == 2 else f"row {last}"


def _each(layer: object) -> str:
    return "layer and direction" if getattr(layer, "R", 1) == 2 else "layer"


def _order(layer: object) -> str:
    if getattr(layer, "R", 1) == 2:
        return "(layer 0 forward, layer 0 backward, layer 1 forward, …)"
    return "layer 0 first, the top layer last"


def _top_fix(name: str, layer: object) -> str:
    if getattr(layer, "R", 1) == 2:
        return f"torch.cat(({name}[-2], {name}[-1]), dim=-1), the top layer's two directions"
    return f"{name}[-1], the top layer's row"


def _handed_fix(name: str, rows: Rows) -> str:
    layer, reader = rows.layer, rows.reader
    K = reader.K if reader is not None else 1
    if layer.R == 2:
        return (
            f"join the directions of each layer: torch.cat(({name}[0::2], {name}[1::2]), dim=2) into a layer twice as "
            f"wide, or {name}.view({layer.K}, 2, N, H).sum(1); {name}[-{2 * K}:] are the top rows"
        )
    if K == layer.K:
        return f"{name} as it is, layer k to layer k"
    return f"{name}[-{K}:], the top rows"
