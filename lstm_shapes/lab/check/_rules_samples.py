"""The rules on samples: rows that depend on other rows, and which call makes them so."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab._words import layer_names, named, symbol, value_name
from lstm_shapes.lab.trace import Call, LayerCall

from ._blame import Blame, blame_of, scrambling_view
from ._experiments import Experiments
from ._fixes import best, samples_hold
from ._losses import losses_of
from ._padding import Padding, padding_of
from ._placing import Coincidence, coincidence_of  # and its own rules are registered
from ._samples import Samples, meant, samples_of
from .report import Evidence, Finding
from .rule import RULES, rule

_PURPOSE = (
    "probably the axis on which the samples lie has to stay apart here; where samples see each other on purpose, "
    "check(…, mixes=True) declares it"
)
# What a call does to the axis of the samples, and what is said of it: code, title, measurement, of a Blame.
_SAYS = {
    "time": (
        "LS201",
        "{0.layer.called} reads the batch as time: the state runs from sample to sample",
        "{0.name} {0.shape} has the samples on axis {0.axis}, which {0.constructor} reads as time; {0.samples.moved}",
    ),
    "steps": (
        "LS201",
        "{0.layer.called} steps through the batch: the state runs from sample to sample",
        "x {0.value.shape} belongs to one sample and its state to others; {0.samples.moved}",
    ),
    "along": (
        "LS201",
        "{0.spoken} runs along the batch: a sample's numbers depend on the other samples",
        "{0.name} {0.shape} has the samples on axis {0.axis}; {0.after}",
    ),
    "product": (
        "LS201",
        "{0.symbol} sums over the batch: each row of the result holds all samples",
        "{0.operands}: the samples lie on axis {0.axis} of {0.name}, which the product sums over",
    ),
    "picked": (
        "LS201",
        "{0.index} takes single samples out of the batch, and the result holds only those",
        "{0.name} {0.shape} has the samples on axis {0.axis}; {0.samples.moved}",
    ),
    "stacked": (
        "LS201",
        "{0.call.name} puts the steps where what follows has the samples",
        "{0.shape}, the result, has the samples on axis {0.axis}; {0.samples.moved}",
    ),
    "joined": ("LS201", "{0.symbol} joins rows of different samples", "{0.layouts}"),
    "other": (
        "LS201",
        "samples influence each other in {0.symbol}: batch and another axis are exchanged",
        "{0.samples.moved}",
    ),
    "view": (
        "LS202",
        "{0.call.name} cuts across the samples: rows of the result hold parts of several",
        "{0.name} {0.shape} has the samples on axis {0.axis}; as {0.made} the same memory puts them elsewhere: "
        "{0.after}",
    ),
    "state": ("LS202", "{0.layer.called} gets x and a state whose rows belong to different samples", "{0.layouts}"),
    "unbatched": (
        "LS207",
        "{0.layer.called} reads the {0.layer.L} rows of a 2-D input as the steps of one sequence",
        "the input {0.value.shape} has no batch axis for {0.constructor}; {0.samples.moved}; batch_dim=None says that "
        "it is one sequence on purpose",
    ),
    "flattened": (
        "LS214",
        "{0.call.name} compares predictions and targets that were flattened in different orders",
        "{0.layouts}",
    ),
    "order": ("LS214", "{0.symbol} joins rows that were sorted with rows that were not", "{0.layouts}"),
    "sorted": (
        "LS214",
        "the result's rows are in another order than the samples: row i belongs to another sample",
        "sample → row: {0.places}; the last call that reorders rows is this one",
    ),
}


def _said(code: str, blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """What is said of a call that mixes samples, if it is said under this code."""
    if blame is None or _SAYS.get(blame.kind, ("",))[0] != code:
        return
    if blame.kind not in ("unbatched", "flattened", "order", "sorted") and (blame.state or lab.ask(coincidence_of)):
        return  # said of the state, or as a coincidence
    if blame.kind == "joined" and lab.ask(losses_of).batch_first(blame.call):
        return
    title, measured = (words.format(blame) for words in _SAYS[blame.kind][1:])
    layer = blame.layer.name if blame.layer is not None else ""
    evidence, made_by = tuple(_evidence(blame.samples)), tuple(_history(blame))
    fix = best(lab, blame.fixes, samples_hold) or _PURPOSE
    yield RULES[code].finding(title, measured, fix, blame.call.where, layer=layer, evidence=evidence, made_by=made_by)


@rule("LS201", "batch-time-swap", blame_of, samples_of)
def batch_time_swap(blame: Blame | None, samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """Samples influence each other, or are ignored: the batch axis is used as another one.

    A recurrent layer reads (L, N, Q), or (N, L, Q) with batch_first=True; hn and cn stay (K·R, N, H) in both. Nothing
    raises where batch and time are exchanged: the state then runs from sample to sample. The same happens where a
    softmax, a mean, a maximum, a product or an index works along the batch axis.

    Wrong and right::

      - rnn, head = nn.LSTM(5, 8), nn.Linear(8, 3)
      + rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[0][:, -1])
    """
    for call in samples.statistics[:1]:
        title = f"{call.name} standardises over the batch by hand: a row depends on the batch that it is in"
        value, purpose = call.inputs[0], meant(lab, samples.statistics)
        shown = f"{value_name(value, call)} {samples.shape(value)}"
        measured = (
            f"{shown}: mean and deviation along the batch{'' if purpose else ', and none is kept for evaluation'}"
        )
        fix = "probably another axis, or nn.BatchNorm1d, which keeps running statistics for evaluation"
        yield batch_time_swap.finding(title, measured, fix, call.where, level="warning" if purpose else "error")
    if blame is None and samples.kind in ("mixed", "dropped") and samples.culprit is None:
        where = ", ".join(sorted(lab.baseline.unseen)) or "numpy or another library"
        title = f"samples influence each other in what no call of torch shows: {where}"
        evidence = tuple(_evidence(samples))
        yield batch_time_swap.finding(title, samples.moved, _PURPOSE, None, evidence=evidence)
    yield from _said(batch_time_swap.code, blame, lab)


@rule("LS202", "scrambled-reshape", blame_of)
def scrambled_reshape(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """Samples, layers or steps are mixed because view or reshape was used where a permute was needed.

    view and reshape keep the elements in their order in memory and cut that order anew. They never exchange axes:
    x.view(L, N, D) of an (N, L, D) tensor puts steps of one sample where the next sample is expected. transpose and
    permute exchange axes.

    Wrong and right::

        rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(16, 3)
      - model = lambda x: head(rnn(x)[1].reshape(x.size(0), -1))
      + model = lambda x: head(rnn(x)[1].transpose(0, 1).reshape(x.size(0), -1))
    """
    if blame is None and (scrambled := lab.ask(scrambling_view)) is not None:
        call, axis, fix = scrambled
        shape, made = call.inputs[0].shape, call.outputs[0].shape
        title = f"{call.name} exchanges no axes: axis {axis} of the result, of size {made[axis]}, holds other elements"
        measured = (
            f"{value_name(call.inputs[0], call)} {shape} in memory order, cut anew as {made}: no axis of it is kept"
        )
        yield scrambled_reshape.finding(title, measured, f"probably {fix}", call.where)
    yield from _said(scrambled_reshape.code, blame, lab)


@rule("LS207", "unbatched-by-accident", blame_of)
def unbatched(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """A 2-D input meant as a batch is read as one unbatched sequence.

    A recurrent layer takes (L, Q) without a batch axis: one sequence. Rows that were meant as samples then become its
    steps, and nothing raises.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
      - inputs = (torch.randn(7, 5),)
      + inputs = (torch.randn(1, 7, 5),)
    """
    if blame is None and (found := _squeezed(lab)) is not None:
        layer, squeeze = found
        before, after = squeeze.inputs[0], squeeze.outputs[0]
        title = f"squeeze() removes the batch axis of one sample, and {layer.called} reads what is left as unbatched"
        shown = f"{value_name(before, squeeze)} {named(before, {lab.batch_dim or 0: 'N'})}"
        measured = f"{shown} becomes {after.shape}: with two samples it stays {len(before.shape)}-D"
        fix = "squeeze(dim) with the axis that is meant, or none; unsqueeze(0) puts a batch axis back"
        yield unbatched.finding(title, measured, fix, squeeze.where, layer=layer.name)
    yield from _said(unbatched.code, blame, lab)


def _squeezed(lab: Experiments) -> tuple[LayerCall, Call] | None:
    """The unbatched call of a layer whose input lost the batch axis of the only sample in a squeeze() of all axes."""
    at = lab.batch_dim
    if at is None or lab.N != 1 or any(v.shape[at : at + 1] == (1,) for _, v in lab.results):
        return None
    inputs = {value.index for value in lab.baseline.inputs}
    for layer in lab.layers:
        way = lab.baseline.ancestors(layer.X) if layer.unbatched else set()
        for call in lab.baseline.calls:
            bare = call.name == "squeeze" and len(call.args) == 1 and not call.kwargs
            ranks = [len(value.shape) for value in (*call.inputs, *call.outputs)]
            if not bare or ranks != [3, 2] or call.outputs[0].index not in way:
                continue
            if inputs & {value.index for value in (*call.inputs, *call.inputs[0].parents)}:
                return layer, call
    return None


@rule("LS302", "equal-sizes", samples_of)
def equal_sizes(samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """The call is right, but two axes have equal sizes, so a swap would raise nothing.

    Where a sequence has as many steps as the batch has samples, a layer reads either layout without a word. Inputs of
    distinct sizes, N = 4 beside L = 7, let torch refuse what is exchanged.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
      - inputs = (torch.randn(6, 6, 5),)
      + inputs = (torch.randn(6, 7, 5),)
    """
    if samples.kind != "apart":
        return
    for layer in lab.layers:
        if not layer.cell and not layer.packed and layer.N == layer.L == lab.N > 1:
            title = f"{layer.called} reads as many steps as samples: a swap of the two would go unnoticed"
            measured = f"x {layer.X.shape} has N == L == {lab.N}; the samples were found apart on the right axis"
            fix = "inputs with N and L different, for this test"
            yield equal_sizes.finding(title, measured, fix, layer.call.where, level="note", layer=layer.name)
            return


@rule("LS303", "undecidable", samples_of)
def undecidable(samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """The input cannot decide a rule.

    One sample has no others that it could depend on: batch and time may be exchanged, and a softmax may run over the
    batch, and nothing shows. Two samples of different values decide it.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
      - inputs = (torch.randn(1, 7, 5),)
      + inputs = (torch.randn(2, 7, 5),)
    """
    if samples.lets and lab.N == 1:
        title = "one sample cannot show whether samples stay apart"
        yield undecidable.finding(title, f"N = {lab.N}", f"pass {samples.lets}", None, level="note")


@rule("LS304", "not-tested", samples_of, padding_of)
def not_tested(samples: Samples, padding: Padding, lab: Experiments) -> Iterator[Finding]:
    """An experiment did not run, although the program has what it is about.

    Rows that end in zeros may be padded: with their lengths the batch is cut to the shortest row and compared. A
    program that raises with other samples, or draws from a source that nobody can put back, is not compared at all.

    Wrong and right::

        embed, rnn = nn.Embedding(20, 5), nn.LSTM(5, 8, batch_first=True)
        model = lambda ids: rnn(embed(ids))[0]
        inputs = (torch.tensor([[3, 4, 5, 6], [7, 0, 0, 0]]),)
      + lengths = torch.tensor([4, 1])
    """
    for one, says in ((samples, "samples are"), (padding, "padding is")):
        if one.lets and lab.N > 1:
            title = f"{says} not tested: {one.why}"
            yield not_tested.finding(title, one.why, f"pass {one.lets}", None, level="note")


@rule("LS208", "legal-by-coincidence", coincidence_of)
def legal_by_coincidence(found: Coincidence | None, lab: Experiments) -> Iterator[Finding]:
    """A wrong layout is accepted only because two sizes are equal.

    A state of shape (N, K, H) is refused unless N == K, and a state made with x.size(1) unless N == L. The last batch
    of an epoch, or a larger one, then raises. One sample more shows it.

    Wrong and right::

        rnn = nn.GRU(5, 8, num_layers=3, batch_first=True)
      - model = lambda x: rnn(x, torch.zeros(x.size(0), 3, 8))[0][:, -1]
      + model = lambda x: rnn(x, torch.zeros(3, x.size(0), 8))[0][:, -1]
        inputs = (torch.randn(3, 6, 5),)
    """
    if found is not None:
        yield legal_by_coincidence.finding(found.title, found.measured, found.fix, found.where, layer=found.layer)


@rule("LS214", "sample-order", blame_of)
def sample_order(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """Output row i belongs to another sample: sorted for packing and not restored.

    pack_padded_sequence wants rows in the order of falling length, or enforce_sorted=False, which sorts and restores
    by itself. Rows that were sorted by hand come back sorted: order.argsort() is the way back.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n):
            n, order = n.sort(descending=True)
      -     return rnn(pack_padded_sequence(x[order], n, batch_first=True))[1][-1]
      +     return rnn(pack_padded_sequence(x[order], n, batch_first=True))[1][-1][order.argsort()]
        lengths = torch.tensor([3, 7, 5, 2])
        inputs = (torch.randn(4, 7, 5), lengths)
    """
    yield from _said(sample_order.code, blame, lab)


def on_batch_axis(blame: Blame, lab: Experiments) -> tuple[str, str, str]:
    """Title, measurement and fix where a call works on the batch axis of hn or cn."""
    assert blame.maker is not None
    name = layer_names(blame.maker)[blame.state]
    title = f"{symbol(blame.call.name)} works on axis 1 of {name}, which is the batch"
    measured = (
        f"{name} is (K·R, N, H) = {blame.value.shape}, with batch_first too; {blame.samples.moved}, so samples are "
        "dropped or mixed"
    )
    return title, measured, best(lab, blame.fixes, samples_hold)


def _history(blame: Blame) -> Iterator[str]:
    """The lines that laid out the tensor, nearest first."""
    value, seen = blame.value, {str(blame.call.where)}
    lays = ("view", "reshape", "transpose", "permute", "unsqueeze", "flatten", "cat", "stack", "t", "T")
    for _ in range(6):
        maker = value.maker
        if maker is None or not maker.inputs:
            return
        place, value = str(maker.where), maker.inputs[0]
        if maker.name in lays and place not in seen:
            seen.add(place)
            yield f"{place}  ({maker.name}: {value.shape} to {maker.outputs[0].shape})"


def _evidence(samples: Samples) -> Iterator[Evidence]:
    track = None if samples.result is None else samples.track(samples.result)
    if track is not None and track.shape and track.shape[track.rows] <= 16:
        axis, rows = track.rows, range(track.shape[track.rows])
        yield Evidence(
            "replaced one sample at a time",
            f"rows of the result{samples.path} {track.shape} that moved",
            tuple(tuple(bool(sets) and row in sets[axis] for sets in track.along.values()) for row in rows),
            f"index on axis {axis} of the result",
            f"sample {', '.join(map(str, track.along))} replaced",
        )
