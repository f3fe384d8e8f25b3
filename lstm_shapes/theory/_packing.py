"""Packing: what a PackedSequence holds for given lengths, without torch.

`pack_padded_sequence` lays rows of different lengths in one tensor `data`, step by step: first step 0 of every row,
longest row first, then step 1 of the rows that have one, and so on. Padding is left out, so nobody computes it.

Source: `pack_padded_sequence` in `torch/nn/utils/rnn.py`, `_pack_padded_sequence` in
`aten/src/ATen/native/PackedSequence.cpp`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from .call import Call


@dataclass(frozen=True, slots=True)
class Packing:
    """N rows of given lengths, padded to L steps, and how they lie in a PackedSequence.

    >>> packing = Packing.of((3, 5, 2))
    >>> packing.batch_sizes, packing.sorted_indices, packing.unsorted_indices
    ((3, 3, 2, 1, 1), (1, 0, 2), (1, 0, 2))
    >>> packing.T, packing.padded, packing.saved, packing.share
    (10, 15, 5, 0.3333333333333333)
    """

    lengths: tuple[int, ...]
    L: int

    @classmethod
    def of(cls, lengths: Iterable[int], L: int | None = None) -> Packing:
        """Rows of these lengths, padded to L, or to the longest.

        Raises: SpecError for a length that is none, ShapeError for an L that does not fit.
        """
        call = Call.padded(lengths, L)
        return cls(call.lengths or (), call.L)

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
    def sorted_indices(self) -> tuple[int, ...]:
        """The rows, longest first; those of one length in the order in which they came in.

        torch's sort promises no order among equals (torch 2.13 keeps it for up to 16 rows on a CPU, not beyond), so
        where `ties` is true torch's may differ. Nothing else depends on it: every row still gets its own result back.
        """
        return tuple(sorted(range(self.N), key=lambda row: -self.lengths[row]))

    @property
    def ties(self) -> bool:
        """Whether two rows have one length, which leaves their order in `data` to torch's sort."""
        return len(set(self.lengths)) < self.N

    @property
    def sorted_lengths(self) -> tuple[int, ...]:
        """The lengths, longest first."""
        return tuple(sorted(self.lengths, reverse=True))

    @property
    def unsorted_indices(self) -> tuple[int, ...]:
        """Where each row went: the inverse permutation of `sorted_indices`."""
        order = self.sorted_indices
        return tuple(sorted(range(self.N), key=order.__getitem__))

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """How many rows have a step 0, a step 1, …: one entry for each step of the longest row."""
        rows = sorted(self.lengths)
        return tuple(self.N - bisect_right(rows, step) for step in range(rows[-1]))

    def batch_size(self, step: int) -> int:
        """How many rows are longer than `step`: the height of the staircase there."""
        return sum(length > step for length in self.lengths)
