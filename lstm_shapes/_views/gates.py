"""A gate trace, one step of it, and its feedback as tables."""

from __future__ import annotations

from dataclasses import replace

from lstm_shapes.display import number, view
from lstm_shapes.display.page import Cell, Column, Lines, Mark, Page, Sheet, code
from lstm_shapes.lab.gates.cell_trace import CellTrace
from lstm_shapes.lab.gates.trace import Equation, Feedback, GateStep, GateTrace
from lstm_shapes.language import say
from lstm_shapes.theory.spec import gate_rows, headline, suffix

from .titles import number_of_bytes, place, subtitle

# Beyond this many layers and directions a table of all is no table.
_CELLS_SHOWN = 6
_NUMBERS_SHOWN = 5


@view.register(GateTrace)
def trace_view(trace: GateTrace) -> Page:
    """What `gates` returns: each tensor's axes and range, and the agreement with the layer."""
    shown = trace.cells[:_CELLS_SHOWN]
    rows = tuple(row for cell in shown for row in _tensor_rows(cell))
    more = len(trace.cells) - len(shown)
    caption = say("more cells", more=more) if more else ""
    differ = {"residual": f"{trace.residual:.1e}", "tolerance": f"{trace.tolerance:.0e}"}
    facts = [
        say("gates agree", **differ, dtype=trace.dtype, device=trace.device),
        say("gates hold", size=number_of_bytes(trace.bytes), formula=trace.bytes_formula),
        say("gates readings", gate=trace.spec.kind.gates[0]),
        *([trace.note] if trace.note else []),
    ]
    return _over_time(trace, Sheet("", (), rows, caption=caption), Lines(say("notes"), tuple(facts)))


def _over_time(trace: GateTrace | CellTrace, sheet: Sheet, *blocks: Lines) -> Page:
    names = (Column(say(name)) for name in ("where", "name", "axes", "sizes"))
    numbers = (Column(say(name), right=True) for name in ("least", "mean", "greatest"))
    sheet = replace(sheet, title=say("gates over time"), columns=(*names, *numbers))
    title = say("gates of", layer=headline(trace.spec))
    return Page(title, subtitle(trace.spec, trace.call), (sheet, *blocks))


@view.register(CellTrace)
def cell_view(cell: CellTrace) -> Page:
    return _over_time(cell, Sheet("", (), tuple(_tensor_rows(cell))))


def _tensor_rows(cell: CellTrace) -> list[tuple[Cell, ...]]:
    where = place(cell.spec, cell.layer, cell.direction)
    rows: list[tuple[Cell, ...]] = []
    for name, facts in cell.to_dict()["tensors"].items():
        axes = f"({', '.join(facts['names'])}{',' if len(facts['names']) == 1 else ''})"
        numbers = (_short(facts[key]) for key in ("min", "mean", "max"))
        rows.append((where, code(name), Mark(axes, "symbol"), str(tuple(facts["sizes"])), *numbers))
        where = ""
    return rows


def _short(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


@view.register(GateStep)
def step_view(step: GateStep) -> Page:
    """One step: what enters, then each equation with its shapes, then with the numbers of one unit."""
    numbers = Column(say("numbers"), whole=False)
    entering = Sheet(
        say("what enters"),
        (Column(say("name")), Column(say("shape")), numbers),
        tuple((code(name), shape, _numbers(values)) for name, shape, values in step.inputs),
        caption=say("from before", before=step.before),
    )
    equations = Sheet(
        say("the step", d=str(step.d)),
        (Column("", right=True), Column(say("equation and shapes"), whole=False), numbers, Column("", right=True)),
        tuple(_equation(line) for line in step.equations),
        caption=say("signs"),
    )
    where = place(step.spec, step.layer, step.direction)
    title = say("step of row" if step.batched else "step of", t=str(step.t), where=where, n=str(step.n))
    return Page(title, headline(step.spec), (entering, equations, _rows_sheet(step)))


def _rows_sheet(step: GateStep) -> Sheet:
    """Where the weights of each gate lie."""
    spec, end = step.spec, suffix(step.spec, step.layer, step.direction)
    rows = ((code(gate), *gate_rows(spec, gate), str(at * spec.D + step.d)) for at, gate in enumerate(spec.kind.gates))
    columns = (Column(say("gate")), Column(say("rows")), Column(say("in numbers")))
    weights = f"`weight_ih{end}`, `weight_hh{end}`"
    stacked = say("stacked" if spec.bias else "stacked, no biases", weights=weights)
    unit = Column(say("unit is row", d=str(step.d)), right=True)
    return Sheet(say("where weights lie"), (*columns, unit), tuple(rows), caption=stacked)


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
        where = place(feedback.spec, row.layer, row.direction)
        rows.append((where, code(f"{row.state}'"), row.equation, row.shapes, share))
    names = [Column(say(name)) for name in ("where", "state", "shape")]
    columns = (*names[:2], Column(say("enters"), whole=False), names[2], Column(say("share"), right=True))
    sheet = Sheet(say("handed on"), columns, tuple(rows), caption=say("share is"))
    return Page(say("feedback of", layer=headline(feedback.spec)), say("primes"), (sheet,))
