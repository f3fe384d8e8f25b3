"""LS303 undecidable: this input cannot decide a rule; another one would."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study


def find(study: Study) -> Iterator[Finding]:
    if not study.base.seen.calls:
        return
    if study.batch_dim is not None and study.N == 1:
        yield RULE.finding(
            "there is one sample, N = 1, so nothing can show whether samples influence each other",
            "check with a batch of at least two: torch.cat((x, x_other)) along the batch axis",
            level="note",
        )
    elif study.batch_dim is not None and study.N > 1 and not study.moved:
        yield RULE.finding(
            "no input could be changed one sample at a time (no tensor has the batch axis, or the changed call raised)",
            "give check the tensors themselves, with their batch on axis batch_dim",
            level="note",
        )
    if study.__dict__.get("repeatable") is False:  # asked only where samples seemed to meet
        yield RULE.finding(
            "the same input gave another result the second time, from something that check cannot put back: comparing "
            "runs says nothing",
            "check the model without what keeps a state outside it (a file, a global, a generator of its own)",
            level="note",
        )
    if study.base.seen.calls and all(call.L == 1 and not call.step for call in study.base.seen.calls) and study.L == 1:
        yield RULE.finding(
            "every sequence has one step, L = 1, so nothing can show what happens along time",
            "check with at least two steps",
            level="note",
        )


RULE = Rule(
    "LS303",
    "undecidable",
    "this input cannot decide a rule",
    "With one sample no sample can influence another, with one step there is no order: an experiment needs two "
    "of what it "
    "exchanges.",
    wrong="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(1, 7, 5),)
""",
    right="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
    order=97,
)
