"""Who mixes the samples: what the culprit does to their axis, and what a person is told of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from math import prod

from torch import Tensor

from lstm_shapes.lab._words import layer_names, symbol, value_name
from lstm_shapes.lab.trace import KERNELS, Call, LayerCall, Value, is_loss
from lstm_shapes.lab.trace._families import PRODUCTS, VIEWS, broadcasts, names_in

from ._experiments import Experiments
from ._fixes import (
    ALONG,
    Fix,
    along_another,
    attention,
    held,
    on_first,
    other_layout,
    permuted,
    picked_otherwise,
    scripted,
    unsorted,
    with_dim,
)
from ._rules_padding import packing_of
from ._samples import Samples, cut, mislaying, samples_of, wider_of

_PICKS = names_in("__getitem__ select narrow index_select gather take unbind split chunk take_along_dim")
_NORMS = names_in("layer_norm instance_norm group_norm rms_norm batch_norm")
_MOVE_AWAY = names_in(
    "sort flip roll prod any all max min amax amin mean sum view reshape __getitem__ index_select gather select unbind"
)
_SYMBOLS = {"multi_head_attention_forward": "attention", "script": "the scripted module"}


@dataclass(eq=False, slots=True)
class Blame:
    """What is said of `call`, the line to change; `value` is the tensor that shows it, `layer` whose it is."""

    samples: Samples
    call: Call
    value: Value
    code: str
    title: str
    measured: str
    fixes: list[Fix] = field(default_factory=list)
    layer: LayerCall | None = None


def blame_of(lab: Experiments) -> Blame | None:
    """Who mixes the samples, None where nobody does."""
    blame = _first_to_mix(lab)
    if blame is None or blame.code not in ("LS201", "LS205") or any(held(lab, f) for f in blame.fixes):
        return blame
    # A stack behind which samples and steps are exchanged, where its other axis makes all right and nothing else.
    stack, made = next(((call, made) for made, call in blame.value.way_back() if call.name == "stack"), (None, None))
    dim = stack.argument(1, "dim", 0) if stack is not None else None
    if stack is None or made is None or dim not in (0, 1) or not held(lab, fix := with_dim(stack, 1 - dim)):
        return blame
    title = f"{stack.name} puts the steps where what follows has the samples"
    layout = blame.samples.layout(made)
    measured = f"{blame.samples.shape(made)}, the result, has the samples on axis {layout.axis if layout else None}"
    return Blame(blame.samples, stack, made, "LS201", title, f"{measured}; {blame.samples.moved}", [fix])


def _first_to_mix(lab: Experiments) -> Blame | None:
    samples = lab.ask(samples_of)
    call = samples.culprit
    if call is None or samples.kind not in ("mixed", "dropped", "permuted"):
        return None
    if samples.of_lengths and (packing := lab.ask(packing_of)) is not None and packing.crossed:
        return None  # the rows are packed with the lengths of others: a finding of its own
    spread = samples.holding(call)
    several = [v for v in spread if len(samples.track(v).touched) > 1]
    value = (several or spread or list(call.inputs) or list(call.outputs))[0]
    if samples.kind == "permuted":
        places = None if samples.result is None else samples.track(samples.result).places()
        title = "the result's rows are in another order than the samples: row i belongs to another sample"
        measured = f"sample → row: {places}; the last call that reorders rows is this one"
        return Blame(samples, call, value, "LS214", title, measured, unsorted(call))
    if samples.kind == "mixed":
        if call.name in VIEWS:
            return _view(samples, call)
        strayed = _strayed(lab, samples, call, several)
        if strayed is not None:
            return strayed
    layer = next((layer for layer in lab.layers if layer.call is call), None)
    if layer is not None:
        return _layer(lab, samples, layer)
    if is_loss(call.name):
        return _loss(samples, call, spread)
    picks = samples.kind == "dropped" or call.name in _PICKS
    along = call.name in ALONG or call.name in _NORMS
    product = call.name in PRODUCTS or call.name == "multi_head_attention_forward"
    meets = broadcasts(call.name) or len(spread) > 1
    view = call if cut(samples, call) or call.name in VIEWS else None
    if view is None and call.name not in _PICKS:
        view = _view_behind(lab, samples, value)
    alike = len({samples.layout(v) for v in spread}) == 1 < len(spread)  # both operands are merged alike, on purpose
    if view is None and not picks and not along and (product or meets) and not (product and alike):
        view = next((v for one in ((value,) if product else call.inputs) if (v := _merging_view(samples, one))), None)
    if view is not None:
        return _view(samples, view)
    if meets and not picks and (picked := _picked_apart(samples, spread)) is not None:
        return _picked(lab, samples, picked, picked.inputs[0], None)
    made = _state_of(lab, value) if picks or along else None
    if picks:
        return _picked(lab, samples, call, value, made)
    spoken = _SYMBOLS.get(call.name) or symbol(call.name)
    if along:
        fixes = list(along_another(lab, call, value, made)) if call.name in ALONG else []
        return _of_state(_run_along(samples, call, value, fixes), made)
    if product:
        title = f"{spoken} sums over the batch: each row of the result holds all samples"
        operands = " and ".join(samples.shape(v) for v in call.inputs[:2] if not v.parameter)
        layout, name = samples.layout(value), value_name(value, call)
        measured = f"{operands}: the samples lie on axis {layout.axis if layout else None} of {name}, which the product"
        return Blame(samples, call, value, "LS201", title, f"{measured} sums over", list(attention(call)))
    if meets:
        against = next((v for v in spread if v is not value), None)
        title, measured = f"{spoken} joins rows of different samples", _layouts(samples, call, value, against)
        return Blame(samples, call, value, "LS201", title, measured)
    title = f"samples influence each other in {spoken}: batch and another axis are exchanged"
    return Blame(samples, call, value, "LS201", title, samples.moved, list(scripted(call)))


def _lies(samples: Samples, value: Value, call: Call) -> str:
    """A sentence: on which axis a tensor has the samples."""
    layout = samples.layout(value)
    return f"{value_name(value, call)} {samples.shape(value)} has the samples on axis {layout.axis if layout else None}"


def _layouts(samples: Samples, call: Call, *values: Value | None) -> str:
    """How the samples lie in the tensors that do not fit."""
    lie = []
    for value in values:
        if value is not None and (track := samples.track(value)).touched:
            layout = track.layout()
            axis = layout.axis if layout is not None else (track.axes or [0])[0]
            lie.append(f"{value_name(value, call)} {value.shape} has on axis {axis} {track.sets(axis)}")
    return "; ".join(lie)


def _after(samples: Samples, made: Value) -> str:
    """What moved in a call's result."""
    track = samples.track(made)
    return f"on axis {track.rows} moved {track.sets(track.rows)}" if track.touched else "nothing is left of them"


