"""The inputs as slots whose batch and time axes are known, and the variants of them that experiments run with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab._build import PLAIN
from lstm_shapes.lab.trace import Call, LayerCall, Trace, Value, is_loss, parts, rebuild
from lstm_shapes.lab.trace._families import MOVES, names_in

Given = tuple[tuple[Any, ...], dict[str, Any]]

# Functions behind which a token is a token still.
_KEEPS = MOVES | names_in("contiguous clone detach to long int cpu data")
_COMPARES = names_in("eq ne gt lt ge le bool sign clamp count_nonzero")
_READS_TOKENS = names_in("embedding embedding_bag one_hot")


@dataclass(eq=False, slots=True)
class Slot:
    """One tensor, packed sequence or list of numbers among the inputs.

    `batch` and `time` are axes, None where there is none; `fixed` is never replaced (lengths, masks); `mask`: its
    numbers are flags; `uneven`: it holds several rows of each sample, in an order that is not known.
    """

    index: int
    value: Any
    batch: int | None
    time: int | None
    fixed: bool
    mask: bool = False
    uneven: bool = False

    @property
    def tensor(self) -> Tensor:
        data: Tensor = self.value.data if isinstance(self.value, PackedSequence) else self.value
        return data

    @property
    def movable(self) -> bool:
        """Whether a sample of it can be replaced."""
        return not self.fixed and (self.batch is not None or isinstance(self.value, PackedSequence))


class Inputs:
    """What the callable is given, and N as the caller means it."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], batch_dim: int | None, lengths: Any) -> None:
        self.args, self.kwargs = args, kwargs
        self.batch_dim = batch_dim
        self.lengths = whole_numbers(lengths)
        self.padding_ids: set[int] = set()  # that embeddings hold for padding
        self.compares_tokens = False  # a mask or a length is made of tokens in the program
        values = parts((args, kwargs))
        self.N, axis = (1, 0) if batch_dim is None else (0, batch_dim)
        for value in values if batch_dim is not None else ():
            packed = isinstance(value, PackedSequence)
            if packed or (isinstance(value, Tensor) and value.dim() > axis and not self._is_lengths(value)):
                self.N = int(value.batch_sizes[0]) if packed else value.size(axis)
                break
        self.slots = [self._slot(k, value) for k, value in enumerate(values)]

    def _is_lengths(self, value: Any) -> bool:
        return self.lengths is not None and whole_numbers(value) == self.lengths

    def _slot(self, k: int, value: Any) -> Slot:
        if isinstance(value, PackedSequence):
            return Slot(k, value, None, None, False)
        if not isinstance(value, Tensor):
            return Slot(k, value, 0 if len(value) == self.N else None, None, True)
        batch: int | None = None
        if self.batch_dim is not None:
            sizes = list(value.shape)
            if value.dim() > self.batch_dim and sizes[self.batch_dim] == self.N:
                batch = self.batch_dim
            elif self.N in sizes:
                batch = sizes.index(self.N)
        uneven = batch is None and self.batch_dim == 0 and self.N > 1 and value.dim() > 1 and not value.size(0) % self.N
        others = [axis for axis in range(value.dim()) if axis != batch]
        sequence = value.dim() >= 3 or (value.dim() == 2 and (not value.is_floating_point() or self.batch_dim is None))
        time = others[0] if sequence and others and batch in (0, 1, None) else None
        fixed = value.dtype == torch.bool or value.is_complex() or value.numel() == 0 or self._is_lengths(value)
        return Slot(k, value, batch, time, fixed or _opaque(value), uneven=uneven)

    # ------------------------------------------------------------------ what the run showed of them
    def learn(self, trace: Trace, layers: Sequence[LayerCall]) -> None:
        """Read from a run which inputs are states, tokens, lengths and masks."""
        by_slot = {slot.index: slot for slot in self.slots}
        movable = [slot for slot in self.slots if slot.movable]
        for value in trace.inputs:
            slot = by_slot.get(int(value.origin.split()[1]))
            if slot is None or not isinstance(slot.value, Tensor):
                continue
            if any(value in layer.states.values() and not layer.cell for layer in layers) and slot.tensor.dim() == 3:
                apart = self.batch_dim is not None and slot.tensor.size(1) == self.N
                slot.batch, slot.time = 1 if apart else None, None
            if not slot.tensor.is_floating_point() and not slot.fixed:
                slot.fixed = not _is_data(value, len(movable))
                self.compares_tokens |= any(call.name.strip("_") in _COMPARES for call in value.readers)
            elif len(movable) > 1 and slot.batch is not None:  # numbers that may be flags, a row for each sample
                tensor = slot.tensor
                dense = tensor.dim() in (1, 2) and tensor.numel() > 1 and not _opaque(tensor)
                if dense and bool(((tensor == 0) | (tensor == 1)).all()) and bool((tensor == 1).any()):
                    slot.fixed = slot.mask = True
        ids = (call.argument(2, "padding_idx") for call in trace.calls if call.name == "embedding")
        self.padding_ids = {i for i in ids if isinstance(i, int) and i >= 0}

    # ------------------------------------------------------------------ variants
    def same(self) -> Given:
        """Copies: the model may write into what it is given, the caller's tensors stay as they are."""
        return self._with(lambda slot: _copy(slot.value))

    @property
    def pads(self) -> set[int]:
        """The ids that may be padding: 0, and those that embeddings hold for it."""
        return {0} | self.padding_ids

    @property
    def masks(self) -> list[Slot]:
        """The slots of flags, a row for each sample."""
        slots = [s for s in self.slots if isinstance(s.value, Tensor) and s.batch is not None and s.value.numel()]
        return [slot for slot in slots if slot.mask or slot.value.dtype == torch.bool]

    def counts(self) -> dict[int, list[int]]:
        """The slots that hold one length for each sample, by index."""
        data = [slot for slot in self.slots if slot.time is not None and slot.batch is not None]
        longest = max((slot.tensor.shape[slot.time or 0] for slot in data), default=0)
        found = {slot.index: whole_numbers(slot.value) for slot in self.slots if slot.fixed and slot.batch is not None}
        counted = {k: numbers for k, numbers in found.items() if numbers is not None and len(numbers) == self.N}
        return {k: numbers for k, numbers in counted.items() if 1 < max(numbers) <= longest and min(numbers) >= 0}

    def sample(self, i: int, seed: int = 0, *, masks: bool = False) -> Given:
        """Sample i replaced by other values of the same kind, with `masks` its flags and its length too."""
        flags = {slot.index for slot in self.masks} if masks else set()
        counts = self.counts() if masks else {}

        def change(slot: Slot) -> Any:
            if isinstance(value := slot.value, PackedSequence):
                row = i if value.unsorted_indices is None else int(value.unsorted_indices[i])
                sizes, data = value.batch_sizes, value.data.detach().clone()
                at = (sizes.cumsum(0) - sizes + row)[sizes > row].to(data.device)
                data[at] = _other(data, data, seed + 17 * i, self.pads)[at]
                return value._replace(data=data)
            if slot.index in counts:
                return _counting(slot.value, _other_length(counts[slot.index], i))
            new = _copy(slot.value)
            if slot.movable or slot.index in flags:
                with torch.inference_mode(new.is_inference()), torch.no_grad():
                    row, flag = new.select(slot.batch, i), slot.index in flags
                    row.copy_(_flipped(row, i) if flag else _other(row, slot.value, seed + 17 * i, self.pads))
                    if masks and not flag:
                        _pad_more(slot, new, i, self.pads)
            return new

        return self._with(change)

    def cut(self, axes: dict[int, tuple[int, ...]], length: int, counts: dict[int, list[int]]) -> Given:
        """Every slot k cut to `length` along the axes axes[k]; the lengths in counts[k] limited to it."""

        def change(slot: Slot) -> Any:
            if slot.index in counts:
                return _counting(slot.value, [min(n, length) for n in counts[slot.index]])
            value = slot.value
            for axis in axes.get(slot.index, ()):
                value = value.narrow(axis, 0, length)
            return _copy(value)

        return self._with(change)

    def wider(self, rows: int = 1, steps: int = 0, *, front: bool = False) -> Given:
        """More samples, more steps: sizes that are equal by chance come apart. `front`: the first sample once more."""

        def change(slot: Slot) -> Any:
            value = slot.value
            if not isinstance(value, (Tensor, PackedSequence)) and slot.batch is not None:
                return type(value)([*list(value)[:1] * rows, *value] if front else [*value, *list(value)[-1:] * rows])
            for axis, more in ((slot.batch, rows), (slot.time, steps)):
                if axis is not None and more and value.size(axis):
                    added = [value.narrow(axis, 0 if front else value.size(axis) - 1, 1)] * more
                    value = torch.cat([*added, value] if front else [value, *added], dim=axis)
            return _copy(value)

        return self._with(change)

    def _with(self, change: Callable[[Slot], Any]) -> Given:
        slots = iter(self.slots)
        args, kwargs = rebuild((self.args, self.kwargs), lambda _: change(next(slots)))
        return args, kwargs

    @property
    def movable(self) -> list[Slot]:
        """The slots in which a sample can be replaced."""
        return [slot for slot in self.slots if slot.movable]


