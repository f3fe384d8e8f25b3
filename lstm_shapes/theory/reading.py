"""Reading: which elements of which tensor an expression reads, as products of ranges.

So a reading costs the same for L = 20 and for L = 20 million. `tensor_view.py` makes the parts, one operation at a
time; here they are asked about cells.
"""

from __future__ import annotations

from dataclasses import dataclass

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

    def has(self, axis: str, position: int) -> bool:
        """Whether a position of that axis is read; true for an axis the tensor does not have."""
        return all(position in found for name, found in self.ranges if name == axis)

    def meets(self, axis: str, low: int, high: int) -> bool:
        """Whether any of the positions low … high - 1 is read."""
        return all(_meets(found, low, high) for name, found in self.ranges if name == axis)

    def at(self, t: int, length: int) -> bool:
        """Whether step t is read of a row of that length."""
        return self.has("L", t) if self.paired is None else t == self.paired[length - 1]

    def beyond(self, length: int, L: int) -> bool:
        """Whether any of the steps length … L - 1, the padding of a row of that length, is read."""
        return self.meets("L", length, L) if self.paired is None else self.paired[length - 1] >= length

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

    def length(self, n: int) -> int:
        """Steps of row n."""
        return self.call.lengths[n] if self.call.lengths else self.call.L

    def states(self, layer: int, direction: int, t: int, n: int) -> tuple[str, ...]:
        """Which states of a cell are read: `("h",)`, `("c",)`, both or none."""
        if t >= self.length(n):
            return ()
        read = {part.source[0].replace("Y", "h") for part in self.parts if self._reads(part, layer, direction, t, n)}
        return tuple(state for state in self.spec.kind.states if state in read)

    def _reads(self, part: Part, layer: int, direction: int, t: int, n: int) -> bool:
        if part.empty or not part.has("N", n):
            return False
        if part.source == "Y":
            H = self.spec.H
            half = part.meets("F", direction * H, (direction + 1) * H)
            return layer == self.spec.K - 1 and part.at(t, self.length(n)) and half
        end = 0 if direction else self.length(n) - 1
        return part.source in ("hn", "cn") and t == end and self._has_row(part, layer, direction)

    def _has_row(self, part: Part, layer: int, direction: int) -> bool:
        row = layer * self.spec.R + direction
        return part.has("KR", row) and part.has("K", layer) and part.has("R", direction)

    def initial(self, layer: int, direction: int, n: int) -> tuple[str, ...]:
        """Which initial states are read: of h0 and c0."""
        return tuple(
            name
            for name in ("h0", "c0")
            if any(
                part.source == name and not part.empty and part.has("N", n) and self._has_row(part, layer, direction)
                for part in self.parts
            )
        )

    def inputs(self, t: int, n: int) -> bool:
        """Whether X is read at that step of that row."""
        return any(
            part.source == "X" and not part.empty and part.has("N", n) and part.at(t, self.length(n))
            for part in self.parts
        )

    def padding(self, n: int) -> bool:
        """Whether Y is read beyond the end of row n, where it holds zeros that nobody computed."""
        return any(
            part.source == "Y" and not part.empty and part.has("N", n) and part.beyond(self.length(n), self.call.L)
            for part in self.parts
        )


def _meets(found: range, low: int, high: int) -> bool:
    """Whether a range with a positive step has a member in low … high - 1."""
    if not found or low >= high:
        return False
    first = max(0, -(-(low - found.start) // found.step))
    return first < len(found) and found[first] < high