def _run_along(samples: Samples, call: Call, value: Value, fixes: list[Fix]) -> Blame:
    """A function that works along the batch."""
    dim = call.argument(ALONG.get(call.name, 1), "dim")
    spoken = call.name if dim is None else f"{call.name}(dim={dim})"
    title = f"{spoken} runs along the batch: a sample's numbers depend on the other samples"
    measured = f"{_lies(samples, value, call)}; {_after(samples, call.outputs[0])}"
    return Blame(samples, call, value, "LS201", title, measured, fixes)


def _order(samples: Samples, call: Call, value: Value, against: Value, layer: LayerCall | None = None) -> Blame:
    """Rows in two orders that meet."""
    title = f"{symbol(call.name)} joins rows that were sorted with rows that were not"
    measured = _layouts(samples, call, value, against)
    return Blame(samples, call, value, "LS214", title, measured, unsorted(call), layer)


def _picked(
    lab: Experiments,
    samples: Samples,
    call: Call,
    value: Value,
    made: tuple[str, LayerCall] | None,
    fixes: list[Fix] | None = None,
) -> Blame:
    """Samples that are taken out one by one."""
    index = call.args[1] if call.name == "__getitem__" and len(call.args) > 1 else None
    shown = f"{value_name(value, call)}[{index}]" if isinstance(index, int) else "an index" if index is not None else ""
    title = f"{shown or call.name} takes single samples out of the batch, and the result holds only those"
    measured = f"{_lies(samples, value, call)}; {samples.moved}"
    fixes = list(picked_otherwise(lab, call, value, made)) if fixes is None else fixes
    return _of_state(Blame(samples, call, value, "LS201", title, measured, fixes), made)


