"""Samples: one at a time is replaced; what moved with it in every tensor between the inputs and the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from lstm_shapes.display._numbers import counted
from lstm_shapes.lab.trace import Call, Value
from lstm_shapes.lab.trace._families import names_in

from ._compare import differs, other_order
from ._experiments import Experiments
from ._layout import Layout, Track, cuts, made_axis

__all__ = ["Samples", "cut", "samples_of", "tracks_of"]

Kind = Literal["untested", "apart", "pairs", "mixed", "dropped", "permuted"]
_MOST = 12  # samples that are all replaced where some were too few
_VIEWS = names_in("view reshape unflatten flatten view_as reshape_as ravel resize _unsafe_view squeeze unsqueeze")
_PRODUCTS = names_in("matmul __matmul__ __rmatmul__ bmm mm mv dot einsum linear addmm baddbmm tensordot")
_REDUCES = names_in("sum mean amax amin max min std var std_mean var_mean logsumexp norm prod nansum nanmean median")


@dataclass(eq=False, slots=True)
class Samples:
    """What the experiment showed. `culprit`: the first call on the way to a wrong result that mixes the samples.

    `statistics`: calls that standardise the batch by hand, held still. `tracks` holds what moved in every tensor,
    where it had to be asked; `rows` what moved in the results.
    """

    kind: Kind
    tested: tuple[int, ...] = ()
    why: str = ""
    result: Value | None = None
    path: str = ""
    culprit: Call | None = None
    tracks: dict[int, Track] = field(default_factory=dict)
    rows: dict[int, Track] = field(default_factory=dict)
    statistics: tuple[Call, ...] = ()
    lets: str = ""  # of what is untested: what would let it
    of_lengths: bool = False  # only with other flags and lengths it shows

    def track(self, value: Value) -> Track | None:
        return self.tracks.get(value.index)

    def layout(self, value: Value) -> Layout | None:
        """How the samples lie in a tensor."""
        track = self.tracks.get(value.index)
        return None if track is None else track.layout()


def chosen(N: int) -> tuple[int, ...]:
    """The samples that are replaced: all of a small batch, else the first two and the last."""
    return tuple(range(N)) if N <= 4 else (0, 1, N - 1)


def samples_of(lab: Experiments) -> Samples:
    """Replace one sample at a time: is every result's row moved by its own sample alone?"""
    trace = lab.baseline
    if lab.batch_dim is None:
        return Samples("untested", why="batch_dim=None: the input has no batch axis")
    if trace.error is not None and not lab.results:
        return Samples("untested", why="the program stops with an exception")
    if lab.N < 2:
        few = f"the batch holds N = {counted(lab.N, 'sample')}; two show more"
        return Samples("untested", why=few, lets="a batch of two or more")
    if not lab.inputs.movable:
        return Samples("untested", why="no input has a batch axis whose samples could be replaced")
    if not lab.results:
        return Samples("untested", why="nothing that came back is a tensor with axes")
    packed = {v.index for c in lab.baseline.calls if c.name == "_pack_padded_sequence" for v in c.inputs[:1]}
    quick = _compared(lab, chosen(lab.N), {value.index for _, value in lab.results}, extra=packed)
    if len(quick.tested) < 2:
        if trace.error is not None:
            return Samples("untested", why="the program stops with an exception")
        why = quick.why or "the program takes another path with other samples"
        return Samples("untested", why=why, lets="inputs whose samples can be exchanged for others of the same range")
    if trace.error is None and not any(track.touched for track in quick.tracks.values()):
        return Samples("untested", quick.tested, "no result moved with any sample")
    masks = False
    if _wrong(lab, quick.tracks) is None:
        if not lab.inputs.masks and not lab.inputs.counts() and not lab.inputs.compares_tokens:
            return Samples("apart", quick.tested, rows=quick.tracks)
        masked = _compared(lab, quick.tested, {value.index for _, value in lab.results}, masks=True)
        masks = len(masked.tested) > 1 and _wrong(lab, masked.tracks) is not None
        if not masks:
            return Samples("apart", quick.tested, rows=quick.tracks)
    if not lab.repeatable:
        why, lets = (
            "the same inputs give other results each time",
            "random numbers that are drawn from torch's generator",
        )
        return Samples("untested", quick.tested, why, lets=lets)
    lab.says("samples, call by call")
    held: tuple[Call, ...] = ()
    tested = quick.tested
    for _ in range(8):
        judged = _judged(lab, _compared(lab, tested, None, masks=masks))
        if judged.result is not None and judged.kind == "apart" and len(tested) < lab.N <= _MOST:
            tested = tuple(range(lab.N))  # a row that moved with the sample of another that was not replaced
            continue
        statistics = _statistics(judged.culprit)
        if not statistics:
            judged.statistics, judged.rows, judged.of_lengths = held, quick.tracks, masks
            # What stops in the middle may hold some samples only, or in another order, and rightly so.
            stopped = trace.error is not None and judged.kind != "mixed"
            return Samples("apart", judged.tested, tracks=judged.tracks) if stopped else judged
        held += tuple(statistics)
        for call in statistics:  # standardised by hand: held still, as a BatchNorm's statistics are
            lab.hold(call)
    return judged


