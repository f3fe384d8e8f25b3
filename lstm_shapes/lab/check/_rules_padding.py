"""Padding: the batch is cut to the length of its shortest sample, and that sample compared with its row before; lengths
that lose data. No padding value is invented, so a model that masks by token keeps its contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from lstm_shapes.lab._words import call_text, layer_names, value_name
from lstm_shapes.lab.trace import Call, Value

from ._experiments import Experiments
from ._inputs import Given, Slot, steps_up_to_last, whole_numbers
from ._samples import NO_REPEAT, earliest, other_rows, repeats, samples_of, tracks_of
from .report import Finding, rule


@dataclass(eq=False, slots=True)
class Lengths:
    """Steps of each sample, and where the numbers come from."""

    steps: list[int]
    source: str
    slot: Slot
    axis: int  # the time axis of the slot


@dataclass(eq=False, slots=True)
class Padding:
    """What the experiment showed. `culprit`: the first call at which a real position of the sample differs."""

    kind: Literal["untested", "unread", "read"]
    why: str = ""
    sample: int = 0
    length: int = 0
    culprit: Call | None = None
    values: set[int] = field(default_factory=set)
    lets: str = ""  # of what is untested: what would let it


def lengths_of(lab: Experiments) -> Lengths | str:
    """The length of each sample: given, shown by a packing call, or read from padding_idx; else why it is not known."""
    if lab.batch_dim is None:
        return "batch_dim=None: the input has no batch axis"
    given = lab.inputs.lengths
    if given is not None and len(given) != lab.N:
        return f"lengths holds {len(given)} numbers and the batch N = {lab.N} samples"
    if given is not None:
        found = _timed(lab, max(given))
        missing = "no input has a time axis as long as lengths say"
        return Lengths(given, "lengths", *found) if found is not None else missing
    packed = [call for call in lab.baseline.calls if call.name == "_pack_padded_sequence"]
    for call in packed:
        steps = whole_numbers(call.inputs[1].elements) if len(call.inputs) > 1 else None
        if steps is None or len(steps) != lab.N:
            continue
        for slot in lab.inputs.slots:
            mine = whole_numbers(slot.value)
            if mine is not None and sorted(mine) == sorted(steps) and (found := _timed(lab, max(mine), call.inputs[0])):
                return Lengths(mine, "the lengths that are packed with", *found)
        counted = _counted(lab, lab.inputs.pads)
        if counted is not None and sorted(counted.steps) == sorted(steps):
            return counted
    counted = _counted(lab, lab.inputs.padding_ids)
    if counted is not None:
        return counted
    if _counted(lab, {0}) is not None:
        return "rows end in zeros; pass lengths= to test padding"
    return "no lengths given"


def _timed(lab: Experiments, longest: int, packed: Value | None = None) -> tuple[Slot, int] | None:
    """The first input with a batch axis and a time axis that is long enough; of what is packed one that it is made of,
    if there is one."""
    way = set[int]() if packed is None else lab.baseline.ancestors(packed)
    packs = {value.origin for value in lab.baseline.inputs if value.index in way}
    for slot in sorted(lab.inputs.slots, key=lambda slot: f"input {slot.index}" not in packs):
        if isinstance(slot.value, Tensor) and slot.batch is not None and whole_numbers(slot.value) is None:
            shape = slot.tensor.shape
            axes = [axis for axis, size in enumerate(shape) if axis != slot.batch and size >= longest]
            axes.sort(key=lambda axis: (axis != slot.time, shape[axis] != longest))
            if axes:
                return slot, axes[0]
    return None


def _counted(lab: Experiments, pads: set[int]) -> Lengths | None:
    """Lengths counted in the tokens: what ends in one of these ids is padding there."""
    for slot in lab.inputs.slots:
        value = slot.value
        tokens = isinstance(value, Tensor) and value.dim() == 2 and not value.is_floating_point()
        if not tokens or slot.fixed or slot.batch is None:
            continue
        for pad in pads:
            real = value.transpose(0, slot.batch) != pad
            steps = steps_up_to_last(real)
            if steps and max(steps) > 0 and min(steps) < real.size(1):
                return Lengths(steps, f"padding id {pad}", slot, 1 - slot.batch)
    return None


def in_front(rows: Tensor, steps: list[int]) -> bool:
    """Whether what is no real step of (N, L, …) stands before the real ones: one value, found nowhere else."""
    if rows.dim() < 2 or rows.size(0) != len(steps) or max(steps, default=0) > rows.size(1):
        return False
    flat = rows.flatten(2) if rows.dim() > 2 else rows.unsqueeze(-1)
    pads = [flat[k, : flat.size(1) - n] for k, n in enumerate(steps) if 0 < n < flat.size(1)]
    if sum(map(len, pads)) < 2:
        return False
    padding = pads[0][0]
    real = [flat[k, flat.size(1) - n :] for k, n in enumerate(steps) if n]
    return all(bool((p == padding).all()) for p in pads) and all(bool((r != padding).any(-1).all()) for r in real)


def padding_of(lab: Experiments) -> Padding:
    """Does a row depend on how much padding stands behind it?"""
    lengths = lab.ask(lengths_of)
    if isinstance(lengths, str):
        padded = False  # whether zeros end rows of tokens, more than one, and stand nowhere else
        if (counted := _counted(lab, {0})) is not None:
            rows = counted.slot.tensor.movedim(counted.slot.batch or 0, 0)
            padded = 2 < int((rows == 0).sum()) == sum(rows.size(1) - n for n in counted.steps)
        return Padding("untested", lengths, lets="lengths=, the steps of each row" if padded else "")
    if lab.ask(samples_of).kind in ("mixed", "dropped", "permuted"):
        return Padding("untested", "samples influence each other already")
    if any(slot.uneven for slot in lab.inputs.slots):
        return Padding("untested", "an input holds several rows of each sample, in an order that is not known")
    if lab.ask(packing_of) is not None:
        return Padding("untested", "the lengths that are packed with are wrong already")
    if in_front(lengths.slot.tensor.movedim((lengths.slot.batch or 0, lengths.axis), (0, 1)), lengths.steps):
        return Padding("untested", "rows are padded in front")
    steps = [n for n in lengths.steps if n > 0]
    full = lengths.slot.tensor.size(lengths.axis)
    if not steps or min(steps) >= full:
        return Padding("untested", "no row is padded")
    results = {value.index for _, value in lab.results}
    # Rows that the program sorts by length itself may stand elsewhere where all lengths are equal.
    sorts = any(call.name in ("sort", "argsort", "topk") for call in lab.baseline.calls)
    for length in sorted(set(steps))[:2]:  # the shortest row, and the next longer one
        if length >= full:
            break
        sample = lengths.steps.index(length)
        places = {sample: range(lab.N) if sorts else [sample]}
        lab.says(f"the batch cut to {length} steps")
        quick = other_rows(lab, _cut(lab, lengths, length), lab.ask(samples_of), results, places, lab.N, cut=True)
        why = "the result has no axis of N on which rows could be compared" if results <= quick.missing else ""
        if quick.error is not None:
            said = [*str(quick.error).strip().splitlines(), ""][0][:120]
            why = f"the batch cut to {length} steps raises {type(quick.error).__name__}: {said}"
        if why:
            return Padding("untested", why, lets="a program that takes a batch of fewer steps, cut to its shortest row")
        if (bad := quick.differing) and not lab.ask(repeats):
            return Padding("untested", NO_REPEAT[0], lets=NO_REPEAT[1])
        if bad:
            result = next(value for _, value in lab.results if value.index in bad)
            given = _cut(lab, lengths, length)
            everywhere = other_rows(lab, given, lab.ask(tracks_of), None, places, lab.N, cut=True)
            bad |= everywhere.differing if everywhere.error is None else set()
            return Padding("read", "", sample, length, earliest(lab, bad, result) or result.maker, bad)
    return Padding("unread", sample=lengths.steps.index(min(steps)), length=min(steps))


@dataclass(frozen=True, slots=True)
class Packing:
    """A packing call whose lengths are not those of its rows, and what is said of it."""

    call: Call
    title: str
    measured: str
    fix: str
    crossed: bool = False  # the lengths are those of other rows


def packing_of(lab: Experiments) -> Packing | None:
    """The first packing call that loses real steps, or packs rows with the lengths of others."""
    calls = lab.baseline.calls if lab.baseline.error is None and lab.batch_dim is not None else ()
    for call in calls:
        packed = whole_numbers(call.inputs[1].elements) if call.name == "_pack_padded_sequence" else None
        if packed is None or len(packed) != lab.N:
            continue
        data, given = call.inputs[0], f"packed with lengths {packed}"
        rows = data.elements
        if rows is not None and in_front(rows if call.args[2] else rows.transpose(0, 1), packed):
            return Packing(
                call,
                "rows are padded in front, and packing takes the first steps of each: padding instead of real steps",
                f"{given}; the steps before the last ones of each row hold one value",
                "padding behind the real steps (pad_sequence does so); or no packing, and the last step",
            )
        lengths, samples = lab.ask(lengths_of), lab.ask(samples_of)
        steps = [] if isinstance(lengths, str) else lengths.steps
        places = samples.row(data).places() or {}
        for sample, at in places.items() if sorted(steps) == sorted(packed) else ():
            if packed[at] != steps[sample]:
                return Packing(
                    call,
                    "rows are packed with the lengths of other rows",
                    f"sample {sample} has {steps[sample]} real steps and is packed with {packed[at]}",
                    "the lengths in the order of the rows, lengths[order] where the rows are x[order]",
                    crossed=True,
                )
        real, source = _real_steps(lab, call, packed)
        pairs = list(zip(sorted(packed), sorted(real), strict=False))
        if all(a <= b for a, b in pairs) and any(a < b for a, b in pairs):
            return Packing(
                call,
                f"lengths drop real data: {sum(real) - sum(packed)} of {sum(real)} steps never reach the layer",
                f"{given}; the rows have {sorted(real, reverse=True)} real steps ({source})",
                "the number of real steps of each row as length",
            )
    return None


def _real_steps(lab: Experiments, call: Call, packed: list[int]) -> tuple[list[int], str]:
    """What the rows really hold, from another source than the lengths that are packed with; nothing if unknown."""
    data, given, steps = call.inputs[0], lab.inputs.lengths, call.inputs[0].shape[1 if call.args[2] else 0]
    told = given is not None and len(given) == lab.N
    known = lab.ask(lengths_of) if told else _counted(lab, lab.inputs.padding_ids)
    if isinstance(known, Lengths) and (max(known.steps) == steps or (not told and max(known.steps) < steps)):
        way = lab.baseline.ancestors(data)  # what is packed is made of the input that the lengths speak of
        if any(v.index in way for v in lab.baseline.inputs if v.origin == f"input {known.slot.index}"):
            return known.steps, known.source
    if told:
        return [], ""
    handed = any(sorted(whole_numbers(slot.value) or []) == sorted(packed) for slot in lab.inputs.slots)
    computed = lab.baseline.ancestors(call.inputs[1]) & {value.index for value in lab.baseline.inputs}
    if not handed and not computed and len(set(packed)) == 1 and packed[0] < steps:
        return [steps] * len(packed), "the data, which no length in the inputs shortens"
    return [], ""


def _cut(lab: Experiments, lengths: Lengths, length: int) -> Given:
    """The inputs, of which all that have as many steps are cut to `length`, and so are the lengths that they hold."""
    full = lengths.slot.tensor.size(lengths.axis)
    axes: dict[int, tuple[int, ...]] = {lengths.slot.index: (lengths.axis,)}
    counts: dict[int, list[int]] = {}
    for slot in lab.inputs.slots:
        numbers = whole_numbers(slot.value)
        if slot is lengths.slot:
            continue
        if numbers is not None and sorted(numbers) == sorted(lengths.steps):
            counts[slot.index] = numbers
        elif isinstance(slot.value, Tensor) and slot.batch is not None:
            same = [axis for axis, size in enumerate(slot.tensor.shape) if axis != slot.batch and size == full]
            if slot.time is not None and slot.time in same and slot.tensor.is_floating_point() and not slot.fixed:
                same = [slot.time]
            if same:
                axes[slot.index] = tuple(same)
    return lab.inputs.cut(axes, length, counts)


# ---------------------------------------------------------------------- rules
@rule("LS204", "padding-read", padding_of)
def padding_read(padding: Padding, lab: Experiments) -> Iterator[Finding]:
    """A row is read beyond its length: padding changes the result.

    A row in a padded batch must give what the same row gives in a batch no longer than it. It does not where the
    last step is taken at [:, -1], where a mean, a maximum or a softmax runs over padding, or where a layer without
    pack_padded_sequence reads padding before what it returns.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
      - model = lambda x, n: rnn(x)[0].mean(1)
      + def model(x, n):
      +     real = torch.arange(x.size(1)) < n[:, None]
      +     return (rnn(x)[0] * real[:, :, None]).sum(1) / n[:, None]
        lengths = torch.tensor([5, 7, 2, 3])
        inputs = (torch.randn(4, 7, 5), lengths)
    """
    if padding.kind != "read" or padding.culprit is None:
        return
    lengths, call = lab.ask(lengths_of), padding.culprit
    layer = next((layer for layer in lab.layers if layer.call is call), None)
    title, fix = next(((title, fix) for names, title, fix in _READS if call.name in names.split()), _ELSE)
    title, fix = title.format(call.name), fix.format(call.name, call_text(call))
    if layer is not None:
        names = layer_names(layer)
        role = next((r for r, v in layer.outputs.items() if v.index in padding.values), "Y")
        fix = "pack_padded_sequence(x, lengths, batch_first=…, enforce_sorted=False) before the layer"
        title = f"{layer.called} reads padding before real steps"
        if layer.R == 2:
            title = f"{layer.called} reads padding: its backward direction starts in it, so every step of a padded row"
            title, fix = f"{title} depends on the longest row", f"{fix}, pad_packed_sequence behind it"
        elif role != "Y":
            title = f"{layer.called} reads padding to the end: {names[role]} is the state after the padding, not after"
            title = f"{title} the last real step"
            fix = f"{fix}: then {names['hn']}[-1] is each row's own last step; or the steps of {names.get('Y', 'Y')}"
            fix += " at lengths - 1 (gather)"
    source = "" if isinstance(lengths, str) else f" (known from {lengths.source})"
    shown = next((f"{value_name(v)} {v.shape}" for v in call.outputs if v.index in padding.values), "the result")
    measured = (
        f"sample {padding.sample} has {padding.length} real steps{source}; in the batch cut to {padding.length} steps "
        f"its row of {shown} is another one"
    )
    yield padding_read.finding(title, measured, f"probably {fix}", layer or call)


# What is said of a call that reads padding, and what to do instead: {0} is its name, {1} the call as it is written.
_READS = [
    (
        "__getitem__ select narrow index_select take",
        "one step is taken for all rows, and for a padded row it is padding",
        "the step at lengths - 1 of each row, Y[torch.arange(N), lengths - 1] (gather); or, of a packed call, hn[-1], "
        "and torch.cat((hn[-2], hn[-1]), dim=1) with two directions",
    ),
    (
        "softmax log_softmax softmin gumbel_softmax",
        "{0} gives weight to padding",
        "a mask before the softmax: scores.masked_fill(~mask, float('-inf')), then {1}",
    ),
    (
        "max amax adaptive_max_pool1d max_pool1d",
        "{0} runs over padding, which can win",
        "a mask: Y.masked_fill(~mask, float('-inf')) before the maximum",
    ),
    (
        "mean sum avg_pool1d adaptive_avg_pool1d logsumexp std var amin min",
        "{0} runs over padding: it counts steps that are none",
        "a mask: (Y * mask).sum(1) / lengths",
    ),
    (
        "flip",
        "flip brings the padding to the front, where it is read first",
        "each row reversed within its own length (lengths), or bidirectional=True with pack_padded_sequence",
    ),
    (
        "multi_head_attention_forward",
        "attention reads padding",
        "key_padding_mask=~mask, True where a step is padding",
    ),
]
_ELSE = (
    "{0} reads padding",
    "a mask that leaves steps beyond lengths out of the {0}, or pack_padded_sequence before the layer",
)


@rule("LS209", "truncated-by-lengths", packing_of)
def truncated(packing: Packing | None, lab: Experiments) -> Iterator[Finding]:
    """Lengths drop real data without a word, or count something else than steps.

    pack_padded_sequence takes whatever lengths fit: with lengths that are too small, or that count features or
    characters, the steps behind them never reach the layer, and nothing raises.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
      - model = lambda x, n: rnn(pack_padded_sequence(x, n - 1, batch_first=True, enforce_sorted=False))[1][-1]
      + model = lambda x, n: rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][-1]
        lengths = torch.tensor([3, 7, 5, 2])
        inputs = (torch.randn(4, 7, 5), lengths)
    """
    if packing is not None:
        yield truncated.finding(packing.title, packing.measured, f"probably {packing.fix}", packing.call)
