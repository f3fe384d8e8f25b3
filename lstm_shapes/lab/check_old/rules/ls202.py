"""LS202 scrambled-reshape: a view or reshape stands where a permute was needed."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.mixup import Mixup, mixup
from lstm_shapes.lab.check_old.regroup import out_of_order, scrambling
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.trace import Op
from lstm_shapes.lab.check_old.words import state_names


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is not None:
        if found.code == "LS202":
            yield _samples(study, found)
        return
    op = _steps(study)
    if op is not None:
        yield RULE.finding(
            f"{op.name} turned {op.base} into {op.result}: the axes of the new shape are the old ones in "
            "another order, "
            "and a view keeps the order in memory, so steps and features of one sample are mixed",
            f"transpose({len(op.result) - 2}, {len(op.result) - 1}) or permute(…) moves axes; view and reshape "
            "only merge "
            "neighbours: permute first, then reshape",
            where=op.where,
        )


def _samples(study: Study, found: Mixup) -> Finding:
    op, call = found.op, found.call
    where = op.where if op is not None else call.where if call is not None else None
    seen = f"{op.name} turned {op.base} into {op.result}; a view keeps the order in memory, " if op is not None else ""
    if found.stage == "X":
        detail = (
            f"{seen}so a sequence that {call.call_name if call else 'the layer'} reads is made of steps of "
            "several samples"
        )
        fix = (
            "x.transpose(0, 1) (or x.permute(1, 0, 2); x.t() for two axes, then unsqueeze(-1)) in the place of "
            "the view, "
            "or leave the axes and build the layer with batch_first=True; a code for every step is "
            "z.unsqueeze(1).repeat(1, L, 1), then no view is needed"
        )
    elif found.stage == "state":
        detail = (
            f"{seen}so a row of {found.role} starts from the values of other samples: the shape is right and "
            "the owner is wrong"
        )
        fix = _state_fix(call)
    else:
        detail = f"{seen}so a row of the result holds values of several samples"
        fix = _result_fix(call, op)
    return RULE.finding(detail, fix, layer=call.name if call else "", where=where, evidence=found.evidence)


def _state_fix(call: LayerCall | None) -> str:
    rows = f"{call.K * call.R}" if call is not None else "K"
    return (
        f"saved (N, {rows}, H) becomes ({rows}, N, H) by .transpose(0, 1).contiguous() (swapaxes(0, 1), "
        "permute(1, 0, 2)), never by "
        "view or reshape; the directions of an encoder are joined by torch.cat((h[0::2], h[1::2]), dim=2)"
    )


def _result_fix(call: LayerCall | None, op: Op | None) -> str:
    hn = state_names(call)[0] if call is not None else "hn"
    if op is not None and not any(role in ("hn", "cn") for _, _, role in op.origin):
        out = (
            "out.transpose(0, 1) (or permute(1, 0, 2)) before the reshape, so that the batch is the first "
            "axis; or batch_first=True"
        )
        return out
    both = (
        f"; both directions of the top layer: torch.cat(({hn}[-2], {hn}[-1]), dim=-1)"
        if call is not None and call.R == 2
        else ""
    )
    return (
        f"{hn}.transpose(0, 1).reshape(N, -1) (or permute(1, 0, 2), swapaxes(0, 1)): the batch first, then "
        "merge; the top layer "
        f"alone is {hn}[-1]{both}"
    )


def _steps(study: Study) -> Op | None:
    """Within one sample: a reshape that can only be meant as an exchange of axes, on the way to a layer."""
    if not study.base.seen.calls:
        return None
    for op in scrambling(study.first.seen.trace):
        near = op.calls < len(study.base.seen.calls) or any(origin[0] == "call" for origin in op.origin)
        if near and out_of_order(op.base, op.result) and _exchanges(study, op):
            return op
    return None


def _exchanges(study: Study, op: Op) -> bool:
    """Equal sizes may be chance: with two steps more, is it still the same two axes that trade places?"""
    trace = study.first.seen.trace
    if trace is None or not study.L or not any(origin[0] in ("input", "call") for origin in op.origin):
        return False
    place = trace.ops.index(op)
    run = study.go(study.inputs.wider(0, 2), trace=True)
    ops = run.seen.trace.ops if run.seen.trace is not None else []
    if place >= len(ops) or ops[place].name != op.name or not ops[place].result:
        return run.error is not None  # sizes are written into the model: nothing speaks against the plain reading
    return out_of_order(ops[place].base, ops[place].result)


RULE = Rule(
    "LS202",
    "scrambled-reshape",
    "a view or reshape mixes samples, layers or steps where a permute was needed",
    "view and reshape keep the order of the elements in memory and only cut it anew: they merge and split neighbouring "
    "axes. Exchanging axes is another thing, transpose or permute. hn.view(N, -1) is the famous case: "
    "neighbouring memory "
    "of (K·R, N, H) is the next sample, not the next layer.",
    wrong="""
rnn, head = nn.LSTM(5, 8, num_layers=2, batch_first=True), nn.Linear(16, 3)
model = lambda x: head(rnn(x)[1][0].view(x.size(0), -1))
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.LSTM(5, 8, num_layers=2, batch_first=True), nn.Linear(16, 3)
model = lambda x: head(rnn(x)[1][0].transpose(0, 1).reshape(x.size(0), -1))
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
