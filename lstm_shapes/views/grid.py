"""The unrolled grid in characters: the same cells as the SVG, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable

from .unrolled import Grid, Row

__all__ = ["grid_text"]

CELL = 5  # "[h c]"


def grid_text(grid: Grid) -> str:
    """Rows of cells from the top layer down; `[h]` is read, `[ ]` is not, `(…)` is what hn and cn hold, `·` padding."""
    spec = grid.spec
    labels = [_label(grid, row) for row in grid.rows]
    starts = [_start(grid, row) for row in grid.rows if row]
    finals = [_state(grid, row, "n") for row in grid.rows if row]
    head = max(map(len, labels))
    side = max(map(len, [*starts, *finals]))
    lines: list[str] = []
    if not spec.kind.step:
        lines.append(_steps_line(grid, head, side, "Y", lambda t: "Y" if t < grid.length() else "0"))
    upward = _steps_line(grid, head, side, "", lambda t: "↑" if t < grid.length() else "")
    for row, label in zip(grid.rows, labels, strict=True):
        if row is None:
            lines += [upward, " " * (head + side + 4) + "⋮"]
            continue
        if row.direction == spec.R - 1 and (lines or not spec.kind.step):
            lines.append(upward)
        lines.append(_row(grid, row, label, head, side))
    lines.append(upward)
    lines.append(_steps_line(grid, head, side, "X", lambda t: _input(grid, t)))
    return "\n".join(line.rstrip() for line in lines)


def _label(grid: Grid, row: Row | None) -> str:
    if row is None:
        return ""
    return "the cell" if grid.spec.kind.step else f"layer {row.layer} {row.arrow}"


def _start(grid: Grid, row: Row) -> str:
    """The initial states; those that are read in brackets, as cells are."""
    read, whole = grid.start(row), _state(grid, row, "0")
    return f"[{whole.replace('h0,c0', ','.join(read))}]" if read else whole


def _state(grid: Grid, row: Row, suffix: str) -> str:
    names = ",".join(f"{state}{suffix}" for state in grid.spec.kind.states)
    return names if grid.spec.kind.step else f"{names}[{row.index}]"


def _input(grid: Grid, t: int) -> str:
    if grid.spec.kind.step:
        return "[x]" if grid.inputs(t) else "x"
    if t >= grid.length():
        return "pad"
    return f"[{grid.short(t)}]" if grid.inputs(t) else grid.short(t)


def _steps_line(grid: Grid, head: int, side: int, name: str, cell: Callable[[int], str]) -> str:
    cells = ["…" if t is None else cell(t) for t in grid.steps]
    return f"{name:<{head}} {'':{side}}   " + "   ".join(f"{content:^{CELL}}" for content in cells)


def _row(grid: Grid, row: Row, label: str, head: int, side: int) -> str:
    start, end = _start(grid, row), _state(grid, row, "n")
    left, right = (end, start) if row.direction else (start, end)
    wire = " ← " if row.direction else " → "
    body = f"{label:<{head}} {left:>{side}}"
    for t in grid.steps:
        body += "   " if t is not None and t >= grid.length() else wire
        body += f"{'…' if t is None else _cell(grid, row, t):^{CELL}}"
    return f"{body}{wire}{right}"


def _cell(grid: Grid, row: Row, t: int) -> str:
    if t >= grid.length():
        return "·"
    states, every = grid.lit(row, t)
    mark = " ".join(states) if states else " "
    if states and not every:
        mark += "*"
    return f"({mark})" if grid.is_last(row, t) and not states else f"[{mark}]"
