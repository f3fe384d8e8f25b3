"""The unrolled grid of cells, layers × steps, as SVG and in characters: what of it is shown, and what is lit.

X enters below, Y is the top row, hn and cn are where each row ends. A picture has one grid for rows of the batch that
are alike, else one a row; all with the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise, zip_longest
from typing import NamedTuple

from rich.cells import cell_len

from lstm_shapes.language import say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.reads import Reads, covers, spoken
from lstm_shapes.theory.spec import Spec

from .canvas import Canvas, Sketch, chosen, padded, wide, wrapped
from .titles import subtitle

_ROWS_SHOWN = 3
_ROOM = 14  # seven steps without a gap
_MOST_ROOM = 20  # for steps that are read: as many again may stand apart


def grid_sketch(picture: Picture) -> Sketch:
    """The grid of a picture, and what is read of it."""
    prediction, reading = picture.prediction, picture.reading
    drawn = _grids(picture)
    said = [f"{subtitle(prediction.spec, prediction.call)}.".replace("`", "")]
    if reading is not None:
        said += [*spoken(reading, picture.n), *_backwards(picture), *_hidden(drawn)]
    return Sketch(
        title=say("title step" if prediction.spec.kind.step else "title grid"),
        svg=lambda canvas, y: _svg(drawn, canvas, y),
        text=lambda width: _text(picture, width),
        said=tuple(said),
    )


# ---- what is shown


class _Lit(NamedTuple):
    """What is read of a cell, an input or an initial state: of which names, and whether in every row drawn."""

    names: tuple[str, ...]
    every: bool

    @property
    def style(self) -> str:
        """The class of its box: filled, outlined, or none."""
        if not self.names:
            return ""
        return "l-lit" if self.every else "l-some"

    @property
    def ink(self) -> str:
        return "l-code l-on" if self.names else "l-code l-quiet"

    @property
    def star(self) -> str:
        return "" if self.every else "*"

    def tip(self, what: str) -> str:
        """What a box is, and what is read of it."""
        if not self.names:
            return what
        names = say("and", one=self.names[0], other=self.names[1]) if len(self.names) == 2 else self.names[0]
        return say("tip read" if self.every else "tip some", what=what, names=names)


class _Row(NamedTuple):
    """One direction of one layer in the grid; `place` is its row of hn."""

    layer: int
    direction: int
    place: int

    @property
    def arrow(self) -> str:
        return "←" if self.direction else "→"


@dataclass(frozen=True, slots=True)
class _Grid:
    """The grid of row n of the batch, or of all where they are alike (None), with what an expression reads of it.

    Of `layers`, from the bottom, and `steps` None stands where some are left out.
    """

    spec: Spec
    call: Call
    reads: Reads | None
    n: int | None
    layers: tuple[int | None, ...]
    steps: tuple[int | None, ...]
    name: str

    @property
    def rows(self) -> tuple[_Row | None, ...]:
        """Rows from the top layer down, None where layers are left out."""
        R = self.spec.R
        rows: list[_Row | None] = []
        for layer in reversed(self.layers):
            rows += [None] if layer is None else [_Row(layer, r, layer * R + r) for r in reversed(range(R))]
        return tuple(rows)

    @property
    def shown(self) -> tuple[int, ...]:
        """The steps that are shown."""
        return tuple(t for t in self.steps if t is not None)

    @property
    def length(self) -> int:
        """Steps of the rows drawn; what comes after them is padding."""
        return self.call.lengths[self.n] if self.call.lengths and self.n is not None else self.call.L

    def short(self, t: int) -> str:
        """A step as a short word: counted from the end where its number is long."""
        return str(t) if t < 100_000 or self.call.L - t >= 100_000 else f"L−{self.call.L - t}"

    def states(self, row: _Row, end: str, comma: str = ", ") -> str:
        """`h0[2], c0[2]` for the end `0`, `hn[2], cn[2]` for `n`; a cell has one of each."""
        return self.named(row, tuple(f"{state}{end}" for state in self.spec.kind.states), comma)

    def named(self, row: _Row, names: tuple[str, ...], comma: str = ", ") -> str:
        return comma.join(name if self.spec.kind.step else f"{name}[{row.place}]" for name in names)

    def lit(self, row: _Row, t: int) -> _Lit:
        """The states of a cell that are read."""
        return self._lit(self.spec.kind.states, row.layer, row.direction, t)

    def start(self, row: _Row) -> _Lit:
        """The initial states that are read."""
        return self._lit(tuple(f"{state}0" for state in self.spec.kind.states), row.layer, row.direction, 0)

    def inputs(self, t: int) -> _Lit:
        """Whether X is read at this step."""
        return self._lit(("X",), 0, 0, t)

    def _lit(self, names: tuple[str, ...], layer: int, direction: int, t: int) -> _Lit:
        if self.reads is None:
            return _Lit((), True)
        rows = {name: self.reads.rows(name, layer, direction, t, self.length) for name in names}
        if self.n is not None:
            return _Lit(tuple(name for name in names if any(self.n in one for one in rows[name])), True)
        read = tuple(name for name in names if rows[name])
        return _Lit(read, all(covers(rows[name], self.call.N or 1) for name in read))

    def padding(self, t: int) -> bool:
        """Whether the zeros are read that Y holds at a step that this row does not have."""
        return self.reads is not None and self.n is not None and self.reads.padding(self.n, t)

    def is_last(self, row: _Row, t: int) -> bool:
        """Whether this cell's states are what hn and cn hold."""
        return t == (0 if row.direction else self.length - 1)


