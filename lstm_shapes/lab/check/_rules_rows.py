"""The rules on what is read of a layer: rows of its state that are not meant, c for h, half-read directions."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab._words import append_line, last_step, layer_names, result_names, state_words, value_name
from lstm_shapes.lab.trace import Call, LayerCall, Value
from lstm_shapes.lab.trace._families import SAME, VIEWS, names_in

from ._blame import Blame, blame_of
from ._experiments import Experiments
from ._provenance import (
    BETWEEN,
    FIRST,
    LAST,
    Parts,
    by_layer,
    calls_back,
    chosen,
    losing,
    reaching,
    readers_outside,
    row_parts,
    settled,
    step_marks,
)
from ._rules_losses import losses_of
from ._rules_samples import mixing
from .report import RULES, Finding, Level, rule

_COPIES = SAME | names_in("squeeze unsqueeze view reshape transpose __getitem__ index_select")
_BRINGS_TOGETHER = names_in("sum mean amax flip __getitem__ view reshape")
_ADDS = names_in("add __add__ __radd__ __iadd__ add_ addcmul")
_MULTIPLIES = names_in("mul __mul__ __rmul__ __imul__ mul_")
_KEEPS_CELL = names_in("layer_norm batch_norm group_norm clamp clone contiguous dropout __add__ add")


def _said(
    code: str, call: Call, layer: LayerCall, title: str, measured: str, fix: str, level: Level = "error"
) -> Finding:
    return RULES[code].finding(title, measured, f"probably {fix}", call.where, level=level, layer=layer.name)


# ---------------------------------------------------------------------- rows of hn and cn
@rule("LS205", "wrong-state-row", blame_of)
def wrong_state_row(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """A row of hn or cn is used that is not the one meant.

    hn is (K·R, N, H), layer-major, forward before backward, in both layouts: hn[-1] is the top layer (its backward
    direction, if there are two), hn[0] the bottom one, hn[:, 0] the first sample.

    Wrong and right::

        rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)
      - model = lambda x: head(rnn(x)[1][0])
      + model = lambda x: head(rnn(x)[1][-1])
    """
    yield from mixing("LS205", blame, lab)


@rule("LS206", "cell-for-hidden")
def cell_for_hidden(lab: Experiments) -> Iterator[Finding]:
    """The cell state cn is used where hn was meant, or the two are exchanged.

    An LSTM returns (hn, cn), and its cell (h, c), in this order. The hidden state h = o · tanh(c) is the output; the
    cell state c is the memory behind it, unbounded and not gated by the output gate.

    Wrong and right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
      - model = lambda x: head(rnn(x)[1][1][-1])
      + model = lambda x: head(rnn(x)[1][0][-1])
    """
    # The first state of which other rows, or the other of h and c, are read than were meant.
    asked = (_handed, _exchanged, _one_lost, _given, _cell_for_hidden, _rows, _stacked_cells) if settled(lab) else ()
    found = next((found for ask in asked if (found := ask(lab)) is not None), None)
    yield from () if found is None else (found,)


def _shown(layer: LayerCall, role: str) -> tuple[str, str, str]:
    """What a state is called; its shape, what its axes are and which row is the top layer's; an expression for that."""
    name, last, R = layer_names(layer).get(role, "hn"), layer.K * layer.R - 1, layer.R
    top, expression = f"row {last}", f"{name}[-1], the top layer's row"
    if R == 2:
        top = f"rows {last - 1} (forward) and {last} (backward)"
        expression = f"torch.cat(({name}[-2], {name}[-1]), dim=-1), the top layer's two directions"
    axes = (
        f"{name} {layer.outputs['hn'].shape} of {layer.called} is (K·R, N, H), layer-major, with K = {layer.K}, R = {R}"
    )
    return name, f"{axes}: the top layer is {top}", expression


