"""The rules on samples: rows that depend on other rows, and which call makes them so."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab._words import call_text, layer_names, loop_line, named, symbol, value_name
from lstm_shapes.lab.trace import Call, LayerCall

from ._blame import Blame, blame_of
from ._coincidence import Coincidence, coincidence_of
from ._experiments import Experiments
from ._fixes import best, samples_hold
from ._kept import unread_of
from ._laid import Laid, laid_of
from ._losses import losses_of
from ._padding import Padding, padding_of
from ._placing import Placed, placed_of
from ._samples import Samples, meant, samples_of
from ._views import scrambling_view
from .report import Evidence, Finding, Level
from .rule import RULES, also, rule

__all__ = ["on_batch_axis"]


@rule("LS201", "batch-time-swap", blame_of, samples_of)
def batch_time_swap(blame: Blame | None, samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """Samples influence each other, or are ignored: the batch axis is used as another one.

    A recurrent layer reads (L, N, Q), or (N, L, Q) with batch_first=True; hn and cn stay (K·R, N, H) in both. Nothing
    raises where batch and time are exchanged: the state then runs from sample to sample. The same happens where a
    softmax, a mean, a maximum, a product or an index works along the batch axis.

    Wrong::

        rnn, head = nn.LSTM(5, 8), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[0][:, -1])
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[0][:, -1])
        inputs = (torch.randn(4, 7, 5),)
    """
    for call in samples.statistics[:1]:
        title = f"{call.name} standardises over the batch by hand: a row depends on the batch that it is in"
        value = call.inputs[0]
        shown = f"{value_name(value, call)} {named(value, _axes(lab, value))}"
        may_be_meant = meant(lab, samples.statistics)
        measured = f"{shown}: mean and deviation along the batch" + (
            "" if may_be_meant else ", and none is kept for evaluation"
        )
        fix = "probably another axis, or nn.BatchNorm1d, which keeps running statistics for evaluation"
        level: Level = "warning" if may_be_meant else "error"
        yield batch_time_swap.finding(title, measured, fix, call.where, level=level)
    if blame is None and samples.kind in ("mixed", "dropped") and samples.culprit is None:
        where = ", ".join(sorted(lab.baseline.unseen)) or "numpy or another library"
        title = f"samples influence each other in what no call of torch shows: {where}"
        yield batch_time_swap.finding(title, _moved_result(lab), _PURPOSE, None, evidence=tuple(_evidence(lab)))
    if blame is None or blame.state or blame.kind == "order" or _coincides(lab):
        return
    says = {
        "time": _reads_as_time,
        "along": _along,
        "product": _product,
        "picked": _picked,
        "other": _other,
    }.get(blame.kind)
    if blame.kind == "joined" and blame.layer is None and not lab.ask(losses_of).batch_first(blame.call):
        says = _joined
    if says is not None:
        title, measured = says(blame, lab)
        yield _finding(batch_time_swap.code, title, measured, blame, lab)


@also(placed_of)
def by_place(placed: Placed | None, lab: Experiments) -> Iterator[Finding]:
    """LS201: rows that depend on their place in the batch, or on how many there are."""
    unread = lab.ask(unread_of)
    if placed is None or (unread is not None and unread.kind == "loop"):
        return  # a loop over the batch's size takes more steps with one sample more: that is said of its line
    shown = f"the result {placed.result.shape}"
    measured = f"with the first sample once more in front, the rows of {shown} behind it are no longer what they were"
    if placed.turned is not None:
        value, call = placed.turned.inputs[0], placed.turned
        title = f"{call.name} exchanges no axes, and is accepted only because two sizes are equal"
        measured = f"{value_name(value, call)} {value.shape} was to be turned, and keeps its memory order; {measured}"
        yield RULES["LS202"].finding(title, measured, f"probably {value_name(value, call)}.transpose(0, 1)", call.where)
        return
    if placed.crossed:
        shapes = " and ".join(str(v.shape) for v in placed.call.inputs[:2])
        title = f"{symbol(placed.call.name)} lays the samples over another axis, which only has the same size"
        measured = f"operands {shapes}; with N = {lab.N + 1} samples the same program raises"
        fix = "probably a transpose or another dim before it, so that both have the samples on one axis"
        yield RULES["LS208"].finding(title, measured, fix, placed.call.where)
        return
    if placed.shared:
        value = placed.call.inputs[0]
        title = f"{symbol(placed.call.name)} makes one flag of those of all samples"
        measured = f"{value_name(value, placed.call)} {value.shape} holds one for each; with the others off a row moves"
        fix = "probably each sample's own flag, (N, 1) beside (N, ·)"
        yield batch_time_swap.finding(title, measured, fix, placed.call.where)
        return
    if placed.laid is not None:
        name = value_name(placed.laid, placed.call)
        title = f"{name} is laid along the batch: a row depends on its place"
        measured = f"{name} {placed.laid.shape} differs from sample to sample and is made of no input; {measured}"
        fix = "probably the axis of the steps: unsqueeze(0) gives (1, L, ·) beside (N, L, ·), and arange(x.size(1))"
        where = placed.laid.maker.where if placed.laid.maker is not None else placed.call.where
    elif placed.extra is not None:
        title = "a loop runs over the batch's size: a row depends on how many samples there are"
        measured = f"with one sample more the loop makes one turn more; {measured}"
        fix = "probably range(x.size(1)), or for x_t in x.unbind(1): the steps are axis 1 of (N, L, ·)"
        where = loop_line(placed.extra.where)
    else:
        title = f"{symbol(placed.call.name)} makes a row depend on how many samples there are, or on its place"
        fix = "probably another axis: x.size(1) counts the steps of (N, L, ·), x.size(0) the samples"
        where = placed.call.where
    yield batch_time_swap.finding(title, measured, fix, where)


@also(laid_of)
def laid_elsewhere(laid: Laid | None, lab: Experiments) -> Iterator[Finding]:
    """LS201: rows that are right and lie on another axis of the result than the inputs' samples."""
    if laid is None:
        return
    call, shape = laid.call, laid.call.outputs[0].shape
    name = symbol(call.name).strip("_")
    measured = f"the inputs have the samples on axis {laid.meant}, {shape} has them on axis {laid.axis}"
    level: Level = "error"
    if laid.kind == "split":
        title = f"{name} joins the steps along the batch: the axis of one step beside it is left"
        measured = f"{len(call.inputs)} pieces {call.inputs[0].shape} become {shape}"
        fix = call_text(call, dim=1 - laid.axis)
    elif laid.kind == "packed":
        title = "rows are padded into the other layout than the one that they were packed from"
        fix = f"pad_packed_sequence(…, batch_first={not call.args[2]}), as in pack_padded_sequence"
    else:
        title = f"{name} puts the steps where the inputs have the samples: row i of the result is step i"
        fix = call_text(call, dim=1 - call.argument(1, "dim", 0)) if call.name == "stack" else "the other dim"
        if laid.kind == "beside":
            measured += f", and {laid.other} has them on axis {laid.meant}"
        else:
            spelled = len(call.args) > 1 or "dim" in call.kwargs  # without a dim it may well be meant
            level, fix = "warning" if spelled else "note", f"{fix}, unless whoever reads it wants the steps first"
    yield batch_time_swap.finding(title, measured, fix, call.where, level=level)


