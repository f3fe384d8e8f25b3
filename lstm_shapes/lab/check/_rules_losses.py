"""The rules on losses: what is compared with what, by the named axes of the run which axis holds samples, steps or
classes, in which order they were flattened, whether targets can be read, and what training reaches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_shapes.lab._axis_names import AxisNames
from lstm_shapes.lab._words import argument_text, call_text, named, result_names
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, Where, is_loss, layer_calls
from lstm_shapes.lab.trace._families import MOVES, names_in
from lstm_shapes.theory.axes import Axes, unknown

from ._blame import blame_of, merging
from ._experiments import Experiments
from ._fixes import ALONG, Fix, best, with_dim
from ._layout import differs
from ._samples import samples_of, wider_of
from .report import RULES, Finding, also, rule

ELEMENTWISE = names_in(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
    "poisson_nll_loss soft_margin_loss"
)
CLASSES = names_in("cross_entropy nll_loss")
DIFFERENCES = names_in("sub __sub__ __rsub__ rsub subtract")
_SOFTMAX = names_in("softmax log_softmax softmin gumbel_softmax")
_NORMS = names_in("normalize layer_norm rms_norm")
_LINEAR = names_in("linear matmul __matmul__")
_LOGS = names_in("log_softmax")
_LOOKED_THROUGH = MOVES | names_in("contiguous clone float")
_DRAWS = names_in("rand randn rand_like randn_like normal normal_ uniform_ bernoulli bernoulli_")
_KEEPS_DRAWN = MOVES | names_in("to cuda cpu float double contiguous clone detach mul __mul__ __rmul__ div")
_WIDTHS = ("D", "H", "P")  # what a recurrent layer's own features are called
_FEWEST = 8  # so many ids are equal by chance in no program that anybody means
_PICKS = names_in("gather take_along_dim")
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
            output = call.argument(0, "input", call.argument(0, "log_probs"))
            target = call.argument(1, "target", call.argument(1, "targets", call.argument(1, "other")))
            target = call.argument(2, "index") if call.name in _PICKS else target
            compares = is_loss(call.name) or call.name in DIFFERENCES | _PICKS
            if compares and call.inputs and call.outputs and isinstance(output, Value) and isinstance(target, Value):
                pair = Pair(call, call.name, output, target)
                found.setdefault((call.name, call.line, output.shape, target.shape), pair)
        self.pairs = list(found.values())

    @cached_property
    def names(self) -> AxisNames:
        """The names that recurrent layers give, without suppositions."""
        return AxisNames(self.trace, rounds=1)

    def axes(self, value: Value) -> Axes:
        return self.names.axes(value) or Axes(tuple(map(unknown, value.shape)))

    def features(self, value: Value) -> list[int]:
        """The axes along which the features of a head, or of a layer, lie."""
        axes = enumerate(self.axes(value))
        return [k for k, one in axes if one.size > 1 and (one.made or one.name.split("·")[-1] in _WIDTHS)]

    def batch_first(self, call: Call) -> bool:
        """Whether ctc_loss is given (N, T, C): the layers read its axis 0 as the batch and axis 1 as time."""
        value = call.argument(0, "log_probs")
        if call.name != "ctc_loss" or not call.outputs or not isinstance(value, Value) or len(value.shape) != 3:
            return False
        return [axis.name for axis in self.axes(value)[:2]] == ["N", "L"]


def losses_of(lab: Experiments) -> Losses:
    """The comparisons of the program; where check was given a target and no loss, also the result with the target."""
    losses = Losses(lab.baseline, lab.layers)
    results = [v for _, v in lab.baseline.results if v.tensor.is_floating_point()]
    if isinstance(lab.target, Tensor) and lab.loss is None and len(results) == 1 and lab.baseline.error is None:
        target = Value(-1, lab.target, None, 0, 0, "target", shape=tuple(lab.target.shape))
        losses.pairs.append(Pair(None, "a loss", results[0], target))
    return losses


def seen_losses(trace: Trace) -> list[Finding]:
    """What a recorded run shows of its losses without an experiment."""
    losses = Losses(trace)
    rules = (broadcast_loss.find, dead_axis.find, sees_its_target.find, layouts, cut_from_loss, drawn_state)
    return [finding for find in rules for finding in find(losses, None)]


# ---------------------------------------------------------------------- broadcast
@rule("LS212", "broadcast-loss", losses_of)
def broadcast_loss(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Output and target broadcast against each other silently.

    (N, 1) against (N,) is a difference of (N, N): every output is compared with every target, and what is learned is
    the mean of the targets. torch warns at most.

    Wrong and right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 1)
      - model = lambda x, y: F.mse_loss(head(rnn(x)[0][:, -1]), y)
      + model = lambda x, y: F.mse_loss(head(rnn(x)[0][:, -1]).squeeze(-1), y)
        inputs = (torch.randn(4, 7, 5), torch.randn(4))
    """
    for pair in losses.pairs:
        sides = _sides(losses, pair)
        if sides is None:
            continue
        p, t, both = sides
        pairs, meant = torch.Size(both).numel(), max(p.tensor.numel(), t.tensor.numel())
        name = "the difference" if pair.name in DIFFERENCES else pair.name
        title, where = f"{name} broadcasts output {p.shape} against target {t.shape}", pair.where
        measured = f"{p.shape} and {t.shape} become {both}: {pairs} pairs are compared where {meant} were meant"
        measured += ", every output with every target" if pairs > meant else ""
        fix = _one_shape(pair, p, t)
        if pairs == meant == 1:
            squeezes = (call for _, call in p.way_back() if call.name == "squeeze")
            squeeze = next((call for call in squeezes if call.argument(1, "dim") in (None, 0)), None)
            if squeeze is None:
                continue
            title = f"the output {p.shape} has lost an axis that the target {t.shape} has, here the batch of one"
            fix, where = "squeeze(-1) for the axis that is meant, or no squeeze, so that the batch stays", squeeze.where
        yield broadcast_loss.finding(title, measured, fix, where, level="error" if pairs > meant else "warning")