def _of_state(blame: Blame, made: tuple[str, LayerCall] | None) -> Blame:
    """The same, where it works on the batch axis of the hn or cn of a layer, whose axes are (K·R, N, H)."""
    layout = blame.samples.layout(blame.value)
    if made is None or layout is None or layout.axis != 1:
        return blame
    name = layer_names(made[1])[made[0]]
    blame.code, blame.layer = "LS205", made[1]
    blame.title = f"{symbol(blame.call.name)} works on axis 1 of {name}, which is the batch"
    shown = f"{name} is (K·R, N, H) = {blame.value.shape}, with batch_first too"
    blame.measured = f"{shown}; {blame.samples.moved}, so samples are dropped or mixed"
    return blame


# ---------------------------------------------------------------------- which tensor shows it
def _picked_apart(samples: Samples, spread: Sequence[Value]) -> Call | None:
    """The call that took single samples out of one tensor, where operands hold one sample each, and not the same."""
    holding = [set(samples.track(v).touched) for v in spread]
    if len(holding) < 2 or any(len(some) != 1 for some in holding) or holding[0] == holding[1]:
        return None
    several = (c for _, c in spread[0].way_back() if c.inputs and len(samples.track(c.inputs[0]).touched) > 1)
    call = next(several, None)
    return call if call is not None and call.name in _PICKS else None


def _state_of(lab: Experiments, value: Value) -> tuple[str, LayerCall] | None:
    """The role and layer where a value is a layer's final state, all rows of it."""
    states = ((role, layer) for layer in lab.layers if not layer.cell for role in ("hn", "cn"))
    return next(((role, layer) for role, layer in states if layer.outputs.get(role) is value), None)


def _orders_differ(samples: Samples, a: Value, b: Value) -> bool:
    """Whether two tensors hold whole rows of the samples, in different orders."""
    one, other = samples.track(a).places(), samples.track(b).places()
    return one is not None and other is not None and one != other


def _strayed(lab: Experiments, samples: Samples, call: Call, spread: Sequence[Value]) -> Blame | None:
    """Where one operand holds every sample in its place and another does not: the call that moved it away.

    Rows that are sorted, or written one by one, are away on purpose: the line where they meet the others is the one.
    """

    def away(values: Sequence[Value]) -> list[Value]:
        return [v for v in values if samples.track(v).moved and samples.layout(v) is None]

    home, further = next((v for v in spread if samples.layout(v) is not None), None), away(call.inputs)
    if home is None or not further:
        return None
    maker = further[0].maker
    while maker is not None and (further := away(maker.inputs)):
        maker = further[0].maker
    if maker is None or not maker.inputs:
        return None
    before = [v for v in maker.inputs if samples.track(v).moved]
    waiting = list(maker.inputs[1:])
    for index in waiting[:40]:  # of an index that was made by sorting
        if index.maker is not None and index.maker.name in ("sort", "argsort", "randperm"):
            return None
        waiting.extend([] if index.maker is None else index.maker.inputs)
    if not before or maker.name not in _MOVE_AWAY:
        return None
    if maker.name in ("flip", "roll"):
        return _order(samples, maker, before[0], home)
    rows = [Fix("rows of the same samples, in the order in which they were")]
    if maker.name in ALONG:
        return _run_along(samples, maker, before[0], rows)
    return _picked(lab, samples, maker, before[0], None, rows)


