"""What the culprit of mixed samples does to their axis: the one thing that decides what a person is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from lstm_shapes.lab._words import argument_text, call_text, layer_names, named, result_names, top_row, value_name
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, is_loss
from lstm_shapes.lab.trace._families import PRODUCTS, VIEWS, broadcasts, names_in

from ._experiments import Experiments
from ._fixes import Edit, Fix
from ._layout import made_axis
from ._padding import packing_of
from ._samples import Samples, cut, samples_of

__all__ = ["Blame", "blame_of", "turning_view"]

Kind = Literal[
    "time", "unbatched", "carried", "view", "along", "product", "joined", "flattened", "picked", "order", "other"
]

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
_PADS = names_in("_pad_packed_sequence")
_MOVE_AWAY = names_in(
    "sort flip roll prod any all max min amax amin mean sum view reshape __getitem__ index_select gather"
)


@dataclass(eq=False, slots=True)
class Blame:
    """`call` is the line to change, `value` the tensor that shows it, `axis` where its samples lie.

    `state`: the tensor is hn or cn of `maker`, whose axes are (K·R, N, H).
    """

    kind: Kind
    call: Call
    value: Value
    axis: int | None
    fixes: list[Fix] = field(default_factory=list)
    layer: LayerCall | None = None
    maker: LayerCall | None = None
    state: str = ""
    against: Value | None = None

    @property
    def shape(self) -> str:
        """The tensor's shape with the batch axis named."""
        return named(self.value, {} if self.axis is None else {self.axis: "N"})

    @property
    def name(self) -> str:
        return value_name(self.value, self.call)


def blame_of(lab: Experiments) -> Blame | None:
    """Who mixes the samples, None where nobody does."""
    samples = lab.ask(samples_of)
    call = samples.culprit
    if call is None or samples.kind not in ("mixed", "dropped", "permuted"):
        return None
    if samples.of_lengths and (packing := lab.ask(packing_of)) is not None and packing.sample is not None:
        return None  # the rows are packed with the lengths of others: a finding of its own
    layer = next((layer for layer in lab.layers if layer.call is call), None)
    strayed = _strayed(samples, call) if samples.kind == "mixed" else None
    if strayed is not None and call.name not in VIEWS:
        return _moved_away(samples, *strayed)
    if samples.kind == "permuted":
        return Blame("order", call, _first(samples, call), 0, _unsort(call))
    if samples.kind == "mixed" and call.name in VIEWS:
        return _view(samples, call)
    if layer is not None:
        return _layer(lab, samples, layer)
    if is_loss(call.name):
        return _loss(samples, call)
    value, spread = _first(samples, call), _spread(samples, call)
    views = [call] if cut(samples, call) or call.name in VIEWS else []
    if not views and call.name not in _PICKS:
        views = [v for v in [_misplacing_view(lab, samples, value) or turning_view(lab, value)] if v is not None]
    joins = call.name in ("cat", "stack", "concat")
    pair = _unlike(samples, call) if joins else None
    products = call.name in PRODUCTS or call.name == "multi_head_attention_forward"
    meets = broadcasts(call.name) or len(spread) > 1
    along = call.name in ALONG or call.name in _NORMS
    picks = samples.kind == "dropped" or call.name in _PICKS
    together = len({samples.layout(v) for v in spread}) == 1 < len(spread)  # both operands are merged alike, on purpose
    if not views and not picks and pair is None and not along and not (products and together) and (products or meets):
        searched = (value,) if products else call.inputs
        views = [v for one in searched if (v := _merging_view(samples, one)) is not None]
    if views:
        return _view(samples, views[0])
    picked = _picked_apart(samples, spread) if meets and not picks else None
    if picked is not None:
        source = picked.inputs[0]
        lies = samples.layout(source)
        return Blame(
            "picked", picked, source, None if lies is None else lies.axis, list(_picks(lab, picked, source, None))
        )
    made, lies = _state_of(lab, value), samples.layout(value)
    blame = Blame("other", call, value, None if lies is None else lies.axis)
    if picks:
        blame.kind, blame.fixes = "picked", list(_picks(lab, call, value, made))
    elif pair is not None:
        blame.kind, blame.value, blame.against = "joined", *pair
    elif along:
        blame.kind, blame.fixes = "along", list(_along(lab, call, value, made)) if call.name in ALONG else []
    elif products:
        blame.kind, blame.fixes = "product", list(_attention(call))
    elif meets:
        blame.kind, blame.against = "joined", next((v for v in spread if v is not value), None)
    else:
        blame.fixes = list(_scripted(call))
    if blame.kind == "joined" and blame.against is not None and _orders_differ(samples, blame.value, blame.against):
        turned = _turned(samples, blame.value, blame.against) or call
        return Blame("order", turned, blame.value, blame.axis, _unsort(turned), against=blame.against)
    if made is not None and blame.axis == 1 and blame.kind in ("picked", "along"):
        blame.state, blame.maker = made
    return blame


