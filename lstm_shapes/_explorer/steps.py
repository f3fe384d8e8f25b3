"""One step of a real layer: the numbers of each gate and state, and the weights that they came from. Loads torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lstm_shapes._views.canvas import Canvas, chosen
from lstm_shapes._views.measured import step_view
from lstm_shapes._views.titles import place
from lstm_shapes.display import number
from lstm_shapes.display.html import to_html
from lstm_shapes.display.page import Page
from lstm_shapes.lab.gates import gates
from lstm_shapes.lab.gates.cell_trace import CellTrace
from lstm_shapes.lab.gates.trace import GateTrace
from lstm_shapes.lab.proof import one_thread_if_small
from lstm_shapes.lab.run import run
from lstm_shapes.language import say, speaking
from lstm_shapes.theory.spec import Spec


def stepped(spec: Spec, L: int, *, layer: int = 0, direction: int = 0, t: int = 0, d: int = 0) -> str:
    """HTML: gates and states of unit d over time, and step t of them written out.

    >>> page = stepped(Spec(3, 5), 4, t=2, d=1)
    >>> "unit d=1 of layer 0" in page, "unit d=1 is row" in page
    (True, True)
    """
    with one_thread_if_small(0):  # of layers that are small enough, several would wait for each other
        trace = _trace(spec, L)
        step = trace.step(layer, direction, t, 0, d)
    with speaking():
        page = step_view(step)
        entering, equations, rows = page.blocks
        drawn = _strip(trace[layer, direction], t, d)
        shown = Page(page.title, page.subtitle, (equations, rows, entering), lambda: drawn).glossed()
        return to_html(shown, inline=True)


@lru_cache(maxsize=4)
def _trace(spec: Spec, L: int) -> GateTrace:
    """One sequence, without a batch: layer and numbers follow from the seed 0."""
    ran = run(spec, N=None, seed=0) if spec.kind.step else run(spec, N=None, L=L, seed=0)
    return gates(ran.layer, ran.X)


_ROOM, _WIDE, _HIGH, _LEFT, _TOP = 24, 64, 30, 48, 62


def _strip(cell: CellTrace, t: int, d: int) -> str:
    """Unit d of each gate and state: step t in front, where a phone has it in sight, then all; step 0 is there anyway.

    The deeper a square the larger its number; orange is negative.
    """
    values: dict[str, Any] = {name: cell.values[name][:, 0].detach() for name in cell.names}
    values = {name: found[:, d].tolist() for name, found in values.items() if d < found.shape[1]}
    steps = chosen(len(values[cell.names[0]]), _ROOM, (t,))
    title = say("strip", d=str(d), where=place(cell.spec, cell.layer, cell.direction))
    canvas, bottom = Canvas(), _TOP + len(values) * _HIGH
    canvas.text(20, 28, title, "l-title")
    for row, name in enumerate(values):
        canvas.text(24, _TOP + row * _HIGH + 20, name, "l-code l-strong")
    x: float = _LEFT
    first = (t, None) if t else ()
    for at, s in enumerate((*first, *steps)):
        if s is None:
            canvas.text(x + 10, _TOP - 8, "" if first and at == 1 else "⋯", "l-quiet", "middle")
            x += 20
            continue
        canvas.text(x + _WIDE / 2, _TOP - 8, f"t={s}", "l-code l-strong" if s == t else "l-quiet", "middle")
        for row, numbers in enumerate(values.values()):
            label, ink = f"{numbers[s]:.2f}".replace("-", "−"), "l-code l-strong" if s == t else "l-code"
            canvas.square(x, _TOP + row * _HIGH, _WIDE, _HIGH, max(-1.0, min(1.0, numbers[s])), 2, label, ink)
        if s == t:
            canvas.box(x, _TOP - 1, _WIDE, bottom - _TOP + 2, "l-last", radius=3)
        x += _WIDE
    now = ", ".join(f"{name} = {number(numbers[t])}" for name, numbers in values.items())
    told = say("strip at", title=title, t=str(t), values=now)
    return canvas.document(title, told, bottom + 16)
