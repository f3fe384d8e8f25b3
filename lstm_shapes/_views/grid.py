"""The unrolled grid of cells, layers × steps, as SVG and in characters: what of it is shown, and what is lit.

X enters below, Y is the top row, hn and cn are where each row ends. A picture has one grid for rows of the batch that
are alike, else one a row; all with the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise, zip_longest
from typing import NamedTuple

from rich.cells import cell_len

from lstm_shapes.language import say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.reads import Reads, covers, reads_in_words
from lstm_shapes.theory.spec import Spec, with_directions

from .canvas import Canvas, Sketch, chosen, padded, wide, wrapped
from .predicted import place, subtitle

_ROWS_SHOWN = 3
_ROOM = 14  # seven steps without a gap
_MOST_ROOM = 20  # for steps that are read: as many again may stand apart


def grid_sketch(picture: Picture) -> Sketch:
    prediction, reading = picture.prediction, picture.reading
    drawn = _grids(picture)
    said = [f"{subtitle(prediction.spec, prediction.call)}.".replace("`", "")]
    if reading is not None:
        said += [*reads_in_words(reading, picture.n), *_beside(picture, drawn)]
    return Sketch(
        title=say("title step" if prediction.spec.kind.step else "title grid"),
        svg=lambda canvas, y: _svg(drawn, canvas, y),
        text=lambda width: _text(picture, width),
        said=tuple(said),
    )


# ---- what is shown
class _Box(NamedTuple):
    """One place of the grid: its class, label and tip as SVG, its mark in characters."""

    cls: str
    label: str
    tip: str
    mark: str
    ink: str = "l-code l-quiet"

    @property
    def lit(self) -> bool:
        return self.cls in ("l-lit", "l-some")


class _Row(NamedTuple):
    """One direction of one layer; `place` is its row of hn."""

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
        return tuple(t for t in self.steps if t is not None)

    @property
    def length(self) -> int:
        """Steps of the rows drawn; what comes after them is padding."""
        return self.call.length(self.n)

    def short(self, t: int) -> str:
        """A step as a short word: counted from the end where its number is long."""
        return str(t) if t < 100_000 or self.call.L - t >= 100_000 else f"L−{self.call.L - t}"

    def label(self, row: _Row) -> str:
        return say("the cell") if self.spec.kind.step else say("layer", k=row.layer)

    def cell(self, row: _Row, t: int) -> _Box:
        """`[h]` is read, `[ ]` is not, `( )` is what hn and cn hold, `·` is no cell but padding."""
        step = self.spec.kind.step
        what = say("the cell") if step else f"{place(self.spec, row.layer, row.direction)}, t={t}"
        if read := self._read(self.spec.kind.states, row, t):
            return self._lit(read, what, " ".join(read), " ".join(read))
        mark = "( )" if self.is_last(row, t) else "[ ]"
        return _Box("l-cell", "", self._where + what, mark if t < self.length else "·")

    def is_last(self, row: _Row, t: int) -> bool:
        """Whether this cell's states are what hn and cn hold."""
        return t == (0 if row.direction else self.length - 1)

    def sides(self, row: _Row) -> tuple[_Box, ...]:
        """What stands left and right of a row: h0 and c0; hn and cn, of which what is read is lit where it was made."""
        start, end = (tuple(f"{state}{when}" for state in self.spec.kind.states) for when in "0n")
        label = self._states(row, end)
        boxes = [_Box("l-end", label, self._where + label, self._states(row, end, ","))]
        label, read = self._states(row, start), self._read(start, row, 0)
        if read:
            boxes.append(self._lit(read, label, self._states(row, read), self._states(row, read, ",")))
        else:
            boxes.append(_Box("l-end", label, self._where + label, self._states(row, start, ",")))
        return tuple(boxes if row.direction else reversed(boxes))

    def input(self, t: int) -> _Box:
        what, short, real = f"X, t={t}", self.short(t), t < self.length
        label, mark = (f"t={short}", short) if real else (say("pad"), say("pad"))
        if self.spec.kind.step:
            label = mark = "x"
        if read := self._read(("X",), _Row(0, 0, 0), t):
            return self._lit(read, what, label, mark)
        return _Box("l-in" if real else "l-pad", label, self._where + what, mark)

    def output(self, t: int) -> _Box:
        """Y at a step, and how it is indexed there."""
        what = f"{self._where}Y, t={t}"
        if t < self.length:
            first = self.call.batched and self.spec.batch_first
            return _Box("l-out", f"[:, {self.short(t)}]" if first else f"[{self.short(t)}]", what, "Y")
        if self.reads_padding(t):
            return _Box("l-zero", "0", say("tip padding read", what=what), "[0]")
        return _Box("l-pad", "0", say("tip padding", what=what), "0")

    def column(self, t: int) -> list[_Box]:
        return [self.input(t), *(self.cell(row, t) for row in self.rows if row)]

    def reads_padding(self, t: int) -> bool:
        """Whether the zeros are read that Y holds at a step that this row does not have."""
        return self.reads is not None and self.n is not None and self.reads.padding(self.n, t)

    @property
    def _where(self) -> str:
        return "" if self.n is None else say("tip row", n=self.n)

    def _states(self, row: _Row, names: Iterable[str], comma: str = ", ") -> str:
        """`h0[2], c0[2]`; a cell has one of each."""
        return comma.join(name if self.spec.kind.step else f"{name}[{row.place}]" for name in names)

    def _read(self, names: tuple[str, ...], row: _Row, t: int) -> dict[str, list[range]]:
        """What is read of some names at a step, and in which rows of the batch."""
        if self.reads is None:
            return {}
        rows = {name: self.reads.rows(name, row.layer, row.direction, t, self.length) for name in names}
        n = self.n
        return {
            name: parts for name, parts in rows.items() if (any(n in one for one in parts) if n is not None else parts)
        }

    def _lit(self, read: dict[str, list[range]], what: str, label: str, mark: str) -> _Box:
        """A box of which something is read: filled if in every row drawn, else outlined, and with a star."""
        every = self.n is not None or all(covers(rows, self.call.N or 1) for rows in read.values())
        names = list(read)
        told = say("and", one=names[0], other=names[1]) if len(names) == 2 else names[0]
        tip = say("tip read" if every else "tip some", what=self._where + what, names=told)
        return _Box("l-lit" if every else "l-some", label, tip, f"[{mark}{'' if every else '*'}]", "l-code l-on")


