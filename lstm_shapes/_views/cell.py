"""One cell from inside: each gate's rows of the stacked weights with their shapes, and the equations.

In characters, in words and as SVG, with the shape on every wire.
"""

from __future__ import annotations

from lstm_shapes.language import say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec, equations, gate_rows, input_symbol, suffix

from .canvas import GATE_COLOURS, Canvas, Sketch, wide, wrapped


def cell_sketch(picture: Picture) -> Sketch:
    spec, call, layer = picture.prediction.spec, picture.prediction.call, picture.layer
    return Sketch(
        title=say("title cell of" if spec.K > 1 else "title cell", layer=layer),
        svg=lambda canvas, y: _Svg(canvas, spec, call, layer, y).draw(),
        text=lambda width: _text(spec, layer, width),
        unseen=_sentences(spec, layer),
    )


def _equations(spec: Spec) -> list[tuple[str, str, int]]:
    """(name, right side, width) of all that one step computes, in its order."""
    return [
        (name, f"W_hr·({right})" if name == "h" and spec.P else right, spec.H if name == "h" else spec.D)
        for name, right in equations(spec)
    ]


def _text(spec: Spec, layer: int, width: int) -> str:
    """The stacked weights gate by gate, then the states; where a row is too wide, each is broken into its parts."""
    end, reads, D = suffix(spec, layer), spec.input_width(layer), spec.D
    rows = [("", [f"weight_ih{end} ({spec.G * D}, {reads})", f"weight_hh{end} ({spec.G * D}, {spec.H})"])]
    if spec.P:
        rows.append(("", [f"weight_hr{end} ({spec.P}, {D})"]))
    for place, (name, right, size) in enumerate(_equations(spec)):
        result = f"{name} = {right}   ({size},)"
        if place < spec.G:
            read = f"{gate_rows(spec, name)[0]:5} W_i{name} ({D}, {reads})"
            rows.append(("│ ", [read, f"+ W_h{name} ({D}, {spec.H})", f"→ {result}"]))
        else:
            rows.append(("  ", [result]))
    between = "   " if all(len(start + "   ".join(parts)) <= width for start, parts in rows) else None
    lines = [start + (between or f"\n{start}  ").join(parts) for start, parts in rows]
    notes = [line for note in _notes(spec, layer) for line in wrapped(note, width)]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _notes(spec: Spec, layer: int) -> list[str]:
    """What stands below the drawing: the biases, those of the forget gate, and a gate that is no plain sum."""
    notes, gates, end = [], spec.kind.gates, suffix(spec, layer)
    if spec.bias:
        notes.append(say("cell biases", end=end, shape=f"({spec.G if spec.G > 1 else ''}D,)"))
        if "f" in gates:
            notes.append(say("forget bias", end=end, rows=f"[{gate_rows(spec, 'f')[0]}]"))
    for gate, right, _ in _equations(spec):
        if gate in gates and f"x_{gate} + h_{gate}" not in right:
            notes.append(say("cell gate, biases" if spec.bias else "cell gate", gate=gate, right=right))
    return notes


def _sentences(spec: Spec, layer: int) -> tuple[str, ...]:
    end = suffix(spec, layer)
    weights = say(
        "cell weights" if spec.G > 1 else "cell weights, one gate",
        end=end,
        rows=spec.G * spec.D,
        reads=spec.input_width(layer),
        H=spec.H,
        gates=", ".join(say("cell rows", rows=gate_rows(spec, gate)[0], gate=gate) for gate in spec.kind.gates),
    )
    steps = "; ".join(say("cell step", name=name, right=right, size=size) for name, right, size in _equations(spec))
    projected = (say("cell projection", end=end, P=spec.P, D=spec.D),) if spec.P else ()
    return (weights, f"{steps}.", *projected)


# ---- as SVG

ROW = 42
LEFT = 24
PLUS = 48  # between the two stacks
WIRE = 64  # with room for a shape above it
GATE_W = 116
STATE_W = 250
BLOCK_H = 56


