"""The rules on losses: what is compared with what, over which axis classes are counted, and what training reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_shapes.lab._words import argument_text, call_text, named, result_names
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, layer_calls
from lstm_shapes.lab.trace._families import MOVES, names_in

from ._blame import ALONG, blame_of, merging, with_dim
from ._experiments import Experiments
from ._fixes import Fix, best, samples_hold
from ._losses import CLASSES, DIFFERENCES, ELEMENTWISE, Losses, Pair, Places, losses_in, losses_of, pairs_of
from ._samples import samples_of
from ._targets import leak_of, sees_of
from .report import Finding
from .rule import RULES, also, rule

__all__ = ["seen_losses"]

_SOFTMAX = names_in("softmax log_softmax softmin gumbel_softmax")
_NORMS = names_in("normalize layer_norm rms_norm")
_LINEAR = names_in("linear matmul __matmul__")
_LOGS = names_in("log_softmax")
_LOOKED_THROUGH = MOVES | names_in("contiguous clone float")
_DRAWS = names_in("rand randn rand_like randn_like normal normal_ uniform_ bernoulli bernoulli_")
_KEEPS_DRAWN = MOVES | names_in("to cuda cpu float double contiguous clone detach mul __mul__ __rmul__ div")


def seen_losses(trace: Trace) -> list[Finding]:
    """What a recorded run shows of its losses without an experiment."""
    losses = losses_in(trace)
    rules = (broadcast_loss.find, dead_axis.find, sees_its_target.find, layouts, cut_from_loss, drawn_state)
    return [finding for find in rules for finding in find(losses, None)]


# ---------------------------------------------------------------------- broadcast
@rule("LS212", "broadcast-loss", losses_of)
def broadcast_loss(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Output and target broadcast against each other silently.

    (N, 1) against (N,) is a difference of (N, N): every output is compared with every target, and what is learned is
    the mean of the targets. torch warns at most.

    Wrong::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 1)
        model = lambda x, y: F.mse_loss(head(rnn(x)[0][:, -1]), y)
        inputs = (torch.randn(4, 7, 5), torch.randn(4))

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 1)
        model = lambda x, y: F.mse_loss(head(rnn(x)[0][:, -1]).squeeze(-1), y)
        inputs = (torch.randn(4, 7, 5), torch.randn(4))
    """
    for pair in losses.pairs:
        sides = _sides(losses, pair)
        if sides is None:
            continue
        p, t = sides
        both = _together(p, t)
        pairs, meant = torch.Size(both).numel(), max(p.tensor.numel(), t.tensor.numel())
        name = "the difference" if pair.name in DIFFERENCES else pair.name
        title, where = f"{name} broadcasts output {p.shape} against target {t.shape}", pair.where
        counted = f"{pairs} pairs are compared where {t.tensor.numel()} were meant"
        measured = f"{p.shape} and {t.shape} become {both}: {counted}"
        measured += ", every output with every target" if pairs > meant else ""
        fix = _one_shape(pair, p, t)
        if pairs == meant == 1:
            squeezed = _squeezed_batch(losses.trace, p)
            if squeezed is None:
                continue
            title = f"the output {p.shape} has lost an axis that the target {t.shape} has, here the batch of one"
            measured = "with one sample the two still broadcast; squeeze takes every axis of size one, the batch's too"
            fix = "squeeze(-1) for the axis that is meant, or no squeeze at all, so that the batch axis stays"
            where = squeezed.where
        yield broadcast_loss.finding(title, measured, fix, where, level="error" if pairs > meant else "warning")


def _sides(losses: Losses, pair: Pair) -> tuple[Value, Value] | None:
    """Output and target of a comparison that broadcasts without being meant to."""
    p, t = pair.output, pair.target
    if p.shape == t.shape or (pair.call is not None and not pair.call.outputs):
        return None
    together = _together(p, t)
    if not together and p.shape + t.shape:
        return None
    pairs = torch.Size(together).numel()
    grows = pairs > max(p.tensor.numel(), t.tensor.numel())
    if pair.name in DIFFERENCES:
        short, long = sorted((p, t), key=lambda v: len(v.shape))
        if not grows or long.shape != (*short.shape, 1):
            return None
        made = [_by_weights(losses.trace, v) for v in (p, t)]
        return None if made[0] == made[1] else (p, t) if made[0] else (t, p)
    if pair.name not in ELEMENTWISE and (pair.call is not None or not t.tensor.is_floating_point()):
        return None
    if pairs > 1 and not grows and (t.tensor.numel() == 1 or _constant(t)):
        return None
    return p, t


