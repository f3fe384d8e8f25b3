"""What was measured: a proof, the tensors of a run, and gates over time, in one step and fed back."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from lstm_shapes.display import brief, number, view
from lstm_shapes.display.page import Block, Cell, Column, Drawing, Lines, Mark, Page, Sheet, code, tick
from lstm_shapes.lab.gates.cell_trace import CellTrace
from lstm_shapes.lab.gates.trace import Equation, Feedback, GateStep, GateTrace, HeatMap
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.lab.run import Run
from lstm_shapes.language import say
from lstm_shapes.theory.call import kind_of
from lstm_shapes.theory.spec import gate_rows, headline, suffix

from .canvas import Canvas, chosen, ends
from .pictures import overview
from .predicted import number_of_bytes, place, sizes, subtitle

# Of many layers that hold, these many are shown; a check that fails is always shown.
_SHOWN = 40


@view.register(Proof)
def proof_view(proof: Proof) -> Page:
    return Page(say("proof of", layer=headline(proof.spec)), subtitle(proof.spec, proof.call), (proof_sheet(proof),))


def proof_lines(proof: Proof) -> tuple[Block, ...]:
    """A proof in one line; claims that failed, if there are any, as a table below it."""
    told, twin = _held(proof, "claims hold")
    line = Sheet("", (Column(""), Column("", whole=False)), ((tick(proof.ok), told),), caption=twin)
    failed = tuple(check for check in proof.checks if not check.ok)
    return (line, _checks_sheet(say("claims fail"), failed)) if failed else (line,)


def proof_sheet(proof: Proof) -> Sheet:
    """Every check; where there are very many, the ones that failed and the first of the rest."""
    shown = [check for position, check in enumerate(proof.checks) if position < _SHOWN or not check.ok]
    caption = " ".join(_held(proof, "held")).rstrip()
    return _checks_sheet(say("proof"), tuple(shown), len(proof.checks) - len(shown), caption)


def _held(proof: Proof, key: str) -> tuple[str, str]:
    """How many claims hold, where and with which torch; and that another layer was run, where one was."""
    held, release = sum(check.ok for check in proof.checks), version("torch").partition("+")[0]
    told = say(key, held=held, all=len(proof.checks), version=release, device=proof.device, dtype=proof.dtype)
    return told, "" if proof.twin is None else say("twin", twin=headline(proof.twin))


def _checks_sheet(title: str, checks: tuple[Check, ...], hidden: int = 0, caption: str = "") -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        (tick(check.ok), check.claim, _value(check), check.by + (f" ({check.note})" if check.note else ""))
        for check in checks
    ]
    if hidden:
        rows.append((tick(True), say("more alike", hidden=hidden), "", ""))
    columns = (
        Column(""),
        Column(say("predicted"), whole=False),
        Column(say("measured"), right=True),
        Column(say("by"), whole=False),
    )
    return Sheet(title, columns, tuple(rows), caption=caption)


def _value(check: Check) -> str:
    """What was measured, and what had been predicted where that differs."""
    measured = f"{check.measured:,}" if isinstance(check.measured, int) else str(check.measured)
    return measured if check.ok else say("but predicted", measured=measured, predicted=str(check.predicted))


@view.register(Run)
def run_view(run: Run) -> Page:
    """What `run` returns: the tensors it holds, not their numbers."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            code(name),
            Mark(tensor.axes.formula, "symbol"),
            sizes(tensor.axes),
            kind_of(tensor.dtype),
            str(tensor.device),
        )
        for name, tensor in run.tensors.items()
    )
    columns = tuple(Column(say(name)) for name in ("name", "axes", "sizes", "dtype", "device"))
    tensors = Sheet(say("tensors"), columns, rows)
    return Page(headline(run.spec), subtitle(run.spec, run.call), (tensors,), overview(run.prediction))


# ---- gates
# Beyond this many layers and directions a table of all is no table.
_CELLS_SHOWN = 6
_NUMBERS_SHOWN = 5


