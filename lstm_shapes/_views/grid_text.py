"""The unrolled grid in characters: the same cells as the SVG, on as many columns as there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lstm_shapes.language import say
from lstm_shapes.pictures import Picture

from .columns import columns, padded, wrapped
from .grid import Grid, Lit, Row, backwards, grids, hidden

__all__ = ["grid_text"]

_LEAST, _MOST = 5, 30  # room for the first and the last step; more than any terminal's


def grid_text(picture: Picture, width: int) -> str:
    """Rows of cells from the top layer down, with as many steps as fit, and a key to the marks that occur.

    h0, c0, hn and cn are named at the ends of the rows, unless that costs the first or the last step that is read.
    """
    drawn, blocks = _fitting(picture, width)
    drawing = "\n\n".join(
        f"{grid.name}\n{block}" if grid.name else block for grid, block in zip(drawn, blocks, strict=True)
    )
    sentences = (*_key(drawn, drawing), *backwards(picture), *hidden(drawn))
    below = [line for sentence in sentences for line in wrapped(sentence, width)]
    return "\n".join([drawing, *([""] if below else []), *below])


def _fitting(picture: Picture, width: int) -> tuple[tuple[Grid, ...], list[str]]:
    named, plain = (_largest(picture, width, named) for named in (True, False))
    if plain is None:  # not even two steps fit: what is cut is marked where it is shown
        drawn = grids(picture, _LEAST, _LEAST)
        return drawn, [_Drawn(grid, False).text for grid in drawn]
    return named if named is not None and _reach(named[0]) == _reach(plain[0]) else plain


def _largest(picture: Picture, width: int, named: bool) -> tuple[tuple[Grid, ...], list[str]] | None:
    """The drawing with the most steps that fit."""
    for room in range(min(_MOST, max(_LEAST, width // 3)), _LEAST - 1, -1):
        drawn = grids(picture, room, room)
        blocks = [_Drawn(grid, named).text for grid in drawn]
        if max(columns(line) for block in blocks for line in block.splitlines()) <= width:
            return drawn, blocks
    return None


def _reach(drawn: tuple[Grid, ...]) -> tuple[int, ...]:
    """The first and the last step that is lit."""
    lit = [t for t in drawn[0].shown if any(_lit(grid, t) for grid in drawn)]
    return (lit[0], lit[-1]) if lit else ()


def _lit(grid: Grid, t: int) -> bool:
    return bool(grid.inputs(t).names) or any(grid.lit(row, t).names for row in grid.rows if row)


def _key(drawn: tuple[Grid, ...], drawing: str) -> tuple[str, ...]:
    """What the marks mean that the drawing has."""
    spec = drawn[0].spec
    told = [say("mark read")] if drawn[0].reads is not None else []
    if "( )" in drawing:
        told.append(say(f"mark last {' '.join(spec.kind.states)}"))
    if "*]" in drawing:
        told.append(say("mark some"))
    if any(grid.padding(t) for grid in drawn for t in drawn[0].shown):
        told.append(say("mark padding"))
    return (", ".join(told) + ".",) if told else ()


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One grid: `[h]` is read, `[ ]` is not, `( )` is what hn and cn hold, `·` is no cell but padding."""

    grid: Grid
    named: bool
    """Whether h0, c0, hn and cn are named at the ends of each row; those that are read always are."""

    @property
    def text(self) -> str:
        grid, spec = self.grid, self.grid.spec
        lines: list[str] = []
        if not spec.kind.step:
            lines.append(self._steps_line("Y", self._output))
        upward = self._steps_line("", lambda t: "↑" if grid.real(t) else "")
        if not grid.real(grid.call.L - 1):  # nothing enters padding
            upward = upward[: upward.rindex("↑") + 1]
        for row in grid.rows:
            if row is None:
                lines += [upward, " " * self._indent + "⋮"]
                continue
            if row.direction == spec.R - 1 and lines:
                lines.append(upward)
            lines.append(self._row(row))
        lines.append(upward)
        lines.append(self._steps_line("X", self._input))
        return "\n".join(line.rstrip() for line in lines)

    @property
    def _head(self) -> int:
        return max(columns(self._label(row)) for row in self.grid.rows if row)

    @property
    def _side(self) -> int:
        return max(len(side) for row in self.grid.rows if row for side in self._sides(row))

    @property
    def _indent(self) -> int:
        return self._head + (1 + self._side if self._side else 0)

    def _wide(self, t: int) -> int:
        """As wide as the widest that stands at this step."""
        return max(3, columns(self._input(t)), *(len(self._cell(row, t)) for row in self.grid.rows if row))

    def _label(self, row: Row) -> str:
        if self.grid.spec.kind.step:
            return say("the cell")
        name = say("layer", k=row.layer)
        return f"{name} {row.arrow}" if self.named else name

    def _sides(self, row: Row) -> tuple[str, str]:
        """What stands left and right of a row; an initial state that is read in brackets, as cells are."""
        lit = self.grid.start(row)
        start = f"[{self._states(row, lit.names)}{_star(lit)}]" if lit.names else ""
        end = ""
        if self.named:
            states = self.grid.spec.kind.states
            start = start or self._states(row, tuple(f"{state}0" for state in states))
            end = self._states(row, tuple(f"{state}n" for state in states))
        return (end, start) if row.direction else (start, end)

    def _states(self, row: Row, names: tuple[str, ...]) -> str:
        return ",".join(name if self.grid.spec.kind.step else f"{name}[{row.index}]" for name in names)

    def _output(self, t: int) -> str:
        return "Y" if self.grid.real(t) else "[0]" if self.grid.padding(t) else "0"

    def _input(self, t: int) -> str:
        lit = self.grid.inputs(t)
        name = "x" if self.grid.spec.kind.step else self.grid.short(t) if self.grid.real(t) else say("pad")
        return f"[{name}{_star(lit)}]" if lit.names else name

    def _steps_line(self, name: str, cell: Callable[[int], str]) -> str:
        cells = ["…" if t is None else padded(cell(t), self._wide(t), "^") for t in self.grid.steps]
        return f"{name:<{self._indent}}   " + "   ".join(cells)

    def _row(self, row: Row) -> str:
        grid = self.grid
        left, right = self._sides(row)
        wire = f" {row.arrow} "
        body = padded(self._label(row), self._head) + (f" {left:>{self._side}}" if self._side else "")
        shown = [t for t in grid.shown if grid.real(t)]
        for t in grid.steps[: grid.steps.index(shown[-1]) + 1]:
            body += wire + ("…" if t is None else f"{self._cell(row, t):^{self._wide(t)}}")
        # The last state stands where the row ends: padding is computed by nobody.
        return f"{body}{wire}{right}"

    def _cell(self, row: Row, t: int) -> str:
        if not self.grid.real(t):
            return "·"
        lit = self.grid.lit(row, t)
        if not lit.names:
            return "( )" if self.grid.is_last(row, t) else "[ ]"
        return f"[{' '.join(lit.names)}{_star(lit)}]"


def _star(lit: Lit) -> str:
    return "" if lit.every else "*"
