"""LS102 input-rank: the input has too few or too many axes, or no steps at all."""

from __future__ import annotations

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.words import built, input_name, shape


def explain(failure: Failure) -> Finding | None:
    call = failure.call
    if call is None or call.X is None or call.packed is not None:
        return None
    found = _cell(call) if call.step else _layer(call)
    if found is None:
        return None
    detail, fix = found
    return RULE.finding(detail, fix, layer=call.name, where=call.where or failure.where, cause=failure.error)


def _cell(call: LayerCall) -> tuple[str, str] | None:
    X, x = call.X, input_name(call, "x_t")
    assert X is not None
    if X.dim() in (1, 2):
        return None
    layer = f"a cell reads one step, (N, Q); its input {shape(X)} has {X.dim()} axes"
    ones = [axis for axis in range(X.dim() - 1) if X.size(axis) == 1]
    if ones:
        return layer, f"leave out the unsqueeze({ones[-1]}): {x} = x[:, t], or {x}.squeeze({ones[-1]})"
    whole = built(call).replace("Cell(", "(")
    return layer, (
        f"give the cell one step at a time, for t in range(x.size(1)): state = {call.call_name}(x[:, t], state), "
        f"or use the layer {whole[:-1]}, batch_first=True); no unsqueeze is needed"
    )


def _layer(call: LayerCall) -> tuple[str, str] | None:
    X, x = call.X, input_name(call)
    assert X is not None
    order = "(N, L, Q)" if call.batch_first else "(L, N, Q)"
    if X.dim() == 0 or X.dim() == 1:
        return (
            f"a layer reads {order}, or (L, Q) without a batch; its input {shape(X)} has {X.dim()} axis",
            f"{x}.view(1, 1, -1) for one step of one sequence, or {x}.unsqueeze(0) for one step without a batch, "
            f"or {x}.reshape(-1, {call.Q}) for a sequence; only a cell (nn.{call.label}Cell) takes a single vector",
        )
    if X.dim() > 3:
        ones = [axis for axis in range(1, X.dim() - 1) if X.size(axis) == 1]
        fix = f"{x}.squeeze({ones[0]})" if ones else f"{x}.flatten(2) if the last axes together are the features"
        return (
            f"a layer reads {order}; its input {shape(X)} has {X.dim()} axes",
            f"{fix}; merge leading axes with {x}.reshape(N * S, L, {call.Q}) where each of them holds sequences of its "
            "own, and permute before the reshape where the axes to be merged are no neighbours",
        )
    if X.size(1 if X.dim() == 3 and call.batch_first else 0) == 0 and X.numel() == 0:
        return (
            f"the input {shape(X)} has 0 steps on its time axis, an empty sequence, which no recurrent layer takes",
            "give at least one step, or skip the layer for an empty sequence and use its initial state "
            f"(if {x}.size({1 if call.batch_first else 0}) > 0: …)",
        )
    wide = [name for name, state in call.states.items() if state.dim() == 3]
    if X.dim() == 2 and wide:
        axis = 1 if call.batch_first else 0
        return (
            f"{wide[0]} {shape(call.states[wide[0]])} has a batch axis and the input {shape(X)} has none: 2-D input is "
            f"one unbatched sequence (L, Q). The exception blames the state, but it is the input that lacks an axis",
            f"make the input {order}: {x}.unsqueeze({axis}) if each row is one step of one sample, {x}.unsqueeze("
            f"{1 - axis}) if the rows are the steps of one sequence, {x}.view(N, L, {call.Q}) if the steps lie in the "
            f"rows. Do not make the state 2-D, as the message suggests: that reads the batch as time",
        )
    return None


RULE = Rule(
    "LS102",
    "input-rank",
    "the layer's input has the wrong number of axes, or no steps",
    "A layer reads three axes, (N, L, Q) or (L, N, Q), or the two of one unbatched sequence, (L, Q); a cell reads "
    "(N, Q) or (Q). The number of axes decides what each of them means.",
    wrong="""
rnn = nn.GRU(5, 8, batch_first=True)
model = lambda x: rnn(x)[1][-1]
inputs = (torch.randn(4, 1, 7, 5),)
""",
    right="""
rnn = nn.GRU(5, 8, batch_first=True)
model = lambda x: rnn(x.squeeze(1))[1][-1]
inputs = (torch.randn(4, 1, 7, 5),)
""",
    explain=explain,
    order=20,
)
