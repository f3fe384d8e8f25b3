"""Fixes that are tried before they are given: the program is run with one call or one layer changed; and which there
are, for each thing that a call may do to the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.lab._words import argument_text, call_text, layer_names, result_names, top_row, value_name
from lstm_shapes.lab.trace import Call, LayerCall, Value
from lstm_shapes.lab.trace._families import names_in

from ._experiments import Experiments
from ._inputs import Given
from ._layout import differs
from ._samples import Samples

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
Edit = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Fix:
    """What to write, and the same change as an edit of recorded calls or a patch of the model."""

    text: str
    edits: dict[int, Edit] = field(default_factory=dict)
    patch: Callable[[], None] | None = None


def best(lab: Experiments, fixes: Iterable[Fix]) -> str:
    """The first fix that holds; else the first one, with "probably" before it."""
    every = list(fixes)
    fallback = f"probably {every[0].text}" if every else ""
    return next((fix.text for fix in every if held(lab, fix)), fallback)


def held(lab: Experiments, fix: Fix) -> bool:
    """Whether a fix can be tried and holds; each is tried once."""
    return bool(fix.edits or fix.patch is not None) and lab.ask(_holds, fix)


def _holds(lab: Experiments, fix: Fix) -> bool:
    """Whether with the fix each result holds each sample in its own place; of a loss, whether its rows do.

    That is index s of an axis of N and nothing else; without such an axis, one N-th of all that is its own.
    """
    before, N = _shaped(lab, lab.inputs.same(), fix), lab.N
    seen = [torch.zeros_like(t, dtype=torch.bool) for t in before]
    for s in (0, N - 1):
        after = _shaped(lab, lab.inputs.sample(s), fix)
        if len(after) != len(before):
            return False
        for a, b, others in zip(before, after, seen, strict=True):
            moved = differs(a, b, lab.slack)
            if moved is None:
                return False
            share = 0 < int(moved.sum()) * N <= moved.numel() and moved.numel() % N == 0
            own = share and N not in moved.shape and not bool((moved & others).any())
            for axis in (axis for axis, size in enumerate(moved.shape) if size == N):
                rest = moved.clone()
                rest.select(axis, s).fill_(False)
                own = own or (bool(moved.any()) and not bool(rest.any()))
            if not own:
                return False
            others |= moved
    return any(bool(moved.any()) for moved in seen)


def _shaped(lab: Experiments, given: Given, fix: Fix) -> list[Tensor]:
    outcome = lab.plain(given, fix.edits, fix.patch)
    shaped = [t for _, t in outcome.results if t.dim() and t.numel() > 1] or [t for t in outcome.losses if t.dim()]
    return [] if outcome.error is not None else [t.detach().clone() for t in shaped]


# ---------------------------------------------------------------------- layers and views
def on_first(change: Callable[[Any], Any]) -> Edit:
    """Another function of a call's first operand in the call's place."""
    return lambda func: lambda x, *_, **__: change(x)


def other_layout(lab: Experiments, layer: LayerCall) -> Iterator[Fix]:
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


def permuted(samples: Samples, call: Call, value: Value) -> Iterator[Fix]:
    """The sample axis moved to where the new shape has N, and only then cut."""
    shape, spread = call.outputs[0].shape, samples.layout(value)
    if spread is None:
        return
    axis, name = spread.axis, value_name(value, call)
    name = name if name.replace(".", "").replace("_", "").isalnum() else "x"

    def edited(change: Callable[[Tensor], Tensor]) -> dict[int, Edit]:
        return {call.index: on_first(lambda x: change(x.reshape(value.shape)))}

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


def along_another(lab: Experiments, call: Call, value: Value, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    """The same call along another axis; `made`: the value is all rows of this state of this layer."""
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


def attention(call: Call) -> Iterator[Fix]:
    """Attention in the other layout."""
    owner: Any = call.owner
    if call.name == "multi_head_attention_forward" and isinstance(owner, nn.MultiheadAttention):
        first = not owner.batch_first
        says = "batch_first=True" if first else "without batch_first"
        patch = partial(setattr, owner, "batch_first", first)
        yield Fix(f"nn.MultiheadAttention({owner.embed_dim}, {owner.num_heads}, {says})", patch=patch)


def picked_otherwise(lab: Experiments, call: Call, value: Value, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    """The same pick on another axis."""
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
        yield Fix(f"{text}[:, {index}]", {call.index: on_first(lambda x: x[:, index])})
    elif isinstance(index, tuple) and len(index) > 1 and isinstance(index[1], int) and index[0] == slice(None):
        at = index[1]
        yield Fix(f"{text}[{at}]", {call.index: on_first(lambda x: x[(at, slice(None), *index[2:])])})
    layer = next((layer for layer in lab.layers if layer.outputs.get("Y") is value), None)
    if layer is not None:
        yield from other_layout(lab, layer)


def _top_row(call: Call, made: tuple[str, LayerCall] | None) -> Iterator[Fix]:
    if made is None:
        return
    role, layer = made
    name = layer_names(layer)[role]
    for R, says in ((2, "the top layer's two directions"), (1, "the top layer's row"))[0 if layer.R == 2 else 1 :]:
        text, _ = top_row(name, layer.outputs[role].tensor.detach(), R, 1)
        yield Fix(f"{text}, {says}", {call.index: on_first(partial(_top, R))})


def _top(R: int, state: Tensor) -> Tensor:
    return top_row("", state, R, 1)[1]


def unsorted(call: Call) -> list[Fix]:
    """Rows put back into their order."""
    if call.name in ("flip", "roll"):
        return [Fix(f"no {call.name} along the batch; along the steps it is another axis")]
    index = argument_text(call, 1) or "order"
    index = index if index.isidentifier() else "order"
    back = f"the inverse order at the end: back = {index}.argsort(), then rows[back]"
    return [Fix(f"{back}; or enforce_sorted=False in pack_padded_sequence, which keeps the original order by itself")]


def scripted(call: Call) -> Iterator[Fix]:
    """What may be changed inside a scripted module."""
    modules = call.module.modules() if call.name == "script" and call.module is not None else ()
    kinds = [kind for m in modules if (kind := getattr(m, "original_name", "")) in ("LSTM", "GRU", "RNN")]
    for kind in kinds[:1]:
        yield Fix(f"batch_first=True for the nn.{kind} inside, or its input as x.transpose(0, 1)")
