"""States and outputs of recurrent layers: which rows of hn and cn, which steps and halves of Y, are read on the way to
a result, and by which line. Marks are put on the parts of what a layer gives and followed until they are computed with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lstm_shapes.lab._words import layer_names, result_names, state_words
from lstm_shapes.lab.trace import Call, LayerCall, Value
from lstm_shapes.lab.trace._families import SAME, VIEWS, names_in

from ._experiments import Experiments
from ._losses import losses_of
from ._padding import lengths_of
from ._provenance import Parts, follow_parts
from ._samples import samples_of

_COPIES = SAME | names_in("squeeze unsqueeze view reshape transpose __getitem__ index_select")
_BRINGS_TOGETHER = names_in("sum mean amax flip __getitem__ view reshape")
_ADDS = names_in("add __add__ __radd__ __iadd__ add_ addcmul")
_MULTIPLIES = names_in("mul __mul__ __rmul__ __imul__ mul_")
_KEEPS_CELL = names_in("layer_norm batch_norm group_norm clamp clone contiguous dropout __add__ add")


@dataclass(eq=False, slots=True)
class Rows:
    """Rows of a layer's final state that are read although they are not the ones meant.

    `problem`: lower (the top layer's are not among them), handed (another layer starts from the wrong ones), kept
    (the result still has the axis of the rows), twice (one row is joined with itself), exchanged (h0 from cn, c0 from
    hn), given (what a caller hands over or gets back is); of cells in a loop: unread (the upper one), crossed (one goes
    on from another's state), lost (one of the two states never goes on).
    """

    problem: Literal["lower", "handed", "kept", "exchanged", "given", "unread", "crossed", "lost", "twice"]
    layer: LayerCall
    role: str
    call: Call
    rows: tuple[int, ...] = ()
    reader: LayerCall | None = None
    by_row: tuple[tuple[int, ...], ...] = ()


@dataclass(eq=False, slots=True)
class Cell:
    """A cell state c that is read outside the recurrence while h is not; without a layer, of a hand-written cell."""

    state: Value
    call: Call
    layer: LayerCall | None = None


@dataclass(eq=False, slots=True)
class Reading:
    """Steps of Y that are read where only the first or the last is: `half` is the direction that has seen one step.

    `starts`: they are what another layer starts from. Of `none` the half is never read, which may be meant where the
    other one is simply cut out (`meant`); of `pairs` a view adds neighbours of one half.
    """

    layer: LayerCall
    call: Call
    step: Literal["first", "last", "none", "pairs"]
    half: Literal["forward", "backward", "only"]
    starts: LayerCall | None = None
    meant: bool = False


def settled(lab: Experiments) -> bool:
    """Whether samples stay apart, so that what is read can be spoken of."""
    return lab.baseline.error is None and lab.ask(samples_of).kind not in ("mixed", "dropped")


def by_layer(lab: Experiments) -> list[list[LayerCall]]:
    """The calls of each layer, together."""
    of: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        of.setdefault(id(layer.module) if layer.module is not None else -layer.call.index - 1, []).append(layer)
    return list(of.values())


def _chosen(lab: Experiments, *, cells: bool = False) -> list[LayerCall]:
    """The calls worth looking at: of each layer the first two and the last."""
    some = (layer for calls in by_layer(lab) for layer in calls[:2] + calls[2:][-1:])
    return [layer for layer in some if cells or not layer.cell]


def _between(value: Value, end: Value) -> list[Call]:
    """The calls on the way back from a value to another, nearest first."""
    calls: list[Call] = []
    for made, call in value.way_back():
        if made is end:
            break
        calls.append(call)
    return calls


def reaching(lab: Experiments, marks: dict[Value, Tensor], names: tuple[Any, ...]) -> tuple[Parts, set[Any]]:
    """The parts of some values, followed until they are computed with, and which of them go into a result."""
    parts = follow_parts(lab.baseline, marks, names, lab.on_path)
    ends = (*(v for _, v in parts.read), *(v for _, v in lab.results))
    return parts, {part for value in ends for part in parts.of(value)}


def losing(parts: Parts, calls: Iterable[Call], of: Callable[[Any], Any] = lambda part: part) -> Call | None:
    """The first call that is given more of the parts than it hands on."""
    for call in calls:
        before, after = ({of(part) for v in some for part in parts.of(v)} for some in (call.inputs, call.outputs))
        if after and after < before:
            return call
    return None


def _readers(lab: Experiments, values: Iterable[Value], skipped: set[int]) -> list[Call]:
    """The calls that read some values on a way to a result on which none of the skipped calls lies, one a value."""
    results = [value for _, value in lab.results]
    waiting, reached = list(results), set[int]()
    for value in waiting:
        if value.index not in reached and (value.maker is None or value.maker.index not in skipped):
            reached.add(value.index)
            waiting.extend(value.parents)
    found: list[Call] = []
    for value in values:
        reading = [call for call in value.readers if any(v.index in reached for v in call.outputs)]
        found += [call for call in [value.maker] if value in results and call is not None][:1] or reading[:1]
    return found


# ---------------------------------------------------------------------- rows of hn and cn
def rows_of(lab: Experiments) -> Rows | None:
    """The first state whose rows are read wrongly."""
    if not settled(lab):
        return None
    asked = (_handed, _exchanged, _one_lost, _given, _read, _stacked_cells)
    return next((rows for ask in asked if (rows := ask(lab)) is not None), None)


def _state_parts(lab: Experiments, layer: LayerCall) -> Parts:
    """hn and cn of a call, row by row, until they are computed with."""
    roles, count = [role for role in ("hn", "cn") if role in layer.outputs], layer.K * layer.R
    sources = {}
    for i, role in enumerate(roles):
        value = layer.outputs[role]
        sources[value] = torch.zeros(len(roles) * count, *value.shape, dtype=torch.bool)
        for k in range(count):
            sources[value][i * count + k][... if layer.cell else k] = True
    return follow_parts(lab.baseline, sources, tuple((role, k) for role in roles for k in range(count)), lab.on_path)


def _starts(lab: Experiments, layer: LayerCall) -> Iterator[tuple[LayerCall, Value, list[set[int]]]]:
    """Other layers that start from a layer's final state; for each row of theirs those that it is made of."""
    parts = lab.ask_of(_state_parts, layer)
    for reader in lab.layers:
        for state in reader.states.values():
            if reader.module is not layer.module and reader.call.index > layer.call.index and parts.of(state):
                whole = reader.cell or len(state.shape) < 3
                rows = [parts.of(state)] if whole else parts.along(state, 0)
                yield reader, state, [{k for _, k in row} for row in rows]


def _handed(lab: Experiments) -> Rows | None:
    """An encoder's rows that start another layer: layer k should start from layer k, or one layer from the top one."""
    for layer in _chosen(lab):
        starts = list(_starts(lab, layer)) if layer.K * layer.R > 1 else []
        # A stack of cells starts each from a row of its own.
        single = {k for _, _, by_row in starts if len(by_row) == 1 for k in by_row[0]}
        for reader, state, by_row in starts:
            if all(by_row) and _wrong_rows(layer, reader, by_row, single):
                at = _dropping(lab.ask_of(_state_parts, layer), layer, state) or reader.call
                shown = tuple(tuple(sorted(row)) for row in by_row)
                return Rows("handed", layer, "hn", at, shown[0], reader, shown)
    return None


def _wrong_rows(layer: LayerCall, reader: LayerCall, by_row: list[set[int]], single: set[int]) -> bool:
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


def _exchanged(lab: Experiments) -> Rows | None:
    for layer in _chosen(lab, cells=True):
        if "cn" not in layer.outputs:
            continue
        parts = lab.ask_of(_state_parts, layer)
        for reader in lab.layers:
            if [{role for role, _ in parts.of(state)} for state in reader.states.values()] == [{"cn"}, {"hn"}]:
                at = _exchanging(layer, reader, reader.states["h0"])
                return Rows("exchanged", layer, "cn", at, (), reader)
    return None


def _exchanging(layer: LayerCall, reader: LayerCall, h0: Value) -> Call:
    """The line that exchanges h and c: where they are bound, where they are handed on, or what lies between."""
    names = layer_names(layer)
    if names["hn"].startswith("c") and names["cn"].startswith("h"):
        return layer.call
    one, other = state_words(reader.call)
    if one.startswith("c") and other.startswith("h"):
        return reader.call
    between = reversed(_between(h0, layer.outputs["cn"]))
    return next((call for call in between if call.line != layer.call.line), reader.call)


def _one_lost(lab: Experiments) -> Rows | None:
    """An LSTMCell in a loop of which one state goes on from step to step and the other is the same at each."""
    for calls in by_layer(lab):
        if not calls[0].cell or len(calls) < 3 or any(len(layer.states) < 2 for layer in calls):
            continue
        made = [{v.index for v in layer.outputs.values()} for layer in calls]
        for role, other in (("h0", "c0"), ("c0", "h0")):
            stays = {layer.states[role].index for layer in calls} == {calls[0].states[role].index}
            goes = all(made[k - 1] & lab.baseline.ancestors(calls[k].states[other]) for k in (1, len(calls) - 1))
            if stays and goes:
                return Rows("lost", calls[0], role[0] + "n", calls[1].call, (), calls[1])
    return None


def _given(lab: Experiments) -> Rows | None:
    """h and c that a caller hands over in one order, and gets back in the other."""
    places = {value.index: k for k, value in enumerate(lab.baseline.inputs)}
    back = {value.index: k for k, (_, value) in enumerate(lab.baseline.results)}
    for calls in by_layer(lab):
        came = [places.keys() & lab.baseline.ancestors(state) for state in calls[0].states.values()]
        if len(came) < 2 or [len(some) for some in came] != [1, 1] or came[0] == came[1]:
            continue
        first, second = (places[some.pop()] for some in came)
        ends = [calls[-1].outputs[role].way_on(lambda call, _: call.name in _COPIES) for role in ("hn", "cn")]
        out = [next((back[made.index] for made in end if made.index in back), None) for end in ends]
        if None not in out and out[0] != out[1] and (first > second) != (out[0] > out[1]):  # type: ignore[operator]
            return Rows("given", calls[0], "h0" if first > second else "hn", calls[0].call)
    return None


def _read(lab: Experiments) -> Rows | None:
    """Rows that are read while the top layer's are not, that are joined with themselves, or kept as an axis."""
    for layer in _chosen(lab):
        count, parts = layer.K * layer.R, lab.ask_of(_state_parts, layer)
        for call in lab.baseline.calls if layer.R == 2 else ():
            held = [parts.of(v) for v in call.inputs] if call.name in ("cat", "concat", "hstack") else []
            if len(held) == 2 and held[0] == held[1] and len({k % 2 for _, k in held[0]}) == 1:
                role, row = min(held[0])
                return Rows("twice", layer, role, call, (row,))
        own = {one.call.index for one in lab.layers if one.module is layer.module}
        if count < 2 or lab.ask(cell_of) is not None or _readers(lab, [layer.outputs["Y"]], own):
            continue  # the top layer is read beside it
        ends = [v for call, v in parts.read if call.index not in own] + [v for _, v in lab.results]
        for role in ("hn", "cn"):
            held_by = [(v, {k for r, k in parts.of(v) if r == role}) for v in ends]
            rows = set[int]().union(*(some for _, some in held_by))
            if rows and not set(range(count - layer.R, count)) <= rows:
                value = next(v for v, some in held_by if some)
                at = _dropping(parts, layer, value) or value.maker or layer.call
                return Rows("lower", layer, role, at, tuple(sorted(rows)))
            keeping = _keeping(lab, layer, parts) if role == "hn" and len(rows) == count else None
            if keeping is not None:
                return Rows("kept", layer, role, keeping, tuple(range(count)))
    return None


def _keeping(lab: Experiments, layer: LayerCall, parts: Parts) -> Call | None:
    """The last move before a head's only result that still has one index for each row of the state."""
    value, count = lab.baseline.results[0][1], layer.K * layer.R
    chain = _between(value, layer.outputs["hn"])
    if len(lab.baseline.results) != 1 or not parts.of(value) or not any(call.name == "linear" for call in chain):
        return None
    rows = [{("hn", k)} for k in range(count)]
    kept = any(parts.along(value, axis) == rows for axis, n in enumerate(value.shape[:-1]) if n == count)
    return chain[-1] if kept else None


def _dropping(parts: Parts, layer: LayerCall, value: Value) -> Call | None:
    """The call at which rows that are missing in a value were left out, else the one that brings rows together."""
    chain: list[Call] = []
    current: Value | None = value
    while current is not None and current.maker not in (None, layer.call) and len(chain) < 20:
        chain += [maker for maker in [current.maker] if maker is not None]
        current = next((v for v in chain[-1].inputs if parts.of(v)), None)
    together = [call for call in chain if call.name in _BRINGS_TOGETHER]
    return losing(parts, reversed(chain)) or next(iter(together or chain), None)


def _stacked_cells(lab: Experiments) -> Rows | None:
    """Cells one above the other in a loop: the upper one is read, and each goes on from its own state."""
    loops = [calls for calls in by_layer(lab) if calls[0].cell and len(calls) > 1]
    made = {v.index: layer for calls in loops for layer in calls for v in layer.outputs.values()}
    for calls in loops:
        before = [made.get(next(iter(layer.states.values())).index) if layer.states else None for layer in calls[1:]]
        if before[0] is not None and all(one is not None and one.module is not calls[0].module for one in before):
            return Rows("crossed", before[0], "hn", calls[1].call, (), calls[1])
        below = made.get(calls[-1].X.index)
        if below is None or below.module is calls[0].module:
            continue
        under = [layer for layer in lab.layers if layer.module is below.module]
        own = {layer.call.index for layer in calls}
        read = _readers(lab, [v for layer in calls for v in layer.outputs.values()], own)
        both = own | {layer.call.index for layer in under}
        instead = [] if read else _readers(lab, [layer.outputs["hn"] for layer in under], both)
        if instead:
            return Rows("unread", below, "hn", instead[0], (), calls[0])
    return None


# ---------------------------------------------------------------------- c for h
def cell_of(lab: Experiments) -> Cell | None:
    """The first cell of which c is read outside the recurrence and h is not: c = f · c + i · g, h = o · tanh(c)."""
    if not settled(lab):
        return None
    for calls in by_layer(lab):
        layer, own = calls[0], {layer.call.index for layer in calls}
        cs = [one.outputs["cn"] for one in calls if "cn" in one.outputs]
        hs = [v for one in calls for role, v in one.outputs.items() if role != "cn"]
        at = _only_cell(lab, hs, cs, own)
        names = result_names(layer.call.where)
        if at is not None and len(names) > 1 and names[-2] == "_" != names[-1]:  # hn was let go where it came back
            at = layer.call
        elif at is not None and at.name == "index_select" and at.where == layer.call.where:  # the layer's own, packed
            at = (_readers(lab, at.outputs, own) or [at])[0]
        if at is not None:
            return Cell(cs[0], at, layer)
    by_line: dict[object, list[tuple[Value, Value]]] = {}
    for call, h, c in _own_steps(lab):
        by_line.setdefault(call.line, []).append((h, c))
    for steps in by_line.values():
        inside = (lab.baseline.values[k].maker for k in lab.baseline.ancestors(*steps[-1]))
        own = {call.index for call in inside if call is not None}
        at = _only_cell(lab, [h for h, _ in steps], [c for _, c in steps], own)
        if at is not None:
            return Cell(next(c for _, c in steps if c in at.inputs or c.maker is at), at)
    return None


def _only_cell(lab: Experiments, hs: list[Value], cs: list[Value], own: set[int]) -> Call | None:
    """The first call outside a recurrence that reads c where none reads h, or one the last h, to go on from it."""
    of_h, of_c = _readers(lab, hs, own), _readers(lab, cs, own)
    return of_c[0] if of_c and (not of_h or (len(of_c) > 2 and len(of_h) == 1 < len(cs))) else None


def _own_steps(lab: Experiments) -> Iterator[tuple[Call, Value, Value]]:
    """The steps of hand-written cells: the call that makes h, h and c."""
    for call in lab.baseline.calls:
        if call.name not in ("tanh", "tanh_") or not call.inputs or not call.outputs:
            continue
        c = _cell_in(call.inputs[0])
        gates = (r for r in call.outputs[0].readers if r.name in _MULTIPLIES and len(r.inputs) == 2 and r.outputs)
        gate = next((r for r in gates if not any(v.parameter for v in r.inputs)), None)
        if c is not None and gate is not None:
            yield gate, gate.outputs[0], c


def _cell_in(value: Value) -> Value | None:
    """What a tensor was before a normalisation, where it is a sum of two products, as f · c + i · g is."""
    for made, maker in value.way_back():
        makers = [v.maker for v in maker.inputs if v.maker is not None and len(v.maker.inputs) == 2]
        products = [call for call in makers if call.name in _MULTIPLIES]
        if maker.name in _ADDS and len(products) + (maker.name == "addcmul") == 2:
            return made
        if maker.name not in _KEEPS_CELL:
            return None
    return None


# ---------------------------------------------------------------------- steps and halves of Y
_FIRST, _BETWEEN, _LAST = range(3)


def readings_of(lab: Experiments) -> Reading | None:
    """The first layer of whose Y only the first or the last step is read where that direction has seen one step."""
    found = (_reading(lab, layer) for layer in _chosen(lab) if layer.L > 1) if settled(lab) else ()
    return next((reading for reading in found if reading is not None), None)


def _reading(lab: Experiments, layer: LayerCall) -> Reading | None:
    Y = layer.outputs["Y"]
    names = tuple((half, step) for half in range(layer.R) for step in (_FIRST, _BETWEEN, _LAST))
    parts, ends = reaching(lab, {Y: _step_marks(lab, layer, Y)}, names)
    steps = [{step for half, step in ends if half == k} for k in range(layer.R)]
    sides: tuple[tuple[Literal["first", "last"], int, Literal["forward", "backward"], set[int]], ...]
    sides = (("last", 1, "backward", {_LAST}), ("first", 0, "forward", {_FIRST}))
    if layer.R == 2:
        for reader in lab.layers:
            for state in reader.states.values():
                for step, k, half, alone in sides:
                    if reader.module is not layer.module and {s for j, s in parts.of(state) if j == k} == alone:
                        at = losing(parts, reversed(_between(state, Y))) or reader.call
                        return Reading(layer, at, step, half, reader)
        if (paired := _paired(lab, layer)) is not None:
            return Reading(layer, paired, "pairs", "backward")
    if _readers(lab, [layer.outputs["hn"]], set()):
        return None  # the ends are read from the state
    at = losing(parts, lab.baseline.calls) or layer.call
    if layer.R == 1:
        return Reading(layer, at, "first", "only") if steps[0] == {_FIRST} else None
    if bool(steps[0]) != bool(steps[1]) and not lab.has_scalars:
        cuts = [call for call in lab.baseline.calls if losing(parts, [call], lambda part: part[0])]
        meant = len(cuts) == 1 and cuts[0].inputs[0].shape[-1] == Y.shape[-1]
        return Reading(layer, (cuts or [layer.call])[0], "none", "backward" if steps[0] else "forward", meant=meant)
    return next((Reading(layer, at, step, half) for step, k, half, alone in sides if steps[k] == alone), None)


def _paired(lab: Experiments, layer: LayerCall) -> Call | None:
    """A view of both halves as (…, H, 2) that is added up along the 2: it adds neighbours, not the halves."""
    axes, H = lab.ask(losses_of).axes, layer.H
    for call in lab.baseline.calls:
        if call.name not in ("sum", "mean") or not call.inputs or H == 2 or call.inputs[0].shape[-2:] != (H, 2):
            continue
        view, last = call.inputs[0].maker, call.argument(1, "dim") in (-1, len(call.inputs[0].shape) - 1)
        if view is not None and view.name in VIEWS and last and axes(view.inputs[0])[-1].name.startswith("R·"):
            return view
    return None


def _step_marks(lab: Experiments, layer: LayerCall, Y: Value) -> Tensor:
    """Marks for the first, the last and the other steps of each half of Y, rows read to their own length."""
    if layer.batch_sizes is not None:
        sizes = layer.batch_sizes.tolist()
        step = torch.cat([torch.full((n,), t) for t, n in enumerate(sizes)])
        last = torch.tensor(layer.lengths)[torch.cat([torch.arange(n) for n in sizes])] - 1
    else:
        told = lab.ask(lengths_of)
        known = [] if told is None or isinstance(told, str) else told.steps
        last = torch.tensor(known if len(known) == layer.N else [layer.L] * layer.N).clamp(1, layer.L) - 1
        step, last = torch.arange(layer.L).unsqueeze(1).expand(layer.L, layer.N), last.expand(layer.L, layer.N)
        step, last = (step.t(), last.t()) if layer.batch_first else (step, last)
    place = torch.full(Y.shape[:-1], _BETWEEN)
    place[step == 0] = _FIRST
    place[(step == last) | (step == layer.L - 1)] = _LAST
    marks, half = torch.zeros(3 * layer.R, *Y.shape, dtype=torch.bool), Y.shape[-1] // layer.R
    for k in range(3 * layer.R):
        columns = slice(k // 3 * half, (k // 3 + 1) * half)
        marks[k][..., columns] = (place == k % 3).unsqueeze(-1)
    return marks
