"""Choice: which of many steps, layers, rows or units a picture shows, and where it leaves some out."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["chosen", "ends"]

STEP, GAP = 2, 1  # what one that is shown takes of the room, and a mark for what is left out


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


def chosen(
    count: int, room: int, wanted: Iterable[int] = (), plenty: int | None = None, last: int | None = None
) -> tuple[int | None, ...]:
    """The first, the last and those wanted, as far as there is room; then their neighbours at both ends.

    One that is shown takes 2 of the room, a gap 1. `plenty`: fill no further than this, though there is room;
    `last`: the place from which the upper end is filled downwards, if that is not the last.

    >>> chosen(20, 14, wanted=[9])
    (0, 1, 2, None, 9, None, 18, 19)
    >>> chosen(20, 14), chosen(4, 14)
    ((0, 1, 2, None, 17, 18, 19), (0, 1, 2, 3))
    """
    shown = {0, count - 1}
    for place in wanted:
        if _taken(shown | {place}) <= room:
            shown.add(place)
    end = count - 1 if last is None else last
    limit = room if plenty is None else min(room, plenty)
    for distance in range(1, min(count, room)):
        for place in (distance, end - distance):
            if 0 <= place < count and _taken(shown | {place}) <= limit:
                shown.add(place)
    return _laid(shown)


def _laid(shown: set[int]) -> tuple[int | None, ...]:
    """In order, None where more than one is missing: a gap of one is no shorter than what it stands for."""
    found: list[int | None] = []
    for place in sorted(shown):
        before = found[-1] if found else place - 1
        assert before is not None
        if place - before == 2:
            found.append(place - 1)
        elif place - before > 2:
            found.append(None)
        found.append(place)
    return tuple(found)


def _taken(shown: set[int]) -> int:
    return sum(GAP if place is None else STEP for place in _laid(shown))
