"""What differs between two runs, and how exact that is; where the samples lie in a tensor, read from what moved with
each of them; and which views cut across them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import prod

import torch
from torch import Tensor

from lstm_shapes.lab._build import precision_of

# The same program on the same sizes gives the same bits on a CPU for what was not changed. On other devices the order
# of additions may depend on the values' placement; 1e-5 of the largest element is above that and below a dependence.
_NOISE = {"cpu": 0.0}
_ELSEWHERE = 1e-5
# Other sizes change the order of additions: a few hundred roundings of the type, relative to the largest element.
_OTHER_ORDER = {
    "float64": 1e-9,
    "float32": 2e-4,
    "float32 on cuda": 2e-4,
    "tf32": 2e-2,
    "float16": 3e-2,
    "bfloat16": 1e-1,
}


def differs(before: Tensor, after: Tensor, slack: float = 0.0) -> Tensor | None:
    """Where two tensors differ; None where they cannot be compared. Equal NaNs are equal.

    `slack`: a share of the largest element that is no difference (dynamic quantisation scales by the whole batch).
    """
    if before.shape != after.shape or before.dtype != after.dtype or before.is_meta or before.layout != after.layout:
        return None
    try:
        if before.layout != torch.strided:
            before, after = before.to_dense(), after.to_dense()
        if before.is_quantized:
            before, after = before.dequantize(), after.dequantize()
        after = after.detach()
        if torch.equal(before, after):
            return torch.zeros_like(before, dtype=torch.bool)
        moved = before != after
        if before.is_floating_point() or before.is_complex():
            if not math.isfinite(float(before.detach().sum())):  # no copy, unless there may be a NaN
                moved &= ~(torch.isnan(before) & torch.isnan(after))
            slack = max(slack, _NOISE.get(before.device.type, _ELSEWHERE))
            if slack:
                apart = before - after
                moved &= ~((apart.abs() if apart.is_complex() else apart.abs_()) <= slack * _scale(before))
        return moved
    except (RuntimeError, NotImplementedError):
        return None


def other_order(tensor: Tensor) -> float:
    """The share of the largest element that another order of additions may make."""
    return _OTHER_ORDER.get(precision_of(tensor), 1e-1)


def far(before: Tensor, after: Tensor) -> Tensor:
    """Where two tensors of one shape, computed with other sizes, differ by more than the order of additions does."""
    if not before.is_floating_point():
        return before != after
    both_nan = torch.isnan(before) & torch.isnan(after)
    slack = other_order(before)
    return ~((before == after) | both_nan | ((before - after).abs() <= slack * _scale(before, after)))


def _scale(*tensors: Tensor) -> float:
    largest = 0.0
    for tensor in tensors:
        if tensor.numel() and not tensor.is_complex():
            least, most = map(float, torch.aminmax(tensor.detach()))
            if math.isfinite(most - least):
                largest = max(largest, -least, most)
                continue
        finite = tensor.detach()[torch.isfinite(tensor)]
        if finite.numel():
            largest = max(largest, float(finite.abs().max()))
    return largest or 1.0


# ---------------------------------------------------------------------- where the samples lie


@dataclass(frozen=True, slots=True)
class SampleAxis:
    """Where the samples lie in a tensor: its row-major element f belongs to sample (f // inner) % N."""

    axis: int
    N: int
    inner: int
    repeat: int  # neighbours along the axis that belong to one sample


@dataclass(eq=False, slots=True)
class Track:
    """What moved in one tensor with each sample that was replaced.

    `along[s][a]`: the indices on axis a that moved with sample s. `meeting`: an element that moved with two.
    `pairs`: axes (a, b) such that sample s moves nothing but index s of a and index s of b.
    """

    shape: tuple[int, ...]
    N: int
    along: dict[int, tuple[frozenset[int], ...]] = field(default_factory=dict)
    meeting: bool = False
    pairs: set[tuple[int, int]] | None = None
    unknown: bool = False
    moved: bool = False  # also that of a number without axes
    _any: Tensor | None = None

    def add(self, sample: int, moved: Tensor | None) -> None:
        """Note what moved with a sample, None where it could not be compared."""
        if moved is None:
            self.unknown = True
            return
        self.along[sample] = ()
        if not bool(moved.any()):
            return
        every = range(moved.dim())
        flags = [moved.any(dim=[b for b in every if b != a]) if len(every) > 1 else moved for a in every]
        self.along[sample] = tuple(frozenset(torch.nonzero(flag).flatten().tolist()) for flag in flags)
        self.moved = True
        if self._any is not None or not self.in_place():  # rows of their own do not meet, and may be large
            if self._any is None:  # where the samples before this one moved something: the indices on each axis
                self._any = torch.zeros_like(moved)
                for sets in [sets for s, sets in self.touched.items() if s != sample]:
                    self._any[torch.meshgrid(*(torch.tensor(sorted(some)) for some in sets), indexing="ij")] = True
            self.meeting = self.meeting or bool((self._any & moved).any())
            self._any |= moved
        here = set[tuple[int, int]]()
        for pair in combinations([axis for axis, size in enumerate(moved.shape) if size == self.N], 2):
            rest = moved.clone()
            for axis in pair:
                rest.select(axis, sample).fill_(False)
            here |= set() if bool(rest.any()) else {pair}
        self.pairs = here if self.pairs is None else self.pairs & here

    @property
    def touched(self) -> dict[int, tuple[frozenset[int], ...]]:
        """The samples that moved anything here."""
        return {s: sets for s, sets in self.along.items() if sets}

    @property
    def axes(self) -> list[int]:
        """The axes on which each sample has indices of its own."""
        pairs = list(combinations(self.touched.values(), 2))
        return [axis for axis in range(len(self.shape)) if all(not (a[axis] & b[axis]) for a, b in pairs)]

    @property
    def paired(self) -> bool:
        """A table of samples against samples, as similarities are."""
        if not self.pairs or len(self.touched) < 2:
            return False
        apart = self.axes
        return any(a not in apart and b not in apart for a, b in self.pairs)

    @property
    def mixed(self) -> bool:
        """Whether samples meet or lie scrambled."""
        return len(self.touched) > 1 and not self.paired and (self.meeting or not self.axes)

    def layout(self) -> SampleAxis | None:
        """How the samples lie, None where they lie in no regular way."""
        touched = self.touched
        if not touched or self.mixed or not self.shape:
            return None
        for axis in self.axes:
            rows, left = divmod(self.shape[axis], self.N)
            for repeat in [d for d in range(1, rows + 1) if rows % d == 0] if not left else ():
                if all((i // repeat) % self.N == s for s, sets in touched.items() for i in sets[axis]):
                    return SampleAxis(axis, self.N, repeat * prod(self.shape[axis + 1 :]), repeat)
        return None

    def in_place(self) -> bool:
        """Whether some axis of size N holds sample s at index s and nowhere else."""
        return any(
            size == self.N and all(sets[axis] <= {s} for s, sets in self.touched.items())
            for axis, size in enumerate(self.shape)
        )

    def places(self) -> dict[int, int] | None:
        """Where each sample lies on an axis of size N, if each has one index of its own there."""
        for axis in self.axes if self.touched else ():
            if self.shape[axis] == self.N and all(len(sets[axis]) == 1 for sets in self.touched.values()):
                return {s: next(iter(sets[axis])) for s, sets in self.touched.items()}
        return None

    @property
    def rows(self) -> int:
        """The axis to speak of: the first of N."""
        return self.shape.index(self.N) if self.N in self.shape else 0

    def sets(self, axis: int) -> str:
        """Which indices of an axis moved with which sample, for a reader."""

        def said(indices: frozenset[int]) -> str:
            some = sorted(indices)
            if len(some) > 4 and some == list(range(some[0], some[-1] + 1)):
                return f"{some[0]}…{some[-1]}"
            return ", ".join(map(str, some[:6])) + (", …" if len(some) > 6 else "")

        return "; ".join(f"sample {s}: {said(sets[axis])}" for s, sets in self.touched.items())


def row(tensor: Tensor, axis: int, sample: int, N: int, *, neighbours: bool) -> Tensor | None:
    """The elements of a sample on an axis that holds the samples of each step, or as neighbours a sample's steps."""
    steps, left = divmod(tensor.size(axis), N)
    if left:
        return None
    if steps == 1:
        return tensor.select(axis, sample)
    if neighbours:
        return torch.unflatten(tensor, axis, (N, steps)).select(axis, sample)
    return torch.unflatten(tensor, axis, (steps, N)).select(axis + 1, sample)


def cuts(layout: SampleAxis, shape: Sequence[int]) -> bool:
    """Whether a view to `shape` cuts across the samples.

    With `inner` elements to the right of the sample factor, each boundary B between axes of the new shape (the number
    of elements to its right) must satisfy B | inner, or inner·N | B, or inner | B | inner·N; in the last case the
    sample factor is split, and the axes on both sides of B must hold nothing but samples.
    """
    inner, outer = layout.inner, layout.inner * layout.N
    sizes = [n for n in shape if n != 1]
    right = 1
    for k in range(len(sizes) - 1, 0, -1):
        B = right * sizes[k]
        if inner % B and B % outer and (right % inner or outer % (B * sizes[k - 1])):
            return True
        right = B
    return False


def made_axis(N: int, before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether a view made an axis of N: not one that it has left as it was behind the axes that it joined or cut."""
    left, right = list(before), list(after)
    while left and right and left[-1] == right[-1]:
        left.pop()
        right.pop()
    return N in right
