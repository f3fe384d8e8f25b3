"""What is read off the trace of a cell: a step as equations, the ways back of its states, and a gate over time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from torch import Tensor

from lstm_shapes.display import Drawn, Shown, number
from lstm_shapes.language import language, say, speaking
from lstm_shapes.theory.spec import Spec, equations, input_symbol

from .cell_trace import CellTrace

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
    source, before = _before(cell, t, n)
    width = {"h": f"{spec.width}={spec.H}", "c": f"D={spec.D}"}
    reads = input_symbol(spec, cell.layer)
    entering = [("x", f"{reads}={len(x)}", x), *((f"{name}'", width[name], state) for name, state in before.items())]
    W = cell.weights
    products = [
        *_products(spec, "i", "x", entering[0][1], W.ih.detach() @ x, W.b_ih, d),
        *_products(spec, "h", "h'", width["h"], W.hh.detach() @ before["h"], W.b_hh, d),
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
        before=source,
        inputs=tuple((name, f"({shape},)", tuple(vector.tolist())) for name, shape, vector in entering),
        equations=(*products, *_gate_equations(cell, t, n, d, known)),
    )


def _before(cell: CellTrace, t: int, n: int) -> tuple[str, dict[str, Tensor]]:
    """The states that a step starts from, and where they come from."""
    lengths = cell.call.lengths
    last = (lengths[n] if lengths else cell.call.L) - 1
    if t == (last if cell.reverse else 0):
        before = say("and", one="h0", other="c0") if cell.spec.has_c else "h0"
        return before, {k: v[n].detach() for k, v in cell.start.items()}
    s = t + 1 if cell.reverse else t - 1
    return f"t = {s}", {name: cell.values[name][s, n].detach() for name in cell.start}


def _products(
    spec: Spec, kind: str, vector: str, size: str, product: Tensor, bias: Tensor | None, d: int
) -> Iterator[Equation]:
    """x_i = W_ii·x + b_ii for each gate, or h_i = W_hi·h' + b_hi."""
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
    spec = cell.spec
    now = {name: tensor.detach() for name, tensor in {**cell.values, **cell.parts()}.items()}
    rows = f"{spec.G}D={spec.G * spec.D}" if spec.G > 1 else f"D={spec.D}"
    names = " ".join(f"h_{gate}" for gate in spec.kind.gates)
    through = f"{names} = W_hh·h'{' + b_hh' if spec.bias else ''}"
    ways = [("h", through, f"({rows}, {spec.width}={spec.H})", _share(now["recurrent"], now["input"], cell.mask))]
    for name, right in spec.kind.equations:
        for state in re.findall(r"\b([a-z])'", right):
            # What was kept of the old state, and what was written.
            written = now["i"] * now["g"] if state == "c" else (1 - now["z"]) * now["n"]
            share = _share(now[state] - written, written, cell.mask)
            ways.append((state, f"{name} = {right}", f"(D={spec.D},)", share))
    return [Reentry(cell.layer, cell.direction, *way) for way in ways]


def _share(part: Tensor, rest: Tensor, mask: Tensor | None) -> float | None:
    if mask is not None:
        part, rest = part[mask], rest[mask]
    a, b = float(part.abs().double().mean()), float(rest.abs().double().mean())
    return a / (a + b) if a + b > 0 else None


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
