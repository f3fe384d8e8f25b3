"""Whether a view or reshape cuts through axes: row-major order decides, sizes are enough to see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from .trace import RESHAPES, Op, Origin, Trace

__all__ = ["out_of_order", "scrambling"]


def out_of_order(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether the new axes are whole old axes taken in another order, which no reshape can do.

    >>> out_of_order((4, 10, 6), (10, 4, 6))        # x.view(L, N, Q)
    True
    >>> out_of_order((2, 4, 5), (4, 10))            # hn.view(N, -1)
    True
    >>> out_of_order((4, 10, 6), (40, 6)), out_of_order((40, 6), (4, 10, 6))
    (False, False)
    """
    old = tuple(size for size in before if size != 1)
    new = tuple(size for size in after if size != 1)
    if math.prod(old) != math.prod(new) or old == new or len(old) < 2 or len(old) > 7 or 0 in old:
        return False
    return not _grouped(old, new) and _assigned(old, new)


def cuts(before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether some new axis boundary falls inside an old axis at a place that does not divide it."""
    marks = sorted({math.prod(s[: k + 1]) for s in (tuple(before), tuple(after)) for k in range(len(s))} - {0})
    return any(b % a for a, b in pairwise(marks) if a)


def _grouped(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether the new axes are runs of neighbouring old axes."""
    k = 0
    for size in new:
        product = 1
        while k < len(old) and product < size:
            product *= old[k]
            k += 1
        if product != size:
            return False
    return k == len(old)


@cache
def _assigned(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether the old axes can be dealt out to the new ones at all."""
    if not new:
        return not old
    for mask in range(1, 1 << len(old)):
        chosen = [old[k] for k in range(len(old)) if mask >> k & 1]
        if math.prod(chosen) == new[0]:
            rest = tuple(old[k] for k in range(len(old)) if not mask >> k & 1)
            if _assigned(rest, new[1:]):
                return True
    return False


def scrambling(trace: Trace | None, *, of: set[str] | None = None, before: int | None = None) -> list[Op]:
    """The reshapes of a run that took axes out of order.

    `of`: only those whose argument descends from these roles ("Y", "hn", "cn", "" for inputs); `before`: only
    those that happened before layer call number `before`.
    """
    found = []
    for op in trace.ops if trace is not None else ():
        if op.name not in RESHAPES or not op.shapes or (before is not None and op.calls > before):
            continue
        roles = {origin[2] for origin in op.origin}
        if of is not None and not roles & of:
            continue
        if out_of_order(op.base, op.result) or cuts(op.base, op.result):
            found.append(op)
    return found


def descends(op: Op, origin: Origin) -> bool:
    """Whether an operation worked on something made from `origin`."""
    return origin in op.origin
