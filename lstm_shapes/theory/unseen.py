"""Unseen: whether an expression reads anything besides the layers, steps and rows that a picture shows."""

from __future__ import annotations

from collections.abc import Collection

from .reading import Part, Reading
from .spans import below, outside

__all__ = ["unseen"]


def unseen(
    reading: Reading, layers: Collection[int], steps: Collection[int], rows: Collection[int] | None
) -> tuple[str, ...]:
    """Of `"layers"`, `"steps"` and `"rows"` those whose left-out part is read; rows None: all are drawn as one.

    Exact, from the ends of ranges: a billion steps take no longer than ten.

    >>> from .call import Call
    >>> from .highlight import read
    >>> from .spec import Spec
    >>> reading = read("Y[:, 9]", Spec(28, 256, 3), Call(L=20))
    >>> unseen(reading, (0, 1, 2), (0, 1, 18, 19), None), unseen(reading, (0, 1, 2), (0, 9, 19), None)
    (('steps',), ())
    """
    found: set[str] = set()
    for part in reading.parts:
        if rows is not None and any(n not in rows for n in reading.rows(part)):
            found.add("rows")
        drawn = [n for n in rows if part.has("N", n)] if rows is not None else [0]
        for length in {reading.length(n) for n in drawn}:
            found |= _of_row(reading, part, length, layers, steps)
    return tuple(name for name in ("layers", "steps", "rows") if name in found)


def _of_row(reading: Reading, part: Part, length: int, layers: Collection[int], steps: Collection[int]) -> set[str]:
    """What is left out of a row of this length."""
    R, found = reading.spec.R, set()
    if part.source in ("X", "Y"):
        read = part.steps(length)
        if outside(read if part.source == "X" else below(read, length), steps):
            found.add("steps")
        return found
    seen = [(layer, r) for layer in layers for r in range(R) if part.has_row(layer, r, R)]
    if len(part.span("KR")) * len(part.span("K")) * len(part.span("R")) > len(seen):
        found.add("layers")
    if part.state and any((0 if r else length - 1) not in steps for _, r in seen):
        found.add("steps")
    return found
