"""A loss that refuses its operands: which change lets it run and gives every prediction its own target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor

from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.theory.axes import Axes

from lstm_shapes.lab.axis_names import disagree
from .raised import Change, Explanation, Raised, Try, method
from .spelled import chained
from .words import layer_names

__all__ = ["loss"]

_CLASSES = frozenset("cross_entropy nll_loss nll_loss_nd".split())
_CTC = "wants log-probabilities (T, N, C), the steps first, whatever batch_first is, and one input and target length a sample"


_SAME = Change("", lambda t: t)


def loss(raised: Raised) -> Explanation | None:
    """A loss function that raised."""
    call = raised.call
    if call is None or not is_loss(call.name):
        return None
    p, t = (
        call.argument(0, "input", call.argument(0, "log_probs")),
        call.argument(1, "target", call.argument(1, "targets")),
    )
    if not isinstance(p, Value) or not isinstance(t, Value):
        return None
    both = f"{raised.described(p)} and {raised.described(t)}"
    title = f"{call.name} cannot compare {both}"
    if call.name == "ctc_loss":
        measured, fixes = _ctc(raised, call, p)
    elif call.name in _CLASSES:
        measured, fixes = _classes(raised, call, p, t)
    else:
        measured, fixes = _alike(raised, call, p, t)
    products = raised.products(*((p, axis) for axis in range(len(p.shape))))
    measured += f"; {products}" if products else ""
    layer = raised.from_layer(p)
    return Explanation("LS112", title, measured, fixes, (p, t), layer.name if layer is not None else "")


# ---------------------------------------------------------------------- the families
def _ctc(raised: Raised, call: Call, p: Value) -> tuple[str, list[Try]]:
    axes = raised.shape(p)
    sizes = [
        f"{name} {v.shape}"
        for k, name in ((2, "input_lengths"), (3, "target_lengths"))
        if isinstance(v := call.argument(k, name), Value)
    ]
    sizes = [
        f"{name} are {len(v)}"
        for k, name in ((2, "input_lengths"), (3, "target_lengths"))
        if isinstance(v := call.argument(k, name), tuple)
    ] or sizes
    fix = chained(raised.code(p, "log_probs"), ".transpose(0, 1)")
    measured = f"ctc_loss {_CTC}; {raised.name(p)} is {axes}" + "".join(f", {one}" for one in sizes)

    def holds() -> bool:
        return raised.runs(call, {p.index: lambda x: x.transpose(0, 1)})

    return measured, [Try(f"{fix}, which is (T, N, C)", holds)] if len(p.shape) == 3 else []


def _classes(raised: Raised, call: Call, p: Value, t: Value) -> tuple[str, list[Try]]:
    wants = f"{call.name} wants the classes on axis 1, logits (N, C, …) and class indices (N, …)"
    C = p.shape[1] if len(p.shape) > 1 else p.shape[0] if p.shape else 0
    ids = t.elements
    if p.shape[:1] + p.shape[2:] == t.shape and ids is not None and not ids.is_meta and ids.numel():
        low, high = int(ids.min()), int(ids.max())
        if not ids.is_floating_point() and (high >= C or low < 0) and "out of bounds" in raised.message:
            return _outside(raised, call, (p, t), (low, high, C), wants)
    kind = str(t.tensor.dtype).removeprefix("torch.")
    measured = f"{wants}; {raised.described(p)} has {C} on axis 1, {raised.described(t)} is {kind}"
    fixes = list(_pairs(raised, call, p, t, _for_logits(raised, p), _for_indices(t), _class_axes))
    return measured, fixes + list(_elsewhere(raised, call, p, t, _class_axes))


def _outside(
    raised: Raised, call: Call, pair: tuple[Value, Value], found: tuple[int, int, int], wants: str
) -> tuple[str, list[Try]]:
    (p, t), (low, high, C) = pair, found
    name = raised.code(t, "target")
    measured = f"{raised.name(t)} holds class indices from {low} to {high}, and there are C = {C} classes, 0 to {C - 1}"
    fixes = []
    if low >= 1 and high == C:
        fixes.append(
            Try(f"{chained(name, ' - 1')}: the first class is 0", lambda: raised.runs(call, {t.index: lambda x: x - 1}))
        )
    head = next((one for one in raised.way_back(p) if one.name == "linear"), None)
    if head is not None and low >= 0 and head.inputs[1].shape[0] == C:
        width = head.inputs[1].shape[1]

        def holds() -> bool:
            wider = lambda x: torch.cat([x, x[:, :1].expand(-1, high + 1 - C, *x.shape[2:])], 1)  # noqa: E731
            return raised.runs(call, {p.index: wider})

        fixes.append(Try(f"nn.Linear({width}, {high + 1}) as the head, for {high + 1} classes", holds, 1.0))
    if low < 0:
        text = f"{call.name}(…, ignore_index={low}), if {low} marks what does not count"
        fixes.append(Try(text, lambda: raised.runs(call, places={"ignore_index": low})))
    return f"{measured}; {wants}", fixes


def _alike(raised: Raised, call: Call, p: Value, t: Value) -> tuple[str, list[Try]]:
    kinds = [str(v.tensor.dtype).removeprefix("torch.") for v in (p, t)]
    measured = f"{call.name} wants one shape and one data type on both sides"
    if p.shape == t.shape and kinds[0] == kinds[1]:
        low, high = (float(p.tensor.detach().min()), float(p.tensor.detach().max())) if p.tensor.numel() else (0.0, 0.0)
        if call.name == "binary_cross_entropy" and (low < 0 or high > 1):
            measured = f"binary_cross_entropy wants probabilities between 0 and 1; {raised.described(p)} runs from {low:.3g} to "
            measured += f"{high:.3g}"
            with_logits = torch.nn.functional.binary_cross_entropy_with_logits
            first = Try("F.binary_cross_entropy_with_logits, for logits", lambda: raised.runs(call, func=with_logits))
            text = f"torch.sigmoid({raised.code(p, 'output')})"
            return measured, [first, Try(text, lambda: raised.runs(call, {p.index: torch.sigmoid}), 1.0)]
        return measured, []
    measured += f"; {raised.described(p)} is {kinds[0]}, {raised.described(t)} is {kinds[1]}"
    fixes = list(_pairs(raised, call, p, t, _for_outputs(raised, p), _for_targets(p, t), lambda a: a))
    return measured, fixes + list(_elsewhere(raised, call, p, t, lambda a: a))


# ---------------------------------------------------------------------- changes of one side
def _for_logits(raised: Raised, p: Value) -> Iterator[Change]:
    rank, shape = len(p.shape), p.shape
    yield _SAME
    if rank == 3:
        yield method("transpose", 1, 2, rank=1.0)
        yield method("permute", 1, 2, 0, rank=2.0)
    elif rank > 3:
        yield method("movedim", -1, 1, rank=1.0)
    if rank > 2:
        C = shape[-1]
        yield method("reshape", -1, C, rank=1.5)
    yield from _fewer(raised, p, shape[:-1] if rank > 2 else shape)


def _for_outputs(raised: Raised, p: Value) -> Iterator[Change]:
    yield _SAME
    yield from _fewer(raised, p, p.shape)
    if len(p.shape) > 1:
        yield method("transpose", 0, 1, rank=3.0)


def _fewer(raised: Raised, p: Value, sizes: tuple[int, ...]) -> Iterator[Change]:
    """An axis less: one of size one, the steps but the last, the layers but the top one."""
    names = raised.axes.names(p)
    for axis in reversed(range(len(sizes))):
        if sizes[axis] == 1 and names[axis] not in ("N", "L"):
            at = axis - len(p.shape) if axis == len(p.shape) - 1 else axis
            yield method("squeeze", at, rank=1.0)
    if len(sizes) > 1 and len(p.shape) > 2 and names[1] == "L":
        yield Change("[:, -1]", lambda x: x[:, -1], 2.0)
    if len(p.shape) > 2 and ("K" in names[0].split("·") or names[0] == "L"):
        yield Change("[-1]", lambda x: x[-1], 2.0)


def _for_indices(t: Value) -> Iterator[Change]:
    yield _SAME
    whole = t.elements is not None and not t.tensor.is_meta and bool((t.tensor.float() % 1 == 0).all())
    if t.tensor.dtype not in (torch.int64, torch.uint8) and (whole or not t.tensor.is_floating_point()):
        yield method("long", rank=0.5)
    if t.shape and t.shape[-1] == 1:
        yield method("squeeze", -1, rank=0.5)
        if t.tensor.dtype != torch.int64 and whole:
            yield Change(".squeeze(-1).long()", lambda x: x.squeeze(-1).long(), 0.7)
    if len(t.shape) > 1:
        yield method("reshape", -1, rank=1.0)
        yield Change(".t().reshape(-1)", lambda x: x.t().reshape(-1), 2.0)
        if _one_hot(t):
            yield method("argmax", -1, rank=0.5)
            yield method("float", rank=0.6)


def _one_hot(t: Value) -> bool:
    numbers = t.elements
    return (
        numbers is not None
        and not numbers.is_meta
        and t.shape[-1] > 1
        and bool((numbers.float().sum(-1) == 1).all())
        and bool(((numbers == 0) | (numbers == 1)).all())
    )


def _for_targets(p: Value, t: Value) -> Iterator[Change]:
    cast = t.tensor.dtype != p.tensor.dtype and p.tensor.is_floating_point()
    word = {torch.float32: ".float()", torch.float64: ".double()"}.get(p.tensor.dtype, f".to({p.tensor.dtype})")
    shapes = [_SAME]
    shapes.append(method("unsqueeze", -1, rank=1.0))
    if t.shape and t.shape[-1] == 1:
        shapes.append(method("squeeze", -1, rank=1.0))
    for one in shapes:
        yield one
        if cast:
            yield Change(one.suffix + word, lambda x, one=one: one.does(x).to(p.tensor.dtype), one.rank + 0.2)


# ---------------------------------------------------------------------- both sides together
def _class_axes(axes: Axes) -> Axes:
    """Where the targets lie in logits: every axis but the classes'."""
    return axes if len(axes) < 2 else Axes((axes[0], *axes.axes[2:]))