def _grids(picture: Picture, room: int = _ROOM, most: int = _MOST_ROOM) -> tuple[_Grid, ...]:
    """The grids of a picture: steps, layers and rows at both ends, and the first and the last that are read.

    `room` is what steps may take (see `chosen`), `most` what they may take where they are read.
    """
    spec, call, reads = picture.prediction.spec, picture.prediction.call, picture.reading
    rows = _rows(picture)
    lengths = [call.lengths[n] if call.lengths and n is not None else call.L for n in rows]
    parts = reads.parts if reads else ()
    layers_read = [layer for part in parts if part.name != "X" for layer in (part.layers[0], part.layers[-1])]
    wanted = [*(_steps_read(reads, rows, lengths) if reads else ()), *(length - 1 for length in lengths)]
    steps = chosen(call.L, most, wanted, room, max(lengths) - 1)
    layers = chosen(spec.K, 11, layers_read, 10 if spec.R == 1 else 6)
    return tuple(
        _Grid(spec, call, reads, n, layers, steps, _name(picture, n, last=place == len(rows) - 1))
        for place, n in enumerate(rows)
    )


def _rows(picture: Picture) -> list[int | None]:
    """The rows of the batch that get a grid of their own, the first and last that are read before others; None: all."""
    call, reads = picture.prediction.call, picture.reading
    if picture.n is not None:
        return [picture.n]
    if call.lengths is None:
        return [None]
    read: list[int] = []
    if reads is not None:
        ends = ((part, backwards) for part in reads.parts for backwards in (False, True))
        read = sorted({n for part, backwards in ends for n in islice(reads.rows_of(part, backwards), 1)})
    order = [*read[:1], *read[-1:], *read, *range(min(call.N or 1, _ROWS_SHOWN))]
    return [*sorted(islice(dict.fromkeys(order), _ROWS_SHOWN))]


def _steps_read(reads: Reads, rows: list[int | None], lengths: list[int]) -> Iterator[int]:
    """First and last steps that are read, those of the whole picture first, then each part's in each row."""
    cells = [
        part.cells_of(length)
        for part in reads.parts
        for n, length in zip(rows, lengths, strict=True)
        if part.name not in ("h0", "c0") and (n is None or n in part.rows)
    ]
    read = [steps for steps in cells if steps]
    firsts, lasts = sorted({steps[0] for steps in read}), sorted({steps[-1] for steps in read}, reverse=True)
    for pair in zip_longest(firsts, lasts):
        yield from (t for t in pair if t is not None)


