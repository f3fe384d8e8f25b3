"""GateTrace: what `gates` returns. Every gate and state of every layer, direction, step and row.

Inside, tensors are time-major (L, N, ·), as they were computed; what is handed out is a view with named axes in
the layout of the layer: (N, L, D) with batch_first, (L, N, D) without, (L, D) unbatched, (N, D) for a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lstm_shapes.errors import ShapeError
from lstm_shapes.shown import Shown
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec

from .gate_weights import GateWeights
from .tensors import AnnotatedTensor, annotate

if TYPE_CHECKING:
    from .gate_feedback import Feedback
    from .gate_heatmap import HeatMap
    from .gate_step import GateStep

__all__ = ["CellTrace", "GateTrace", "steps_before"]


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
    x: Tensor  # (L, N, I), what this layer reads
    start: dict[str, Tensor]  # the states before the first step, (N, ·)
    values: dict[str, Tensor]  # gates and states, (L, N, ·)
    weights: GateWeights
    mask: Tensor | None  # (L, N), true where a step was computed; None where all were

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors there are, in the order they are computed."""
        return tuple(self.values)

    @property
    def reverse(self) -> bool:
        """Whether this direction reads from the last step to the first."""
        return self.direction == 1

    @property
    def input(self) -> dict[str, AnnotatedTensor]:
        """x_t·W_ihᵀ + b_ih, gate by gate."""
        return self._blocks(self.parts()["input"])

    @property
    def recurrent(self) -> dict[str, AnnotatedTensor]:
        """h'·W_hhᵀ + b_hh, gate by gate."""
        return self._blocks(self.parts()["recurrent"])

    def parts(self) -> dict[str, Tensor]:
        """Both contributions to all gates, time-major (L, N, G·D).

        Raises: ShapeError where the weights have changed since the trace.
        """
        before = steps_before(self.values["h"], self.start["h"], self.mask, reverse=self.reverse)
        parts = {"input": self.weights.input(self.x), "recurrent": self.weights.recurrent(before)}
        if self.mask is not None:
            parts = {name: part.masked_fill(~self.mask[..., None], 0) for name, part in parts.items()}
        return parts

    def _blocks(self, part: Tensor) -> dict[str, AnnotatedTensor]:
        blocks = part.chunk(self.spec.G, dim=-1)
        return {gate: self._named(block, "D") for gate, block in zip(self.spec.kind.gates, blocks, strict=True)}

    def __getitem__(self, name: str) -> AnnotatedTensor:
        if name not in self.values:
            raise ShapeError("a gate", f"one of {', '.join(self.names)} for {self.spec.cell}", got=name)
        return self._named(self.values[name], "P" if name == "h" and self.spec.P else "D")

    def __getattr__(self, name: str) -> AnnotatedTensor:
        # Only the names of the table: copying and pickling ask for others before there is a `values`.
        if len(name) == 1 and name in self.values:
            return self[name]
        raise AttributeError(f"{type(self).__name__} of {self.spec.cell} has no {name!r}")

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
        """Bytes that the traced tensors hold."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.values.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: sizes, and mean, least and greatest value of each tensor."""
        return {
            "layer": self.layer,
            "direction": self.direction,
            "tensors": {name: _summary(self, name) for name in self.names},
        }


