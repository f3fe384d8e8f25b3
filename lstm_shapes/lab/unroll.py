"""unroll: the recurrence itself, layer by layer and step by step.

For `gates(…, grad=True)`: autograd has to see every step. `replay.py` does the same for all steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec

from .gate_trace import CellTrace
from .gate_weights import GateWeights
from .steps import STEPS

__all__ = ["unroll"]


def unroll(
    layer: nn.Module, spec: Spec, call: Call, X: Tensor, starts: Sequence[Tensor], mask: Tensor | None
) -> tuple[CellTrace, ...]:
    """Every layer and direction, bottom first, forward first: torch's own order. X is (L, N, Q).

    `starts` are (K·R, N, ·); `mask` is (L, N), true where a row has a step. In the dtype of X.
    """
    cells: list[CellTrace] = []
    below = X
    for k in range(spec.K):
        row = []
        for r in range(spec.R):
            weights = GateWeights.of(layer, spec, k, r).to(X.dtype)
            states = (state[k * spec.R + r] for state in starts)
            start = dict(zip(spec.kind.states, states, strict=True))
            values = _steps(spec, weights, below, start, mask, reverse=bool(r))
            row.append(CellTrace(spec, call, k, r, below, start, values, weights, mask))
        cells += row
        below = torch.cat([cell.values["h"] for cell in row], dim=-1) if spec.R > 1 else row[0].values["h"]
    return tuple(cells)


def _steps(
    spec: Spec, weights: GateWeights, x: Tensor, start: dict[str, Tensor], mask: Tensor | None, *, reverse: bool
) -> dict[str, Tensor]:
    """One direction of one layer: each gate and state of every step, (L, N, ·)."""
    step, products, L = STEPS[spec.kind.layer], weights.input(x), x.shape[0]
    history: list[dict[str, Tensor]] = [{}] * L
    before = start
    for t in reversed(range(L)) if reverse else range(L):
        c = before.get("c", before["h"])

        def carry(f: Tensor, u: Tensor, c: Tensor = c) -> Tensor:
            return torch.addcmul(u, f, c)

        values = step(products[t], weights.recurrent(before["h"]), before["h"], carry, spec.nonlinearity, False)
        if weights.hr is not None:
            values["h"] = linear(values["h"], weights.hr)
        history[t] = values
        after = {name: values[name] for name in start}
        if mask is not None:
            # A row that has ended keeps its state; one that reads backwards has not begun.
            here = mask[t][:, None]
            after = {name: torch.where(here, new, before[name]) for name, new in after.items()}
        before = after
    stacked = {name: torch.stack([values[name] for values in history]) for name in history[0]}
    if mask is not None:
        stacked = {name: tensor.masked_fill(~mask[..., None], 0) for name, tensor in stacked.items()}
    return stacked
