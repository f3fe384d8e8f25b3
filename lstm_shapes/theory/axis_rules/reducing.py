"""Operations that take axes away by computing over them, or reorder them by value: sum, max, sort, topk, …"""

from __future__ import annotations

from collections.abc import Sequence

from lstm_shapes.theory.axes import Axes, Axis
from lstm_shapes.theory.axis_rules.moving import NEW_AXIS
from lstm_shapes.theory.axis_rules.picking import at_dim, unknown
from lstm_shapes.theory.axis_tracks import Gone, leave, settle

__all__ = ["reduce", "resize", "sum_out"]


def reduce(axes: Axes, dims: int | Sequence[int] | None = None, keepdim: bool = False) -> Axes:
    """The axes after sum, mean, max, argmax … over some axes, or over all.

    >>> Y = Axes.of("N L D", (2, 20, 256))
    >>> reduce(Y, 1), reduce(Y, (0, 1), keepdim=True), reduce(Y)
    ((N=2, D=256), (1=1, 1=1, D=256), ())
    """
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        over = set(range(len(axes)))
    else:
        over = {at_dim(axes, dim) for dim in ((dims,) if isinstance(dims, int) else dims)} if axes else set()
    gone = dict(axes.fixed)
    rows = []
    for place, axis in enumerate(axes):
        if place not in over:
            rows.append(axis)
            continue
        sum_out(gone, axis)
        if keepdim:
            rows.append(NEW_AXIS)
    return settle(rows, gone)


def sum_out(gone: dict[int, Gone], axis: Axis) -> None:
    """Record that an axis was computed over: the result belongs to all its coordinates at once.

    >>> gone: dict[int, Gone] = {}
    >>> sum_out(gone, Axes.of("N", (2,))[0])
    """
    for atom in axis.atoms:
        if atom.track:
            leave(gone, [atom], ("over", atom.track.at))


def resize(axes: Axes, sizes: dict[int, int]) -> Axes:
    """The axes where some have become others of a new size: pooling, one half gating the other, topk.

    >>> resize(Axes.of("N L D", (2, 20, 256)), {-1: 128})
    (N=2, L=20, ?=128)
    """
    rows = list(axes)
    for dim, size in sizes.items():
        rows[at_dim(axes, dim)] = unknown(size) if size != 1 else NEW_AXIS
    return settle(rows, axes.fixed)