def _loss(samples: Samples, call: Call, spread: Sequence[Value]) -> Blame:
    """Predictions and targets that belong to different samples at the same row."""
    value, against = [*spread, None, None][:2]
    assert value is not None
    if against is not None and _orders_differ(samples, value, against):
        own = {s: s for s in samples.tested}
        moved = next((v for v in (value, against) if samples.track(v).places() != own), value)
        return _order(samples, call, moved, against)
    fixes: list[Fix] = []
    for each in (value, against):
        if each is None or (view := merging(each)) is None:
            continue
        source, shape, target = view.inputs[0], view.outputs[0].shape, each is against
        name = value_name(source, view)
        name = name if " " not in name else "targets" if target else "logits"
        turn = "t()" if target and len(source.shape) == 2 else "transpose(0, 1)"
        flat = (
            f"{name}.{turn}.reshape({', '.join(map(str, (-1, *shape[1:])))}), so that both are flattened in one order"
        )
        fixes.append(Fix(flat, {view.index: on_first(partial(_turned, shape))}))
    code, title = "LS201", f"{symbol(call.name)} joins rows of different samples"
    if fixes:
        code, title = "LS214", f"{call.name} compares predictions and targets that were flattened in different orders"
    return Blame(samples, call, value, code, title, _layouts(samples, call, value, against), fixes)


def _turned(shape: tuple[int, ...], x: Tensor) -> Tensor:
    return x.transpose(0, 1).reshape(shape)


def merging(value: Value) -> Call | None:
    """The view that merged two axes, behind which a value lies."""
    makers = ((after, call) for after, call in value.way_back() if call.name in ("view", "reshape", "flatten"))
    return next((call for after, call in makers if len(call.inputs[0].shape) > len(after.shape)), None)


# ---------------------------------------------------------------------- recurrent layers
def _layer(lab: Experiments, samples: Samples, layer: LayerCall) -> Blame:
    X, call, track = layer.X, layer.call, samples.track(layer.X)
    blame = partial(Blame, samples, layer=layer)
    reads = f"{layer.called} reads the batch as time: the state runs from sample to sample"
    if len(track.touched) > 1 and layer.time_axis in track.axes and layer.batch_axis not in track.axes:
        view = _view_behind(lab, samples, X)
        if view is not None:
            return _view(samples, view)
        fixes = list(other_layout(lab, layer))
        if layer.unbatched:
            title = f"{layer.called} reads the {layer.L} rows of a 2-D input as the steps of one sequence"
            measured = (
                f"the input {X.shape} has no batch axis for {layer.constructor()}; {samples.moved}; batch_dim=None"
            )
            return blame(call, X, "LS207", title, f"{measured} says that it is one sequence on purpose", fixes)
        measured = f"{_lies(samples, X, call)}, which {layer.constructor()} reads as time; {samples.moved}"
        return blame(call, X, "LS201", reads, measured, fixes)
    rows, packing = X, X.maker if layer.packed else None
    if packing is not None and packing.name == "_pack_padded_sequence":
        rows, first = packing.inputs[0], bool(packing.args[2])
        before = samples.layout(rows)
        if not track.mixed and before is not None and before.axis != (0 if first else 1):
            edit = {packing.index: lambda func: lambda x, lengths, _: func(x, lengths, not first)}
            measured = f"{_lies(samples, rows, packing)}, which {layer.constructor()} reads as time; {samples.moved}"
            fix = Fix(f"pack_padded_sequence(…, batch_first={not first})", edit)
            return blame(packing, rows, "LS201", reads, measured, [fix])
    states = list(layer.states.values())
    title = f"{layer.called} gets x and a state whose rows belong to different samples"
    for state in states if not layer.cell else ():
        if _orders_differ(samples, state, rows):
            return _order(samples, call, state, rows, layer)
        lies = samples.layout(state)
        if lies is not None and len(state.shape) == 3 and lies.axis != 1:
            return blame(call, state, "LS202", title, _layouts(samples, call, state))
    against = next((v for v in states if samples.track(v).touched), None)
    if len(track.touched) > 1 or against is None:
        return blame(call, X, "LS202", title, _layouts(samples, call, X, against))
    if not layer.cell and layer.L > 1:
        title = f"{layer.called} starts a sequence from the state that another sequence left"
        fix = Fix(f"reset the state for each sequence: call {layer.called} without a state, or with zeros")
        return blame(call, X, "LS211", title, f"x {X.shape} is one sample, and its h0 was made from others", [fix])
    title = f"{layer.called} steps through the batch: the state runs from sample to sample"
    fix = Fix("a loop over the steps, axis 1 of the input: x[:, t], with states of N = x.size(0) rows")
    return blame(
        call, X, "LS201", title, f"x {X.shape} belongs to one sample and its state to others; {samples.moved}", [fix]
    )


