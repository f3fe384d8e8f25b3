"""What the culprit of mixed samples does to their axis: the one thing that decides what a person is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lstm_shapes.lab._words import (
    argument_text,
    call_text,
    layer_names,
    result_names,
    symbol,
    top_row,
    value_name,
)
from lstm_shapes.lab.trace import Call, LayerCall, Value, is_loss
from lstm_shapes.lab.trace._families import PRODUCTS, VIEWS, broadcasts, names_in

from ._experiments import Experiments
from ._fixes import Edit, Fix, held, samples_hold
from ._layout import made_axis
from ._padding import packing_of
from ._samples import Samples, cut, samples_of, wider_of

Kind = Literal[
    "time", "steps", "unbatched", "carried", "view", "along", "product", "joined", "state", "flattened", "picked",
    "order", "sorted", "stacked", "other",
]  # fmt: skip

# Functions that work along `dim`, and the place of that argument.
ALONG = {
    **dict.fromkeys(
        names_in(
            "softmax log_softmax softmin gumbel_softmax sum mean max min amax amin argmax argmin cumsum cumprod "
            "std var logsumexp median prod flip sort std_mean var_mean cummax cummin logcumsumexp mode nansum nanmean "
            "diff any all unbind cat stack concat glu"
        ),
        1,
    ),
    **dict.fromkeys(names_in("norm topk kthvalue roll normalize"), 2),
}
_PICKS = names_in("__getitem__ select narrow index_select gather take unbind split chunk take_along_dim")
_NORMS = names_in("layer_norm instance_norm group_norm rms_norm batch_norm")
_MOVE_AWAY = names_in(
    "sort flip roll prod any all max min amax amin mean sum view reshape __getitem__ index_select gather select unbind"
)


@dataclass(eq=False, slots=True)
class Blame:
    """`call` is the line to change, `value` the tensor that shows it.

    `state`: the tensor is hn or cn of `maker`, whose axes are (K·R, N, H).
    """

    samples: Samples
    kind: Kind
    call: Call
    value: Value
    fixes: list[Fix] = field(default_factory=list)
    layer: LayerCall | None = None
    against: Value | None = None
    state: str = ""
    maker: LayerCall | None = None

    # What is said of it reads these.
    @property
    def axis(self) -> int | None:
        """Where the samples lie."""
        layout = self.samples.layout(self.value)
        return None if layout is None else layout.axis

    @property
    def shape(self) -> str:
        """The tensor's shape with the batch axis named."""
        return self.samples.shape(self.value)

    @property
    def name(self) -> str:
        return value_name(self.value, self.call)

    @property
    def symbol(self) -> str:
        words = {"multi_head_attention_forward": "attention", "script": "the scripted module"}
        return words.get(self.call.name) or symbol(self.call.name)

    @property
    def constructor(self) -> str:
        return "" if self.layer is None else self.layer.constructor()

    @property
    def spoken(self) -> str:
        """The call with the axis that it works along."""
        dim = self.call.argument(ALONG.get(self.call.name, 1), "dim")
        return self.call.name if dim is None else f"{self.call.name}(dim={dim})"

    @property
    def index(self) -> str:
        """The call as an index."""
        index = self.call.args[1] if self.call.name == "__getitem__" and len(self.call.args) > 1 else None
        index_text = "an index" if index is not None else self.call.name
        return f"{self.name}[{index}]" if isinstance(index, int) else index_text

    @property
    def after(self) -> str:
        """What moved in the call's result."""
        track = self.samples.track(self.call.outputs[0])
        return f"on axis {track.rows} moved {track.sets(track.rows)}" if track.touched else "nothing is left of them"

    @property
    def made(self) -> tuple[int, ...]:
        return self.call.outputs[0].shape

    @property
    def places(self) -> dict[int, int] | None:
        """Sample to row, in the result."""
        return None if self.samples.result is None else self.samples.track(self.samples.result).places()

    @property
    def operands(self) -> str:
        return " and ".join(self.samples.shape(value) for value in self.call.inputs[:2] if not value.parameter)

    @property
    def layouts(self) -> str:
        """How the samples lie in the two tensors that do not fit."""
        parts = []
        for value in (self.value, self.against):
            if value is not None and (track := self.samples.track(value)).touched:
                layout = track.layout()
                axis = layout.axis if layout is not None else (track.axes or [0])[0]
                parts.append(f"{value_name(value, self.call)} {value.shape} has on axis {axis} {track.sets(axis)}")
        return "; ".join(parts)