# ---------------------------------------------------------------------- which tensor shows it
def _spread(samples: Samples, call: Call) -> list[Value]:
    """The inputs that hold several samples, or one."""
    return [v for v in call.inputs if (t := samples.track(v)) is not None and t.touched]


def _picked_apart(samples: Samples, spread: list[Value]) -> Call | None:
    """The call that took single samples out of one tensor, where operands hold one sample each, and not the same."""
    held = [set(samples.tracks[v.index].touched) for v in spread]
    if len(held) < 2 or any(len(some) != 1 for some in held) or held[0] == held[1]:
        return None
    for _, call in spread[0].way_back():
        before = samples.track(call.inputs[0]) if call.inputs else None
        if before is not None and len(before.touched) > 1:
            return call if call.name in _PICKS else None
    return None


def _first(samples: Samples, call: Call) -> Value:
    spread = _spread(samples, call)
    several = [v for v in spread if len(samples.tracks[v.index].touched) > 1]
    return (several or spread or list(call.inputs) or list(call.outputs))[0]


def _state_of(lab: Experiments, value: Value) -> tuple[str, LayerCall] | None:
    """The layer and role where a value is a layer's final state, all rows of it."""
    for layer in lab.layers:
        for role in ("hn", "cn"):
            if not layer.cell and layer.outputs.get(role) is value:
                return role, layer
    return None


def _orders_differ(samples: Samples, a: Value, b: Value) -> bool:
    """Whether two tensors hold whole rows of the samples, in different orders."""
    one, other = samples.track(a), samples.track(b)
    places = None if one is None else one.places(), None if other is None else other.places()
    return None not in places and places[0] != places[1]


def _unlike(samples: Samples, call: Call) -> tuple[Value, Value] | None:
    """Two operands that hold whole rows of the samples in different orders."""
    spread = _spread(samples, call)
    return next(((a, b) for k, a in enumerate(spread) for b in spread[k + 1 :] if _orders_differ(samples, a, b)), None)


def _strayed(samples: Samples, call: Call) -> tuple[Call, Value, Value] | None:
    """Where one operand holds every sample in its place and another does not: the call that moved it away.

    With that call come what it read and the operand in place. Rows that are sorted, or written one by one, are away on
    purpose, and the line where they meet the others is the one.
    """
    spread = [v for v in _spread(samples, call) if len(samples.tracks[v.index].touched) > 1]
    away = [v for v in call.inputs if (t := samples.track(v)) is not None and t.moved and not t.kept]
    home = next((v for v in spread if samples.tracks[v.index].kept), None)
    if home is None or not away:
        return None
    value = away[0]
    for _ in range(40):
        maker = value.maker
        if maker is None or not maker.inputs:
            return None
        before = [v for v in maker.inputs if (t := samples.track(v)) is not None and t.moved]
        further = [v for v in before if not samples.tracks[v.index].kept]
        if not further:
            return (maker, before[0], home) if before and maker.name in _MOVE_AWAY and not _by_order(maker) else None
        value = further[0]
    return None


def _by_order(call: Call) -> bool:
    """Whether an index was made by sorting."""
    waiting = list(call.inputs[1:])
    for value in waiting:
        maker = value.maker
        if maker is not None and (maker.name in ("sort", "argsort", "randperm") or len(waiting) > 40):
            return True
        waiting.extend([] if maker is None else maker.inputs)
    return False


def _moved_away(samples: Samples, call: Call, value: Value, home: Value) -> Blame:
    if call.name in VIEWS:
        return _view(samples, call)
    spread = samples.layout(value)
    axis = None if spread is None else spread.axis
    if call.name in ("flip", "roll"):
        return Blame("order", call, value, axis, _unsort(call), against=home)
    if call.name in ALONG:
        return Blame("along", call, value, axis, [], against=home)
    return Blame("picked", call, value, axis, [Fix("rows of the same samples, in the order in which they were")])


