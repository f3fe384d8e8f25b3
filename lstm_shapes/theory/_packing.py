"""Packing: what a PackedSequence holds for given lengths, without torch.

`pack_padded_sequence` lays rows of different lengths in one tensor `data`, step by step: first step 0 of
every row, longest row first, then step 1 of the rows that have one, and so on. `batch_sizes` says how many
rows each step has. Padding is left out, so the layer never computes it.

Source: `pack_padded_sequence` in `torch/nn/utils/rnn.py`, `_pack_padded_sequence` in
`aten/src/ATen/native/PackedSequence.cpp`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from lstm_shapes.errors import ShapeError

from .call import Call


@dataclass(frozen=True, slots=True)
class Packing:
    """N rows of given lengths, padded to L steps, and how they lie in a PackedSequence.

    >>> packing = Packing.of((3, 5, 2))
    >>> packing.batch_sizes, packing.sorted_indices, packing.unsorted_indices
    ((3, 3, 2, 1, 1), (1, 0, 2), (1, 0, 2))
    >>> packing.T, packing.padded, packing.saved, packing.share
    (10, 15, 5, 0.3333333333333333)

    `sorted_indices` keeps rows of equal length in the order they came in. torch's sort promises no order
    among equals (torch 2.13 keeps it for up to 16 rows on a CPU, not beyond), so where `ties` is true torch's
    may differ; give its order to `of` to describe that very PackedSequence. Nothing else depends on it: every
    row still gets its own result back.
    """

    lengths: tuple[int, ...]
    L: int
    sorted_indices: tuple[int, ...]

    @classmethod
    def of(cls, lengths: Iterable[int], L: int | None = None, order: Iterable[int] | None = None) -> Packing:
        """Rows of these lengths, padded to L (the longest if left out); `order` is torch's sorted_indices.

        Raises: SpecError for a length that is none, ShapeError for an L or an order that does not fit.
        """
        call = Call.padded(lengths, L)
        rows = call.lengths or ()
        if order is None:
            indices = sorted(range(len(rows)), key=lambda row: -rows[row])
        else:
            indices = list(order)
            if sorted(indices) != list(range(len(rows))):
                raise ShapeError("order", "each row once", expected=tuple(range(len(rows))), got=indices)
            if any(rows[a] < rows[b] for a, b in pairwise(indices)):
                raise ShapeError("order", "longest row first", got=tuple(rows[row] for row in indices))
        return cls(rows, call.L, tuple(indices))

    @property
    def N(self) -> int:
        """Rows, that is sequences."""
        return len(self.lengths)

    @property
    def T(self) -> int:
        """Steps that are really computed: sum(lengths), the first axis of `data`."""
        return sum(self.lengths)

    @property
    def padded(self) -> int:
        """Steps of the padded tensor: N·L."""
        return self.N * self.L

    @property
    def saved(self) -> int:
        """Steps of padding that nobody computes: N·L - sum(lengths)."""
        return self.padded - self.T

    @property
    def share(self) -> float:
        """The part of the padded steps that is saved, from 0 to 1."""
        return self.saved / self.padded

    @property
    def sorted_lengths(self) -> tuple[int, ...]:
        """The lengths, longest first."""
        return tuple(self.lengths[row] for row in self.sorted_indices)

    @property
    def unsorted_indices(self) -> tuple[int, ...]:
        """Where each row went: the inverse permutation of `sorted_indices`."""
        places = [0] * self.N
        for place, row in enumerate(self.sorted_indices):
            places[row] = place
        return tuple(places)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """How many rows have a step 0, a step 1, …: one entry for each step of the longest row."""
        rows = sorted(self.lengths)
        return tuple(self.N - bisect_right(rows, step) for step in range(rows[-1]))

    def batch_size(self, step: int) -> int:
        """How many rows are longer than `step`: the height of the staircase there."""
        return sum(length > step for length in self.lengths)

    @property
    def ties(self) -> bool:
        """Whether two rows have one length, which leaves their order in `data` to torch's sort."""
        return len(set(self.lengths)) < self.N

    def entries(self) -> Iterator[tuple[int, int]]:
        """Which (row, step) each of the T entries of `data` is, in order."""
        for step, rows in enumerate(self.batch_sizes):
            for row in self.sorted_indices[:rows]:
                yield row, step

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "lengths": list(self.lengths),
            "L": self.L,
            "batch_sizes": list(self.batch_sizes),
            "sorted_indices": list(self.sorted_indices),
            "unsorted_indices": list(self.unsorted_indices),
            "steps": self.T,
            "padded_steps": self.padded,
            "saved_steps": self.saved,
            "saved_share": self.share,
        }