def _opaque(value: Tensor) -> bool:
    """Whether elements cannot be taken out row by row: sparse in any layout, quantised, or without memory."""
    return value.layout != torch.strided or value.is_quantized or value.is_meta


def _flipped(row: Tensor, i: int) -> Tensor:
    """Other flags: about a third of them turned over, the first of all kept, and never all off."""
    turned = (torch.rand(row.shape, generator=torch.Generator().manual_seed(99 + i), **PLAIN) < 0.34).to(row.device)
    turned |= ~turned.any()
    if row.dim():
        turned[(0,) * row.dim()] = row.numel() == 1
    other = torch.where(turned, 1 - row.to(torch.int8), row.to(torch.int8)).to(row.dtype)
    return other if bool((other != 0).any()) or not bool((row != 0).any()) else row.clone()


def _counting(value: Any, numbers: list[int]) -> Any:
    """Numbers in the form that others were given in."""
    if isinstance(value, Tensor):
        return torch.tensor(numbers, dtype=value.dtype, device=value.device).view_as(value)
    return type(value)(numbers)


def _other_length(lengths: list[int], i: int) -> list[int]:
    """Another length for sample i, between those of the others where there is room, so that their order stays."""
    n, before, behind = lengths[i], lengths[:i], lengths[i + 1 :]
    others = before + behind
    if n > max(others, default=0):
        return lengths  # the longest sets the shape of what is padded
    below = max((m for m in others if m < n), default=0)
    above = min((m for m in others if m > n), default=max(others))
    room = [m for m in range(below + 1, above) if m != n] or [m for m in (below, above) if m > 0 and m != n]
    if all(a >= b for a, b in pairwise(lengths)):  # sorted by whoever calls, as packing may ask
        room = [m for m in room if all(m <= k for k in before) and all(m >= k for k in behind)]
    return [*before, room[len(room) // 2] if len(room) > 2 else room[0], *behind] if room else lengths


def _pad_more(slot: Slot, new: Tensor, i: int, pads: set[int]) -> None:
    """End a row of tokens one step earlier, where rows that are shorter end in padding."""
    if slot.tensor.is_floating_point() or slot.tensor.dim() != 2 or slot.batch is None:
        return
    rows = slot.tensor.movedim(slot.batch, 0)
    for pad in pads:
        ends = steps_up_to_last(rows != pad)
        if min(ends) < rows.size(1) and 1 < ends[i] <= max(ends[:i] + ends[i + 1 :]):
            new.select(slot.batch, i)[ends[i] - 1] = pad


def steps_up_to_last(real: Tensor) -> list[int]:
    """How many steps each row of flags (N, L) has, to its last true one."""
    return [int(row.nonzero().max()) + 1 if bool(row.any()) else 0 for row in real]


def _is_data(value: Value, movable: int) -> bool:
    """Whether whole numbers are tokens or classes: they reach a table of vectors, a loss, or nothing else is data."""

    def moves(call: Call, given: Value) -> bool:
        first = call.args[0] if call.args else given
        return call.name in _KEEPS and (first is given or isinstance(first, tuple))

    readers = (call.name for moved in value.way_on(moves) for call in moved.readers)
    return movable == 1 or any(name in _READS_TOKENS or is_loss(name) for name in readers)


def whole_numbers(value: Any) -> list[int] | None:
    """Lengths as a list of ints, or None."""
    if isinstance(value, Tensor):
        counts = not value.is_floating_point() and value.dtype != torch.bool and not value.is_meta
        column = value.dim() == 1 or (value.dim() == 2 and 1 in value.shape)
        return [int(n) for n in value.flatten().tolist()] if counts and column else None
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)) and value and all(hasattr(n, "__index__") for n in value):
        return [int(n) for n in value]
    return None


