"""How exact a comparison is: one table of tolerances, and why."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lstm_shapes.lab._build import precision_of

# The same program on the same sizes gives the same bits on a CPU for what was not changed. On other devices the order
# of additions may depend on the values' placement; 1e-5 of the largest element is above that and below a dependence.
_NOISE = {"cpu": 0.0}
_ELSEWHERE = 1e-5
# Other sizes change the order of additions: a few hundred roundings of the type, relative to the largest element.
_OTHER_ORDER = {
    "float64": 1e-9,
    "float32": 2e-4,
    "float32 on cuda": 2e-4,
    "tf32": 2e-2,
    "float16": 3e-2,
    "bfloat16": 1e-1,
}


def differs(before: Tensor, after: Tensor, slack: float = 0.0) -> Tensor | None:
    """Where two tensors differ; None where they cannot be compared. Equal NaNs are equal.

    `slack`: a share of the largest element that is no difference (dynamic quantisation scales by the whole batch).
    """
    if before.shape != after.shape or before.dtype != after.dtype or before.is_meta or before.layout != after.layout:
        return None
    try:
        if before.layout != torch.strided:
            before, after = before.to_dense(), after.to_dense()
        if before.is_quantized:
            before, after = before.dequantize(), after.dequantize()
        after = after.detach()
        if torch.equal(before, after):
            return torch.zeros_like(before, dtype=torch.bool)
        moved = before != after
        if before.is_floating_point() or before.is_complex():
            if not math.isfinite(float(before.detach().sum())):  # no copy, unless there may be a NaN
                moved &= ~(torch.isnan(before) & torch.isnan(after))
            slack = max(slack, _NOISE.get(before.device.type, _ELSEWHERE))
            if slack:
                apart = before - after
                moved &= ~((apart.abs() if apart.is_complex() else apart.abs_()) <= slack * _scale(before))
        return moved
    except (RuntimeError, NotImplementedError):
        return None


def other_order(tensor: Tensor) -> float:
    """The share of the largest element that another order of additions may make."""
    return _OTHER_ORDER.get(precision_of(tensor), 1e-1)


def far(before: Tensor, after: Tensor) -> Tensor:
    """Where two tensors of one shape, computed with other sizes, differ by more than the order of additions does."""
    if not before.is_floating_point():
        return before != after
    both_nan = torch.isnan(before) & torch.isnan(after)
    slack = other_order(before)
    return ~((before == after) | both_nan | ((before - after).abs() <= slack * _scale(before, after)))


def _scale(*tensors: Tensor) -> float:
    largest = 0.0
    for tensor in tensors:
        if tensor.numel() and not tensor.is_complex():
            least, most = map(float, torch.aminmax(tensor.detach()))
            if math.isfinite(most - least):
                largest = max(largest, -least, most)
                continue
        finite = tensor.detach()[torch.isfinite(tensor)]
        if finite.numel():
            largest = max(largest, float(finite.abs().max()))
    return largest or 1.0
