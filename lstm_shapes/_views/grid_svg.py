"""The unrolled grid as SVG: X enters below, Y is the top row, hn and cn are where each row ends."""

from __future__ import annotations

from lstm_shapes.language import say

from .grid import Grid, Lit, Row
from .svg import arrow, box, text, wide

__all__ = ["grid_body"]

CELL_H = 30
GAP_W = 20  # a column of steps that are left out
WIRE = 32  # from one column to the next
PAIR = 40  # from one direction of a layer to the other
LAYER = 44  # free space between layers, for the arrows


def grid_body(grid: Grid, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    return _Drawing(grid, top).draw()


class _Drawing:
    def __init__(self, grid: Grid, top: float) -> None:
        spec = self.spec = grid.spec
        self.grid = grid
        self.parts: list[str] = []
        self.top = top
        self.where = "" if grid.n is None else say("tip row", n=grid.n)
        self.wide = say("wide", symbol=f"{'R·' if spec.R > 1 else ''}{spec.width}", width=spec.R * spec.H)
        self.features = say("features", Q=spec.Q)
        rows = [row for row in grid.rows if row]
        self.end_w = max(88.0, 7.8 * max(len(_label(_states(spec.kind.states, "n"), grid, row)) for row in rows) + 12)
        self.left = max(108 + self.end_w + WIRE, 50 + max(wide(self.wide, "l-quiet"), wide(self.features, "l-quiet")))
        labels = [self._index(t) for t in grid.shown]
        self.cell_w = max(72.0, 10 + max(wide(label, "l-code l-quiet") for label in labels))
        self.places: list[tuple[int | None, float]] = []
        x = self.left
        for t in grid.steps:
            self.places.append((t, x))
            x += (GAP_W if t is None else self.cell_w) + WIRE
        self.columns = [(t, x) for t, x in self.places if t is not None]
        # A row's last state stands where the row ends: padding is computed by nobody, and no wire runs through it.
        self.right = max(x for t, x in self.columns if grid.real(t)) + self.cell_w + WIRE
        self.width = max(x - WIRE, self.right + self.end_w) + 24

    def draw(self) -> tuple[str, float, float]:
        grid, y = self.grid, self.top
        y = self._outputs(y)
        above: float | None = None if self.spec.kind.step else y
        for row in grid.rows:
            if row is None:
                self._gap(y)
                above, y = None, y + LAYER
                continue
            if row.direction == self.spec.R - 1:  # the upper of the layer's rows
                self._upward(y, above)
                y += LAYER if above is not None else 8
                self._group(y)
                self._name(row, y)
            self._row(row, y)
            y += PAIR if row.direction else CELL_H
            above = y
        self._upward(y, above)
        y = self._inputs(y + LAYER)
        return "".join(self.parts), self.width, y

    def _outputs(self, y: float) -> float:
        """The row of Y, or of nothing for a cell."""
        grid = self.grid
        if self.spec.kind.step:
            return y
        self.parts.append(text(20, y + 18, "Y", "l-code l-strong"))
        self.parts.append(text(38, y + 18, self.wide, "l-quiet"))
        for t, x in self.columns:
            real, read = grid.real(t), grid.padding(t)
            tip = f"{self.where}Y, t={t}"
            tip = tip if real else say("tip padding read" if read else "tip padding", what=tip)
            self.parts.append(box(x, y, self.cell_w, 26, "l-out" if real else "l-zero" if read else "l-pad", tip=tip))
            index = self._index(t) if real else "0"
            self.parts.append(text(x + self.cell_w / 2, y + 17, index, "l-code l-quiet", "middle"))
        self._dots(y + 16)
        return y + 26

    def _index(self, t: int) -> str:
        """How Y is indexed at a step."""
        first = self.grid.call.batched and self.spec.batch_first
        return f"[:, {self.grid.short(t)}]" if first else f"[{self.grid.short(t)}]"

    def _inputs(self, y: float) -> float:
        grid = self.grid
        self.parts.append(text(20, y + 17, "X", "l-code l-strong"))
        self.parts.append(text(38, y + 17, self.features, "l-quiet"))
        for t, x in self.columns:
            lit, real = grid.inputs(t), grid.real(t)
            cls = lit.style or ("l-in" if real else "l-pad")
            self.parts.append(box(x, y, self.cell_w, 26, cls, tip=_read(f"{self.where}X, t={t}", lit)))
            label = "x" if self.spec.kind.step else f"t={grid.short(t)}" if real else say("pad")
            self.parts.append(text(x + self.cell_w / 2, y + 17, label, _ink(lit), "middle"))
        self._dots(y + 16)
        return y + 26

    def _dots(self, y: float) -> None:
        for t, x in self.places:
            if t is None:
                self.parts.append(text(x + GAP_W / 2, y, "⋯", "l-strong", "middle"))

    def _gap(self, y: float) -> None:
        for _, x in self.columns:
            self.parts.append(text(x + self.cell_w / 2, y + 26, "⋮", "l-strong", "middle"))
        if self.grid.layers.count(None) == 1:
            missing = self.spec.K - len({row.layer for row in self.grid.rows if row})
            self.parts.append(text(20, y + 26, say("more layers", count=missing), "l-quiet"))

    def _upward(self, y: float, above: float | None) -> None:
        """Arrows from what stands below `y + LAYER` to what ends at `y`."""
        if above is None:
            return
        for t, x in self.columns:
            if self.grid.real(t):
                self.parts.append(arrow(x + self.cell_w / 2, y + LAYER - 4, x + self.cell_w / 2, y + 5))

    def _group(self, y: float) -> None:
        """A frame around the two directions of a layer at one step."""
        if self.spec.R == 2:
            for t, x in self.columns:
                if self.grid.real(t):
                    self.parts.append(box(x - 5, y - 5, self.cell_w + 10, PAIR + CELL_H + 10, "l-group", 8))

    def _name(self, row: Row, y: float) -> None:
        middle = y + (PAIR + CELL_H if self.spec.R == 2 else CELL_H) / 2
        label = say("the cell") if self.spec.kind.step else say("layer", k=row.layer)
        self.parts.append(text(20, middle + 5, label, "l-strong"))

    def _row(self, row: Row, y: float) -> None:
        grid = self.grid
        middle = y + CELL_H / 2
        left = self.left - WIRE - self.end_w
        start, end = (self.right, left) if row.direction else (left, self.right)
        self._state(row, start, y, "0", grid.start(row))
        self._state(row, end, y, "n", Lit((), True))
        # From box to box; where steps are left out the wire runs on to the next one.
        boxes = [left, *[x for t, x in self.columns if grid.real(t)], self.right]
        widths = [self.end_w, *[self.cell_w] * (len(boxes) - 1)]
        for a, width, b in zip(boxes, widths, boxes[1:], strict=False):
            low, high = a + width + 3, b - 3
            self.parts.append(arrow(high, middle, low, middle) if row.direction else arrow(low, middle, high, middle))
        for t, x in self.columns:
            if grid.real(t):
                self._cell(row, t, x, y)

    def _state(self, row: Row, x: float, y: float, suffix: str, lit: Lit) -> None:
        names = _states(self.spec.kind.states, suffix)
        tip = _read(f"{self.where}{_label(names, self.grid, row)}", lit)
        self.parts.append(box(x, y, self.end_w, CELL_H, lit.style or "l-end", 14, tip))
        label = _label(lit.names or names, self.grid, row)
        self.parts.append(text(x + self.end_w / 2, y + 19, label, _ink(lit), "middle"))

    def _cell(self, row: Row, t: int, x: float, y: float) -> None:
        lit = self.grid.lit(row, t)
        side = "" if self.spec.R == 1 else " reverse" if row.direction else " forward"
        cell = say("the cell") if self.spec.kind.step else say(f"tip cell{side}", layer=row.layer, t=t)
        tip = _read(f"{self.where}{cell}", lit)
        self.parts.append(box(x, y, self.cell_w, CELL_H, lit.style or "l-cell", tip=tip))
        if lit.names:
            self.parts.append(text(x + self.cell_w / 2, y + 20, " ".join(lit.names), "l-code l-on", "middle"))
        if self.grid.is_last(row, t):
            self.parts.append(box(x - 2, y - 2, self.cell_w + 4, CELL_H + 4, "l-last", 7))


def _states(states: tuple[str, ...], suffix: str) -> tuple[str, ...]:
    return tuple(f"{state}{suffix}" for state in states)


def _label(names: tuple[str, ...], grid: Grid, row: Row) -> str:
    """`h0[2], c0[2]`; a cell has one of each."""
    return ", ".join(name if grid.spec.kind.step else f"{name}[{row.index}]" for name in names)


def _read(what: str, lit: Lit) -> str:
    """The tip of a box: what it is, and what is read of it."""
    if not lit.names:
        return what
    names = say("and", one=lit.names[0], other=lit.names[1]) if len(lit.names) == 2 else lit.names[0]
    return say("tip read" if lit.every else "tip some", what=what, names=names)


def _ink(lit: Lit) -> str:
    return "l-code l-on" if lit.names else "l-code l-quiet"