def blame_of(lab: Experiments) -> Blame | None:
    """Who mixes the samples, None where nobody does."""
    blame = _first_to_mix(lab)
    return None if blame is None else _stacked(lab, blame) or blame


def _stacked(lab: Experiments, blame: Blame) -> Blame | None:
    """The stack behind which samples and steps are exchanged, where its other axis makes all right and nothing else."""
    if blame.kind not in ("time", "along", "product", "joined", "picked"):
        return None
    if any(held(lab, fix, samples_hold) for fix in blame.fixes):
        return None
    for made, call in blame.value.way_back():
        if call.name == "stack":
            dim = call.argument(1, "dim", 0)
            fixes = [with_dim(call, 1 - dim)] if dim in (0, 1) else []
            right = any(held(lab, fix, samples_hold) for fix in fixes)
            return Blame(blame.samples, "stacked", call, made, fixes) if right else None
    return None


def _first_to_mix(lab: Experiments) -> Blame | None:
    samples = lab.ask(samples_of)
    call = samples.culprit
    if call is None or samples.kind not in ("mixed", "dropped", "permuted"):
        return None
    if samples.of_lengths and (packing := lab.ask(packing_of)) is not None and packing.crossed:
        return None  # the rows are packed with the lengths of others: a finding of its own
    blame = partial(Blame, samples)
    spread = samples.holding(call)
    several = [v for v in spread if len(samples.track(v).touched) > 1]
    value = (several or spread or list(call.inputs) or list(call.outputs))[0]
    if samples.kind == "permuted":
        return blame("sorted", call, value, _unsort(call))
    if samples.kind == "mixed":
        if call.name in VIEWS:
            return _view(samples, call)
        strayed = _strayed(samples, call, several)
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
        view = _misplacing_view(lab, samples, value) or turning_view(lab, value)
    alike = len({samples.layout(v) for v in spread}) == 1 < len(spread)  # both operands are merged alike, on purpose
    if view is None and not picks and not along and (product or meets) and not (product and alike):
        view = next((v for one in ((value,) if product else call.inputs) if (v := _merging_view(samples, one))), None)
    if view is not None:
        return _view(samples, view)
    if meets and not picks and (picked := _picked_apart(samples, spread)) is not None:
        return blame("picked", picked, picked.inputs[0], list(_picks(lab, picked, picked.inputs[0], None)))
    made = _state_of(lab, value) if picks or along else None
    if picks:
        said = blame("picked", call, value, list(_picks(lab, call, value, made)))
    elif along:
        said = blame("along", call, value, list(_along(lab, call, value, made)) if call.name in ALONG else [])
    elif product:
        said = blame("product", call, value, list(_attention(call)))
    elif meets:
        said = blame("joined", call, value, against=next((v for v in spread if v is not value), None))
    else:
        said = blame("other", call, value, list(_scripted(call)))
    if made is not None and said.axis == 1:
        said.state, said.maker = made
    return said


# ---------------------------------------------------------------------- which tensor shows it
def _picked_apart(samples: Samples, spread: Sequence[Value]) -> Call | None:
    """The call that took single samples out of one tensor, where operands hold one sample each, and not the same."""
    held = [set(samples.track(v).touched) for v in spread]
    if len(held) < 2 or any(len(some) != 1 for some in held) or held[0] == held[1]:
        return None
    for _, call in spread[0].way_back():
        if call.inputs and len(samples.track(call.inputs[0]).touched) > 1:
            return call if call.name in _PICKS else None
    return None


def _state_of(lab: Experiments, value: Value) -> tuple[str, LayerCall] | None:
    """The layer and role where a value is a layer's final state, all rows of it."""
    for layer in lab.layers:
        for role in ("hn", "cn"):
            if not layer.cell and layer.outputs.get(role) is value:
                return role, layer
    return None


