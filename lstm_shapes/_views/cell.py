"""One cell from inside: each gate's rows of the stacked weights with their shapes, and the equations.

In characters, in words and as SVG, with the shape on every wire.
"""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.language import say
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec, gate_rows, suffix

from .svg import GATE_COLOURS, arrow, box, paragraph, text, wide

__all__ = ["cell_body", "cell_sentences", "cell_text", "equations"]


def equations(spec: Spec) -> tuple[tuple[str, str, int], ...]:
    """(name, right side, width) of all that one step computes, in its order.

    >>> equations(Spec(28, 256, cell="RNN", nonlinearity="relu"))
    (('h', 'relu(x_h + h_h)', 256),)
    """
    found = []
    for name, right in spec.kind.equations:
        if spec.kind.nonlinearities:
            right = right.replace("tanh", spec.nonlinearity)
        if name == "h" and spec.P:
            right = f"W_hr·({right})"
        found.append((name, right, spec.H if name == "h" else spec.D))
    return tuple(found)


def cell_text(spec: Spec, layer: int, width: int) -> str:
    """The stacked weights gate by gate, then the states; a row that is too wide is broken where it may be."""
    end, reads, D = suffix(spec, layer), spec.input_width(layer), spec.D
    rows = [
        ("", (f"weight_ih{end} ({spec.G * D}, {reads})", f"weight_hh{end} ({spec.G * D}, {spec.H})")),
        *((("", (f"weight_hr{end} ({spec.P}, {D})",)),) if spec.P else ()),
    ]
    for place, (name, right, size) in enumerate(equations(spec)):
        result = f"{name} = {right}   ({size},)"
        if place < spec.G:
            rows.append(
                (
                    "│ ",
                    (
                        f"{gate_rows(spec, name)[0]:5} W_i{name} ({D}, {reads})",
                        f"+ W_h{name} ({D}, {spec.H})",
                        f"→ {result}",
                    ),
                )
            )
        else:
            rows.append(("  ", (result,)))
    narrow = any(len(start + "   ".join(parts)) > width for start, parts in rows)
    return "\n".join(line for start, parts in rows for line in _lines(start, parts, narrow))


def _lines(start: str, parts: tuple[str, ...], narrow: bool) -> Iterator[str]:
    if narrow:
        yield from (f"{start}{'' if place == 0 else '  '}{part}" for place, part in enumerate(parts))
    else:
        yield start + "   ".join(parts)


def cell_sentences(spec: Spec, layer: int) -> tuple[str, ...]:
    """The drawing in words.

    >>> cell_sentences(Spec(28, 256, cell="GRUCell"), 0)[0]
    'weight_ih (768, 28) multiplies x and weight_hh (768, 256) the h before: rows 0:D are r, D:2D are z, 2D:3D are n.'
    """
    end = suffix(spec, layer)
    weights = say(
        "cell weights" if spec.G > 1 else "cell weights, one gate",
        end=end,
        rows=spec.G * spec.D,
        reads=spec.input_width(layer),
        H=spec.H,
        gates=", ".join(say("cell rows", rows=gate_rows(spec, gate)[0], gate=gate) for gate in spec.kind.gates),
    )
    steps = "; ".join(say("cell step", name=name, right=right, size=size) for name, right, size in equations(spec))
    projected = (say("cell projection", end=end, P=spec.P, D=spec.D),) if spec.P else ()
    return (weights, f"{steps}.", *projected)


# ---- as SVG

ROW = 42
LEFT = 24
PLUS = 48  # between the two stacks
GATE_W = 116
STATE_W = 250
BLOCK_H = 56