def _copy(value: Any) -> Any:
    if isinstance(value, PackedSequence):
        return value._replace(data=value.data.clone())
    if isinstance(value, Tensor):
        with torch.inference_mode(value.is_inference()):
            copy = value.detach().clone()
        return copy.requires_grad_() if value.requires_grad and value.is_leaf and not copy.is_inference() else copy
    return type(value)(value)


def _other(part: Tensor, whole: Tensor, seed: int, pads: set[int]) -> Tensor:
    """Other values of the same kind and range; whole numbers keep to those that occur, and padding stays."""
    draw = torch.Generator().manual_seed(1234 + seed)
    if part.is_floating_point():
        finite = whole.detach().float()
        finite = finite[torch.isfinite(finite)]
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
        low, high = (low - 1.0, high + 1.0) if low == high else (low, high)
        fresh = torch.rand(part.shape, generator=draw, **PLAIN) * (high - low) + low
        if fresh.numel() > 2 and not 0 <= low <= high <= 1:  # so that the largest and the smallest of all move too
            fresh.view(-1)[:2] = fresh.new_tensor([high + 0.25 * (high - low), low - 0.25 * (high - low)])
        # A step of zeros only is padding, unless all is zero.
        padding = (part == 0).all(-1, keepdim=True) if part.dim() > 1 else torch.zeros_like(part, dtype=torch.bool)
        return torch.where(padding & ~padding.all(), part, fresh.to(part.device, part.dtype))
    pad = torch.tensor(sorted(pads), device=part.device).to(part.dtype)
    padding, values = torch.isin(part, pad), torch.unique(whole)
    padding &= ~padding.all()
    kept = values[~torch.isin(values, pad)]
    if kept.numel() < 2:
        low = int(values.min())
        other = torch.full_like(part, low - 1) if low > 1 else torch.where(part == low, low + 1, low).to(part.dtype)
        return torch.where(padding, part, other)
    place = torch.searchsorted(kept, part.contiguous()).clamp(max=kept.numel() - 1)
    step = torch.randint(1, kept.numel(), part.shape, generator=draw, device="cpu").to(part.device)
    return torch.where(padding, part, kept[(place + step) % kept.numel()])