def _orders_differ(samples: Samples, a: Value, b: Value) -> bool:
    """Whether two tensors hold whole rows of the samples, in different orders."""
    one, other = samples.track(a).places(), samples.track(b).places()
    return one is not None and other is not None and one != other


def _strayed(samples: Samples, call: Call, spread: Sequence[Value]) -> Blame | None:
    """Where one operand holds every sample in its place and another does not: the call that moved it away.

    Rows that are sorted, or written one by one, are away on purpose: the line where they meet the others is the one.
    """
    away = [v for v in call.inputs if (track := samples.track(v)).moved and not track.kept]
    home = next((v for v in spread if samples.track(v).kept), None)
    if home is None or not away:
        return None
    value = away[0]
    while value.maker is not None and value.maker.inputs:
        before = [v for v in value.maker.inputs if samples.track(v).moved]
        further = [v for v in before if not samples.track(v).kept]
        if not further:
            return _moved_away(samples, value.maker, before[0], home) if before else None
        value = further[0]
    return None


def _moved_away(samples: Samples, call: Call, value: Value, home: Value) -> Blame | None:
    waiting, sorts = list(call.inputs[1:]), ("sort", "argsort", "randperm")
    for index in waiting[:40]:  # of an index that was made by sorting
        if index.maker is not None and index.maker.name in sorts:
            return None
        waiting.extend([] if index.maker is None else index.maker.inputs)
    if call.name not in _MOVE_AWAY:
        return None
    if call.name in ("flip", "roll"):
        return Blame(samples, "order", call, value, _unsort(call), against=home)
    rows = [Fix("rows of the same samples, in the order in which they were")]
    return Blame(samples, "along" if call.name in ALONG else "picked", call, value, rows, against=home)


def _loss(samples: Samples, call: Call, spread: Sequence[Value]) -> Blame:
    """Predictions and targets that belong to different samples at the same row."""
    value, against = [*spread, None, None][:2]
    assert value is not None
    if against is not None and _orders_differ(samples, value, against):
        own = {s: s for s in samples.tested}
        moved = next((v for v in (value, against) if samples.track(v).places() != own), value)
        return Blame(samples, "order", call, moved, _unsort(call), against=against)
    fixes: list[Fix] = []
    for each in (value, against):
        view = merging(each) if each is not None else None
        if view is not None:
            source, shape, target = view.inputs[0], view.outputs[0].shape, each is against
            name = value_name(source, view)
            name = name if " " not in name else "targets" if target else "logits"
            turn = "t()" if target and len(source.shape) == 2 else "transpose(0, 1)"
            flat = f"{name}.{turn}.reshape({', '.join(map(str, (-1, *shape[1:])))})"
            edit = {view.index: _on_first(partial(_flattened, shape))}
            fixes.append(Fix(f"{flat}, so that both are flattened in one order", edit))
    return Blame(samples, "flattened" if fixes else "joined", call, value, fixes, against=against)


def _flattened(shape: tuple[int, ...], x: Tensor) -> Tensor:
    return x.transpose(0, 1).reshape(shape)


def merging(value: Value) -> Call | None:
    """The view that merged two axes, behind which a value lies."""
    makers = ((after, call) for after, call in value.way_back() if call.name in ("view", "reshape", "flatten"))
    return next((call for after, call in makers if len(call.inputs[0].shape) > len(after.shape)), None)


def _on_first(change: Callable[[Any], Any]) -> Edit:
    """Another function of a call's first operand in the call's place."""
    return lambda func: lambda x, *_, **__: change(x)


