"""unroll: the recurrence itself, layer by layer and step by step.

For `gates(…, grad=True)`, where autograd has to see every step, and for a module that computes in its own way.
`replay.py` does the same for all steps at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear

from lstm_shapes.theory.spec import Spec

from .steps import STEPS
from .weights import GateWeights

__all__ = ["unroll"]

Values = dict[str, Tensor]


def unroll(
    spec: Spec, weights: Sequence[GateWeights], X: Tensor, starts: Sequence[Values], mask: Tensor | None
) -> list[Values]:
    """Each gate and state of every layer and direction, (L, N, ·); bottom first, forward first: torch's own order.

    X is (L, N, Q), in whose dtype all is computed; `weights` and `starts`, (N, ·) each, have a place for each layer
    and direction; `mask` is (L, N), true where a row has a step.
    """
    found: list[Values] = []
    below = X
    for k in range(spec.K):
        for r in range(spec.R):
            own = weights[k * spec.R + r].to(X.dtype)
            found.append(_steps(spec, own, below, starts[k * spec.R + r], mask, reverse=bool(r)))
        below = torch.cat([values["h"] for values in found[-spec.R :]], dim=-1)
    return found


def _steps(spec: Spec, weights: GateWeights, x: Tensor, start: Values, mask: Tensor | None, *, reverse: bool) -> Values:
    """One direction of one layer."""
    step, products, L = STEPS[spec.kind.layer], weights.input(x), x.shape[0]
    history: list[Values] = [{}] * L
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
