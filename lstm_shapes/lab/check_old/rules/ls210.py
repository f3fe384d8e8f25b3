"""LS210 no-recurrence: the sequence has one step by construction, so the recurrent weights never matter."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import input_name, shape


def find(study: Study) -> Iterator[Finding]:
    if study.mixed:
        return
    of: dict[int, list[LayerCall]] = {}
    for call in study.base.seen.calls:
        of.setdefault(id(call.module), []).append(call)
    for calls in of.values():
        if all(_alone(call) for call in calls):
            yield _finding(study, calls)


def _alone(call: LayerCall) -> bool:
    """One step, starting from zeros."""
    if call.L != 1 or call.X is None or call.X.numel() == 0 or call.layout == "one":
        return False
    return not any(bool((state != 0).any()) for state in call.states.values())


def _finding(study: Study, calls: list[LayerCall]) -> Finding:
    call, x = calls[0], input_name(calls[0])
    made = study.L != 1  # the data have no step axis, or one that was lost on the way
    steps = (
        f"{len(calls)} calls of one step each, and no state passed from one to the next"
        if len(calls) > 1
        else f"its input {shape(call.X)} has one step"
    )
    if len(calls) > 1:
        fix = (
            f"pass the state on: h, c = {call.call_name}(x_t, (h, c))"
            if call.step and call.kind == "LSTM"
            else f"pass the state on: h = {call.call_name}(x_t, h)"
            if call.step
            else f"pass the state on: out, state = {call.call_name}(x_t, state)"
        ) + ", or give the layer the whole sequence in one call"
    else:
        time = "1" if call.batch_first else "0"
        fix = (
            f"a window of values is a sequence: {x}.unsqueeze(-1), (N, L, 1), into a layer with input_size=1; or "
            f"{x}.view(N, L, Q){'' if call.batch_first else '.transpose(0, 1)'} where L steps of Q features lie "
            "in a row "
            f"(not unsqueeze({time}), which makes one step of all of them); one step without a sequence needs "
            "nn.Linear, no recurrent layer"
        )
    return RULE.finding(
        f"{call.call_name}: {steps}, and the state before it is zero, so weight_hh is multiplied by zeros: the "
        "layer is a "
        "feed-forward one, nothing is remembered",
        fix,
        level="error" if made else "warning",
        layer=call.name,
        where=call.where,
        evidence=(
            Evidence(
                "the steps and the initial states of all calls counted", f"{len(calls)} × 1 step from a zero state"
            ),
        ),
    )


RULE = Rule(
    "LS210",
    "no-recurrence",
    "the sequence axis has one step by construction, so the recurrent weights never matter",
    "A window of L values given as L features of one step, or single steps whose state is never passed on: the "
    "layer runs, "
    "learns like a feed-forward network, and never uses its recurrence.",
    wrong="""
rnn, head = nn.LSTM(12, 8, batch_first=True), nn.Linear(8, 1)
model = lambda x: head(rnn(x.unsqueeze(1))[0][:, -1])
inputs = (torch.randn(4, 12),)
""",
    right="""
rnn, head = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, 1)
model = lambda x: head(rnn(x.unsqueeze(-1))[0][:, -1])
inputs = (torch.randn(4, 12),)
""",
    find=find,
)
