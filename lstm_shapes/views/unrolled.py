"""Unrolled: the grid of cells, layers × steps, as SVG and console both draw it: what is shown, and what is lit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.reading import Reading
from lstm_shapes.theory.spans import covers
from lstm_shapes.theory.spec import Spec

__all__ = ["Grid", "Lit", "Row"]


class Lit(NamedTuple):
    """What is read of a cell, an input or an initial state: of which names, and whether in every row drawn."""

    names: tuple[str, ...]
    every: bool

    @property
    def style(self) -> str:
        """The class of its box: filled, outlined, or none."""
        return "" if not self.names else "l-lit" if self.every else "l-some"


_DARK = Lit((), True)


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
    """The grid of one row of the batch, or of all where they are alike, with what an expression reads of it."""

    spec: Spec
    call: Call
    reading: Reading | None
    n: int | None
    """The row of the batch that is drawn; None: all of them as one."""
    layers: tuple[int | None, ...]
    """The layers shown, from the bottom; None where some are left out."""
    steps: tuple[int | None, ...]
    """The steps shown, None where some are left out."""
    name: str = ""

    @property
    def rows(self) -> tuple[Row | None, ...]:
        """Rows from the top layer down, None where layers are left out."""
        R = self.spec.R
        found: list[Row | None] = []
        for layer in reversed(self.layers):
            if layer is None:
                found.append(None)
            else:
                found += [Row(layer, r, layer * R + r) for r in reversed(range(R))]
        return tuple(found)

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
        if self.reading is None:
            return _DARK
        if self.n is not None:
            return Lit(self.reading.states(row.layer, row.direction, t, self.n), True)
        read = {
            state: self.reading.rows_of_state(state, row.layer, row.direction, t) for state in self.spec.kind.states
        }
        return self._lit(read)

    def start(self, row: Row) -> Lit:
        """The initial states that are read."""
        if self.reading is None:
            return _DARK
        if self.n is not None:
            return Lit(self.reading.initial(row.layer, row.direction, self.n), True)
        names = [f"{state}0" for state in self.spec.kind.states]
        return self._lit({name: self.reading.rows_of_initial(name, row.layer, row.direction) for name in names})

    def inputs(self, t: int) -> Lit:
        """Whether X is read at this step."""
        if self.reading is None:
            return _DARK
        if self.n is not None:
            return Lit(("X",) if self.reading.inputs(t, self.n) else (), True)
        return self._lit({"X": self.reading.rows_of_inputs(t)})

    def _lit(self, read: dict[str, tuple[range, ...]]) -> Lit:
        names = tuple(name for name, rows in read.items() if rows)
        return Lit(names, all(covers(read[name], self.call.N or 1) for name in names))

    def padding(self, t: int) -> bool:
        """Whether the zeros are read that Y holds at a step that this row does not have."""
        return self.reading is not None and self.n is not None and self.reading.padding(self.n, t)

    def is_last(self, row: Row, t: int) -> bool:
        """Whether this cell's states are what hn and cn hold."""
        return t == (0 if row.direction else self.length - 1)
