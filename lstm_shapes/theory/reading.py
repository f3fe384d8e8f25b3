"""Reading: which cells, inputs and initial states an expression reads of one call of one layer.

A reading is a few products of ranges, so that every question costs the same for L = 20 and for L = 20 million, and is
answered exactly. `tensor_view.py` makes the parts, one operation at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .call import Call
from .spec import Spec

__all__ = ["Part", "Reading"]


@dataclass(frozen=True, slots=True)
class Part:
    """The elements of one tensor: a range for each of its axes.

    Axes are N, L, F (features) and KR (layers × directions), or K and R after a view that tells them apart.
    `paired`: row n is read at one step of its own, entry lengths[n] - 1 of this range, and not at a range of steps.
    """

    source: str
    ranges: tuple[tuple[str, range], ...]
    paired: range | None = None

    @property
    def state(self) -> str:
        """`"h"` or `"c"`: what of a cell Y, hn and cn hold; X and the initial states are of no cell."""
        return {"Y": "h", "hn": "h", "cn": "c"}.get(self.source, "")

    def span(self, axis: str) -> range:
        """The positions of an axis that are read; of an axis the tensor does not have, its one position."""
        return next((found for name, found in self.ranges if name == axis), range(1))

    def has(self, axis: str, position: int) -> bool:
        """Whether a position of that axis is read; true for an axis the tensor does not have."""
        return all(position in found for name, found in self.ranges if name == axis)

    def meets(self, axis: str, low: int, high: int) -> bool:
        """Whether any of the positions low … high - 1 is read."""
        return all(_meets(found, low, high) for name, found in self.ranges if name == axis)

    def has_row(self, layer: int, direction: int, R: int) -> bool:
        """Whether the row of a layer's direction is read: of hn's first axis, whole or taken apart."""
        return self.has("KR", layer * R + direction) and self.has("K", layer) and self.has("R", direction)

    def sides(self, R: int) -> tuple[int, ...]:
        """The directions whose rows of hn's first axis are read: two rows in order tell, if there are as many."""
        if any(axis == "R" for axis, _ in self.ranges):
            return tuple(self.span("R"))
        return tuple(sorted({row % R for row in self.span("KR")[:2]}))

    def steps(self, length: int) -> range:
        """The steps of X or Y that are read in a row of this length, padding included."""
        if self.paired is None:
            return self.span("L")
        step = self.paired[length - 1]
        return range(step, step + 1)

    @property
    def empty(self) -> bool:
        return any(not len(found) for _, found in self.ranges)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an expression reads of one call of one layer."""

    spec: Spec
    call: Call
    expression: str
    parts: tuple[Part, ...]
    """None of them is empty."""

    @property
    def rows_alike(self) -> bool:
        """Whether all rows of the batch have L steps because nobody gave lengths."""
        return self.call.lengths is None

    def length(self, n: int) -> int:
        """Steps of row n."""
        return self.call.lengths[n] if self.call.lengths else self.call.L

    def states(self, layer: int, direction: int, t: int, n: int) -> tuple[str, ...]:
        """Which states of a cell are read in row n: `("h",)`, `("c",)`, both or none."""
        read = {part.state for part in self._cell(layer, direction, t, self.length(n)) if part.has("N", n)}
        return tuple(state for state in self.spec.kind.states if state in read)

    def rows_of_state(self, state: str, layer: int, direction: int, t: int) -> tuple[range, ...]:
        """The rows of a batch of equally long rows for which that state of a cell is read, one range a part."""
        parts = self._cell(layer, direction, t, self.call.L)
        return tuple(part.span("N") for part in parts if part.state == state)

    def _cell(self, layer: int, direction: int, t: int, length: int) -> Iterator[Part]:
        """The parts that read a cell in rows of this length, if they read those rows at all."""
        if t >= length:
            return
        H, end = self.spec.H, 0 if direction else length - 1
        for part in self.parts:
            if part.source == "Y":
                top = layer == self.spec.K - 1 and part.meets("F", direction * H, (direction + 1) * H)
                if top and t in part.steps(length):
                    yield part
            elif part.state and t == end and part.has_row(layer, direction, self.spec.R):
                yield part

    def initial(self, layer: int, direction: int, n: int) -> tuple[str, ...]:
        """Which initial states are read in row n: of h0 and c0."""
        names = {part.source for part in self._initial(layer, direction) if part.has("N", n)}
        return tuple(name for name in ("h0", "c0") if name in names)

    def rows_of_initial(self, name: str, layer: int, direction: int) -> tuple[range, ...]:
        """The rows of the batch for which h0 or c0 is read, one range a part."""
        return tuple(part.span("N") for part in self._initial(layer, direction) if part.source == name)

    def _initial(self, layer: int, direction: int) -> Iterator[Part]:
        for part in self.parts:
            if part.source in ("h0", "c0") and part.has_row(layer, direction, self.spec.R):
                yield part

    def inputs(self, t: int, n: int) -> bool:
        """Whether X is read at that step of row n."""
        return any(part.has("N", n) for part in self._inputs(t, self.length(n)))

    def rows_of_inputs(self, t: int) -> tuple[range, ...]:
        """The rows of a batch of equally long rows for which X is read at that step, one range a part."""
        return tuple(part.span("N") for part in self._inputs(t, self.call.L))

    def _inputs(self, t: int, length: int) -> Iterator[Part]:
        return (part for part in self.parts if part.source == "X" and t in part.steps(length))

    def padding(self, n: int, t: int | None = None) -> bool:
        """Whether Y is read beyond the end of row n (at step t), where it holds zeros that nobody computed."""
        end = self.length(n)
        found = (part.steps(end) for part in self._of_Y() if part.has("N", n))
        return any(steps[-1] >= end and (t is None or (t >= end and t in steps)) for steps in found)

    def padded_rows(self, most: int) -> tuple[int, ...]:
        """The first few rows that are read beyond their end."""
        lengths = self.call.lengths or ()
        found: set[int] = set()
        for part in self._of_Y():
            rows = (n for n in part.span("N") if lengths and part.steps(lengths[n])[-1] >= lengths[n])
            found |= set(islice(rows, most))
        return tuple(sorted(found))[:most]

    def _of_Y(self) -> Iterator[Part]:
        return (part for part in self.parts if part.source == "Y")

    def rows(self, part: Part) -> Iterator[int]:
        """The rows, ascending, of which a part reads anything that is there: with lengths, no padding of Y."""
        span, lengths, paired = part.span("N"), self.call.lengths, part.paired
        if part.source != "Y" or lengths is None:
            return iter(span)
        if paired is not None:
            return (n for n in span if paired[lengths[n] - 1] < lengths[n])
        first = part.span("L")[0]
        return (n for n in span if lengths[n] > first)


def _meets(found: range, low: int, high: int) -> bool:
    """Whether a range with a positive step has a member in low … high - 1."""
    if not found or low >= high:
        return False
    first = max(0, -(-(low - found.start) // found.step))
    return first < len(found) and found[first] < high