def _turned(samples: Samples, *values: Value | None) -> Call | None:
    """A flip or roll of the samples, behind which one of the values lies: that line, and not where rows meet."""
    for value in values:
        for _ in range(12):
            maker = None if value is None else value.maker
            if maker is None or not maker.inputs or value is None:
                break
            if maker.name in ("flip", "roll") and _orders_differ(samples, maker.inputs[0], value):
                return maker
            value = next((v for v in maker.inputs if (t := samples.track(v)) is not None and t.touched), None)
    return None


def _loss(samples: Samples, call: Call) -> Blame:
    """Predictions and targets that belong to different samples at the same row."""
    value, against = [*_spread(samples, call), None][:2]
    assert value is not None
    lies = samples.layout(value)
    axis = None if lies is None else lies.axis
    if against is not None and _orders_differ(samples, value, against):
        own = {s: s for s in samples.tested}
        moved = next((v for v in (value, against) if samples.tracks[v.index].places() != own), value)
        return Blame("order", call, moved, axis, _unsort(call), against=against)
    fixes: list[Fix] = []
    for each in (value, against):
        view = merging(each) if each is not None else None
        if view is not None:
            source, shape, target = view.inputs[0], view.outputs[0].shape, each is against
            name = value_name(source, view)
            name = name if " " not in name else "targets" if target else "logits"
            turn = "t()" if target and len(source.shape) == 2 else "transpose(0, 1)"
            flat = f"{name}.{turn}.reshape({', '.join(map(str, (-1, *shape[1:])))})"
            fixes.append(Fix(f"{flat}, so that both are flattened in one order", {view.index: _turning(shape)}))
    return Blame("flattened" if fixes else "joined", call, value, axis, fixes, against=against)


def _turning(shape: tuple[int, ...]) -> Edit:
    return lambda func: lambda x, *_, **__: x.transpose(0, 1).reshape(shape)


def merging(value: Value) -> Call | None:
    """The view that merged two axes, behind which a value lies."""
    makers = ((after, call) for after, call in value.way_back() if call.name in ("view", "reshape", "flatten"))
    return next((call for after, call in makers if len(call.inputs[0].shape) > len(after.shape)), None)


# ---------------------------------------------------------------------- recurrent layers
def _layer(lab: Experiments, samples: Samples, layer: LayerCall) -> Blame:
    X = layer.X
    track = samples.track(X)
    spread = samples.layout(X)
    axis = None if spread is None else spread.axis
    on_time = track is not None and len(track.touched) > 1 and layer.time_axis in track.axes
    if on_time and layer.batch_axis not in (track.axes if track else ()):
        view = _misplacing_view(lab, samples, X) or turning_view(lab, X)
        if view is not None:
            return _view(samples, view)
        kind: Kind = "unbatched" if layer.unbatched else "time"
        return Blame(kind, layer.call, X, axis, list(_batch_first(lab, layer)), layer)
    packing = X.maker if layer.packed else None
    if packing is not None and packing.name == "_pack_padded_sequence" and not samples.tracks[X.index].mixed:
        before = samples.layout(packing.inputs[0])
        first = bool(packing.args[2])
        if before is not None and before.axis != (0 if first else 1):
            edit = {packing.index: lambda func: lambda x, lengths, _: func(x, lengths, not first)}
            fix = Fix(f"pack_padded_sequence(…, batch_first={not first})", edit)
            return Blame("time", packing, packing.inputs[0], before.axis, [fix], layer)
    for role, state in layer.states.items():
        if layer.cell or samples.track(state) is None:
            continue
        if track is not None and _orders_differ(samples, state, _rows_of(layer)):
            at = _turned(samples, state, _rows_of(layer)) or layer.call
            return Blame("order", at, state, 1, _unsort(at), layer, state=role, against=_rows_of(layer))
        view = _misplacing_view(lab, samples, state)
        if view is not None:
            return _view(samples, view)
        lies = samples.layout(state)
        if lies is not None and len(state.shape) == 3 and lies.axis != 1:
            return Blame("joined", layer.call, state, lies.axis, [], layer, state=role)
    others = [v for v in layer.states.values() if (t := samples.track(v)) is not None and t.touched]
    single = track is not None and len(track.touched) <= 1
    if single and others:
        whole = not layer.cell and layer.L > 1
        if whole:
            return Blame("carried", layer.call, X, axis, [], layer, against=others[0])
        fix = Fix("a loop over the steps, axis 1 of the input: x[:, t], with states of N = x.size(0) rows")
        return Blame("time", layer.call, X, axis, [fix], layer, against=others[0])
    return Blame("joined", layer.call, X, axis, [], layer, against=others[0] if others else None)