def _handed(lab: Experiments) -> Finding | None:
    """An encoder's rows that start another layer: layer k should start from layer k, or one layer from the top one."""
    for layer in chosen(lab):
        parts = lab.ask(row_parts, layer)
        starts: list[tuple[LayerCall, Value, list[set[int]]]] = []
        for reader in lab.layers if layer.K * layer.R > 1 else ():
            if reader.module is not layer.module and reader.call.index > layer.call.index:
                for state in (state for state in reader.states.values() if parts.of(state)):
                    whole = reader.cell or len(state.shape) < 3
                    rows = [parts.of(state)] if whole else parts.along(state, 0)
                    starts.append((reader, state, [{k for _, k in row} for row in rows]))
        # A stack of cells starts each from a row of its own.
        single = {k for _, _, by_row in starts if len(by_row) == 1 for k in by_row[0]}
        for reader, state, by_row in starts:
            if all(by_row) and _other_rows(layer, reader, by_row, single):
                name, what, _ = _shown(layer, "hn")
                taken = "; ".join(f"row {k} from {sorted(row)}" for k, row in enumerate(by_row))
                measured = f"{what}; {reader.called} (K = {reader.K}, R = {reader.R}) gets {taken}"
                fix = f"{name} as it is" if reader.K == layer.K else f"{name}[-{reader.K}:], the top rows"
                if layer.R == 2:
                    fix = f"torch.cat(({name}[0::2], {name}[1::2]), dim=2) into a layer twice as wide"
                    fix = f"the directions of each layer: {fix}, or {name}.view({layer.K}, 2, N, H).sum(1)"
                title, at = f"{reader.called} starts from the wrong rows of {name}", _dropping(parts, layer, state)
                return _said("LS205", at or reader.call, layer, title, measured, fix)
    return None


