"""GateTrace: what `gates` returns. Every gate and state of every layer, direction, step and row.

Inside, tensors are time-major (L, N, ·), as they were computed; what is handed out is a view with named axes in
the layout of the layer: (N, L, D) with batch_first, (L, N, D) without, (L, D) unbatched, (N, D) for a cell.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.display import Shown
from lstm_shapes.errors import ShapeError
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.language import language, speaking
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec

from ._readings import Feedback, GateStep, HeatMap, read_feedback, read_step
from .cell_trace import CellTrace, in_layout, last_computed


@dataclass(frozen=True, eq=False, repr=False)
class GateTrace(Shown):
    """Every gate of a layer over time. `trace[layer]`, `trace[layer, direction]`, or `trace.f` where there is one.

    A snapshot: what happens to the layer and to x later does not change it. Gates are worked out when they are first
    asked for, a layer and direction at a time, and compared with the layer's own outputs before they are handed out.
    `.note` says what the layer did not do as it would have (dropout); `.mask`, (L, N), is true where a step was
    computed, None where all were.
    """

    spec: Spec
    call: Call
    cells: tuple[CellTrace, ...]
    device: str
    dtype: str
    note: str = ""
    mask: Tensor | None = None
    lang: str = field(default_factory=language, compare=False)

    @property
    def residual(self) -> float:
        """The greatest difference between the recomputed and the layer's own outputs; works out all that was not.

        Raises: ShapeError where it is beyond `.tolerance`.
        """
        return max(cell.replayed.residual for cell in self.cells)

    @property
    def tolerance(self) -> float:
        """What is allowed for the dtype and device (cell_trace.py)."""
        return self.cells[0].tolerance

    @property
    def Y(self) -> AnnotatedTensor | None:
        """The output read off the trace: h of the top layer; None for a cell."""
        return self._outputs.get("Y")

    @property
    def hn(self) -> AnnotatedTensor:
        """The last h of every layer and direction, read off the trace."""
        return self._outputs["hn"]

    @property
    def cn(self) -> AnnotatedTensor | None:
        """The last c of every layer and direction, read off the trace; None where there is no c."""
        return self._outputs.get("cn")

    @cached_property
    def _outputs(self) -> dict[str, AnnotatedTensor]:
        """Y, hn and cn, those that there are: the top row, and each row's last computed step."""
        spec, call = self.spec, self.call
        tensors = {}
        for name in spec.kind.states:
            final = torch.stack([last_computed(cell, cell.values[name]) for cell in self.cells])
            final = final if call.batched else final.squeeze(1)
            tensors[f"{name}n"] = final.squeeze(0) if spec.kind.step else final
        if not spec.kind.step:
            top = torch.cat([cell.values["h"] for cell in self.cells[-spec.R :]], dim=-1)
            tensors["Y"] = in_layout(spec, call, top)
        predicted = Prediction(spec, call)
        return {name: annotate(tensor, getattr(predicted, name)) for name, tensor in tensors.items()}

    def __getitem__(self, at: int | tuple[int, int]) -> CellTrace:
        """The trace of a layer, or of a layer and direction: 0 forward, 1 reverse.

        Raises: ShapeError for one that is not there.
        """
        if isinstance(at, tuple) and len(at) != 2:
            raise ShapeError("trace[…]", "trace[layer], or trace[layer, direction]", got=at)
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
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def get(self, gate: str, layer: int = 0, direction: int = 0) -> AnnotatedTensor:
        """The tensor of one gate or state.

        Raises: ShapeError for a gate, layer or direction that is not there.
        """
        return self[layer, direction][gate]

    def step(self, layer: int = 0, direction: int = 0, t: int = 0, n: int = 0, d: int = 0) -> GateStep:
        """One step as equations: symbols, shapes, and for unit d the numbers put in.

        Raises: ShapeError for an index outside the trace, or a step that lengths leave out.
        """
        cell = self[layer, direction]
        n = _index("n", n, self.call.N or 1)
        d = _index("d", d, self.spec.D)
        lengths = self.call.lengths
        if lengths is not None and isinstance(t, int) and lengths[n] <= t < self.call.L:
            raise ShapeError("t", f"below lengths[{n}] = {lengths[n]}", got=t, hint="Nothing is computed on padding")
        t = _index("t", t, self.call.L if lengths is None else lengths[n])
        with speaking(self.lang):
            return read_step(cell, t, n, d)

    @property
    def feedback(self) -> Feedback:
        """How h and c re-enter at the next step, and how much of what the gates see came that way."""
        return Feedback(self.spec, tuple(way for cell in self.cells for way in read_feedback(cell)), self.lang)

    @property
    def bytes(self) -> int:
        """Bytes that all gates and states take once they have been looked at; until then they take none."""
        return sum(cell.bytes for cell in self.cells)

    @property
    def bytes_formula(self) -> str:
        """`.bytes` in symbols.

        >>> from lstm_shapes.lab._build import build
        >>> from lstm_shapes.lab.gates import gates
        >>> gates(build(3, 5), torch.ones(2, 4, 3)).bytes_formula
        'K·R·N·L·(5D + H)·4'
        """
        D = len(self.spec.kind.equations) - 1  # each name but h is D wide: none, or three, or five
        widths = f"({D}D + H)" if D else "H"
        by_row = "N·L" if self.call.batched else "L"
        size = getattr(torch, self.dtype).itemsize
        return f"K·R·{by_row}·{widths}·{size}"

    def heatmap(self, gate: str = "", layer: int = 0, direction: int = 0, n: int = 0) -> HeatMap:
        """One gate of one row over time: units down, steps across. Shows itself in the console and in a notebook.

        The first gate of the cell unless named.

        Raises: ShapeError for a gate, layer, direction or row that is not there.
        """
        name, n = gate or self.spec.kind.gates[0], _index("n", n, self.call.N or 1)
        cell = self[layer, direction]
        _ = cell[name]  # raises for a name that is not there
        steps = self.call.lengths[n] if self.call.lengths else self.call.L
        units = tuple(tuple(values) for values in cell.values[name].detach()[:steps, n].T.tolist())
        row = n if self.call.batched else None
        signed, both = self.spec.nonlinearity != "relu", self.spec.R > 1
        return HeatMap(name, layer, direction, row, units, signed=signed, both=both, lang=self.lang)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the layer, the agreement with it, and a summary of each tensor."""
        return {
            "spec": self.spec.to_dict(),
            **self.call.to_dict(),
            "device": self.device,
            "dtype": self.dtype,
            "residual": self.residual,
            "tolerance": self.tolerance,
            "bytes": self.bytes,
            "note": self.note,
            "cells": [cell.to_dict() for cell in self.cells],
        }


def _index(name: str, at: Any, size: int) -> int:
    """An index made positive, or a ShapeError that names its range."""
    try:
        index = size if isinstance(at, bool) else operator.index(at)
    except TypeError:
        index = size
    if not -size <= index < size:
        raise ShapeError(name, f"a whole number from {-size} to {size - 1}", got=at)
    return int(index % size)
