"""GateTrace: what `gates` returns, every gate and state of every layer, direction, step and row; and what is read off
it: a step as equations, the ways back of its states, and a gate over time.

Inside, tensors are time-major (L, N, ·), as they were computed; what is handed out is a view with named axes in
the layout of the layer: (N, L, D) with batch_first, (L, N, D) without, (L, D) unbatched, (N, D) for a cell.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.display import Drawn, Shown, number
from lstm_shapes.errors import ShapeError
from lstm_shapes.lab.tensors import AnnotatedTensor, annotate
from lstm_shapes.language import language, say, speaking
from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call, dtype_name
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec, equations, input_symbol

from .cell_trace import CellTrace, in_layout


@dataclass(frozen=True, eq=False, repr=False)
class GateTrace(Shown):
    """Every gate of a layer over time. `trace[layer]`, `trace[layer, direction]`, or `trace.f` where there is one.

    A snapshot: what happens to the layer and to x later does not change it. Gates are worked out when they are first
    asked for, a layer and direction at a time, and compared with the layer's own outputs before they are handed out.
    `.note` says what the layer did not do as it would have (dropout).
    """

    spec: Spec
    call: Call
    cells: tuple[CellTrace, ...]
    note: str = ""
    lang: str = field(default_factory=language, compare=False)

    @property
    def mask(self) -> Tensor | None:
        """(L, N), true where a step was computed; None where all were."""
        return self.cells[0].mask

    @property
    def device(self) -> str:
        """Where the numbers are."""
        return str(self.cells[0].x.device)

    @property
    def dtype(self) -> str:
        """The type of the numbers."""
        return dtype_name(self.cells[0].x.dtype)

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
        predicted, outputs = Prediction(self.spec, self.call), {}
        for name in self.spec.kind.states:
            axes: Axes = getattr(predicted, f"{name}n")
            ends = torch.cat([cell.replayed.ends[name] for cell in self.cells])
            outputs[f"{name}n"] = annotate(ends.reshape(axes.sizes), axes)
        if predicted.Y is not None:
            top = torch.cat([cell.values["h"] for cell in self.cells[-self.spec.R :]], dim=-1)
            outputs["Y"] = annotate(in_layout(self.spec, self.call, top), predicted.Y)
        return outputs

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
        return f"K·R·{by_row}·{widths}·{self.cells[0].x.element_size()}"

    def heatmap(self, gate: str = "", layer: int = 0, direction: int = 0, n: int = 0) -> HeatMap:
        """One gate of one row over time: units down, steps across. Shows itself in the console and in a notebook.

        The first gate of the cell unless named.

        Raises: ShapeError for a gate, layer, direction or row that is not there.
        """
        name, n = gate or self.spec.kind.gates[0], _index("n", n, self.call.N or 1)
        cell = self[layer, direction]
        _ = cell[name]  # raises for a name that is not there
        steps = self.call.length(n)
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


# ---- what is read off it
# A name in an equation of theory/symbols.py: x_i, h_i, c' or f; never the `tanh` of `tanh(`.
_NAME = re.compile(r"[xh]_[a-z]|\b[a-z]'|\b[a-z]\b(?!['(])")

# A negative number in the brackets of a function does not need its own.
_DOUBLE = re.compile(r"\((\(−[^()]*\))\)")


@dataclass(frozen=True, slots=True)
class Equation:
    """One line of a step: `name = formula`, the shapes of what is multiplied, and the numbers of unit d.

    Of a matrix product `substituted` shows the product and what is added to it. `value` is None where there is no
    unit d: the projected h is P wide.
    """

    name: str
    formula: str
    shapes: str
    substituted: str
    value: float | None

    def __str__(self) -> str:
        told = [self.name, self.formula, self.substituted, "" if self.value is None else number(self.value)]
        return " = ".join(part for part in told if part)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, repr=False)
class GateStep(Shown):
    """Step t of row n: the vectors that enter, and the equations with the numbers of unit d put in."""

    spec: Spec
    layer: int
    direction: int
    t: int
    n: int
    d: int
    batched: bool
    before: str
    """Where the state comes from: `t = 2`, or `h0` at the first step."""
    inputs: tuple[tuple[str, str, tuple[float, ...]], ...]
    """What enters: (name, shape, numbers)."""
    equations: tuple[Equation, ...]
    lang: str = field(default_factory=language, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **{name: getattr(self, name) for name in ("layer", "direction", "t", "n", "d", "before")},
            "inputs": {name: {"shape": shape, "values": list(values)} for name, shape, values in self.inputs},
            "equations": [equation.to_dict() for equation in self.equations],
        }


def read_step(cell: CellTrace, t: int, n: int, d: int) -> GateStep:
    """The step at valid positions t, n, d (`GateTrace.step` checks them)."""
    spec, x = cell.spec, cell.x[t, n].detach()
    first = cell.call.length(n) - 1 if cell.reverse else 0
    source = say("and", one="h0", other="c0") if spec.has_c else "h0"
    before = {name: cell.before(name)[t, n].detach() for name in cell.start}
    width = {"h": f"{spec.width}={spec.H}", "c": f"D={spec.D}"}
    reads = input_symbol(spec, cell.layer)
    entering = [("x", f"{reads}={len(x)}", x), *((f"{name}'", width[name], state) for name, state in before.items())]
    products = [
        *_products(cell, "i", "x", entering[0][1], x, d),
        *_products(cell, "h", "h'", width["h"], before["h"], d),
    ]
    known = {line.name: line.value for line in products if line.value is not None}
    known |= {f"{name}'": float(state[d]) for name, state in before.items() if d < len(state)}
    return GateStep(
        spec=spec,
        layer=cell.layer,
        direction=cell.direction,
        t=t,
        n=n,
        d=d,
        batched=cell.call.batched,
        before=source if t == first else f"t = {t + 1 if cell.reverse else t - 1}",
        inputs=tuple((name, f"({shape},)", tuple(vector.tolist())) for name, shape, vector in entering),
        equations=(*products, *_gate_equations(cell, t, n, d, known)),
    )


def _products(cell: CellTrace, kind: str, vector: str, size: str, values: Tensor, d: int) -> Iterator[Equation]:
    """x_i = W_ii·x + b_ii for each gate, or h_i = W_hi·h' + b_hi."""
    spec, bias = cell.spec, cell.weights.get(f"bias_{kind}h")
    product = cell.weights[f"weight_{kind}h"].detach() @ values
    for place, gate in enumerate(spec.kind.gates):
        formula, shapes, numbers = f"W_{kind}{gate}·{vector}", f"(D={spec.D}, {size})·({size},)", ""
        value = float(product[place * spec.D + d])
        if bias is not None:
            added = float(bias[place * spec.D + d].detach())
            formula, shapes = f"{formula} + b_{kind}{gate}", f"{shapes} + (D={spec.D},)"
            value, numbers = value + added, f"{number(value)} + {_bracketed(added)}"
        yield Equation(f"{vector[0]}_{gate}", formula, shapes, numbers, value)