def tracks_of(lab: Experiments) -> dict[int, Track]:
    """What moves in each tensor with each sample, also where the results were found right at once."""
    samples = lab.ask(samples_of)
    if not samples.tested:
        return {}
    return samples.tracks or _compared(lab, samples.tested, None).tracks


def _statistics(culprit: Call | None) -> list[Call]:
    """Mean and deviation of one tensor along one axis, where both are taken: the batch is standardised by hand."""
    if culprit is None or culprit.name not in ("mean", "std", "var") or not culprit.inputs:
        return []
    source = culprit.inputs[0]
    centred = [v for call in source.readers if call.name in ("sub", "__sub__") for v in call.outputs]
    taken = [
        call
        for value in (source, *centred)
        for call in value.readers
        if call.name in ("mean", "std", "var") and call.argument(1, "dim") == culprit.argument(1, "dim")
    ]
    return taken if {"std", "var"} & {call.name for call in taken} else []


def meant(lab: Experiments, statistics: tuple[Call, ...]) -> bool:
    """Whether statistics taken by hand may be meant: of the data themselves, of all there is, or kept for evaluation.

    One number for all elements of a vector or table standardises advantages and the like.
    """
    source = statistics[0].inputs[0]
    if source in lab.baseline.inputs:
        return True
    if len(source.shape) < 3 and all(call.argument(1, "dim") is None for call in statistics):
        return True
    kept = [lab.baseline.values[k] for k in lab.after | lab.buffered]
    return any(source.index in lab.baseline.ancestors(value) for value in kept)


def _compared(
    lab: Experiments,
    samples: tuple[int, ...],
    wanted: set[int] | None,
    *,
    extra: set[int] | None = None,
    masks: bool = False,
) -> Samples:
    """A run for each sample; tracks for the wanted values (and the extra ones), for all if None."""
    tracks: dict[int, Track] = {}
    tested: list[int] = []
    why = ""
    elsewhere = _packed(lab) if masks else set()
    for s in samples:
        lab.says(f"sample {s} of {lab.N} replaced")
        moved: dict[int, Tensor | None] = {}

        def compare(value: Value, tensor: Tensor, moved: dict[int, Tensor | None] = moved) -> None:
            if value.index in elsewhere:
                return
            if wanted is None or value.index in wanted or (extra and value.index in extra):
                before = value.elements
                slack = max(lab.slack, other_order(tensor) if masks else 0.0)  # other flags may pack in another order
                moved[value.index] = None if before is None else differs(before, tensor, slack)

        error = lab.follow(lab.inputs.sample(s, masks=masks), compare).error
        if error is not None and not lab.stops_alike(error):
            why = f"with sample {s} replaced the program raises {type(error).__name__}"
            continue
        if wanted is not None and any(moved.get(index) is None for index in wanted):
            why = f"with sample {s} replaced the program takes another path or gives another shape"
            continue
        tested.append(s)
        for index, elements in moved.items():
            track = tracks.get(index)
            if track is None:
                track = tracks[index] = Track(lab.baseline.values[index].shape, lab.N)
            track.add(s, elements)
    return Samples("apart", tuple(tested), why, tracks=tracks)


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


def _wrong(lab: Experiments, tracks: dict[int, Track]) -> tuple[str, Value] | None:
    """The first result whose rows are not those of their own samples."""
    right, wrong = 0, None
    for path, value in lab.results:
        track = tracks.get(value.index)
        if track is None or track.unknown or not track.touched:
            continue
        if track.in_place() or track.paired or _ordered(track):
            right += 1
        elif wrong is None or (not track.mixed and tracks[wrong[1].index].mixed):
            wrong = wrong or (path, value)
    if wrong is not None and right and not _rows(tracks[wrong[1].index]):
        shape = wrong[1].shape
        of_rows = len(shape) > 2 and any(size % lab.N == 0 for size in shape[:-1])
        if lab.N not in shape and not of_rows:
            return None  # a summary of the batch beside a result that has its rows
    return wrong


def _rows(track: Track) -> bool:
    return not track.mixed and bool(track.axes)


def _ordered(track: Track) -> bool:
    """Samples apart on an axis that holds several rows of each, in the samples' own order."""
    layout = track.layout()
    return layout is not None and track.N not in track.shape


