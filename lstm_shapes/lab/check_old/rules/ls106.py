"""LS106 device: input, state and weights are not in one place."""

from __future__ import annotations

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.words import input_name


def explain(failure: Failure) -> Finding | None:
    call = failure.call
    if call is None or call.X is None:
        return _operation(failure)
    weight = next(iter(call.module.parameters()), None)
    given = {"input": call.X, **call.states}
    if weight is None or all(t.device == weight.device for t in given.values()):
        return None
    what = ", ".join(f"{role} on {t.device}" for role, t in given.items() if t.device != weight.device)
    x = input_name(call)
    wrong = next(role for role, t in given.items() if t.device != weight.device)
    spelled = x if wrong == "input" else wrong
    tail = (
        ""
        if wrong == "input"
        else f"; make states where the data are: {x}.new_zeros(…) or torch.zeros(…, device={x}.device)"
    )
    return RULE.finding(
        f"the weights are on {weight.device}, {what}",
        f"{spelled}.to({x}.device){tail}; or model.to({call.X.device})"
        if wrong != "input"
        else f"{x}.to('{weight.device}'), or model.to({x}.device)",
        layer=call.name,
        where=call.where or failure.where,
        cause=failure.error,
    )


def _operation(failure: Failure) -> Finding | None:
    op = failure.op
    if op is None or op.name == "_pack_padded_sequence" or len({d.split(":")[0] for d in op.devices}) < 2:
        return None
    return RULE.finding(
        f"{op.name} was given tensors on {' and '.join(dict.fromkeys(op.devices))}",
        f"move one of them: tensor.to({op.devices[0]!r}), or make it there with device=x.device",
        where=failure.where,
        cause=failure.error,
    )


RULE = Rule(
    "LS106",
    "device",
    "input, state and weights are not on one device",
    "model.to(device) moves parameters and buffers only. A state made by torch.zeros in forward stays on the CPU, and "
    "so does the input until it is moved.",
    wrong="""
rnn = nn.LSTM(5, 8, batch_first=True)
def model(x):
    state = torch.zeros(1, x.size(0), 8, device="meta")
    return rnn(x, (state, state))[0]
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn = nn.LSTM(5, 8, batch_first=True)
def model(x):
    state = x.new_zeros(1, x.size(0), 8)
    return rnn(x, (state, state))[0]
inputs = (torch.randn(4, 7, 5),)
""",
    explain=explain,
    order=12,
)
