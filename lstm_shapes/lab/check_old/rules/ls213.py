"""LS213 unused-input: part of the input cannot influence the result, and no other rule says why."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.gradients import Gradients, gradients
from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import output_name, state_names


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is not None:
        if found.code == "LS213":
            yield RULE.finding(
                f"some samples cannot influence the result: {found.evidence[0].saw if found.evidence else ''}",
                "look for an index where the batch axis was meant to stay: x[:, t] rather than x[t]",
                evidence=found.evidence,
            )
        return
    grads = gradients(study)
    if grads is None:
        return
    for call in study.calls:
        finding = _steps(study, grads, call)
        if finding is not None:
            yield finding
            return
    yield from _unread(study, grads)


def _steps(study: Study, grads: Gradients, call: LayerCall) -> Finding | None:
    """The layer reads all steps, and only the first of its outputs are used."""
    if call.L < 2 or call.step or call.R == 2:
        return None
    output, final = grads.used(call, "Y"), grads.used(call, "hn")
    cell = grads.used(call, "cn")
    if output is None or not bool(output.any()) or _any(final) or _any(cell):
        return None
    read = torch.nonzero(output.any(2).any(0)).flatten().tolist()
    lengths = call.lengths if study.inputs.lengths is None else study.inputs.lengths
    last = max(read)
    if last != 0 or min(lengths) < 2 or len(study.base.seen.calls) > 50:
        return None
    out, hn = output_name(call), state_names(call)[0]
    index = "[:, -1]" if call.batch_first else "[-1]"
    return RULE.finding(
        f"only the first step of {call.call_name}'s output reaches the result: {call.L - 1} of {call.L} steps "
        "were read by the layer "
        "and cannot influence anything",
        f"{out}{index} or {hn}[-1], the state after the last step, in the place of the first",
        layer=call.name,
        where=call.where,
        evidence=(
            Evidence("the result differentiated with respect to every step of the output", "only step 0 is used"),
        ),
    )


def _unread(study: Study, grads: Gradients) -> Iterator[Finding]:
    """Steps of the input that no layer ever gets: a loop that ends too early, or runs over the wrong size."""
    if study.first.seen.losses or study.first.seen.backwards:
        return
    for k, slot in enumerate(study.inputs.slots):
        if slot.time is None or k not in grads.inputs:
            continue
        size = slot.tensor.size(slot.time)
        longest = max(study.true_lengths or [size])
        unread = tuple(step for step in grads.unread(k, slot.time) if step < longest)  # what is behind is padding
        if not unread or size < 3:
            continue
        sliced = _sliced(study, size)
        if unread == (size - 1,) and sliced:
            continue  # the last step of a decoder's input is left out on purpose
        everything = len(unread) == size
        span = f"steps {unread[0]} to {unread[-1]}" if len(unread) > 1 else f"step {unread[0]}"
        same = ""
        if size - len(unread) == study.N:
            same = (
                f"; {study.N} steps are read, as many as there are samples: a loop over x.size({slot.batch}) "
                f"where x.size({slot.time}) was meant"
            )
        yield RULE.finding(
            f"{'no step' if everything else 'not every step'} of input {k} {tuple(slot.tensor.shape)} is read: "
            f"{span} of {size} "
            f"reach{'es' if len(unread) == 1 else ''} no layer and no result{same}",
            f"loop over all steps: for t in range(x.size({slot.time})), or x.unbind({slot.time}); an input that "
            "is not needed can be left out",
            level="warning" if sliced or everything or len(unread) == 1 else "error",
            evidence=(
                Evidence(
                    "results and the layers' inputs differentiated with respect to every step of the input",
                    f"{span}: zero",
                ),
            ),
        )
        return


def _sliced(study: Study, size: int) -> bool:
    """Whether the program takes a slice of something that long: then leaving steps out is what it says."""
    trace = study.first.seen.trace
    for op in trace.ops if trace is not None else ():
        cut = op.name in ("narrow", "split", "chunk") or (
            op.name == "__getitem__" and any(isinstance(i, slice) and i != slice(None) for i in _flat(op.note[1:]))
        )
        if cut and op.shapes and size in op.shapes[0]:
            return True
    return False


def _flat(note: tuple[object, ...]) -> Iterator[object]:
    for item in note:
        if isinstance(item, tuple):
            yield from _flat(item)
        else:
            yield item


def _any(used: Tensor | None) -> bool:
    return used is not None and bool(used.any())


RULE = Rule(
    "LS213",
    "unused-input",
    "part of the input cannot influence the result",
    "A step that is read behind the one whose output is used, a sample that is indexed away: what cannot move "
    "the result "
    "cannot be learned from. A slice taken on purpose before the layer is not meant.",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0][:, 0])
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0][:, -1])
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
    order=90,
)