def _sides(losses: Losses, pair: Pair) -> tuple[Value, Value, tuple[int, ...]] | None:
    """Output and target of a comparison that broadcasts without being meant to, and the shape that they get."""
    p, t = pair.output, pair.target
    try:
        both = tuple(torch.broadcast_shapes(p.shape, t.shape))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None
    grows = torch.Size(both).numel() > max(p.tensor.numel(), t.tensor.numel())
    if pair.name in DIFFERENCES:
        short, long = sorted((p, t), key=lambda v: len(v.shape))
        if not grows or long.shape != (*short.shape, 1):
            return None
        learned = [any(losses.trace.values[k].parameter for k in losses.trace.ancestors(v)) for v in (p, t)]
        if learned[0] == learned[1]:
            return None
        return (p, t, both) if learned[0] else (t, p, both)
    if p.shape == t.shape or not (pair.name in ELEMENTWISE or (pair.call is None and t.tensor.is_floating_point())):
        return None
    elements = t.elements
    constant = elements is None or elements.is_meta or bool((elements == elements.flatten()[:1]).all())
    return None if p.tensor.numel() > 1 and not grows and constant else (p, t, both)


def _spoken(pair: Pair, value: Value, word: str = "output") -> str:
    """What a side is called in the program; a word of ours where that cannot be told."""
    call, maker = pair.call, value.maker
    if call is None:
        return word
    text = argument_text(call, call.inputs.index(value)) if value in call.inputs else ""
    if not text and maker is not None and maker.line != call.line:
        names = result_names(maker.where)
        text = names[0] if len(names) == 1 else ""
    simple = text.replace(".", "").replace("_", "").isalnum() or text.endswith((")", "]"))
    return (text if simple else f"({text})") if text else word