# ---------------------------------------------------------------------- recurrent layers
def _layer(lab: Experiments, samples: Samples, layer: LayerCall) -> Blame:
    X, track = layer.X, samples.track(layer.X)
    blame = partial(Blame, samples, layer=layer)
    if len(track.touched) > 1 and layer.time_axis in track.axes and layer.batch_axis not in track.axes:
        view = _misplacing_view(lab, samples, X) or turning_view(lab, X)
        if view is not None:
            return _view(samples, view)
        return blame("unbatched" if layer.unbatched else "time", layer.call, X, list(_batch_first(lab, layer)))
    rows, packing = X, X.maker if layer.packed else None
    if packing is not None and packing.name == "_pack_padded_sequence":
        rows, first = packing.inputs[0], bool(packing.args[2])
        before = samples.layout(rows)
        if not track.mixed and before is not None and before.axis != (0 if first else 1):
            edit = {packing.index: lambda func: lambda x, lengths, _: func(x, lengths, not first)}
            return blame("time", packing, rows, [Fix(f"pack_padded_sequence(…, batch_first={not first})", edit)])
    states = list(layer.states.items())
    for role, state in states if not layer.cell else ():
        if _orders_differ(samples, state, rows):
            return blame("order", layer.call, state, _unsort(layer.call), state=role, against=rows)
        lies = samples.layout(state)
        if lies is not None and len(state.shape) == 3 and lies.axis != 1:
            return blame("state", layer.call, state, state=role)
    against = next((v for _, v in states if samples.track(v).touched), None)
    if len(track.touched) <= 1 and against is not None:
        if not layer.cell and layer.L > 1:
            return blame("carried", layer.call, X, against=against)
        fix = Fix("a loop over the steps, axis 1 of the input: x[:, t], with states of N = x.size(0) rows")
        return blame("steps", layer.call, X, [fix], against=against)
    return blame("state", layer.call, X, against=against)


def _batch_first(lab: Experiments, layer: LayerCall) -> Iterator[Fix]:
    """The layer in the other layout, for all its calls; the input transposed."""
    module, name, call = layer.module, value_name(layer.X, None), layer.call
    # Under the name that the user's line spells.
    spelled = Call(call.index, layer.name.split(".")[-1], call.line, call.args, call.kwargs, call.inputs, call.module)
    text = argument_text(spelled, 0) or (name if name.isidentifier() else "x")
    if layer.unbatched:
        axis = 0 if getattr(module, "batch_first", False) else 1
        yield Fix(f"{text}.unsqueeze({axis}): one sequence with its batch axis")
        return
    if isinstance(module, nn.RNNBase):
        first = not module.batch_first
        everywhere = [m for m in lab.reached.modules.values() if isinstance(m, nn.RNNBase) and m.batch_first != first]

        def turn(modules: Sequence[nn.RNNBase]) -> None:
            for each in modules:
                each.batch_first = first

        says = f"{layer.constructor(batch_first=first)}: " + ("batch_first=True" if first else "without batch_first")
        yield Fix(f"{says}, so that axis {0 if first else 1} is the batch", patch=partial(turn, [module]))
        if len(everywhere) > 1:
            yield Fix(f"{says} in all {len(everywhere)} layers", patch=partial(turn, everywhere))
    if layer.L > 1 and layer.N == 1:
        yield Fix(f"{text} with the batch on the other axis: unsqueeze(0) for (1, N, Q), or batch_first=True")
    yield Fix(f"{text}.transpose(0, 1) before the layer, or {layer.constructor(batch_first=not layer.batch_first)}")


# ---------------------------------------------------------------------- views
def _view(samples: Samples, call: Call) -> Blame:
    value = call.inputs[0]
    while value.maker is not None and value.maker.name in ("view", "reshape", "flatten", "contiguous", "ravel"):
        value = value.maker.inputs[0]  # a chain of views is one view
    return Blame(samples, "view", call, value, list(_permuted(samples, call, value)))


def _merging_view(samples: Samples, value: Value) -> Call | None:
    """The view that merged the samples with an axis on their right, behind which `value` lies."""
    for made, call in value.way_back():
        before, after = samples.layout(call.inputs[0]) if call.inputs else None, samples.layout(made)
        if after is None or after.repeat == 1:
            return None
        if call.name in VIEWS and before is not None and before.repeat == 1:
            return call
    return None


