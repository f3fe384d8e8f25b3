"""LS112 target-shape: loss, output and target do not agree, and it raises."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.trace import is_loss
from lstm_shapes.lab.check_old.values import broadcast


def explain(failure: Failure) -> Finding | None:
    if failure.call is not None or not failure.seen.losses:
        return None
    op = failure.op
    inside = any(is_loss(frame.f_code.co_name) for frame in failure.frames) or (op is not None and is_loss(op.name))
    if not inside:
        return None
    loss = failure.seen.losses[-1]
    if loss.target is None:
        return None
    detail, fix = advice(loss.name, loss.prediction, loss.target)
    return RULE.finding(detail, fix, where=failure.where, cause=failure.error)


def advice(name: str, p: Tensor, t: Tensor) -> tuple[str, str]:
    """What two shapes say about each other, and the edit."""
    got, want = tuple(p.shape), tuple(t.shape)
    what = f"{name} compares {got} with {want}"
    if name in ("cross_entropy", "nll_loss"):
        if len(got) == 3 and want == got[:2]:
            return (
                f"{what}: it reads the classes on axis 1, (N, C, L), and here they are on the last",
                "logits.transpose(1, 2) (or permute(0, 2, 1)), or merge the steps: logits.reshape(-1, C) with "
                "targets.reshape(-1)",
            )
        if not t.is_floating_point() and len(want) == len(got) and want[-1:] == (1,):
            return f"{what}: class indices are (N,)", "target.squeeze(-1), that is target.view(-1)"
        if len(got) == len(want) == 2 and not t.is_floating_point():
            return (
                f"{what}: one row of classes a sample against a target with an axis more",
                "steps: keep them in the output (out, not out[:, -1]) and logits.transpose(1, 2); one-hot targets: "
                "target.argmax(-1), or target.float()",
            )
        if len(want) == 1 and len(got) >= 2 and got[0] != want[0]:
            return (
                f"{what}: {got[0]} rows of logits for {want[0]} targets",
                "one row a target: logits[:, -1] or hn[-1] for one prediction a sequence, logits.reshape(-1, C) with "
                "targets.reshape(-1) for one a step; if the batch is on another axis, batch_first=True or "
                "transpose(0, 1)",
            )
        return (
            f"{what}: it wants logits (N, C, …) and class indices (N, …)",
            "logits.reshape(-1, C) with targets.reshape(-1), or transpose the classes to axis 1 (transpose(1, 2))",
        )
    if len(got) == len(want) + 1 and got[-1] == 1:
        return (
            f"{what}: the output has an axis of size 1 more",
            "output.squeeze(-1) (or view(-1)), or target.unsqueeze(-1)",
        )
    if len(want) == len(got) + 1 and want[-1] == 1:
        return (
            f"{what}: the target has an axis of size 1 more",
            "target.squeeze(-1) (or view(-1)), or keep the output's axis: no squeeze there",
        )
    if len(got) == 0 or len(want) == len(got) + 1:
        return (
            f"{what}: the output has lost an axis",
            "squeeze(-1) names the axis to drop; a bare squeeze() or squeeze(0) also drops a batch of one; or "
            "view(target.shape)",
        )
    return (
        f"{what}: they must have one shape",
        "bring them to one shape: squeeze(-1) or unsqueeze(-1) for a last axis of 1, view(-1) or "
        "reshape(target.shape) for "
        "merged axes, out[:, -1] where the target is one step",
    )


def find(study: Study) -> Iterator[Finding]:
    """A target given to check that the output cannot be compared with."""
    target = study.target
    shaped = [p for p in study.first.pieces if p.tensor.is_floating_point()]
    if not isinstance(target, Tensor) or len(shaped) != 1:
        return
    p = shaped[0].tensor
    if target.is_floating_point():
        agree = p.shape == target.shape or broadcast(p.shape, target.shape) is not None
        name = "a loss"
    else:
        agree = p.dim() >= 1 and (p.shape[:1] + p.shape[2:] == target.shape or (p.dim() == 1 and target.dim() == 0))
        agree = agree or p.shape == target.shape or (p.dim() == 2 and p.size(0) == target.numel())
        name = "cross_entropy"
    if not agree:
        detail, fix = advice(name, p, target)
        yield RULE.finding(detail, fix)


RULE = Rule(
    "LS112",
    "target-shape",
    "output and target do not agree in shape",
    "Regression and binary losses want one shape on both sides; cross_entropy wants the classes on axis 1, (N, "
    "C, L), and "
    "class indices (N, L).",
    wrong="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x, y: F.cross_entropy(head(rnn(x)[0]), y)
inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))
""",
    right="""
rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
model = lambda x, y: F.cross_entropy(head(rnn(x)[0]).transpose(1, 2), y)
inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))
""",
    explain=explain,
    find=find,
    order=11,
)