def _judged(lab: Experiments, samples: Samples) -> Samples:
    wrong = _wrong(lab, samples.tracks)
    if wrong is None or len(samples.tested) < 2:
        return Samples("apart", samples.tested, tracks=samples.tracks)
    samples.path, samples.result = wrong
    summed = wrong[1].index in lab.summed
    track = samples.tracks[wrong[1].index]
    way = lab.baseline.ancestors(wrong[1])
    culprit = _first_mixing(lab, samples, way)
    if culprit is None and track.mixed and _from_tables(lab, samples, way):
        culprit = None if summed else _summed_table(lab, samples, way)
        if culprit is None:
            samples.kind = "pairs"
            return samples
    if culprit is not None and track.mixed:
        if summed and _is_summary(lab, samples, culprit, way):
            samples.kind = "apart"
            return samples
        samples.kind, samples.culprit = "mixed", culprit
        return samples
    if track.mixed:
        samples.kind = "mixed"
        samples.culprit = wrong[1].maker
        return samples
    dropped = _first_dropping(lab, samples, way)
    if dropped is not None:
        samples.kind, samples.culprit = "dropped", dropped
    elif culprit is not None:
        samples.kind, samples.culprit = "mixed", culprit
    elif not summed and (places := track.places()) is not None and any(s != at for s, at in places.items()):
        last = _last_permuting(lab, samples, way)
        samples.kind = "permuted"
        samples.culprit = _not_restoring(lab, way, last, wrong[1]) or last or wrong[1].maker
        if _order_returned(lab, samples, way):
            samples.kind, samples.culprit = "apart", None
    else:
        view = _placing_view(lab, samples, wrong[1])
        samples.kind, samples.culprit = ("apart", None) if view is None else ("mixed", view)
    return samples


def _placing_view(lab: Experiments, samples: Samples, value: Value) -> Call | None:
    """A view on the way that was given an axis of N, on which the samples do not lie; it grows with one sample more."""
    result = value
    while value.maker is not None and value.maker.inputs:
        maker = value.maker
        before, after = samples.layout(maker.inputs[0]), samples.layout(value)
        given = maker.inputs[0].shape
        viewed = maker.name in ("view", "reshape") and made_axis(lab.N, given, value.shape)
        elsewhere = after is None or value.shape[after.axis] != lab.N
        if viewed and elsewhere and before is not None and given[before.axis] == lab.N:
            return maker if _grows(lab, result) else None
        value = maker.inputs[0]
    return None


def _grows(lab: Experiments, result: Value) -> bool:
    """Whether an axis of N of a result is the batch's size and no other that is equal: one sample more shows it."""
    lab.says("one sample more")
    trace = lab.record(lab.inputs.wider(1))
    at = next((k for k, (_, value) in enumerate(lab.baseline.results) if value is result), None)
    if trace.error is not None or at is None or len(trace.results) <= at:
        return trace.error is not None
    after = trace.results[at][1].shape
    return any(n == lab.N and m == lab.N + 1 for n, m in zip(result.shape, after, strict=False))


def _calls_on(lab: Experiments, way: set[int]) -> Iterator[Call]:
    for call in lab.baseline.calls:
        if any(value.index in way for value in call.outputs):
            yield call


def _first_mixing(lab: Experiments, samples: Samples, way: set[int]) -> Call | None:
    """The earliest call on the way with a mixed output and no mixed input."""
    bad: set[int] = set()
    tables: set[int] = set()  # similarities, and what is computed from nothing else
    for call in _calls_on(lab, way):
        if any(v.index in bad for v in call.inputs):
            bad.update(v.index for v in call.outputs)
            continue
        holding = [v for v in call.inputs if (t := samples.track(v)) is not None and t.touched]
        paired = [v for v in holding if v.index in tables or samples.tracks[v.index].paired]
        if holding and len(paired) == len(holding) and call.name not in _PRODUCTS:
            tables.update(v.index for v in call.outputs)
            continue
        mixed = any((t := samples.track(v)) is not None and t.mixed for v in call.outputs)
        if mixed or cut(samples, call):
            if any((t := samples.track(v)) is not None and t.mixed for v in call.inputs):
                # written in place where nobody looked: the writer is among the makers
                bad.update(v.index for v in call.outputs)
                writer = next((v.maker for v in call.inputs if (t := samples.track(v)) and t.mixed and v.maker), call)
                return writer
            return call
    return None


def cut(samples: Samples, call: Call) -> bool:
    """Whether a call is a view that cuts across samples, also where its elements look apart by luck."""
    if call.name not in _VIEWS or not call.inputs or not call.outputs:
        return False
    layout = samples.layout(call.inputs[0])
    return layout is not None and cuts(layout, call.outputs[0].shape)


