"""Rows that are right and still hang on the batch: on their place in it, on its size, on the axis where it lies."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab._words import call_text, loop_line, symbol, value_name
from lstm_shapes.lab.trace import DRAWS, ENTERS, Call, Value, is_loss
from lstm_shapes.lab.trace._families import SAME, VIEWS, names_in

from ._blame import turning_view
from ._experiments import Experiments
from ._layout import SampleAxis
from ._rules_states import unread_of
from ._samples import Rows, Samples, earliest, other_rows, samples_of, tracks_of
from .report import RULES, Finding, Level, also

_JOINS = names_in("stack cat concat")
# What may follow a join without touching an axis: pointwise functions, layers over the last axis.
_THROUGH = SAME | names_in(
    "linear relu tanh sigmoid dropout softmax log_softmax layer_norm add __add__ __radd__ mul __mul__ sub __sub__ "
    "__truediv__ div index_select squeeze gelu silu leaky_relu elu exp softplus masked_fill neg __neg__ clamp "
    "logsigmoid normalize"
)
_TAKES_APART = VIEWS | names_in("chunk split tensor_split unfold as_strided")


@also(samples_of)
def by_place(samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """LS201: rows that depend on their place in the batch, or on how many there are.

    The first sample is put once more in front, and no other row may change.
    """
    unread = lab.ask(unread_of)
    if not _comparable(samples, lab) or (unread is not None and unread.kind == "loop"):
        return  # a loop over the batch's size takes more steps with one sample more: that is said of its line
    lab.says("one sample more")
    turned = next((view for _, v in lab.results if (view := turning_view(lab, v)) is not None), None)
    results = {v.index for _, v in lab.results if samples.rows.get(v.index) and samples.rows[v.index].in_place()}
    more = _more(lab, samples, results) if turned is None and results else Rows()
    differing = set(more.differing)
    if differing:
        again = _more(lab, samples, results, 2)
        if again.error is not None:  # a loop that runs over the batch's size may find no third step
            again = _more(lab, samples, results, front=False)
        differing &= again.differing
    if not differing and turned is None:
        return
    result = next(v for _, v in lab.results if turned is not None or v.index in differing)
    shown = f"the result {result.shape}"
    measured = f"with the first sample once more in front, the rows of {shown} behind it are no longer what they were"
    call = turned
    if call is None:
        lab.says("one sample more, call by call")
        call = earliest(lab, differing | _more(lab, lab.ask(tracks_of), None).differing, result)
        if call is None:
            return
        turned = next((view for v in call.inputs if (view := turning_view(lab, v)) is not None), None)
    laid = _counted(lab, call)
    code, where = "LS201", call.where
    if turned is not None:
        code, where, name = "LS202", turned.where, value_name(turned.inputs[0], turned)
        title = f"{turned.name} exchanges no axes, and is accepted only because two sizes are equal"
        measured = f"{name} {turned.inputs[0].shape} was to be turned, and keeps its memory order; {measured}"
        fix = f"probably {name}.transpose(0, 1)"
    elif laid is not None:
        name = value_name(laid, call)
        title = f"{name} is laid along the batch: a row depends on its place"
        measured = f"{name} {laid.shape} differs from sample to sample and is made of no input; {measured}"
        fix = "probably the axis of the steps: unsqueeze(0) gives (1, L, ·) beside (N, L, ·), and arange(x.size(1))"
        where = laid.maker.where if laid.maker is not None else call.where
    elif more.repeated is not None:
        title = "a loop runs over the batch's size: a row depends on how many samples there are"
        measured = f"with one sample more the loop makes one turn more; {measured}"
        fix = "probably range(x.size(1)), or for x_t in x.unbind(1): the steps are axis 1 of (N, L, ·)"
        where = loop_line(more.repeated.where)
    else:
        title = f"{symbol(call.name)} makes a row depend on how many samples there are, or on its place"
        fix = "probably another axis: x.size(1) counts the steps of (N, L, ·), x.size(0) the samples"
    yield RULES[code].finding(title, measured, fix, where)


def _comparable(samples: Samples, lab: Experiments) -> bool:
    """Whether rows may be compared with those of a larger batch: nothing is drawn, by torch or elsewhere."""
    if samples.kind != "apart" or not samples.rows or samples.statistics or lab.baseline.error is not None or lab.slack:
        return False
    for slot in lab.inputs.slots:
        sparse = isinstance(slot.value, Tensor) and slot.value.layout != torch.strided
        if sparse or slot.uneven or isinstance(slot.value, PackedSequence):
            return False
    for value in lab.baseline.values:  # a row of numbers for each sample from another library may have been drawn
        entered = value.maker is None or value.maker.name in ENTERS
        own = value.parameter or value in lab.baseline.inputs or bool(value.bases)
        if entered and not own and lab.N in value.shape and value.tensor.is_floating_point():
            return False
    return not any(call.name in DRAWS for call in lab.baseline.calls)


def _more(lab: Experiments, samples: Samples, wanted: set[int] | None, more: int = 1, *, front: bool = True) -> Rows:
    """The values whose rows are others in a batch with one sample `more` times more."""
    places = {k: [k + more * front] for k in range(lab.N)}
    rows = other_rows(lab, lab.inputs.wider(more, front=front), samples, wanted, places, lab.N + more)
    if rows.repeated is not None:
        rows.differing |= rows.missing  # with each turn of the loop another step
    return Rows(error=rows.error) if rows.error is not None else rows


def _counted(lab: Experiments, call: Call) -> Value | None:
    """An operand with an axis of N that no sample moves and whose rows differ: numbers counted along the batch."""
    samples = lab.ask(tracks_of)
    for value in call.inputs:
        elements = value.elements
        if value.parameter or elements is None or elements.layout != torch.strided or samples.track(value).touched:
            continue
        for axis, size in enumerate(value.shape):
            if size == lab.N and bool((elements != elements.narrow(axis, 0, 1)).any()):
                return value
    return None


# ---------------------------------------------------------------------- results in another layout than the inputs
@also(samples_of)
def laid_elsewhere(samples: Samples, lab: Experiments) -> Iterator[Finding]:
    """LS201: rows that are right and lie on another axis of the result than the inputs' samples.

    Some programs return (L, N, ·) on purpose: what nothing in the program speaks against is a warning, or a note.
    """
    if samples.kind != "apart" or lab.batch_dim not in (0, 1) or lab.baseline.error is not None or lab.scalar:
        return
    meant = f"the inputs have the samples on axis {lab.batch_dim}"
    for call in lab.baseline.calls:
        if call.name in ("cat", "concat") and _may_split(call) and any(v.index in lab.on_path for v in call.outputs):
            before = lab.ask(tracks_of).layout(call.inputs[0])
            if before is not None and _split(call, before):
                shape = call.inputs[0].shape
                title = f"{symbol(call.name)} joins the steps along the batch: the axis of one step beside it is left"
                measured = f"{len(call.inputs)} pieces {shape} become {call.outputs[0].shape}"
                fix = call_text(call, dim=1 - before.axis)
                yield RULES["LS201"].finding(title, measured, fix, call)
                return
    for _, value in lab.results:
        layout = samples.row(value).layout()
        right = layout is not None and layout.axis == lab.batch_dim and value.shape[layout.axis] == lab.N
        joined = None if layout is None or len(value.shape) < 2 or right else _joined(lab, value)
        if joined is None:
            continue
        call, after = joined
        shape = call.outputs[0].shape
        if after.repeat > 1 or shape[after.axis] != lab.N or after.axis == lab.batch_dim:
            continue
        level: Level = "error"
        if call.name == "_pad_packed_sequence":
            if _for_ctc(lab, value) or not _packed_otherwise(lab, call):
                continue
            title = "rows are padded into the other layout than the one that they were packed from"
            fix = f"pad_packed_sequence(…, batch_first={not call.args[2]}), as in pack_padded_sequence"
        elif after.axis in (0, 1):
            title = (
                f"{symbol(call.name)} puts the steps where the inputs have the samples: row i of the result is step i"
            )
            fix = call_text(call, dim=1 - call.argument(1, "dim", 0)) if call.name == "stack" else "the other dim"
            spelled = len(call.args) > 1 or "dim" in call.kwargs  # without a dim it may well be meant
            level, fix = "warning" if spelled else "note", f"{fix}, unless whoever reads it wants the steps first"
        else:
            continue
        measured = f"{meant}, {shape} has them on axis {after.axis}"
        yield RULES["LS201"].finding(title, measured, fix, call.where, level=level)
        return


def _joined(lab: Experiments, value: Value) -> tuple[Call, SampleAxis] | None:
    """The call that joined steps into a result, behind which no axis was moved; how the samples lie since then."""
    between = [value]
    for made, call in value.way_back():
        between.append(made)
        if call.name in (*_JOINS, "_pad_packed_sequence") and call.inputs:
            if call.name in _JOINS and not _steps(call):
                return None
            samples = lab.ask(tracks_of)
            known = [layout for v in between if (layout := samples.layout(v)) is not None]
            return (call, known[-1]) if known else None
        if call.name not in _THROUGH:
            return None
    return None


def _steps(call: Call) -> bool:
    """Whether a list of steps is joined: three or more, each made by the same weights."""
    makers = [next((c for _, c in v.way_back() if any(w.parameter for w in c.inputs)), None) for v in call.inputs]
    weights = {None if c is None else tuple(w.index for w in c.inputs if w.parameter) for c in makers}
    alike = len(weights) == 1 == len({v.shape for v in call.inputs})
    return len(call.inputs) > 2 and None not in weights and alike


def _may_split(call: Call) -> bool:
    """Whether steps (1, N, ·) or (N, 1, ·) are joined, and no view takes the result apart again."""
    piece = call.inputs[0].shape if call.inputs else ()
    if len(piece) < 3 or 1 not in piece[:2] or piece[:2] == (1, 1):
        return False
    stays = [made for value in call.outputs for made in value.way_on(lambda call, _: call.name in SAME)]
    again = any(reader.name in _TAKES_APART for made in stays for reader in made.readers)
    return bool(stays) and not again and _steps(call)


def _split(call: Call, before: SampleAxis) -> bool:
    """Whether the pieces were joined along the samples, and not along the axis of one step beside them."""
    dim = call.argument(1, "dim", 0)
    piece = call.inputs[0].shape
    return before.axis < 2 and piece[1 - before.axis] == 1 and isinstance(dim, int) and dim % len(piece) == before.axis


def _for_ctc(lab: Experiments, value: Value) -> bool:
    """Whether a result is what CTC takes, log-probabilities of (L, N, C)."""
    names = {call.name for _, call in value.way_back()}
    return "log_softmax" in names or any(is_loss(call.name) and "ctc" in call.name for call in lab.baseline.calls)


def _packed_otherwise(lab: Experiments, call: Call) -> bool:
    """Whether the rows were packed from the other layout than the one that they are padded to."""
    way = lab.baseline.ancestors(call.inputs[0])
    packs = [c for c in lab.baseline.calls if c.name == "_pack_padded_sequence" and c.outputs[0].index in way]
    return bool(packs) and bool(packs[-1].args[2]) != bool(call.args[2])
