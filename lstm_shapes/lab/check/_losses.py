"""Losses: what is compared with what, and by the named axes of the run which axis holds samples, steps or classes, in
which order they were flattened, and whether the targets are ids that the prediction has read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, Where, is_loss, layer_calls
from lstm_shapes.lab.trace._families import names_in
from lstm_shapes.theory.axes import Axes, Axis, unknown

from ._compare import differs
from ._experiments import Experiments

ELEMENTWISE = names_in(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
    "poisson_nll_loss soft_margin_loss"
)
CLASSES = names_in("cross_entropy nll_loss")
DIFFERENCES = names_in("sub __sub__ __rsub__ rsub subtract")
_WIDTHS = ("D", "H", "P")  # what a recurrent layer's own features are called
_FEWEST = 8  # so many ids are equal by chance in no program that anybody means
_HALVES = names_in("chunk split tensor_split view reshape unflatten __getitem__ narrow")


@dataclass(eq=False, slots=True)
class Pair:
    """What a call compares; without a call, the result with the target that check was given."""

    call: Call | None
    name: str
    output: Value
    target: Value

    @property
    def where(self) -> Where | None:
        """The line that compares; that of the result where check compares."""
        place = self.call or self.output.maker
        return place.where if place is not None else None


class Losses:
    """The comparisons of a run, each line once, and the named axes of what they compare.

    `layers`: the recurrent calls; without them those of the trace, which knows no names of modules.
    """

    def __init__(self, trace: Trace, layers: list[LayerCall] | None = None) -> None:
        self.trace = trace
        self.layers = layer_calls(trace, {}) if layers is None else layers
        found: dict[Any, Pair] = {}
        for call in trace.calls:
            pair = _pair(call)
            if pair is not None:
                found.setdefault((call.name, call.line, pair.output.shape, pair.target.shape), pair)
        self.pairs = list(found.values())

    @cached_property
    def names(self) -> AxisNames:
        """The names that recurrent layers give, without suppositions."""
        return AxisNames(self.trace, rounds=1)

    def axes(self, value: Value) -> Axes:
        return self.names.axes(value) or Axes(tuple(map(unknown, value.shape)))

    def features(self, value: Value) -> list[int]:
        """The axes along which the features of a head, or of a layer, lie."""
        return [k for k, axis in enumerate(self.axes(value)) if axis.size > 1 and _features(axis)]

    def meaning(self, value: Value, axis: int) -> str:
        """N or L, "" where an axis is neither."""
        name = self.axes(value)[axis].name
        return name if name in ("N", "L") else ""

    def batch_first(self, call: Call) -> bool:
        """Whether ctc_loss is given (N, T, C): the layers read its axis 0 as the batch and axis 1 as time."""
        value = call.argument(0, "log_probs")
        if call.name != "ctc_loss" or not call.outputs or not isinstance(value, Value) or len(value.shape) != 3:
            return False
        return [self.meaning(value, axis) for axis in (0, 1)] == ["N", "L"]


def _features(axis: Axis) -> bool:
    return axis.made or axis.name.split("·")[-1] in _WIDTHS


def losses_of(lab: Experiments) -> Losses:
    """The comparisons of the program; where check was given a target and no loss, also the result with the target."""
    losses = Losses(lab.baseline, lab.layers)
    results = [v for _, v in lab.baseline.results if v.tensor.is_floating_point()]
    if isinstance(lab.target, Tensor) and lab.loss is None and len(results) == 1 and lab.baseline.error is None:
        target = Value(-1, lab.target, None, 0, 0, "target", shape=tuple(lab.target.shape))
        losses.pairs.append(Pair(None, "a loss", results[0], target))
    return losses


def _pair(call: Call) -> Pair | None:
    if not call.inputs or not call.outputs:
        return None
    output = call.argument(0, "input", call.argument(0, "log_probs"))
    target = call.argument(1, "target", call.argument(1, "targets", call.argument(1, "other")))
    if call.name in ("gather", "take_along_dim"):
        target = call.argument(2, "index")
    elif not is_loss(call.name) and call.name not in DIFFERENCES:
        return None
    if not isinstance(output, Value) or not isinstance(target, Value):
        return None
    return Pair(call, call.name, output, target)


# ---------------------------------------------------------------------- targets that are ids of the input
@dataclass(frozen=True, slots=True)
class Seen:
    """Targets equal to the ids that `call` reads, 0 or 1 step ahead on their axis `axis`; `rows` is the index there of
    each prediction, whose classes lie on axis `classes`."""

    call: Call
    ids: Value
    shift: int
    axis: int
    count: int
    rows: Tensor
    classes: int


def seen_in(losses: Losses, pair: Pair) -> Seen | None:
    """Whether whole-number targets are ids of the input: those at the same step, or the next ones."""
    wanted, classes = _whole_numbers(pair.target), losses.features(pair.output)
    if wanted is None or len(classes) != 1:
        return None
    grid = [atom for k, axis in enumerate(losses.axes(pair.output)) if k != classes[0] for atom in axis.atoms]
    sizes = [atom.size for atom in grid]
    way, wanted = losses.trace.ancestors(pair.output), wanted.flatten()
    ignored = pair.call.argument(4, "ignore_index", -100) if pair.call is not None else -100
    for call in losses.trace.calls:
        if call.name not in ("embedding", "one_hot") or prod(sizes) != wanted.numel():
            continue
        ids = next(v for v in call.inputs if not v.tensor.is_floating_point())
        numbers, index = _whole_numbers(ids), list[Tensor]()
        for axis in losses.axes(ids):
            places = [k for k, atom in enumerate(grid) if [atom.origin.root] == [a.origin.root for a in axis.atoms]]
            for k in places[:1]:
                at = axis.atoms[0].at
                line = wanted.new_tensor([at.index(c) if c in at else -1 for c in grid[k].at])
                index.append(line.view(-1, *[1] * (len(grid) - k - 1)).expand(sizes).flatten())
        if numbers is None or not numbers.dim() == len(index) > 0 or not any(v.index in way for v in call.outputs):
            continue
        here = torch.stack([t >= 0 for t in index]).all(0) & (wanted != ignored)
        for shift, along in ((0, 0), *((1, k) for k in reversed(range(len(index))))):
            moved = [t + shift * (k == along) for k, t in enumerate(index)]
            counted = here & (moved[along] < numbers.shape[along])
            read = numbers[tuple(t[counted] for t in moved)]
            if read.numel() >= _FEWEST and bool((read == wanted[counted]).all()) and torch.unique(read).numel() > 2:
                return Seen(call, ids, shift, along, read.numel(), index[along], classes[0])
    return None


def _whole_numbers(value: Value) -> Tensor | None:
    numbers = value.elements
    if numbers is None or numbers.is_meta or numbers.is_floating_point():
        return None
    return numbers.detach().cpu()


def leak_of(losses: Losses, pair: Pair, seen: Seen, lab: Experiments | None) -> LayerCall | None:
    """The layer of two directions by which the prediction at a step has read the next id.

    With experiments, an id replaced moves the prediction of the step before it; without, the halves of the output must
    not be read apart, each for its own direction.
    """
    trace = losses.trace
    way = trace.ancestors(pair.output)
    for layer in losses.layers:
        Y = layer.outputs.get("Y")
        if layer.R == 2 and Y is not None and Y.index in way and seen.ids.index in trace.ancestors(layer.X):
            apart = any(call.name in _HALVES for call in Y.readers)
            return layer if (not apart if lab is None else _moves_before(lab, pair.output, seen)) else None
    return None


def _moves_before(lab: Experiments, output: Value, seen: Seen) -> bool:
    """Whether the predictions of a step move when the ids of the next one are replaced where they are read."""
    step, found = seen.ids.shape[seen.axis] // 2, list[Tensor]()

    def compare(value: Value, tensor: Tensor) -> None:
        before = value.elements
        moved = differs(before, tensor, lab.slack) if value.index == output.index and before is not None else None
        if moved is not None:
            found.append(moved.any(seen.classes).flatten().cpu())

    def other(func: Any) -> Any:
        def changed(ids: Tensor, *args: Any, **kwargs: Any) -> Any:
            ids = ids.clone()
            row, values = ids.select(seen.axis, step), torch.unique(ids)
            row.copy_(values[(torch.searchsorted(values, row.contiguous()) + 1) % values.numel()])
            return func(ids, *args, **kwargs)

        return changed

    outcome = lab.follow(lab.inputs.same(), compare, edits={seen.call.index: other})
    if outcome.error is not None or not found or found[0].shape != seen.rows.shape:
        return False
    return bool((found[0] & (seen.rows == step - 1)).any())