def _pairs(
    raised: Raised,
    call: Call,
    p: Value,
    t: Value,
    ours: Iterator[Change],
    theirs: Iterator[Change],
    places: Callable[[Axes], Axes],
) -> Iterator[Try]:
    """Each change of the prediction with each of the target: it counts if the loss runs, shape for shape."""
    right = list(theirs)
    for one, other in product(list(ours), right):
        if one is _SAME and other is _SAME:
            continue

        def holds(one: Change = one, other: Change = other) -> bool:
            a, b = one.does(raised.axes.tensor(p)), other.does(raised.axes.tensor(t))
            return _meet(a, b, places) and raised.runs(call, {p.index: one.does, t.index: other.does})

        texts = []
        if one is not _SAME:
            texts.append(_instead(raised, p, one))
        if other is not _SAME:
            texts.append(chained(raised.code(t, "target"), other.suffix))
        yield Try(" with ".join(texts), holds, one.rank + other.rank + (one is not _SAME and other is not _SAME) * 0.5)


def _meet(a: Tensor, b: Tensor, places: Callable[[Axes], Axes]) -> bool:
    """Whether the axes of two changed operands are those of each other."""
    axes = [getattr(one, "axes", None) or Axes.of(["?"] * one.dim(), tuple(one.shape)) for one in (a, b)]
    left, right = axes[0], axes[1]
    if left.sizes != right.sizes:
        left = places(left)
    if left.sizes != right.sizes:
        return False
    return not any(disagree(x, y) for x, y in zip(left, right, strict=True))


