"""Packing and padding: lengths that do not belong to the data, and steps that packing has taken off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lstm_shapes.lab.trace import Call, Value
from lstm_shapes.lab.words import argument_text, chained, kind_of, layout_of

from .raised import RECURRENT_MODULES, Explanation, Raised, Try

__all__ = ["ITS_OWN", "packing", "sorted_from"]

_REFUSES = {
    "pack_padded_sequence": "its lengths",
    "pad_packed_sequence": "what it is given",
    "pack_sequence": "its list",
    "pad_sequence": "its list",
}
ITS_OWN = "one length a row; packing has a batch_first of its own"
Look = tuple[str, list[Try]]


def packing(raised: Raised) -> Explanation | None:
    """A packing function that raised, packed rows that a layer refuses, or lost steps that are missed."""
    for frame in reversed(raised.functions):
        name = frame.f_code.co_name
        if name in _REFUSES and "nn/utils/rnn.py" in frame.f_code.co_filename.replace("\\", "/"):
            measured, fixes = _LOOKS[name](raised, frame.f_locals) or (raised.message, [])
            operands = [v for v in raised.call.inputs if not v.parameter] if raised.call is not None else []
            return Explanation("LS108", f"{name} refuses {_REFUSES[name]}", measured, fixes, operands)
    entered = raised.module
    x = entered.args[0] if entered is not None and entered.args else None
    if entered is not None and isinstance(entered.module, RECURRENT_MODULES) and isinstance(x, PackedSequence):
        return _in_layer(raised, x)
    return _lost_steps(raised)


def sorted_from(call: Call) -> Value:
    """The data that a packing call was given, before it put the rows in the order of their lengths."""
    data, sorting = call.inputs[0], call.inputs[0].maker
    theirs = sorting is not None and (sorting.name, sorting.line) == ("index_select", call.line)
    return sorting.inputs[0] if sorting is not None and theirs else data


# ---------------------------------------------------------------------- lengths beside data
@dataclass
class _Packing:
    """Data and lengths of a call of pack_padded_sequence, and what the user calls them."""

    x: Tensor
    lengths: Any
    batch_first: bool
    name: str
    word: str
    shape: str

    def tried(self, text: str, x: Tensor | None, lengths: Any, rank: float = 0.0, **options: Any) -> Try:
        """A call of pack_padded_sequence. Lengths that do not belong to the rows can pack, so the steps count too."""

        def holds() -> bool:
            given = {"batch_first": self.batch_first, "enforce_sorted": False, **options}
            packed = pack_padded_sequence(self.x if x is None else x, lengths, **given)
            return int(packed.batch_sizes.sum()) == packed.data.size(0) and int(packed.batch_sizes[0]) > 0

        return Try(text, holds, rank)

    def look(self) -> Look:
        """The first thing that is wrong with the lengths, and what makes them right."""
        lengths, word = self.lengths, self.word
        if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
            fix = f"pack_padded_sequence({self.name}, {chained(word, '.cpu()')}, batch_first={self.batch_first})"
            why = f"lengths are on {lengths.device}; they must be on the CPU, wherever the data are"
            return why, [Try(fix, lambda: True)]
        if self.x.dim() < 2:
            return f"the data {tuple(self.x.shape)} have no batch axis to pack", []
        if isinstance(lengths, Tensor) and lengths.dim() != 1:
            why = f"lengths have the shape {tuple(lengths.shape)}; they are one whole number a row, (N,)"
            return why, [self.tried(chained(word, ".view(-1)"), None, lengths.view(-1))]
        if isinstance(lengths, Tensor) and lengths.is_floating_point():
            why = f"lengths are {kind_of(lengths)}; they count steps in whole numbers, int64"
            return why, [self.tried(chained(word, ".long()"), None, lengths.long())]
        return self.counts([int(n) for n in lengths])

    def counts(self, counts: list[int]) -> Look:
        """The same of whole numbers."""
        name, word, first = self.name, self.word, self.batch_first
        axis = 1 if first else 0
        N, L = self.x.size(1 - axis), self.x.size(axis)
        read = f"{self.shape}, read as {layout_of(first)}"
        if len(counts) != N:
            measured = f"{len(counts)} lengths for {N} rows: {name} is {read}"
            if len(counts) != L:
                return measured, [Try(f"one length for each of the {N} rows")]
            whole = f"pack_padded_sequence({name}, {word}, batch_first={not first}, …), {ITS_OWN}"
            turned = self.tried(chained(name, ".transpose(0, 1)"), self.x.transpose(0, 1), counts, 1.0)
            fixes = [self.tried(whole, None, counts, batch_first=not first), turned]
            return f"{measured}; {L} is its other axis, so it lies the other way round", fixes
        if min(counts) <= 0:
            measured = f"length {min(counts)} of row {counts.index(min(counts))}: an empty sequence cannot be packed"
            fix = f"drop the empty rows (keep = {word} > 0) and put zeros back afterwards; or "
            fix += f"{chained(word, '.clamp(min=1)')}, one step of padding that stands for the empty row"
            return measured, [self.tried(fix, None, [max(1, n) for n in counts])]
        if max(counts) > L:
            measured = f"the largest of the lengths is {max(counts)} and {name} {read} has {L} steps"
            fix = f"{chained(word, f'.clamp(max={name}.size({axis}))')}, or cut data and lengths together, "
            cut = self.tried(f"{fix}min(length, {L})", None, [min(n, L) for n in counts])
            return f"{measured}: it was cut, or time is another axis", [cut]
        if counts != sorted(counts, reverse=True):
            measured = (
                f"lengths {counts[:8]} do not fall from row to row, which enforce_sorted=True, the default, demands"
            )
            fix = f"pack_padded_sequence({name}, {word}, batch_first={first}, enforce_sorted=False)"
            return measured, [self.tried(f"{fix}: it sorts, and gives everything back in its order", None, counts)]
        return f"{name} is {read}, lengths are {counts[:8]}", []


def _pack(raised: Raised, given: dict[str, Any]) -> Look | None:
    x, lengths = given.get("input"), given.get("lengths")
    if not isinstance(x, Tensor):
        return None
    chosen = [call for call in raised.trace.calls[-6:] if call.name == "index_select" and len(call.inputs) > 1]
    if chosen and not given.get("enforce_sorted", True) and len(chosen[-1].inputs[0].shape) > 1:
        x = chosen[-1].inputs[0].tensor  # its rows are sorted, and some may be cut off, by then
    words = raised.spelling.text(x) or "x", raised.spelling.text(lengths) or "lengths"
    return _Packing(x, lengths, bool(given.get("batch_first")), *words, raised.shape_of(x)).look()


def _pad(raised: Raised, given: dict[str, Any]) -> Look:
    value, total = given.get("sequence"), given.get("total_length")
    if not isinstance(value, PackedSequence):
        fix = "out, _ = rnn(packed) first, and pad_packed_sequence(out, batch_first=True): a layer returns packed "
        fix += "output only for packed input"
        return f"it was given a {type(value).__name__} and wants a PackedSequence", [Try(fix, lambda: True)]
    longest = len(value.batch_sizes)
    if isinstance(total, int) and total < longest:
        fix = f"total_length={longest}, the longest row, or x.size(1), the steps before packing"
        return f"total_length={total} is less than the longest row, {longest} steps", [Try(fix, lambda: True)]
    return _count(value), []


def _count(packed: PackedSequence) -> str:
    return f"batch_sizes count {int(packed.batch_sizes.sum())} steps and the data have {packed.data.size(0)} rows"


def _list(raised: Raised, given: dict[str, Any]) -> Look:
    rows = list(given.get("sequences") or ())
    shapes = [tuple(row.shape) for row in rows if isinstance(row, Tensor)]
    if not shapes:
        return f"it was given {[type(row).__name__ for row in rows[:4]]} and wants tensors (L, …)", []
    odd = next((k for k, shape in enumerate(shapes) if shape[1:] != shapes[0][1:]), None)
    if odd is not None:
        return f"sequence 0 is {shapes[0]} and sequence {odd} is {shapes[odd]}: (L, …), only the steps may differ", []
    counts = [shape[0] for shape in shapes]
    if "enforce_sorted" in given and counts != sorted(counts, reverse=True):
        fix = "pack_sequence(…, enforce_sorted=False), or the longest sequence first"
        measured = f"the sequences have {counts[:8]} steps, which do not fall as enforce_sorted=True demands"
        return measured, [Try(fix, lambda: True)]
    return f"the sequences are {shapes[:6]}", []


_LOOKS: dict[str, Callable[[Raised, dict[str, Any]], Look | None]] = {
    "pack_padded_sequence": _pack,
    "pad_packed_sequence": _pad,
    "pack_sequence": _list,
    "pad_sequence": _list,
}


# ---------------------------------------------------------------------- behind packing
def _in_layer(raised: Raised, packed: PackedSequence) -> Explanation | None:
    """Packed rows whose number of steps and of data differ: torch did not compare the lengths with the data."""
    value = raised.value(packed.data)
    call = value.maker if value is not None else None
    if call is not None and call.name == "_pack_padded_sequence" and isinstance(call.args[1], Value):
        first, source, lengths = bool(call.args[2]), sorted_from(call), call.args[1].elements
        N, L = source.shape[:2] if first else source.shape[1::-1]
        counts = [] if lengths is None else lengths.tolist()
        if counts and (len(counts) != N or max(counts) > L):
            spelled = Call(call.index, "pack_padded_sequence", call.line, call.args, call.kwargs, call.inputs, None)
            words = argument_text(spelled, 0) or raised.code(source), argument_text(spelled, 1) or "lengths"
            found = _Packing(source.tensor, counts, first, *words, raised.shape(source)).counts(counts)
            title = "the lengths do not belong to the data that were packed"
            return Explanation("LS108", title, *found, [source], where=call.where)
    if int(packed.batch_sizes.sum()) == packed.data.size(0):
        return None
    fix = "packed._replace(data=…) keeps the first axis of data; what changes the number of steps comes before packing"
    return Explanation("LS108", "the packed rows do not belong to their batch_sizes", _count(packed), [Try(fix)])


def _lost_steps(raised: Raised) -> Explanation | None:
    """The longest row of this batch is shorter than the padded input, and something meets the input's length."""
    call = raised.call
    if call is None or len(call.inputs) < 2:
        return None
    way = raised.trace.ancestors(*call.inputs)
    pads = [one for one in raised.trace.calls if one.name == "_pad_packed_sequence" and one.outputs]
    pads = [one for one in pads if any(v.index in way for v in one.outputs)]
    packs = [one for one in raised.trace.calls if one.name == "_pack_padded_sequence" and one.inputs]
    if not pads or not packs:
        return None
    first, axis, padded = bool(pads[-1].args[2]), 1 if packs[-1].args[2] else 0, pads[-1].outputs[0]
    before, after = packs[-1].inputs[0].shape[axis], padded.shape[1 if first else 0]
    short = [v for v in call.inputs if padded.index in raised.trace.ancestors(v) and after in v.shape]
    long = [v for v in call.inputs if v not in short and before in v.shape]
    if before == after or not short or not long or before in short[0].shape:
        return None
    title = f"{call.name} meets the {before} steps of the input and the {after} that pad_packed_sequence gave back"
    shown = f"{raised.described(short[0])}, {raised.described(long[0])}"
    total = f"total_length={raised.code(sorted_from(packs[-1]))}.size({axis})"
    fix = f"pad_packed_sequence(…, batch_first={first}, {total}), {before} steps as before packing"
    whole = torch.zeros([before if n == after else n for n in short[0].shape], dtype=short[0].tensor.dtype)
    fixes = [Try(fix, lambda: raised.runs(call, {short[0].index: lambda _: whole})), Try(fix)]
    measured = f"the longest row of this batch has {after} steps: {shown}"
    return Explanation("LS108", title, measured, fixes, [short[0], long[0]])
