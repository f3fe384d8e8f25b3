"""LS203 half-read-direction: one half of a bidirectional output is read where it has seen one step only."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.gradients import Gradients, gradients
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import output_name, state_names


def find(study: Study) -> Iterator[Finding]:
    grads = gradients(study)
    if grads is None:
        return
    for call in study.calls:
        if call.R == 2 and call.L > 1 and not call.step:
            half = _half(study, grads, call)
            if half is not None:
                yield _finding(call, half)
                return


def _half(study: Study, grads: Gradients, call: LayerCall) -> str | None:
    used = grads.used(call, "Y")
    if used is None or not bool(used.any()):
        return None
    lengths = call.lengths
    if study.inputs.lengths is not None and call.packed is None and len(study.inputs.lengths) == call.N:
        lengths = study.inputs.lengths
    longest = [n for n in range(call.N) if lengths[n] > 1]
    ahead, back = used[..., : call.H].any(2), used[..., call.H :].any(2)
    if not longest:
        return None
    whole = [call.L] * call.N
    if _only(back, longest, lengths, last=True) or _only(back, longest, whole, last=True):
        return None if _final(grads, call, 1) else "backward"
    if _only(ahead, longest, lengths, last=False):
        return None if _final(grads, call, 0) else "forward"
    return None


def _only(cells: Tensor, rows: list[int], lengths: list[int], *, last: bool) -> bool:
    """Whether in every row just the one step is read at which this direction begins."""
    for n in rows:
        steps = torch.nonzero(cells[n]).flatten().tolist()
        if steps != [lengths[n] - 1 if last else 0]:
            return False
    return True


def _final(grads: Gradients, call: LayerCall, direction: int) -> bool:
    """Whether the direction's final state is read from hn."""
    used = grads.used(call, "hn")
    return used is not None and bool(used[call.K * 2 - 2 + direction].any())


def _finding(call: LayerCall, half: str) -> Finding:
    out, (hn, _) = output_name(call), state_names(call)
    first = call.batch_first or call.layout == "unbatched"
    start, end = ("[:, 0", "[:, -1") if first and call.layout != "unbatched" else ("[0", "[-1")
    step = "the last" if half == "backward" else "the first"
    other = "forward" if half == "backward" else "backward"
    side = "H:" if half == "backward" else ":H"
    return RULE.finding(
        f"the {half} half of the output (features {side} of 2·H = {2 * call.H}) is read at {step} step only, "
        "where it has seen "
        f"one step of {call.L}; the {other} half has seen all of them",
        f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1): the final states of both directions; or from the output "
        f"torch.cat(({out}{end}, :{call.H}], {out}{start}, {call.H}:]), dim=-1) where no row is padded",
        layer=call.name,
        where=call.where,
        evidence=(
            Evidence(
                "the result differentiated with respect to every cell of the output",
                f"of the {half} half only {step} step is used",
            ),
        ),
    )


RULE = Rule(
    "LS203",
    "half-read-direction",
    "a bidirectional output is read at a step where one direction has seen one step only",
    "The backward direction begins at the last step: at out[:, -1] it has read one step, its final state is at "
    "out[:, 0]. "
    "hn holds the final states of both: cat(hn[-2], hn[-1]).",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)
model = lambda x: head(rnn(x)[0][:, -1])
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)
def model(x):
    out, (hn, cn) = rnn(x)
    return head(torch.cat((hn[-2], hn[-1]), dim=-1))
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
