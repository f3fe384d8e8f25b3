"""A loss that refuses its operands: which change lets it run and gives every prediction its own target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import torch
from torch import Tensor

from lstm_shapes.lab.axis_names import axes_of, disagree
from lstm_shapes.lab.trace import Call, Value, is_loss
from lstm_shapes.lab.words import chained, kind_of, last_step, layer_names
from lstm_shapes.theory.axes import Axes

from .raised import Change, Explanation, Raised, Try, method, whole_range

__all__ = ["loss"]

_CTC = (
    "ctc_loss wants log-probabilities (T, N, C), the steps first, whatever batch_first is, and one input and target "
    "length a sample"
)
_CLASSES = frozenset(["cross_entropy", "nll_loss"])
_SAME = Change("", lambda t: t)
Look = tuple[str, list[Try]]


def loss(raised: Raised) -> Explanation | None:
    """A loss function that raised."""
    call = raised.call
    if call is None or not is_loss(call.name):
        return None
    p = call.argument(0, "input", call.argument(0, "log_probs"))
    t = call.argument(1, "target", call.argument(1, "targets"))
    if not isinstance(p, Value) or not isinstance(t, Value):
        return None
    if call.name == "ctc_loss":
        measured, fixes = _ctc(raised, call, p)
    else:
        measured, fixes = (_classes if call.name in _CLASSES else _alike)(raised, call, p, t)
    products = raised.products(*((p, axis) for axis in range(len(p.shape))))
    measured += f"; {products}" if products else ""
    layer = raised.from_layer(p)
    title = f"{call.name} cannot compare {raised.described(p)} and {raised.described(t)}"
    return Explanation("LS112", title, measured, fixes, (p, t), layer.name if layer is not None else "")


def _change(raised: Raised, call: Call, text: str, value: Value, does: Callable[..., Tensor], rank: float = 0.0) -> Try:
    return Try(text, lambda: raised.runs(call, {value.index: does}), rank)


# ---------------------------------------------------------------------- the families
def _ctc(raised: Raised, call: Call, p: Value) -> Look:
    measured = f"{_CTC}; {raised.name(p)} is {raised.shape(p)}"
    for k, name in ((2, "input_lengths"), (3, "target_lengths")):
        given = call.argument(k, name)
        if isinstance(given, (tuple, Value)):
            measured += f", {name} {given.shape}" if isinstance(given, Value) else f", {name} are {len(given)}"
    fix = f"{chained(raised.code(p, 'log_probs'), '.transpose(0, 1)')}, which is (T, N, C)"
    return measured, [_change(raised, call, fix, p, lambda x: x.transpose(0, 1))] if len(p.shape) == 3 else []


def _classes(raised: Raised, call: Call, p: Value, t: Value) -> Look:
    wants = f"{call.name} wants the classes on axis 1, logits (N, C, …) and class indices (N, …)"
    C = p.shape[1] if len(p.shape) > 1 else p.shape[0] if p.shape else 0
    ids = None if t.tensor.is_floating_point() else whole_range(t)
    outside = ids is not None and (ids[1] >= C or ids[0] < 0) and "out of bounds" in raised.message
    if ids is not None and outside and p.shape[:1] + p.shape[2:] == t.shape:
        measured, fixes = _outside(raised, call, p, t, *ids, C)
        return f"{measured}; {wants}", fixes
    measured = f"{wants}; {raised.described(p)} has {C} on axis 1, {raised.described(t)} is {kind_of(t.tensor)}"
    return measured, [*_pairs(raised, call, p, t, _for_logits(raised, p), _for_indices(t), _class_axes)]


def _outside(raised: Raised, call: Call, p: Value, t: Value, low: int, high: int, C: int) -> Look:
    """Class indices that are no classes."""
    measured = f"{raised.name(t)} holds class indices from {low} to {high}, and there are C = {C} classes, 0 to {C - 1}"
    fixes = []
    if low >= 1 and high == C:
        text = f"{chained(raised.code(t, 'target'), ' - 1')}: the first class is 0"
        fixes.append(_change(raised, call, text, t, lambda x: x - 1))
    head = next((one for _, one in p.way_back() if one.name == "linear"), None)
    if head is not None and low >= 0 and head.inputs[1].shape[0] == C:
        text = f"nn.Linear({head.inputs[1].shape[1]}, {high + 1}) as the head, for {high + 1} classes"

        def wider(x: Tensor) -> Tensor:
            return torch.cat([x, x[:, :1].expand(-1, high + 1 - C, *x.shape[2:])], 1)

        fixes.append(_change(raised, call, text, p, wider, 1.0))
    if low < 0:
        text = f"{call.name}(…, ignore_index={low}), if {low} marks what does not count"
        fixes.append(Try(text, lambda: raised.runs(call, places={"ignore_index": low})))
    return measured, fixes


def _alike(raised: Raised, call: Call, p: Value, t: Value) -> Look:
    measured, kinds = (
        f"{call.name} wants one shape and one data type on both sides",
        [kind_of(p.tensor), kind_of(t.tensor)],
    )
    if p.shape != t.shape or kinds[0] != kinds[1]:
        measured += f"; {raised.described(p)} is {kinds[0]}, {raised.described(t)} is {kinds[1]}"
        return measured, [*_pairs(raised, call, p, t, _for_outputs(raised, p), _for_targets(p, t), lambda a: a)]
    low, high = (float(end) for end in p.tensor.detach().aminmax()) if p.tensor.numel() else (0.0, 0.0)
    if call.name != "binary_cross_entropy" or (low >= 0 and high <= 1):
        return measured, []
    runs = f"{raised.described(p)} runs from {low:.3g} to {high:.3g}"
    with_logits = torch.nn.functional.binary_cross_entropy_with_logits
    first = Try("F.binary_cross_entropy_with_logits, for logits", lambda: raised.runs(call, func=with_logits))
    text = f"torch.sigmoid({raised.code(p, 'output')})"
    fixes = [first, _change(raised, call, text, p, torch.sigmoid, 1.0)]
    return f"binary_cross_entropy wants probabilities between 0 and 1; {runs}", fixes


# ---------------------------------------------------------------------- changes of one side
def _for_logits(raised: Raised, p: Value) -> Iterator[Change]:
    rank = len(p.shape)
    yield _SAME
    if rank == 3:
        yield method("transpose", 1, 2, rank=1.0)
        yield method("permute", 1, 2, 0, rank=2.0)
    elif rank > 3:
        yield method("movedim", -1, 1, rank=1.0)
    if rank > 2:
        yield method("reshape", -1, p.shape[-1], rank=1.5)
    yield from _fewer(raised, p, p.shape[:-1] if rank > 2 else p.shape)


def _for_outputs(raised: Raised, p: Value) -> Iterator[Change]:
    yield _SAME
    yield from _fewer(raised, p, p.shape)
    if len(p.shape) > 1:
        yield method("transpose", 0, 1, rank=3.0)


def _fewer(raised: Raised, p: Value, sizes: tuple[int, ...]) -> Iterator[Change]:
    """An axis less: one of size one, the steps but the last, the layers but the top one."""
    names, last = raised.axes.names(p), len(p.shape) - 1
    for axis in reversed(range(len(sizes))):
        if sizes[axis] == 1 and names[axis] not in ("N", "L"):
            yield method("squeeze", -1 if axis == last else axis, rank=1.0)
    if last > 1 and len(sizes) > 1 and names[1] == "L":
        yield Change("[:, -1]", lambda x: x[:, -1], 2.0)
    if last > 1 and ("K" in names[0].split("·") or names[0] == "L"):
        yield Change("[-1]", lambda x: x[-1], 2.0)


def _for_indices(t: Value) -> Iterator[Change]:
    yield _SAME
    numbers = None if t.elements is None or t.elements.is_meta else t.elements.float()
    whole = numbers is not None and bool((numbers % 1 == 0).all())
    if t.tensor.dtype not in (torch.int64, torch.uint8) and (whole or not t.tensor.is_floating_point()):
        yield method("long", rank=0.5)
    if t.shape and t.shape[-1] == 1:
        yield method("squeeze", -1, rank=0.5)
        if t.tensor.dtype != torch.int64 and whole:
            yield Change(".squeeze(-1).long()", lambda x: x.squeeze(-1).long(), 0.7)
    if len(t.shape) > 1:
        yield method("reshape", -1, rank=1.0)
        yield Change(".t().reshape(-1)", lambda x: x.t().reshape(-1), 2.0)
        one_hot = numbers is not None and t.shape[-1] > 1 and bool((numbers.sum(-1) == 1).all())
        if numbers is not None and one_hot and bool(((numbers == 0) | (numbers == 1)).all()):
            yield method("argmax", -1, rank=0.5)
            yield method("float", rank=0.6)


def _for_targets(p: Value, t: Value) -> Iterator[Change]:
    kind = p.tensor.dtype
    word = {torch.float32: ".float()", torch.float64: ".double()"}.get(kind, f".to({kind})")
    shapes = [_SAME, method("unsqueeze", -1, rank=1.0)]
    if t.shape and t.shape[-1] == 1:
        shapes.append(method("squeeze", -1, rank=1.0))
    for one in shapes:
        yield one
        if t.tensor.dtype != kind and kind.is_floating_point:
            yield Change(one.suffix + word, lambda x, one=one: one.does(x).to(kind), one.rank + 0.2)


# ---------------------------------------------------------------------- both sides together
def _class_axes(axes: Axes) -> Axes:
    """Where the targets lie in logits: every axis but the classes'."""
    return axes if len(axes) < 2 else Axes((axes[0], *axes.axes[2:]))


