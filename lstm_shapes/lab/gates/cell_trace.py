"""CellTrace: the gates of one direction of one layer, worked out and proved when somebody looks.

A trace is a snapshot: it holds what the layer read and put out, and a copy of its weights. The gates themselves, by
far the largest part, are replayed (_recurrence.py) the first time one of them is asked for, and compared there and
then with what the layer put out: no gate is ever shown that was not.

Both do the same sums in another order, so they differ by rounding: a few units in the last place of each step, from
the same state before it. The tolerance, relative to max(1, |value|), is that of laws (theory/laws.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lstm_shapes.display import Shown
from lstm_shapes.errors import ShapeError
from lstm_shapes.lab._build import precision_of
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.language import language
from lstm_shapes.theory._contract import layouts
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.laws import TOLERANCES
from lstm_shapes.theory.spec import Spec

from ._recurrence import GateWeights, replay, steps_before


class Replayed(NamedTuple):
    """Gates and states by name, time-major (L, N, ·), and how far they are from the layer's own outputs."""

    values: dict[str, Tensor]
    residual: float


def time_major(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """X or Y of the layer's layout as (L, N, ·)."""
    if spec.kind.step:
        tensor = tensor.unsqueeze(0)
    if not call.batched:
        return tensor.unsqueeze(-2)
    return tensor.transpose(0, 1) if spec.batch_first and not spec.kind.step else tensor


def in_layout(spec: Spec, call: Call, tensor: Tensor) -> Tensor:
    """(L, N, ·) in the layer's layout."""
    if spec.kind.step:
        tensor = tensor.squeeze(0)
    if not call.batched:
        return tensor.squeeze(-2)
    return tensor.transpose(0, 1) if spec.batch_first and not spec.kind.step else tensor


def _residual(a: Tensor, b: Tensor) -> float:
    """max |a − b| / max(1, |b|); equal infinities and nans in both are no difference, a nan in one is infinite."""
    if a.dtype not in (torch.float32, torch.float64) or b.dtype != a.dtype:
        a, b = a.double(), b.double()
    # What a gated cell returns is within ±1, so most often the plain difference is the answer, in two passes.
    greatest = float(torch.linalg.vector_norm(a - b, math.inf))
    if greatest == 0 or (math.isfinite(greatest) and float(torch.linalg.vector_norm(b, math.inf)) <= 1):
        return greatest
    same = (a == b) | (a.isnan() & b.isnan())
    apart = ((a - b).abs() / b.abs().clamp(min=1)).masked_fill(same, 0)
    return float(apart.nan_to_num(nan=math.inf, posinf=math.inf).max())


@dataclass(frozen=True, eq=False, repr=False)
class CellTrace(Shown):
    """One direction of one layer: `cell.f`, `cell["f"]`, and both contributions to each gate before it is applied.

    `mask` is (L, N), true where a step was computed; None where all were.
    """

    spec: Spec
    call: Call
    layer: int
    direction: int
    weights: GateWeights
    mask: Tensor | None
    x: Tensor  # (L, N, I), what this layer read
    start: dict[str, Tensor]  # the states before the first step, (N, ·)
    output: Tensor  # (L, N, H), the h that the layer put out
    ends: dict[str, Tensor]  # the states that it returned, (N, ·)
    lang: str = field(default_factory=language, compare=False)

    @cached_property
    def replayed(self) -> Replayed:
        """The gates, compared with the layer's h at every step and with the states it returned.

        Raises: ShapeError with the residual where they differ beyond the tolerance.
        """
        # What was recorded without a graph is replayed without one.
        with torch.enable_grad(), torch.autocast(self.x.device.type, enabled=False):
            values = replay(self.spec, self.weights, self.x, self.start, self.output, self.mask, reverse=self.reverse)
        with torch.no_grad():
            residuals = {"h": _residual(values["h"], self.output)}
            for name, end in self.ends.items():
                residuals[f"{name}n"] = _residual(last_computed(self, values[name]), end)
        name, residual = max(residuals.items(), key=lambda item: item[1])
        if residual > self.tolerance:
            raise ShapeError(
                f"recomputed {name} of layer {self.layer}, direction {self.direction}",
                "what the layer itself returns",
                expected=f"a residual of at most {self.tolerance:.1e}",
                got=f"{residual:.1e}",
                hint="The layer computes with other weights than it shows, as after replacing a parameter's data by "
                "hand, or its forward is not torch's",
            )
        return Replayed(values, residual)

    @property
    def tolerance(self) -> float:
        """What rounding may make of a number, for the dtype on its device."""
        return TOLERANCES[precision_of(self.x)]

    @property
    def values(self) -> dict[str, Tensor]:
        """Gates and states by name, time-major (L, N, ·)."""
        return self.replayed.values

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors there are, in the order they are computed."""
        return tuple(name for name, _ in self.spec.kind.equations)

    @property
    def reverse(self) -> bool:
        """Whether this direction reads from the last step to the first."""
        return self.direction == 1

    def first_row(self) -> CellTrace:
        """The same trace of row 0 alone, without a graph."""
        return replace(
            self,
            call=Call(1, self.call.L, self.call.lengths and self.call.lengths[:1]),
            weights=GateWeights(*(None if part is None else part.detach() for part in self.weights)),  # type: ignore[arg-type]
            mask=None if self.mask is None else self.mask[:, :1],
            x=self.x[:, :1].detach(),
            start={name: state[:1].detach() for name, state in self.start.items()},
            output=self.output[:, :1].detach(),
            ends={name: state[:1].detach() for name, state in self.ends.items()},
        )

    @property
    def input(self) -> dict[str, AnnotatedTensor]:
        """x_t·W_ihᵀ + b_ih, gate by gate."""
        return self._blocks(self.parts()["input"])

    @property
    def recurrent(self) -> dict[str, AnnotatedTensor]:
        """h'·W_hhᵀ + b_hh, gate by gate."""
        return self._blocks(self.parts()["recurrent"])

    def parts(self) -> dict[str, Tensor]:
        """Both contributions to all gates, time-major (L, N, G·D)."""
        before = steps_before(self.values["h"], self.start["h"], self.mask, reverse=self.reverse)
        parts = {"input": self.weights.input(self.x), "recurrent": self.weights.recurrent(before)}
        if self.mask is not None:
            parts = {name: part.masked_fill(~self.mask[..., None], 0) for name, part in parts.items()}
        return parts

    def _blocks(self, part: Tensor) -> dict[str, AnnotatedTensor]:
        blocks = part.chunk(self.spec.G, dim=-1)
        return {gate: self._named(block, "D") for gate, block in zip(self.spec.kind.gates, blocks, strict=True)}

    def __getitem__(self, name: str) -> AnnotatedTensor:
        if name not in self.names:
            raise ShapeError("a gate", f"one of {', '.join(self.names)} for {self.spec.cell}", got=name)
        return self._named(self.values[name], self.spec.width if name == "h" else "D")

    def __getattr__(self, name: str) -> AnnotatedTensor:
        # Copying and pickling ask for longer names before there is a `spec`.
        if len(name) == 1 and name in self.names:
            return self[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def _named(self, tensor: Tensor, width: str) -> AnnotatedTensor:
        batched, alone = layouts(self.spec)
        names = (batched if self.call.batched else alone)[:-1]
        return annotate(in_layout(self.spec, self.call, tensor), " ".join((*names, width)))

    @property
    def bytes(self) -> int:
        """Bytes that its gates and states take once they have been looked at."""
        widths = (self.spec.H if name == "h" else self.spec.D for name in self.names)
        return self.call.L * (self.call.N or 1) * sum(widths) * self.x.element_size()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: sizes, and mean, least and greatest value of each tensor."""
        return {
            "layer": self.layer,
            "direction": self.direction,
            "tensors": {name: _summary(self[name], self.values[name].detach()) for name in self.names},
        }


def last_computed(cell: CellTrace, state: Tensor) -> Tensor:
    """Of (L, N, ·) the step that a direction computes last: of each row its own."""
    lengths = cell.call.lengths
    if cell.reverse or lengths is None:
        return state[0 if cell.reverse else -1]
    ends = torch.tensor(lengths, device=state.device) - 1
    return state[ends, torch.arange(len(lengths), device=state.device)]


def _summary(tensor: AnnotatedTensor, values: Tensor) -> dict[str, Any]:
    low, high = torch.aminmax(values)
    numbers = {"mean": float(values.float().mean()), "min": float(low), "max": float(high)}
    return {**tensor.axes.to_dict(), **numbers}
