"""Samples: one at a time is replaced; what moved with it in every tensor between the inputs and the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lstm_shapes.lab._words import named
from lstm_shapes.lab.trace import Call, Trace, Value
from lstm_shapes.lab.trace._families import MOVES, PRODUCTS, VIEWS, names_in
from lstm_shapes.language import counted

from ._experiments import Experiments
from ._inputs import Given
from ._layout import SampleAxis, Track, cuts, far, made_axis, other_order, row

_MOST = 12  # samples that are all replaced where some were too few
_VIEWS = VIEWS | names_in("squeeze unsqueeze")
_REDUCES = names_in("sum mean amax amin max min std var std_mean var_mean logsumexp norm prod nansum nanmean median")
_REORDERS = names_in("__getitem__ index_select gather flip roll cat stack sort scatter take_along_dim index_copy")
_NOTHING = Track((), 0)


@dataclass(eq=False, slots=True)
class Samples:
    """What the experiment showed. `culprit`: the first call on the way to a wrong result that mixes the samples.

    `statistics`: calls that standardise the batch by hand, held still. `tracks` holds what moved in every tensor,
    where it had to be asked; `rows` what moved in the results.
    """

    kind: Literal["untested", "apart", "pairs", "mixed", "dropped", "permuted"]
    tested: tuple[int, ...] = ()
    why: str = ""
    lets: str = ""  # of what is untested: what would let it
    result: Value | None = None
    path: str = ""
    culprit: Call | None = None
    tracks: dict[int, Track] = field(default_factory=dict)
    rows: dict[int, Track] = field(default_factory=dict)
    statistics: tuple[Call, ...] = ()
    of_lengths: bool = False  # only with other flags and lengths it shows

    def track(self, value: Value) -> Track:
        """What moved in a tensor: nothing, where it was not followed."""
        return self.tracks.get(value.index, _NOTHING)

    def row(self, value: Value) -> Track:
        """What moved in a result, as it was seen first."""
        return self.rows.get(value.index) or self.track(value)

    def layout(self, value: Value) -> SampleAxis | None:
        """How the samples lie in a tensor."""
        return self.track(value).layout()

    def shape(self, value: Value) -> str:
        """A tensor's shape with the samples' axis named."""
        layout = self.layout(value)
        return named(value, {} if layout is None else {layout.axis: "N"})

    def holding(self, call: Call) -> list[Value]:
        """The inputs of a call that hold samples."""
        return [value for value in call.inputs if self.track(value).touched]

    @property
    def moved(self) -> str:
        """What moved in the wrong result."""
        track = _NOTHING if self.result is None else self.track(self.result)
        shown = f"in the result {track.shape} moved, on axis {track.rows}, with {track.sets(track.rows)}"
        return shown if track.touched else ""


def chosen(N: int) -> tuple[int, ...]:
    """The samples that are replaced: all of a small batch, else the first two and the last."""
    return tuple(range(N)) if N <= 4 else (0, 1, N - 1)


def samples_of(lab: Experiments) -> Samples:
    """Replace one sample at a time: is every result's row moved by its own sample alone?"""
    trace, stopped = lab.baseline, "the program stops with an exception"
    if lab.batch_dim is None:
        return Samples("untested", why="batch_dim=None: the input has no batch axis")
    if trace.error is not None and not lab.results:
        return Samples("untested", why=stopped)
    if lab.N < 2:
        few = f"the batch holds N = {counted(lab.N, 'sample')}; two show more"
        return Samples("untested", why=few, lets="a batch of two or more")
    if not lab.inputs.movable:
        return Samples("untested", why="no input has a batch axis whose samples could be replaced")
    if not lab.results:
        return Samples("untested", why="nothing that came back is a tensor with axes")
    wanted = {v.index for c in trace.calls if c.name == "_pack_padded_sequence" for v in c.inputs[:1]}
    wanted |= {value.index for _, value in lab.results}
    quick = _compared(lab, chosen(lab.N), wanted)
    if len(quick.tested) < 2:
        lets = "inputs whose samples can be exchanged for others of the same range"
        return Samples("untested", why=stopped) if trace.error else Samples("untested", why=quick.why, lets=lets)
    if trace.error is None and not any(track.touched for track in quick.rows.values()):
        return Samples("untested", quick.tested, "no result moved with any sample")
    masks = False
    if _wrong(lab, quick.rows, quick.tested) is None:
        if lab.inputs.masks or lab.inputs.counts() or lab.inputs.compares_tokens:
            masked = _compared(lab, quick.tested, wanted, masks=True)
            masks = len(masked.tested) > 1 and _wrong(lab, masked.rows, masked.tested) is not None
        if not masks:
            return quick
    if not lab.ask(repeats):
        return Samples("untested", quick.tested, *NO_REPEAT)
    lab.says("samples, call by call")
    tested, held = quick.tested, tuple[Call, ...]()
    while True:
        judged = _compared(lab, tested, None, masks=masks)
        _judge(lab, judged)
        if judged.result is not None and judged.kind == "apart" and len(tested) < lab.N <= _MOST:
            tested = tuple(range(lab.N))  # a row that moved with the sample of another that was not replaced
            continue
        statistics = _statistics(judged.culprit)
        if not statistics:
            judged.statistics, judged.rows, judged.of_lengths = held, quick.rows, masks
            # What stops in the middle may hold some samples only, or in another order, and rightly so.
            gone = trace.error is not None and judged.kind != "mixed"
            return Samples("apart", judged.tested, tracks=judged.tracks) if gone else judged
        held += tuple(statistics)
        for call in statistics:  # standardised by hand: held still, as a BatchNorm's statistics are
            lab.hold(call)