def _name(picture: Picture, n: int | None, last: bool) -> str:
    """`row n=0, 3 of 5 steps`, and after the last how many rows are not drawn."""
    call = picture.prediction.call
    if n is None or not call.batched:
        return ""
    name = say("row n of", n=n, length=call.lengths[n], L=call.L) if call.lengths else say("row n", n=n)
    more = (call.N or 1) - _ROWS_SHOWN
    return say("row n and more", name=name, more=more) if picture.n is None and last and more > 0 else name


def _hidden(drawn: tuple[_Grid, ...]) -> tuple[str, ...]:
    """A sentence on what is read and not shown, in which direction to look for it; none where all is shown."""
    reads = drawn[0].reads
    if reads is None:
        return ()
    layers = [layer for layer in drawn[0].layers if layer is not None]
    missing = reads.hidden(layers, drawn[0].shown, [grid.n for grid in drawn if grid.n is not None] or None)
    return (say(f"also {' '.join(missing)}"),) if missing else ()


def _backwards(picture: Picture) -> tuple[str, ...]:
    """How many steps the reverse cells that are read have made; nothing where none is read."""
    call, reads = picture.prediction.call, picture.reading
    if reads is None or call.lengths is not None:  # rows that differ in length begin at steps of their own
        return ()
    cells = [part.cells_of(call.L) for part in reads.parts if part.computed and part.direction]
    ends = sorted({t for steps in cells if steps for t in (steps[0], steps[-1])})
    told = [(t, call.L - t) for t in dict.fromkeys((*ends[-1:], *ends[:1]))]
    if len(told) == 2:
        (t, made), (u, more) = told
        return (say("backward half, two", t=t, made=made, u=u, more=more, L=call.L),)
    return tuple(say("backward half", t=t, made=made, L=call.L) for t, made in told)


# ---- as SVG

CELL_H, STEP_H = 30, 26  # a cell; a step of X or Y
GAP_W = 20  # a column of steps that are left out
WIRE = 32  # from one column to the next
PAIR = 40  # from one direction of a layer to the other
LAYER = 44  # free space between layers, for the arrows


def _svg(drawn: tuple[_Grid, ...], canvas: Canvas, y: float) -> float:
    """The grids below each other, and a line for the marks that they have."""
    for grid in drawn:
        if grid.name:
            canvas.text(20, y + 12, grid.name, "l-strong")
            y += 26
        y = _Svg(grid, canvas).draw(y) + 26
    told = [say(f"key last {' '.join(drawn[0].spec.kind.states)}")]
    told += [say(f"key {mark}") for mark in ("lit", "some", "zero") if canvas.has(f"l-{mark}")]
    return canvas.paragraph(20, y + 2, " ".join(told)) - 5


