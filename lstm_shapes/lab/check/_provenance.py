"""Provenance: which parts of one tensor lie where in the tensors that are made of it, and which of them reach a result,
by putting marks through the recorded calls.

A part is a set of elements: a row of hn, a step of Y, a half of it. Each part's mark is a tensor of zeros and ones of
the same shape, and goes through the functions that move elements as the elements did. Functions that add or combine
elements keep the marks' places; what computes with a whole tensor (a kernel, a product) reads every part that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab._build import PLAIN
from lstm_shapes.lab._private import FUNCTIONS
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, substituted
from lstm_shapes.lab.trace._families import MOVES, SAME, names_in

from ._experiments import Experiments
from ._rules_padding import lengths_of
from ._samples import samples_of

# Functions that reduce, and the one that says where marks are left.
_REDUCES = dict.fromkeys(names_in("sum mean nansum nanmean"), "sum") | {"cumsum": "cumsum"}
_REDUCES |= dict.fromkeys(names_in("amax amin max min median logsumexp var std"), "amax")
_POINTWISE = names_in(
    "add sub mul div truediv __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __neg__ neg "
    "where lerp addcmul maximum minimum tanh sigmoid relu relu_ gelu silu elu leaky_relu softplus exp log abs sqrt "
    "pow square clamp masked_fill rsub hardtanh softmax log_softmax layer_norm batch_norm __pow__ __iadd__ __imul__ "
    "add_ mul_ tanh_ sigmoid_ clone normalize nan_to_num instance_norm rms_norm selu celu mish logsigmoid"
)
FIRST, BETWEEN, LAST = range(3)
_SPACES: tuple[Any, ...] = (Tensor, torch, FUNCTIONS)


@dataclass(eq=False, slots=True)
class Parts:
    """Where the parts of a tensor lie, by the index of each value that holds any, and which calls read them.

    `held[value][part]`: true where elements of the value come from that part.
    `read`: (call, value) pairs at which parts are computed with and their places are lost.
    """

    names: tuple[Any, ...]
    held: dict[int, Tensor] = field(default_factory=dict)
    read: list[tuple[Call, Value]] = field(default_factory=list)

    def of(self, value: Value) -> set[Any]:
        """The parts that a value holds."""
        marks = self.held.get(value.index)
        return set() if marks is None else self._named(marks)

    def along(self, value: Value, axis: int) -> list[set[Any]]:
        """The parts at each index of an axis."""
        marks = self.held[value.index]
        return [self._named(mark) for mark in marks.unbind(axis + 1)]

    def _named(self, marks: Tensor) -> set[Any]:
        return {name for name, mark in zip(self.names, marks, strict=True) if bool(mark.any())}


def follow_parts(trace: Trace, sources: Mapping[Value, Tensor], names: tuple[Any, ...], way: set[int]) -> Parts:
    """Put the marks of some values through the calls on a way; `sources[value]` is (parts, *shape)."""
    parts = Parts(names, {value.index: marks.bool() for value, marks in sources.items()})
    first = min((value.maker.index if value.maker is not None else -1 for value in sources), default=-1)
    for call in trace.calls:
        given = dict.fromkeys(v for v in call.inputs if v.index in parts.held)
        leads = given and not call.creates and any(v.index in way for v in call.outputs)
        if call.index <= first or call.error is not None or not leads:
            continue
        try:
            made = _through(call, parts.held, len(names))
        except (RuntimeError, IndexError, TypeError, ValueError):
            made = None
        if made is None:
            parts.read += [(call, value) for value in given]
        for value, marks in (made or {}).items():
            if value.index not in parts.held and bool(marks.any()):
                parts.held[value.index] = marks
    return parts


def _through(call: Call, held: dict[int, Tensor], count: int) -> dict[Value, Tensor] | None:
    """The marks of a call's outputs, None where the places are lost."""
    name, made, value = call.name, call.outputs[0], call.inputs[0]
    if name == "__setitem__":
        given = call.args[2]
        marks = held[given.index] if _holds(given, held) else torch.zeros(count, dtype=torch.bool, device="cpu")
        olds = held.get(call.args[0].index, [None] * count)
        rows = [torch.zeros(made.shape, dtype=torch.bool, device="cpu") if old is None else old.clone() for old in olds]
        for row, mark in zip(rows, marks, strict=True):
            row[substituted(call.args[1], lambda index: index.elements)] = mark
        return {made: torch.stack(rows)}
    if name in MOVES | SAME | _REDUCES.keys():

        def mark(value: Value, part: int) -> Tensor | None:
            marks = held.get(value.index)
            if marks is None:
                return torch.zeros(value.shape, **PLAIN) if value.tensor.is_floating_point() else None
            return marks[part].float()

        reduces = _REDUCES.get(name, "")
        parts = [_moved(call, lambda v, part=part: mark(v, part), reduces) for part in range(count)]  # type: ignore[misc]
        stacked = [torch.stack(outputs) != 0 for outputs in zip(*parts, strict=True)]
        if reduces == "amax":
            stacked *= len(call.outputs)  # values and indices
        if [tuple(marks.shape[1:]) for marks in stacked] != [output.shape for output in call.outputs]:
            return None
        return dict(zip(call.outputs, stacked, strict=True))
    if name in _POINTWISE:
        total = torch.zeros(count, *made.shape, dtype=torch.bool, device="cpu")
        for given in call.inputs:
            if _holds(given, held) and not given.parameter:
                marks = held[given.index]
                wide = (count, *[1] * (total.dim() - marks.dim()), *marks.shape[1:])
                total |= marks.reshape(wide)
        return {made: total}
    if name in ("linear", "__matmul__", "matmul") and len(call.inputs) > 1 and call.inputs[1].parameter:
        return {made: held[value.index].any(-1, keepdim=True).expand(count, *made.shape)}
    return None