def _together(p: Value, t: Value) -> tuple[int, ...]:
    """The shape to which two broadcast, () where they do not."""
    try:
        return tuple(torch.broadcast_shapes(p.shape, t.shape))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return ()


def _by_weights(trace: Trace, value: Value) -> bool:
    """Whether a weight had a part in a value."""
    return any(trace.values[index].parameter for index in trace.ancestors(value))


def _constant(value: Value) -> bool:
    elements = value.elements
    return elements is None or elements.is_meta or bool((elements == elements.flatten()[0]).all())


def _squeezed_batch(trace: Trace, value: Value) -> Call | None:
    """The squeeze on the way to a value that takes away an axis that it names wrongly or not at all."""
    way = trace.ancestors(value)
    for call in reversed(trace.calls):
        if call.name == "squeeze" and call.outputs and call.outputs[0].index in way:
            dim = call.argument(1, "dim")
            if len(call.outputs[0].shape) < len(call.inputs[0].shape) and dim in (None, 0):
                return call
    return None


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
    output, target = _spoken(pair, p), _spoken(pair, t, "target")
    for value, other, text in ((p, t, output), (t, p, target)):
        last = len(value.shape) - 1
        for axis in reversed(range(last + 1)):
            if value.shape[axis] == 1 and (*value.shape[:axis], *value.shape[axis + 1 :]) == other.shape:
                changed = value.tensor.detach().squeeze(axis)
                if _runs(pair, *(changed if one is value else one.tensor for one in (p, t))):
                    fix = f"{text}.squeeze({-1 if axis == last else axis}), which is {tuple(changed.shape)}"
                    return f"{fix}: one target for each prediction"
    if p.tensor.numel() == t.tensor.numel() and _runs(pair, p.tensor, t.tensor.detach().reshape(p.shape)):
        return f"{target}.reshape({', '.join(map(str, p.shape))}): one target for each prediction"
    return "probably one prediction for each target: bring both to one shape before they are compared"


def _runs(pair: Pair, p: Tensor, t: Tensor) -> bool:
    """Whether the comparison, element by element, gives one number for each prediction."""
    function = getattr(F, pair.name, None)
    p, t = p.detach(), t.detach().to(p.dtype)
    try:
        made = p - t if function is None else function(p, t, reduction="none")
    except RuntimeError:
        return False
    return made.shape == p.shape == t.shape


# ---------------------------------------------------------------------- axes of size one, classes on another axis
@rule("LS216", "dead-axis", losses_of)
def dead_axis(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Softmax, a norm or a loss runs over an axis of size one, or over time where the classes are meant.

    Over an axis of size one a softmax gives 1.0 whatever it reads, so that attention weights weigh nothing. In
    cross_entropy and nll_loss axis 1 holds the classes: (N, C, L) with targets (N, L). With L == C nothing raises where
    they lie on the last axis.

    Wrong::

        rnn, score, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 1), nn.Linear(8, 3)
        def model(x):
            y, _ = rnn(x)
            return head((torch.softmax(score(y), dim=-1) * y).sum(1))
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, score, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 1), nn.Linear(8, 3)
        def model(x):
            y, _ = rnn(x)
            return head((torch.softmax(score(y), dim=1) * y).sum(1))
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _size_one(losses, lab)
    yield from _classes_elsewhere(losses)
    yield from _sums_elsewhere(losses, lab)


