"""GateWeights: the parameters of one direction of one layer, and the products they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lstm_shapes.theory.spec import Spec, suffix

__all__ = ["GateWeights"]

_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


@dataclass(frozen=True, slots=True, eq=False)
class GateWeights:
    """W_ih (G·D × I), W_hh (G·D × H), their biases, and the projection W_hr (P × D); None for what is not there."""

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    hr: Tensor | None

    @classmethod
    def of(cls, layer: nn.Module, spec: Spec, k: int, r: int) -> GateWeights:
        """The layer's own parameters, by torch's names."""
        end = suffix(spec, k, r)
        has = (True, True, spec.bias, spec.bias, bool(spec.P))
        found: list[Any] = [
            getattr(layer, part + end) if here else None for part, here in zip(_PARTS, has, strict=True)
        ]
        ih, hh, b_ih, b_hh, hr = found
        return cls(ih, hh, b_ih, b_hh, hr)

    def copied(self) -> GateWeights:
        """The same numbers in memory of their own, which nobody changes; a graph goes through it."""
        every = (self.ih, self.hh, self.b_ih, self.b_hh, self.hr)
        return GateWeights(*(None if part is None else part.clone() for part in every))  # type: ignore[arg-type]

    def to(self, dtype: torch.dtype) -> GateWeights:
        """The same in another dtype."""
        if dtype == self.ih.dtype:
            return self
        every = (self.ih, self.hh, self.b_ih, self.b_hh, self.hr)
        return GateWeights(*(None if part is None else part.to(dtype) for part in every))  # type: ignore[arg-type]

    def input(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """x·W_ihᵀ + b_ih, written to `out` where there is one."""
        if out is None:
            return linear(x, self.ih, self.b_ih)
        flat, room = x.reshape(-1, x.shape[-1]), out.view(-1, out.shape[-1])
        if self.b_ih is None:
            torch.mm(flat, self.ih.t(), out=room)
        else:
            torch.addmm(self.b_ih, flat, self.ih.t(), out=room)
        return out

    def recurrent(self, h: Tensor) -> Tensor:
        """h'·W_hhᵀ + b_hh."""
        return linear(h, self.hh, self.b_hh)
