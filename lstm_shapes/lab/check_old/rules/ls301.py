"""LS301 dropout-one-layer: dropout on a one-layer recurrent module does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import built


def find(study: Study) -> Iterator[Finding]:
    seen: set[int] = set()
    for call in study.first.seen.calls:
        rate = float(getattr(call.module, "dropout", 0.0) or 0.0)
        if rate > 0 and call.K == 1 and not call.step and id(call.module) not in seen:
            seen.add(id(call.module))
            yield RULE.finding(
                f"dropout={rate} of {call.call_name} sits between stacked layers, and there is one layer",
                f"nn.Dropout({rate}) behind the layer, num_layers=2 or more, or dropout=0: {built(call, dropout=0)}",
                level="note",
                layer=call.name,
                where=call.where,
            )


RULE = Rule(
    "LS301",
    "dropout-one-layer",
    "dropout on a one-layer recurrent module does nothing",
    "The dropout argument drops the outputs of every layer but the last. With num_layers=1 there is no such layer.",
    wrong="""
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    rnn = nn.LSTM(5, 8, batch_first=True, dropout=0.5)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, drop = nn.LSTM(5, 8, batch_first=True), nn.Dropout(0.5)
model = lambda x: drop(rnn(x)[0])
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
    order=95,
)
