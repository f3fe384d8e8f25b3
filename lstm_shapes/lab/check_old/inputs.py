"""The inputs as slots whose batch and time axes are known, and the variants of them that experiments run with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .values import rebuild

__all__ = ["Inputs", "Slot"]


@dataclass(eq=False, slots=True)
class Slot:
    """One tensor of the inputs. `batch` and `time` are axes, None where there is none; `fixed` is never perturbed."""

    value: Any
    batch: int | None
    time: int | None
    fixed: bool

    @property
    def tensor(self) -> Tensor:
        data: Tensor = self.value.data if isinstance(self.value, PackedSequence) else self.value
        return data


class Inputs:
    """What the callable is given, and N and L as the caller means them."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], batch_dim: int | None, lengths: Any) -> None:
        self._given = (args, kwargs)
        self.batch_dim = batch_dim
        self.lengths = _whole(lengths)
        values: list[Any] = []

        def note(value: Any) -> Any:
            values.append(value)
            return value

        rebuild(self._given, note)
        self.N = self._count(values)
        self.slots = [self._slot(value) for value in values]
        self.L = next((s.tensor.size(s.time) for s in self.slots if s.time is not None), 0)
        self._masks()

    def _count(self, values: list[Any]) -> int:
        if self.batch_dim is None:
            return 1
        for value in values:
            if isinstance(value, PackedSequence):
                return int(value.batch_sizes[0])
            if isinstance(value, Tensor) and value.dim() > self.batch_dim and not self._is_lengths(value):
                return value.size(self.batch_dim)
        return 0

    def _is_lengths(self, value: Any) -> bool:
        mine = _whole(value)
        return mine is not None and mine == self.lengths

    def _slot(self, value: Any) -> Slot:
        if isinstance(value, PackedSequence):
            return Slot(value, None, None, False)
        if not isinstance(value, Tensor):
            return Slot(value, 0 if len(value) == self.N else None, None, True)
        batch: int | None = None
        if self.batch_dim is not None:
            sizes = list(value.shape)
            if value.dim() > self.batch_dim and sizes[self.batch_dim] == self.N:
                batch = self.batch_dim
            elif self.N in sizes:
                batch = sizes.index(self.N)
        counts = not value.is_floating_point() and value.dim() <= 1
        others = [axis for axis in range(value.dim()) if axis != batch]
        sequence = value.dim() >= 3 or (value.dim() == 2 and (not value.is_floating_point() or self.batch_dim is None))
        time = others[0] if sequence and others and batch in (0, 1, None) else None
        fixed = (
            value.dtype == torch.bool or value.is_complex() or value.numel() == 0 or counts or self._is_lengths(value)
        )
        return Slot(value, batch, time, fixed)

    def _masks(self) -> None:
        """A (N, L) tensor of zeros and ones beside other data says which steps are real: it is cut, never perturbed."""
        if sum(not slot.fixed for slot in self.slots) < 2:
            return
        for slot in self.slots:
            value = slot.value
            if isinstance(value, Tensor) and value.dim() == 2 and slot.batch is not None and not slot.fixed:
                other = 1 - slot.batch
                if value.size(other) == self.L and bool(((value == 0) | (value == 1)).all()):
                    slot.fixed, slot.time = True, other

    # ------------------------------------------------------------------ variants
    def same(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Copies: the model may write into what it is given, the caller's tensors stay as they are."""
        return self._with(lambda slot: _copy(slot.value))

    def leaves(self) -> tuple[tuple[tuple[Any, ...], dict[str, Any]], dict[int, Tensor]]:
        """Copies that gradients can be taken for, and the leaf behind each slot."""
        found: dict[int, Tensor] = {}
        place = iter(range(len(self.slots)))

        def change(slot: Slot) -> Any:
            k, value = next(place), _copy(slot.value)
            if isinstance(value, Tensor) and value.is_floating_point() and not slot.fixed and not value.is_inference():
                found[k] = value.requires_grad_()
                return value * 1  # no leaf: the model may write into it
            return value

        return self._with(change), found

    def sample(self, i: int, seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sample i replaced by other data of the same range, everything else as it was."""

        def change(slot: Slot) -> Any:
            if isinstance(slot.value, PackedSequence):
                return _packed_sample(slot.value, i, seed)
            if slot.fixed or slot.batch is None:
                return _copy(slot.value)
            new = slot.value.clone()
            row = new.select(slot.batch, i)
            row.copy_(_other(row, slot.value, seed + 17 * i))
            return new

        return self._with(change)

    def beyond(self, lengths: list[int], seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Other data past each row's length."""

        def change(slot: Slot) -> Any:
            if slot.fixed or slot.batch is None or slot.time is None or slot.value.size(slot.time) < max(lengths):
                return _copy(slot.value)
            new = slot.value.clone()
            rows = new.movedim((slot.batch, slot.time), (0, 1))
            other = _other(rows, slot.value, seed)
            for row, n in enumerate(lengths):
                rows[row, n:] = other[row, n:]
            return new

        return self._with(change)

    def alone(self, i: int, length: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Row i as a batch of one, cut to its own length."""

        def change(slot: Slot) -> Any:
            if slot.batch is None:
                return _copy(slot.value)
            if not isinstance(slot.value, Tensor):
                return type(slot.value)([slot.value[i]])
            row = slot.value.narrow(slot.batch, i, 1)
            if slot.time is not None and slot.value.size(slot.time) == self.L:
                row = row.narrow(slot.time, 0, length)
            return row.clone()

        return self._with(change)

    def wider(self, rows: int = 1, steps: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """More samples, more steps: sizes that are equal by chance come apart."""

        def change(slot: Slot) -> Any:
            value = slot.value
            if not isinstance(value, Tensor):
                return _copy(value) if slot.batch is None else type(value)([*value, *list(value)[-1:] * rows])
            if slot.batch is not None and rows:
                last = value.narrow(slot.batch, value.size(slot.batch) - 1, 1)
                value = torch.cat([value, *[last] * rows], dim=slot.batch)
            if slot.time is not None and steps and slot.value.size(slot.time) == self.L:
                last = value.narrow(slot.time, value.size(slot.time) - 1, 1)
                value = torch.cat([value, *[last] * steps], dim=slot.time)
            return value.clone()

        return self._with(change)

    def _with(self, change: Callable[[Slot], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        slots = iter(self.slots)
        args, kwargs = rebuild(self._given, lambda _: change(next(slots)))
        return args, kwargs

    @property
    def movable(self) -> bool:
        """Whether there is anything that can be perturbed sample by sample."""
        return any(not s.fixed and (s.batch is not None or isinstance(s.value, PackedSequence)) for s in self.slots)


def _whole(value: Any) -> list[int] | None:
    """Lengths as a list of ints, or None."""
    if isinstance(value, Tensor):
        if value.dim() != 1 or value.is_floating_point() or value.dtype == torch.bool:
            return None
        return [int(n) for n in value.tolist()]
    if isinstance(value, (list, tuple)) and value and all(isinstance(n, int) or hasattr(n, "__index__") for n in value):
        return [int(n) for n in value]
    return None


def _copy(value: Any) -> Any:
    if isinstance(value, PackedSequence):
        return PackedSequence(value.data.clone(), value.batch_sizes, value.sorted_indices, value.unsorted_indices)
    if isinstance(value, Tensor):
        copy = value.detach().clone()
        return copy.requires_grad_() if value.requires_grad and value.is_leaf and not copy.is_inference() else copy
    return type(value)(value)


def _other(part: Tensor, whole: Tensor, seed: int) -> Tensor:
    """Other values of the same kind and range; whole numbers keep to those that occur, and 0 (padding) stays 0."""
    draw = torch.Generator().manual_seed(1234 + seed)
    if part.is_floating_point():
        finite = whole.detach().float()
        finite = finite[torch.isfinite(finite)]
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
        if low == high:
            low, high = low - 1.0, high + 1.0
        fresh = torch.rand(part.shape, generator=draw) * (high - low) + low
        return fresh.to(part.device, part.dtype)
    values = torch.unique(whole)
    kept = values[values != 0]
    if kept.numel() < 2:
        low = int(values.min())
        return torch.full_like(part, low - 1) if low > 0 else torch.where(part == 0, 1, 0).to(part.dtype)
    place = torch.searchsorted(kept, part.contiguous())
    step = torch.randint(1, kept.numel(), part.shape, generator=draw).to(part.device)
    fresh = kept[(place.clamp(max=kept.numel() - 1) + step) % kept.numel()]
    return torch.where(part == 0, part, fresh)


def _packed_sample(value: PackedSequence, i: int, seed: int) -> PackedSequence:
    """A packed sequence with the steps of one sample replaced."""
    row = i if value.unsorted_indices is None else int(value.unsorted_indices[i])
    data, start = value.data.clone(), 0
    fresh = _other(data, value.data, seed + 17 * i)
    for size in value.batch_sizes.tolist():
        if row < size:
            data[start + row] = fresh[start + row]
        start += size
    return PackedSequence(data, value.batch_sizes, value.sorted_indices, value.unsorted_indices)