def _grids(picture: Picture, room: int = _ROOM, most: int = _MOST_ROOM) -> tuple[_Grid, ...]:
    """`room` is what steps may take (see `chosen`), `most` what they may take where they are read."""
    spec, call, reads = picture.prediction.spec, picture.prediction.call, picture.reading
    rows = _rows(picture)
    lengths = [call.length(n) for n in rows]
    parts = reads.parts if reads else ()
    layers_read = [layer for part in parts if part.name != "X" for layer in (part.layers[0], part.layers[-1])]
    wanted = [*(_steps_read(reads, rows, lengths) if reads else ()), *(length - 1 for length in lengths)]
    steps = chosen(call.L, most, wanted, room, max(lengths) - 1)
    layers = chosen(spec.K, 11, layers_read, 10 if spec.R == 1 else 6)
    return tuple(
        _Grid(spec, call, reads, n, layers, steps, _name(picture, n, last=at == len(rows) - 1))
        for at, n in enumerate(rows)
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


def _beside(picture: Picture, drawn: tuple[_Grid, ...]) -> Iterator[str]:
    """How many steps the reverse cells that are read have made; what is read and not shown."""
    L, reads = picture.prediction.call.L, picture.reading
    if reads is None:
        return
    if picture.prediction.call.lengths is None:  # rows that differ in length begin at steps of their own
        cells = [part.cells_of(L) for part in reads.parts if part.computed and part.direction]
        ends = sorted({t for steps in cells if steps for t in (steps[0], steps[-1])})
        if len(ends) > 1:
            t, u = ends[-1], ends[0]
            yield say("backward half, two", t=t, made=L - t, u=u, more=L - u, L=L)
        elif ends:
            yield say("backward half", t=ends[0], made=L - ends[0], L=L)
    layers = [layer for layer in drawn[0].layers if layer is not None]
    missing = reads.hidden(layers, drawn[0].shown, [grid.n for grid in drawn if grid.n is not None] or None)
    if missing:
        yield say("also", what=say("also and").join(say(f"also {what}") for what in missing))


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
        self.wide = say("wide", symbol=with_directions(spec, spec.width), width=spec.R * spec.H)
        self.features = say("features", Q=spec.Q)
        self.end_w = max(88.0, *(7.8 * len(side.label) + 12 for row in grid.rows if row for side in grid.sides(row)))
        self.left = max(108 + self.end_w + WIRE, 50 + max(wide(self.wide, "l-quiet"), wide(self.features, "l-quiet")))
        self.cell_w = max(72.0, *(10 + wide(grid.output(t).label, "l-code l-quiet") for t in grid.shown))
        widths = ((GAP_W if t is None else self.cell_w) + WIRE for t in grid.steps)
        self.places = list(zip(grid.steps, accumulate(widths, initial=self.left), strict=False))
        self.columns = [(t, x) for t, x in self.places if t is not None]
        self.real = [(t, x) for t, x in self.columns if t < grid.length]
        # A row's last state stands where the row ends: padding is computed by nobody, and no wire runs through it.
        self.right = self.real[-1][1] + self.cell_w + WIRE

    def draw(self, y: float) -> float:
        """Draw the grid below the height y; the height at which it ends comes back."""
        grid, canvas, R = self.grid, self.canvas, self.spec.R
        above = not self.spec.kind.step  # whether something is above that arrows lead to
        if above:
            y = self._steps(y, "Y", self.wide, grid.output)
        for row in grid.rows:
            if row is None:
                for _, x in self.columns:
                    canvas.text(x + self.cell_w / 2, y + 26, "⋮", "l-strong", "middle")
                if grid.layers.count(None) == 1:
                    canvas.text(20, y + 26, say("more layers", count=self.spec.K + 1 - len(grid.layers)), "l-quiet")
                above, y = False, y + LAYER
                continue
            if row.direction == R - 1:  # the upper of the layer's rows: its name, and a frame around its two directions
                y = self._upward(y) if above else y + 8
                height = PAIR + CELL_H if R == 2 else CELL_H
                canvas.text(20, y + height / 2 + 5, grid.label(row), "l-strong")
                for _, x in self.real if R == 2 else ():
                    canvas.box(x - 5, y - 5, self.cell_w + 10, height + 10, "l-group", radius=8)
            self._row(row, y)
            above, y = True, y + (PAIR if row.direction else CELL_H)
        return self._steps(self._upward(y), "X", self.features, grid.input)

    def _put(self, x: float, y: float, width: float, height: float, box: _Box, radius: float = 5) -> None:
        self.canvas.box(x, y, width, height, box.cls, box.label, box.ink, radius=radius, tip=box.tip)

    def _steps(self, y: float, name: str, width: str, box: Callable[[int], _Box]) -> float:
        self.canvas.text(20, y + 18, name, "l-code l-strong")
        self.canvas.text(38, y + 18, width, "l-quiet")
        for t, x in self.places:
            if t is None:
                self.canvas.text(x + GAP_W / 2, y + 16, "⋯", "l-strong", "middle")
            else:
                self._put(x, y, self.cell_w, STEP_H, box(t))
        return y + STEP_H

    def _upward(self, y: float) -> float:
        """Arrows to what ends at `y` from what stands below, and where that begins."""
        for _, x in self.real:
            self.canvas.arrow(x + self.cell_w / 2, y + LAYER - 4, x + self.cell_w / 2, y + 5)
        return y + LAYER

    def _row(self, row: _Row, y: float) -> None:
        grid, left, middle = self.grid, self.left - WIRE - self.end_w, y + CELL_H / 2
        for x, side in zip((left, self.right), grid.sides(row), strict=True):
            self._put(x, y, self.end_w, CELL_H, side, 14)
        # From box to box; where steps are left out the wire runs on to the next one.
        boxes = [(left, self.end_w), *((x, self.cell_w) for _, x in self.real), (self.right, 0.0)]
        for (a, width), (b, _) in pairwise(boxes):
            ends = (a + width + 3, b - 3)
            low, high = reversed(ends) if row.direction else ends
            self.canvas.arrow(low, middle, high, middle)
        for t, x in self.real:
            self._put(x, y, self.cell_w, CELL_H, grid.cell(row, t))
            if grid.is_last(row, t):
                self.canvas.box(x - 2, y - 2, self.cell_w + 4, CELL_H + 4, "l-last", radius=7)


# ---- in characters

_LEAST, _MOST = 5, 30  # room for the first and the last step; more than any terminal's


def _text(picture: Picture, width: int) -> str:
    """As many steps as fit; h0, c0, hn and cn are named, unless that costs the first or the last step that is read."""
    named, plain = _largest(picture, width, named=True), _largest(picture, width, named=False)
    drawn = plain or _grids(picture, _LEAST, _LEAST)  # where not even two steps fit, what is cut is marked
    short = named is None or _reach(named) != _reach(drawn)
    drawn = drawn if named is None or short else named
    blocks = (f"{grid.name}\n{_characters(grid, not short)}".lstrip("\n") for grid in drawn)
    drawing = "\n\n".join(blocks)
    sentences = (*_key(drawn, drawing), *_beside(picture, drawn))
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
    lit = [t for t in drawn[0].shown if any(box.lit for grid in drawn for box in grid.column(t))]
    return (lit[0], lit[-1]) if lit else ()


def _key(drawn: tuple[_Grid, ...], drawing: str) -> tuple[str, ...]:
    """What the marks mean that the drawing has."""
    marks = (
        (say("mark read"), drawn[0].reads is not None),
        (say(f"mark last {' '.join(drawn[0].spec.kind.states)}"), "( )" in drawing),
        (say("mark some"), "*]" in drawing),
        (say("mark padding"), any(grid.reads_padding(t) for grid in drawn for t in drawn[0].shown)),
    )
    told = [sentence for sentence, there in marks if there]
    return (", ".join(told) + ".",) if told else ()


def _characters(grid: _Grid, named: bool) -> str:
    """One grid; `named` says whether its rows have h0, c0, hn and cn at their ends: those that are read always are."""
    spec, rows = grid.spec, [row for row in grid.rows if row]
    labels = {
        row: f"{grid.label(row)} {row.arrow}" if named and not spec.kind.step else grid.label(row) for row in rows
    }
    sides = {row: [box.mark if named or box.lit else "" for box in grid.sides(row)] for row in rows}
    head, side = max(map(cell_len, labels.values())), max(len(end) for ends in sides.values() for end in ends)
    indent = head + (1 + side if side else 0)
    widths = {t: max(3, *(cell_len(box.mark) for box in grid.column(t))) for t in grid.shown}
    computed = grid.steps[: grid.steps.index(max(t for t in grid.shown if t < grid.length)) + 1]

    def line(start: str, marks: list[str], steps: tuple[int | None, ...], wire: str, end: str = "") -> str:
        at = dict(zip(grid.shown, marks, strict=True))
        placed = ("…" if t is None else padded(at[t], widths[t], "^") for t in steps)
        return wire.join([start, *placed, end]).rstrip()

    upward = line(" " * indent, ["↑"] * len(grid.shown), computed, "   ")  # nothing enters padding
    lines = []
    if not spec.kind.step:
        lines.append(line(padded("Y", indent), [grid.output(t).mark for t in grid.shown], grid.steps, "   "))
    for row in grid.rows:
        if row is None:
            lines += [upward, " " * indent + "⋮"]
            continue
        if row.direction == spec.R - 1 and lines:
            lines.append(upward)
        left, right = sides[row]
        start = padded(labels[row], head) + (f" {left:>{side}}" if side else "")
        lines.append(line(start, [grid.cell(row, t).mark for t in grid.shown], computed, f" {row.arrow} ", right))
    lines += [upward, line(padded("X", indent), [grid.input(t).mark for t in grid.shown], grid.steps, "   ")]
    return "\n".join(lines)
