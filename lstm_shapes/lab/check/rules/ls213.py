"""LS213 unused-input: part of the input cannot influence the result, and no other rule says why."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..calls import LayerCall
from ..gradients import Gradients, gradients
from ..mixup import mixup
from ..report import Evidence, Finding
from ..rule import Rule
from ..study import Study
from ..words import output_name, state_names


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
        f"only the first step of {call.call_name}'s output reaches the result: {call.L - 1} of {call.L} steps were read by the layer "
        "and cannot influence anything",
        f"{out}{index} or {hn}[-1], the state after the last step, in the place of the first",
        layer=call.name,
        where=call.where,
        evidence=(Evidence("the result differentiated with respect to every step of the output", "only step 0 is used"),),
    )


def _any(used: Tensor | None) -> bool:
    return used is not None and bool(used.any())


RULE = Rule(
    "LS213",
    "unused-input",
    "part of the input cannot influence the result",
    "A step that is read behind the one whose output is used, a sample that is indexed away: what cannot move the result "
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