class _Svg:
    """One grid on a canvas."""

    def __init__(self, grid: _Grid, canvas: Canvas) -> None:
        spec = self.spec = grid.spec
        self.grid, self.canvas = grid, canvas
        self.where = "" if grid.n is None else say("tip row", n=grid.n)
        self.wide = say("wide", symbol=f"{'R·' if spec.R > 1 else ''}{spec.width}", width=spec.R * spec.H)
        self.features = say("features", Q=spec.Q)
        self.end_w = max(88.0, *(7.8 * len(grid.states(row, "n")) + 12 for row in grid.rows if row))
        self.left = max(108 + self.end_w + WIRE, 50 + max(wide(self.wide, "l-quiet"), wide(self.features, "l-quiet")))
        self.cell_w = max(72.0, *(10 + wide(self._index(t), "l-code l-quiet") for t in grid.shown))
        widths = ((GAP_W if t is None else self.cell_w) + WIRE for t in grid.steps)
        self.places = list(zip(grid.steps, accumulate(widths, initial=self.left), strict=False))
        self.columns = [(t, x) for t, x in self.places if t is not None]
        self.real = [(t, x) for t, x in self.columns if t < grid.length]
        # A row's last state stands where the row ends: padding is computed by nobody, and no wire runs through it.
        self.right = self.real[-1][1] + self.cell_w + WIRE

    def draw(self, y: float) -> float:
        """From a height down, and where it ends."""
        grid, R = self.grid, self.spec.R
        below_something = not self.spec.kind.step
        if below_something:
            y = self._steps(y, "Y", self.wide, self._output)
        for row in grid.rows:
            if row is None:
                self._gap(y)
                below_something, y = False, y + LAYER
                continue
            if row.direction == R - 1:  # the upper of the layer's rows
                y = self._upward(y) if below_something else y + 8
                self._layer(row, y)
            self._row(row, y)
            y += PAIR if row.direction else CELL_H
            below_something = True
        return self._steps(self._upward(y), "X", self.features, self._input)

    def _steps(self, y: float, name: str, width: str, box: Callable[[int, float, float], None]) -> float:
        """The row of X or Y."""
        self.canvas.text(20, y + 18, name, "l-code l-strong")
        self.canvas.text(38, y + 18, width, "l-quiet")
        for t, x in self.places:
            if t is None:
                self.canvas.text(x + GAP_W / 2, y + 16, "⋯", "l-strong", "middle")
            else:
                box(t, x, y)
        return y + STEP_H

    def _output(self, t: int, x: float, y: float) -> None:
        tip, index = f"{self.where}Y, t={t}", self._index(t)
        if t < self.grid.length:
            self.canvas.box(x, y, self.cell_w, STEP_H, "l-out", index, tip=tip)
        elif self.grid.padding(t):
            self.canvas.box(x, y, self.cell_w, STEP_H, "l-zero", "0", tip=say("tip padding read", what=tip))
        else:
            self.canvas.box(x, y, self.cell_w, STEP_H, "l-pad", "0", tip=say("tip padding", what=tip))

    def _input(self, t: int, x: float, y: float) -> None:
        lit, real = self.grid.inputs(t), t < self.grid.length
        label = "x" if self.spec.kind.step else f"t={self.grid.short(t)}"
        cls = lit.style or ("l-in" if real else "l-pad")
        tip = lit.tip(f"{self.where}X, t={t}")
        self.canvas.box(x, y, self.cell_w, STEP_H, cls, label if real else say("pad"), lit.ink, tip=tip)

    def _index(self, t: int) -> str:
        """How Y is indexed at a step."""
        first = self.grid.call.batched and self.spec.batch_first
        return f"[:, {self.grid.short(t)}]" if first else f"[{self.grid.short(t)}]"

    def _gap(self, y: float) -> None:
        """Layers that are left out."""
        for _, x in self.columns:
            self.canvas.text(x + self.cell_w / 2, y + 26, "⋮", "l-strong", "middle")
        if self.grid.layers.count(None) == 1:
            missing = self.spec.K + 1 - len(self.grid.layers)
            self.canvas.text(20, y + 26, say("more layers", count=missing), "l-quiet")

    def _upward(self, y: float) -> float:
        """Arrows to what ends at `y` from what stands below, and where that begins."""
        for _, x in self.real:
            self.canvas.arrow(x + self.cell_w / 2, y + LAYER - 4, x + self.cell_w / 2, y + 5)
        return y + LAYER

    def _layer(self, row: _Row, y: float) -> None:
        """The name of a layer, and a frame around its two directions at each step."""
        height = PAIR + CELL_H if self.spec.R == 2 else CELL_H
        label = say("the cell") if self.spec.kind.step else say("layer", k=row.layer)
        self.canvas.text(20, y + height / 2 + 5, label, "l-strong")
        if self.spec.R == 2:
            for _, x in self.real:
                self.canvas.box(x - 5, y - 5, self.cell_w + 10, height + 10, "l-group", radius=8)

    def _row(self, row: _Row, y: float) -> None:
        """One direction of a layer, from its initial to its last state."""
        grid, left, middle = self.grid, self.left - WIRE - self.end_w, y + CELL_H / 2
        start, end = (self.right, left) if row.direction else (left, self.right)
        lit = grid.start(row)
        tip, label = (
            lit.tip(f"{self.where}{grid.states(row, '0')}"),
            grid.named(row, lit.names) or grid.states(row, "0"),
        )
        self.canvas.box(start, y, self.end_w, CELL_H, lit.style or "l-end", label, lit.ink, radius=14, tip=tip)
        last = grid.states(row, "n")
        self.canvas.box(end, y, self.end_w, CELL_H, "l-end", last, radius=14, tip=f"{self.where}{last}")
        # From box to box; where steps are left out the wire runs on to the next one.
        boxes = [(left, self.end_w), *((x, self.cell_w) for _, x in self.real), (self.right, 0.0)]
        for (a, width), (b, _) in pairwise(boxes):
            ends = (a + width + 3, b - 3)
            low, high = reversed(ends) if row.direction else ends
            self.canvas.arrow(low, middle, high, middle)
        side = "" if self.spec.R == 1 else (" forward", " reverse")[row.direction]
        for t, x in self.real:
            lit = grid.lit(row, t)
            cell = say("the cell") if self.spec.kind.step else say(f"tip cell{side}", layer=row.layer, t=t)
            cls, tip = lit.style or "l-cell", lit.tip(f"{self.where}{cell}")
            self.canvas.box(x, y, self.cell_w, CELL_H, cls, " ".join(lit.names), "l-code l-on", tip=tip)
            if grid.is_last(row, t):
                self.canvas.box(x - 2, y - 2, self.cell_w + 4, CELL_H + 4, "l-last", radius=7)


