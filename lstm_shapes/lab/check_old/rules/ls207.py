"""LS207 unbatched-by-accident: a 2-D input meant as a batch is read as one sequence."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import input_name, shape


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is None and study.N == 1 and study.batch_dim is not None:
        yield from _squeezed(study)
    if found is None or found.code != "LS207" or found.call is None:
        return
    call = found.call
    x = input_name(call)
    one = 1 if call.batch_first else 0
    yield RULE.finding(
        f"{call.call_name} reads the 2-D input {x} {shape(call.X)} as one unbatched sequence (L, Q): {call.L}, "
        "which is "
        f"{x}.size(0) and the batch here, is taken for time, and each sample is one step that the next one "
        "remembers. The output "
        f"is (L, R·H), so an index like [:, -1] takes a feature, not a step",
        f"one sequence of {call.L} steps: give it its batch axis, {x}.unsqueeze({0 if call.batch_first else 1}) "
        f"(or {x}[None]), or say "
        f"batch_dim=None and read out[-1]; {call.L} samples of one step: {x}.unsqueeze({one}); {call.L} windows "
        f"of {call.Q} values: "
        f"{x}.unsqueeze(-1) into a layer with input_size=1",
        layer=call.name,
        where=call.where,
        evidence=found.evidence,
    )


def _squeezed(study: Study) -> Iterator[Finding]:
    """A batch of one that lost its batch axis to a bare squeeze on the way to the layer."""
    trace = study.first.seen.trace
    for call in study.calls:
        if call.layout != "unbatched" or call.step or trace is None:
            continue
        for op in trace.ops:
            lost = op.name == "squeeze" and len(op.shapes[0]) > len(op.result) and op.calls <= call.index
            if lost and op.result == tuple(call.X.shape if call.X is not None else ()):
                yield RULE.finding(
                    f"squeeze turned {op.shapes[0]} into {op.result}: with a batch of one it removes the batch "
                    "axis, too, and "
                    f"{call.call_name} reads one unbatched sequence (L, Q)",
                    "name the axis to remove, x.squeeze(-1), or leave the squeeze out; a missing batch axis "
                    "comes back with x.unsqueeze(0)",
                    layer=call.name,
                    where=op.where,
                )
                return


RULE = Rule(
    "LS207",
    "unbatched-by-accident",
    "a 2-D input meant as a batch is read as one unbatched sequence",
    "Two axes mean (L, Q): one sequence without a batch. A batch of feature vectors (N, Q) has two axes as "
    "well, and its "
    "samples are then the steps of one sequence.",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0])
inputs = (torch.randn(4, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0])
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