@dataclass(frozen=True, slots=True)
class Coincidence:
    """A state that a layer accepts only because sizes are equal."""

    title: str
    measured: str
    fix: str
    layer: LayerCall


def coincidence_of(lab: Experiments) -> Coincidence | None:
    """The state that did not follow the batch when it grew, in torch's own words: expected (…), got […]."""
    N, blame = lab.N, lab.ask(blame_of)
    if lab.batch_dim is None or N < 1 or lab.baseline.error is not None:
        return None
    suspects = []
    for layer in lab.layers:
        state, fits = layer.states.get("h0"), layer.N == N and N in (layer.K * layer.R, layer.L)
        given = state is not None and (state.maker is None or state.maker.owner is not layer.module)
        suspects += [layer] if given and fits and not layer.packed and not layer.cell else []
    if blame is not None and blame.layer is not None and not blame.layer.cell and blame.code != "LS205":
        suspects.append(blame.layer)
    if not suspects:
        return None
    lab.says("one sample and two steps more")
    trace, layer = lab.record(lab.inputs.wider(1, 2)), suspects[0]
    failed = next((call for call in trace.calls if call.error is not None), None)
    match = re.search(r"Expected hidden(?:\[\d\])? size \(([\d, ]+)\), got \[([\d, ]+)\]", str(trace.error))
    if match is None or (failed is not None and failed.name not in KERNELS):
        return None
    expected, got = (tuple(int(n) for n in part.split(",")) for part in match.groups())
    if len(got) != 3 or got == expected or expected[1] != N + 1:
        return None
    measured = f"with N = {N + 1} samples the same program raises: expected {expected}, got {got}"
    if got[0] == N + 1:
        title = f"the state is (N, K, H), and is accepted only because N == {'K·R' if layer.R == 2 else 'K'} == {N}"
        fix = "h0.transpose(0, 1).contiguous(): h0 and c0 are (K·R, N, H), with batch_first too; permute(1, 0, 2)"
        return Coincidence(title, measured, fix, layer)
    if got[1] in (layer.L, layer.L + 2):
        title = f"the state is made with the number of steps, and is accepted only because N == L == {N}"
        fix = f"x.size({0 if layer.batch_first else 1}) for the batch: h0 and c0 are (K·R, N, H)"
        return Coincidence(title, measured, fix, layer)
    return None


# ---------------------------------------------------------------------- views
def _view(samples: Samples, call: Call) -> Blame:
    value = call.inputs[0]
    while value.maker is not None and value.maker.name in ("view", "reshape", "flatten", "contiguous", "ravel"):
        value = value.maker.inputs[0]  # a chain of views is one view
    title = f"{call.name} cuts across the samples: rows of the result hold parts of several"
    made = call.outputs[0]
    measured = (
        f"{_lies(samples, value, call)}; as {made.shape} the same memory puts them elsewhere: {_after(samples, made)}"
    )
    return Blame(samples, call, value, "LS202", title, measured, list(permuted(samples, call, value)))