def _one_shape(pair: Pair, p: Value, t: Value) -> str:
    """The edit after which each prediction has its own target: tried on the operands."""
    for value, other, word in ((p, t, "output"), (t, p, "target")):
        last = len(value.shape) - 1
        for axis in reversed(range(last + 1)):
            changed = value.tensor.detach().squeeze(axis)
            if tuple(changed.shape) != other.shape:
                continue
            function, there = getattr(F, pair.name, None), other.tensor.detach()
            a, b = (changed, there) if value is p else (there, changed)
            b = b.to(a.dtype)
            made = a - b if function is None else function(a, b, reduction="none")
            if made.shape == changed.shape:  # one number for each prediction
                fix = f"{_spoken(pair, value, word)}.squeeze({-1 if axis == last else axis})"
                return f"{fix}, which is {tuple(changed.shape)}: one target for each prediction"
    return "probably one prediction for each target: bring both to one shape before they are compared"


# ---------------------------------------------------------------------- axes of size one, classes on another axis
@rule("LS216", "dead-axis", losses_of)
def dead_axis(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Softmax, a norm or a loss runs over an axis of size one, or over time where the classes are meant.

    Over an axis of size one a softmax gives 1.0 whatever it reads, so that attention weights weigh nothing. In
    cross_entropy and nll_loss axis 1 holds the classes: (N, C, L) with targets (N, L). With L == C nothing raises where
    they lie on the last axis.

    Wrong and right::

        rnn, score, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 1), nn.Linear(8, 3)
        def model(x):
            y, _ = rnn(x)
      -     return head((torch.softmax(score(y), dim=-1) * y).sum(1))
      +     return head((torch.softmax(score(y), dim=1) * y).sum(1))
    """
    yield from _size_one(losses, lab)
    yield from _classes_elsewhere(losses)
    yield from _sums_elsewhere(losses, lab)


def _size_one(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    said: set[object] = set()
    for call in losses.trace.calls:
        axis = _dead(call)
        if axis is None or call.line in said:
            continue
        said.add(call.line)
        value = call.inputs[0]
        by_weight = axis == len(value.shape) - 1 and _last_by_weight(value)
        if not by_weight:  # else an axis that grows with one sample more
            calls = lab.ask(wider_of).calls if lab is not None and lab.N == 1 else []
            same = (c.inputs[0] for c in calls if (c.name, c.line) == (call.name, call.line) and c.inputs)
            wide = next((value.shape for value in same), ())
            if wide[axis : axis + 1] != (2,):
                continue
        fix = "a head with one output for each class"
        if call.name in CLASSES:
            title = f"{call.name} counts classes on an axis of size one: the loss is always 0.0"
            fix = f"F.binary_cross_entropy_with_logits with float targets, or {fix}"
        else:
            always = "its weights are always 1.0" if call.name in _SOFTMAX else "what comes out is always the same"
            title = f"{call.name} runs over an axis of size one: {always}"
            last = any(v is value or v in call.outputs for _, v in losses.trace.results)
            fix = f"torch.sigmoid for one output, or {fix}" if last else _along_steps(losses, lab, call)
        made = " that nn.Linear(…, 1) made" if by_weight else ", the batch,"
        measured = f"axis {axis} of {value.shape}{made} has one element, and all of {call.outputs[0].shape} is equal"
        yield dead_axis.finding(title, measured, fix, call.where, level="warning")


def _dead(call: Call) -> int | None:
    """The axis of size one over which a softmax, a norm or a loss runs, with other axes beside it."""
    if not call.outputs or not call.inputs or not call.inputs[0].shape:
        return None
    shape, axis = call.inputs[0].shape, None
    if call.name in CLASSES:
        target = call.argument(1, "target")
        axis = 1 if isinstance(target, Value) and not target.tensor.is_floating_point() else None
    elif call.name in _SOFTMAX or call.name == "normalize":
        dim = call.argument(ALONG[call.name], "dim", 1 if call.name == "normalize" else None)
        axis = dim % len(shape) if isinstance(dim, int) else None
    elif call.name in _NORMS and call.argument(1, "normalized_shape") in ((1,), [1]):
        axis = len(shape) - 1
    return axis if axis is not None and shape[axis : axis + 1] == (1,) else None


def _last_by_weight(value: Value) -> bool:
    """Whether the last axis, of size one, is the only feature of a head."""
    for after, call in value.way_back():
        if after.shape[-1:] != (1,):
            return False
        if call.name in _LINEAR:
            return call.name == "linear" or any(v.parameter for v in call.inputs)
    return False


def _along_steps(losses: Losses, lab: Experiments | None, call: Call) -> str:
    """The same call along the steps."""
    fixes: list[Fix] = []
    for axis, name in enumerate(losses.names.names(call.inputs[0])):
        if "L·" in name or "·L" in name:
            return f"probably the steps: axis {axis} holds {name}, and a view takes them apart"
        if call.inputs[0].shape[axis] > 1 and name != "N" and call.name in _SOFTMAX:
            fix = with_dim(call, axis)
            fixes.append(Fix(f"{fix.text}: the steps, axis {axis}", fix.edits))
    tried = best(lab, fixes) if lab is not None and lab.N > 1 else ""
    return tried or f"probably {fixes[0].text if fixes else 'another axis, or more than one feature'}"


def _classes_elsewhere(losses: Losses) -> Iterator[Finding]:
    """cross_entropy whose axis 1 holds places and whose last axis holds the features of the head."""
    for pair in losses.pairs:
        p, t, last = pair.output, pair.target, len(pair.output.shape) - 1
        whole = pair.call is None and not t.tensor.is_floating_point()
        if last < 2 or not (pair.name in CLASSES or whole) or t.shape not in (p.shape, (p.shape[0], *p.shape[2:])):
            continue
        places = losses.axes(p)[1]
        if losses.features(p) != [last] or not (places.known or places.waits):
            continue
        axis, name = "the batch" if places.name == "N" else "the steps", "cross_entropy" if whole else pair.name
        output = _spoken(pair, p)
        title = f"{name} takes axis 1 for the classes, and here it holds {axis}: the classes are on axis {last}"
        measured = f"{output} is {named(p, {0: 'N', 1: 'L', last: 'C'}) if last == 2 else p.shape}; {name} wants "
        measured += f"(N, C, …) with targets (N, …), and nothing raises because both axes have {p.shape[1]}"
        change = f"{output}{'.transpose(1, 2)' if last == 2 else f'.movedim({last}, 1)'}"
        both = ", the targets too" if t.shape == p.shape else ""
        fix = f"{change}{both}, or merge the steps: reshape(-1, {p.shape[last]}) with targets.reshape(-1)"
        yield dead_axis.finding(title, measured, fix, pair.where)


def _sums_elsewhere(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Log-probabilities that add up to one along another axis than the classes that a loss, or who called, wants."""
    ends = [(pair.output, pair.name) for pair in losses.pairs if pair.name in ("ctc_loss", "nll_loss")]
    ends += [(value, "") for _, value in losses.trace.results if lab is not None and len(losses.trace.results) == 1]
    for value, name in ends:
        made = value.made_by(_LOGS, _LOOKED_THROUGH)
        dim = made.argument(1, "dim") if made is not None else None
        if made is None or not isinstance(dim, int):
            continue
        source, features = made.inputs[0], losses.features(made.inputs[0])
        over = losses.axes(source)[dim].name
        weighted = [call for call in made.outputs[0].readers if call.name not in MOVES | CLASSES | {"ctc_loss"}]
        if len(features) != 1 or dim % len(source.shape) in features or (not name and (over == "N" or weighted)):
            continue
        word = {"L": "the steps", "N": "the batch"}.get(over, f"axis {dim}")
        classes = -1 if features[0] == len(source.shape) - 1 else features[0]
        title = f"{made.name}(dim={dim}) runs over {word} where the classes are meant"
        measured = f"over axis {dim} of {source.shape} the probabilities sum to 1, over the classes they do not"
        measured += f"; {name} wants log-probabilities of the classes" if name else ""
        fix = f"{call_text(made, dim=classes)}: dim={classes}, the classes"
        yield dead_axis.finding(title, measured, fix, made.where)