def _gate_equations(cell: CellTrace, t: int, n: int, d: int, known: dict[str, float]) -> Iterator[Equation]:
    """The equations of theory/symbols.py with the numbers of unit d put in."""
    spec = cell.spec
    now = {name: values[t, n].detach() for name, values in cell.values.items()}
    for name, formula in equations(spec):
        substituted = _NAME.sub(lambda match: _bracketed(known[match.group()]), formula).replace(" ⊙ ", "·")
        substituted = _DOUBLE.sub(r"\1", substituted)
        if name == "h" and spec.P:
            # The projection mixes all units, so unit d of h is no function of unit d of o and c alone.
            unprojected = float(now["o"][d] * now["c"][d].tanh())
            yield Equation("m", formula, f"(D={spec.D},)", substituted, unprojected)
            shapes = f"(P={spec.P}, D={spec.D})·(D={spec.D},)"
            yield Equation("h", "W_hr·m", shapes, "", float(now["h"][d]) if d < spec.P else None)
        else:
            known[name] = float(now[name][d])
            yield Equation(name, formula, f"(D={spec.D},)", substituted, known[name])


def _bracketed(value: float) -> str:
    text = number(value)
    return f"({text})" if text.startswith("−") else text


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
        return asdict(self)


@dataclass(frozen=True, repr=False)
class Feedback(Shown):
    """Every way in which h and c re-enter, layer by layer."""

    spec: Spec
    rows: tuple[Reentry, ...]
    lang: str = field(default_factory=language, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"rows": [row.to_dict() for row in self.rows]}


def read_feedback(cell: CellTrace) -> list[Reentry]:
    """The ways back of one layer and direction."""
    spec, here = cell.spec, slice(None) if cell.mask is None else cell.mask

    def share(part: Tensor, rest: Tensor) -> float | None:
        a, b = (float(one[here].abs().double().mean()) for one in (part, rest))
        return a / (a + b) if a + b > 0 else None

    now = {name: tensor.detach() for name, tensor in cell.values.items()}
    recurrent, entered = (cell.contribution(kind).detach() for kind in ("hh", "ih"))
    rows = f"{spec.G}D={spec.G * spec.D}" if spec.G > 1 else f"D={spec.D}"
    names = " ".join(f"h_{gate}" for gate in spec.kind.gates)
    through = f"{names} = W_hh·h'{' + b_hh' if spec.bias else ''}"
    ways = [("h", through, f"({rows}, {spec.width}={spec.H})", share(recurrent, entered))]
    for name, right in spec.kind.equations:
        for state in re.findall(r"\b([a-z])'", right):
            # What was kept of the old state, and what was written.
            written = now["i"] * now["g"] if state == "c" else (1 - now["z"]) * now["n"]
            ways.append((state, f"{name} = {right}", f"(D={spec.D},)", share(now[state] - written, written)))
    return [Reentry(cell.layer, cell.direction, *way) for way in ways]


@dataclass(frozen=True, repr=False)
class HeatMap(Drawn):
    """`values[d][t]`: units down, steps across, as many steps as the row has."""

    gate: str
    layer: int
    direction: int
    n: int | None
    values: tuple[tuple[float, ...], ...]
    signed: bool = True
    """False for what is never negative: the state of a relu layer."""
    both: bool = False
    """Whether the layer reads in two directions, so that the title says which this is."""
    lang: str = field(default_factory=language, compare=False)

    @property
    def title(self) -> str:
        """`Gate f of layer 0`."""
        with speaking(self.lang):
            key = "layer reverse" if self.direction else "layer forward" if self.both else "layer"
            where = say(key, k=self.layer)
            return say("map of state" if self.gate in ("h", "c") else "map of gate", name=self.gate, where=where)

    @property
    def caption(self) -> str:
        """How many units and steps, and of which row."""
        with speaking(self.lang):
            key = "map of" if self.n is None else "map of row"
            return say(key, units=len(self.values), steps=len(self.values[0]), n=str(self.n))

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

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        where = {name: getattr(self, name) for name in ("gate", "layer", "direction", "n")}
        return {**where, "values": [list(row) for row in self.values]}