def _size_one(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    said: set[object] = set()
    results = [value for _, value in losses.trace.results]
    for call in losses.trace.calls:
        axis = _dead(call)
        if axis is None or call.line in said:
            continue
        said.add(call.line)
        value = call.inputs[0]
        of_weight = _made_by_weight(value, axis)
        grows = _grows_with(lab, call, axis) if lab is not None and (not of_weight or lab.N == 1) else "steps"
        if not of_weight and grows == "steps":
            continue
        fix = "a head with one output for each class"
        if call.name in CLASSES:
            title = f"{call.name} counts classes on an axis of size one: the loss is always 0.0"
            fix = f"F.binary_cross_entropy_with_logits with float targets, or {fix}"
        else:
            what = {"normalize": "1.0 or -1.0", "layer_norm": "its bias", "rms_norm": "1.0 or -1.0"}.get(call.name)
            always = f"what comes out is {what}, whatever it reads" if what else "its weights are always 1.0"
            title = f"{call.name} runs over an axis of size one: {always}"
            last = value in results or call.outputs[0] in results
            fix = f"torch.sigmoid for one output, or {fix}" if last else _along_steps(losses, lab, call, value)
        made = " that nn.Linear(…, 1) made" if of_weight else ", the batch" if grows == "batch" else ""
        measured = f"axis {axis} of {value.shape}{made} has one element, and all of {call.outputs[0].shape} is equal"
        yield dead_axis.finding(title, measured, fix, call.where, level="warning")


def _dead(call: Call) -> int | None:
    """The axis of size one over which a softmax, a norm or a loss runs, with other axes beside it."""
    if not call.inputs or not call.outputs or call.error is not None or not call.inputs[0].shape:
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


def _made_by_weight(value: Value, axis: int) -> bool:
    """Whether an axis of size one is the only feature of a head."""
    for after, call in value.way_back():
        if not call.inputs or axis != len(after.shape) - 1:
            return False
        if call.name in _LINEAR and (call.name == "linear" or call.inputs[1].parameter):
            return True
        source = next((v for v in call.inputs if not v.parameter), call.inputs[0])
        views = call.name in ("view", "reshape") and len(source.shape) > 1 and source.shape[-1] == 1
        if source.shape != after.shape and not views:
            return False
        axis = len(source.shape) - 1
    return False


def _grows_with(lab: Experiments, call: Call, axis: int) -> str:
    """What an axis of size one grows with: the batch, the steps, or nothing; steps where that cannot be told."""
    if lab.batch_dim is None:
        return "steps"
    for word, rows, steps in (("batch", 1, 0), ("steps", 0, 1))[0 if lab.N == 1 else 1 :]:
        trace = lab.record(lab.inputs.wider(rows, steps))
        same = [c for c in trace.calls if c.name == call.name and c.line == call.line and c.inputs]
        if trace.error is not None or not same:
            return "steps"
        if len(same[0].inputs[0].shape) > axis and same[0].inputs[0].shape[axis] > 1:
            return word
    return "nothing"


def _along_steps(losses: Losses, lab: Experiments | None, call: Call, value: Value) -> str:
    """The same call along the steps."""
    if call.name not in _SOFTMAX:
        return "probably another axis, or more than one feature"
    places, fixes = losses.places(value), list[Fix]()
    for axis in (k for k, size in enumerate(value.shape) if size > 1):
        if places is not None and len(places.varying(axis)) == 2:
            fixes += _unmerged(losses, call, value, places, axis)
        elif losses.meaning(value, axis) != "N":
            fix = with_dim(call, axis)
            dim = "" if "dim" in fix.text else f" (dim={axis})"
            fixes.append(Fix(f"{fix.text}{dim}: the steps, axis {axis}", fix.edits))
    if not fixes:
        return "probably the axis that holds the steps"
    return best(lab, fixes, _over_steps) if lab is not None else fixes[0].text


def _over_steps(lab: Experiments, fix: Fix) -> bool:
    """Whether samples stay apart; with one sample alone there is nothing to keep apart."""
    if lab.N > 1:
        return samples_hold(lab, fix)
    return lab.plain(lab.inputs.same(), fix.edits, fix.patch).error is None


def _unmerged(losses: Losses, call: Call, value: Value, places: Places, axis: int) -> Iterator[Fix]:
    """An axis that holds batch and steps taken apart, softmax along the steps, and merged again."""
    index = {k: t for k, t in enumerate(places.at) if t is not None and k in places.varying(axis)}
    steps = next((k for k in index if losses.origins.read_as.get((places.source.index, k)) == {"L"}), None)
    if steps is None or axis or len(value.shape) != 2:
        return
    other = next(k for k in index if k != steps)
    first = index[other].select(1, 0)[:2]
    L, N = places.source.shape[steps], places.source.shape[other]
    outer = bool(first[0] != first[1])  # the batch changes from row to row: the steps are the outer axis
    shape, dim, words = ((L, N), 0, "(L, N, 1)") if outer else ((N, L), 1, "(N, L, 1)")
    grid = f"{argument_text(call, 0) or 'scores'}.view({shape[0]}, {shape[1]}, 1)"

    def edit(func: Any) -> Any:
        return lambda x, *_, **__: torch.softmax(x.view(*shape, 1), dim=dim).view(L * N, 1)

    yield Fix(f"torch.softmax({grid}, dim={dim}).view({L * N}, 1): over the steps of {words}", {call.index: edit})


def _classes_elsewhere(losses: Losses) -> Iterator[Finding]:
    """cross_entropy whose axis 1 holds places and whose last axis holds the features of the head."""
    for pair in losses.pairs:
        p, t = pair.output, pair.target
        whole = pair.call is None and not t.tensor.is_floating_point()
        if len(p.shape) < 3 or not (pair.name in CLASSES or whole) or (pair.call is not None and not pair.call.outputs):
            continue
        if t.shape not in (p.shape, (p.shape[0], *p.shape[2:])):
            continue
        places = losses.places(p)
        last = len(p.shape) - 1
        if places is None or places.features_on() != [last] or not places.varying(1):
            continue
        axis, name = (
            "the batch" if losses.meaning(p, 1) == "N" else "the steps",
            "cross_entropy" if whole else pair.name,
        )
        output, width = _spoken(pair, p), p.shape[1]
        title = f"{name} takes axis 1 for the classes, and here it holds {axis}: the classes are on axis {last}"
        measured = f"{output} is {named(p, {0: 'N', 1: 'L', last: 'C'}) if last == 2 else p.shape}; {name} wants "
        measured += f"(N, C, …) with targets (N, …), and nothing raises because both axes have {width}"
        change = f"{output}{'.transpose(1, 2)' if last == 2 else f'.movedim({last}, 1)'}"
        fix = f"{change}, or merge the steps: reshape(-1, {p.shape[last]}) with targets.reshape(-1)"
        if t.shape == p.shape:
            fix = f"{change}, and the targets too, or merge the steps: reshape(-1, {p.shape[last]}) on both sides"
        yield dead_axis.finding(title, measured, fix, pair.where)


def _sums_elsewhere(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Log-probabilities that add up to one along another axis than the classes that a loss, or who called, wants."""
    for pair in pairs_of(losses, frozenset(("ctc_loss", "nll_loss"))):
        value, axis = pair.output, 2 if pair.name == "ctc_loss" else 1
        made, elements = value.made_by(_LOGS, _LOOKED_THROUGH), value.elements
        if made is None or elements is None or elements.is_meta or len(value.shape) <= axis:
            continue
        one = [k for k in range(len(value.shape)) if value.shape[k] > 1 and _adds_up(elements, k)]
        # Behind a view the axis that it ran over may be gone: then the features say that it was another one.
        over, features = _ran_over(losses, made)
        merged = over is not None and bool(features) and over not in features
        if axis not in one and (one or merged):
            wants = f"{pair.name} wants log-probabilities of the {value.shape[axis]} classes"
            yield _over_other_axis(losses, made, wants)
    results = [value for _, value in losses.trace.results]
    made = results[0].made_by(_LOGS, _LOOKED_THROUGH) if lab is not None and len(results) == 1 else None
    dim = made.argument(1, "dim") if made is not None else None
    if made is None or not isinstance(dim, int):
        return
    value, read = made.inputs[0], [call.name for call in made.outputs[0].readers if call.index > made.index]
    places, last = losses.places(value), len(value.shape) - 1
    if places is None or places.features_on() != [last] or any(name not in MOVES for name in read):
        return
    if dim % len(value.shape) != last and losses.meaning(value, dim % len(value.shape)) == "L":
        yield _over_other_axis(losses, made, "the result is not weighted with anything")


def _ran_over(losses: Losses, made: Call) -> tuple[int | None, list[int]]:
    """The axis that a softmax ran over, None where it is not said, and the axes on which the features lie."""
    source, dim = made.inputs[0], made.argument(1, "dim")
    places = losses.places(source)
    return dim % len(source.shape) if isinstance(dim, int) else None, [] if places is None else places.features_on()


def _adds_up(logs: Tensor, axis: int) -> bool:
    sums = logs.detach().float().exp().sum(axis)
    return bool(((sums - 1).abs() < 1e-3).all())


def _over_other_axis(losses: Losses, made: Call, wants: str) -> Finding:
    value, dim = made.inputs[0], made.argument(1, "dim")
    over, features = _ran_over(losses, made)
    axis = over or 0
    word = {"L": "the steps", "N": "the batch"}.get(losses.meaning(value, axis), f"axis {axis}")
    classes = -1 if not features or features[0] == len(value.shape) - 1 else features[0]
    title = f"{made.name}(dim={dim}) runs over {word} where the classes are meant"
    measured = f"over axis {axis} of {value.shape} the probabilities sum to 1, over the classes they do not; {wants}"
    fixed = torch.log_softmax(value.tensor.detach(), classes)
    fix = f"{call_text(made, dim=classes)}: dim={classes}, the classes"
    tried = fixed.is_meta or _adds_up(fixed, classes)
    return dead_axis.finding(title, measured, fix if tried else f"probably {fix}", made.where)


# ---------------------------------------------------------------------- findings that belong to rules of other files
@also(losses_of)
def layouts(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """Predictions and targets flattened in different orders; log-probabilities whose first axis is the batch in CTC."""
    blame = lab.ask(blame_of) if lab is not None else None
    for pair in losses.pairs:
        if pair.call is not None and not pair.call.outputs:
            continue
        if pair.name == "ctc_loss":
            yield from _ctc(losses, pair, lab)
        elif (cut := _cut_before(losses, pair)) is not None:
            name = argument_text(cut, 0) or "x"
            title = f"{cut.name} cuts across batch and steps: predictions stand beside targets of other steps"
            shapes = f"{cut.inputs[0].shape} as {cut.outputs[0].shape}"
            measured = f"{shapes} exchanges no axes: it cuts the same memory anew"
            fix = f"probably {name}.transpose(0, 1) in the place of the {cut.name}"
            yield RULES["LS202"].finding(title, measured, fix, cut.where)
        elif (blame is None or blame.kind != "flattened") and (found := _two_orders(losses, pair)) is not None:
            name = "cross_entropy" if pair.call is None else pair.name
            title = f"{name} compares predictions and targets that were flattened in different orders"
            yield RULES["LS214"].finding(title, *found, pair.where)


def _two_orders(losses: Losses, pair: Pair) -> tuple[str, str] | None:
    """Rows and targets whose batch and steps were merged the other way round: what is measured, and the fix."""
    if pair.name not in CLASSES | ELEMENTWISE and pair.call is not None:
        return None
    p, t = losses.places(pair.output), losses.places(_grid(pair.target) if pair.call is None else pair.target)
    if p is None or t is None:
        return None
    rows, targets = _order(p), _order(t)
    if rows is None or targets is None or sorted(rows) != sorted(targets) or rows == targets or rows[0] == rows[1]:
        return None
    C, alike = pair.output.shape[-1] if p.features_on() else 1, "so that both are flattened in one order"
    measured = (
        f"from row to row the predictions go on along an axis of {rows[1]}, the targets along one of {targets[1]}"
    )
    for value, other, word in ((pair.output, targets, "logits"), (pair.target, rows, "target")):
        view = merging(value)
        before = losses.places(view.inputs[0]) if view is not None else None
        if view is None or before is None:
            continue
        shape = view.outputs[0].shape
        if _order(before.mapped(lambda x, s=shape: x.transpose(0, 1).reshape(s))) == other:  # type: ignore[misc]
            name = argument_text(view, 0)
            name = name if name.isidentifier() or name.endswith(")") else word
            return measured, f"{name}.transpose(0, 1).reshape({', '.join(map(str, (-1, *shape[1:])))}), {alike}"
    return measured, f"probably output.transpose(0, 1).reshape(-1, {C}), {alike}"


def _cut_before(losses: Losses, pair: Pair) -> Call | None:
    """The view that scrambled batch and steps of predictions whose targets lie in a grid."""
    places = losses.places(pair.output) if pair.name in CLASSES | ELEMENTWISE else None
    target = losses.places(pair.target) if len(pair.target.shape) > 1 else None
    if places is None or target is None or any(target.cut_on(axis) for axis in range(len(pair.target.shape))):
        return None
    for value, call in pair.output.way_back():
        before = losses.places(call.inputs[0]) if call.inputs else None
        if before is None or not any(places.cut_on(axis) for axis in range(len(value.shape))):
            return None
        if not any(before.cut_on(axis) for axis in range(len(call.inputs[0].shape))):
            return call if call.name in ("view", "reshape") else None
        places = before
    return None


def _order(places: Places) -> tuple[int, int] | None:
    """How a grid of two axes was flattened: how many indices the outer one has, and the inner one."""
    found = []
    for t in places.at:
        if t is None or not t.numel():
            continue
        for axis in reversed(places.features_on()):
            t = t.select(axis, 0)
        t = t.flatten()
        count = int(torch.unique(t).numel())
        if count > 1 and not bool((t < 0).any()):
            found.append((t, count))
    if len(found) != 2 or found[0][0].numel() != found[0][1] * found[1][1]:
        return None
    inner = [k for k, (t, _) in enumerate(found) if t[0] != t[1]]
    if len(inner) != 1:
        return None
    return found[1 - inner[0]][1], found[inner[0]][1]


def _grid(target: Value) -> Value:
    """A target as it was before it was flattened, where its memory still tells that."""
    base = target.tensor._base
    if len(target.shape) == 1 and base is not None and base.dim() == 2 and base.numel() == target.tensor.numel():
        return Value(-2, base, None, 0, 0, "target", shape=tuple(base.shape))
    return target


def _ctc(losses: Losses, pair: Pair, lab: Experiments | None) -> Iterator[Finding]:
    """CTC that runs on (N, T, C), because as many lengths were given as there are steps."""
    p = pair.output
    if pair.call is None or not losses.batch_first(pair.call):
        return
    samples = lab.ask(samples_of) if lab is not None else None
    if samples is not None and samples.kind == "mixed" and samples.culprit is not pair.call:
        return  # a layer took the batch for time: then its names of the axes are the wrong ones
    (N, T, C), output = p.shape, _spoken(pair, p)
    title = f"ctc_loss gets (N, T, C) = {p.shape}: it wants the steps first, (T, N, C)"
    measured = (
        f"the layers read axis 0 of {output} as the batch and axis 1 as time; ctc_loss takes it for {N} steps of "
    )
    measured += f"{T} samples, whatever batch_first is"
    fix = f"{output}.transpose(0, 1), which is ({T}, {N}, {C}), with {N} input lengths and {N} targets"
    yield RULES["LS201"].finding(title, measured, fix, pair.call.where)


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
    layers = lab.layers if lab is not None else layer_calls(trace, {})
    by_module: dict[int, list[LayerCall]] = {}
    for layer in layers:
        if layer.module is not None and layer.module.training and any(v.tensor.requires_grad for v in layer.weights):
            by_module.setdefault(id(layer.module), []).append(layer)
    for calls in by_module.values():
        on_way = [layer for layer in calls if any(v.index in way for v in layer.call.outputs)]
        if not on_way or any(v.index in trained for layer in calls for v in layer.call.outputs):
            continue
        layer = on_way[0]
        cut, behind = _cut(trace, layer, way)
        heads = [call for call in trace.calls if call.name in _LINEAR and any(v.index in behind for v in call.inputs)]
        if not any(v.tensor.requires_grad for call in heads for v in call.outputs):
            continue  # nothing behind it learns either: a target or a teacher, on purpose
        what = "no_grad" if cut is layer.call else cut.name
        title = f"{layer.called} is cut from the loss by {what}: its weights get no gradient and learn nothing"
        weights = f"{len(layer.weights)} weights of {layer.called}"
        measured = f"{weights} want a gradient, and no path with one leads to the loss"
        fix = f"probably without {what} here; where the layer is frozen on purpose, requires_grad_(False) says so"
        yield RULES["LS213"].finding(title, measured, fix, cut.where, level="warning", layer=layer.name)


def _cut(trace: Trace, layer: LayerCall, way: set[int]) -> tuple[Call, set[int]]:
    """The first call on the way from a layer to a loss that drops the gradient, and the values behind it."""
    held = {v.index for v in layer.call.outputs}
    behind = {v.index for v in layer.call.outputs if not v.tensor.requires_grad}
    cut = layer.call if behind else None
    for call in trace.calls[trace.calls.index(layer.call) + 1 :]:
        given = [v for v in call.inputs if v.index in held]
        made = [v for v in call.outputs if v.index in way]
        if not given or not made:
            continue
        held.update(v.index for v in made)
        dropped = any(v.tensor.requires_grad for v in given) and not any(v.tensor.requires_grad for v in made)
        if dropped or any(v.index in behind for v in given):
            behind.update(v.index for v in made)
            cut = cut or call
    return cut or layer.call, behind


@also(losses_of)
def drawn_state(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """A first state that is drawn at random in each call: the same inputs give other results each time."""
    said: set[object] = set()
    for layer in lab.layers if lab is not None else layer_calls(losses.trace, {}):
        draw = next((d for v in layer.states.values() if (d := v.made_by(_DRAWS, _KEEPS_DRAWN)) is not None), None)
        if draw is None or draw.line in said:
            continue
        said.add(draw.line)
        title = f"{layer.called} starts from a state that is drawn at random in each call"
        measured = f"h0 is made by {draw.name}; the same input gives another result each time, also in eval mode"
        fix = "zeros, which is what the layer takes without a state; or a parameter, if the start is to be learned"
        yield RULES["LS211"].finding(title, measured, fix, draw.where, level="note", layer=layer.name)


# ---------------------------------------------------------------------- targets that can be read
@rule("LS217", "sees-its-target", losses_of)
def sees_its_target(losses: Losses, lab: Experiments | None) -> Iterator[Finding]:
    """A prediction can read the id that it is to predict.

    A language model predicts the next id: inputs x[:, :-1], targets x[:, 1:]. Where the target is the input's id of the
    same step, or a layer reads backward, the answer stands in the input; the loss falls fast, and nothing is learned.

    Wrong::

        emb, rnn, head = nn.Embedding(20, 8), nn.LSTM(8, 12, batch_first=True, bidirectional=True), nn.Linear(24, 20)
        model = lambda x: F.cross_entropy(head(rnn(emb(x[:, :-1]))[0]).transpose(1, 2), x[:, 1:])
        inputs = (torch.randint(20, (4, 10)),)

    Right::

        emb, rnn, head = nn.Embedding(20, 8), nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 20)
        model = lambda x: F.cross_entropy(head(rnn(emb(x[:, :-1]))[0]).transpose(1, 2), x[:, 1:])
        inputs = (torch.randint(20, (4, 10)),)
    """
    names = CLASSES | {"gather", "take_along_dim"}
    for pair in (*pairs_of(losses, names), *(p for p in losses.pairs if p.call is None)):
        seen = sees_of(losses, pair)
        if seen is None:
            continue
        if seen.shift == 0:
            title = "the targets are the inputs' own ids at the same step: the model has only to copy them"
            measured = f"all {seen.count} targets are equal to the id that the input has at the same step"
            fix = "targets one step ahead: inputs x[:, :-1] with targets x[:, 1:] for the next id"
            sliced = _sliced(seen.source, late=True) or _sliced(pair.target)
            yield sees_its_target.finding(title, measured, fix, sliced.where if sliced is not None else pair.where)
            continue
        leak = leak_of(losses, pair, seen, lab)
        if leak is None:
            continue
        layer = leak.layer
        who = f"{layer.called} reads backward" if layer is not None else "something on the way reads later steps"
        title = f"{who}: the prediction at a step has read the next id, which is its target"
        measured = f"all {seen.count} targets are the next id of the input; {leak.measured}"
        fix = "probably a causal mask, so that a step reads only steps before it"
        if layer is not None:
            causal = layer.constructor(bidirectional=False)
            fix = f"probably a causal model: {causal}, with a head of {layer.H} features"
        where, name = leak.where or pair.where, layer.name if layer is not None else ""
        yield sees_its_target.finding(title, measured, fix, where, layer=name)


def _sliced(value: Value, *, late: bool = False) -> Call | None:
    """The slice that a value was cut out by, with `late` only one that does not begin at the first step."""
    for _, maker in value.way_back():
        if maker.name not in MOVES:
            return None
        index = maker.args[1] if maker.name == "__getitem__" else ()
        parts = index if isinstance(index, tuple) else (index,)
        cuts = [i for i in parts if isinstance(i, slice) and i != slice(None)]
        if cuts and (not late or any(isinstance(i.start, int) and i.start > 0 for i in cuts)):
            return maker
    return None