# ---------------------------------------------------------------------- findings that belong to rules of other files
@also(losses_of)
def layouts(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Predictions and targets flattened in different orders; log-probabilities whose first axis is the batch in CTC."""
    blame, samples = (lab.ask(blame_of), lab.ask(samples_of)) if lab is not None else (None, None)
    for pair in losses.pairs:
        mixed = samples is not None and samples.kind == "mixed" and samples.culprit is not pair.call
        if pair.call is not None and losses.batch_first(pair.call) and not mixed:
            # CTC runs on (N, T, C) where as many lengths were given as there are steps. A layer that took the batch
            # for time gives wrong names to the axes.
            (N, T, C), output = pair.output.shape, _spoken(pair, pair.output)
            title = f"ctc_loss gets (N, T, C) = {pair.output.shape}: it wants the steps first, (T, N, C)"
            measured = f"the layers read axis 0 of {output} as the batch"
            measured += f"; ctc_loss takes it for {N} steps of {T} samples"
            fix = f"{output}.transpose(0, 1), which is ({T}, {N}, {C}), with {N} input lengths and {N} targets"
            yield RULES["LS201"].finding(title, measured, fix, pair.call)
        if blame is not None or not (pair.name in CLASSES | ELEMENTWISE or pair.call is None):
            continue
        if (found := _two_orders(losses, pair)) is not None:
            name = "cross_entropy" if pair.call is None else pair.name
            title = f"{name} compares predictions and targets that were flattened in different orders"
            yield RULES["LS214"].finding(title, *found, pair.where)


def _two_orders(losses: Losses, pair: Pair) -> tuple[str, str] | None:
    """Rows and targets whose batch and steps were merged the other way round: what is measured, and the fix."""
    flattened: list[list[int]] = []  # the sizes of what each was flattened from, the features left out
    for value in (pair.output, pair.target):
        features = losses.features(value)
        axes = [axis for k, axis in enumerate(losses.axes(value)) if k not in features]
        flattened.append([atom.size for axis in axes for atom in axis.atoms if atom.size > 1])
    rows, targets = flattened
    if len(rows) != 2 or rows == targets or rows != targets[::-1]:
        return None
    view = merging(pair.output)
    name = argument_text(view, 0) if view is not None else ""
    name = name if name.isidentifier() or name.endswith(")") else "logits"
    measured = f"from row to row the predictions go on along an axis of {rows[1]}"
    measured += f", the targets along one of {targets[1]}"
    sizes = ", ".join(map(str, (-1, *pair.output.shape[1:])))
    return measured, f"{name}.transpose(0, 1).reshape({sizes}), so that both are flattened in one order"


@also(losses_of)
def cut_from_loss(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """A layer whose weights want a gradient and get none: a head behind detach or no_grad."""
    trace = losses.trace
    ends = [v for _, v in trace.results] if lab is not None else []
    ends += [v for pair in losses.pairs if pair.call is not None for v in pair.call.outputs]
    ends = [v for v in ends if v.tensor.requires_grad]
    if not ends:
        return
    way, trained = trace.ancestors(*ends), trace.ancestors(*ends, graph=True)
    by_module: dict[int, list[LayerCall]] = {}
    for layer in losses.layers:
        if layer.module is not None and layer.module.training and any(v.tensor.requires_grad for v in layer.weights):
            by_module.setdefault(id(layer.module), []).append(layer)
    for calls in by_module.values():
        if any(v.index in trained for layer in calls for v in layer.call.outputs):
            continue
        through = lambda call, _: any(v.index in way for v in call.outputs)  # noqa: E731
        made = {v.index: v for out in calls[0].call.outputs if out.index in way for v in out.way_on(through)}
        behind = [made[k] for k in sorted(made) if not made[k].tensor.requires_grad]
        learns = [v for value in behind for call in value.readers if call.name in _LINEAR for v in call.outputs]
        if not behind or not any(v.tensor.requires_grad for v in learns):
            continue  # nothing behind it learns either: a target or a teacher, on purpose
        layer, cut = calls[0], behind[0].maker or calls[0].call
        what = "no_grad" if cut is layer.call else cut.name
        title = f"{layer.called} is cut from the loss by {what}: its weights get no gradient and learn nothing"
        measured = f"{len(layer.weights)} weights of {layer.called} want a gradient"
        measured += ", and no path with one leads to the loss"
        fix = f"probably without {what} here; where the layer is frozen on purpose, requires_grad_(False) says so"
        yield RULES["LS213"].finding(title, measured, fix, cut, level="warning", layer=layer.name)


@also(losses_of)
def drawn_state(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """A first state that is drawn at random in each call: the same inputs give other results each time."""
    said: set[object] = set()
    for layer in losses.layers:
        draw = next((d for v in layer.states.values() if (d := v.made_by(_DRAWS, _KEEPS_DRAWN)) is not None), None)
        if draw is None or draw.line in said:
            continue
        said.add(draw.line)
        title = f"{layer.called} starts from a state that is drawn at random in each call"
        measured = f"h0 is made by {draw.name}; the same input gives another result each time, also in eval mode"
        fix = "zeros, which is what the layer takes without a state; or a parameter, if the start is to be learned"
        yield RULES["LS211"].finding(title, measured, fix, draw, level="note", layer=layer.name)


# ---------------------------------------------------------------------- targets that can be read
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
    wanted, classes = _ids(pair.target), losses.features(pair.output)
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
        numbers, index = _ids(ids), list[Tensor]()
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


def _ids(value: Value) -> Tensor | None:
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


@rule("LS217", "sees-its-target", losses_of)
def sees_its_target(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """A prediction can read the id that it is to predict.

    A language model predicts the next id: inputs x[:, :-1], targets x[:, 1:]. Where the target is the input's id of the
    same step, or a layer reads backward, the answer stands in the input; the loss falls fast, and nothing is learned.

    Wrong and right::

      - emb, rnn, head = nn.Embedding(20, 8), nn.LSTM(8, 12, batch_first=True, bidirectional=True), nn.Linear(24, 20)
      + emb, rnn, head = nn.Embedding(20, 8), nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 20)
        model = lambda x: F.cross_entropy(head(rnn(emb(x[:, :-1]))[0]).transpose(1, 2), x[:, 1:])
        inputs = (torch.randint(20, (4, 10)),)
    """
    for pair in losses.pairs:
        named = pair.call is None or pair.name in CLASSES | {"gather", "take_along_dim"}
        seen = seen_in(losses, pair) if named else None
        if seen is None:
            continue
        if seen.shift == 0:
            title = "the targets are the inputs' own ids at the same step: the model has only to copy them"
            measured = f"all {seen.count} targets are equal to the id that the input has at the same step"
            fix = "targets one step ahead: inputs x[:, :-1] with targets x[:, 1:] for the next id"
            sliced = _sliced(seen.ids, late=True) or _sliced(pair.target)
            yield sees_its_target.finding(title, measured, fix, sliced.where if sliced is not None else pair.where)
        elif (layer := leak_of(losses, pair, seen, lab)) is not None:
            title = f"{layer.called} reads backward: the prediction at a step has read the next id, which is its target"
            measured = f"all {seen.count} targets are the next id of the input, and each step has read from the end"
            causal = layer.constructor(bidirectional=False)
            fix = f"probably a causal model: {causal}, with a head of {layer.H} features"
            yield sees_its_target.finding(title, measured, fix, layer)


def _sliced(value: Value, *, late: bool = False) -> Call | None:
    """The slice that a value was cut out by, with `late` only one that does not begin at the first step."""
    for _, maker in value.way_back():
        if maker.name not in MOVES:
            return None
        index = maker.args[1] if maker.name == "__getitem__" else ()
        every = index if isinstance(index, tuple) else (index,)
        cuts = [i for i in every if isinstance(i, slice) and i != slice(None)]
        if cuts and (not late or any(isinstance(i.start, int) and i.start > 0 for i in cuts)):
            return maker
    return None
