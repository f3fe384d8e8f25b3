"""Call: how much data one call of the layer gets, and how rows of different lengths are packed.

`pack_padded_sequence` lays rows of different lengths in one tensor `data`, step by step: first step 0 of every row,
longest row first, then step 1 of the rows that have one, and so on. Padding is left out, so nobody computes it.

Source: `pack_padded_sequence` in `torch/nn/utils/rnn.py`, `_pack_padded_sequence` in
`aten/src/ATen/native/PackedSequence.cpp`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lstm_shapes.errors import ShapeError, SpecError

from .spec import Spec, whole

__all__ = ["DEFAULT_N", "DTYPES", "Call", "dtype_name"]

# Bytes of one element. The recurrent layers take floating point only.
DTYPES: dict[str, int] = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


class _Default(int):
    """A default that is a number and can still be told from the same number given on purpose."""


# `lengths` replaces a batch size that nobody asked for, and contradicts one that somebody did.
DEFAULT_N: int = _Default(2)


@dataclass(frozen=True, slots=True)
class Call:
    """The sizes of one call: N sequences of L steps, or one unbatched sequence (N is None).

    `lengths`, one entry a sequence, says that rows are padded to L and packed; then the call also knows how they lie in
    a PackedSequence.

    >>> Call.of(Spec(28, 256), N=2, L=20).T
    40
    >>> call = Call.of(Spec(28, 256), lengths=(3, 5, 2))
    >>> call.batch_sizes, call.sorted_indices, call.unsorted_indices
    ((3, 3, 2, 1, 1), (1, 0, 2), (1, 0, 2))
    >>> call.T, call.padded, call.saved, call.share
    (10, 15, 5, 0.3333333333333333)
    """

    N: int | None = 2
    L: int = 20
    lengths: tuple[int, ...] | None = None

    @classmethod
    def of(cls, spec: Spec, N: Any = DEFAULT_N, L: Any = None, lengths: Iterable[int] | None = None) -> Call:
        """The call that these arguments mean for this layer, validated.

        `lengths` may come from a list or a tensor; it gives N, and L where L is left out. L is 20 by default.

        Raises: SpecError for a size that is none, ShapeError where the sizes contradict each other.
        """
        if lengths is None:
            rows = None if N is None else whole("N (batch size)", N)
            return cls(rows, 1 if spec.kind.step else whole("L (steps)", 20 if L is None else L))
        if spec.kind.step:
            hint = f"A cell does one step; use cell={spec.kind.layer!r} for padded sequences"
            raise ShapeError("lengths", f"left out for {spec.cell}", got=lengths, hint=hint)
        call = cls.of_lengths(lengths, L)
        if N is None:
            raise ShapeError("lengths", "left out for one unbatched sequence", got=call.lengths, hint="Give L instead")
        if whole("N (batch size)", N) != call.N and N is not DEFAULT_N:
            raise ShapeError("lengths", "one entry for each of N sequences", expected=N, got=call.N)
        return call

    @classmethod
    def of_lengths(cls, lengths: Iterable[int], L: Any = None) -> Call:
        """Rows of these lengths, padded to L steps, or to the longest.

        Raises: SpecError for a length that is none, ShapeError for one beyond L.
        """
        rule = "one whole number for each sequence"
        entries = lengths.tolist() if hasattr(lengths, "tolist") else lengths
        if not isinstance(entries, Iterable) or isinstance(entries, (str, bytes)):  # those iterate over letters
            raise SpecError("lengths", rule, lengths)
        entries = tuple(entries)
        if not entries:
            raise SpecError("lengths", rule, lengths, "It is empty")
        entries = tuple(whole(f"lengths[{row}]", entry) for row, entry in enumerate(entries))
        steps = max(entries) if L is None else whole("L (steps)", L)
        if max(entries) > steps:
            hint = f"The longest sequence has {max(entries)} steps, so L is at least that"
            raise ShapeError("lengths", "at most L each", expected=steps, got=entries, hint=hint)
        return cls(len(entries), steps, entries)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"N": self.N, "L": self.L, "lengths": None if self.lengths is None else list(self.lengths)}

    @property
    def batched(self) -> bool:
        """False for one sequence without a batch axis."""
        return self.N is not None

    @property
    def short(self) -> bool:
        """Whether a row has fewer than L steps, so that there is padding."""
        return self.lengths is not None and min(self.lengths) < self.L

    @property
    def T(self) -> int:
        """Steps the layer really computes, over all sequences: N·L, or the sum of lengths when packed."""
        return sum(self.lengths) if self.lengths is not None else (self.N or 1) * self.L

    @property
    def T_formula(self) -> str:
        """`T` in symbols: what was multiplied or added."""
        if self.lengths is not None:
            return "sum(lengths)"
        return "N·L" if self.batched else "L"

    @property
    def padded(self) -> int:
        """Steps of the padded tensor: N·L."""
        return (self.N or 1) * self.L

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
        lengths = self.lengths or ()
        return tuple(sorted(range(len(lengths)), key=lambda row: -lengths[row]))

    @property
    def ties(self) -> bool:
        """Whether two rows have one length, which leaves their order in `data` to torch's sort."""
        return self.lengths is not None and len(set(self.lengths)) < len(self.lengths)

    @property
    def sorted_lengths(self) -> tuple[int, ...]:
        """The lengths, longest first."""
        return tuple(sorted(self.lengths or (), reverse=True))

    @property
    def unsorted_indices(self) -> tuple[int, ...]:
        """Where each row went: the inverse permutation of `sorted_indices`."""
        order = self.sorted_indices
        return tuple(sorted(range(len(order)), key=order.__getitem__))

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """How many rows have a step 0, a step 1, …: one entry for each step of the longest row."""
        rows = sorted(self.lengths or ())
        return tuple(len(rows) - bisect_right(rows, step) for step in range(rows[-1] if rows else 0))

    def length(self, row: int | None) -> int:
        """Steps of one row; L where none is meant, or where the rows are alike."""
        return self.lengths[row] if self.lengths and row is not None else self.L

    def batch_size(self, step: int) -> int:
        """How many rows are longer than `step`: the height of the staircase there."""
        return sum(length > step for length in self.lengths or ())


def kind_of(dtype: object) -> str:
    """A data type, or a layout, without `torch.`."""
    return str(dtype).removeprefix("torch.")


def dtype_name(dtype: object) -> str:
    """`"float32"` for `"float32"`, `torch.float32`, or the string torch prints for it.

    >>> dtype_name("torch.bfloat16")
    'bfloat16'

    Raises: SpecError for a dtype the layers do not have.
    """
    name = kind_of(dtype)
    name = {"float": "float32", "double": "float64", "half": "float16"}.get(name, name)
    if name not in DTYPES:
        raise SpecError("dtype", f"one of {', '.join(DTYPES)}", dtype)
    return name