@view.register(GateTrace)
@view.register(CellTrace)
def trace_view(trace: GateTrace | CellTrace) -> Page:
    """Each tensor's axes and range; of a whole layer also the agreement with it."""
    cells, facts = (trace,) if isinstance(trace, CellTrace) else trace.cells, []
    if isinstance(trace, GateTrace):
        differ = {"residual": f"{trace.residual:.1e}", "tolerance": f"{trace.tolerance:.0e}"}
        facts = [
            say("gates agree", **differ, dtype=trace.dtype, device=trace.device),
            say("gates hold", size=number_of_bytes(trace.bytes), formula=trace.bytes_formula),
            say("gates readings", gate=trace.spec.kind.gates[0]),
            *([trace.note] if trace.note else []),
        ]
    names = (Column(say(name)) for name in ("where", "name", "axes", "sizes"))
    numbers = (Column(say(name), right=True) for name in ("least", "mean", "greatest"))
    rows = tuple(row for cell in cells[:_CELLS_SHOWN] for row in _tensor_rows(cell))
    more = len(cells) - _CELLS_SHOWN
    caption = say("more cells", more=more) if more > 0 else ""
    sheet = Sheet(say("gates over time"), (*names, *numbers), rows, caption=caption)
    blocks = (sheet, Lines(say("notes"), tuple(facts))) if facts else (sheet,)
    return Page(say("gates of", layer=headline(trace.spec)), subtitle(trace.spec, trace.call), blocks)


def _tensor_rows(cell: CellTrace) -> list[tuple[Cell, ...]]:
    where = place(cell.spec, cell.layer, cell.direction)
    rows: list[tuple[Cell, ...]] = []
    for name, facts in cell.to_dict()["tensors"].items():
        axes = f"({', '.join(facts['names'])}{',' if len(facts['names']) == 1 else ''})"
        numbers = (f"{facts[key]:.3f}".replace("-", "−") for key in ("min", "mean", "max"))
        rows.append((where, code(name), Mark(axes, "symbol"), str(tuple(facts["sizes"])), *numbers))
        where = ""
    return rows


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
    spec, end = step.spec, suffix(step.spec, step.layer, step.direction)
    rows = ((code(gate), *gate_rows(spec, gate), str(at * spec.D + step.d)) for at, gate in enumerate(spec.kind.gates))
    columns = (Column(say("gate")), Column(say("rows")), Column(say("in numbers")))
    weights = f"`weight_ih{end}`, `weight_hh{end}`"
    stacked = say("stacked" if spec.bias else "stacked, no biases", weights=weights)
    unit = Column(say("unit is row", d=str(step.d)), right=True)
    lie = Sheet(say("where weights lie"), (*columns, unit), tuple(rows), caption=stacked)
    return Page(title, headline(spec), (entering, equations, lie))


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


# ---- a gate over time, units down and steps across: the higher a block the greater the value; depth of colour is size
BLOCKS = "▁▂▃▄▅▆▇█"
_MAP_WIDTH = 74


@view.register(HeatMap)
def heatmap_view(heatmap: HeatMap) -> Page:
    drawing = Drawing(say("map"), lambda width: heatmap_text(heatmap, min(width, _MAP_WIDTH)), _map_svg(heatmap))
    return Page(heatmap.title, heatmap.caption, (drawing,))


def heatmap_text(heatmap: HeatMap, width: int = _MAP_WIDTH) -> str:
    low, high = heatmap.bounds
    steps = ends(len(heatmap.values[0]), max(3, width - 8))
    lines = []
    for d in ends(len(heatmap.values), 24):
        if d is None:
            lines.append("   ⋮")
            continue
        cells = "".join("…" if t is None else _block(heatmap.values[d][t], low, high) for t in steps)
        lines.append(f"{f'd={d}':<7} {cells}")
    last = len(heatmap.values[0]) - 1
    lines.append(f"{'':8}t=0{f't={last}':>{max(len(steps) - 3, len(f't={last}') + 1)}}" if last else f"{'':8}t=0")
    lines.append(f"{'':8}{BLOCKS[0]} = {brief(low)}   {BLOCKS[-1]} = {brief(high)}")
    return "\n".join(lines)


