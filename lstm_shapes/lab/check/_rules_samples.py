"""The rules on samples: rows that depend on other rows, and which call makes them so."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab._words import named, value_name
from lstm_shapes.lab.trace import Call, LayerCall

from ._blame import Blame, Coincidence, blame_of, coincidence_of, scrambling_view
from ._experiments import Experiments
from ._fixes import best
from ._rules_losses import losses_of
from ._rules_padding import Padding, padding_of
from ._samples import Samples, meant, samples_of
from .report import RULES, Evidence, Finding, rule

_LAYS = ("view", "reshape", "transpose", "permute", "unsqueeze", "flatten", "cat", "stack", "t", "T")
_PURPOSE = (
    "probably the axis on which the samples lie has to stay apart here; where samples see each other on purpose, "
    "check(…, mixes=True) declares it"
)


def mixing(code: str, blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """What is said of the call that mixes samples, if it is said under this code."""
    if blame is None or blame.code != code:
        return
    if code in ("LS201", "LS202") and (lab.ask(coincidence_of) or lab.ask(losses_of).batch_first(blame.call)):
        return  # a finding of its own
    history, value = dict[str, str](), blame.value  # the lines that laid out the tensor, nearest first
    for _ in range(6):
        if value.maker is None or not (maker := value.maker).inputs:
            break
        place, value = str(maker.where), maker.inputs[0]
        if maker.name in _LAYS and place != str(blame.call.where):
            history.setdefault(place, f"{place}  ({maker.name}: {value.shape} to {maker.outputs[0].shape})")
    name, fix = blame.layer.name if blame.layer is not None else "", best(lab, blame.fixes) or _PURPOSE
    evidence, made_by = tuple(_evidence(blame.samples)), tuple(history.values())
    told = (blame.title, blame.measured, fix, blame.call)
    yield RULES[code].finding(*told, layer=name, evidence=evidence, made_by=made_by)


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
        measured = f"{shown}: mean and deviation along the batch"
        measured += "" if purpose else ", and none is kept for evaluation"
        fix = "probably another axis, or nn.BatchNorm1d, which keeps running statistics for evaluation"
        yield batch_time_swap.finding(title, measured, fix, call, level="warning" if purpose else "error")
    if blame is None and samples.kind in ("mixed", "dropped") and samples.culprit is None:
        where = ", ".join(sorted(lab.baseline.unseen)) or "numpy or another library"
        title = f"samples influence each other in what no call of torch shows: {where}"
        evidence = tuple(_evidence(samples))
        yield batch_time_swap.finding(title, samples.moved, _PURPOSE, None, evidence=evidence)
    yield from mixing(batch_time_swap.code, blame, lab)


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
        measured = f"{value_name(call.inputs[0], call)} {shape} in memory order, cut anew as {made}"
        yield scrambled_reshape.finding(title, f"{measured}: no axis of it is kept", f"probably {fix}", call)
    yield from mixing(scrambled_reshape.code, blame, lab)


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
        yield unbatched.finding(title, measured, fix, squeeze, layer=layer.name)
    yield from mixing(unbatched.code, blame, lab)


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
            yield equal_sizes.finding(title, measured, fix, layer, level="note")
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
        yield undecidable.finding(title, "N = 1", f"pass {samples.lets}", None, level="note")


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
        yield legal_by_coincidence.finding(found.title, found.measured, found.fix, found.layer)


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
    yield from mixing(sample_order.code, blame, lab)


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
