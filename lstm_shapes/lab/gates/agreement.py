"""agree: whether a recomputation and a layer gave the same numbers, up to the rounding of their dtype.

Both do the same sums in another order, so they differ by rounding: a few units in the last place of each step,
from the same state before it. The tolerance, relative to max(1, |value|), is

    float64  1e-12      float32  1e-5      about 100 units in the last place
    float16  1e-2       bfloat16 5e-2      about 10: a kernel may keep float32 between its operations, and we round
    float32 on CUDA where cuDNN may use TF32: 5e-3, because TF32 multiplies with 10 bits of mantissa

With a graph the recomputation runs on its own states, and large recurrent weights make a chaotic system, in which
rounding grows with every step. So there, before a difference is called a mismatch, it is all done again in
float64, and what rounding did to the first pass widens the tolerance tenfold. Wrong weights, a wrong gate order or a
wrong state differ by far more than their own rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lstm_shapes.errors import ShapeError

__all__ = ["TOLERANCES", "agree", "tolerance_of"]

TOLERANCES: dict[torch.dtype, float] = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 1e-2,
    torch.bfloat16: 5e-2,
}
TF32 = 5e-3


def tolerance_of(tensor: Tensor) -> float:
    """The tolerance for the dtype on its device.

    >>> tolerance_of(torch.zeros(1))
    1e-05
    """
    if tensor.device.type == "cuda" and tensor.dtype == torch.float32 and torch.backends.cudnn.allow_tf32:
        return TF32
    return TOLERANCES[tensor.dtype]


def agree(
    ours: dict[str, Tensor], theirs: dict[str, Tensor], exact: Callable[[], dict[str, Tensor]] | None = None
) -> tuple[float, float]:
    """The greatest difference and the tolerance that it kept.

    `exact`, where rounding can grow, recomputes in float64; called only beyond the plain tolerance.

    >>> one = {"Y": torch.ones(2)}
    >>> agree(one, one)
    (0.0, 1e-05)

    Raises: ShapeError that carries name, tolerance and residual.
    """
    residuals = {name: _residual(ours[name], theirs[name]) for name in ours}
    name, residual = max(residuals.items(), key=lambda item: item[1])
    tolerance = tolerance_of(ours[name])
    if residual <= tolerance:
        return residual, tolerance
    if exact is not None:
        precise = exact()
        rounding = max(_residual(ours[key], precise[key]) for key in ours)
        # In units of the plain tolerance, so that a kernel that rounds more (TF32) is allowed more growth.
        tolerance *= max(1.0, 10 * rounding / TOLERANCES[ours[name].dtype])
        if residual <= tolerance:
            return residual, tolerance
    raise ShapeError(
        f"recomputed {name}",
        "what the layer itself returns",
        expected=f"a residual of at most {tolerance:.1e}",
        got=f"{residual:.1e}",
        hint="The layer computes with other weights than it shows, as after replacing a parameter's data by hand, "
        "or its forward is not torch's",
    )


def _residual(a: Tensor, b: Tensor) -> float:
    """max |a − b| / max(1, |b|); equal infinities and nans in both are no difference, a nan in one is infinite."""
    if not a.numel():
        return 0.0
    if a.dtype not in (torch.float32, torch.float64) or b.dtype != a.dtype:
        a, b = a.double(), b.double()
    # What a gated cell returns is within ±1, so most often the plain difference is the answer, in two passes.
    greatest = float(torch.linalg.vector_norm(a - b, math.inf))
    if greatest == 0 or (math.isfinite(greatest) and float(torch.linalg.vector_norm(b, math.inf)) <= 1):
        return greatest
    same = (a == b) | (a.isnan() & b.isnan())
    apart = ((a - b).abs() / b.abs().clamp(min=1)).masked_fill(same, 0)
    return float(apart.nan_to_num(nan=math.inf, posinf=math.inf).max())
