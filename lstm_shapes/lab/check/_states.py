"""States and outputs of recurrent layers: which rows of hn and cn, which steps and halves of Y, are read on the way to
a result, and by which line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lstm_shapes.lab._words import layer_names, result_names, state_words
from lstm_shapes.lab.trace import Call, LayerCall, Value
from lstm_shapes.lab.trace._families import SAME, names_in

from ._experiments import Experiments
from ._padding import lengths_of
from ._provenance import Parts, follow_parts
from ._samples import samples_of

__all__ = ["Reading", "Rows", "readings_of", "rows_of"]

_COPIES = SAME | names_in("squeeze unsqueeze view reshape transpose __getitem__ index_select")


@dataclass(eq=False, slots=True)
class Rows:
    """Rows of a layer's final state that are read although they are not the ones meant.

    `problem`: lower (the top layer's are not among them), handed (another layer starts from the wrong ones), kept
    (the result still has the axis of the rows), twice (one row is joined with itself), cell (cn is read and hn is not),
    exchanged (h0 from cn, c0 from hn), given (what a caller hands over or gets back is); of cells: unread (the upper
    one), crossed (one goes on from another's state), lost (one of the two states never goes on).
    """

    problem: Literal["lower", "handed", "kept", "cell", "exchanged", "given", "unread", "crossed", "lost", "twice"]
    layer: LayerCall
    role: str
    call: Call
    rows: tuple[int, ...]
    reader: LayerCall | None = None
    by_row: tuple[tuple[int, ...], ...] = ()


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


def _chosen(lab: Experiments) -> Iterator[LayerCall]:
    """The calls worth looking at: of each layer the first two and the last."""
    of: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        of.setdefault(id(layer.module) if layer.module is not None else layer.call.index, []).append(layer)
    for calls in of.values():
        yield from calls[:2] + calls[2:][-1:]


def _settled(lab: Experiments) -> bool:
    """Whether samples stay apart, so that what is read can be spoken of."""
    return lab.baseline.error is None and lab.ask(samples_of).kind not in ("mixed", "dropped")


# ---------------------------------------------------------------------- rows of hn and cn
def rows_of(lab: Experiments) -> Rows | None:
    """The first state whose rows are read wrongly."""
    if not _settled(lab):
        return None
    return _handed(lab) or _exchanged_or_cell(lab) or _twice(lab) or _lower(lab) or _stacked_cells(lab)


def _row_marks(layer: LayerCall, value: Value, offset: int, count: int) -> Tensor:
    marks = torch.zeros(count, *value.shape, dtype=torch.bool, device="cpu")
    rows = value.shape[0] if not layer.cell else 1
    for k in range(rows):
        if layer.cell:
            marks[offset] = True
        else:
            marks[offset + k, k] = True
    return marks


def _own(layer: LayerCall, lab: Experiments) -> set[int]:
    """The calls of the same layer: through them a state goes on, which is no reading."""
    return {other.call.index for other in lab.layers if other.module is layer.module and layer.module is not None}


def _follow_state(lab: Experiments, layer: LayerCall) -> Parts:
    """hn and cn of a call, row by row, until they are computed with."""
    roles = [role for role in ("hn", "cn") if role in layer.outputs]
    count = layer.K * layer.R
    names = tuple((role, k) for role in roles for k in range(count))
    sources = {
        layer.outputs[role]: _row_marks(layer, layer.outputs[role], i * count, len(names))
        for i, role in enumerate(roles)
    }
    kernels = {other.call.index for other in lab.layers}
    return follow_parts(lab.baseline, sources, names, lab.on_path, lambda call: call.index in kernels)


def _handed(lab: Experiments) -> Rows | None:
    """An encoder's rows that start another layer: layer k should start from layer k, or one layer from the top one."""
    for layer in _chosen(lab):
        if layer.cell or layer.K * layer.R < 2:
            continue
        parts = lab.ask_of(_follow_state, layer)
        for reader in lab.layers:
            if reader.module is layer.module or reader.call.index < layer.call.index:
                continue
            for role in ("h0", "c0"):
                state = reader.states.get(role)
                if state is None or state.index not in parts.held:
                    continue
                by_row = _taken(parts, reader, state)
                if len(by_row) == 1 and _others_take_top(lab, layer, reader, parts, role):
                    continue
                wrong = _wrong_rows(layer, reader, by_row)
                if wrong is not None:
                    at = _dropping(lab, parts, layer, state) or reader.call
                    return Rows("handed", layer, wrong, at, tuple(by_row[0]), reader, tuple(map(tuple, by_row)))
    return None


def _others_take_top(lab: Experiments, layer: LayerCall, reader: LayerCall, parts: Parts, role: str) -> bool:
    """Whether other one-layer readers start from the top rows: a stack of cells, each from a row of its own."""
    top = set(range(layer.K * layer.R - layer.R, layer.K * layer.R))
    for other in lab.layers:
        state = other.states.get(role)
        if state is None or other.module is reader.module or other.module is layer.module:
            continue
        if state.index in parts.held and top & {k for _, k in parts.of(state)}:
            return True
    return False


def _taken(parts: Parts, reader: LayerCall, state: Value) -> list[list[int]]:
    """For each row of a starting state the rows that it is made of."""
    if reader.cell or len(state.shape) < 3:
        return [sorted({k for _, k in parts.of(state)})]
    return [sorted({k for _, k in row}) for row in parts.along(state, 0)]


def _wrong_rows(layer: LayerCall, reader: LayerCall, by_row: list[list[int]]) -> str | None:
    R, K = layer.R, layer.K
    if any(not row for row in by_row):
        return None
    top = set(range(K * R - R, K * R))
    if len(by_row) == 1:
        # A start from all rows, or from any that hold the top layer, is a choice; a start from none of them is none.
        if top & set(by_row[0]):
            return None
        return "top"
    if reader.K == K:
        layers = [{k // R for k in row} for row in by_row]
        if any(k // reader.R not in held for k, held in enumerate(layers)):
            return "layer"
        if R == reader.R == 2 and any(len(row) == 1 and row[0] % 2 != k % 2 for k, row in enumerate(by_row)):
            return "direction"
        if R == 2 and reader.R == 1 and any(len(held) > 1 for held in layers):
            shared = len({k for row in by_row for k in row}) < sum(map(len, by_row))
            if not shared or any(len(held) < K for held in layers):
                return "layer"
        return None
    if R == 2 and reader.R == 1 and all(len(row) == 1 for row in by_row) and K < reader.K:
        # the two directions of one layer start two layers
        pairs = {row[0] // R for row in by_row}
        return "direction" if len(pairs) < len(by_row) else None
    return None


def _exchanged_or_cell(lab: Experiments) -> Rows | None:
    for layer in _chosen(lab):
        if "cn" not in layer.outputs:
            continue
        parts = lab.ask_of(_follow_state, layer)
        for reader in lab.layers:
            h0, c0 = reader.states.get("h0"), reader.states.get("c0")
            if h0 is None or c0 is None:
                continue
            kinds = [{role for role, _ in parts.of(state)} for state in (h0, c0)]
            if kinds == [{"cn"}, {"hn"}]:
                at = _exchanging(lab, layer, reader, h0)
                return Rows("exchanged", layer, "cn", at, (), reader)
            if reader.module is layer.module and kinds in ([{"hn"}, {"hn"}], [{"cn"}, {"cn"}]):
                wrong, state = ("hn", c0) if kinds[1] == {"hn"} else ("cn", h0)
                at = next((call for call, _ in _chain(lab, state, layer.outputs[wrong])), reader.call)
                return Rows("lost", layer, "cn" if wrong == "hn" else "hn", at, (), reader)
    return _one_lost(lab) or _given(lab) or _cell_only(lab)


def _one_lost(lab: Experiments) -> Rows | None:
    """An LSTMCell in a loop of which one state goes on from step to step and the other never does."""
    of: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        if layer.cell and layer.module is not None and {"h0", "c0"} <= set(layer.states):
            of.setdefault(id(layer.module), []).append(layer)
    for calls in of.values():
        if len(calls) < 3:
            continue
        made = [{v.index for v in layer.outputs.values()} for layer in calls]
        goes = {
            role: [bool(made[k - 1] & lab.baseline.ancestors(calls[k].states[role])) for k in (1, len(calls) - 1)]
            for role in ("h0", "c0")
        }
        for role, other in (("h0", "c0"), ("c0", "h0")):
            same = {layer.states[role].index for layer in calls} == {calls[0].states[role].index}
            returned = [layer.outputs[role[0] + "n"] for layer in calls]
            unread = not any(v.index in lab.on_path for state in returned for c in state.readers for v in c.outputs)
            if (same or unread) and all(goes[other]) and not any(goes[role]):
                return Rows("lost", calls[0], role[0] + "n", calls[1].call, (), calls[1])
    return None


def _given(lab: Experiments) -> Rows | None:
    """h and c that a caller hands over in one order, and gets back or is known to mean in the other."""
    places = {value.index: k for k, value in enumerate(lab.baseline.inputs)}
    for layer in _chosen(lab):
        h0, c0 = layer.states.get("h0"), layer.states.get("c0")
        if h0 is None or c0 is None or "cn" not in layer.outputs:
            continue
        came = [places.keys() & lab.baseline.ancestors(state) for state in (h0, c0)]
        if any(len(some) != 1 for some in came) or came[0] == came[1] or h0.shape != c0.shape:
            continue
        first, second = (places[next(iter(some))] for some in came)
        last = [other for other in lab.layers if other.module is layer.module][-1]
        back = [_comes_back(lab, last.outputs[role]) for role in ("hn", "cn")]
        if None in back or back[0] == back[1]:
            values = [lab.baseline.inputs[k] for k in (first, second)]
            if first > second and first - second == 1 and _in_one_tuple(lab, values):
                return Rows("given", layer, "h0", layer.call, ())
        elif (first > second) != (back[0] > back[1]):  # type: ignore[operator]
            return Rows("given", layer, "h0" if first > second else "hn", layer.call, ())
    return None


def _comes_back(lab: Experiments, value: Value) -> int | None:
    """The place among the results at which a state comes back as it is, None where it does not."""
    copies = {made.index for made in value.way_on(lambda call, _: call.name in _COPIES)}
    return next((k for k, (_, result) in enumerate(lab.baseline.results) if result.index in copies), None)


def _in_one_tuple(lab: Experiments, values: list[Value]) -> bool:
    """Whether an argument is the pair of these two."""
    args = (*lab.inputs.args, *lab.inputs.kwargs.values())
    slots = {f"input {slot.index}": slot.value for slot in lab.inputs.slots}
    pair = {id(slots.get(value.origin)) for value in values}
    return any(isinstance(arg, (tuple, list)) and {id(one) for one in arg} == pair for arg in args)


def _exchanging(lab: Experiments, layer: LayerCall, reader: LayerCall, h0: Value) -> Call:
    """The line that exchanges h and c: where they are bound, where they are handed on, or what lies between."""
    names = layer_names(layer)
    if names["hn"].startswith("c") and names["cn"].startswith("h"):
        return layer.call
    one, other = state_words(reader.call)
    if one.startswith("c") and other.startswith("h"):
        return reader.call
    between = (call for call, _ in reversed(_chain(lab, h0, layer.outputs["cn"])))
    return next((call for call in between if call.line != layer.call.line), reader.call)


def _cell_only(lab: Experiments) -> Rows | None:
    """cn of a layer is read outside the recurrence, and neither hn nor Y of any of its calls is."""
    seen: set[int] = set()
    results = {value.index for _, value in lab.results}
    for layer in lab.layers:
        if "cn" not in layer.outputs or layer.module is None or id(layer.module) in seen:
            continue
        seen.add(id(layer.module))
        own = _own(layer, lab)
        calls = [other for other in lab.layers if other.module is layer.module]
        readers = {role: _readers(lab, calls, role, own, results) for role in ("Y", "hn", "cn")}
        if readers["cn"] and not readers["hn"] and not readers["Y"]:
            names = result_names(layer.call.where)
            if len(names) > 1 and names[-2] == "_" != names[-1]:  # hn was let go where it came back
                return Rows("cell", layer, "cn", layer.call, ())
            return Rows("cell", layer, "cn", _unpacked(lab, readers["cn"][0], layer), ())
    return None


def _unpacked(lab: Experiments, reader: Call, layer: LayerCall) -> Call:
    """The call that reads a state outside the layer, which puts the rows of packed sequences back in order itself."""
    inside = reader.name == "index_select" and reader.where == layer.call.where
    further = [call for value in reader.outputs for call in value.readers] if inside else []
    return next((call for call in further if any(v.index in lab.on_path for v in call.outputs)), reader)


def _readers(lab: Experiments, calls: list[LayerCall], role: str, own: set[int], results: set[int]) -> list[Call]:
    """The calls that read a role's tensors on the way to a result, the layer's own next calls left out."""
    found: list[Call] = []
    for layer in calls:
        value = layer.outputs.get(role)
        if value is None:
            continue
        if value.index in results:
            found.append(value.maker if value.maker is not None else layer.call)
        for call in value.readers:
            outputs = [] if call.index in own else [v for v in call.outputs if v.index in lab.on_path]
            if any(_reaches(lab, v, own, results) for v in outputs):
                found.append(call)
    return sorted(dict.fromkeys(found), key=lambda call: call.index)


def _reaches(lab: Experiments, value: Value, own: set[int], results: set[int]) -> bool:
    """Whether a result is made of a value without passing through the layer's own calls."""

    def through(call: Call, _: Value) -> bool:
        return call.index not in own and any(v.index in lab.on_path for v in call.outputs)

    return any(made.index in results for made in value.way_on(through))


def _lower(lab: Experiments) -> Rows | None:
    """Rows of hn that are read while the top layer's are not, or while their axis is kept to the end."""
    for layer in _chosen(lab):
        count = layer.K * layer.R
        if layer.cell or count < 2:
            continue
        if _readers(lab, [layer], "Y", _own(layer, lab), {v.index for _, v in lab.results}):
            continue  # the top layer is read beside it
        parts = lab.ask_of(_follow_state, layer)
        own = _own(layer, lab)
        ends = [(c, v) for c, v in parts.read if c.index not in own]
        ends += [(v.maker or layer.call, v) for _, v in lab.results if v.index in parts.held]
        for role in ("hn", "cn"):
            held = {k for _, v in ends for r, k in parts.of(v) if r == role}
            top = set(range(count - layer.R, count))
            if held and not top <= held:
                value = next(v for _, v in ends if any(r == role for r, _ in parts.of(v)))
                at = _dropping(lab, parts, layer, value) or value.maker or layer.call
                return Rows("lower", layer, role, at, tuple(sorted(held)))
            if role == "hn" and held == set(range(count)):
                kept = _kept(lab, layer, parts, role)
                if kept is not None:
                    return kept
    return None


def _twice(lab: Experiments) -> Rows | None:
    """One row of a bidirectional layer's state joined with itself, where two directions were to be joined."""
    for layer in _chosen(lab):
        if layer.cell or layer.R != 2 or "hn" not in layer.outputs:
            continue
        parts = lab.ask_of(_follow_state, layer)
        for call in lab.baseline.calls:
            if call.name in ("cat", "concat", "hstack") and len(call.inputs) == 2:
                held = [parts.of(v) for v in call.inputs]
                if held[0] == held[1] and len(held[0]) == 1:
                    ((role, row),) = held[0]
                    return Rows("twice", layer, role, call, (row,))
    return None


def _stacked_cells(lab: Experiments) -> Rows | None:
    """Cells one above the other in a loop: the upper one is read, and each goes on from its own state."""
    cells: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        if layer.cell and layer.module is not None:
            cells.setdefault(id(layer.module), []).append(layer)
    results = {value.index for _, value in lab.results}
    states = {v.index: layer for calls in cells.values() for layer in calls for v in layer.outputs.values()}
    for calls in cells.values():
        own = {layer.call.index for layer in calls}
        if len(calls) > 1:
            crossed = [states.get(v.index) for layer in calls[1:] for v in list(layer.states.values())[:1]]
            if all(other is not None and other.module is not calls[0].module for other in crossed) and crossed[0]:
                return Rows("crossed", crossed[0], "hn", calls[1].call, (), calls[1])
        below = states.get(calls[-1].X.index)
        if below is None or below.module is calls[0].module or len(calls) < 2:
            continue
        read = any(_readers(lab, calls, role, own, results) for role in ("hn", "cn"))
        under = [layer for layer in lab.layers if layer.module is below.module]
        skipped = own | {layer.call.index for layer in under}
        instead = list(_readers(lab, under, "hn", skipped, results))
        if not read and instead:
            return Rows("unread", below, "hn", instead[0], (), calls[0])
    return None


def _kept(lab: Experiments, layer: LayerCall, parts: Parts, role: str) -> Rows | None:
    """A head's only result that still has one index for each row of the state."""
    shaped = lab.baseline.results
    if len(shaped) != 1 or shaped[0][1].index not in parts.held or shaped[0][1] is layer.outputs.get(role):
        return None
    value = shaped[0][1]
    if not any(call.name == "linear" for call, _ in _chain(lab, value, layer.outputs[role])):
        return None
    count = layer.K * layer.R
    for axis, size in enumerate(value.shape[:-1]):
        if size == count and all({k for r, k in row} == {i} for i, row in enumerate(parts.along(value, axis))):
            call = _last_move(lab, value, layer.outputs[role]) or layer.call
            return Rows("kept", layer, role, call, tuple(range(count)))
    return None


def _chain(lab: Experiments, value: Value, end: Value) -> list[tuple[Call, Value]]:
    found = []
    while value is not end and value.maker is not None and value.maker.inputs:
        found.append((value.maker, value))
        value = value.maker.inputs[0]
    return found


def _last_move(lab: Experiments, value: Value, end: Value) -> Call | None:
    chain = _chain(lab, value, end)
    return chain[-1][0] if chain else None


def _dropping(lab: Experiments, parts: Parts, layer: LayerCall, value: Value) -> Call | None:
    """The call at which a row that is missing in `value` was left out, or rows were brought together wrongly."""
    whole = {v.index: parts.of(v) for v in layer.outputs.values()}
    chain: list[Call] = []
    current = value
    for _ in range(20):
        maker = current.maker
        if maker is None or maker is layer.call:
            break
        chain.append(maker)
        current = next((v for v in maker.inputs if v.index in parts.held), maker.inputs[0] if maker.inputs else current)
    held = parts.of(value)
    for call in reversed(chain):
        before = set().union(*(parts.of(v) for v in call.inputs if v.index in parts.held), set())
        after = set().union(*(parts.of(v) for v in call.outputs if v.index in parts.held), set())
        roles = {r for r, _ in held}
        if {p for p in before if p[0] in roles} > {p for p in after if p[0] in roles}:
            return call
    sums = [call for call in chain if call.name in ("sum", "mean", "amax", "flip", "__getitem__", "view", "reshape")]
    del whole
    return sums[0] if sums else (chain[0] if chain else None)


# ---------------------------------------------------------------------- steps and halves of Y
_FIRST, _BETWEEN, _LAST = range(3)


def readings_of(lab: Experiments) -> Reading | None:
    """The first layer of whose Y only the first or the last step is read where that direction has seen one step."""
    if not _settled(lab):
        return None
    for layer in _chosen(lab):
        if layer.cell or layer.L < 2 or "Y" not in layer.outputs:
            continue
        found = _reading(lab, layer)
        if found is not None:
            return found
    return None


def _reading(lab: Experiments, layer: LayerCall) -> Reading | None:
    Y = layer.outputs["Y"]
    if Y.index not in lab.on_path:
        return None
    marks = _step_marks(lab, layer, Y)
    if marks is None:
        return None
    names = tuple((half, step) for half in range(layer.R) for step in (_FIRST, _BETWEEN, _LAST))
    parts = follow_parts(lab.baseline, {Y: marks}, names, lab.on_path)
    ends = [v for _, v in parts.read] + [v for _, v in lab.results if v.index in parts.held]
    held = set().union(*(parts.of(v) for v in ends), set())
    steps = [{step for half, step in held if half == k} for k in range(layer.R)]
    results = {v.index for _, v in lab.results}
    for reader in lab.layers if layer.R == 2 else ():
        for state in reader.states.values():
            start = parts.of(state) if state.index in parts.held and reader.module is not layer.module else set()
            for step, half, name in ((_LAST, 1, "backward"), (_FIRST, 0, "forward")):
                if {s for k, s in start if k == half} == {step}:
                    at = next((call for call, _ in _chain(lab, state, Y) if _cuts_steps(parts, call, Y)), reader.call)
                    return Reading(layer, at, "last" if half else "first", name, reader)  # type: ignore[arg-type]
    paired = _paired(layer, Y)
    if paired is not None:
        return Reading(layer, paired, "pairs", "backward")
    if _readers(lab, [layer], "hn", set(), results):
        return None  # the ends are read from the state
    if layer.R == 2 and bool(steps[0]) != bool(steps[1]) and not lab.has_scalars:
        cuts = [call for call in lab.baseline.calls if _cuts_halves(parts, call)]
        at = cuts[0] if cuts else layer.call
        meant = len(cuts) == 1 and bool(at.inputs) and at.inputs[0].shape[-1] == Y.shape[-1]
        return Reading(layer, at, "none", "backward" if steps[0] else "forward", meant=meant)
    at = next((call for call in lab.baseline.calls if _cuts_steps(parts, call, Y)), layer.call)
    if layer.R == 2 and steps[1] == {_LAST}:
        return Reading(layer, at, "last", "backward")
    if layer.R == 2 and steps[0] == {_FIRST}:
        return Reading(layer, at, "first", "forward")
    if layer.R == 1 and steps[0] == {_FIRST}:
        return Reading(layer, at, "first", "only")
    return None


def _cuts_halves(parts: Parts, call: Call) -> bool:
    before = {half for v in call.inputs if v.index in parts.held for half, _ in parts.of(v)}
    after = {half for v in call.outputs if v.index in parts.held for half, _ in parts.of(v)}
    return before == {0, 1} and len(after) == 1


def _paired(layer: LayerCall, Y: Value) -> Call | None:
    """A view of both halves as (…, H, 2) that is added up along the 2: it adds neighbours, not the halves."""
    H = Y.shape[-1] // 2
    for value in Y.way_on(lambda call, _: call.name in _COPIES or call.name in ("permute", "dropout", "batch_norm")):
        maker = value.maker
        if layer.R != 2 or H == 2 or maker is None or maker.name not in ("view", "reshape", "unflatten"):
            continue
        if value.shape[-2:] == (H, 2) and maker.inputs[0].shape[-1] == 2 * H:
            for reader in value.readers:
                dim = reader.argument(1, "dim")
                if (
                    reader.name in ("sum", "mean")
                    and isinstance(dim, int)
                    and dim % len(value.shape) == len(value.shape) - 1
                ):
                    return maker
    return None


def _cuts_steps(parts: Parts, call: Call, Y: Value) -> bool:
    before = set().union(*(parts.of(v) for v in call.inputs if v.index in parts.held), set())
    after = set().union(*(parts.of(v) for v in call.outputs if v.index in parts.held), set())
    whole = parts.of(Y)
    return before == whole and bool(after) and after < whole


def _step_marks(lab: Experiments, layer: LayerCall, Y: Value) -> Tensor | None:
    """Marks for the first, the last and the other steps of each half of Y, rows read to their own length."""
    half = Y.shape[-1] // layer.R
    place = torch.full(Y.shape[:-1], _BETWEEN, device="cpu")
    if layer.packed:
        sizes = layer.batch_sizes
        if sizes is None:
            return None
        start, lengths = 0, layer.lengths
        for t, size in enumerate(sizes.tolist()):
            for row in range(size):
                place[start + row] = _LAST if t == lengths[row] - 1 else _FIRST if t == 0 else _BETWEEN
            start += size
    else:
        steps = place if layer.batch_first else place.transpose(0, 1)
        steps[:, 0] = _FIRST
        told = lab.ask(lengths_of)
        known = None if isinstance(told, str) or len(told.steps) != steps.size(0) else told.steps
        if known is not None and max(known) <= steps.size(1):
            for row, n in enumerate(known):
                steps[row, max(n - 1, 0)] = _LAST
        steps[:, -1] = _LAST
    marks = torch.zeros(3 * layer.R, *Y.shape, dtype=torch.bool, device="cpu")
    for k in range(layer.R):
        columns = slice(k * half, (k + 1) * half)
        for step in (_FIRST, _BETWEEN, _LAST):
            marks[3 * k + step][..., columns] = (place == step).unsqueeze(-1)
    return marks
