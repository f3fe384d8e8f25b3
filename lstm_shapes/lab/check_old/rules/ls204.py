"""LS204 padding-read: padding changes the result, or a row is read beyond its length."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lstm_shapes.lab.check_old.mixup import mixup
from lstm_shapes.lab.check_old.report import Evidence, Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Run, Study
from lstm_shapes.lab.check_old.values import differs
from lstm_shapes.lab.check_old.words import output_name, state_names


def find(study: Study) -> Iterator[Finding]:
    lengths = study.true_lengths
    if lengths is None or mixup(study) is not None or study.truncated:
        return
    rows = [n for n in range(len(lengths)) if 0 < lengths[n] < study.L]
    if not rows or len(lengths) != study.N:
        return
    for k, piece in enumerate(study.base.pieces):
        axis = study.result_axis(k)
        if axis is None or not piece.tensor.is_floating_point():
            continue
        seen = _perturbed(study, k, axis, lengths, rows) or _alone(study, k, axis, lengths, rows)
        if seen is not None:
            yield _finding(study, seen)
            return


def _valid(row: Tensor, length: int, sizes: set[int]) -> Tensor:
    """Of a result with a time axis, the steps that belong to the row."""
    for axis in range(row.dim()):
        if row.size(axis) in sizes:
            return row.narrow(axis, 0, length)
    return row


def _perturbed(study: Study, k: int, axis: int, lengths: list[int], rows: list[int]) -> Evidence | None:
    run = study.padded_run
    if run is None or k >= len(run.pieces):
        return None
    before, after = study.base.pieces[k].tensor, run.pieces[k].tensor
    longest = {study.L, max(lengths)}  # packing gives back no more steps than the longest row has
    for n in rows:
        moved = differs(
            _valid(before.select(axis, n), lengths[n], longest), _valid(after.select(axis, n), lengths[n], longest)
        )
        if moved is not None and bool(moved.any()):
            return Evidence(
                "the padding replaced by other values, the real steps left as they are",
                f"row {n}, {lengths[n]} steps of {study.L}, changed",
            )
    return None


def _alone(study: Study, k: int, axis: int, lengths: list[int], rows: list[int]) -> Evidence | None:
    n = min(rows, key=lambda row: lengths[row])
    run: Run | None = study.alone_run(n, lengths[n])
    if run is None or k >= len(run.pieces):
        return None
    row = study.base.pieces[k].tensor.select(axis, n)
    single = run.pieces[k].tensor
    if single.dim() <= axis or single.size(axis) != 1:
        return None
    alone = single.select(axis, 0)
    if alone.dim() != row.dim():
        return None
    for a in range(row.dim()):
        if alone.size(a) < row.size(a):
            if alone.size(a) != lengths[n]:
                return None
            row = row.narrow(a, 0, alone.size(a))
    if alone.shape != row.shape or alone.dtype != row.dtype:
        return None
    x, y = row.detach().double(), alone.detach().double()
    loose = 1e-4 if row.dtype in (torch.float32, torch.float64) else 5e-2
    if torch.allclose(
        x, y, rtol=loose, atol=loose * max(1e-3, float(torch.nan_to_num(y, 0.0, 0.0, 0.0).abs().max())), equal_nan=True
    ):
        return None
    far = float(torch.nan_to_num(x - y, 0.0, 0.0, 0.0).abs().max())
    return Evidence(
        f"row {n} run alone, as a batch of one cut to its {lengths[n]} steps",
        f"its result differs from its row in the batch by {far:.3g}",
    )


def _finding(study: Study, seen: Evidence) -> Finding:
    call = study.calls[-1] if study.calls else None
    out, hn = (output_name(call), state_names(call)[0]) if call else ("out", "hn")
    packed = any(c.packed is not None for c in study.base.seen.calls)
    pooled = study.reduces()
    both = f"torch.cat(({hn}[-2], {hn}[-1]), dim=-1)" if call is not None and call.R == 2 else f"{hn}[-1]"
    if packed:
        detail = (
            "the rows are packed, but what is read from the unpacked output counts padding: behind a row's "
            "length it is zeros"
        )
    else:
        detail = "the layer reads the padding as if it were data, and the result depends on it"
    fixes = [
        f"{both} of the packed call, the state at each row's own last step",
        f"or {out}[torch.arange(N), lengths - 1] (gather at lengths - 1)" if call is None or call.R == 1 else "",
        "pooling needs a mask: out.masked_fill(~mask, float('-inf')).max(1), pad_packed_sequence(…, "
        "padding_value=float('-inf')) before a "
        "maximum, (out * mask).sum(1) / lengths[:, None] for a mean, scores.masked_fill(~mask, float('-inf')) "
        "before a softmax"
        if pooled or packed
        else "",
        ""
        if packed
        else "pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False) in front of the layer",
    ]
    return RULE.finding(
        detail,
        "; ".join(f for f in fixes if f),
        layer=call.name if call else "",
        where=call.where if call else None,
        evidence=(seen,),
    )


RULE = Rule(
    "LS204",
    "padding-read",
    "a row is read beyond its length, or padding changes the result",
    "A row of a padded batch must give what it gives alone. out[:, -1] is the last step of the longest row only; zeros "
    "behind the others count in means and win maxima; and the backward direction of an unpacked batch begins "
    "in the padding.",
    wrong="""
rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x, n_steps: head(rnn(x)[0][:, -1])
lengths = torch.tensor([7, 3, 5, 4])
inputs = (torch.randn(4, 7, 5), lengths)
""",
    right="""
rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x, n_steps: head(rnn(x)[0][torch.arange(x.size(0)), n_steps - 1])
lengths = torch.tensor([7, 3, 5, 4])
inputs = (torch.randn(4, 7, 5), lengths)
""",
    find=find,
)
