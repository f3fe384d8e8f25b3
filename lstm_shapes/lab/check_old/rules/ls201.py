"""LS201 batch-time-swap: batch and time were exchanged somewhere between the input and the result."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.mixup import Mixup, mixup
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import axes_of, built, input_name, output_name, shape, state_names


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is None or found.code != "LS201":
        return
    if found.stage == "X" and found.call is not None:
        detail, fix = at_input(study, found.call, found)
        yield RULE.finding(detail, fix, layer=found.call.name, where=found.call.where, evidence=found.evidence)
    elif found.stage == "loss":
        loss = study.base.seen.losses[found.piece]
        yield RULE.finding(
            f"{loss.name} compares the prediction and the target row by row, and they were flattened in "
            "different orders, one with the "
            "batch first and one with time first: predictions meet the targets of other samples",
            "flatten both in one order: logits.transpose(0, 1).reshape(-1, C), or target.t().reshape(-1), or "
            "batch_first=True throughout",
            layer=found.call.name if found.call else "",
            where=loss.where,
            evidence=found.evidence,
        )
    else:
        detail, fix = at_result(study, found)
        call = found.call
        pads = [
            op
            for op in (study.first.seen.trace.ops if study.first.seen.trace else [])
            if op.name == "_pad_packed_sequence"
        ]
        where = pads[-1].where if pads else call.where if call else None
        yield RULE.finding(detail, fix, layer=call.name if call else "", where=where, evidence=found.evidence)


def at_input(study: Study, call: LayerCall, found: Mixup) -> tuple[str, str]:
    """The samples lie along the axis that the layer reads as time."""
    x, X = input_name(call), call.X
    assert X is not None
    axis = {"time_major": 0, "batch_first": 1, "packed": 0}.get(call.layout, 0)
    seen = (
        f"{call.call_name} reads {x} {shape(X)} as {axes_of(call)}: it takes {X.size(axis)}, which is "
        f"{x}.size({axis}), for time"
    )
    detail = (
        f"{seen}, and the samples of the batch lie along that axis, so each sample is one step and "
        "passes its state to the next"
    )
    if call.step or (call.L == 1 and call.batch_first and found.placement.axis == 0):
        return (
            f"{call.call_name} is called once for each sample, and reads {x} {shape(X)} with the steps of that "
            "sample as its batch: the "
            "loop runs over the batch, so each sample remembers the ones before it",
            f"loop over time: for t in range(x.size(1)), {call.call_name}(x[:, t], state), or for x_t in "
            "x.unbind(1); x.transpose(0, 1) "
            "where the loop over axis 0 is to stay",
        )
    if call.layout == "packed":
        return (
            f"the rows that were packed are steps, not samples: {call.call_name} runs over the batch",
            "pack_padded_sequence(x, lengths, batch_first=True) where x is (N, L, Q); packing has a "
            "batch_first of its own; "
            "or x.transpose(0, 1) before it",
        )
    if call.batch_first:
        return detail, (
            f"{x}.transpose(0, 1) before the layer (or permute(1, 0, 2)), or {built(call, batch_first=False)}: "
            f"this layer has batch_first=True and was given time first"
        )
    step = call.X is not None and X.dim() == 3 and X.size(1) == 1
    extra = (
        f"{x}.unsqueeze(0), that is {x}[None], where one step of the whole batch is fed, with the state passed on; or "
        if step
        else ""
    )
    return detail, f"{extra}{built(call, batch_first=True)}; or {x}.transpose(0, 1) (permute(1, 0, 2)), never view"


def at_result(study: Study, found: Mixup) -> tuple[str, str]:
    """The layer is right; what is read from its output is not."""
    call = found.call
    if call is None:
        return (
            "a row of the result depends on other samples of the batch; no recurrent layer stands between them",
            "look for an axis that is taken for the batch and is time: transpose(0, 1), batch_first=True",
        )
    out, (hn, _) = output_name(call), state_names(call)
    trace = study.first.seen.trace
    pads = [op for op in (trace.ops if trace else []) if op.name == "_pad_packed_sequence"]
    if pads and call.layout == "packed":
        return (
            "pad_packed_sequence has a batch_first of its own, and without it the padded output is (L, N, "
            "R·H): its axis 0 is "
            "time, and an index meant for the time picks samples",
            f"pad_packed_sequence({out}, batch_first=True); or {hn}[-1], the last state of each row"
            + (f", with two directions torch.cat(({hn}[-2], {hn}[-1]), dim=-1)" if call.R == 2 else ""),
        )
    first = call.layout == "batch_first"
    names = {op.name for op in (trace.ops if trace else [])}
    others = ["MultiheadAttention"] if names & {"multi_head_attention_forward", "_native_multi_head_attention"} else []
    order = "(N, L, R·H)" if first else "(L, N, R·H)"
    size = (call.N, call.L) if first else (call.L, call.N)
    read = "ignores samples" if found.placement.kind == "ignored" else "mixes samples"
    return (
        f"{call.call_name} reads the batch rightly and returns {order} = {(*size, call.R * call.H)}; what is "
        "taken from it "
        f"{read}: an index, mean or softmax meant for the time works on the batch axis {0 if first else 1}",
        (
            f"{out}[:, -1] for the last step (not {out}[-1], which is the last sample), dim=1 for means and "
            "softmax over time"
            if first
            else f"{out}[-1] for the last step (not {out}[:, -1], which is the last sample), "
            "dim=0 for means and softmax over time; "
            f"or batch_first=True and x.transpose(0, 1)"
        )
        + f"; {hn}[-1] in either layout"
        + (f"; nn.{others[0]} has a batch_first of its own: nn.{others[0]}(…, batch_first={first})" if others else ""),
    )


def explain(failure: Failure) -> Finding | None:
    """The state is right for the batch and the data are the other way round: the exception blames the state."""
    call = failure.call
    if call is None or call.X is None or call.step or call.X.dim() != 3 or call.packed is not None:
        return None
    time = 1 if call.batch_first else 0
    n = call.X.size(time)
    right = call.states and all(
        s.dim() == 3 and s.size(0) == call.K * call.R and s.size(1) == n and n != call.N for s in call.states.values()
    )
    if not right or (failure.study is not None and (failure.batch_dim is None or n != failure.N)):
        return None
    x = input_name(call)
    return RULE.finding(
        f"the state is (K·R, N, H) with N = {n}, and {n} is {x}.size({time}), which {call.call_name} reads as "
        "time: the state "
        f"is right and the data {shape(call.X)} are the other way round ({axes_of(call)} is wanted)",
        (
            f"{x}.transpose(0, 1), or {built(call, batch_first=False)}"
            if call.batch_first
            else f"{built(call, batch_first=True)}, or {x}.transpose(0, 1)"
            + (
                f"; one step of the batch is {x} made with unsqueeze(0), not unsqueeze(1)"
                if call.X.size(1) == 1
                else ""
            )
        ),
        layer=call.name,
        where=call.where or failure.where,
        cause=failure.error,
    )


RULE = Rule(
    "LS201",
    "batch-time-swap",
    "batch and time are exchanged: samples influence each other, or samples are ignored",
    "torch's layers read (L, N, Q) unless batch_first=True. With the axes exchanged the recurrence runs over "
    "the batch: "
    "every shape still fits, the loss still falls, and each sample's output depends on the samples before it.",
    wrong="""
rnn, head = nn.LSTM(5, 8), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0][:, -1])
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[0][:, -1])
inputs = (torch.randn(4, 7, 5),)
""",
    explain=explain,
    find=find,
    order=30,
)