def cell_body(spec: Spec, call: Call, layer: int, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    return _Drawing(spec, call, layer, top).draw()


class _Drawing:
    def __init__(self, spec: Spec, call: Call, layer: int, top: float) -> None:
        self.spec, self.layer, self.top = spec, layer, top
        self.batch = "N, " if call.batched else ""
        self.end = suffix(spec, layer)
        self.reads = "Q" if layer == 0 else f"{'R·' if spec.R > 1 else ''}{spec.width}"
        self.hidden = spec.width
        by = str(spec.G) if spec.G > 1 else ""
        rows = f"{by}D={spec.G * spec.D:,}"
        self.bias = f"({by}D,)"
        self.shapes = {
            "x": f"({self._row(f'{self.reads}={spec.input_width(layer):,}')})",
            "h": f"({self._row(f'{self.hidden}={spec.H:,}')})",
            "c": f"({self._row(f'D={spec.D:,}')})",
            "weight_ih": f"({rows}, {self.reads}={spec.input_width(layer):,})",
            "weight_hh": f"({rows}, {self.hidden}={spec.H:,})",
            "weight_hr": f"(P={spec.P:,}, D={spec.D:,})",
        }
        self.ih_w, self.hh_w = (
            max(132.0, *(12 + wide(self.shapes[name], "l-quiet") for name in names))
            for names in (("x", "weight_ih"), ("h", "weight_hh"))
        )
        self.x_hh = LEFT + self.ih_w + PLUS
        self.x_gate = self.x_hh + self.hh_w + 84
        self.x_state = self.x_gate + GATE_W + 74
        self.stack = top + 96
        self.bottom = self.stack + spec.G * ROW
        self.parts: list[str] = []

    def _row(self, width: str) -> str:
        """The inside of a step's shape: with N for a batch, a comma of its own without."""
        return f"{self.batch}{width}" if self.batch else f"{width},"

    def draw(self) -> tuple[str, float, float]:
        ending = (
            (LEFT, self.ih_w, "x", say("cell x"), "weight_ih"),
            (self.x_hh, self.hh_w, "h", say("cell h"), "weight_hh"),
        )
        for x, width, source, name, weight in ending:
            self._source(x, width, name, self.shapes[source], "l-in" if source == "x" else "l-end")
            self.parts.append(text(x + width / 2, self.bottom + 20, weight + self.end, "l-code l-quiet", "middle"))
            self.parts.append(text(x + width / 2, self.bottom + 37, self.shapes[weight], "l-quiet", "middle"))
        for place, gate in enumerate(self.spec.kind.gates):
            self._gate(place, gate)
        right = self._states()
        y = max(self.bottom + 62, self.low + 44)
        for note in self._notes():
            body, needs, y = paragraph(LEFT, y, note, "l-quiet", line=18)
            self.parts.append(body)
            right = max(right, needs)
        return "".join(self.parts), right, y - 6

    def _source(self, x: float, width: float, name: str, shape: str, cls: str) -> None:
        """A vector that enters a stack of weights from above."""
        self.parts.append(box(x, self.top, width, 44, cls, 14))
        self.parts.append(text(x + width / 2, self.top + 19, name, "l-strong", "middle"))
        self.parts.append(text(x + width / 2, self.top + 36, shape, "l-quiet", "middle"))
        self.parts.append(arrow(x + width / 2, self.top + 46, x + width / 2, self.stack - 4))

    def _wire(self, x1: float, x2: float, y: float, width: str) -> None:
        self.parts.append(arrow(x1 + 3, y, x2 - 3, y))
        self.parts.append(text((x1 + x2) / 2 - 1, y - 6, f"({self._row(width)})", "l-quiet", "middle"))

    def _gate(self, place: int, gate: str) -> None:
        y, colour = self.stack + place * ROW, GATE_COLOURS[place]
        middle = y + ROW / 2
        for x, width, letter, columns in ((LEFT, self.ih_w, "i", self.reads), (self.x_hh, self.hh_w, "h", self.hidden)):
            self.parts.append(box(x, y, width, ROW, colour, 0))
            self.parts.append(text(x + 10, middle - 3, f"W_{letter}{gate}", "l-code l-strong l-ink"))
            self.parts.append(text(x + width - 10, middle - 3, f"D × {columns}", "l-quiet l-ink", "end"))
            self.parts.append(
                text(x + 10, middle + 14, f"{say('rows')} {gate_rows(self.spec, gate)[0]}", "l-quiet l-ink")
            )
        self.parts.append(text(self.x_hh - PLUS / 2, middle + 6, "+", "l-title", "middle"))
        self._wire(self.x_hh + self.hh_w, self.x_gate, middle, "D")
        right = {name: right for name, right, _ in equations(self.spec)}[gate]
        self.parts.append(box(self.x_gate, y + 6, GATE_W, ROW - 12, colour, 15))
        label = f"{gate} = {right.partition('(')[0]}(·)"
        self.parts.append(text(self.x_gate + GATE_W / 2, middle + 5, label, "l-code l-ink", "middle"))
        if len(self.spec.kind.equations) > self.spec.G:
            self._wire(self.x_gate + GATE_W, self.x_state, middle, "D")

    def _states(self) -> float:
        """The equations that make the states from the gates, and the wires that leave; how far right they reach."""
        spec, x, stack = self.spec, self.x_state, self.stack
        self.low = self.bottom
        lines = [(name, right) for name, right in spec.kind.equations[spec.G :]]
        if not lines:  # a gate that is the state itself
            middle = stack + ROW / 2
            self._wire(self.x_gate + GATE_W, x, middle, "D")
            self.parts.append(text(x + 8, middle + 5, "h", "l-code l-strong"))
            return x + 60
        height = max(self.bottom - stack, len(lines) * ROW)
        before = "c" if spec.has_c else "h"
        shape = self.shapes[before]
        width = max(STATE_W, wide(shape, "l-quiet") + 12)
        self.parts.append(box(x, stack, width, height, "l-cell", 10))
        source_w = max(132, wide(shape, "l-quiet") + 12)
        self._source(x + (width - source_w) / 2, source_w, say(f"cell {before}"), shape, "l-end")
        out = x + width
        for place, (name, right) in enumerate(lines):
            y = stack + height * (2 * place + 1) / (2 * len(lines))
            projected = name == "h" and spec.P
            self.parts.append(text(x + 16, y + 5, right if projected else f"{name} = {right}", "l-code"))
            self._wire(out, out + 64, y, "D")
            if projected:
                self._projection(out + 64, y)
            else:
                self.parts.append(text(out + 70, y + 5, name, "l-code l-strong"))
        leaves = say("cell leaves")
        self.parts.append(text(x, self.bottom + 22, leaves, "l-quiet"))
        end = out + 64 + (self._projection_width + 84 if spec.P else 0) + 30
        return max(end, x + 20 + wide(leaves, "l-quiet"))

    @property
    def _projection_width(self) -> float:
        return max(104.0, 12 + wide(self.shapes["weight_hr"], "l-quiet"))

    def _projection(self, x: float, y: float) -> None:
        """W_hr, the block that makes h narrower, and what leaves it."""
        width, high = self._projection_width, y - BLOCK_H / 2
        self.parts.append(box(x, high, width, BLOCK_H, "l-cell", 0))
        self.parts.append(text(x + width / 2, y - 4, "W_hr", "l-code l-strong", "middle"))
        self.parts.append(text(x + width / 2, y + 15, "P × D", "l-quiet", "middle"))
        self.parts.append(text(x + width / 2, high + BLOCK_H + 17, f"weight_hr{self.end}", "l-code l-quiet", "middle"))
        self.parts.append(text(x + width / 2, high + BLOCK_H + 34, self.shapes["weight_hr"], "l-quiet", "middle"))
        self.low = max(self.low, high + BLOCK_H + 34 - 37)
        self._wire(x + width, x + width + 64, y, "P")
        self.parts.append(text(x + width + 70, y + 5, "h", "l-code l-strong"))

    def _notes(self) -> list[str]:
        notes = []
        if self.spec.bias:
            notes.append(say("cell biases", end=self.end, shape=self.bias))
            if "f" in self.spec.kind.gates:
                notes.append(say("forget bias", end=self.end, rows=f"[{gate_rows(self.spec, 'f')[0]}]"))
        for gate, right, _ in equations(self.spec):
            if gate in self.spec.kind.gates and f"x_{gate} + h_{gate}" not in right:
                notes.append(say("cell gate, biases" if self.spec.bias else "cell gate", gate=gate, right=right))
        return notes