# Why what does not repeat itself is not tested, and what would let it.
NO_REPEAT = "the same inputs give other results each time", "random numbers that are drawn from torch's generator"


def repeats(lab: Experiments) -> bool:
    """Whether the same inputs give the same results each time.

    Asked twice: of two runs in a row at most one gives the first result again where a program takes turns that nothing
    puts back, as with an iterator that goes round.
    """
    results = {value.index for _, value in lab.results}
    for _ in range(2):
        moved, error = lab.moved(lab.inputs.same(), results, lab.slack)
        if not lab.stops_alike(error) or any(one is None or bool(one.any()) for one in moved.values()):
            return False
    return True


def tracks_of(lab: Experiments) -> Samples:
    """What moves in each tensor with each sample, also where the results were found right at once."""
    samples = lab.ask(samples_of)
    return samples if samples.tracks or not samples.tested else _compared(lab, samples.tested, None)


@dataclass(eq=False, slots=True)
class Rows:
    """How a run with other sizes went: `differing` values have another row of a sample, `missing` no row to compare."""

    differing: set[int] = field(default_factory=set)
    missing: set[int] = field(default_factory=set)
    error: Exception | None = None
    repeated: Call | None = None  # the call that a loop made once more


def other_rows(
    lab: Experiments,
    given: Given,
    samples: Samples,
    wanted: set[int] | None,
    places: Mapping[int, Sequence[int]],
    N: int,
    *,
    cut: bool = False,
) -> Rows:
    """Compare rows of the wanted values, of all if None, with those of a run with N samples, or `cut` to fewer steps.

    `places`: of samples of the baseline, where their rows may stand in that run. Of a cut batch, lengths and orders
    are other numbers by design: what is read with them is compared; and rows that no sample has moved are looked at.
    """
    rows = Rows()

    def compare(value: Value, tensor: Tensor) -> None:
        before, after = value.elements, tensor.detach()
        if before is None or not (
            value.index in wanted if wanted is not None else before.is_floating_point() or not cut
        ):
            return
        track = samples.track(value) if wanted is None else samples.row(value)
        layout, axes = track.layout(), list[tuple[int, bool]]()
        if layout is not None:
            axes = [(layout.axis, layout.repeat > 1)]
        elif not cut:
            return
        elif not track.touched:  # a flattened (N·L, …) may lie in either order
            axes = [(a, False) for a, n in enumerate(before.shape) if n == lab.N and after.shape[a : a + 1] == (N,)][:1]
            axes = axes or [(0, True), (0, False)]
        same, fits = None, before.dim() == after.dim() > 0 and before.dtype == after.dtype
        for axis, near in axes if fits and before.layout == after.layout == torch.strided else ():
            if cut or before.select(axis, 0).shape == after.select(axis, 0).shape:
                same = same or _same(before, after, axis, near)
        if not same:
            (rows.missing if same is None else rows.differing).add(value.index)

    def _same(before: Tensor, after: Tensor, axis: int, near: bool) -> bool | None:
        same = None
        for sample, at in places.items():  # row by row: a result may be large
            one = row(before, axis, sample, lab.N, neighbours=near)
            others = [other for k in at if (other := row(after, axis, k, N, neighbours=near)) is not None]
            if one is not None and others and not (same := any(_alike(one, other) for other in others)):
                return False
        return same

    outcome = lab.follow(given, compare, realign=True)
    rows.error, rows.repeated = outcome.error, outcome.repeated
    return rows


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two rows are the same as far as both go."""
    common = tuple(slice(min(sizes)) for sizes in zip(one.shape, other.shape, strict=True))
    return not bool(far(one[common], other[common]).any())


def _statistics(culprit: Call | None) -> list[Call]:
    """Mean and deviation of one tensor along one axis, where both are taken: the batch is standardised by hand."""
    if culprit is None or culprit.name not in ("mean", "std", "var") or not culprit.inputs:
        return []
    source = culprit.inputs[0]
    centred = [v for call in source.readers if call.name in ("sub", "__sub__") for v in call.outputs]
    taken = [call for v in (source, *centred) for call in v.readers if call.name in ("mean", "std", "var")]
    taken = [call for call in taken if call.argument(1, "dim") == culprit.argument(1, "dim")]
    return taken if {"std", "var"} & {call.name for call in taken} else []


def meant(lab: Experiments, statistics: tuple[Call, ...]) -> bool:
    """Whether statistics taken by hand may be meant: of the data themselves, of all there is, or kept for evaluation.

    One number for all elements of a vector or table standardises advantages and the like.
    """
    source = statistics[0].inputs[0]
    whole = len(source.shape) < 3 and all(call.argument(1, "dim") is None for call in statistics)
    kept = [lab.baseline.values[k] for k in lab.after | lab.buffered]
    return whole or source in lab.baseline.inputs or source.index in lab.baseline.ancestors(*kept)


def _compared(lab: Experiments, samples: tuple[int, ...], wanted: set[int] | None, *, masks: bool = False) -> Samples:
    """A run for each sample: `rows`, what moved in the wanted values, or `tracks` of all where none are named."""
    tracks: dict[int, Track] = {}
    made = Samples("apart", rows=tracks) if wanted is not None else Samples("apart", tracks=tracks)
    # Other flags may pack the rows in another order.
    slack = max(lab.slack, *(other_order(value.tensor) for _, value in lab.results if masks), 0.0)
    elsewhere = _packed(lab) if masks else set()
    for s in samples:
        lab.says(f"sample {s} of {lab.N} replaced")
        moved, error = lab.moved(lab.inputs.sample(s, masks=masks), wanted, slack)
        if error is not None and not lab.stops_alike(error):
            made.why = f"with sample {s} replaced the program raises {type(error).__name__}"
        elif wanted is not None and any(moved.get(value.index) is None for _, value in lab.results):
            made.why = f"with sample {s} replaced the program takes another path or gives another shape"
        else:
            made.tested += (s,)
            for index in moved.keys() - elsewhere:
                tracks.setdefault(index, Track(lab.baseline.values[index].shape, lab.N)).add(s, moved[index])
        moved.clear()  # before the next run: it may be large
    return made


def _packed(lab: Experiments) -> set[int]:
    """The values that lie as packing put them: other lengths put all of them elsewhere."""
    kernels = {layer.call.index for layer in lab.layers}
    packed = [layer for layer in lab.layers if layer.packed]
    starts = [v for c in lab.baseline.calls if c.name == "_pack_padded_sequence" for v in c.outputs]
    starts += [layer.outputs["Y"] for layer in packed if "Y" in layer.outputs]

    def stays(call: Call, _: Value) -> bool:
        return call.name != "_pad_packed_sequence" and call.index not in kernels

    states = {value.index for layer in packed for value in layer.call.outputs}
    return states | {made.index for value in starts for made in value.way_on(stays)}


def _wrong(lab: Experiments, tracks: dict[int, Track], tested: Sequence[int]) -> tuple[str, Value] | None:
    """The first result whose rows are not those of their own samples.

    Results that each hold one sample are apart if together they hold all: a list of rows, a loss that a loop adds up.
    """
    right, wrong = False, None
    held = [set(tracks[value.index].touched) for _, value in lab.results if value.index in tracks]
    by_sample = set().union(*(one for one in held if len(one) == 1)) == set(tested)
    for path, value in lab.results:
        track = tracks.get(value.index, _NOTHING)
        if track.unknown or not track.touched or (by_sample and len(track.touched) == 1):
            continue
        # Apart on an axis that holds several rows of each, in the samples' own order, is right too.
        if track.in_place() or track.paired or (lab.N not in track.shape and track.layout() is not None):
            right = True
        else:
            wrong = wrong or (path, value)
    if wrong is not None and right:
        track, shape = tracks[wrong[1].index], wrong[1].shape
        of_rows = lab.N in shape or (len(shape) > 2 and any(size % lab.N == 0 for size in shape[:-1]))
        if not of_rows and (track.mixed or not track.axes):
            return None  # a summary of the batch beside a result that has its rows
    return wrong


def _judge(lab: Experiments, samples: Samples) -> None:
    """Find the kind of what is wrong, and the call that is the first to do it."""
    wrong = _wrong(lab, samples.tracks, samples.tested)
    if wrong is None or len(samples.tested) < 2:
        return
    samples.path, samples.result = wrong
    value, summed = wrong[1], wrong[1].index in lab.summed
    track, way = samples.track(value), lab.baseline.ancestors(value)
    calls = [call for call in lab.baseline.calls if any(v.index in way for v in call.outputs)]
    culprit = _first_mixing(samples, calls)
    if track.mixed:
        if culprit is not None and summed and _is_summary(samples, culprit, way):
            return
        samples.kind, samples.culprit = "mixed", culprit or value.maker
        if culprit is None and any(samples.track(v).paired for call in calls for v in call.outputs):
            # The sum over one side of a product of all samples with all, which is no table that anything is read from;
            # else they meet in it on purpose.
            sums = [call for call in calls if call.name in ("sum", "mean") and call.inputs and not summed]
            made = [(call, call.inputs[0]) for call in sums if samples.track(call.inputs[0]).paired]
            products = (c for c, v in made if v.maker and v.maker.name in PRODUCTS and len(v.readers) == 1)
            samples.culprit = next(products, None)
            samples.kind = "pairs" if samples.culprit is None else "mixed"
    elif (dropping := _first_dropping(samples, track, calls, way)) is not None:
        samples.kind, samples.culprit = "dropped", dropping
    elif culprit is not None:
        samples.kind, samples.culprit = "mixed", culprit
    elif not summed and any(s != at for s, at in (track.places() or {}).items()):
        reorders = [call for call in calls if _reorders(samples, call)]
        if not _order_returned(lab, samples, reorders):
            last = reorders[-1] if reorders else None
            samples.kind = "permuted"
            samples.culprit = _not_restoring(lab, calls, last) or last or value.maker
    else:
        view = next(mislaying(samples, lab.N, value), None) if lab.N in value.shape else None
        if view is not None and _lie_elsewhere(lab, samples, value):
            samples.kind, samples.culprit = "mixed", view


def _lie_elsewhere(lab: Experiments, samples: Samples, result: Value) -> bool:
    """Whether the samples lie on another axis of a result than that of N, which grows with one sample more.

    Where no other N runs: whether the axis on which they lie takes one step more, and is no multiple of N then.
    """
    wide, layout = lab.ask(wider_of), samples.layout(result)
    if wide.error is None or layout is None:
        made = dict(wide.results).get(samples.path)
        return made is not None and (lab.N, lab.N + 1) in zip(result.shape, made.shape, strict=False)
    lab.says("one step more")
    made = dict(lab.record(lab.inputs.wider(0, 1)).results).get(samples.path)
    return made is not None and any(size % lab.N for size in made.shape[layout.axis : layout.axis + 1])


def _first_mixing(samples: Samples, calls: Sequence[Call]) -> Call | None:
    """The earliest call with a mixed output and no mixed input, or a view that cuts across samples."""
    tables: set[int] = set()  # similarities, and what is computed from nothing else
    for call in calls:
        holding = samples.holding(call)
        paired = all(v.index in tables or samples.track(v).paired for v in holding)
        if holding and paired and call.name not in PRODUCTS:
            tables.update(v.index for v in call.outputs)
        elif any(samples.track(v).mixed for v in call.outputs) or cut(samples, call):
            # Where an input is mixed it was written in place where nobody looked: the writer is its maker.
            return next((v.maker for v in call.inputs if samples.track(v).mixed and v.maker), call)
    return None


def cut(samples: Samples, call: Call) -> bool:
    """Whether a call is a view that cuts across samples, also where its elements look apart by luck."""
    if call.name not in _VIEWS or not call.inputs or not call.outputs:
        return False
    layout = samples.layout(call.inputs[0])
    return layout is not None and cuts(layout, call.outputs[0].shape)


def mislaying(samples: Samples, N: int, value: Value) -> Iterator[Call]:
    """The views behind which a value lies that gave a tensor an axis of N on which the samples do not lie.

    x.view(L, N, D) of an (N, L, D) tensor cuts no sample where N divides L, and still puts none where it belongs.
    """
    for _ in range(40):
        call = value.maker
        if call is None or not call.inputs:
            return
        source, after = call.inputs[0], samples.layout(value)
        made = call.name in ("view", "reshape", "unflatten") and made_axis(N, source.shape, value.shape)
        if made and samples.layout(source) is not None and (after is None or value.shape[after.axis] != N):
            yield call
        value = next(iter(samples.holding(call)), source)


def wider_of(lab: Experiments) -> Trace:
    """The program with one sample more, as far as it runs."""
    lab.says("one sample more")
    return lab.record(lab.inputs.wider(1))


def _is_summary(samples: Samples, culprit: Call, way: set[int]) -> bool:
    """Whether samples meet only because a scalar is being added up: no layer follows the reduction.

    A table of pairs (similarities) that ends in a scalar is such a sum too.
    """
    if any(samples.track(v).paired for v in culprit.inputs):
        return True

    def leads_on(call: Call, _: Value) -> bool:
        return any(value.index in way for value in call.outputs)

    readers = {c for made in culprit.outputs for v in made.way_on(leads_on) for c in v.readers if leads_on(c, v)}
    return culprit.name in _REDUCES and not any(v.parameter for call in readers for v in call.inputs)


def _first_dropping(samples: Samples, result: Track, calls: Sequence[Call], way: set[int]) -> Call | None:
    """The call that lets only some samples through, where the result holds only some.

    An element that did not move behind a function of each element alone, as behind a dead unit, was not dropped.
    """
    left = set(result.touched)
    if len(left) == len(samples.tested):
        return None
    for call in calls:
        after = [set(samples.track(v).touched) for v in call.outputs if v.index in way and v.index in samples.tracks]
        shape, picks = call.outputs[0].shape, call.name in _REORDERS
        before = [set(samples.track(v).touched) for v in call.inputs if picks or v.shape != shape]
        if after and all(some == left for some in after) and any(some > left for some in before):
            return call
    return None


def _reorders(samples: Samples, call: Call) -> bool:
    """Whether a call puts samples in other places of an axis of N."""
    after = samples.track(call.outputs[0]).places() if call.name in _REORDERS else None
    befores = [samples.track(value).places() for value in call.inputs]
    return after is not None and any(before is not None and before != after for before in befores)


def _order_returned(lab: Experiments, samples: Samples, reorders: Sequence[Call]) -> bool:
    """Whether the order, or something else in the same order, comes back with the rows."""
    orders = {v.index for call in reorders for v in call.inputs[1:]}
    for _, value in lab.baseline.results:
        made, given = ((), ()) if value.maker is None else (value.maker.outputs, value.maker.inputs[1:])
        ordered = not samples.track(value).touched and any(v.index in orders for v in given)
        if ordered or any(v.index in orders for v in (value, *made)):
            return True
    return False


def _not_restoring(lab: Experiments, calls: Sequence[Call], last: Call | None) -> Call | None:
    """Where rows that were sorted for packing should have been put back: an index that leaves them where they are, or
    the first call that computes with them."""
    rows = {v.index for v in last.outputs} if last is not None else set()
    packs = [c for c in calls if c.name == "_pack_padded_sequence" and rows & lab.baseline.ancestors(c.inputs[0])]
    if not packs:
        return None
    behind = [call for call in calls if call.index > packs[-1].index]
    inside = {call.line for call in (packs[-1], *behind) if call.module or call.name.startswith("_pa")}
    behind = [call for call in behind if call.line not in inside]
    for call in behind:
        index = call.inputs[1:] if call.name in ("__getitem__", "index_select") else ()
        if index and index[-1].shape == (lab.N,) and not index[-1].tensor.is_floating_point():
            return call
    return next((c for c in behind if c.name not in MOVES and not all(v.parameter for v in c.inputs)), None)


def earliest(lab: Experiments, bad: set[int], result: Value) -> Call | None:
    """The first call on the way to a result with a bad output and no bad input."""
    way = lab.baseline.ancestors(result)
    for call in lab.baseline.calls:
        wrong = any(v.index in bad and v.index in way for v in call.outputs)
        if wrong and not any(v.index in bad for v in call.inputs):
            return call
    return None