def _pairs(
    raised: Raised,
    call: Call,
    p: Value,
    t: Value,
    ours: Iterable[Change],
    theirs: Iterable[Change],
    places: Callable[[Axes], Axes],
) -> Iterator[Try]:
    """Each change of the prediction with each of the target: it counts if the loss runs, shape for shape."""
    for one, other in product(ours, theirs):
        texts = [] if one is _SAME else [_instead(raised, p, one)]
        texts += [] if other is _SAME else [chained(raised.code(t, "target"), other.suffix)]

        def holds(one: Change = one, other: Change = other) -> bool:
            a, b = axes_of(one.does(raised.axes.tensor(p))), axes_of(other.does(raised.axes.tensor(t)))
            a = a if a.sizes == b.sizes else places(a)
            meet = a.sizes == b.sizes and not any(disagree(x, y) for x, y in zip(a, b, strict=True))
            return meet and raised.runs(call, {p.index: one.does, t.index: other.does})

        if texts:
            yield Try(" with ".join(texts), holds, one.rank + other.rank + 0.5 * (len(texts) - 1))
    yield from _elsewhere(raised, call, p, t)


def _instead(raised: Raised, p: Value, change: Change) -> str:
    """The change where it belongs: `Y[:, -1:]` is answered with `Y[:, -1]`."""
    text = chained(raised.code(p, "output"), change.suffix)
    for _, call in p.way_back() if change.suffix.startswith(".squeeze") else ():
        index = call.args[1] if call.name == "__getitem__" and len(call.args) > 1 else None
        last = [isinstance(one, slice) and one.start == -1 for one in index] if isinstance(index, tuple) else []
        if any(last):
            kept = f"{raised.code(call.inputs[0], 'out')}[{', '.join('-1' if one else ':' for one in last)}]"
            return f"{kept}, which has no axis of size 1; {text} does the same"
    return text


