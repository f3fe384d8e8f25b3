"""Unrolled: the grid of cells, layers × steps, as SVG and console both draw it: what is shown, and what is lit."""

from __future__ import annotations

from dataclasses import dataclass

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.reading import Reading
from lstm_shapes.theory.spec import Spec

__all__ = ["ROWS_SHOWN", "Grid", "Row", "ends"]

ROWS_SHOWN = 3


def ends(count: int, most: int) -> tuple[int | None, ...]:
    """0 … count - 1, or the first and the last of them with None for what is left out between.

    >>> ends(20, 5)
    (0, 1, None, 18, 19)
    """
    if count <= most:
        return tuple(range(count))
    first = most // 2
    last = most - 1 - first
    return (*range(first), None, *range(count - last, count))


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
    """The grid for some rows of the batch, with what an expression reads of them."""

    spec: Spec
    call: Call
    reading: Reading | None
    batch: tuple[int, ...]
    """The rows of the batch that this drawing stands for: all of them where they are alike."""
    columns: int
    layers: int

    @property
    def steps(self) -> tuple[int | None, ...]:
        """The steps shown, None where some are left out: the ends, and where a short row ends."""
        last, shown = self.length() - 1, ends(self.call.L, self.columns)
        if last in shown:
            return shown
        # Nothing but padding follows, so one step of it is enough.
        half = max(1, (self.columns - 2) // 2)
        return (*range(half), None, last, None, self.call.L - 1)

    @property
    def rows(self) -> tuple[Row | None, ...]:
        """Rows from the top layer down, None where layers are left out."""
        R = self.spec.R
        found: list[Row | None] = []
        for layer in reversed(ends(self.spec.K, self.layers)):
            if layer is None:
                found.append(None)
            else:
                found += [Row(layer, r, layer * R + r) for r in reversed(range(R))]
        return tuple(found)

    def short(self, t: int) -> str:
        """A step as a short word: counted from the end where its number is long."""
        return str(t) if t < 100_000 else f"L−{self.call.L - t}"

    def length(self) -> int:
        """Steps of the rows drawn."""
        return self.call.lengths[self.batch[0]] if self.call.lengths else self.call.L

    def lit(self, row: Row, t: int) -> tuple[tuple[str, ...], bool]:
        """The states of a cell that are read, and whether they are for all rows of the batch."""
        if self.reading is None:
            return (), True
        found = [self.reading.states(row.layer, row.direction, t, n) for n in self.batch]
        states = tuple(state for state in self.spec.kind.states if any(state in each for each in found))
        return states, len(set(found)) == 1

    def start(self, row: Row) -> tuple[str, ...]:
        """The initial states that are read."""
        if self.reading is None:
            return ()
        found = {name for n in self.batch for name in self.reading.initial(row.layer, row.direction, n)}
        return tuple(sorted(found, reverse=True))

    def inputs(self, t: int) -> bool:
        """Whether X is read at this step."""
        return self.reading is not None and any(self.reading.inputs(t, n) for n in self.batch)

    def is_last(self, row: Row, t: int) -> bool:
        """Whether this cell's states are what hn and cn hold."""
        return t == (0 if row.direction else self.length() - 1)

    @property
    def hidden(self) -> bool:
        """Whether something lit is in the part left out, as far as a sample of it tells."""
        if self.reading is None:
            return False
        shown_steps = {t for t in self.steps if t is not None}
        shown_layers = {row.layer for row in self.rows if row is not None}
        probe_steps = shown_steps | _sample(self.call.L)
        probe_layers = shown_layers | _sample(self.spec.K)
        n = self.batch[0]
        return any(
            self.reading.states(layer, r, t, n)
            for layer in probe_layers
            for r in range(self.spec.R)
            for t in probe_steps
            if layer not in shown_layers or t not in shown_steps
        )


def _sample(count: int) -> set[int]:
    """All of a few; of many the first and last hundred and one in the middle."""
    return set(range(count)) if count <= 200 else {*range(100), count // 2, *range(count - 100, count)}
