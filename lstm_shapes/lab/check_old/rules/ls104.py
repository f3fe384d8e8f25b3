"""LS104 state-kind: one tensor where an LSTM wants two, a pair where the others want one."""

from __future__ import annotations

from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.words import input_name, output_name, shape


def explain(failure: Failure) -> Finding | None:
    call = failure.call
    if call is not None:
        found = _given(call)
        where = call.where or failure.where
    else:
        call = failure.seen.calls[-1] if failure.seen.calls else None
        found = _unpacked(failure, call)
        where = failure.where
    if found is None or call is None:
        return None
    return RULE.finding(*found, layer=call.name, where=where, cause=failure.error)


def _given(call: LayerCall) -> tuple[str, str] | None:
    name, x, hx = call.call_name, input_name(call), call.hx
    if len(call.args) > 2:
        if call.kind == "LSTM":
            return (
                f"{name} was called with {len(call.args)} arguments; the state is one argument, the tuple (h0, c0)",
                f"{name}({x}, (h0, c0)), and unpack out, (hn, cn) = …",
            )
        return (
            f"{name} was called with {len(call.args)} arguments; the state of a {call.label} is one tensor",
            f"{name}({x}, h0)",
        )
    if call.kind == "LSTM" and hx is not None:
        if isinstance(hx, Tensor):
            return (
                f"an LSTM's state is the pair (h0, c0); it was given one tensor {shape(hx)}, "
                f"whose first axis is then unpacked as if it were the pair",
                f"{name}({x}, (h0, c0)) with c0 = torch.zeros_like(h0) (a GRU takes one tensor, an LSTM a tuple "
                "of two)",
            )
        if isinstance(hx, (tuple, list)) and (len(hx) != 2 or not all(isinstance(s, Tensor) for s in hx)):
            parts = ", ".join(shape(part) for part in hx)
            return (
                f"an LSTM's state is the tuple (h0, c0) of two tensors; it was given {type(hx).__name__}({parts})",
                f"{name}({x}, (h0, c0)): one tensor for all layers each, rows stacked with torch.stack, not "
                "nested in tuples",
            )
    if call.kind != "LSTM" and isinstance(hx, (tuple, list)):
        return (
            f"a {call.label} has no cell state: its state is one tensor h0; it was given a {type(hx).__name__} "
            f"of {len(hx)}",
            f"{name}({x}, h0), a single tensor: pass the first of the two, {name}({x}, h)",
        )
    return None


def _unpacked(failure: Failure, call: LayerCall | None) -> tuple[str, str] | None:
    """`out, (h, c) = gru(x)`: the exception comes from the line of the call, after the layer came back."""
    here = failure.where
    if call is None or here is None or call.where is None or not isinstance(failure.error, (ValueError, TypeError)):
        return None
    if (
        (here.file, here.line) != (call.where.file, call.where.line)
        or failure.op is not None
        or failure.seen.pending[1:]
    ):
        return None
    if call.kind == "LSTM" or failure.inside("torch/nn/modules/rnn.py"):
        return None
    out = output_name(call)
    hn = call.taps.get("hn")
    return (
        f"a {call.label} returns {'one tensor h' if call.step else 'out, hn'}; hn {shape(hn)} is one tensor, "
        "not a pair (h, c), and unpacking it takes its layers apart",
        f"h = {call.call_name}(x_t, h)"
        if call.step
        else f"{out}, hn = {call.call_name}({input_name(call)}); there is no cn, hn is one tensor",
    )


RULE = Rule(
    "LS104",
    "state-kind",
    "the state has the wrong kind: an LSTM takes the tuple (h0, c0), a GRU or RNN one tensor",
    "An LSTM feeds back two things, its output and its cell state, so its state is a pair. GRU and RNN feed back their "
    "output only. A tensor in the place of the pair is unpacked along its first axis, and the message then talks about "
    "shapes that nobody passed.",
    wrong="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8))[0]
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x, (torch.zeros(1, x.size(0), 8), torch.zeros(1, x.size(0), 8)))[0]
inputs = (torch.randn(4, 7, 5),)
""",
    explain=explain,
    order=15,
)