# ---- in characters: `[h]` is read, `[ ]` is not, `( )` is what hn and cn hold, `·` is no cell but padding

_LEAST, _MOST = 5, 30  # room for the first and the last step; more than any terminal's


def _text(picture: Picture, width: int) -> str:
    """Rows of cells from the top layer down, with as many steps as fit, and a key to the marks that occur.

    h0, c0, hn and cn are named at the ends of the rows, unless that costs the first or the last step that is read.
    """
    named, plain = _largest(picture, width, named=True), _largest(picture, width, named=False)
    drawn = plain or _grids(picture, _LEAST, _LEAST)  # where not even two steps fit, what is cut is marked
    short = named is None or _reach(named) != _reach(drawn)
    drawn = drawn if named is None or short else named
    blocks = (f"{grid.name}\n{_characters(grid, not short)}".lstrip("\n") for grid in drawn)
    drawing = "\n\n".join(blocks)
    sentences = (*_key(drawn, drawing), *_backwards(picture), *_hidden(drawn))
    below = [line for sentence in sentences for line in wrapped(sentence, width)]
    return "\n".join([drawing, *([""] if below else []), *below])


def _largest(picture: Picture, width: int, named: bool) -> tuple[_Grid, ...] | None:
    """The grids with the most steps that fit."""
    for room in range(min(_MOST, max(_LEAST, width // 3)), _LEAST - 1, -1):
        drawn = _grids(picture, room, room)
        if all(cell_len(line) <= width for grid in drawn for line in _characters(grid, named).splitlines()):
            return drawn
    return None


def _reach(drawn: tuple[_Grid, ...]) -> tuple[int, ...]:
    """The first and the last step that is lit."""
    lit = [t for t in drawn[0].shown if any(_is_lit(grid, t) for grid in drawn)]
    return (lit[0], lit[-1]) if lit else ()


def _is_lit(grid: _Grid, t: int) -> bool:
    return bool(grid.inputs(t).names) or any(grid.lit(row, t).names for row in grid.rows if row)


def _key(drawn: tuple[_Grid, ...], drawing: str) -> tuple[str, ...]:
    """What the marks mean that the drawing has."""
    marks = (
        (say("mark read"), drawn[0].reads is not None),
        (say(f"mark last {' '.join(drawn[0].spec.kind.states)}"), "( )" in drawing),
        (say("mark some"), "*]" in drawing),
        (say("mark padding"), any(grid.padding(t) for grid in drawn for t in drawn[0].shown)),
    )
    told = [sentence for sentence, there in marks if there]
    return (", ".join(told) + ".",) if told else ()


def _characters(grid: _Grid, named: bool) -> str:
    """One grid; `named` says whether its rows have h0, c0, hn and cn at their ends: those that are read always are."""
    spec, rows = grid.spec, [row for row in grid.rows if row]
    labels = {row: _label(grid, row, named) for row in rows}
    sides = {row: _sides(grid, row, named) for row in rows}
    head, side = max(map(cell_len, labels.values())), max(len(end) for ends in sides.values() for end in ends)
    indent = head + (1 + side if side else 0)
    inputs = {t: _input(grid, t) for t in grid.shown}
    cells = {row: {t: _cell(grid, row, t) for t in grid.shown} for row in rows}
    widths = {t: max(3, cell_len(inputs[t]), *(len(marks[t]) for marks in cells.values())) for t in grid.shown}
    computed = grid.steps[: grid.steps.index(max(t for t in grid.shown if t < grid.length)) + 1]

    def line(start: str, marks: dict[int, str], steps: tuple[int | None, ...], wire: str, end: str = "") -> str:
        placed = ("…" if t is None else padded(marks[t], widths[t], "^") for t in steps)
        return wire.join([start, *placed, end]).rstrip()

    def all_steps(name: str, marks: dict[int, str]) -> str:
        return line(f"{name:<{indent}}", marks, grid.steps, "   ")

    upward = line(" " * indent, dict.fromkeys(grid.shown, "↑"), computed, "   ")  # nothing enters padding
    lines = [] if spec.kind.step else [all_steps("Y", {t: _output(grid, t) for t in grid.shown})]
    for row in grid.rows:
        if row is None:
            lines += [upward, " " * indent + "⋮"]
            continue
        if row.direction == spec.R - 1 and lines:
            lines.append(upward)
        left, right = sides[row]
        start = padded(labels[row], head) + (f" {left:>{side}}" if side else "")
        lines.append(line(start, cells[row], computed, f" {row.arrow} ", right))
    return "\n".join([*lines, upward, all_steps("X", inputs)])


def _label(grid: _Grid, row: _Row, named: bool) -> str:
    if grid.spec.kind.step:
        return say("the cell")
    name = say("layer", k=row.layer)
    return f"{name} {row.arrow}" if named else name


def _sides(grid: _Grid, row: _Row, named: bool) -> tuple[str, str]:
    """What stands left and right of a row; an initial state that is read in brackets, as cells are."""
    lit = grid.start(row)
    start, end = (grid.states(row, "0", ","), grid.states(row, "n", ",")) if named else ("", "")
    if lit.names:
        start = f"[{grid.named(row, lit.names, ',')}{lit.star}]"
    return (end, start) if row.direction else (start, end)


def _output(grid: _Grid, t: int) -> str:
    if t < grid.length:
        return "Y"
    return "[0]" if grid.padding(t) else "0"


def _input(grid: _Grid, t: int) -> str:
    lit, name = grid.inputs(t), grid.short(t) if t < grid.length else say("pad")
    name = "x" if grid.spec.kind.step else name
    return f"[{name}{lit.star}]" if lit.names else name


def _cell(grid: _Grid, row: _Row, t: int) -> str:
    if t >= grid.length:
        return "·"
    lit = grid.lit(row, t)
    if lit.names:
        return f"[{' '.join(lit.names)}{lit.star}]"
    return "( )" if grid.is_last(row, t) else "[ ]"
