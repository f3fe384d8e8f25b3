"""The first place where samples meet that should not: one experiment, read by several rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from .calls import LayerCall
from .gradients import gradients
from .regroup import scrambling
from .report import Evidence
from .samples import Placement, evidence, of_layer, of_result
from .sorting import together
from .study import Run, Study
from .trace import Op
from .values import differs

__all__ = ["Mixup", "mixup"]

# Functions that give back rows in an order that was looked up.
_LOOKUPS = {"index_select", "gather", "take_along_dim", "__getitem__", "index", "sort", "argsort", "topk", "flip"}

_PRODUCTS = {"matmul", "__matmul__", "__rmatmul__", "mm", "einsum", "cdist", "cosine_similarity"}


@dataclass(eq=False, slots=True)
class Mixup:
    """Where samples meet (`stage`), how (`placement`), and which rule it belongs to (`code`)."""

    stage: Literal["X", "state", "result", "loss"]
    placement: Placement
    code: str
    call: LayerCall | None = None
    role: str = ""
    piece: int = 0
    maps: dict[int, Tensor] = field(default_factory=dict)
    op: Op | None = None
    unequal: Run | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        of = {
            "X": "the layer's input",
            "state": f"the layer's {self.role}",
            "result": "the result",
            "loss": "the prediction",
        }[self.stage]
        return (evidence(self.maps, of, self.placement.axis or 0),) if self.maps else ()


def mixup(study: Study) -> Mixup | None:
    """The first mix-up of samples, or None. Cached on the study."""
    if "mixup" not in study.__dict__:
        found = _find(study)
        # A state that could not be put back would look like samples that meet.
        study.__dict__["mixup"] = found if found is None or study.repeatable else None
    kept: Mixup | None = study.__dict__["mixup"]
    return kept


def _find(study: Study) -> Mixup | None:
    if not study.moved or not study.base.seen.calls:
        return None
    for call in study.calls:
        found = _at_input(study, call) or _at_state(study, call)
        if found is not None:
            return _by_coincidence(study, found)
    for k, _ in enumerate(study.base.pieces):
        found = _at_result(study, k)
        if found is not None:
            return _by_coincidence(study, found)
    return _at_loss(study)


def _at_input(study: Study, call: LayerCall) -> Mixup | None:
    maps = study.maps(call, "X")
    placement = of_layer(maps)
    if placement.right or placement.kind == "permuted":
        return None
    ops = scrambling(study.first.seen.trace, before=call.index)
    code = "LS201"
    if placement.kind == "swapped" and call.layout == "unbatched":
        code = "LS207"
    elif placement.kind == "scrambled" or (placement.kind == "blended" and ops):
        code = "LS202"
    elif placement.kind == "blended" and _statistics(study, call.index):
        return None
    return Mixup("X", placement, code, call, "X", 0, maps, ops[-1] if ops and code == "LS202" else None)


def _at_state(study: Study, call: LayerCall) -> Mixup | None:
    """Whose state a row starts with, against whose data it reads."""
    x = {i: m.flatten(1).any(1) for i, m in study.maps(call, "X").items()}
    read = any(bool(rows.any()) for rows in x.values())
    for role in ("h0", "c0"):
        maps = {i: m.transpose(0, 1) for i, m in study.maps(call, role).items()}
        if not any(bool(m.any()) for m in maps.values()):
            continue
        h = {i: m.flatten(1).any(1) for i, m in maps.items()}
        placement = of_layer(maps)
        foreign = read and any(bool((h[i] & ~x[i]).any()) for i in h if i in x)
        if (placement.right or placement.kind == "permuted") and not foreign:
            continue
        ops = scrambling(study.first.seen.trace, before=call.index)
        earlier = [c for c in study.base.seen.calls[: call.index] if c.module is call.module]
        leak = bool(earlier) and _carried(study, call, role)
        if leak and call.N > 1 and call.L == 1 and all(bool(rows.all()) for rows in x.values() if bool(rows.any())):
            # A loop over the wrong axis: each call reads all steps of one sample as its batch.
            return Mixup("X", Placement("swapped", 0), "LS201", call, "X", 0, study.maps(call, "X"))
        if foreign and placement.kind in ("right", "permuted", "unknown"):
            code = "LS211" if leak else "LS214"
        else:
            code = "LS211" if leak and not ops else "LS202"
        return Mixup("state", placement, code, call, role, 0, maps, ops[-1] if ops else None)
    return None


def _carried(study: Study, call: LayerCall, role: str) -> bool:
    """Whether the state came out of an earlier call of the same layer."""
    first = study.first
    if first.seen.trace is None or call.index >= len(first.seen.calls):
        return False
    state = first.seen.calls[call.index].taps.get(role)
    calls = first.seen.calls
    origins = first.seen.trace.origin(state) if state is not None else frozenset()
    return any(kind == "call" and calls[k].module is call.module for kind, k, _ in origins)


def _at_result(study: Study, k: int) -> Mixup | None:
    maps = study.piece_maps(k)
    piece = study.base.pieces[k]
    placement = of_result(maps, study.N)
    if placement.right or (placement.kind == "ignored" and not piece.tensor.is_floating_point()):
        return None
    if placement.kind == "ignored" and placement.axis is not None:
        return None  # every sample has its row; that a row does not move is another matter (padding, a dead unit)
    trace = study.first.seen.trace
    roles, call = _read(study)
    ops = scrambling(trace, of={"Y", "hn", "cn"})
    if placement.kind == "permuted" and together(study, piece.tensor, maps):
        return None
    if placement.kind == "permuted":
        orders = [of_layer(study.maps(c, "X")).kind for c in study.calls]
        looked_up = any(_by_tensor(op) for op in (trace.ops if trace else ()))
        code = "LS214" if "permuted" in orders or (looked_up and not _steps_differ(study)) else "LS201"
        return Mixup("result", placement, code, call, "", k, maps)
    if placement.kind == "ignored":
        code = "LS205" if roles and roles <= {"hn", "cn"} else "LS201" if call is not None else "LS213"
        return Mixup("result", placement, code, call, "", k, maps)
    if ops:
        return Mixup("result", placement, "LS202", call, "", k, maps, ops[-1])
    if _statistics(study, None):
        return None
    code = "LS205" if roles and roles <= {"hn", "cn"} else "LS201"
    return Mixup("result", placement, code, call, "", k, maps)


def _at_loss(study: Study) -> Mixup | None:
    """Predictions and targets that were flattened in different orders: row by row they belong to different samples."""
    for k, loss in enumerate(study.base.seen.losses):
        if loss.target is None or loss.target.dim() == 0 or loss.prediction.dim() == 0:
            continue
        made, meant = {}, {}
        for i, run in study.moved.items():
            other = run.seen.losses[k] if k < len(run.seen.losses) else None
            if other is None or other.target is None:
                return None
            p, t = differs(loss.prediction, other.prediction), differs(loss.target, other.target)
            if p is None or t is None:
                return None
            made[i], meant[i] = p.flatten(1).any(1) if p.dim() > 1 else p, t.flatten(1).any(1) if t.dim() > 1 else t
        apart = of_result(made, study.N).right and all(bool(m.any()) for m in (*made.values(), *meant.values()))
        apart = apart and all(made[i].shape == meant[i].shape for i in made)
        if apart and any(bool((meant[i] & ~made[i]).any()) for i in made):
            _, call = _read(study)
            one = all(int(m.sum()) == 1 for m in made.values())
            return Mixup("loss", Placement("permuted"), "LS214" if one else "LS201", call, "", k, made)
    return None


def _read(study: Study) -> tuple[set[str], LayerCall | None]:
    """Which of Y, hn, cn of the last layer call that matters reach the result."""
    found = gradients(study)
    if found is None:
        return _origins(study)
    for call in reversed(study.calls):
        roles = set()
        for role in ("Y", "hn", "cn"):
            used = found.used(call, role)
            if used is not None and bool(used.any()):
                roles.add(role)
        if roles:
            return roles, call
    return set(), (study.calls[-1] if study.calls else None)


def _origins(study: Study) -> tuple[set[str], LayerCall | None]:
    """The same by descent alone: what the results were made of, in the last layer call that they come from."""
    trace, calls = study.first.seen.trace, study.first.seen.calls
    made = [
        o for piece in study.first.pieces if trace is not None for o in trace.origin(piece.tensor) if o[0] == "call"
    ]
    if not made:
        return set(), (study.calls[-1] if study.calls else None)
    last = max(index for _, index, _ in made)
    return {role for _, index, role in made if index == last}, calls[last]


def _steps_differ(study: Study) -> bool:
    """Whether the row j of the result reads only step j: batch and time exchanged, not a sorted batch."""
    found = gradients(study)
    call = study.calls[-1] if study.calls else None
    if found is None or call is None or call.L < 2:
        return False
    for k, piece in enumerate(study.base.pieces):
        if piece.tensor.dim() and piece.tensor.size(0) == study.N:
            steps = []
            for j in (0, study.N - 1):
                used = found.used_by_row(call, "Y", k, 0, j)
                if used is None:
                    return False
                steps.append(tuple(torch.nonzero(used.any(2).any(0)).flatten().tolist()))
            return steps == [(0,), (study.N - 1,)]
    return False


def _by_tensor(op: Op) -> bool:
    return op.name in _LOOKUPS and ("tensor" in str(op.note[1:]) or op.name in ("sort", "argsort", "topk", "flip"))


def _statistics(study: Study, before: int | None) -> bool:
    """Mixing on purpose: mean and deviation of the batch taken by hand, or a matrix of all pairs of samples."""
    trace = study.first.seen.trace
    ops = [op for op in (trace.ops if trace else ()) if before is None or op.calls <= before]
    pairs = any(op.name in _PRODUCTS and op.result == (study.N, study.N) for op in ops)
    return pairs or bool({op.name for op in ops} & {"std", "var", "std_mean", "var_mean"})


def _by_coincidence(study: Study, found: Mixup) -> Mixup:
    """LS208 where unequal sizes would have raised: run again with one sample more."""
    from .failure import shape_failure

    if found.code not in ("LS201", "LS202", "LS205") or study.first.error is not None or not _equal_sizes(study):
        return found
    run = study.go(study.inputs.wider(), trace=True)
    if run.error is not None and shape_failure(study, run):
        found.code, found.unequal = "LS208", run
    elif run.error is None and found.stage == "result" and found.op is None:
        # Equal sizes had hidden a reshape that takes axes out of order.
        ops = scrambling(run.seen.trace, of={"Y", "hn", "cn"})
        if ops:
            found.code, found.op = "LS202", ops[-1]
    return found


def _equal_sizes(study: Study) -> bool:
    """Whether N equals another size that a layer checks."""
    sizes = {study.L}
    for call in study.calls:
        sizes |= {call.K * call.R, call.Q, call.H, call.L if call.N == study.N else call.N}
    return study.N in sizes
