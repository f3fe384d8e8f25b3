"""HeatMap: one gate of one row over time, as plain numbers that any view can draw."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from lstm_shapes.display import Shown, drawing
from lstm_shapes.errors import SpecError
from lstm_shapes.theory.numerals import counted

__all__ = ["HeatMap"]


@dataclass(frozen=True, repr=False)
class HeatMap(Shown):
    """`values[d][t]`: units down, steps across, as many steps as the row has."""

    gate: str
    layer: int
    direction: int
    n: int | None
    values: tuple[tuple[float, ...], ...]
    signed: bool = True
    """False for what is never negative: the state of a relu layer."""

    @property
    def title(self) -> str:
        """`Gate f of layer 0`."""
        kind = "State" if self.gate in ("h", "c") else "Gate"
        return f"{kind} {self.gate} of layer {self.layer}{', reverse' if self.direction else ''}"

    @property
    def caption(self) -> str:
        """How many units and steps, and of which row."""
        row = "" if self.n is None else f" of row n={self.n}"
        return f"{counted(len(self.values), 'unit')} over the {counted(len(self.values[0]), 'step')}{row}."

    @property
    def bounds(self) -> tuple[float, float]:
        """What the colours span: 0 to 1 for σ, −1 to 1 for tanh, wider where a finite value is; from 0 for relu."""
        flat = [value for row in self.values for value in row if isfinite(value)]
        low, high = min(flat, default=0.0), max(flat, default=0.0)
        if self.gate in ("i", "f", "o", "r", "z"):
            return 0.0, 1.0
        if not self.signed and low >= 0:
            return 0.0, high or 1.0
        reach = max(1.0, abs(low), abs(high))
        return -reach, reach

    @property
    def svg(self) -> str:
        """The same as an accessible SVG."""
        return drawing(self).svg

    def save(self, path: str | Path) -> Path:
        """Write the picture as SVG.

        Raises: SpecError for another suffix than `.svg`.
        """
        file = Path(path)
        if file.suffix != ".svg":
            raise SpecError("path", "a file name that ends in .svg", str(path))
        file.write_text(self.svg, encoding="utf-8")
        return file

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "gate": self.gate,
            "layer": self.layer,
            "direction": self.direction,
            "n": self.n,
            "values": [list(row) for row in self.values],
        }
