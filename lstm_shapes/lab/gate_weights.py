"""GateWeights: the parameters of one direction of one layer, and the products they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lstm_shapes.errors import ShapeError
from lstm_shapes.theory.spec import Spec

__all__ = ["GateWeights"]

_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


@dataclass(frozen=True, slots=True, eq=False)
class GateWeights:
    """W_ih (G·D × I), W_hh (G·D × H), their biases, and the projection W_hr (P × D); None for what is not there.

    `versions` are torch's counters of changes in place: a trace with a graph reads the layer's own weights later, and
    must notice.
    """

    ih: Tensor
    hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    hr: Tensor | None
    versions: tuple[int, ...] = ()

    @classmethod
    def of(cls, layer: nn.Module, spec: Spec, k: int, r: int) -> GateWeights:
        """The layer's own parameters, by torch's names."""
        suffix = "" if spec.kind.step else f"_l{k}" + ("_reverse" if r else "")
        has = (True, True, spec.bias, spec.bias, bool(spec.P))
        found: list[Any] = [
            getattr(layer, part + suffix) if here else None for part, here in zip(_PARTS, has, strict=True)
        ]
        ih, hh, b_ih, b_hh, hr = found
        return cls(ih, hh, b_ih, b_hh, hr, _versions(*found))

    def copied(self) -> GateWeights:
        """The same numbers in memory of their own, which nobody changes."""
        every = (self.ih, self.hh, self.b_ih, self.b_hh, self.hr)
        return GateWeights(*(None if part is None else part.detach().clone() for part in every))  # type: ignore[arg-type]

    def to(self, dtype: torch.dtype) -> GateWeights:
        """The same in another dtype."""
        if dtype == self.ih.dtype:
            return self
        every = (self.ih, self.hh, self.b_ih, self.b_hh, self.hr)
        return GateWeights(*(None if part is None else part.to(dtype) for part in every))  # type: ignore[arg-type]

    def input(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """x·W_ihᵀ + b_ih, written to `out` where there is one."""
        self._require_unchanged()
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

    def _require_unchanged(self) -> None:
        if self.versions and self.versions != _versions(self.ih, self.hh, self.b_ih, self.b_hh, self.hr):
            hint = "Contributions are computed when asked for; trace again, or ask before the optimizer's step"
            raise ShapeError("the weights", "those of the trace", got="weights changed since", hint=hint)


def _versions(*tensors: Tensor | None) -> tuple[int, ...]:
    return tuple(-1 if t is None or t.is_inference() else t._version for t in tensors)
