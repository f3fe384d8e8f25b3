"""LS105 dtype: integers without an embedding, double against float, half mixed with full precision."""

from __future__ import annotations

import torch
from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.words import input_name

_NAMES = {torch.float32: "float32", torch.float64: "float64", torch.float16: "float16", torch.bfloat16: "bfloat16"}
_CALLS = {
    torch.float32: ".float()",
    torch.float64: ".double()",
    torch.float16: ".half()",
    torch.bfloat16: ".bfloat16()",
}


def name(dtype: torch.dtype) -> str:
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def explain(failure: Failure) -> Finding | None:
    call = failure.call
    if call is not None:
        found = _layer(call)
        where, layer = call.where or failure.where, call.name
    else:
        found = _operation(failure)
        where, layer = failure.where, failure.module.name if failure.module else ""
    if found is None:
        return None
    return RULE.finding(*found, layer=layer, where=where, cause=failure.error)


def _layer(call: LayerCall) -> tuple[str, str] | None:
    weight = next(iter(call.module.parameters()), None)
    if weight is None or call.X is None:
        return None
    x, X = input_name(call), call.X
    if not X.is_floating_point():
        return (
            f"the input is {name(X.dtype)}, whole numbers; a recurrent layer multiplies its input and wants "
            f"{name(weight.dtype)}",
            f"tokens: nn.Embedding(n_tokens, {call.Q}) in front of the layer, {call.call_name}(emb({x})); "
            f"numbers: {x}{_CALLS.get(weight.dtype, '.float()')}",
        )
    if call.autocast:
        return None
    wrong = {role: t for role, t in {"input": X, **call.states}.items() if t.dtype != weight.dtype}
    if not wrong:
        return None
    what = ", ".join(f"{role} is {name(t.dtype)}" for role, t in wrong.items())
    one = next(iter(wrong))
    spelled = x if one == "input" else one
    to = f"{spelled}{_CALLS.get(weight.dtype, '.float()')}, that is {spelled}.to(dtype=torch.{name(weight.dtype)})"
    other = f"or the layer as {name(wrong[one].dtype)}: model{_CALLS.get(wrong[one].dtype, '.float()')}"
    tail = "" if one == "input" else "; make states with x.new_zeros(…) or dtype=x.dtype"
    return f"the weights are {name(weight.dtype)}, {what}", f"{to}{tail}; {other}"


def _operation(failure: Failure) -> tuple[str, str] | None:
    """What follows the layer: a head outside autocast, an embedding that is given floats."""
    op = failure.op
    module = failure.module.module if failure.module else None
    if isinstance(module, torch.nn.Embedding) and failure.module is not None:
        given = failure.module.args[0] if failure.module.args else None
        if isinstance(given, Tensor) and given.is_floating_point():
            return (
                f"nn.Embedding looks up rows by whole numbers; it was given {name(given.dtype)} {tuple(given.shape)}",
                "tokens.long(), that is .to(dtype=torch.long); or, if these are features and no tokens, leave "
                "the embedding out",
            )
    if op is None or not any(origin[0] == "call" for origin in op.origin):
        return None
    floats = [d for d in op.dtypes if d.is_floating_point]
    if len(set(floats)) < 2:
        return None
    kinds = " and ".join(dict.fromkeys(name(d) for d in floats))
    mine = next(d for d, o in zip(op.dtypes, op.origins, strict=True) if any(x[0] == "call" for x in o))
    theirs = next((d for d in floats if d != mine), mine)
    return (
        f"{op.name} was given {kinds}: what the recurrent layer returned is {name(mine)}, the rest is {name(theirs)}"
        + (" (a layer inside autocast returns the low precision)" if mine in (torch.bfloat16, torch.float16) else ""),
        f"out{_CALLS.get(theirs, '.float()')}, that is out.to({name(theirs)}), before {op.name}; or run what follows "
        "inside the same autocast block",
    )


RULE = Rule(
    "LS105",
    "dtype",
    "input, state and weights do not have one dtype",
    "A layer computes in the dtype of its weights. NumPy makes float64, token ids are integers, and under autocast the "
    "outputs and the states come back in the low precision; each meets float32 weights sooner or later.",
    wrong="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x)[0]
inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)
""",
    right="""
rnn = nn.LSTM(5, 8, batch_first=True)
model = lambda x: rnn(x.float())[0]
inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)
""",
    explain=explain,
    order=14,
)
