"""LS302 equal-sizes: the call is right, and a swap would go unnoticed."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study


def find(study: Study) -> Iterator[Finding]:
    if study.batch_dim is None or study.N < 2 or mixup(study) is not None:
        return
    for call in study.calls:
        names = {"N": call.N, "L": call.L}
        if call.states:
            names["K·R"] = call.K * call.R
        equal = [(a, b) for a in names for b in names if a < b and names[a] == names[b] > 1]
        if equal:
            a, b = equal[0]
            yield RULE.finding(
                f"{a} == {b} == {names[a]} in {call.call_name}: exchanging the two would raise nothing here",
                f"test with sizes that are all different, such as N={call.N + 1}",
                level="note",
                layer=call.name,
                where=call.where,
            )
            return


RULE = Rule(
    "LS302",
    "equal-sizes",
    "the call is right, but two axes have equal sizes, so a swap would go unnoticed",
    "Shapes are all that torch compares. A test with N == L passes for the right layout and for the wrong one.",
    wrong="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(7, 7, 5),)
""",
    right="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
    order=96,
)
