"""A gate trace, one step of it, and its feedback as tables."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display._numbers import number
from lstm_shapes.display.page import Cell, Column, Lines, Mark, Page, Sheet, code
from lstm_shapes.lab.gates._readings import Equation, Feedback, GateStep
from lstm_shapes.lab.gates.cell_trace import CellTrace
from lstm_shapes.lab.gates.trace import GateTrace
from lstm_shapes.theory.spec import gate_rows, suffix

from .titles import headline, number_of_bytes, subtitle

__all__ = ["cell_view", "feedback_view", "step_view", "trace_view"]

# Beyond this many layers and directions a table of all is no table.
_CELLS_SHOWN = 6
_NUMBERS_SHOWN = 5
_KEY = "⊙ multiplies elementwise, σ(a) = 1/(1 + exp(−a)); the second letter of a weight is its gate."


@view.register(GateTrace)
def trace_view(trace: GateTrace) -> Page:
    """What `gates` returns: each tensor's axes and range, and the agreement with the layer."""
    shown = trace.cells[:_CELLS_SHOWN]
    rows = tuple(row for cell in shown for row in _tensor_rows(cell))
    more = len(trace.cells) - len(shown)
    caption = f"… and {more} more: `trace[layer, direction]`." if more else ""
    agreement = (
        f"Recomputed and the layer's own outputs differ by at most {trace.residual:.1e}; "
        f"{trace.tolerance:.0e} is allowed for {trace.dtype} on {trace.device}."
    )
    facts = [
        agreement,
        f"Holds {number_of_bytes(trace.bytes)} = {trace.bytes_formula} bytes.",
        "`trace.step(layer=0, t=3)` writes one step out, `trace.feedback` how states re-enter, "
        f"`trace.heatmap({trace.spec.kind.gates[0]!r})` draws a gate over time.",
        *([trace.note] if trace.note else []),
    ]
    sheet = Sheet("Gates over time", _COLUMNS, rows, caption=caption)
    blocks = (sheet, Lines("Notes", tuple(facts)))
    return Page(f"Gates of {headline(trace.spec)}", subtitle(trace.spec, trace.call), blocks)


_COLUMNS = (
    Column("where"),
    Column("name"),
    Column("axes"),
    Column("sizes"),
    Column("least", right=True),
    Column("mean", right=True),
    Column("greatest", right=True),
)


@view.register(CellTrace)
def cell_view(cell: CellTrace) -> Page:
    """One direction of one layer."""
    sheet = Sheet("Gates over time", _COLUMNS, tuple(_tensor_rows(cell)))
    return Page(f"Gates of {headline(cell.spec)}", subtitle(cell.spec, cell.call), (sheet,))


def _tensor_rows(cell: CellTrace) -> list[tuple[Cell, ...]]:
    where = _where(cell.spec.R, cell.layer, cell.direction)
    rows: list[tuple[Cell, ...]] = []
    for name, facts in cell.to_dict()["tensors"].items():
        axes = f"({', '.join(facts['names'])}{',' if len(facts['names']) == 1 else ''})"
        numbers = (_short(facts[key]) for key in ("min", "mean", "max"))
        rows.append((where, code(name), Mark(axes, "symbol"), str(tuple(facts["sizes"])), *numbers))
        where = ""
    return rows


def _where(R: int, layer: int, direction: int) -> str:
    return f"layer {layer}" if R == 1 else f"layer {layer} {'reverse' if direction else 'forward'}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


@view.register(GateStep)
def step_view(step: GateStep) -> Page:
    """One step: what enters, then each equation with its shapes, then with the numbers of one unit."""
    where = _where(step.spec.R, step.layer, step.direction)
    row = f", row n={step.n}" if step.batched else ""
    entering = Sheet(
        "What enters",
        (Column("name"), Column("shape"), Column("numbers", whole=False)),
        tuple((code(name), shape, _numbers(values)) for name, shape, values in step.inputs),
        caption=f"A prime marks the state before the step, from {step.before}.",
    )
    equations = Sheet(
        f"The step, with the numbers of unit d={step.d}",
        (
            Column("", right=True),
            Column("equation and shapes", whole=False),
            Column("numbers", whole=False),
            Column("", right=True),
        ),
        tuple(_equation(line) for line in step.equations),
        caption=_KEY,
    )
    return Page(f"Step t={step.t} of {where}{row}", headline(step.spec), (entering, equations, _rows_sheet(step)))


def _rows_sheet(step: GateStep) -> Sheet:
    """Where the weights of each gate lie."""
    spec, end = step.spec, suffix(step.spec, step.layer, step.direction)
    stacked = [f"`weight_ih{end}`", f"`weight_hh{end}`", *(["the biases"] if spec.bias else [])]
    rows = (
        (code(gate), *gate_rows(spec, gate), str(place * spec.D + step.d)) for place, gate in enumerate(spec.kind.gates)
    )
    return Sheet(
        "Where the weights lie",
        (Column("gate"), Column("rows"), Column("in numbers"), Column(f"unit d={step.d} is row", right=True)),
        tuple(rows),
        caption=f"Rows of {', '.join(stacked[:-1])} and {stacked[-1]}: the gates are stacked in this order.",
    )


def _equation(line: Equation) -> tuple[Cell, ...]:
    value = "" if line.value is None else number(line.value)
    return (code(line.name), f"{line.formula}\n{line.shapes}", line.substituted, Mark(value, "strong"))


def _numbers(values: tuple[float, ...]) -> str:
    shown = ", ".join(number(value) for value in values[:_NUMBERS_SHOWN])
    return f"{shown}, …" if len(values) > _NUMBERS_SHOWN else shown


@view.register(Feedback)
def feedback_view(feedback: Feedback) -> Page:
    """Each way back, with what part of the sum it was."""
    rows: list[tuple[Cell, ...]] = []
    for row in feedback.rows:
        share = "" if row.share is None else f"{row.share:.0%}"
        where = _where(feedback.spec.R, row.layer, row.direction)
        rows.append((where, code(f"{row.state}'"), row.equation, row.shapes, share))
    sheet = Sheet(
        "What one step hands to the next",
        (
            Column("where"),
            Column("state"),
            Column("enters", whole=False),
            Column("shape"),
            Column("share", right=True),
        ),
        tuple(rows),
        caption="share: what part of the sum came from the state before, by mean absolute value over all steps. "
        "The h of a layer is also the x of the layer above, at the same step.",
    )
    return Page(f"Feedback of {headline(feedback.spec)}", "h' and c' are the states of the step before.", (sheet,))