class _Svg:
    """x and h enter two stacks of weights from above; gate by gate their products go to the right."""

    def __init__(self, canvas: Canvas, spec: Spec, call: Call, layer: int, top: float) -> None:
        self.canvas, self.spec, self.layer = canvas, spec, layer
        self.top, self.stack = top, top + 96
        self.bottom = self.stack + spec.G * ROW
        self.end = suffix(spec, layer)
        self.row = "(N, {})" if call.batched else "({},)"  # a step's shape
        self.reads = input_symbol(spec, layer)
        self.by = f"{spec.G if spec.G > 1 else ''}D"
        rows, read, hidden = (
            f"{self.by}={spec.G * spec.D:,}",
            f"{self.reads}={spec.input_width(layer):,}",
            f"{spec.width}={spec.H:,}",
        )
        self.shapes = {
            "x": self.row.format(read),
            "h": self.row.format(hidden),
            "c": self.row.format(f"D={spec.D:,}"),
            "weight_ih": f"({rows}, {read})",
            "weight_hh": f"({rows}, {hidden})",
            "weight_hr": f"(P={spec.P:,}, D={spec.D:,})",
        }

    def draw(self) -> float:
        """Draw the cell; the height at which it ends comes back."""
        spec, canvas = self.spec, self.canvas
        ih_w, hh_w = (self._width(132, *names) for names in (("x", "weight_ih"), ("h", "weight_hh")))
        x_hh = LEFT + ih_w + PLUS
        x_gate = x_hh + hh_w + 84
        x_state = x_gate + GATE_W + 74
        for x, width, source, weight, cls in ((LEFT, ih_w, "x", "ih", "l-in"), (x_hh, hh_w, "h", "hh", "l-end")):
            self._source(x, width, say(f"cell {source}"), self.shapes[source], cls)
            self._named(x + width / 2, self.bottom + 20, f"weight_{weight}")
        for place, (gate, right, _) in enumerate(_equations(spec)[: spec.G]):
            y, colour = self.stack + place * ROW, GATE_COLOURS[place]
            self._block(LEFT, y, ih_w, f"W_i{gate}", self.reads, gate, colour)
            self._block(x_hh, y, hh_w, f"W_h{gate}", spec.width, gate, colour)
            canvas.text(x_hh - PLUS / 2, y + ROW / 2 + 6, "+", "l-title", "middle")
            self._wire(x_hh + hh_w, x_gate, y + ROW / 2, "D")
            label = f"{gate} = {right.partition('(')[0]}(·)"
            canvas.box(x_gate, y + 6, GATE_W, ROW - 12, colour, label, "l-code l-ink", radius=15)
            self._wire(x_gate + GATE_W, x_state, y + ROW / 2, "D")
        low = self._states(x_state)
        y = max(self.bottom + 62, low + 44)
        for note in _notes(self.spec, self.layer):
            y = canvas.paragraph(LEFT, y, note, line=18)
        return y - 6

    def _width(self, least: float, *names: str) -> float:
        """The width of a box that holds these shapes, at least `least`."""
        return max(least, *(12 + wide(self.shapes[name], "l-quiet") for name in names))

    def _source(self, x: float, width: float, name: str, shape: str, cls: str) -> None:
        """A vector that enters a stack of weights from above."""
        self.canvas.box(x, self.top, width, 44, cls, radius=14)
        self.canvas.text(x + width / 2, self.top + 19, name, "l-strong", "middle")
        self.canvas.text(x + width / 2, self.top + 36, shape, "l-quiet", "middle")
        self.canvas.arrow(x + width / 2, self.top + 46, x + width / 2, self.stack - 4)

    def _named(self, x: float, y: float, weight: str) -> None:
        """A parameter's name and shape below its blocks."""
        self.canvas.text(x, y, weight + self.end, "l-code l-quiet", "middle")
        self.canvas.text(x, y + 17, self.shapes[weight], "l-quiet", "middle")

    def _block(self, x: float, y: float, width: float, name: str, columns: str, gate: str, colour: str) -> None:
        """A gate's rows of a stack of weights."""
        self.canvas.box(x, y, width, ROW, colour, radius=0)
        self.canvas.text(x + 10, y + ROW / 2 - 3, name, "l-code l-strong l-ink")
        self.canvas.text(x + width - 10, y + ROW / 2 - 3, f"D × {columns}", "l-quiet l-ink", "end")
        self.canvas.text(x + 10, y + ROW / 2 + 14, f"{say('rows')} {gate_rows(self.spec, gate)[0]}", "l-quiet l-ink")

    def _wire(self, x1: float, x2: float, y: float, width: str, name: str = "") -> None:
        """An arrow with the shape of what runs along it, and the name of what leaves at its end."""
        self.canvas.arrow(x1 + 3, y, x2 - 3, y)
        self.canvas.text((x1 + x2) / 2 - 1, y - 6, self.row.format(width), "l-quiet", "middle")
        self.canvas.text(x2 + 6, y + 5, name, "l-code l-strong")

    def _states(self, x: float) -> float:
        """The equations that make the states from the gates, and what leaves; how far down it reaches."""
        spec, canvas, lines = self.spec, self.canvas, self.spec.kind.equations[self.spec.G :]
        if not lines:  # a gate that is the state itself
            canvas.text(x + 8, self.stack + ROW / 2 + 5, "h", "l-code l-strong")
            return self.bottom
        low, before = self.bottom, "c" if spec.has_c else "h"
        height = max(self.bottom - self.stack, len(lines) * ROW)
        width, source_w = self._width(STATE_W, before), self._width(132, before)
        canvas.box(x, self.stack, width, height, "l-cell", radius=10)
        self._source(x + (width - source_w) / 2, source_w, say(f"cell {before}"), self.shapes[before], "l-end")
        out = x + width
        for place, (name, right) in enumerate(lines):
            y = self.stack + height * (2 * place + 1) / (2 * len(lines))
            projected = name == "h" and bool(spec.P)
            canvas.text(x + 16, y + 5, right if projected else f"{name} = {right}", "l-code")
            self._wire(out, out + WIRE, y, "D", "" if projected else name)
            if projected:
                low = max(low, self._projection(out + WIRE, y))
        canvas.text(x, self.bottom + 22, say("cell leaves"), "l-quiet")
        return low

    def _projection(self, x: float, y: float) -> float:
        """W_hr, the block that makes h narrower, and what leaves it; where its words end."""
        width, high = self._width(104, "weight_hr"), y - BLOCK_H / 2
        self.canvas.box(x, high, width, BLOCK_H, "l-cell", radius=0)
        self.canvas.text(x + width / 2, y - 4, "W_hr", "l-code l-strong", "middle")
        self.canvas.text(x + width / 2, y + 15, "P × D", "l-quiet", "middle")
        self._named(x + width / 2, high + BLOCK_H + 17, "weight_hr")
        self._wire(x + width, x + width + WIRE, y, "P", "h")
        return high + BLOCK_H - 3
