"""The grid of cells, layers × steps, as SVG and console both draw it: what of it is shown, and what is lit.

A picture has one grid for rows of the batch that are alike, else one a row; all with the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import NamedTuple

from lstm_shapes.language import say
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.reads import Reads, covers
from lstm_shapes.theory.spec import Spec

from .choice import chosen

__all__ = ["Grid", "Lit", "Row", "backwards", "grids", "hidden"]

_ROWS_SHOWN = 3
_ROOM = 14  # seven steps without a gap
_MOST_ROOM = 20  # for steps that are read: as many again may stand apart


class Lit(NamedTuple):
    """What is read of a cell, an input or an initial state: of which names, and whether in every row drawn."""

    names: tuple[str, ...]
    every: bool

    @property
    def style(self) -> str:
        """The class of its box: filled, outlined, or none."""
        return "" if not self.names else "l-lit" if self.every else "l-some"


@dataclass(frozen=True, slots=True)
class Row:
    """One direction of one layer in the grid; `index` is its place in hn's first axis."""

    layer: int
    direction: int
    index: int

    @property
    def arrow(self) -> str:
        return "←" if self.direction else "→"


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of row n of the batch, or of all where they are alike (None), with what an expression reads of it.

    Of `layers`, from the bottom, and `steps` None stands where some are left out.
    """

    spec: Spec
    call: Call
    reads: Reads | None
    n: int | None
    layers: tuple[int | None, ...]
    steps: tuple[int | None, ...]
    name: str = ""

    @property
    def rows(self) -> tuple[Row | None, ...]:
        """Rows from the top layer down, None where layers are left out."""
        R = self.spec.R
        rows: list[Row | None] = []
        for layer in reversed(self.layers):
            if layer is None:
                rows.append(None)
            else:
                rows += [Row(layer, r, layer * R + r) for r in reversed(range(R))]
        return tuple(rows)

    @property
    def shown(self) -> tuple[int, ...]:
        """The steps that are shown."""
        return tuple(t for t in self.steps if t is not None)

    def short(self, t: int) -> str:
        """A step as a short word: counted from the end where its number is long."""
        return str(t) if t < 100_000 or self.call.L - t >= 100_000 else f"L−{self.call.L - t}"

    @property
    def length(self) -> int:
        """Steps of the rows drawn."""
        return self.call.lengths[self.n] if self.call.lengths and self.n is not None else self.call.L

    def real(self, t: int) -> bool:
        """Whether that step is there, and no padding."""
        return t < self.length

    def lit(self, row: Row, t: int) -> Lit:
        """The states of a cell that are read."""
        return self._lit(self.spec.kind.states, row.layer, row.direction, t)

    def start(self, row: Row) -> Lit:
        """The initial states that are read."""
        return self._lit(tuple(f"{state}0" for state in self.spec.kind.states), row.layer, row.direction, 0)

    def inputs(self, t: int) -> Lit:
        """Whether X is read at this step."""
        return self._lit(("X",), 0, 0, t)

    def _lit(self, names: tuple[str, ...], layer: int, direction: int, t: int) -> Lit:
        if self.reads is None:
            return Lit((), True)
        rows = {name: self.reads.rows(name, layer, direction, t, self.length) for name in names}
        if self.n is not None:
            return Lit(tuple(name for name in names if any(self.n in one for one in rows[name])), True)
        read = tuple(name for name in names if rows[name])
        return Lit(read, all(covers(rows[name], self.call.N or 1) for name in read))

    def padding(self, t: int) -> bool:
        """Whether the zeros are read that Y holds at a step that this row does not have."""
        return self.reads is not None and self.n is not None and self.reads.padding(self.n, t)

    def is_last(self, row: Row, t: int) -> bool:
        """Whether this cell's states are what hn and cn hold."""
        return t == (0 if row.direction else self.length - 1)


def grids(picture: Picture, room: int = _ROOM, most: int = _MOST_ROOM) -> tuple[Grid, ...]:
    """The grids of a picture: steps, layers and rows at both ends, and the first and the last that are read.

    `room` is what steps may take (see `choice.chosen`), `most` what they may take where they are read.
    """
    spec, call, reads = picture.prediction.spec, picture.prediction.call, picture.reading
    rows = _rows(picture)
    lengths = [call.lengths[n] if call.lengths and n is not None else call.L for n in rows]
    wanted = list(_steps_read(reads, rows, lengths)) if reads else []
    steps = chosen(call.L, most, [*wanted, *(length - 1 for length in lengths)], room, max(lengths) - 1)
    layers = chosen(spec.K, 11, _layers_read(reads) if reads else (), 10 if spec.R == 1 else 6)
    return tuple(
        Grid(spec, call, reads, n, layers, steps, _name(picture, n, last=place == len(rows) - 1))
        for place, n in enumerate(rows)
    )


def hidden(drawn: tuple[Grid, ...]) -> tuple[str, ...]:
    """A sentence on what is read and not shown, in which direction to look for it; none where all is shown."""
    reads = drawn[0].reads
    if reads is None:
        return ()
    layers = [layer for layer in drawn[0].layers if layer is not None]
    missing = reads.hidden(layers, drawn[0].shown, [grid.n for grid in drawn if grid.n is not None] or None)
    return (say(f"also {' '.join(missing)}"),) if missing else ()


def backwards(picture: Picture) -> tuple[str, ...]:
    """How many steps the reverse cells that are read have made; nothing where none is read.

    >>> from lstm_shapes.pictures import picture
    >>> backwards(picture(28, 256, bidirectional=True, L=20, highlight="Y[:, -1]"))
    ('The backward half starts at the last step: at t=19 it has made 1 step of 20.',)
    """
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


def _rows(picture: Picture) -> list[int | None]:
    """The rows of the batch that get a grid of their own; None is one grid for all."""
    call, reads = picture.prediction.call, picture.reading
    if picture.n is not None:
        return [picture.n]
    if call.lengths is None:
        return [None]
    read = sorted(_row_ends(reads)) if reads else []
    order = [*read[:1], *read[-1:], *read, *range(min(call.N or 1, _ROWS_SHOWN))]
    return [*sorted(islice(dict.fromkeys(order), _ROWS_SHOWN))]


def _row_ends(reads: Reads) -> set[int]:
    """The first and the last row of each part."""
    return {n for part in reads.parts for back in (False, True) for n in islice(reads.rows_of(part, back), 1)}


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


def _layers_read(reads: Reads) -> Iterator[int]:
    """The first and the last layer that each part reads."""
    for part in reads.parts:
        if part.name != "X":
            yield from (part.layers[0], part.layers[-1])


def _name(picture: Picture, n: int | None, last: bool) -> str:
    """`row n=0, 3 of 5 steps`, and after the last how many rows are not drawn."""
    call = picture.prediction.call
    if n is None or not call.batched:
        return ""
    name = say("row n of", n=n, length=call.lengths[n], L=call.L) if call.lengths else say("row n", n=n)
    more = (call.N or 1) - _ROWS_SHOWN
    if picture.n is None and last and more > 0:
        name = say("row n and more", name=name, more=more)
    return name
