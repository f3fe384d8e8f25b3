"""The unrolled grid as SVG: X enters below, Y is the top row, hn and cn are where each row ends."""

from __future__ import annotations

from lstm_shapes.views.unrolled import Grid, Row

from .frame import arrow, box, text

__all__ = ["grid_body"]

CELL_W, CELL_H = 72, 30
STEP = 104  # from one column to the next
LEFT = 228  # where the first column begins
PAIR = 40  # from one direction of a layer to the other
LAYER = 44  # free space between layers, for the arrows
END_W = 88


def grid_body(grid: Grid, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    return _Drawing(grid, top).draw()


class _Drawing:
    def __init__(self, grid: Grid, top: float) -> None:
        self.grid = grid
        self.parts: list[str] = []
        self.places = [(t, LEFT + i * STEP) for i, t in enumerate(grid.steps)]
        self.right = LEFT + len(grid.steps) * STEP - (STEP - CELL_W) + 32
        self.top = top

    def draw(self) -> tuple[str, float, float]:
        grid, y = self.grid, self.top
        y = self._outputs(y)
        above: float | None = y
        for row in grid.rows:
            if row is None:
                self._gap(y)
                above, y = None, y + LAYER
                continue
            if row.direction == grid.spec.R - 1:  # the upper of the layer's rows
                self._upward(y, above)
                y += LAYER if above is not None else 8
                self._group(y)
                self._label(row, y)
            self._row(row, y)
            y += PAIR if row.direction else CELL_H
            above = y
        self._upward(y, above)
        y = self._inputs(y + LAYER)
        return "".join(self.parts), self.right + END_W + 24, y

    def _columns(self) -> list[tuple[int, float]]:
        return [(t, x) for t, x in self.places if t is not None]

    def _real(self, t: int) -> bool:
        return t < self.grid.length()

    def _outputs(self, y: float) -> float:
        """The row of Y, or of nothing for a cell."""
        spec = self.grid.spec
        if spec.kind.step:
            return y
        self.parts.append(text(20, y + 18, "Y", "l-code l-strong"))
        self.parts.append(text(38, y + 18, f"{'R·' if spec.R > 1 else ''}{'P' if spec.P else 'D'} = "
                               f"{spec.R * spec.H} wide", "l-quiet"))  # fmt: skip
        for t, x in self._columns():
            real = self._real(t)
            self.parts.append(box(x, y, CELL_W, 26, "l-out" if real else "l-pad"))
            index = f"[:, {t}]" if self.grid.call.batched and spec.batch_first else f"[{t}]"
            index = index.replace(str(t), self.grid.short(t))
            self.parts.append(text(x + CELL_W / 2, y + 17, index if real else "0", "l-code l-quiet", "middle"))
        self._dots(y + 16)
        return y + 26

    def _inputs(self, y: float) -> float:
        spec = self.grid.spec
        self.parts.append(text(20, y + 17, "X", "l-code l-strong"))
        self.parts.append(text(38, y + 17, f"Q = {spec.Q} features a step", "l-quiet"))
        for t, x in self._columns():
            lit, real = self.grid.inputs(t), self._real(t)
            self.parts.append(box(x, y, CELL_W, 26, "l-lit" if lit else "l-in" if real else "l-pad"))
            label = "x" if spec.kind.step else f"t={self.grid.short(t)}" if real else "pad"
            self.parts.append(text(x + CELL_W / 2, y + 17, label, "l-code l-on" if lit else "l-code l-quiet", "middle"))
        self._dots(y + 16)
        return y + 26

    def _dots(self, y: float) -> None:
        for t, x in self.places:
            if t is None:
                self.parts.append(text(x + CELL_W / 2, y, "⋯", "l-strong", "middle"))

    def _gap(self, y: float) -> None:
        for _, x in self._columns():
            self.parts.append(text(x + CELL_W / 2, y + 26, "⋮", "l-strong", "middle"))
        missing = self.grid.spec.K - len({row.layer for row in self.grid.rows if row})
        self.parts.append(text(20, y + 26, f"{missing:,} more layers", "l-quiet"))

    def _upward(self, y: float, above: float | None) -> None:
        """Arrows from what stands below `y + LAYER` to what ends at `y`."""
        if above is None or (self.grid.spec.kind.step and above == self.top):
            return
        for t, x in self._columns():
            if self._real(t):
                self.parts.append(arrow(x + CELL_W / 2, y + LAYER - 4, x + CELL_W / 2, y + 5))

    def _group(self, y: float) -> None:
        """A frame around the two directions of a layer at one step."""
        if self.grid.spec.R == 2:
            for t, x in self._columns():
                if self._real(t):
                    self.parts.append(box(x - 5, y - 5, CELL_W + 10, PAIR + CELL_H + 10, "l-group", 8))

    def _label(self, row: Row, y: float) -> None:
        middle = y + (PAIR + CELL_H if self.grid.spec.R == 2 else CELL_H) / 2
        label = "the cell" if self.grid.spec.kind.step else f"layer {row.layer}"
        self.parts.append(text(20, middle + 5, label, "l-strong"))

    def _row(self, row: Row, y: float) -> None:
        grid = self.grid
        middle = y + CELL_H / 2
        left, right = (LEFT - 32 - END_W, self.right)
        start, end = (right, left) if row.direction else (left, right)
        index = "" if grid.spec.kind.step else f"[{row.index}]"
        self._state(start, y, "0", index, grid.start(row))
        self._state(end, y, "n", index, ())
        # From box to box; where steps are left out, or a short row has ended, the wire runs on to the next one.
        boxes = [left, *[x for t, x in self._columns() if self._real(t)], right]
        widths = [END_W, *[CELL_W] * (len(boxes) - 1)]
        for a, width, b in zip(boxes, widths, boxes[1:], strict=False):
            low, high = a + width + 3, b - 3
            self.parts.append(arrow(high, middle, low, middle) if row.direction else arrow(low, middle, high, middle))
        for t, x in self._columns():
            self._cell(row, t, x, y)

    def _state(self, x: float, y: float, suffix: str, index: str, read: tuple[str, ...]) -> None:
        names = [f"{state}{suffix}" for state in self.grid.spec.kind.states]
        self.parts.append(box(x, y, END_W, CELL_H, "l-lit" if read else "l-end", 14))
        label = ",".join(read or names) + index
        self.parts.append(text(x + END_W / 2, y + 19, label, "l-code l-on" if read else "l-code l-quiet", "middle"))

    def _cell(self, row: Row, t: int, x: float, y: float) -> None:
        if not self._real(t):
            self.parts.append(box(x, y, CELL_W, CELL_H, "l-pad"))
            return
        states, every = self.grid.lit(row, t)
        cls = "l-cell" if not states else "l-lit" if every else "l-some"
        self.parts.append(box(x, y, CELL_W, CELL_H, cls))
        if states:
            self.parts.append(text(x + CELL_W / 2, y + 20, " ".join(states), "l-code l-on", "middle"))
        if self.grid.is_last(row, t):
            self.parts.append(box(x - 2, y - 2, CELL_W + 4, CELL_H + 4, "l-last", 7))
