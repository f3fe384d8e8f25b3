"""What the culprit of mixed samples does to their axis: the one thing that decides what a person is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from lstm_shapes.lab.trace import Call, LayerCall, Value, is_loss

from .experiments import Experiments
from .fixes import Fix
from .layout import Layout, made_axis
from .samples import Samples, cut, samples_of
from .words import argument_text, call_text, layer_names, named, result_names, value_name

__all__ = ["Blame", "blame_of"]

Kind = Literal["time", "unbatched", "carried", "view", "along", "product", "joined", "flattened", "picked", "order", "other"]

# Functions that work along `dim`, and the place of that argument.
ALONG = {
    name: 1
    for name in (
        "softmax log_softmax softmin gumbel_softmax sum mean max min amax amin argmax argmin cumsum cumprod std var "
        "logsumexp norm median prod flip sort std_mean var_mean cummax cummin logcumsumexp mode nansum nanmean "
        "normalize diff any all unbind"
    ).split()
} | {"norm": 2, "topk": 2, "kthvalue": 2, "roll": 2, "cat": 1, "stack": 1, "concat": 1, "glu": 1, "normalize": 2}
_PRODUCTS = frozenset("matmul __matmul__ __rmatmul__ bmm mm mv dot einsum linear addmm baddbmm addbmm tensordot".split())
_PICKS = frozenset("__getitem__ select narrow index_select gather take unbind split chunk take_along_dim".split())
_VIEWS = frozenset("view reshape unflatten flatten view_as reshape_as ravel".split())
_NORMS = frozenset("layer_norm instance_norm group_norm rms_norm batch_norm".split())
_POINTWISE = frozenset(
    "add sub mul div truediv __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ where masked_fill "
    "maximum minimum lerp addcmul __iadd__ __imul__ add_ mul_ sub_".split()
)
_MOVE_AWAY = frozenset("flip roll prod any all max min amax amin mean sum view reshape __getitem__ index_select gather".split())
_CONTRACTED = "a product sums over it"


@dataclass(eq=False, slots=True)
class Blame:
    """`call` is the line to change, `value` the tensor that shows it, `axis` where its samples lie.

    `state`: the tensor is hn or cn of `maker`, whose axes are (K·R, N, H).
    """

    kind: Kind
    call: Call
    value: Value
    axis: int | None
    fixes: list[Fix]
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
    layer = next((layer for layer in lab.layers if layer.call is call), None)
    strayed = _strayed(samples, call) if samples.kind == "mixed" else None
    if strayed is not None and call.name not in _VIEWS:
        return _moved_away(samples, *strayed)
    if samples.kind == "permuted":
        return Blame("order", call, _first(samples, call), 0, _unsort(call))
    if samples.kind == "mixed" and call.name in _VIEWS:
        return _view(samples, call)
    if layer is not None:
        return _layer(lab, samples, layer)
    if is_loss(call.name):
        return _loss(lab, samples, call)
    if cut(samples, call) or call.name in _VIEWS:
        return _view(samples, call)
    value = _first(samples, call)
    view = _misplacing_view(lab, samples, value) if call.name not in _PICKS else None
    if view is not None:
        return _view(samples, view)
    made = _state_of(lab, value)
    spread = samples.layout(value)
    axis = None if spread is None else spread.axis
    if samples.kind == "dropped" or call.name in _PICKS:
        blame = Blame("picked", call, value, axis, list(_picks(lab, call, value, made, axis)))
    elif call.name in ("cat", "stack", "concat") and (pair := _unlike(samples, call)) is not None:
        blame = Blame("joined", call, pair[0], axis, [])
        blame.against = pair[1]
    elif call.name in ALONG:
        blame = Blame("along", call, value, axis, list(_along(lab, call, value, made)))
    elif call.name in _PRODUCTS or call.name == "multi_head_attention_forward":
        view = _merging_view(lab, samples, value, spread)
        if view is not None:
            return _view(samples, view)
        blame = Blame("product", call, value, axis, list(_attention(call)))
    elif call.name in _NORMS:
        blame = Blame("along", call, value, axis, [])
    elif call.name in _POINTWISE or len(_spread(samples, call)) > 1:
        views = [v for value in call.inputs if (v := _merging_view(lab, samples, value, samples.layout(value)))]
        if views:
            return _view(samples, views[0])
        blame = Blame("joined", call, value, axis, [])
        blame.against = next((v for v in _spread(samples, call) if v is not value), None)
    else:
        blame = Blame("other", call, value, axis, list(_scripted(call)))
    if blame.kind == "joined" and blame.against is not None and _orders_differ(samples, blame.value, blame.against):
        turned = _turned(samples, blame.value, blame.against)
        return Blame("order", turned or call, blame.value, axis, _unsort(turned or call), against=blame.against)
    if made is not None and axis == 1 and blame.kind in ("picked", "along"):
        blame.state, blame.maker = made
    return blame


# ---------------------------------------------------------------------- which tensor shows it
def _spread(samples: Samples, call: Call) -> list[Value]:
    """The inputs that hold several samples, or one."""
    return [v for v in call.inputs if (t := samples.track(v)) is not None and t.touched]


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
    if call.name in _VIEWS:
        return _view(samples, call)
    spread = samples.layout(value)
    axis = None if spread is None else spread.axis
    if call.name in ALONG:
        return Blame("order" if call.name in ("flip", "roll") else "along", call, value, axis, _unsort(call) if call.name in ("flip", "roll") else [], against=home)
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


def _loss(lab: Experiments, samples: Samples, call: Call) -> Blame:
    """Predictions and targets that belong to different samples at the same row."""
    spread = _spread(samples, call)
    value, against = (spread[0], spread[1]) if len(spread) > 1 else (spread[0], None)
    lies = samples.layout(value)
    axis = None if lies is None else lies.axis
    if against is not None and _orders_differ(samples, value, against):
        moved = next((v for v in spread if samples.tracks[v.index].places() != {s: s for s in samples.tested}), value)
        return Blame("order", call, moved, axis, _unsort(call), against=against)
    fixes: list[Fix] = []
    for each in (value, against):
        view = None if each is None else _flattening(samples, each)
        if view is not None and each is not None:
            target = each is against
            before = value_name(view.inputs[0], view)
            before = before if " " not in before else "targets" if target else "logits"
            text = f"{before}.t()" if target and len(view.inputs[0].shape) == 2 else f"{before}.transpose(0, 1)"
            shape = view.outputs[0].shape
            edit = {view.index: lambda func, shape=shape: lambda x, *_, **__: x.transpose(0, 1).reshape(shape)}
            flat = ", ".join(map(str, (-1, *shape[1:])))
            fixes.append(Fix(f"{text}.reshape({flat}), so that both are flattened in one order", edit))
    if not fixes:
        return Blame("joined", call, value, axis, [], against=against)
    return Blame("flattened", call, value, axis, fixes, against=against)


def _flattening(samples: Samples, value: Value) -> Call | None:
    """The view that merged the samples with another axis, behind which a value lies."""
    for _ in range(12):
        maker = value.maker
        if maker is None or not maker.inputs:
            return None
        if maker.name in ("view", "reshape", "flatten") and len(maker.inputs[0].shape) > len(value.shape):
            return maker
        value = maker.inputs[0]
    return None


# ---------------------------------------------------------------------- recurrent layers
def _layer(lab: Experiments, samples: Samples, layer: LayerCall) -> Blame:
    X = layer.X
    track = samples.track(X)
    spread = samples.layout(X)
    axis = None if spread is None else spread.axis
    on_time = track is not None and len(track.touched) > 1 and layer.time_axis in track.axes
    if on_time and layer.batch_axis not in (track.axes if track else ()):
        view = _misplacing_view(lab, samples, X)
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
        blame = Blame("carried" if whole else "time", layer.call, X, axis, [], layer, against=others[0])
        if not whole:
            blame.fixes = [Fix("a loop over the steps, axis 1 of the input: x[:, t], with states of N = x.size(0) rows")]
        return blame
    blame = Blame("joined", layer.call, X, axis, [], layer)
    blame.against = others[0] if others else None
    return blame


def _rows_of(layer: LayerCall) -> Value:
    """The tensor whose rows are the samples that a layer reads, before packing."""
    if layer.packed and layer.X.maker is not None and layer.X.maker.inputs:
        return layer.X.maker.inputs[0]
    return layer.X


def _batch_first(lab: Experiments, layer: LayerCall) -> Iterator[Fix]:
    """The layer in the other layout, for all its calls; the input transposed."""
    module: Any = layer.module
    name = value_name(layer.X, None)
    text = argument_text(_module_call(layer), 0) or (name if name.isidentifier() else "x")
    if layer.unbatched:
        yield Fix(f"{text}.unsqueeze({0 if getattr(module, 'batch_first', False) else 1}): one sequence with its batch axis")
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


def _module_call(layer: LayerCall) -> Call:
    """The kernel's call under the name that the user's line spells."""
    call = layer.call
    spelled = Call(call.index, layer.name.split(".")[-1], call.line, call.args, call.kwargs, call.inputs, call.module)
    return spelled


# ---------------------------------------------------------------------- views
def _view(samples: Samples, call: Call) -> Blame:
    value = call.inputs[0]
    while value.maker is not None and value.maker.name in ("view", "reshape", "flatten", "contiguous", "ravel"):
        value = value.maker.inputs[0]  # a chain of views is one view
    spread = samples.layout(value)
    axis = 0 if spread is None else spread.axis
    return Blame("view", call, value, axis, list(_permuted(samples, call, value, axis)))


def _merging_view(lab: Experiments, samples: Samples, value: Value, spread: Layout | None) -> Call | None:
    """The view that merged the samples with an axis on their right, behind which `value` lies."""
    if spread is None or spread.repeat == 1:
        return None
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if current.index in seen or current.maker is None:
            continue
        seen.add(current.index)
        maker = current.maker
        before = samples.layout(maker.inputs[0]) if maker.inputs else None
        after = samples.layout(current)
        if maker.name in ("view", "reshape", "flatten", "unflatten", "view_as") and before is not None and after:
            if before.repeat == 1 and after.repeat > 1:
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
        if maker.name in ("view", "reshape", "unflatten") and not maker.inputs[0].parameter:
            before, after = samples.layout(maker.inputs[0]), samples.layout(value)
            asked = len(value.shape) > 2 and made_axis(lab.N, maker.inputs[0].shape, value.shape)
            clean = after is not None and value.shape[after.axis] == lab.N
            if before is not None and asked and not clean and lab.N > 1:
                return maker
            if before is not None and len(maker.inputs[0].shape) == len(value.shape) and clean and after is not None:
                if before.axis == after.axis and maker.inputs[0].shape != value.shape:
                    return maker  # two axes were to be exchanged, and are equal: (2, 4, D) as (4, 2, D)
        value = next((v for v in maker.inputs if (t := samples.track(v)) is not None and t.touched), maker.inputs[0])
    return None


def _permuted(samples: Samples, call: Call, value: Value, axis: int) -> Iterator[Fix]:
    """The sample axis moved to where the new shape has N, and only then cut."""
    shape = call.outputs[0].shape
    N = value.shape[axis] if axis < len(value.shape) else 0
    name = value_name(value, call)
    name = name if name.replace(".", "").replace("_", "").isalnum() else "x"
    spread = samples.layout(value)
    if spread is None:
        return
    targets = [j for j, size in enumerate(shape) if size == samples_n(spread)]
    for j in targets:
        rest = [size for k, size in enumerate(shape) if k != j]
        if spread.repeat == 1:
            order = [axis] + [k for k in range(len(value.shape)) if k != axis]
            same = sorted(value.shape) == sorted(shape) and len(shape) == len(value.shape)
            text = (
                f"{name}.transpose({min(axis, j)}, {max(axis, j)})"
                if same and axis != j
                else f"{name}.transpose(0, {axis}).reshape({', '.join(map(str, shape))})"
                if axis and j == 0
                else f"{name}.reshape({', '.join(map(str, [N, *rest]))}).transpose(0, {j})"
                if axis == 0 and j
                else f"{name}.permute({', '.join(map(str, order))}).reshape({', '.join(map(str, shape))})"
            )

            def moved(func: Any, j: int = j, rest: list[int] = rest) -> Any:
                return lambda x, *_, **__: x.reshape(value.shape).movedim(axis, 0).reshape(N, *rest).movedim(0, j)

            if same and axis != j:

                def swapped(func: Any, j: int = j) -> Any:
                    return lambda x, *_, **__: x.reshape(value.shape).transpose(axis, j).contiguous()

                yield Fix(text, {call.index: swapped})
            yield Fix(text, {call.index: moved})
    if spread.repeat > 1 and value.shape[axis] == N and N % spread.N == 0:
        # Rows of one sample behind one another: the samples are cut off first, then brought to their place.
        for j in targets:
            rest = [size for k, size in enumerate(shape) if k != j]

            def apart(func: Any, j: int = j, rest: list[int] = rest) -> Any:
                return lambda x, *_, **__: x.reshape(spread.N, *rest).movedim(0, j)

            text = f"{name}.reshape({', '.join(map(str, (spread.N, *rest)))})" + (f".transpose(0, {j})" if j else "")
            yield Fix(f"{text}: the rows keep each sample's steps together", {call.index: apart})
    if spread.repeat == 1 and axis:
        yield Fix(
            f"{name}.transpose(0, {axis}) before the {call.name}",
            {call.index: lambda func: lambda x, *_, **__: x.reshape(value.shape).transpose(0, axis).reshape(shape)},
        )
    yield Fix(f"a permute or transpose that brings the batch next to where it was, before the {call.name}")


def samples_n(spread: Layout) -> int:
    return spread.N


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


def _picks(
    lab: Experiments, call: Call, value: Value, made: tuple[str, LayerCall] | None, axis: int | None
) -> Iterator[Fix]:
    if made is not None:
        yield from _top_row(call, made)
        return
    name = value_name(value, call)
    maker = value.maker
    behind = _pad_of(value)
    if behind is not None:
        flipped = not bool(behind.args[2])

        def other(func: Any) -> Any:
            return lambda data, sizes, first, *rest: func(data, sizes, flipped, *rest)

        yield Fix(f"pad_packed_sequence(…, batch_first={flipped}), or hn[-1], the last real step", {behind.index: other})
    index = call.args[1] if call.name == "__getitem__" and len(call.args) > 1 else None
    text = result_names(maker.where)[0] if maker is not None and result_names(maker.where) else name
    if isinstance(index, int):
        yield Fix(f"{text}[:, {index}]", {call.index: lambda func: lambda x, _: x[:, index]})
    elif isinstance(index, tuple) and len(index) > 1 and isinstance(index[1], int) and index[0] == slice(None):
        at = index[1]
        yield Fix(f"{text}[{at}]", {call.index: lambda func: lambda x, _: x[(at, *[slice(None)], *index[2:])]})
    layer = next((layer for layer in lab.layers if layer.outputs.get("Y") is value), None)
    if layer is not None:
        yield from _batch_first(lab, layer)


def _pad_of(value: Value) -> Call | None:
    """The call that padded a packed sequence back, where a value comes straight from it."""
    for _ in range(4):
        if value.maker is None:
            return None
        if value.maker.name == "_pad_packed_sequence":
            return value.maker
        if value.maker.name not in ("index_select", "transpose", "contiguous") or not value.maker.inputs:
            return None
        value = value.maker.inputs[0]
    return None


def _top_row(call: Call, made: tuple[str, LayerCall]) -> Iterator[Fix]:
    role, layer = made
    name = layer_names(layer)[role]
    if layer.R == 2:
        text = f"torch.cat(({name}[-2], {name}[-1]), dim=1), the top layer's two directions"
        yield Fix(text, {call.index: lambda func: lambda h, *_, **__: torch.cat((h[-2], h[-1]), 1)})
    yield Fix(f"{name}[-1], the top layer's row", {call.index: lambda func: lambda h, *_, **__: h[-1]})


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