def _rows_of(layer: LayerCall) -> Value:
    """The tensor whose rows are the samples that a layer reads, before packing."""
    if layer.packed and layer.X.maker is not None and layer.X.maker.inputs:
        return layer.X.maker.inputs[0]
    return layer.X


def _batch_first(lab: Experiments, layer: LayerCall) -> Iterator[Fix]:
    """The layer in the other layout, for all its calls; the input transposed."""
    module: Any = layer.module
    name = value_name(layer.X, None)
    call = layer.call  # under the name that the user's line spells
    spelled = Call(call.index, layer.name.split(".")[-1], call.line, call.args, call.kwargs, call.inputs, call.module)
    text = argument_text(spelled, 0) or (name if name.isidentifier() else "x")
    if layer.unbatched:
        axis = 0 if getattr(module, "batch_first", False) else 1
        yield Fix(f"{text}.unsqueeze({axis}): one sequence with its batch axis")
        return
    if isinstance(module, nn.RNNBase):
        first = not module.batch_first
        constructor = layer.constructor(batch_first=first)
        everywhere = [m for m in lab.reached.modules.values() if isinstance(m, nn.RNNBase) and m.batch_first != first]

        def one() -> None:
            module.batch_first = first

        def every() -> None:
            for each in everywhere:
                each.batch_first = first

        says = "batch_first=True" if first else "without batch_first"
        yield Fix(f"{constructor}: {says}, so that axis {0 if first else 1} is the batch", patch=one)
        if len(everywhere) > 1:
            yield Fix(f"{constructor}: {says} in all {len(everywhere)} layers", patch=every)
    if layer.L > 1 and layer.N == 1:
        yield Fix(f"{text} with the batch on the other axis: unsqueeze(0) for (1, N, Q), or batch_first=True")
    yield Fix(f"{text}.transpose(0, 1) before the layer, or {layer.constructor(batch_first=not layer.batch_first)}")


# ---------------------------------------------------------------------- views
def _view(samples: Samples, call: Call) -> Blame:
    value = call.inputs[0]
    while value.maker is not None and value.maker.name in ("view", "reshape", "flatten", "contiguous", "ravel"):
        value = value.maker.inputs[0]  # a chain of views is one view
    spread = samples.layout(value)
    axis = 0 if spread is None else spread.axis
    return Blame("view", call, value, axis, list(_permuted(samples, call, value, axis)))


def _merging_view(samples: Samples, value: Value) -> Call | None:
    """The view that merged the samples with an axis on their right, behind which `value` lies."""
    spread = samples.layout(value)
    waiting, seen = [value] if spread is not None and spread.repeat > 1 else [], set[int]()
    while waiting:
        current = waiting.pop()
        maker = current.maker
        if current.index in seen or maker is None:
            continue
        seen.add(current.index)
        before, after = samples.layout(maker.inputs[0]) if maker.inputs else None, samples.layout(current)
        if maker.name in VIEWS and before is not None and after and before.repeat == 1 < after.repeat:
            return maker
        waiting.extend(v for v in maker.inputs if not v.parameter)
    return None


def _misplacing_view(lab: Experiments, samples: Samples, value: Value) -> Call | None:
    """The view that gave a tensor an axis of N on which the samples do not lie, behind which a value lies.

    x.view(L, N, D) of an (N, L, D) tensor cuts no sample where N divides L, and still puts none where it belongs.
    """
    for _ in range(12):
        maker = value.maker
        if maker is None or not maker.inputs:
            return None
        source = maker.inputs[0]
        before, after = samples.layout(source), samples.layout(value)
        if maker.name in ("view", "reshape", "unflatten") and not source.parameter and before is not None:
            asked = len(value.shape) > 2 and made_axis(lab.N, source.shape, value.shape)
            clean = after is not None and value.shape[after.axis] == lab.N
            if asked and not clean and lab.N > 1:
                return maker
            recut = len(source.shape) == len(value.shape) and source.shape != value.shape
            if clean and after is not None and recut and before.axis == after.axis:
                return maker  # two axes were to be exchanged, and are equal: (2, 4, D) as (4, 2, D)
        value = next((v for v in maker.inputs if (t := samples.track(v)) is not None and t.touched), maker.inputs[0])
    return None