def _other_rows(layer: LayerCall, reader: LayerCall, by_row: list[set[int]], single: set[int]) -> bool:
    """Whether a layer starts from rows that are not those of its own layers, or of the top one."""
    R, K = layer.R, layer.K
    if len(by_row) == 1:  # a start from any rows that hold the top layer is a choice
        return not single & set(range(K * R - R, K * R))
    held = [{k // R for k in row} for row in by_row]
    joins = R == 2 and reader.R == 1
    if reader.K == K:
        other = any(k // reader.R not in layers for k, layers in enumerate(held))
        mixed = joins and any(len(layers) > 1 for layers in held)
        return other or (mixed and not all(len(row) == K * R for row in by_row))
    # the two directions of one layer start two layers
    return joins and K < reader.K and all(len(row) == 1 for row in by_row) and len(set.union(*held)) < len(by_row)


def _exchanged(lab: Experiments) -> Finding | None:
    """h0 of a layer that is made of c, and c0 of h."""
    for layer in chosen(lab, cells=True):
        parts, names = lab.ask(row_parts, layer), layer_names(layer)
        for reader in lab.layers if "cn" in layer.outputs else ():
            if [{role for role, _ in parts.of(state)} for state in reader.states.values()] == [{"cn"}, {"hn"}]:
                title = f"{reader.called} starts with h0 and c0 exchanged"
                measured = f"its h0 is made of {names['cn']} and its c0 of {names['hn']} of {layer.called}"
                fix = f"({names['hn']}, {names['cn']}), in the order (hn, cn) in which they came back: h, c = …"
                one, other = state_words(reader.call)
                between = reversed(calls_back(parts, layer, reader.states["h0"]))
                at = next((call for call in between if call.line != layer.call.line), reader.call)
                if names["hn"].startswith("c") and names["cn"].startswith("h"):
                    at = layer.call  # where they are bound; else where they are handed on, or what lies between
                elif one.startswith("c") and other.startswith("h"):
                    at = reader.call
                return _said("LS206", at, layer, title, measured, fix)
    return None


def _one_lost(lab: Experiments) -> Finding | None:
    """An LSTMCell in a loop of which one state goes on from step to step and the other is the same at each."""
    for calls in by_layer(lab):
        if not calls[0].cell or len(calls) < 3 or any(len(layer.states) < 2 for layer in calls):
            continue
        layer, made = calls[0], [{v.index for v in layer.outputs.values()} for layer in calls]
        for role, other in (("h0", "c0"), ("c0", "h0")):
            stays = {one.states[role].index for one in calls} == {layer.states[role].index}
            goes = all(made[k - 1] & lab.baseline.ancestors(calls[k].states[other]) for k in (1, len(calls) - 1))
            if stays and goes:
                title = f"{layer.called} never goes on from its own {role[0]}n: it is lost at each step"
                measured = f"{role} is the same tensor at each step, while the other state goes on"
                return _said("LS206", calls[1].call, layer, title, measured, "h, c = cell(x_t, (h, c)): both go on")
    return None


def _given(lab: Experiments) -> Finding | None:
    """h and c that a caller hands over in one order, and gets back in the other."""
    places = {value.index: k for k, value in enumerate(lab.baseline.inputs)}
    back = {value.index: k for k, (_, value) in enumerate(lab.baseline.results)}
    for calls in by_layer(lab):
        came = [places.keys() & lab.baseline.ancestors(state) for state in calls[0].states.values()]
        if len(came) < 2 or [len(some) for some in came] != [1, 1] or came[0] == came[1]:
            continue
        first, second = (places[some.pop()] for some in came)
        ends = [calls[-1].outputs[role].way_on(lambda call, _: call.name in _COPIES) for role in ("hn", "cn")]
        out = [next((back[made.index] for made in end if made.index in back), -1) for end in ends]
        if -1 not in out and out[0] != out[1] and (first > second) != (out[0] > out[1]):
            does, come, go = ("gets", "c, h", "h, c") if first > second else ("gives back", "h, c", "c, h")
            title = f"{calls[0].called} {does} the states h and c in the other order"
            measured = f"the states come in as ({come}) and go out as ({go})"
            fix = "(h, c) in both: a caller hands the states back in the order in which they came"
            return _said("LS206", calls[0].call, calls[0], title, measured, fix)
    return None


def _rows(lab: Experiments) -> Finding | None:
    """Rows that are read while the top layer's are not, that are joined with themselves, or kept as an axis."""
    for layer in chosen(lab):
        count, R, parts = layer.K * layer.R, layer.R, lab.ask(row_parts, layer)
        for call in lab.baseline.calls if R == 2 else ():
            held = [parts.of(v) for v in call.inputs] if call.name in ("cat", "concat", "hstack") else []
            if len(held) == 2 and held[0] == held[1] and len({k % 2 for _, k in held[0]}) == 1:
                role, row = min(held[0])
                name, what, fix = _shown(layer, role)
                title = f"the same rows of {name} are joined with themselves"
                return _said("LS205", call, layer, title, f"{what}; both parts are row {row}, of one direction", fix)
        own = {one.call.index for one in lab.layers if one.module is layer.module}
        if count < 2 or readers_outside(lab, [layer.outputs["Y"]], own):
            continue  # the top layer is read beside it
        ends = [v for call, v in parts.read if call.index not in own] + [v for _, v in lab.results]
        for role in ("hn", "cn"):
            held_by = [(v, {k for r, k in parts.of(v) if r == role}) for v in ends]
            rows = set[int]().union(*(some for _, some in held_by))
            name, what, fix = _shown(layer, role)
            if rows and not set(range(count - R, count)) <= rows:
                at = _dropping(parts, layer, next(v for v, some in held_by if some)) or layer.call
                title = f"row {min(rows)} of {name} is" if len(rows) == 1 else f"rows {sorted(rows)} of {name} are"
                measured = f"{what}; rows {sorted(rows)} reach the result"
                return _said("LS205", at, layer, f"{title} read, not the top layer's", measured, fix)
            # A head's only result that still has one index for each row of the state: the last move before it.
            values, each = [v for _, v in lab.baseline.results], [{("hn", k)} for k in range(count)]
            chain = calls_back(parts, layer, values[0]) if role == "hn" and len(rows) == count else []
            if len(values) != 1 or not parts.of(values[0]) or not any(call.name == "linear" for call in chain):
                continue
            if any(parts.along(values[0], axis) == each for axis in range(len(values[0].shape) - 1)):
                title = f"the result still has the {count} rows of {name} as an axis"
                measured = f"{what}; index k of the result belongs to row k, a layer or direction each"
                return _said("LS205", chain[-1], layer, title, measured, fix)
    return None


def _dropping(parts: Parts, layer: LayerCall, value: Value) -> Call | None:
    """The call at which rows that are missing in a value were left out, else the one that brings rows together."""
    calls = calls_back(parts, layer, value)
    together = [call for call in calls if call.name in _BRINGS_TOGETHER]
    return losing(parts, reversed(calls)) or next(iter(together or calls), None)


def _stacked_cells(lab: Experiments) -> Finding | None:
    """Cells one above the other in a loop: the upper one is read, and each goes on from its own state."""
    loops = [calls for calls in by_layer(lab) if calls[0].cell and len(calls) > 1]
    made = {v.index: layer for calls in loops for layer in calls for v in layer.outputs.values()}
    for calls in loops:
        upper, own = calls[0].called, {layer.call.index for layer in calls}
        before = [made.get(next(iter(layer.states.values())).index) if layer.states else None for layer in calls[1:]]
        if before[0] is not None and all(one is not None and one.module is not calls[0].module for one in before):
            title = f"{upper} goes on from the state of {before[0].called}, another layer"
            measured = "at each step but the first its state is the one that the other layer returned, not its own"
            fix = f"a state of its own for each layer: the one that {upper} returned at the step before"
            return _said("LS205", calls[1].call, before[0], title, measured, fix)
        below = made.get(calls[-1].X.index)
        if below is None or below.module is calls[0].module:
            continue
        read = readers_outside(lab, [v for layer in calls for v in layer.outputs.values()], own)
        under = [layer for layer in lab.layers if layer.module is below.module]
        both = own | {layer.call.index for layer in under}
        instead = [] if read else readers_outside(lab, [layer.outputs["hn"] for layer in under], both)
        if instead:
            title = f"{upper} is computed and never read: {below.called} is read in its place"
            measured = f"the state of {below.called} reaches the result, and the layer that reads it has no other use"
            return _said("LS205", instead[0], below, title, measured, "the state of the top layer, states[-1]")
    return None


# ---------------------------------------------------------------------- c for h
def _cell_for_hidden(lab: Experiments) -> Finding | None:
    """c that is read outside the recurrence where h is not: cn of a layer, or c of a cell that is written by hand."""
    loops: list[tuple[LayerCall | None, list[Value], list[Value], set[int]]] = []
    for calls in by_layer(lab):
        outputs = [(role, value) for one in calls for role, value in one.outputs.items()]
        hs, cs = ([v for role, v in outputs if (role == "cn") is wanted] for wanted in (False, True))
        loops.append((calls[0], hs, cs, {one.call.index for one in calls}))
    by_line: dict[object, list[tuple[Value, Value]]] = {}
    for call, h, c in _own_steps(lab):
        by_line.setdefault(call.line, []).append((h, c))
    for steps in by_line.values():
        inside = (lab.baseline.values[k].maker for k in lab.baseline.ancestors(*steps[-1]))
        own = {call.index for call in inside if call is not None}
        loops.append((None, [h for h, _ in steps], [c for _, c in steps], own))
    for layer, hs, cs, own in loops:
        of_h, of_c = readers_outside(lab, hs, own), readers_outside(lab, cs, own)
        # One reader of the last h may go on from it.
        if not of_c or (of_h and not (len(of_c) > 2 and len(of_h) == 1 < len(cs))):
            continue
        at = of_c[0]
        if layer is None:
            name = value_name(next(c for c in cs if c in at.inputs or c.maker is at))
            title = f"{name}, the cell state of a hand-written LSTM, is read where the hidden state h is meant"
            measured = f"{name} is f · c + i · g and leaves the loop; o · tanh({name}) only reaches the next step"
            fix = f"probably h in the place of {name}: h = o · tanh({name}) is what a cell puts out"
            return cell_for_hidden.finding(title, measured, fix, append_line(at))
        names = result_names(layer.call.where)
        if len(names) > 1 and names[-2] == "_" != names[-1]:  # hn was let go where it came back
            at = layer.call
        elif at.name == "index_select" and at.where == layer.call.where:  # the layer's own, of packed rows
            at = (readers_outside(lab, at.outputs, own) or [at])[0]
        hn, cn = layer_names(layer)["hn"], layer_names(layer)["cn"]
        title = f"{cn}, the cell state of {layer.called}, is read where the hidden state {hn} is meant"
        measured = f"{cn} reaches the result; {hn} and the output reach it nowhere but through the recurrence"
        fix = f"probably {hn} in the place of {cn}: a layer returns (hn, cn), h first, and hn[-1] is the top layer's"
        return cell_for_hidden.finding(title, measured, fix, append_line(at), layer=layer.name)
    return None


def _own_steps(lab: Experiments) -> Iterator[tuple[Call, Value, Value]]:
    """The steps of hand-written cells: the call that makes h, h and c."""
    for call in lab.baseline.calls:
        if call.name not in ("tanh", "tanh_") or not call.inputs or not call.outputs:
            continue
        c = None  # what a tensor was before a normalisation, where it is a sum of two products, as f · c + i · g is
        for made, maker in call.inputs[0].way_back():
            makers = [v.maker for v in maker.inputs if v.maker is not None and len(v.maker.inputs) == 2]
            products = sum(one.name in _MULTIPLIES for one in makers) + (maker.name == "addcmul")
            c = made if maker.name in _ADDS and products == 2 else None
            if c is not None or maker.name not in _KEEPS_CELL:
                break
        gates = (r for r in call.outputs[0].readers if r.name in _MULTIPLIES and len(r.inputs) == 2 and r.outputs)
        gate = next((r for r in gates if not any(v.parameter for v in r.inputs)), None)
        if c is not None and gate is not None:
            yield gate, gate.outputs[0], c


# ---------------------------------------------------------------------- steps and halves of Y
# The step at which half number k of Y has seen one step, where it has seen them all, and which half that is.
_SIDES = (("last", "first", 1, "backward", LAST), ("first", "last", 0, "forward", FIRST))


@rule("LS203", "half-read-direction")
def half_read_direction(lab: Experiments) -> Iterator[Finding]:
    """A bidirectional layer's output is read at a step where one direction has seen only one step.

    Y[:, t] joins what the forward direction has read up to t and what the backward direction has read from the end back
    to t. At the last step the backward half has seen that step alone, at the first step the forward half. The ends of
    both directions are hn[-2] and hn[-1].

    Wrong and right::

        rnn, head = nn.GRU(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)
      - model = lambda x: head(rnn(x)[0][:, -1])
      + def model(x):
      +     hn = rnn(x)[1]
      +     return head(torch.cat((hn[-2], hn[-1]), dim=1))
    """
    found = (_reading(lab, layer) for layer in chosen(lab) if layer.L > 1) if settled(lab) else ()
    yield from [finding for finding in found if finding is not None][:1]


def _reading(lab: Experiments, layer: LayerCall) -> Finding | None:
    """A layer of whose Y only the first or the last step is read where that direction has seen one step."""
    Y, names, H, R = layer.outputs["Y"], layer_names(layer), layer.H, layer.R
    halves = tuple((half, step) for half in range(R) for step in (FIRST, BETWEEN, LAST))
    parts, ends = reaching(lab, {Y: step_marks(lab, layer, Y)}, halves)
    steps = [{step for half, step in ends if half == k} for k in range(R)]
    shown = f"{names['Y']} {Y.shape} of {layer.called}"

    def said(at: Call, side: tuple[str, str, int, str, int], reaches: str) -> Finding:
        step, other, _, half, _ = side
        title = f"the {step} step of {names['Y']} is read, where the {half} direction has seen one step"
        measured = f"{shown} reaches {reaches} at the {step} step alone, and its {half} half has read {layer.L} steps "
        fix = f"torch.cat(({names['hn']}[-2], {names['hn']}[-1]), dim=1), the ends of both directions, of width {2 * H}"
        return _said("LS203", at, layer, title, f"{measured}only at the {other} one", fix)

    for reader in lab.layers if R == 2 else ():
        for state in reader.states.values():
            for side in _SIDES:
                start = {step for half, step in parts.of(state) if half == side[2]}
                if reader.module is not layer.module and start == {side[4]}:
                    at = losing(parts, reversed(calls_back(parts, layer, state))) or reader.call
                    return said(at, side, f"the state that {reader.called} starts from")
    for call in lab.baseline.calls if R == 2 != H else ():
        # A view of both halves as (…, H, 2) that is added up along the 2: it adds neighbours, not the halves.
        view = call.inputs[0].maker if call.name in ("sum", "mean") and call.inputs else None
        if view is None or view.name not in VIEWS or call.inputs[0].shape[-2:] != (H, 2):
            continue
        last = call.argument(1, "dim") in (-1, len(call.inputs[0].shape) - 1)
        if last and lab.ask(losses_of).axes(view.inputs[0])[-1].name.startswith("R·"):
            name, before, after = value_name(view.inputs[0], view), view.inputs[0].shape, view.outputs[0].shape
            title = f"{view.name} puts neighbours of one direction side by side, not the two directions"
            measured = f"{name} {before} is (…, R·H), forward half first; as {after} it is cut into pairs"
            fix = f"{name}.unflatten(-1, (2, {H})).sum(-2): the directions are the outer axis of the two"
            return _said("LS202", view, layer, title, measured, fix)
    if readers_outside(lab, [layer.outputs["hn"]], set()):
        return None  # the ends are read from the state
    at = losing(parts, lab.baseline.calls) or layer.call
    if R == 1 and steps[0] == {FIRST}:
        title = f"only the first step of {names['Y']} is read: the other {layer.L - 1} steps influence nothing"
        fix = f"{last_step(layer)}, the last step, which has read them all"
        return _said("LS213", at, layer, title, f"{shown} reaches the result at step 0 alone", fix)
    if (
        R == 2
        and bool(steps[0]) != bool(steps[1])
        and (lab.scalar or all(v.tensor.numel() > 1 for _, v in lab.baseline.results))
    ):
        half = "backward" if steps[0] else "forward"
        cuts = [call for call in lab.baseline.calls if losing(parts, [call], lambda part: part[0])]
        meant = len(cuts) == 1 and cuts[0].inputs[0].shape[-1] == Y.shape[-1]  # the other half is simply cut out
        measured = f"{shown} has the forward direction in front; of the {half} one nothing reaches the result"
        fix = f"both: {names['Y']}[..., :{H}] is forward, {names['Y']}[..., {H}:] backward"
        level: Level = "warning" if meant else "error"
        title = f"the {half} half of {names['Y']} is never read"
        return _said("LS203", (cuts or [layer.call])[0], layer, title, measured, fix, level)
    sides = (side for side in _SIDES if R == 2 and steps[side[2]] == {side[4]})
    return next((said(at, side, "the result") for side in sides), None)