@dataclass(frozen=True, eq=False, repr=False)
class GateTrace(Shown):
    """Every gate of a layer over time. `trace[layer]`, `trace[layer, direction]`, or `trace.f` where there is one.

    `.residual` is the greatest difference between the recomputed and the layer's own outputs, `.tolerance` what was
    allowed; `.note` says what the layer did not do as it would have (dropout).
    """

    spec: Spec
    call: Call
    cells: tuple[CellTrace, ...]
    Y: AnnotatedTensor | None
    hn: AnnotatedTensor
    cn: AnnotatedTensor | None
    residual: float
    tolerance: float
    device: str
    dtype: str
    note: str = ""
    mask: Tensor | None = field(default=None)
    """(L, N), true where a step was computed; None where all were."""

    def __getitem__(self, at: int | tuple[int, int]) -> CellTrace:
        layer, direction = at if isinstance(at, tuple) else (at, 0)
        K, R = self.spec.K, self.spec.R
        row = _index("layer", layer, K) * R + _index("direction", direction, R)
        return self.cells[row]

    def __iter__(self) -> Iterator[CellTrace]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __getattr__(self, name: str) -> AnnotatedTensor:
        if len(name) == 1 and name in dict(self.spec.kind.equations):
            if len(self.cells) == 1:
                return self.cells[0][name]
            raise AttributeError(
                f"there are {len(self.cells)} tensors {name!r}: trace[layer, direction][{name!r}] is one of them"
            )
        raise AttributeError(f"{type(self).__name__} of {self.spec.cell} has no {name!r}")

    def get(self, gate: str, layer: int = 0, direction: int = 0) -> AnnotatedTensor:
        """The tensor of one gate or state.

        Raises: ShapeError for a gate, layer or direction that is not there.
        """
        return self[layer, direction][gate]

    def step(self, layer: int = 0, direction: int = 0, t: int = 0, n: int = 0, d: int = 0) -> GateStep:
        """One step as equations: symbols, shapes, and for unit d the numbers put in.

        Raises: ShapeError for an index outside the trace, or a step that lengths leave out.
        """
        from .gate_step import read_step

        cell = self[layer, direction]
        t = _index("t", t, self.call.L)
        n = _index("n", n, self.call.N or 1)
        d = _index("d", d, self.spec.D)
        if self.call.lengths is not None and t >= self.call.lengths[n]:
            hint = "Nothing is computed on padding"
            raise ShapeError("t", f"below lengths[{n}] = {self.call.lengths[n]}", got=t, hint=hint)
        return read_step(cell, t, n, d)

    @property
    def feedback(self) -> Feedback:
        """How h and c re-enter at the next step, and how much of what the gates see came that way."""
        from .gate_feedback import read_feedback

        return read_feedback(self)

    @property
    def bytes(self) -> int:
        """Bytes that the traced tensors hold."""
        return sum(cell.bytes for cell in self.cells)

    @property
    def bytes_formula(self) -> str:
        """`.bytes` in symbols.

        >>> from lstm_shapes.lab.build import build
        >>> from lstm_shapes.lab.gates import gates
        >>> gates(build(3, 5), torch.ones(2, 4, 3)).bytes_formula
        'K·R·N·L·(5D + H)·4'
        """
        D = len(self.spec.kind.equations) - 1  # each name but h is D wide
        widths = {0: "H", 1: "(D + H)"}.get(D, f"({D}D + H)")
        by_row = "N·L" if self.call.batched else "L"
        size = torch.tensor((), dtype=getattr(torch, self.dtype)).element_size()
        return f"K·R·{by_row}·{widths}·{size}"

    def heatmap(self, gate: str = "", layer: int = 0, direction: int = 0, n: int = 0) -> HeatMap:
        """One gate of one row over time: units down, steps across. Shows itself in the console and in a notebook.

        `.figure()` is the same with matplotlib (extra `[plot]`). The first gate of the cell unless named.

        Raises: ShapeError for a gate, layer, direction or row that is not there.
        """
        from .gate_heatmap import read_heatmap

        return read_heatmap(self, gate or self.spec.kind.gates[0], layer, direction, _index("n", n, self.call.N or 1))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the layer, the agreement with it, and a summary of each tensor."""
        return {
            "spec": self.spec.to_dict(),
            "N": self.call.N,
            "L": self.call.L,
            "lengths": None if self.call.lengths is None else list(self.call.lengths),
            "device": self.device,
            "dtype": self.dtype,
            "residual": self.residual,
            "tolerance": self.tolerance,
            "bytes": self.bytes,
            "note": self.note,
            "cells": [cell.to_dict() for cell in self.cells],
        }


def steps_before(after: Tensor, start: Tensor, mask: Tensor | None, *, reverse: bool) -> Tensor:
    """The state that each step starts from, (L, N, ·): its neighbour's, or the initial one.

    `after` is the state that each step ends with. In reverse the neighbour is the later step, and a short row starts
    at its own last step: where the next one is padding.
    """
    if not reverse:
        return torch.cat([start[None], after[:-1]])
    neighbour = torch.cat([after[1:], start[None]])
    if mask is None:
        return neighbour
    begun = torch.cat([mask[1:], torch.zeros_like(mask[:1])])
    return torch.where(begun[..., None], neighbour, start)


def _summary(cell: CellTrace, name: str) -> dict[str, Any]:
    tensor = cell[name]
    low, high = torch.aminmax(cell.values[name].detach())
    return {
        "names": list(tensor.axes.names),
        "sizes": list(tensor.axes.sizes),
        "mean": float(cell.values[name].detach().float().mean()),
        "min": float(low),
        "max": float(high),
    }


def _index(name: str, at: object, size: int) -> int:
    """A Python index made positive, or a ShapeError that names its range."""
    if isinstance(at, bool) or not isinstance(at, int) or not -size <= at < size:
        raise ShapeError(name, f"a whole number from {-size} to {size - 1}", got=at)
    return at % size