def _is_summary(lab: Experiments, samples: Samples, culprit: Call, way: set[int]) -> bool:
    """Whether samples meet only because a scalar is being added up: no layer follows the reduction.

    A table of pairs (similarities) that ends in a scalar is such a sum too.
    """
    if any((t := samples.track(v)) is not None and t.paired for v in culprit.inputs):
        return True
    if culprit.name not in _REDUCES:
        return False
    after: set[int] = {v.index for v in culprit.outputs}
    for call in _calls_on(lab, way):
        if call.index > culprit.index and any(v.index in after for v in call.inputs):
            if any(v.parameter for v in call.inputs):
                return False
            after.update(v.index for v in call.outputs)
    return True


def _first_dropping(lab: Experiments, samples: Samples, way: set[int]) -> Call | None:
    """The call that lets only some samples through, where the result holds only some."""
    result = samples.tracks[samples.result.index] if samples.result is not None else None
    if result is None or len(result.touched) == len(samples.tested):
        return None
    for call in _calls_on(lab, way):
        for value in call.inputs:
            before = samples.track(value)
            if before is None or len(before.touched) <= len(result.touched):
                continue
            after = [t for v in call.outputs if v.index in way and (t := samples.track(v)) is not None]
            if (
                after
                and all(set(t.touched) == set(result.touched) for t in after)
                and set(before.touched) > set(result.touched)
            ):
                return call
    return None


def _from_tables(lab: Experiments, samples: Samples, way: set[int]) -> bool:
    """Whether samples meet in a table of similarities on the way: on purpose."""
    return any((t := samples.track(v)) is not None and t.paired for call in _calls_on(lab, way) for v in call.outputs)


def _summed_table(lab: Experiments, samples: Samples, way: set[int]) -> Call | None:
    """The sum over one side of a product of all samples with all, which is not a table that anything is read from."""
    for call in _calls_on(lab, way):
        table = call.inputs[0] if call.name in ("sum", "mean") and call.inputs else None
        if table is not None and table.maker is not None and table.maker.name in _PRODUCTS:
            track = samples.track(table)
            if track is not None and track.paired and len(table.readers) == 1:
                return call
    return None


_REORDERS = names_in("__getitem__ index_select gather flip roll cat stack sort scatter take_along_dim index_copy")


def _reorders(samples: Samples, call: Call) -> bool:
    """Whether a call puts samples in other places of an axis of N."""
    if call.name not in _REORDERS:
        return False
    for value in call.inputs:
        before, after = samples.track(value), samples.track(call.outputs[0])
        if before is not None and after is not None and before is not after:
            a, b = before.places(), after.places()
            if a and b and a != b:
                return True
    return False


def _order_returned(lab: Experiments, samples: Samples, way: set[int]) -> bool:
    """Whether the order, or something else in the same order, comes back with the rows."""
    orders = {v.index for call in _calls_on(lab, way) if _reorders(samples, call) for v in call.inputs[1:]}
    for _, value in lab.baseline.results:
        maker = value.maker
        if value.index in orders or (maker is not None and any(v.index in orders for v in maker.outputs)):
            return True
        track = samples.track(value)
        ordered = maker is not None and any(v.index in orders for v in maker.inputs[1:])
        if ordered and (track is None or not track.touched):
            return True
    return False


def _last_permuting(lab: Experiments, samples: Samples, way: set[int]) -> Call | None:
    """The last call on the way that puts samples in other places."""
    return max((call for call in _calls_on(lab, way) if _reorders(samples, call)), key=lambda c: c.index, default=None)


def _not_restoring(lab: Experiments, way: set[int], last: Call | None, result: Value) -> Call | None:
    """Where rows that were sorted for packing should have been put back: an index that leaves them where they are, or
    the first call that computes with them."""
    packs = [call for call in _calls_on(lab, way) if call.name == "_pack_padded_sequence"]
    sorted_for = [
        c for c in packs if last is not None and {v.index for v in last.outputs} & lab.baseline.ancestors(c.inputs[0])
    ]
    if last is None or not sorted_for:
        return None
    pack = sorted_for[-1]
    ends = [c for c in _calls_on(lab, way) if c.index > pack.index and (c.name == "_pad_packed_sequence" or c.module)]
    lines = {call.line for call in (pack, *ends)}
    behind = [call for call in _calls_on(lab, way) if call.index > pack.index and call.line not in lines]
    for call in behind:
        index = call.inputs[1:] if call.name in ("__getitem__", "index_select") else ()
        if index and index[-1].shape == (lab.N,) and not index[-1].tensor.is_floating_point():
            return call
    moves = ("__getitem__", "cat", "stack", "squeeze", "view", "reshape", "transpose", "permute", "unsqueeze")
    return next((call for call in behind if call.name not in moves and not _creates(call)), None)


def _creates(call: Call) -> bool:
    return all(v.parameter for v in call.inputs)
