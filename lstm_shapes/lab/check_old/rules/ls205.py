"""LS205 wrong-state-row: a row of hn or cn is used that is not the one meant."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lstm_shapes.lab.check_old.calls import LayerCall
from lstm_shapes.lab.check_old.gradients import Gradients, gradients
from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.words import output_name, state_names


def find(study: Study) -> Iterator[Finding]:
    found = mixup(study)
    if found is not None:
        if found.code == "LS205" and found.call is not None:
            yield _batch_axis(found.call, found.evidence)
        return
    grads = gradients(study)
    if grads is None:
        return
    for call in study.calls:
        finding = _handed_on(study, grads, call)
        if finding is not None:
            yield finding
            return
    for call in study.calls:
        if not call.step:
            finding = _rows(study, grads, call) or _extra_axis(study, grads, call)
            if finding is not None:
                yield finding
                return


def _batch_axis(call: LayerCall, evidence: tuple[Evidence, ...]) -> Finding:
    hn = state_names(call)[0]
    rows = call.K * call.R
    return RULE.finding(
        f"{hn} is (K·R, N, H) = ({rows}, {call.N}, {call.H}), with batch_first too; it was indexed or reduced "
        "as if its axis 0 "
        "were the batch, so samples are lost or merged",
        f"{hn}[-1] for the top layer's final state (N, H)"
        + (f", torch.cat(({hn}[-2], {hn}[-1]), dim=-1) for both directions" if call.R == 2 else "")
        + f"; or {output_name(call)}[:, -1] of a batch_first output; {hn}.transpose(0, 1) puts the batch first",
        layer=call.name,
        where=call.where,
        evidence=evidence,
    )


def _rows_used(grads: Gradients, call: LayerCall, role: str) -> set[int]:
    used = grads.used(call, role)
    return set() if used is None else {int(k) for k in torch.nonzero(used.flatten(1).any(1)).flatten()}


def _rows(study: Study, grads: Gradients, call: LayerCall) -> Finding | None:
    """The final state is read, and not the top layer's, or only one direction of it."""
    output = grads.used(call, "Y")
    hidden, cell = _rows_used(grads, call, "hn"), _rows_used(grads, call, "cn")
    rows = hidden or cell
    if not rows or (output is not None and bool(output.any())):
        return None
    name = state_names(call)[0 if hidden else 1]
    top = {call.K * call.R - r for r in range(1, call.R + 1)}
    seen = Evidence(
        "the result differentiated with respect to every row of hn and cn",
        f"it depends on row{'s' if len(rows) > 1 else ''} {sorted(rows)} of {call.K * call.R}, and not on "
        f"{sorted(top - rows)}",
    )
    table = ", ".join(f"{k} = {_row_name(call, k)}" for k in range(call.K * call.R))
    if not rows & top:
        return RULE.finding(
            f"only row {sorted(rows)} of {name} ({table}) reaches the result, a lower layer; the top layer is "
            "computed and "
            "never read" + ("; unpacking hn takes its layers apart: hn is one tensor" if call.kind != "LSTM" else ""),
            f"{name}[-1] is the top layer"
            + (f", torch.cat(({name}[-2], {name}[-1]), dim=-1) with both directions" if call.R == 2 else "")
            + (
                f"; unpack as {output_name(call)}, hn = {call.call_name}(x), one tensor, then hn[-1]"
                if call.kind != "LSTM"
                else ""
            ),
            layer=call.name,
            where=call.where,
            evidence=(seen,),
        )
    if call.R == 2 and not top <= rows:
        missing = min(top - rows)
        return RULE.finding(
            f"only row {sorted(rows & top)} of the top layer's two rows of {name} ({table}) reaches the result: the "
            f"{_row_name(call, missing)} is never read",
            f"torch.cat(({name}[-2], {name}[-1]), dim=-1), 2·H = {2 * call.H} wide, or {name}[-2] + {name}[-1]",
            layer=call.name,
            where=call.where,
            evidence=(seen,),
        )
    return None


def _row_name(call: LayerCall, k: int) -> str:
    layer = f"layer {k // call.R}"
    return layer if call.R == 1 else f"{layer} {'backward' if k % 2 else 'forward'}"


