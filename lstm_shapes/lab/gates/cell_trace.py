"""CellTrace: the gates of one direction of one layer, worked out and proved when somebody looks.

A trace is a snapshot: it holds what the layer read and put out, and a copy of its weights. The gates themselves, by
far the largest part, are replayed (recurrence.py) the first time one of them is asked for, and compared there and then
with what the layer put out: no gate is ever shown that was not.

Whether a recomputation and a layer gave the same numbers is asked up to the rounding of their dtype (`agree`).
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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lstm_shapes.display import Shown
from lstm_shapes.errors import ShapeError
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.language import language
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec

from ._recurrence import GateWeights, replay, steps_before

__all__ = ["TOLERANCES", "CellTrace", "Replayed", "agree", "last_computed", "tolerance_of"]


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


class Replayed(NamedTuple):
    """Gates and states, (L, N, ·) each, and how far they are from what the layer put out."""

    values: dict[str, Tensor]
    residual: float
    tolerance: float


@dataclass(frozen=True, eq=False, repr=False)
class CellTrace(Shown):
    """One direction of one layer: `.i .f .g .o .c .h` (GRU `.r .z .n .h`, RNN `.h`), or `["i"]`.

    `.input[gate]` is x_t·W_ihᵀ + b_ih and `.recurrent[gate]` is h'·W_hhᵀ + b_hh, each the block of that gate; h' is
    the h of the step computed before: t−1, or t+1 in the reverse direction. Both are one matrix product over all
    steps, done when asked for. Steps that lengths leave out are 0.
    """

    spec: Spec
    call: Call
    layer: int
    direction: int
    weights: GateWeights
    mask: Tensor | None  # (L, N), true where a step was computed; None where all were
    x: Tensor  # (L, N, I), what this layer read
    start: dict[str, Tensor]  # the states before the first step, (N, ·)
    output: Tensor  # (L, N, H), the h that the layer put out
    ends: dict[str, Tensor]  # the states that it returned, (N, ·)
    unrolled: Replayed | None = None
    """Where there is a graph: worked out step by step beforehand, after the replay had been compared."""
    lang: str = field(default_factory=language, compare=False)

    @cached_property
    def replayed(self) -> Replayed:
        """The gates, compared with the layer's h at every step and with the states it returned.

        Raises: ShapeError with the residual where they differ beyond the tolerance.
        """
        if self.unrolled is not None:
            return self.unrolled
        with torch.no_grad(), torch.autocast(self.x.device.type, enabled=False):
            values = replay(self.spec, self.weights, self.x, self.start, self.output, self.mask, reverse=self.reverse)
            where = f"of layer {self.layer}, direction {self.direction}"
            ours = {f"h {where}": values["h"]}
            theirs = {f"h {where}": self.output}
            for name, end in self.ends.items():
                ours[f"{name}n {where}"], theirs[f"{name}n {where}"] = last_computed(self, values[name]), end
            return Replayed(values, *agree(ours, theirs))

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
        """The same trace of row 0 alone."""
        if self.call.N in (None, 1):
            return self
        lengths = self.call.lengths and self.call.lengths[:1]
        return replace(
            self,
            call=Call(1, self.call.L, lengths),
            mask=None if self.mask is None else self.mask[:, :1],
            x=self.x[:, :1],
            start={name: state[:1] for name, state in self.start.items()},
            output=self.output[:, :1],
            ends={name: state[:1] for name, state in self.ends.items()},
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
        names = ["L", "N", width]
        if self.spec.kind.step:
            tensor, names = tensor.squeeze(0), names[1:]
        if not self.call.batched:
            tensor = tensor.squeeze(-2)
            names.remove("N")
        elif self.spec.batch_first and not self.spec.kind.step:
            tensor, names = tensor.transpose(0, 1), ["N", "L", width]
        return annotate(tensor, " ".join(names))

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
            "tensors": {name: _summary(self, name) for name in self.names},
        }


def last_computed(cell: CellTrace, state: Tensor) -> Tensor:
    """Of (L, N, ·) the step that a direction computes last: of each row its own."""
    lengths = cell.call.lengths
    if cell.reverse or lengths is None:
        return state[0 if cell.reverse else -1]
    ends = torch.tensor(lengths, device=state.device) - 1
    return state[ends, torch.arange(len(lengths), device=state.device)]


def _summary(cell: CellTrace, name: str) -> dict[str, Any]:
    tensor, values = cell[name], cell.values[name].detach()
    low, high = torch.aminmax(values)
    return {
        **tensor.axes.to_dict(),
        "mean": float(values.float().mean()),
        "min": float(low),
        "max": float(high),
    }
