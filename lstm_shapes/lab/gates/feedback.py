"""Feedback: how the states of one step re-enter at the next, and how much of the gates' input came that way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lstm_shapes.display import Shown
from lstm_shapes.theory.spec import Spec

from .cell_trace import CellTrace

__all__ = ["Feedback", "Reentry", "read_feedback"]


@dataclass(frozen=True, slots=True)
class Reentry:
    """One way back: `state` of the step before enters `equation`, through a weight or elementwise.

    `share` is what part of the sum this term is, mean |this| / (mean |this| + mean |the rest|) over the steps that
    were computed, 0 to 1; None where the equation is not such a sum.
    """

    layer: int
    direction: int
    state: str
    equation: str
    shapes: str
    share: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "direction": self.direction,
            "state": self.state,
            "equation": self.equation,
            "shapes": self.shapes,
            "share": self.share,
        }


@dataclass(frozen=True, repr=False)
class Feedback(Shown):
    """Every way in which h and c re-enter, layer by layer."""

    spec: Spec
    rows: tuple[Reentry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"rows": [row.to_dict() for row in self.rows]}


def read_feedback(spec: Spec, cells: Iterable[CellTrace]) -> Feedback:
    """The feedback of each layer and direction."""
    return Feedback(spec, tuple(row for cell in cells for row in _rows(cell)))


def _rows(cell: CellTrace) -> list[Reentry]:
    spec, mask = cell.spec, cell.mask
    hidden = f"{spec.width}={spec.H}"
    gates, G = spec.kind.gates, spec.G
    rows_of_weight = f"{G}D={G * spec.D}" if G > 1 else f"D={spec.D}"
    names = " ".join(f"h_{gate}" for gate in gates)
    product = "W_hh·h'" + (" + b_hh" if spec.bias else "")
    every = {name: tensor.detach() for name, tensor in {**cell.values, **cell.parts()}.items()}
    share = _share(every["recurrent"], every["input"], mask)
    rows = [Reentry(cell.layer, cell.direction, "h", f"{names} = {product}", f"({rows_of_weight}, {hidden})", share)]
    for name, right in spec.kind.equations:
        for state in re.findall(r"\b([a-z])'", right):
            gate, rest = _terms(cell, every, state)
            share = _share(gate, rest, mask)
            equation = Reentry(cell.layer, cell.direction, state, f"{name} = {right}", f"(D={spec.D},)", share)
            rows.append(equation)
    return rows


def _terms(cell: CellTrace, every: dict[str, Tensor], state: str) -> tuple[Tensor, Tensor]:
    """The term with the old state, and the other one: what was kept, and what was written."""
    if state == "c":
        written = every["i"] * every["g"]
        return every["c"] - written, written
    written = (1 - every["z"]) * every["n"]
    return every["h"] - written, written


def _share(part: Tensor, rest: Tensor, mask: Tensor | None) -> float | None:
    if mask is not None:
        part, rest = part[mask], rest[mask]
    a, b = float(part.abs().double().mean()), float(rest.abs().double().mean())
    return a / (a + b) if a + b > 0 else None