def turning_view(lab: Experiments, value: Value) -> Call | None:
    """The view that was to exchange two axes of equal sizes, behind which a value lies: one sample more shows it."""
    if value.shape.count(lab.N) < 2:
        return None
    wide = {call.index: call for call in lab.ask(wider_of).calls}
    for made, call in value.way_back():
        other = wide.get(call.index)
        if call.name not in ("view", "reshape") or other is None or other.name != call.name or not other.outputs:
            continue
        grown = [_grown(v.shape, w.shape) for v, w in ((call.inputs[0], other.inputs[0]), (made, other.outputs[0]))]
        if (
            len(grown[0]) == len(grown[1]) == 1
            and grown[0] != grown[1]
            and len(made.shape) == len(call.inputs[0].shape)
        ):
            return call
    return None


def wider_of(lab: Experiments) -> Trace:
    """The program with one sample more, as far as it runs."""
    lab.says("one sample more")
    return lab.record(lab.inputs.wider(1))


def _grown(before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
    return [axis for axis, (n, m) in enumerate(zip(before, after, strict=False)) if m == n + 1]


def _permuted(samples: Samples, call: Call, value: Value, axis: int) -> Iterator[Fix]:
    """The sample axis moved to where the new shape has N, and only then cut."""
    shape, spread = call.outputs[0].shape, samples.layout(value)
    if spread is None:
        return
    name = value_name(value, call)
    name = name if name.replace(".", "").replace("_", "").isalnum() else "x"
    sizes = ", ".join(map(str, shape))
    same = sorted(value.shape) == sorted(shape) and len(shape) == len(value.shape)

    def edited(change: Callable[[Tensor], Tensor]) -> dict[int, Edit]:
        return {call.index: lambda func: lambda x, *_, **__: change(x.reshape(value.shape))}

    for j in [j for j, size in enumerate(shape) if size == spread.N]:
        N, rest = value.shape[axis], [size for k, size in enumerate(shape) if k != j]
        if spread.repeat > 1 and N % spread.N == 0:
            # Rows of one sample behind one another: the samples are cut off first, then brought to their place.
            text = f"{name}.reshape({', '.join(map(str, (spread.N, *rest)))})" + (f".transpose(0, {j})" if j else "")
            apart = edited(_regrouped(0, j, (spread.N, *rest)))
            yield Fix(f"{text}: the rows keep each sample's steps together", apart)
        if spread.repeat > 1:
            continue
        moved = edited(_regrouped(axis, j, (N, *rest)))
        order = [axis, *(k for k in range(len(value.shape)) if k != axis)]
        text = f"{name}.permute({', '.join(map(str, order))}).reshape({sizes})"
        if same and axis != j:
            text = f"{name}.transpose({min(axis, j)}, {max(axis, j)})"
            yield Fix(text, edited(partial(_exchanged, axis, j)))
        elif axis and j == 0:
            text = f"{name}.transpose(0, {axis}).reshape({sizes})"
        elif axis == 0 and j:
            text = f"{name}.reshape({', '.join(map(str, [N, *rest]))}).transpose(0, {j})"
        yield Fix(text, moved)
    if spread.repeat == 1 and axis:
        turned = edited(lambda x: x.transpose(0, axis).reshape(shape))
        yield Fix(f"{name}.transpose(0, {axis}) before the {call.name}", turned)
    yield Fix(f"a permute or transpose that brings the batch next to where it was, before the {call.name}")


def _regrouped(axis: int, j: int, sizes: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    return lambda x: x.movedim(axis, 0).reshape(sizes).movedim(0, j)


def _exchanged(a: int, b: int, x: Tensor) -> Tensor:
    return x.transpose(a, b).contiguous()


# ---------------------------------------------------------------------- functions along an axis
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
    if made is not None:
        yield from _top_row(call, made)
    rank = len(value.shape)
    dim = call.argument(ALONG[call.name], "dim")
    wrong = dim % rank if isinstance(dim, int) and rank else None
    final = any(v in call.outputs for _, v in lab.baseline.results)
    steps = {layer.L for layer in lab.layers} | {s.tensor.size(s.time) for s in lab.inputs.slots if s.time is not None}
    order = [axis for axis in range(rank) if axis != wrong and value.shape[axis] > 1]
    classes = final and "softmax" in call.name and not (rank == 2 and value.shape[-1] in steps)
    order.sort(key=lambda axis: (axis != rank - 1 if classes else value.shape[axis] not in steps, axis))
    for axis in order:
        fix = with_dim(call, -1 if classes and axis == rank - 1 else axis)
        meaning = "the classes" if classes and axis == rank - 1 else "the steps" if value.shape[axis] in steps else ""
        dim = "" if "dim" in fix.text else f" (dim={axis})"
        yield Fix(fix.text + dim + (f": {meaning}" if meaning else ""), fix.edits)


def _attention(call: Call) -> Iterator[Fix]:
    owner: Any = call.owner
    if call.name == "multi_head_attention_forward" and isinstance(owner, nn.MultiheadAttention):
        first = not owner.batch_first

        def patch() -> None:
            owner.batch_first = first

        says = "batch_first=True" if first else "without batch_first"
        yield Fix(f"nn.MultiheadAttention({owner.embed_dim}, {owner.num_heads}, {says})", patch=patch)


def _picks(lab: Experiments, call: Call, value: Value, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    if made is not None:
        yield from _top_row(call, made)
        return
    behind = value.made_by(_PADS, names_in("index_select transpose contiguous"))
    if behind is not None:
        flipped = not bool(behind.args[2])

        def other(func: Any) -> Any:
            return lambda data, sizes, first, *rest: func(data, sizes, flipped, *rest)

        text = f"pad_packed_sequence(…, batch_first={flipped}), or hn[-1], the last real step"
        yield Fix(text, {behind.index: other})
    index = call.args[1] if call.name == "__getitem__" and len(call.args) > 1 else None
    names = result_names(value.maker.where) if value.maker is not None else ()
    text = names[0] if names else value_name(value, call)
    if isinstance(index, int):
        yield Fix(f"{text}[:, {index}]", {call.index: lambda func: lambda x, _: x[:, index]})
    elif isinstance(index, tuple) and len(index) > 1 and isinstance(index[1], int) and index[0] == slice(None):
        at = index[1]
        yield Fix(f"{text}[{at}]", {call.index: lambda func: lambda x, _: x[(at, *[slice(None)], *index[2:])]})
    layer = next((layer for layer in lab.layers if layer.outputs.get("Y") is value), None)
    if layer is not None:
        yield from _batch_first(lab, layer)


def _top_row(call: Call, made: tuple[str, LayerCall]) -> Iterator[Fix]:
    role, layer = made
    name = layer_names(layer)[role]
    for R, says in ((2, "the top layer's two directions"), (1, "the top layer's row"))[0 if layer.R == 2 else 1 :]:
        text, _ = top_row(name, layer.outputs[role].tensor.detach(), R, 1)
        yield Fix(f"{text}, {says}", {call.index: partial(_taking_top, R)})


def _taking_top(R: int, func: Any) -> Any:
    return lambda h, *_, **__: top_row("", h, R, 1)[1]


# ---------------------------------------------------------------------- order, scripts
def _unsort(call: Call) -> list[Fix]:
    if call.name in ("flip", "roll"):
        return [Fix(f"no {call.name} along the batch; along the steps it is another axis")]
    index = argument_text(call, 1) or "order"
    index = index if index.isidentifier() else "order"
    return [
        Fix(
            f"the inverse order at the end: back = {index}.argsort(), then rows[back]; or enforce_sorted=False in "
            "pack_padded_sequence, which keeps the original order by itself"
        )
    ]


def _scripted(call: Call) -> Iterator[Fix]:
    if call.name == "script" and call.module is not None:
        names = [str(getattr(m, "original_name", "")) for m in call.module.modules()]
        kinds = [n for n in names if n in ("LSTM", "GRU", "RNN")]
        if kinds:
            yield Fix(f"batch_first=True for the nn.{kinds[0]} inside, or its input as x.transpose(0, 1)")