def _block(value: float, low: float, high: float) -> str:
    if value != value:
        return "?"
    share = (min(max(value, low), high) - low) / (high - low)
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]


def _map_svg(heatmap: HeatMap) -> str:
    left, top = 70, 78
    rows, steps = ends(len(heatmap.values), 32), ends(len(heatmap.values[0]), 64)
    w = min(36.0, 640 / len(steps))
    h = max(10.0, min(22.0, 360 / len(rows)))
    low, high = heatmap.bounds
    reach = max(abs(low), abs(high))
    canvas = Canvas()
    canvas.text(20, 30, heatmap.title, "l-title")
    canvas.text(20, 50, heatmap.caption, "l-quiet")
    for i, d in enumerate(rows):
        y = top + i * h
        if d is None or i in (0, len(rows) - 1) or (len(rows) <= 16 and h >= 16):
            canvas.text(left - 8, y + h / 2 + 4, "⋮" if d is None else f"d={d}", "l-quiet", "end")
        for j, t in enumerate(steps):
            if d is not None and t is not None:
                canvas.square(left + j * w, y, w, h, heatmap.values[d][t], reach)
    bottom = top + len(rows) * h
    for j, t in enumerate(steps):
        if t is None or j in (0, len(steps) - 1) or (w >= 30 and j % 2 == 0):
            label = "⋯" if t is None else f"t={t}"
            canvas.text(left + j * w + w / 2, bottom + 18, label, "l-quiet", "middle")
    bar = left + 60  # where the legend's colours begin: room for its lower end
    canvas.text(bar - 8, bottom + 46, brief(low), "l-quiet", "end")
    for i in range(21):
        canvas.square(bar + i * 12, bottom + 34, 12, 16, low + (high - low) * i / 20, reach)
    canvas.text(bar + 21 * 12 + 8, bottom + 46, brief(high), "l-quiet")
    return canvas.document(heatmap.title, heatmap.caption, bottom + 66)


def strip(cell: CellTrace, t: int, d: int) -> str:
    """Unit d of each gate and state, step t in front, then all: the deeper a square the larger, orange is negative."""
    room, wide, high, left, top = 24, 64, 30, 48, 62
    values: dict[str, Any] = {name: cell.values[name][:, 0].detach() for name in cell.names}
    values = {name: rows[:, d].tolist() for name, rows in values.items() if d < rows.shape[1]}
    steps = chosen(len(values[cell.names[0]]), room, (t,))
    title = say("strip", d=str(d), where=place(cell.spec, cell.layer, cell.direction))
    canvas, bottom = Canvas(), top + len(values) * high
    canvas.text(20, 28, title, "l-title")
    for row, name in enumerate(values):
        canvas.text(24, top + row * high + 20, name, "l-code l-strong")
    x: float = left
    first = (t, None) if t else ()
    for at, s in enumerate((*first, *steps)):
        if s is None:
            canvas.text(x + 10, top - 8, "" if first and at == 1 else "⋯", "l-quiet", "middle")
            x += 20
            continue
        canvas.text(x + wide / 2, top - 8, f"t={s}", "l-code l-strong" if s == t else "l-quiet", "middle")
        for row, numbers in enumerate(values.values()):
            label, ink = f"{numbers[s]:.2f}".replace("-", "−"), "l-code l-strong" if s == t else "l-code"
            canvas.square(x, top + row * high, wide, high, max(-1.0, min(1.0, numbers[s])), 2, label, ink)
        if s == t:
            canvas.box(x, top - 1, wide, bottom - top + 2, "l-last", radius=3)
        x += wide
    now = ", ".join(f"{name} = {number(numbers[t])}" for name, numbers in values.items())
    told = say("strip at", title=title, t=str(t), values=now)
    return canvas.document(title, told, bottom + 16)
