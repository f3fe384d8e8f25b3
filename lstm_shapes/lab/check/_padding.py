"""Padding: the batch is cut to the length of its shortest sample, and that sample compared with its row before.

No padding value is invented, so a model that masks by token keeps its contract. A run with other sizes adds in another
order; `compare.far` holds the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from lstm_shapes.lab.trace import Call, Value

from ._compare import far
from ._experiments import Experiments
from ._inputs import Slot, steps_up_to_last, whole_numbers
from ._layout import Track, row
from ._samples import Samples, earliest, samples_of, tracks_of

Kind = Literal["untested", "unread", "read"]


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

    kind: Kind
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
            if mine is not None and sorted(mine) == sorted(steps) and (found := _timed(lab, max(mine))):
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


def _timed(lab: Experiments, longest: int) -> tuple[Slot, int] | None:
    """The first input with a batch axis and a time axis that is long enough."""
    for slot in lab.inputs.slots:
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


def _looks_padded(lab: Experiments) -> bool:
    """Whether zeros end rows of tokens, more than one, and stand nowhere else."""
    counted = _counted(lab, {0})
    if counted is None:
        return False
    rows = counted.slot.tensor.movedim(counted.slot.batch or 0, 0)
    zeros = int((rows == 0).sum())
    return zeros > 2 and zeros == sum(rows.size(1) - n for n in counted.steps)


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
        return Padding("untested", lengths, lets="lengths=, the steps of each row" if _looks_padded(lab) else "")
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
    for length in sorted(set(steps))[:2]:  # the shortest row, and the next longer one
        if length >= full:
            break
        sample = lengths.steps.index(length)
        lab.says(f"the batch cut to {length} steps")
        wanted = {value.index for _, value in lab.results}
        quick = _cut_run(lab, lengths, sample, length, lab.ask(samples_of), wanted)
        if isinstance(quick, str):
            lets = "a program that takes a batch of fewer steps, cut to its shortest row"
            return Padding("untested", quick, lets=lets)
        if quick:
            everywhere = _cut_run(lab, lengths, sample, length, lab.ask(tracks_of), None)
            bad = quick | everywhere if isinstance(everywhere, set) else quick
            result = next(value for _, value in lab.results if value.index in quick)
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
    if given is not None and len(given) == lab.N:
        theirs = max(given) == steps and _descends_from(lab, data, lab.ask(lengths_of))
        return (given, "lengths") if theirs else ([], "")
    counted = _counted(lab, lab.inputs.padding_ids)
    if counted is not None and max(counted.steps) <= steps and _descends_from(lab, data, counted):
        return counted.steps, counted.source
    told = any(sorted(whole_numbers(slot.value) or []) == sorted(packed) for slot in lab.inputs.slots)
    computed = lab.baseline.ancestors(call.inputs[1]) & {value.index for value in lab.baseline.inputs}
    if not told and not computed and len(set(packed)) == 1 and packed[0] < steps:
        return [steps] * len(packed), "the data, which no length in the inputs shortens"
    return [], ""


def _descends_from(lab: Experiments, data: Value, lengths: Lengths | str) -> bool:
    """Whether what is packed is made of the input that the lengths speak of, with as many steps."""
    if isinstance(lengths, str):
        return False
    index = next((v.index for v in lab.baseline.inputs if v.origin == f"input {lengths.slot.index}"), None)
    return index is not None and index in lab.baseline.ancestors(data)


def _cut_run(
    lab: Experiments, lengths: Lengths, sample: int, length: int, samples: Samples, wanted: set[int] | None
) -> set[int] | str:
    """The values whose row of the sample differs from that of the uncut batch, or why that cannot be said."""
    by_hand = any(call.name in ("sort", "argsort", "topk") for call in lab.baseline.calls)
    differing: set[int] = set()
    missing: set[int] = set()

    def compare(value: Value, tensor: Tensor) -> None:
        before = value.elements
        if before is None or (value.index not in wanted if wanted is not None else not before.is_floating_point()):
            return  # lengths and orders are other numbers by design; what is read with them is compared
        track = samples.track(value) if wanted is None else samples.row(value)
        same = _same_row(before, tensor.detach(), sample, lab.N, track, by_hand)
        if not same:
            (missing if same is None else differing).add(value.index)

    outcome = lab.follow(lab.inputs.cut(*_cuts(lab, lengths, length)), compare, realign=True)
    if outcome.error is not None:
        said = [*str(outcome.error).strip().splitlines(), ""][0][:120]
        return f"the batch cut to {length} steps raises {type(outcome.error).__name__}: {said}"
    if wanted is not None and wanted <= missing:
        return "the result has no axis of N on which rows could be compared"
    return differing


def _cuts(
    lab: Experiments, lengths: Lengths, length: int
) -> tuple[dict[int, tuple[int, ...]], int, dict[int, list[int]]]:
    """The time axes of all inputs that are as long, and the inputs that hold the lengths."""
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
    return axes, length, counts


def _same_row(before: Tensor, after: Tensor, sample: int, N: int, track: Track, by_hand: bool) -> bool | None:
    """Whether the sample's row is the same as far as it goes; None where there is no such row to be found.

    Rows that the program sorts by length itself (`by_hand`) may stand elsewhere when all lengths are equal.
    """
    if before.dim() != after.dim() or not before.dim() or before.dtype != after.dtype:
        return None
    layout = track.layout()
    places = [(a, False) for a in range(before.dim()) if before.size(a) == N == after.size(a)][:1]
    if layout is not None:
        places = [(layout.axis, layout.repeat > 1)]
    elif track.touched:
        return None
    same: bool | None = None
    for axis, neighbours in places or [(0, True), (0, False)]:  # a flattened (N·L, …) may lie in either order
        one = row(before, axis, sample, N, neighbours=neighbours)
        for at in range(N) if by_hand else [sample]:
            other = row(after, axis, at, N, neighbours=neighbours)
            if one is not None and other is not None:
                common = tuple(slice(min(sizes)) for sizes in zip(one.shape, other.shape, strict=True))
                same = same or not bool(far(one[common], other[common]).any())
    return same
