"""Call: how much data one call of the layer gets. The other half of a prediction, beside Spec."""

from __future__ import annotations

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

    `lengths`, one entry a sequence, says that rows are padded to L and packed.

    >>> Call.of(Spec(28, 256), N=2, L=20).T
    40
    >>> Call.of(Spec(28, 256), lengths=(5, 3)).T
    8
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
        call = cls.padded(lengths, L)
        if N is None:
            raise ShapeError("lengths", "left out for one unbatched sequence", got=call.lengths, hint="Give L instead")
        if whole("N (batch size)", N) != call.N and N is not DEFAULT_N:
            raise ShapeError("lengths", "one entry for each of N sequences", expected=N, got=call.N)
        return call

    @classmethod
    def padded(cls, lengths: Iterable[int], L: Any = None) -> Call:
        """Rows of these lengths, padded to L steps, or to the longest.

        Raises: SpecError for a length that is none, ShapeError for one beyond L.
        """
        rule = "one whole number for each sequence"
        try:
            entries = tuple(lengths.tolist() if hasattr(lengths, "tolist") else lengths)
        except TypeError:
            raise SpecError("lengths", rule, lengths) from None
        if isinstance(lengths, (str, bytes)):  # they iterate, too, but over letters
            raise SpecError("lengths", rule, lengths)
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


def dtype_name(dtype: object) -> str:
    """`"float32"` for `"float32"`, `torch.float32`, or the string torch prints for it.

    >>> dtype_name("torch.bfloat16")
    'bfloat16'

    Raises: SpecError for a dtype the layers do not have.
    """
    name = str(dtype).removeprefix("torch.")
    name = {"float": "float32", "double": "float64", "half": "float16"}.get(name, name)
    if name not in DTYPES:
        raise SpecError("dtype", f"one of {', '.join(DTYPES)}", dtype)
    return name