def _instead(raised: Raised, p: Value, change: Change) -> str:
    """The change where it belongs: `Y[:, -1:]` is answered with `Y[:, -1]`."""
    text = chained(raised.code(p, "output"), change.suffix)
    if change.suffix.startswith(".squeeze"):
        for call in raised.way_back(p):
            index = call.args[1] if call.name == "__getitem__" and len(call.args) > 1 else None
            if isinstance(index, tuple) and any(isinstance(one, slice) and one.start == -1 for one in index):
                kept = ", ".join("-1" if isinstance(one, slice) and one.start == -1 else ":" for one in index)
                return (
                    f"{raised.code(call.inputs[0], 'out')}[{kept}], which has no axis of size 1; {text} does the same"
                )
    return text


def _elsewhere(raised: Raised, call: Call, p: Value, t: Value, places: Callable[[Axes], Axes]) -> Iterator[Try]:
    """A change further back: an index that took one sample, rows that are steps or directions."""
    rows, wanted = (p.shape[0] if p.shape else 0), (t.shape[0] if t.shape else 0)
    for earlier in raised.way_back(p):
        index = earlier.args[1] if earlier.name == "__getitem__" and len(earlier.args) > 1 else None
        source = earlier.inputs[0]
        if isinstance(index, int) and len(source.shape) > 1 and raised.axes.names(source)[0] == "N":
            name = raised.code(source, "out")

            def holds(earlier: Call = earlier, index: int = index) -> bool:
                new = raised.replayed(p, earlier, lambda x, _: x[:, index])
                return new is not None and new.shape[:1] == t.shape[:1] and raised.runs(call, {p.index: lambda _: new})

            yield Try(f"{name}[:, {index}]: axis 0 of {raised.shape(source)} is the batch", holds, 0.5)
        steps = isinstance(index, tuple) and len(index) > 1 and index[0] == slice(None) and isinstance(index[1], int)
        if steps and len(t.shape) > 1 and len(source.shape) == 3 and source.shape[1] == t.shape[1]:
            text = f"keep all steps, {raised.code(source, 'out')} in the place of its last one, and the classes on axis 1: "

            def keeps(earlier: Call = earlier) -> bool:
                new = raised.replayed(p, earlier, lambda x, _: x)
                return new is not None and raised.runs(call, {p.index: lambda _: new.transpose(1, 2)})

            yield Try(f"{text}{raised.code(p, 'logits')}.transpose(1, 2)", keeps, 2.0)
    atoms = raised.axes.atoms(p, 0) if p.shape else ()
    layer = raised.from_layer(p)
    if rows == wanted or layer is None or layer.cell:
        return
    names = layer_names(layer)
    if {"R", "K"} & set(atoms) and "N" in atoms:
        hn = names["hn"]
        both = f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1), one row a sample, with a head of {2 * layer.H} features"
        yield Try(
            both if layer.R == 2 else f"{hn}[-1], the top layer, one row a sample, in front of the head", None, 3.0
        )
    elif "L" in atoms and len(atoms) > 1 and len(t.shape) == 1:
        last = f"{names['Y']}[:, -1]" if layer.batch_first else f"{names['Y']}[-1]"
        yield Try(f"one row a target: {last}, the last step, in front of the head, and no reshape behind it", None, 3.0)
