"""Packing and padding: lengths that do not belong to the data, and steps that packing has taken off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lstm_shapes.lab._words import argument_text, chained, layout_of
from lstm_shapes.lab.trace import Call, Value

from ._calls import refused
from ._raised import RECURRENT_MODULES, Explanation, Raised, Try

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
            return _function(raised, name, frame.f_locals)
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


def _function(raised: Raised, name: str, given: dict[str, Any]) -> Explanation:
    title = f"{name} refuses {_REFUSES[name]}"
    operands = [v for v in raised.call.inputs if not v.parameter] if raised.call is not None else []
    if name == "pad_packed_sequence":
        measured, fixes = _pad(given)
        return Explanation("LS108", title, measured, fixes, operands)
    if name == "pack_padded_sequence":
        x, lengths, first = (given.get(word) for word in ("input", "lengths", "batch_first"))
        chosen = [call for call in raised.trace.calls[-6:] if call.name == "index_select" and len(call.inputs) > 1]
        if chosen and not given.get("enforce_sorted", True) and len(chosen[-1].inputs[0].shape) > 1:
            x = chosen[-1].inputs[0].tensor  # its rows are sorted, and some may be cut off, by then
        call = raised.called_with(name, packed, (x, lengths, bool(first), bool(given.get("enforce_sorted", True))))
        counts = list(lengths) if isinstance(lengths, (list, tuple)) else None
        if isinstance(lengths, Tensor) and lengths.dim() == 1 and not lengths.is_floating_point():
            counts = lengths.tolist() if lengths.device.type == "cpu" else None
        look: Look = ("", [])
        if isinstance(lengths, Tensor) and (lengths.dim() != 1 or lengths.device.type != "cpu"):
            suffix = ".view(-1)" if lengths.dim() != 1 else ".cpu()"
            word = f"{chained(raised.spelling.text(lengths) or 'lengths', suffix)}: one whole number a row, on the CPU"
            look = f"lengths are {tuple(lengths.shape)} on {lengths.device}", [Try(word, lambda: True, -1.0)]
        if isinstance(x, Tensor) and x.dim() > 1 and counts:
            words = raised.spelling.text(x) or "x", raised.spelling.text(lengths) or "lengths"
            look = _counts(raised, call, x, counts, *words, raised.shape_of(x))
    else:
        rows = tuple(given.get("sequences") or ())
        call, look = raised.called_with(name, getattr(torch.nn.utils.rnn, name), (rows,)), ("", [])
        steps = [len(row) for row in rows if isinstance(row, Tensor) and row.dim()]
        if "enforce_sorted" in given and len(steps) == len(rows) and steps != sorted(steps, reverse=True):
            fix = "pack_sequence(…, enforce_sorted=False), or the longest sequence first"
            look = f"the sequences have {steps[:8]} steps, which do not fall as enforce_sorted=True demands", [Try(fix)]
    found = refused(raised, call)
    fixes = [*look[1], *(found.fixes if found is not None else ())]
    measured = look[0] or (found.measured if found is not None else raised.message)
    certain = found.code == "LS107" if found is not None else False
    return Explanation("LS107" if certain else "LS108", title, measured, fixes, operands)


def packed(x: Tensor, lengths: Any, batch_first: bool, enforce_sorted: bool) -> PackedSequence:
    """Lengths that do not belong to the rows can pack, so the steps count too."""
    made = pack_padded_sequence(x, lengths, batch_first, enforce_sorted)
    if int(made.batch_sizes.sum()) != made.data.size(0) or int(made.batch_sizes[0]) <= 0:
        raise ValueError
    return made


def _counts(
    raised: Raised, call: Call, x: Tensor, counts: list[int], name: str, word: str, shape: str
) -> tuple[str, list[Try]]:
    """The first thing that is wrong with lengths as numbers, and what makes them right."""
    first = bool(call.args[2])
    axis = 1 if first else 0
    N, L = x.size(1 - axis), x.size(axis)
    read = f"{shape}, read as {layout_of(first)}"

    def tried(text: str, lengths: list[int] = counts, rank: float = 0.0, flip: bool = False) -> Try:
        new: dict[int | str, Any] = {1: torch.tensor(lengths, device="cpu"), 2: first != flip, 3: False}
        return Try(text, lambda: raised.runs(call, places=new), rank)

    if len(counts) != N:
        measured = f"{len(counts)} lengths for {N} rows: {name} is {read}"
        if len(counts) != L:
            return measured, [Try(f"one length for each of the {N} rows")]
        text = f"pack_padded_sequence({name}, {word}, batch_first={not first}, enforce_sorted=False), {ITS_OWN}"
        return f"{measured}; {L} is its other axis, so it lies the other way round", [tried(text, flip=True)]
    if min(counts) <= 0:
        measured = f"length {min(counts)} of row {counts.index(min(counts))}: an empty sequence cannot be packed"
        fix = f"drop the empty rows (keep = {word} > 0) and put zeros back afterwards; or "
        fix += f"{chained(word, '.clamp(min=1)')}, one step of padding that stands for the empty row"
        return measured, [tried(fix, [max(1, n) for n in counts])]
    if max(counts) > L:
        measured = f"the largest of the lengths is {max(counts)} and {name} {read} has {L} steps"
        fix = f"{chained(word, f'.clamp(max={name}.size({axis}))')}, or cut data and lengths together, "
        cut = tried(f"{fix}min(length, {L})", [min(n, L) for n in counts])
        return f"{measured}: it was cut, or time is another axis", [cut]
    if counts != sorted(counts, reverse=True):
        measured = f"lengths {counts[:8]} do not fall from row to row, which enforce_sorted=True, the default, demands"
        fix = f"pack_padded_sequence({name}, {word}, batch_first={first}, enforce_sorted=False)"
        return measured, [tried(f"{fix}: it sorts, and gives everything back in its order")]
    return f"{name} is {read}, lengths are {counts[:8]}", []


def _pad(given: dict[str, Any]) -> Look:
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


# ---------------------------------------------------------------------- behind packing
def _in_layer(raised: Raised, rows: PackedSequence) -> Explanation | None:
    """Packed rows whose number of steps and of data differ: torch did not compare the lengths with the data."""
    value = raised.value(rows.data)
    call = value.maker if value is not None else None
    if call is not None and call.name == "_pack_padded_sequence" and isinstance(call.args[1], Value):
        first, source, lengths = bool(call.args[2]), sorted_from(call), call.args[1].elements
        N, L = source.shape[:2] if first else source.shape[1::-1]
        counts = [] if lengths is None else lengths.tolist()
        if counts and (len(counts) != N or max(counts) > L):
            spelled = replace(call, name="pack_padded_sequence", module=None)
            words = argument_text(spelled, 0) or raised.code(source), argument_text(spelled, 1) or "lengths"
            again = raised.called_with(spelled.name, packed, (source.tensor, lengths, first, False))
            found = _counts(raised, again, source.tensor, counts, *words, raised.shape(source))
            title = "the lengths do not belong to the data that were packed"
            return Explanation("LS108", title, *found, [source], where=call.where)
    if int(rows.batch_sizes.sum()) == rows.data.size(0):
        return None
    fix = "packed._replace(data=…) keeps the first axis of data; what changes the number of steps comes before packing"
    return Explanation("LS108", "the packed rows do not belong to their batch_sizes", _count(rows), [Try(fix)])


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
    total = f"total_length={raised.code(sorted_from(packs[-1]))}.size({axis})"
    fix = f"pad_packed_sequence(…, batch_first={first}, {total}), {before} steps as before packing"
    measured = (
        f"the longest row of this batch has {after} steps: {raised.described(short[0])}, {raised.described(long[0])}"
    )
    whole = short[0].tensor.new_zeros([before if n == after else n for n in short[0].shape])
    fixes = [Try(fix, lambda: raised.runs(call, {short[0].index: lambda _: whole})), Try(fix)]
    return Explanation("LS108", title, measured, fixes, [short[0], long[0]])