def _misplacing_view(lab: Experiments, samples: Samples, value: Value) -> Call | None:
    """The view that gave a tensor an axis of N on which the samples do not lie, behind which a value lies.

    x.view(L, N, D) of an (N, L, D) tensor cuts no sample where N divides L, and still puts none where it belongs.
    """
    for _ in range(12):
        maker = value.maker
        if maker is None or not maker.inputs:
            return None
        source, after = maker.inputs[0], samples.layout(value)
        if maker.name in ("view", "reshape", "unflatten") and samples.layout(source) is not None:
            asked = len(value.shape) > 2 and made_axis(lab.N, source.shape, value.shape)
            if asked and (after is None or value.shape[after.axis] != lab.N):
                return maker
        value = next(iter(samples.holding(maker)), source)
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
            before, after = _grown(source.shape, other.inputs[0].shape), _grown(made.shape, other.outputs[0].shape)
            if len(before) == len(after) == 1 and before != after and len(made.shape) == len(source.shape):
                return call
    return None


def _grown(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    return [axis for axis, (n, m) in enumerate(zip(before, after, strict=False)) if m == n + 1]


def _permuted(samples: Samples, call: Call, value: Value) -> Iterator[Fix]:
    """The sample axis moved to where the new shape has N, and only then cut."""
    shape, spread = call.outputs[0].shape, samples.layout(value)
    if spread is None:
        return
    axis, name = spread.axis, value_name(value, call)
    name = name if name.replace(".", "").replace("_", "").isalnum() else "x"

    def edited(change: Callable[[Tensor], Tensor]) -> dict[int, Edit]:
        return {call.index: _on_first(lambda x: change(x.reshape(value.shape)))}

    def moved(j: int, apart: Sequence[int], at: int) -> dict[int, Edit]:
        return edited(lambda x: x.movedim(at, 0).reshape(apart).movedim(0, j))

    for j in [j for j, size in enumerate(shape) if size == spread.N]:
        rest = [size for k, size in enumerate(shape) if k != j]
        apart = ", ".join(map(str, (spread.N, *rest)))
        if spread.repeat > 1:
            # Rows of one sample behind one another: the samples are cut off first, then brought to their place.
            text = f"{name}.reshape({apart})" + (f".transpose(0, {j})" if j else "")
            yield Fix(f"{text}: the rows keep each sample's steps together", moved(j, (spread.N, *rest), 0))
            continue
        order = ", ".join(map(str, [axis, *(k for k in range(len(value.shape)) if k != axis)]))
        text = f"{name}.permute({order}).reshape({', '.join(map(str, shape))})"
        if sorted(value.shape) == sorted(shape) and axis != j:
            text = f"{name}.transpose({min(axis, j)}, {max(axis, j)})"
            yield Fix(text, edited(partial(torch.transpose, dim0=axis, dim1=j)))
        elif axis and j == 0:
            text = f"{name}.transpose(0, {axis}).reshape({', '.join(map(str, shape))})"
        elif axis == 0 and j:
            text = f"{name}.reshape({apart}).transpose(0, {j})"
        yield Fix(text, moved(j, (value.shape[axis], *rest), axis))
    if spread.repeat == 1 and axis:
        turned = edited(lambda x: x.transpose(0, axis).reshape(shape))
        yield Fix(f"{name}.transpose(0, {axis}) before the {call.name}", turned)
    yield Fix(f"a permute or transpose that brings the batch next to where it was, before the {call.name}")


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


# ---------------------------------------------------------------------- functions along an axis, picks, order
def with_dim(call: Call, dim: int) -> Fix:
    """The same call along another axis."""
    place = ALONG[call.name]

    def edit(func: Any) -> Any:
        def changed(*args: Any, **kwargs: Any) -> Any:
            if "dim" in kwargs or len(args) <= place:
                return func(*args, **{**kwargs, "dim": dim})
            return func(*args[:place], dim, *args[place + 1 :], **kwargs)

        return changed

    return Fix(call_text(call, dim=dim), {call.index: edit})


def _along(lab: Experiments, call: Call, value: Value, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    yield from _top_row(call, made)
    rank, dim = len(value.shape), call.argument(ALONG[call.name], "dim")
    wrong = dim % rank if isinstance(dim, int) and rank else None
    final = any(v in call.outputs for _, v in lab.baseline.results)
    steps = {layer.L for layer in lab.layers} | {s.tensor.size(s.time) for s in lab.inputs.slots if s.time is not None}
    order = [axis for axis in range(rank) if axis != wrong and value.shape[axis] > 1]
    classes = final and "softmax" in call.name and not (rank == 2 and value.shape[-1] in steps)
    order.sort(key=lambda axis: (axis != rank - 1 if classes else value.shape[axis] not in steps, axis))
    for axis in order:
        last = classes and axis == rank - 1
        fix = with_dim(call, -1 if last else axis)
        meaning = ": the classes" if last else ": the steps" if value.shape[axis] in steps else ""
        yield Fix(fix.text + ("" if "dim" in fix.text else f" (dim={axis})") + meaning, fix.edits)


def _attention(call: Call) -> Iterator[Fix]:
    owner: Any = call.owner
    if call.name == "multi_head_attention_forward" and isinstance(owner, nn.MultiheadAttention):
        first = not owner.batch_first
        says = "batch_first=True" if first else "without batch_first"
        patch = partial(setattr, owner, "batch_first", first)
        yield Fix(f"nn.MultiheadAttention({owner.embed_dim}, {owner.num_heads}, {says})", patch=patch)


def _picks(lab: Experiments, call: Call, value: Value, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    if made is not None:
        yield from _top_row(call, made)
        return
    behind = value.made_by(names_in("_pad_packed_sequence"), names_in("index_select transpose contiguous"))
    if behind is not None:
        flipped = not bool(behind.args[2])
        text = f"pad_packed_sequence(…, batch_first={flipped}), or hn[-1], the last real step"
        yield Fix(text, {behind.index: lambda func: lambda data, sizes, _, *rest: func(data, sizes, flipped, *rest)})
    index = call.args[1] if call.name == "__getitem__" and len(call.args) > 1 else None
    names = result_names(value.maker.where) if value.maker is not None else ()
    text = names[0] if names else value_name(value, call)
    if isinstance(index, int):
        yield Fix(f"{text}[:, {index}]", {call.index: _on_first(lambda x: x[:, index])})
    elif isinstance(index, tuple) and len(index) > 1 and isinstance(index[1], int) and index[0] == slice(None):
        at = index[1]
        yield Fix(f"{text}[{at}]", {call.index: _on_first(lambda x: x[(at, slice(None), *index[2:])])})
    layer = next((layer for layer in lab.layers if layer.outputs.get("Y") is value), None)
    if layer is not None:
        yield from _batch_first(lab, layer)


def _top_row(call: Call, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    if made is None:
        return
    role, layer = made
    name = layer_names(layer)[role]
    for R, says in ((2, "the top layer's two directions"), (1, "the top layer's row"))[0 if layer.R == 2 else 1 :]:
        text, _ = top_row(name, layer.outputs[role].tensor.detach(), R, 1)
        yield Fix(f"{text}, {says}", {call.index: _on_first(partial(_top, R))})


def _top(R: int, state: Tensor) -> Tensor:
    return top_row("", state, R, 1)[1]


def _unsort(call: Call) -> list[Fix]:
    if call.name in ("flip", "roll"):
        return [Fix(f"no {call.name} along the batch; along the steps it is another axis")]
    index = argument_text(call, 1) or "order"
    index = index if index.isidentifier() else "order"
    back = f"the inverse order at the end: back = {index}.argsort(), then rows[back]"
    return [Fix(f"{back}; or enforce_sorted=False in pack_padded_sequence, which keeps the original order by itself")]


def _scripted(call: Call) -> Iterator[Fix]:
    modules = call.module.modules() if call.name == "script" and call.module is not None else ()
    kinds = [kind for m in modules if (kind := getattr(m, "original_name", "")) in ("LSTM", "GRU", "RNN")]
    for kind in kinds[:1]:
        yield Fix(f"batch_first=True for the nn.{kind} inside, or its input as x.transpose(0, 1)")