@rule("LS202", "scrambled-reshape", blame_of)
def scrambled_reshape(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """Samples, layers or steps are mixed because view or reshape was used where a permute was needed.

    view and reshape keep the elements in their order in memory and cut that order anew. They never exchange axes:
    x.view(L, N, D) of an (N, L, D) tensor puts steps of one sample where the next sample is expected. transpose and
    permute exchange axes.

    Wrong::

        rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(16, 3)
        model = lambda x: head(rnn(x)[1].reshape(x.size(0), -1))
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(16, 3)
        model = lambda x: head(rnn(x)[1].transpose(0, 1).reshape(x.size(0), -1))
        inputs = (torch.randn(4, 7, 5),)
    """
    if blame is None and (view := lab.ask(scrambling_view)) is not None:
        shape, made = view.call.inputs[0].shape, view.call.outputs[0].shape
        axis = f"axis {view.axis} of the result, of size {made[view.axis]}"
        title = f"{view.call.name} exchanges no axes: {axis}, holds other elements"
        name = value_name(view.call.inputs[0], view.call)
        measured = f"{name} {shape} in memory order, cut anew as {made}: no axis of it is kept"
        yield scrambled_reshape.finding(title, measured, f"probably {view.fix}", view.call.where)
    if blame is None or _coincides(lab):
        return
    if blame.kind == "view":
        samples = lab.ask(samples_of)
        shape = blame.call.outputs[0].shape
        title = f"{blame.call.name} cuts across the samples: rows of the result hold parts of several"
        measured = (
            f"{blame.name} {blame.shape} has the samples on axis {blame.axis}; as {shape} the same memory puts them "
            f"elsewhere: {_moved(samples.track(blame.call.outputs[0]))}"
        )
        yield _finding(scrambled_reshape.code, title, measured, blame, lab)
    elif blame.kind == "joined" and blame.layer is not None:
        title = f"{blame.layer.called} gets x and a state whose rows belong to different samples"
        yield _finding(scrambled_reshape.code, title, _two_layouts(blame, lab), blame, lab)


@rule("LS207", "unbatched-by-accident", blame_of)
def unbatched(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """A 2-D input meant as a batch is read as one unbatched sequence.

    A recurrent layer takes (L, Q) without a batch axis: one sequence. Rows that were meant as samples then become its
    steps, and nothing raises.

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(7, 5),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(1, 7, 5),)
    """
    if blame is None and (found := _squeezed(lab)) is not None:
        layer, squeeze = found
        before, after = squeeze.inputs[0], squeeze.outputs[0]
        title = f"squeeze() removes the batch axis of one sample, and {layer.called} reads what is left as unbatched"
        shown = f"{value_name(before, squeeze)} {named(before, {lab.batch_dim or 0: 'N'})}"
        measured = f"{shown} becomes {after.shape}: with two samples it stays {len(before.shape)}-D"
        fix = "squeeze(dim) with the axis that is meant, or none; unsqueeze(0) puts a batch axis back"
        yield unbatched.finding(title, measured, fix, squeeze.where, layer=layer.name)
    if blame is None or blame.kind != "unbatched" or blame.layer is None:
        return
    title = f"{blame.layer.called} reads the {blame.layer.L} rows of a 2-D input as the steps of one sequence"
    measured = (
        f"the input {tuple(blame.value.shape)} has no batch axis for {blame.layer.constructor()}; {_moved_result(lab)}"
        "; batch_dim=None says that it is one sequence on purpose"
    )
    yield _finding(unbatched.code, title, measured, blame, lab)


def _squeezed(lab: Experiments) -> tuple[LayerCall, Call] | None:
    """The unbatched call of a layer whose input lost the batch axis of the only sample in a squeeze() of all axes."""
    if (
        lab.batch_dim is None
        or lab.N != 1
        or any(v.shape[lab.batch_dim : lab.batch_dim + 1] == (1,) for _, v in lab.results)
    ):
        return None
    for layer in lab.layers:
        way = lab.baseline.ancestors(layer.X) if layer.unbatched else set()
        for call in lab.baseline.calls:
            bare = call.name == "squeeze" and len(call.args) == 1 and not call.kwargs
            if not bare or not call.outputs or call.outputs[0].index not in way or len(call.outputs[0].shape) != 2:
                continue
            if (
                any(v in lab.baseline.inputs for v in (call.inputs[0], *call.inputs[0].parents))
                and len(call.inputs[0].shape) == 3
            ):
                return layer, call
    return None


@rule("LS302", "equal-sizes", samples_of)
def equal_sizes(samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """The call is right, but two axes have equal sizes, so a swap would raise nothing.

    Where a sequence has as many steps as the batch has samples, a layer reads either layout without a word. Inputs of
    distinct sizes, N = 4 beside L = 7, let torch refuse what is exchanged.

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(6, 6, 5),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(6, 7, 5),)
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

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(1, 7, 5),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0][:, -1]
        inputs = (torch.randn(2, 7, 5),)
    """
    if samples.lets and lab.N == 1:
        title = "one sample cannot show whether samples stay apart"
        yield undecidable.finding(title, f"N = {lab.N}", f"pass {samples.lets}", None, level="note")


@rule("LS304", "not-tested", samples_of, padding_of)
def not_tested(samples: Samples, padding: Padding, lab: Experiments) -> Iterator[Finding]:
    """An experiment did not run, although the program has what it is about.

    Rows that end in zeros may be padded: with their lengths the batch is cut to the shortest row and compared. A
    program that raises with other samples, or draws from a source that nobody can put back, is not compared at all.

    Wrong::

        embed, rnn = nn.Embedding(20, 5), nn.LSTM(5, 8, batch_first=True)
        model = lambda ids: rnn(embed(ids))[0]
        inputs = (torch.tensor([[3, 4, 5, 6], [7, 0, 0, 0]]),)

    Right::

        embed, rnn = nn.Embedding(20, 5), nn.LSTM(5, 8, batch_first=True)
        model = lambda ids: rnn(embed(ids))[0]
        inputs = (torch.tensor([[3, 4, 5, 6], [7, 0, 0, 0]]),)
        lengths = torch.tensor([4, 1])
    """
    for name, one in (("samples", samples), ("padding", padding)):
        if one.lets and lab.N > 1:
            yield not_tested.finding(
                f"{name} {'is' if one is padding else 'are'} not tested: {one.why}",
                one.why,
                f"pass {one.lets}",
                None,
                level="note",
            )


@rule("LS208", "legal-by-coincidence", coincidence_of)
def legal_by_coincidence(found: Coincidence | None, lab: Experiments) -> Iterator[Finding]:
    """A wrong layout is accepted only because two sizes are equal.

    A state of shape (N, K, H) is refused unless N == K, and a state made with x.size(1) unless N == L. The last batch
    of an epoch, or a larger one, then raises. One sample more shows it.

    Wrong::

        rnn = nn.GRU(5, 8, num_layers=3, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(x.size(0), 3, 8))[0][:, -1]
        inputs = (torch.randn(3, 6, 5),)

    Right::

        rnn = nn.GRU(5, 8, num_layers=3, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(3, x.size(0), 8))[0][:, -1]
        inputs = (torch.randn(3, 6, 5),)
    """
    if found is not None:
        yield legal_by_coincidence.finding(found.title, found.measured, found.fix, found.where, layer=found.layer)


@rule("LS214", "sample-order", blame_of)
def sample_order(blame: Blame | None, lab: Experiments) -> Iterator[Finding]:
    """Output row i belongs to another sample: sorted for packing and not restored.

    pack_padded_sequence wants rows in the order of falling length, or enforce_sorted=False, which sorts and restores
    by itself. Rows that were sorted by hand come back sorted: order.argsort() is the way back.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n):
            n, order = n.sort(descending=True)
            return rnn(pack_padded_sequence(x[order], n, batch_first=True))[1][-1]
        lengths = torch.tensor([3, 7, 5, 2])
        inputs = (torch.randn(4, 7, 5), lengths)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n):
            n, order = n.sort(descending=True)
            return rnn(pack_padded_sequence(x[order], n, batch_first=True))[1][-1][order.argsort()]
        lengths = torch.tensor([3, 7, 5, 2])
        inputs = (torch.randn(4, 7, 5), lengths)
    """
    if blame is not None and blame.kind == "flattened":
        title = f"{blame.call.name} compares predictions and targets that were flattened in different orders"
        yield _finding(sample_order.code, title, _two_layouts(blame, lab), blame, lab)
    if blame is None or blame.kind != "order":
        return
    samples = lab.ask(samples_of)
    places = None if samples.result is None else samples.tracks[samples.result.index].places()
    if blame.against is not None or blame.state:
        title = f"{symbol(blame.call.name)} joins rows that were sorted with rows that were not"
        yield _finding(sample_order.code, title, _two_layouts(blame, lab), blame, lab)
        return
    title = "the result's rows are in another order than the samples: row i belongs to another sample"
    measured = f"sample → row: {places}; the last call that reorders rows is this one"
    yield _finding(sample_order.code, title, measured, blame, lab)


def on_batch_axis(blame: Blame, lab: Experiments) -> tuple[str, str, str]:
    """Title, measurement and fix where a call works on the batch axis of hn or cn."""
    assert blame.maker is not None
    name = layer_names(blame.maker)[blame.state]
    title = f"{symbol(blame.call.name)} works on axis 1 of {name}, which is the batch"
    measured = (
        f"{name} is (K·R, N, H) = {blame.value.shape}, with batch_first too; {_moved_result(lab)}, so samples are "
        "dropped or mixed"
    )
    return title, measured, best(lab, blame.fixes, samples_hold)


# ---------------------------------------------------------------------- words
_PURPOSE = (
    "probably the axis on which the samples lie has to stay apart here; where samples see each other on purpose, "
    "check(…, mixes=True) declares it"
)


def _finding(code: str, title: str, measured: str, blame: Blame, lab: Experiments) -> Finding:
    fix = best(lab, blame.fixes, samples_hold)
    if not fix:
        fix = _PURPOSE
    call = blame.call
    layer = blame.layer.name if blame.layer is not None else ""
    made = tuple(_history(blame))
    return RULES[code].finding(
        title, measured, fix, call.where, layer=layer, evidence=tuple(_evidence(lab)), made_by=made
    )


def _history(blame: Blame) -> Iterator[str]:
    """The lines that laid out the tensor, nearest first."""
    value, seen = blame.value, {str(blame.call.where)}
    for _ in range(6):
        maker = value.maker
        if maker is None:
            return
        if maker.name in ("view", "reshape", "transpose", "permute", "unsqueeze", "flatten", "cat", "stack", "t", "T"):
            place = str(maker.where)
            if place not in seen:
                seen.add(place)
                yield f"{place}  ({maker.name}: {maker.inputs[0].shape} to {value.shape})"
        if not maker.inputs:
            return
        value = maker.inputs[0]


def _evidence(lab: Experiments) -> Iterator[Evidence]:
    samples = lab.ask(samples_of)
    if samples.result is None:
        return
    track = samples.tracks[samples.result.index]
    axis = next((a for a, n in enumerate(track.shape) if n == lab.N), 0)
    if track.shape and track.shape[axis] <= 16:
        matrix = tuple(
            tuple(bool(sets) and row in sets[axis] for sets in track.along.values()) for row in range(track.shape[axis])
        )
        yield Evidence(
            "replaced one sample at a time",
            f"rows of the result{samples.path} {track.shape} that moved",
            matrix,
            f"index on axis {axis} of the result",
            f"sample {', '.join(map(str, track.along))} replaced",
        )


def _moved(track: object) -> str:
    from ._layout import Track

    if not isinstance(track, Track) or not track.touched:
        return "nothing is left of them"
    axis = next((a for a, n in enumerate(track.shape) if n == track.N), 0)
    return f"on axis {axis} moved " + track.sets(axis)


def _moved_result(lab: Experiments) -> str:
    samples = lab.ask(samples_of)
    if samples.result is None:
        return ""
    track = samples.tracks[samples.result.index]
    axis = next((a for a, n in enumerate(track.shape) if n == lab.N), 0)
    return f"in the result {track.shape} moved, on axis {axis}, with " + track.sets(axis)


def _reads_as_time(blame: Blame, lab: Experiments) -> tuple[str, str]:
    layer = blame.layer
    assert layer is not None
    if layer.cell or blame.axis is None:
        title = f"{layer.called} steps through the batch: the state runs from sample to sample"
        return title, f"x {blame.value.shape} belongs to one sample and its state to others; {_moved_result(lab)}"
    title = f"{layer.called} reads the batch as time: the state runs from sample to sample"
    measured = (
        f"{blame.name} {blame.shape} has the samples on axis {blame.axis}, which {layer.constructor()} reads as time; "
        f"{_moved_result(lab)}"
    )
    return title, measured


def _along(blame: Blame, lab: Experiments) -> tuple[str, str]:
    call = blame.call
    spoken = call.name + (f"(dim={dim})" if (dim := _dim_of(blame)) is not None else "")
    title = f"{spoken} runs along the batch: a sample's numbers depend on the other samples"
    after = lab.ask(samples_of).track(call.outputs[0]) if call.outputs else None
    measured = f"{blame.name} {blame.shape} has the samples on axis {blame.axis}; {_moved(after)}"
    return title, measured


def _dim_of(blame: Blame) -> object:
    from ._blame import ALONG

    return blame.call.argument(ALONG.get(blame.call.name, 1), "dim")


def _product(blame: Blame, lab: Experiments) -> tuple[str, str]:
    name = "attention" if blame.call.name == "multi_head_attention_forward" else symbol(blame.call.name)
    title = f"{name} sums over the batch: each row of the result holds all samples"
    shapes = " and ".join(named(v, _axes(lab, v)) for v in blame.call.inputs[:2] if not v.parameter)
    measured = f"{shapes}: the samples lie on axis {blame.axis} of {blame.name}, which the product sums over"
    return title, measured


def _axes(lab: Experiments, value: object) -> dict[int, str]:
    from lstm_shapes.lab.trace import Value

    spread = lab.ask(samples_of).layout(value) if isinstance(value, Value) else None
    return {} if spread is None else {spread.axis: "N"}


def _picked(blame: Blame, lab: Experiments) -> tuple[str, str]:
    title = f"{_spoken_index(blame)} takes single samples out of the batch, and the result holds only those"
    measured = f"{blame.name} {blame.shape} has the samples on axis {blame.axis}; {_moved_result(lab)}"
    return title, measured


def _spoken_index(blame: Blame) -> str:
    index = blame.call.args[1] if blame.call.name == "__getitem__" and len(blame.call.args) > 1 else None
    return f"{blame.name}[{index}]" if isinstance(index, int) else "an index" if index is not None else blame.call.name


def _joined(blame: Blame, lab: Experiments) -> tuple[str, str]:
    title = f"{symbol(blame.call.name)} joins rows of different samples"
    return title, _two_layouts(blame, lab)


def _two_layouts(blame: Blame, lab: Experiments) -> str:
    samples = lab.ask(samples_of)
    parts = []
    for value in (blame.value, blame.against):
        track = None if value is None else samples.track(value)
        if value is None or track is None or not track.touched:
            continue
        spread = track.layout()
        axis = spread.axis if spread is not None else (track.axes or [0])[0]
        parts.append(f"{value_name(value, blame.call)} {value.shape} has on axis {axis} {track.sets(axis)}")
    return "; ".join(parts)


def _other(blame: Blame, lab: Experiments) -> tuple[str, str]:
    what = "the scripted module" if blame.call.name == "script" else blame.call.name
    return f"samples influence each other in {what}: batch and another axis are exchanged", _moved_result(lab)


def _coincides(lab: Experiments) -> bool:
    return lab.ask(coincidence_of) is not None