def _elsewhere(raised: Raised, call: Call, p: Value, t: Value) -> Iterator[Try]:
    """A change further back: an index that took one sample, rows that are steps or directions."""
    for _, earlier in p.way_back():
        index = earlier.args[1] if earlier.name == "__getitem__" and len(earlier.args) > 1 else None
        source = earlier.inputs[0]
        if isinstance(index, int) and len(source.shape) > 1 and raised.axes.names(source)[0] == "N":

            def holds(earlier: Call = earlier, index: int = index) -> bool:
                new = raised.replayed(p, earlier, lambda x, _: x[:, index])
                return new is not None and new.shape[:1] == t.shape[:1] and raised.runs(call, {p.index: lambda _: new})

            name = raised.code(source, "out")
            yield Try(f"{name}[:, {index}]: axis 0 of {raised.shape(source)} is the batch", holds, 0.5)
        one_step = isinstance(index, tuple) and len(index) > 1 and index[0] == slice(None) and isinstance(index[1], int)
        if one_step and len(t.shape) > 1 and len(source.shape) == 3 and source.shape[1] == t.shape[1]:

            def keeps(earlier: Call = earlier) -> bool:
                new = raised.replayed(p, earlier, lambda x, _: x)
                return new is not None and raised.runs(call, {p.index: lambda _: new.transpose(1, 2)})

            text = (
                f"keep all steps, {raised.code(source, 'out')} in the place of its last one, and the classes on axis 1"
            )
            yield Try(f"{text}: {raised.code(p, 'logits')}.transpose(1, 2)", keeps, 2.0)
    atoms, layer = raised.axes.atoms(p, 0) if p.shape else (), raised.from_layer(p)
    if p.shape[:1] == t.shape[:1] or layer is None or layer.cell:
        return
    if {"R", "K"} & set(atoms) and "N" in atoms:
        hn = layer_names(layer)["hn"]
        both = f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1), one row a sample, with a head of {2 * layer.H} features"
        top = f"{hn}[-1], the top layer, one row a sample, in front of the head"
        yield Try(both if layer.R == 2 else top, None, 3.0)
    elif "L" in atoms and len(atoms) > 1 and len(t.shape) == 1:
        last = f"one row a target: {last_step(layer)}, the last step, in front of the head"
        yield Try(f"{last}, and no reshape behind it", None, 3.0)
