"""How exact a comparison is: one table of tolerances, and why."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The same program on the same sizes gives the same bits on a CPU for what was not changed. On other devices the order
# of additions may depend on the values' placement; 1e-5 of the largest element is above that and below a dependence.
_NOISE = {"cpu": 0.0}
_ELSEWHERE = 1e-5
# Other sizes change the order of additions: a few hundred roundings of the type, relative to the largest element.
OTHER_ORDER = 2e-4
_OTHER_SIZES = {torch.float64: 1e-9, torch.float32: OTHER_ORDER, torch.float16: 3e-2, torch.bfloat16: 1e-1}


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
                moved &= ~((before - after).abs() <= slack * _scale(before))
        return moved
    except (RuntimeError, NotImplementedError):
        return None


def far(before: Tensor, after: Tensor) -> Tensor:
    """Where two tensors of one shape, computed with other sizes, differ by more than the order of additions does."""
    if not before.is_floating_point():
        return before != after
    both_nan = torch.isnan(before) & torch.isnan(after)
    slack = _OTHER_SIZES.get(before.dtype, 1e-1)
    return ~((before == after) | both_nan | ((before - after).abs() <= slack * _scale(before, after)))


def _scale(*tensors: Tensor) -> float:
    largest = 0.0
    for tensor in tensors:
        finite = tensor.detach()[torch.isfinite(tensor)]
        if finite.numel():
            largest = max(largest, float(finite.abs().max()))
    return largest or 1.0