def _holds(value: Any, held: dict[int, Tensor]) -> bool:
    return isinstance(value, Value) and value.index in held


# ---------------------------------------------------------------------- a call run again on other tensors
def _moved(call: Call, of: Callable[[Value], Tensor | None], name: str) -> list[Tensor]:
    """What a call that moves elements, or `name` in its place, makes of other tensors of the same shapes.

    An operand for which `of` gives None keeps its elements.
    """
    args, kwargs = list(call.args), {word: value for word, value in call.kwargs.items() if word != "dtype"}
    for word in ("input", "tensors"):
        if word in kwargs:
            args.insert(0, kwargs.pop(word))

    def filled(value: Value) -> Tensor:
        made = of(value)
        made = value.elements if made is None else made
        if made is None or made.is_meta:
            raise ValueError
        return made.cpu()

    (data, *rest), kwargs = substituted((tuple(args), kwargs), filled)
    if call.name in SAME:
        return [data]
    if call.name == "_pad_packed_sequence":
        rest[2] = 0  # what padding holds
    if call.name in ("T", "mT", "H", "mH"):
        return [getattr(data, call.name)]
    # Marks do not lie in memory as the tensors did: a view of them may have to copy.
    name = {"view": "reshape", "view_as": "reshape_as"}.get(call.name, name or call.name)
    function = next(f for space in _SPACES if (f := getattr(space, name, None)) is not None)
    with torch.no_grad():
        result = function(data, *rest, **kwargs)
    return [t for t in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(t, Tensor)]


# ---------------------------------------------------------------------- what is read of recurrent layers
def settled(lab: Experiments) -> bool:
    """Whether samples stay apart, so that what is read can be spoken of."""
    return lab.baseline.error is None and lab.ask(samples_of).kind not in ("mixed", "dropped")


def by_layer(lab: Experiments) -> list[list[LayerCall]]:
    """The calls of each layer, together."""
    of: dict[int, list[LayerCall]] = {}
    for layer in lab.layers:
        of.setdefault(id(layer.module) if layer.module is not None else -layer.call.index - 1, []).append(layer)
    return list(of.values())


def chosen(lab: Experiments, *, cells: bool = False) -> list[LayerCall]:
    """The calls worth looking at: of each layer the first two and the last."""
    some = (layer for calls in by_layer(lab) for layer in calls[:2] + calls[2:][-1:])
    return [layer for layer in some if cells or not layer.cell]


def calls_back(parts: Parts, layer: LayerCall, value: Value | None) -> list[Call]:
    """The calls between a layer and a value along operands that hold parts of what it gives, the last one first."""
    calls: list[Call] = []
    while value is not None and value.maker is not None and value.maker is not layer.call and len(calls) < 40:
        calls.append(value.maker)
        value = next((v for v in value.maker.inputs if parts.of(v)), None)
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


def readers_outside(lab: Experiments, values: Iterable[Value], skipped: set[int]) -> list[Call]:
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


def row_parts(lab: Experiments, layer: LayerCall) -> Parts:
    """hn and cn of a call, row by row, until they are computed with."""
    roles, count = [role for role in ("hn", "cn") if role in layer.outputs], layer.K * layer.R
    sources = {}
    for i, role in enumerate(roles):
        value = layer.outputs[role]
        sources[value] = torch.zeros(len(roles) * count, *value.shape, dtype=torch.bool, device="cpu")
        for k in range(count):
            sources[value][i * count + k][... if layer.cell else k] = True
    return follow_parts(lab.baseline, sources, tuple((role, k) for role in roles for k in range(count)), lab.on_path)


def step_marks(lab: Experiments, layer: LayerCall, Y: Value) -> Tensor:
    """Marks for the first, the last and the other steps of each half of Y, rows read to their own length."""
    if layer.batch_sizes is not None:
        sizes = layer.batch_sizes.tolist()
        step = torch.cat([torch.full((n,), t, device="cpu") for t, n in enumerate(sizes)])
        last = torch.tensor(layer.lengths, device="cpu")[torch.cat([torch.arange(n, device="cpu") for n in sizes])] - 1
    else:
        told = lab.ask(lengths_of)
        known = [] if isinstance(told, str) else told.steps
        last = torch.tensor(known if len(known) == layer.N else [layer.L] * layer.N, device="cpu").clamp(1, layer.L) - 1
        step, last = torch.arange(layer.L, device="cpu")[:, None].expand(-1, layer.N), last.expand(layer.L, -1)
        step, last = (step.t(), last.t()) if layer.batch_first else (step, last)
    place = torch.full(Y.shape[:-1], BETWEEN, device="cpu")
    place[step == 0] = FIRST
    place[(step == last) | (step == layer.L - 1)] = LAST
    marks, half = torch.zeros(3 * layer.R, *Y.shape, dtype=torch.bool, device="cpu"), Y.shape[-1] // layer.R
    for k in range(3 * layer.R):
        columns = slice(k // 3 * half, (k // 3 + 1) * half)
        marks[k][..., columns] = (place == k % 3).unsqueeze(-1)
    return marks
