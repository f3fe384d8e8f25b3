"""LS211 state-leak: state is carried between sequences that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Evidence, Finding, Level
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.values import differs
from lstm_shapes.lab.check_old.words import state_names


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is not None and found.code == "LS211" and found.call is not None:
        call = found.call
        hn = state_names(call)[0]
        yield RULE.finding(
            f"call {call.index + 1} of {call.call_name} reads one sample and starts from the state in which an "
            "earlier call, on "
            "another sample, ended: each sample remembers the ones before it",
            f"a new state for each sequence: {call.call_name}(x) without a state, or reset {hn} to zeros inside "
            "the loop; pass a state on "
            "only between pieces of one sequence; and a whole batch is one call, no loop over samples",
            layer=call.name,
            where=call.where,
            evidence=found.evidence,
        )
        return
    if found is None and study.first.error is None:
        yield from _between_calls(study)


def _between_calls(study: Study) -> Iterator[Finding]:
    """The same inputs and the same random draws, twice: a second result that differs has a memory."""
    second = study.second
    if second is None or second.error is not None:
        return
    moved = any(
        changed is not None and bool(changed.any())
        for a, b in zip(study.base.pieces, second.pieces, strict=False)
        if (changed := differs(a.tensor, b.tensor)) is not None
    )
    carriers = [call for call in second.seen.calls if study.carries(call)]
    if not moved or not carriers:
        return
    call = carriers[0]
    detached = all(state.grad_fn is None for state in call.states.values())
    resettable = study.resettable()
    level: Level = "note" if detached and resettable else "warning" if detached else "error"
    yield RULE.finding(
        "the model keeps its state from one call to the next: the same input gives another result the second "
        "time, and the samples "
        "of the next batch go on where other sequences ended",
        "pass the state in and out, out, state = model(x, state), or start each call from zeros (leave the "
        "state out); if sequences go "
        "on from batch to batch on purpose, detach the state, give the model a reset, and call it where a new "
        "sequence begins",
        level=level,
        layer=call.name,
        where=call.where,
        evidence=(Evidence("the same input given twice, random draws repeated", "the second result differs"),),
    )


RULE = Rule(
    "LS211",
    "state-leak",
    "state is carried between sequences that have nothing to do with each other",
    "A state passed on means: this is the continuation. In a loop over samples, or kept on the module from "
    "batch to batch, "
    "it makes each sequence remember another one.",
    wrong="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x):
    h, rows = None, []
    for n in range(x.size(0)):
        out, h = rnn(x[n:n + 1], h)
        rows.append(out[:, -1])
    return torch.cat(rows)
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x):
    rows = []
    for n in range(x.size(0)):
        out, h = rnn(x[n:n + 1])
        rows.append(out[:, -1])
    return torch.cat(rows)
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
