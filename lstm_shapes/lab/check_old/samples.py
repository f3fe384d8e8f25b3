"""Where the samples lie: what one changed sample moved, told apart as right, swapped, scrambled, blended or ignored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from .report import Evidence

__all__ = ["Placement", "of_layer", "of_result"]

Kind = Literal["unknown", "right", "permuted", "swapped", "scrambled", "blended", "ignored", "unread"]


@dataclass(frozen=True, slots=True)
class Placement:
    """`kind`, the axis that carries the samples (results only), and where each changed sample was found."""

    kind: Kind
    axis: int | None = None
    at: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return self.kind in ("right", "unknown", "unread")


def _where(flags: Tensor) -> tuple[int, ...]:
    return tuple(int(k) for k in torch.nonzero(flags).flatten().tolist())


def of_layer(maps: dict[int, Tensor]) -> Placement:
    """The samples in a layer's X or state: maps are (rows of the batch first) (N, L, F) for X.

    Each row of the batch must belong to one sample. Rows that two samples share are a bug, and how the two
    share them says which: each at steps of its own (swapped), cell by cell (scrambled), or in the same cell
    (blended: values were computed from both before they came here).
    """
    maps = {i: m for i, m in maps.items() if bool(m.any())}
    if len(maps) < 2:
        return Placement("unread" if not maps else "unknown")
    rows = {i: m.flatten(1).any(1) for i, m in maps.items()}
    if _disjoint(list(rows.values())):
        at = {i: _where(r) for i, r in rows.items()}
        one_each = all(len(place) == 1 for place in at.values())
        moved = one_each and any(place != (i,) for i, place in at.items())
        return Placement("permuted" if moved else "right", 0, at)
    steps = {i: m.any(2).any(0) for i, m in maps.items()}
    at = {i: _where(s) for i, s in steps.items()}
    one_step = all(len(place) == 1 for place in at.values())
    if _disjoint(list(steps.values())) and (one_step or all(bool(m.any(2).any(1).all()) for m in maps.values())):
        return Placement("swapped", 1, at)
    if _disjoint(list(maps.values())):
        return Placement("scrambled", None, at)
    return Placement("blended", None, at)


def of_result(maps: dict[int, Tensor], N: int) -> Placement:
    """The samples in a result of any shape: the batch axis is the one on which sample i moves index i alone."""
    if len(maps) < 2:
        return Placement("unknown")
    shape = next(iter(maps.values())).shape
    if not shape:
        return Placement("unknown")
    if not any(bool(m.any()) for m in maps.values()):
        return Placement("unread")
    along = {a: {i: _where(_others(m, a)) for i, m in maps.items()} for a in range(len(shape))}
    for axis, at in along.items():
        if shape[axis] == N and all(place in ((i,), ()) for i, place in at.items()):
            return Placement("right" if all(at.values()) else "ignored", axis, at)
    if _pairs(maps, N):
        return Placement("right")
    for axis, at in along.items():
        if not all(at.values()) or not _separate(list(at.values())):
            continue
        permuted = shape[axis] == N and all(len(place) == 1 for place in at.values())
        if shape[axis] == N and not permuted:
            continue  # the batch axis, and a sample moves several of its rows
        if permuted or shape[axis] % N == 0 or _disjoint(list(maps.values())):
            return Placement("permuted" if permuted else "right", axis, at)
    if any(not bool(m.any()) for m in maps.values()):
        return Placement("ignored", None, {i: _where(m.flatten()) for i, m in maps.items()})
    return Placement("scrambled" if _disjoint(list(maps.values())) else "blended", None, along[0])


def _others(m: Tensor, axis: int) -> Tensor:
    return m.movedim(axis, 0).flatten(1).any(1) if m.dim() > 1 else m


def _disjoint(maps: list[Tensor]) -> bool:
    """Whether no cell is in two maps."""
    return not bool((torch.stack([m.int() for m in maps]).sum(0) > 1).any())


def _separate(places: list[tuple[int, ...]]) -> bool:
    return sum(len(place) for place in places) == len({k for place in places for k in place})


def _pairs(maps: dict[int, Tensor], N: int) -> bool:
    """A matrix of all pairs: sample i moves row i and column i, as a similarity of two encoders should."""
    shape = next(iter(maps.values())).shape
    axes = [axis for axis, size in enumerate(shape) if size == N]
    if len(axes) < 2:
        return False
    first, second = axes[:2]
    for i, m in maps.items():
        rest = m.movedim((first, second), (0, 1)).clone()
        crossed = bool(rest[i].any()) and bool(rest[:, i].any())
        rest[i], rest[:, i] = False, False
        if not crossed or bool(rest.any()):
            return False
    return True


def matrix(maps: dict[int, Tensor], axis: int) -> tuple[tuple[bool, ...], ...]:
    """matrix[j][i]: whether index j of the result moved with the i-th changed sample."""
    columns = [_others(m, axis) for m in maps.values()]
    return tuple(tuple(bool(column[j]) for column in columns) for j in range(min(len(columns[0]), 12)))


def evidence(maps: dict[int, Tensor], of: str, axis: int = 0) -> Evidence:
    """The experiment in words: which sample was changed and what moved."""
    words = []
    for i, m in maps.items():
        moved = _where(_others(m, axis))
        words.append(f"sample {i} moved {_span(moved)}")
    return Evidence(
        f"one sample of the input replaced at a time, {of} compared on its axis {axis}",
        "; ".join(words),
        matrix(maps, axis),
        f"index on axis {axis} of {of}",
        f"changed sample: {', '.join(str(i) for i in maps)}",
    )


def _span(moved: tuple[int, ...]) -> str:
    if not moved:
        return "nothing"
    if len(moved) == 1:
        return f"index {moved[0]} only"
    if moved == tuple(range(moved[0], moved[-1] + 1)):
        return f"indices {moved[0]} to {moved[-1]}"
    return "indices " + ", ".join(str(k) for k in moved[:8]) + (" …" if len(moved) > 8 else "")
