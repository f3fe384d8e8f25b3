"""A batch that was sorted together with what it is compared with: another order, and right."""

from __future__ import annotations

import torch
from torch import Tensor

from .study import Study
from .values import differs, leaves

__all__ = ["together"]


def together(study: Study, result: Tensor, maps: dict[int, Tensor]) -> bool:
    """Whether the targets, or something else that is returned, went through the same sort as a result."""
    for k, loss in enumerate(study.base.seen.losses):
        if loss.prediction is result and loss.target is not None:
            return _target_too(study, k, loss.target, maps)
    return any(_sorted(study, tensor) for _, tensor in leaves(study.base.output) if tensor is not result)


def _target_too(study: Study, k: int, target: Tensor, maps: dict[int, Tensor]) -> bool:
    """The rows of the target that moved with a sample are those of the prediction; else it is no input as it was."""
    moved = False
    for i, run in study.moved.items():
        other = run.seen.losses[k].target if k < len(run.seen.losses) else None
        changed = None if other is None else differs(target, other)
        if changed is not None and bool(changed.any()) and i in maps:
            if not torch.equal(_rows(changed), _rows(maps[i])):
                return False
            moved = True
    return moved or not any(_equal(target, slot.value) for slot in study.inputs.slots)


def _rows(changed: Tensor) -> Tensor:
    return changed.flatten(1).any(1) if changed.dim() > 1 else changed


def _equal(a: Tensor, b: object) -> bool:
    return isinstance(b, Tensor) and a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def _sorted(study: Study, tensor: Tensor) -> bool:
    """The order itself, or an input's values in another order."""
    if tensor.dim() != 1 or tensor.size(0) != study.N or tensor.is_floating_point():
        return False
    if torch.equal(tensor.sort().values, torch.arange(study.N, device=tensor.device).to(tensor.dtype)):
        return True
    for slot in study.inputs.slots:
        value = slot.value
        if not isinstance(value, Tensor) or value.shape != tensor.shape or torch.equal(value, tensor):
            continue
        if torch.equal(value.sort().values, tensor.to(value.dtype).sort().values):
            return True
    return False