def _view_behind(lab: Experiments, samples: Samples, value: Value) -> Call | None:
    """The view that put samples where they do not belong, behind which a value lies."""
    return next(mislaying(samples, lab.N, value), None) or turning_view(lab, value)


def _merging_view(samples: Samples, value: Value) -> Call | None:
    """The view that merged the samples with an axis on their right, behind which `value` lies."""
    for made, call in value.way_back():
        before, after = samples.layout(call.inputs[0]) if call.inputs else None, samples.layout(made)
        if after is None or after.repeat == 1:
            return None
        if call.name in VIEWS and before is not None and before.repeat == 1:
            return call
    return None


def turning_view(lab: Experiments, value: Value) -> Call | None:
    """The view that was to exchange two axes of equal sizes, behind which a value lies: one sample more shows it."""
    if value.shape.count(lab.N) < 2:
        return None
    wide = {call.index: call for call in lab.ask(wider_of).calls}
    for made, call in value.way_back():
        other = wide.get(call.index)
        if call.name in ("view", "reshape") and other is not None and other.name == call.name and other.outputs:
            source = call.inputs[0]
            pairs = ((source.shape, other.inputs[0].shape), (made.shape, other.outputs[0].shape))
            before, after = ([k for k, n in enumerate(a) if b[k : k + 1] == (n + 1,)] for a, b in pairs)
            if len(before) == len(after) == 1 and before != after and len(made.shape) == len(source.shape):
                return call
    return None


def scrambling_view(lab: Experiments) -> tuple[Call, int, str] | None:
    """The first view on the way to a result in whose result an axis of the input stands at another place.

    With it come that axis of the result, and the permute that was meant. Boundaries between axes are numbers of
    elements to their right. Where one of the input and one of the result divide neither the other, the view cuts
    through both; if besides an axis of the input is asked for elsewhere, a permute was meant: (N, C, L) as (N, L, C).
    """
    if lab.baseline.error is not None or lab.ask(samples_of).kind in ("mixed", "dropped"):
        return None
    inputs = {value.index for value in lab.baseline.inputs}
    for call in lab.baseline.calls:
        if call.name in ("view", "reshape") and call.outputs and call.outputs[0].index in lab.on_path:
            before, after = call.inputs[0].shape, call.outputs[0].shape
            axis = _elsewhere(before, after)
            if axis is not None and lab.baseline.ancestors(call.inputs[0]) & inputs:
                return call, axis, _permute(value_name(call.inputs[0], call), before, after)
    return None


def _elsewhere(before: Sequence[int], after: Sequence[int]) -> int | None:
    """The axis of a view's result that was one of its input, and stands at another place."""
    left, right = ([prod(shape[k:]) for k in range(1, len(shape))] for shape in (before, after))
    if not any(b % B and B % b for b in left for B in right):
        return None
    for j, size in enumerate(after):
        if size > 1 and list(before).count(size) == list(after).count(size) == 1:
            k = list(before).index(size)
            if prod(before[:k]) != prod(after[:j]) and prod(before[k + 1 :]) != prod(after[j + 1 :]):
                return j
    return None


def _permute(name: str, before: Sequence[int], after: Sequence[int]) -> str:
    """The permute behind which the new shape keeps whole axes."""
    for order in list(permutations(range(len(before))))[1:]:
        moved = tuple(before[k] for k in order)
        ends = {prod(moved[:k]) for k in range(len(moved) + 1)}
        if all(prod(after[:k]) in ends for k in range(len(after) + 1)):
            swapped = [k for k, place in enumerate(order) if k != place]
            text = f"{name}.transpose({swapped[0]}, {swapped[1]})" if len(swapped) == 2 else f"{name}.permute{order}"
            return text if moved == tuple(after) else f"{text}.reshape{tuple(after)}"
    return f"a permute of {name} before the view"
