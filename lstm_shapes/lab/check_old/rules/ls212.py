"""LS212 broadcast-loss: output and target broadcast against each other without an error."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.rules.ls112 import advice
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.trace import Op
from lstm_shapes.lab.check_old.values import broadcast
from lstm_shapes.lab.check_old.where import Where

# cosine and margin losses take other shapes by design; these compare element with element.
ELEMENTWISE = {
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "poisson_nll_loss",
    "soft_margin_loss",
}
_PLAIN = {"sub", "__sub__", "__rsub__", "rsub", "subtract", "subtract_", "sub_"}


def find(study: Study) -> Iterator[Finding]:
    for loss in study.first.seen.losses:
        if loss.target is not None and loss.name in ELEMENTWISE and loss.prediction.shape != loss.target.shape:
            yield _finding(loss.name, loss.prediction, loss.target, loss.where)
            return
    trace = study.first.seen.trace
    for op in trace.ops if trace is not None else ():
        if op.name in _PLAIN and _pairs(op) and _reduced(study):
            p, t = (torch.empty(s, device="meta") for s in op.shapes[:2])
            yield _finding("the difference", p, t, op.where)
            return
    target = study.target
    shaped = [p for p in study.first.pieces if p.tensor.is_floating_point()]
    if isinstance(target, Tensor) and target.is_floating_point() and len(shaped) == 1:
        p = shaped[0].tensor
        if p.shape != target.shape and broadcast(p.shape, target.shape) is not None:
            yield _finding("a loss", p, target, None)


def _pairs(op: Op) -> bool:
    """(N, 1) minus (N,): the same N on two axes of the result, one side made by a recurrent layer, the other not."""
    if len(op.shapes) < 2 or op.shapes[0] == op.shapes[1]:
        return False
    a, b = op.shapes[:2]
    short, long = sorted((a, b), key=len)
    lonely = (
        len(long) == len(short) + 1 and long[-1] == 1 and long[:-1] == short and short[:1] != (1,) and len(short) > 0
    )
    made = [any(kind == "call" for kind, _, _ in origin) for origin in op.origins[:2]]
    return lonely and made[0] != made[1]


def _reduced(study: Study) -> bool:
    return all(piece.tensor.dim() == 0 for piece in study.first.pieces)


def _finding(name: str, p: Tensor, t: Tensor, where: Where | None) -> Finding:
    detail, fix = advice(name, p, t)
    both = broadcast(p.shape, t.shape) or ()
    bare = " A bare squeeze() or squeeze(0) also removes a batch axis of size 1." if p.dim() < t.dim() else ""
    return RULE.finding(
        f"{detail}; they broadcast to {both}: {torch.Size(both).numel()} pairs are compared where {t.numel()} "
        f"were meant.{bare}",
        f"{fix}; squeeze(-1) or view(-1), never a bare squeeze",
        where=where,
    )


RULE = Rule(
    "LS212",
    "broadcast-loss",
    "output and target broadcast against each other silently",
    "(N, 1) against (N,) is a difference of (N, N): every output is compared with every target, and what is "
    "learned is the "
    "mean. torch warns at most.",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 1)
model = lambda x, y: F.mse_loss(head(rnn(x)[0][:, -1]), y)
inputs = (torch.randn(4, 7, 5), torch.randn(4))
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 1)
model = lambda x, y: F.mse_loss(head(rnn(x)[0][:, -1]).squeeze(-1), y)
inputs = (torch.randn(4, 7, 5), torch.randn(4))
""",
    find=find,
)
