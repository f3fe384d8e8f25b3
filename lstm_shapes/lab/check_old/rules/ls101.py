"""LS101 feature-axis: the last axis of the input is not what the layer was built for."""

from __future__ import annotations

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.words import axes_of, built, input_name, shape


def explain(failure: Failure) -> Finding | None:
    call = failure.call
    if call is None or call.X is None or call.X.dim() == 0 or call.X.size(-1) == call.Q:
        return None
    X, x = call.X, input_name(call)
    got = X.size(-1)
    fixes = []
    if call.Q == 1 and X.dim() == (1 if call.step else 2) and call.packed is None:
        fixes.append(f"{x}.unsqueeze(-1)  # one feature a step: {shape(X)} becomes {(*X.shape, 1)}")
    elsewhere = [axis for axis in range(X.dim() - 1) if X.size(axis) == call.Q]
    if elsewhere and call.packed is None:
        fixes.append(
            f"{x}.transpose({elsewhere[-1]}, {X.dim() - 1})  # the {call.Q} features are on axis {elsewhere[-1]}; "
            "never view or reshape for this"
        )
    fixes.append(f"{built(call, input_size=got)}, that is input_size={got}, if {got} features are meant")
    fixes.append(f"or nn.Linear({got}, {call.Q}) in front of the layer")
    packed = " (packed: the rows are the real steps of all sequences)" if call.packed is not None else ""
    return RULE.finding(
        f"{call.label} was built for Q = input_size = {call.Q} features; its input {shape(X)}{packed}, read as "
        f"{axes_of(call)}, has {got} on its last axis",
        "; ".join(fixes),
        layer=call.name,
        where=call.where or failure.where,
        cause=failure.error,
    )


RULE = Rule(
    "LS101",
    "feature-axis",
    "the layer's input has another number of features than the layer was built for",
    "A recurrent layer multiplies the last axis of its input with weight_ih, whose width is input_size. The last "
    "axis is the feature axis with batch_first and without.",
    wrong="""
rnn = nn.LSTM(10, 16, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 12),)
""",
    right="""
rnn = nn.LSTM(12, 16, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 12),)
""",
    explain=explain,
    order=22,
)