def _extra_axis(study: Study, grads: Gradients, call: LayerCall) -> Finding | None:
    """All rows go through the head one by one: the result has kept the state's first axis."""
    pieces = grads.run.pieces
    rows = call.K * call.R
    if rows < 2 or len(pieces) != 1 or pieces[0].tensor.dim() != 3 or pieces[0].tensor.size(0) != rows:
        return None
    result = pieces[0].tensor
    if (
        any(result is tap or result.data_ptr() == tap.data_ptr() for tap in call.taps.values())
        or _tail(study) not in _HEADS
    ):
        return None
    for role in ("hn", "cn"):
        each: list[Tensor | None] = [grads.used_by_row(call, role, 0, 0, k) for k in range(rows)]
        if all(
            m is not None and {int(i) for i in torch.nonzero(m.flatten(1).any(1)).flatten()} == {k}
            for k, m in enumerate(each)
        ):
            name = state_names(call)[0 if role == "hn" else 1]
            return RULE.finding(
                f"the result {tuple(result.shape)} has kept the first axis of {name} (K·R, N, H) = ({rows}, "
                f"{call.N}, {call.H}): "
                f"one row for each layer{' and direction' if call.R == 2 else ''}, where squeeze(0) or the like "
                "was to remove it",
                f"{name}[-1], the top layer's row"
                + (f"; torch.cat(({name}[-2], {name}[-1]), dim=-1) with both directions" if call.R == 2 else ""),
                layer=call.name,
                where=call.where,
            )
    return None


_HEADS = {"linear", "softmax", "log_softmax", "sigmoid", "addmm"}


def _tail(study: Study) -> str:
    """The last operation that computes: a head was applied."""
    trace = study.first.seen.trace
    return trace.ops[-1].name if trace is not None and trace.ops else ""


def _handed_on(study: Study, grads: Gradients, call: LayerCall) -> Finding | None:
    """Rows of an encoder's state that start a decoder: layer k should start from layer k."""
    inner = grads.call(call.index)
    for role in ("h0", "c0"):
        state = inner.taps.get(role)
        if state is None or state.dim() != 3:
            continue
        sources: dict[int, set[tuple[int, int]]] = {}
        for k in range(call.K * call.R):
            found = grads.sources(state[k], call.index)
            sources[k] = {
                (index, int(row))
                for (index, part), cells in found.items()
                if part in ("hn", "cn") and grads.call(index).module is not inner.module
                for row in torch.nonzero(cells.flatten(1).any(1)).flatten()
            }
        encoders = {index for rows in sources.values() for index, _ in rows}
        if len(encoders) != 1 or not all(sources.values()):
            continue
        encoder = grads.call(encoders.pop())
        finding = _wrong_rows(study, encoder, call, role, {k: {row for _, row in rows} for k, rows in sources.items()})
        if finding is not None:
            return finding
    return None


def _wrong_rows(
    study: Study, encoder: LayerCall, call: LayerCall, role: str, rows: dict[int, set[int]]
) -> Finding | None:
    name = state_names(encoder)[0]
    if encoder.K == call.K:
        wrong = [k for k, taken in rows.items() if all(row // encoder.R != k // call.R for row in taken)]
        wrong += [k for k, taken in rows.items() if encoder.R == call.R == 2 and all(row % 2 != k % 2 for row in taken)]
    elif encoder.K > call.K == 1:
        top = {encoder.K * encoder.R - r for r in range(1, encoder.R + 1)}
        wrong = [k for k, taken in rows.items() if not taken & top]
    elif encoder.R == 2 and call.R == 1 and encoder.K < call.K and len({tuple(t) for t in rows.values()}) > 1:
        wrong = [k for k, taken in rows.items() if len(taken) == 1 and k]
    else:
        return None
    if not wrong:
        return None
    k = wrong[0]
    taken = ", ".join(_row_name(encoder, row) for row in sorted(rows[k]))
    return RULE.finding(
        f"{role} of {call.call_name}, layer {k // call.R}, is made of row {sorted(rows[k])} of "
        f"{encoder.call_name}'s state, "
        f"which is {taken}: rows are layer-major, (layer 0 forward, layer 0 backward, layer 1 forward, …)"
        if encoder.R == 2
        else f"{role} of {call.call_name}, layer {k // call.R}, is made of {encoder.call_name}'s {taken}",
        f"join the directions of each layer: torch.cat(({name}[0::2], {name}[1::2]), dim=2) into a decoder "
        "twice as wide, or "
        f"{name}[0::2] + {name}[1::2], {name}.view({encoder.K}, 2, N, H).sum(1); {name}[-{call.K}:] are the top rows"
        if encoder.R == 2
        else f"{name}[-{call.K}:] are the top rows; with as many layers on both sides "
        f"hand {name} on as it is, layer k to layer k",
        layer=call.name,
        where=call.where,
        evidence=(
            Evidence(
                "each row of the decoder's state differentiated to the encoder's rows",
                str({k: sorted(v) for k, v in rows.items()}),
            ),
        ),
    )


RULE = Rule(
    "LS205",
    "wrong-state-row",
    "a row of the final state is used that is not the one meant",
    "hn is (K·R, N, H), layer-major, forward before backward, in both layouts: hn[-1] is the top layer (its backward "
    "direction, if there are two), hn[0] the bottom one, hn[:, 0] the first sample.",
    wrong="""
rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[1][0])
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.GRU(5, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)
model = lambda x: head(rnn(x)[1][-1])
inputs = (torch.randn(4, 7, 5),)
""",
    find=find,
)
