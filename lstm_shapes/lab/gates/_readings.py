"""What is read off the trace of a cell: a step as equations, the ways back of its states, and a gate over time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor

from lstm_shapes.display import Shown, drawing
from lstm_shapes.display._numbers import number
from lstm_shapes.errors import SpecError
from lstm_shapes.language import language, say, speaking
from lstm_shapes.theory.spec import Spec

from .cell_trace import CellTrace

__all__ = ["Equation", "Feedback", "GateStep", "HeatMap", "Reentry", "read_feedback", "read_step"]


# A name in an equation of theory/cells.py: x_i, h_i, c' or f; never the `tanh` of `tanh(`.
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
            "layer": self.layer,
            "direction": self.direction,
            "t": self.t,
            "n": self.n,
            "d": self.d,
            "before": self.before,
            "inputs": {name: {"shape": shape, "values": list(values)} for name, shape, values in self.inputs},
            "equations": [equation.to_dict() for equation in self.equations],
        }


def read_step(cell: CellTrace, t: int, n: int, d: int) -> GateStep:
    """The step at valid positions t, n, d (`GateTrace.step` checks them)."""
    spec = cell.spec
    source, before = _before(cell, t, n)
    width = {"h": (spec.width, spec.H), "c": ("D", spec.D)}
    inputs = [("x", f"({_input(cell)}={cell.x.shape[-1]},)", _floats(cell.x[t, n]))]
    for name, state in before.items():
        symbol, size = width[name]
        inputs.append((f"{name}'", f"({symbol}={size},)", _floats(state)))
    return GateStep(
        spec=spec,
        layer=cell.layer,
        direction=cell.direction,
        t=t,
        n=n,
        d=d,
        batched=cell.call.batched,
        before=source,
        inputs=tuple(inputs),
        equations=(*_contributions(cell, t, n, d), *_gate_equations(cell, t, n, d, before)),
    )


def _input(cell: CellTrace) -> str:
    if cell.layer == 0:
        return "Q"
    return f"R·{cell.spec.width}" if cell.spec.R > 1 else cell.spec.width


def _before(cell: CellTrace, t: int, n: int) -> tuple[str, dict[str, Tensor]]:
    """The states that a step starts from, and where they come from."""
    lengths = cell.call.lengths
    last = (lengths[n] if lengths else cell.call.L) - 1
    if t == (last if cell.reverse else 0):
        before = say("and", one="h0", other="c0") if cell.spec.has_c else "h0"
        return before, {k: v[n] for k, v in cell.start.items()}
    s = t + 1 if cell.reverse else t - 1
    return f"t = {s}", {name: cell.values[name][s, n] for name in cell.start}


def _contributions(cell: CellTrace, t: int, n: int, d: int) -> list[Equation]:
    """x_i = W_ii·x + b_ii and h_i = W_hi·h' + b_hi for each gate."""
    spec, W, lines = cell.spec, cell.weights, []
    D, x, h = spec.D, cell.x[t, n], _before(cell, t, n)[1]["h"]
    read, hidden = f"{_input(cell)}={x.shape[0]}", f"{spec.width}={spec.H}"
    for kind, vector, size, product, bias in (
        ("i", "x", read, W.ih @ x, W.b_ih),
        ("h", "h'", hidden, W.hh @ h, W.b_hh),
    ):
        for place, gate in enumerate(spec.kind.gates):
            name, formula, shapes = f"{'x' if kind == 'i' else 'h'}_{gate}", f"W_{kind}{gate}·{vector}", f"({size},)"
            value, numbers = _one(product[place * D + d]), ""
            if bias is not None:
                formula, shapes = f"{formula} + b_{kind}{gate}", f"{shapes} + (D={D},)"
                added = _one(bias[place * D + d])
                value, numbers = value + added, f"{number(value)} + {_bracketed(added)}"
            lines.append(Equation(name, formula, f"(D={D}, {size})·{shapes}", numbers, value))
    return lines


def _gate_equations(cell: CellTrace, t: int, n: int, d: int, before: dict[str, Tensor]) -> list[Equation]:
    """The equations of theory/cells.py with the numbers of unit d put in."""
    spec = cell.spec
    known = {line.name: line.value for line in _contributions(cell, t, n, d) if line.value is not None}
    known |= {f"{name}'": _one(state[d]) for name, state in before.items() if d < state.shape[0]}
    lines = []
    for name, right in spec.kind.equations:
        formula = right.replace("tanh", spec.nonlinearity) if spec.kind.nonlinearities else right
        substituted = _NAME.sub(lambda found: _bracketed(known[found.group()]), formula).replace(" ⊙ ", "·")
        substituted = _DOUBLE.sub(r"\1", substituted)
        if name == "h" and spec.P:
            # The projection mixes all units, so unit d of h is no function of unit d of o and c alone.
            unprojected = _one(cell.values["o"][t, n, d] * cell.values["c"][t, n, d].tanh())
            lines.append(Equation("m", formula, f"(D={spec.D},)", substituted, unprojected))
            shapes = f"(P={spec.P}, D={spec.D})·(D={spec.D},)"
            h = _one(cell.values["h"][t, n, d]) if d < spec.P else None
            lines.append(Equation("h", "W_hr·m", shapes, "", h))
            continue
        known[name] = _one(cell.values[name][t, n, d])
        lines.append(Equation(name, formula, f"(D={spec.D},)", substituted, known[name]))
    return lines


def _bracketed(value: float) -> str:
    text = number(value)
    return f"({text})" if text.startswith("−") else text


def _one(value: Tensor) -> float:
    return float(value.detach())


def _floats(vector: Tensor) -> tuple[float, ...]:
    return tuple(vector.detach().tolist())


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
    lang: str = field(default_factory=language, compare=False)

    @property
    def title(self) -> str:
        """`Gate f of layer 0`."""
        with speaking(self.lang):
            where = say("layer reverse" if self.direction else "layer", k=self.layer)
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
