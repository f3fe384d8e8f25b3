"""Inside one cell as SVG: weight blocks in torch's order, the shape on every wire, the equations of the states."""

from __future__ import annotations

from lstm_shapes.theory.spec import Spec

from .frame import GATE_COLOURS, arrow, box, text

__all__ = ["cell_body"]

ROW = 42
BLOCK_W = 132
X_IH, X_HH, X_GATE, X_STATE = 24, 204, 420, 610
STATE_W = 250
GATE_W = 116


def cell_body(spec: Spec, layer: int, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    gates, G, D = spec.kind.gates, spec.G, spec.D
    width = spec.input_width(layer)
    reads = "Q" if layer == 0 else f"{'R·' if spec.R > 1 else ''}{'P' if spec.P else 'D'}"
    hidden = "P" if spec.P else "D"
    stack = top + 96
    bottom = stack + G * ROW
    parts = [
        _source(X_IH, top, "x, the input", f"(N, {reads}={width})", "l-in", stack),
        _source(X_HH, top, "h', the h before", f"(N, {hidden}={spec.H})", "l-end", stack),
        text(X_IH + BLOCK_W / 2, bottom + 20, f"weight_ih_l{layer}", "l-code l-quiet", "middle"),
        text(X_IH + BLOCK_W / 2, bottom + 37, f"({_by(G)}D={G * D:,}, {reads}={width:,})", "l-quiet", "middle"),
        text(X_HH + BLOCK_W / 2, bottom + 20, f"weight_hh_l{layer}", "l-code l-quiet", "middle"),
        text(X_HH + BLOCK_W / 2, bottom + 37, f"({_by(G)}D={G * D:,}, {hidden}={spec.H:,})", "l-quiet", "middle"),
    ]
    equations = dict(spec.kind.equations)
    for place, gate in enumerate(gates):
        y, colour = stack + place * ROW, GATE_COLOURS[place]
        middle = y + ROW / 2
        second = (f"W_i{gate}", f"W_h{gate}")
        for x, name, columns in ((X_IH, second[0], reads), (X_HH, second[1], hidden)):
            parts.append(box(x, y, BLOCK_W, ROW, colour, 0))
            parts.append(text(x + 10, middle + 5, name, "l-code l-strong l-ink"))
            parts.append(text(x + BLOCK_W - 10, middle + 5, f"D × {columns}", "l-quiet l-ink", "end"))
        parts.append(text((X_IH + BLOCK_W + X_HH) / 2, middle + 6, "+", "l-title", "middle"))
        parts.append(arrow(X_HH + BLOCK_W + 3, middle, X_GATE - 3, middle))
        parts.append(text((X_HH + BLOCK_W + X_GATE) / 2 - 2, middle - 6, "(N, D)", "l-quiet", "middle"))
        function = "tanh" if "tanh" in equations[gate] else "σ"
        if spec.kind.nonlinearities:
            function = spec.nonlinearity
        parts.append(box(X_GATE, y + 6, GATE_W, ROW - 12, colour, 15))
        parts.append(text(X_GATE + GATE_W / 2, middle + 5, f"{gate} = {function}(·)", "l-code l-ink", "middle"))
        if len(equations) > G:
            parts.append(arrow(X_GATE + GATE_W + 3, middle, X_STATE - 3, middle))
            parts.append(text((X_GATE + GATE_W + X_STATE) / 2, middle - 6, "(N, D)", "l-quiet", "middle"))
    parts.append(_states(spec, stack, bottom, equations))
    notes = []
    if spec.bias:
        notes.append(f"bias_ih_l{layer}, bias_hh_l{layer}: ({_by(G)}D,) each, one block a gate, added to its products.")
    for gate in gates:
        if f"x_{gate} + h_{gate}" not in equations[gate]:
            parts_of = f"x_{gate} is W_i{gate}·x, h_{gate} is W_h{gate}·h', biases included"
            notes.append(f"{gate} = {equations[gate]}: {parts_of}.")
    for place, note in enumerate(notes):
        parts.append(text(X_IH, bottom + 62 + 18 * place, note, "l-quiet"))
    return "".join(parts), X_STATE + STATE_W + 150, bottom + 56 + 18 * len(notes)


def _by(G: int) -> str:
    return str(G) if G > 1 else ""


def _source(x: float, top: float, name: str, shape: str, cls: str, stack: float) -> str:
    """A vector that enters a stack of weights from above."""
    return (
        box(x, top, BLOCK_W, 44, cls, 14)
        + text(x + BLOCK_W / 2, top + 19, name, "l-strong", "middle")
        + text(x + BLOCK_W / 2, top + 36, shape, "l-quiet", "middle")
        + arrow(x + BLOCK_W / 2, top + 46, x + BLOCK_W / 2, stack - 4)
    )


def _states(spec: Spec, stack: float, bottom: float, equations: dict[str, str]) -> str:
    """The equations that make the states from the gates, and the wires that leave."""
    lines = [(name, right) for name, right in equations.items() if name not in spec.kind.gates]
    if not lines:  # a gate that is the state itself
        middle = stack + ROW / 2
        return arrow(X_GATE + GATE_W + 3, middle, X_STATE - 3, middle) + _leaving(X_STATE, middle, "h", "(N, D)")
    hidden = f"(N, {'P' if spec.P else 'D'})"
    rows = [(f"{name} = {right}", name, "(N, D)" if name == "c" else hidden) for name, right in lines]
    if spec.P:
        rows[-1] = (f"h = W_hr ({rows[-1][0].removeprefix('h = ')})", "h", hidden)
    height = max(bottom - stack, len(rows) * ROW)
    parts = [box(X_STATE, stack, STATE_W, height, "l-cell", 10)]
    entering = "c'" if "c" in spec.kind.states else "h'"
    middle_x = X_STATE + STATE_W / 2
    parts.append(box(middle_x - 66, stack - 96, 132, 44, "l-end", 14))
    parts.append(text(middle_x, stack - 77, f"{entering}, the {entering[0]} before", "l-strong", "middle"))
    parts.append(text(middle_x, stack - 60, f"(N, D={spec.D})", "l-quiet", "middle"))
    parts.append(arrow(middle_x, stack - 50, middle_x, stack - 3))
    for place, (formula, name, shape) in enumerate(rows):
        y = stack + height * (2 * place + 1) / (2 * len(rows))
        parts.append(text(X_STATE + 16, y + 5, formula, "l-code"))
        parts.append(arrow(X_STATE + STATE_W + 3, y, X_STATE + STATE_W + 62, y))
        parts.append(text(X_STATE + STATE_W + 31, y - 7, shape, "l-quiet", "middle"))
        parts.append(text(X_STATE + STATE_W + 72, y + 5, name, "l-code l-strong"))
    parts.append(text(X_STATE, bottom + 22, "What leaves re-enters at the next step, primed.", "l-quiet"))
    return "".join(parts)


def _leaving(x: float, y: float, name: str, shape: str) -> str:
    return text(x + 8, y + 5, name, "l-code l-strong") + text(x + 26, y + 5, shape, "l-quiet")
