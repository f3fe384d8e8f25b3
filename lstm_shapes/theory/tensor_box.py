"""Box: what one tensor fills of a view, and how indexing narrows it.

A box knows of each axis of the view which positions it fills, and from which axis of its tensor, or from none where
the axis is new or broadcast. Everything is a range, so a billion steps are as quick as six.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .reading import Part

__all__ = ["Axis", "Box"]

Axis = tuple[str | None, range]
"""The tensor's axis that is laid out here, if it is one, and the positions that are filled."""


@dataclass(frozen=True, slots=True)
class Box:
    """What one tensor fills of a view."""

    part: Part
    axes: tuple[Axis, ...]

    def source(self, name: str) -> range:
        return dict(self.part.ranges)[name]

    def narrowed(self, name: str | None, found: range) -> Part:
        ranges = tuple((axis, found if axis == name else old) for axis, old in self.part.ranges)
        return replace(self.part, ranges=ranges)

    def pick(self, place: int, picks: range) -> Box:
        """Of one axis the positions `picks`, which become 0, 1, …"""
        name, filled = self.axes[place]
        low, high = (_first(picks, bound) for bound in (filled.start, filled.stop))
        part = self.part
        if name is not None:
            inside = picks[low:high]
            part = self.narrowed(name, self.source(name)[_from(inside, filled.start)])
        return Box(part, (*self.axes[:place], (name, range(low, max(low, high))), *self.axes[place + 1 :]))

    def moved(self, places: Sequence[int]) -> Box:
        return Box(self.part, tuple(self.axes[place] for place in places))

    def without(self, places: set[int], kept: Axis | None) -> Box:
        """Axes taken away, or replaced by a new one."""
        pairs = ((kept, axis)[place not in places] for place, axis in enumerate(self.axes))
        return Box(self.part, tuple(axis for axis in pairs if axis is not None))

    def apart(self, name: str, *pairs: tuple[str, range]) -> Box:
        """Its first axis as several."""
        others = tuple(pair for pair in self.part.ranges if pair[0] != name)
        return Box(replace(self.part, ranges=(*pairs, *others)), (*pairs, *self.axes[1:]))

    def read(self) -> Part:
        """The elements that are left: none where some axis is empty."""
        if all(len(filled) for _, filled in self.axes):
            return self.part
        return replace(self.part, ranges=tuple((name, range(0)) for name, _ in self.part.ranges))


def _first(picks: range, bound: int) -> int:
    """How many of the picked positions are below a bound."""
    return min(len(picks), max(0, -(-(bound - picks.start) // picks.step)))


def _from(inside: range, start: int) -> slice:
    """Positions as a slice of a range whose first is `start`."""
    return slice(inside[0] - start, inside[-1] - start + 1, inside.step) if inside else slice(0, 0)
