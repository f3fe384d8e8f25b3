"""Spans: questions about ranges of positions that are answered from their ends, however long they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from math import lcm

__all__ = ["below", "covers", "outside"]


def below(found: range, stop: int) -> range:
    """The members of a range with a positive step that are below `stop`.

    >>> below(range(1, 20, 3), 8)
    range(1, 8, 3)
    """
    return range(found.start, min(found.stop, stop), found.step)


def outside(found: range, shown: Collection[int]) -> bool:
    """Whether a range has a member that is not shown; as cheap for a billion members as for ten.

    >>> outside(range(0, 10**9), (0, 1, 2)), outside(range(0, 3), (0, 1, 2, 7))
    (True, False)
    """
    return len(found) > sum(place in found for place in set(shown))


def covers(ranges: Iterable[range], count: int) -> bool:
    """Whether every position 0 … count - 1 is in one of the ranges, whose steps are positive.

    Between two ends of ranges what is covered repeats after the least common multiple of the steps; and n
    progressions that cover 2ⁿ positions in a row cover all (Crittenden and Vanden Eynden, 1970).

    >>> covers([range(0, 10**9, 2), range(1, 10**9, 2)], 10**9), covers([range(1, 9)], 9)
    (True, False)
    """
    given = {found for found in ranges if len(found)}
    cuts = sorted({0, count, *(end for found in given for end in (found.start, found[-1] + 1) if 0 < end < count)})
    for low, high in pairwise(cuts):
        here = [found for found in given if found.start <= low and high <= found[-1] + 1]
        if any(found.step == 1 for found in here):
            continue
        enough = min(high - low, lcm(*(found.step for found in here)), 2 ** len(here))
        if not all(any(place in found for found in here) for place in range(low, low + enough)):
            return False
    return True
