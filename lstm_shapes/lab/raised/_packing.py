"""Packing and padding: lengths that do not belong to the data, and steps that packing has taken off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lstm_shapes.lab._words import argument_text, chained, layout_of
from lstm_shapes.lab.trace import Call, Value

from ._calls import Look, refused
from ._raised import RECURRENT_MODULES, Explanation, Raised, Try

ITS_OWN = "one length a row; packing has a batch_first of its own"


def packing(raised: Raised) -> Explanation | None:
    """A packing function that raised, packed rows that a layer refuses, or lost steps that are missed."""
    for frame in reversed(raised.spelling.beyond):
        name = frame.f_code.co_name
        if "nn/utils/rnn.py" in frame.f_code.co_filename.replace("\\", "/"):
            if name == "pad_packed_sequence":
                fix = "out, _ = rnn(packed), packed as its input is; total_length is the longest row or more"
                return Explanation("LS108", f"{name} refuses what it is given", raised.message, [Try(fix)])
            if name == "pack_padded_sequence":
                return _pack(raised, frame.f_locals)
            if name in ("pack_sequence", "pad_sequence"):
                rows = tuple(frame.f_locals.get("sequences") or ())
                return refused(raised, raised.called_with(name, getattr(torch.nn.utils.rnn, name), (rows,)))
    entered = raised.module
    if entered is not None and isinstance(entered.module, RECURRENT_MODULES) and isinstance(entered.x, PackedSequence):
        return _in_layer(raised, entered.x)
    return _lost_steps(raised)


def sorted_from(call: Call) -> Value:
    """The data that a packing call was given, before it put the rows in the order of their lengths."""
    data, sorting = call.inputs[0], call.inputs[0].maker
    theirs = sorting is not None and (sorting.name, sorting.line) == ("index_select", call.line)
    return sorting.inputs[0] if sorting is not None and theirs else data


def _pack(raised: Raised, given: dict[str, Any]) -> Explanation:
    x, lengths, first = given.get("input"), given.get("lengths"), bool(given.get("batch_first"))
    chosen = [call for call in raised.trace.calls[-6:] if call.name == "index_select" and len(call.inputs) > 1]
    if chosen and not given.get("enforce_sorted", True) and len(chosen[-1].inputs[0].shape) > 1:
        x = chosen[-1].inputs[0].tensor  # its rows are sorted, and some may be cut off, by then
    name = "pack_padded_sequence"
    call = raised.called_with(name, packed, (x, lengths, first, bool(given.get("enforce_sorted", True))))
    found = refused(raised, call)
    if found.code == "LS107":
        return found
    measured, fixes = found.measured, list[Try]()
    words = raised.spelling.text(x) or "x", raised.spelling.text(lengths) or "lengths"
    counts = list(lengths) if isinstance(lengths, (list, tuple)) else []
    if isinstance(lengths, Tensor):
        if lengths.dim() != 1 or lengths.device.type != "cpu":
            suffix = ".view(-1)" if lengths.dim() != 1 else ".cpu()"
            measured = f"lengths are {tuple(lengths.shape)} on {lengths.device}"
            fixes = [Try(f"{chained(words[1], suffix)}: one whole number a row, on the CPU", True, -1.0)]
        elif not lengths.is_floating_point():
            counts = lengths.tolist()
    if isinstance(x, Tensor) and x.dim() > 1 and counts:
        measured, fixes = _counts(raised, call, x, counts, *words)
    return replace(found, title=f"{name} refuses its lengths", measured=measured, fixes=[*fixes, *found.fixes])


def packed(x: Tensor, lengths: Any, batch_first: bool, enforce_sorted: bool) -> PackedSequence:
    """Lengths that do not belong to the rows can pack, so the steps count too."""
    made = pack_padded_sequence(x, lengths, batch_first, enforce_sorted)
    if int(made.batch_sizes.sum()) != made.data.size(0) or int(made.batch_sizes[0]) <= 0:
        raise ValueError
    return made


def _counts(raised: Raised, call: Call, x: Tensor, counts: list[int], name: str, word: str) -> Look:
    """The first thing that is wrong with lengths as numbers, and what makes them right."""
    first = bool(call.args[2])
    axis = 1 if first else 0
    N, L = x.size(1 - axis), x.size(axis)
    read = f"{name} {raised.shape(x)}, read as {layout_of(first)}"
    lengths, flip = counts, False
    if len(counts) != N:
        measured = f"{len(counts)} lengths for {N} rows: {read}"
        if len(counts) != L:
            return measured, [Try(f"one length for each of the {N} rows")]
        measured += f"; {L} is its other axis, so it lies the other way round"
        fix = f"pack_padded_sequence({name}, {word}, batch_first={not first}, enforce_sorted=False), {ITS_OWN}"
        flip = True
    elif min(counts) <= 0:
        measured = f"length {min(counts)} of row {counts.index(min(counts))}: an empty sequence cannot be packed"
        fix = f"drop the empty rows (keep = {word} > 0) and put zeros back afterwards; or "
        fix += f"{chained(word, '.clamp(min=1)')}, one step of padding that stands for the empty row"
        lengths = [max(1, n) for n in counts]
    elif max(counts) > L:
        measured = f"the largest of the lengths is {max(counts)} and {read} has {L} steps: was it cut?"
        fix = f"{chained(word, f'.clamp(max={name}.size({axis}))')}, or cut data and lengths together"
        lengths = [min(n, L) for n in counts]
    elif not call.args[3] or counts == sorted(counts, reverse=True):
        return f"{read}, lengths are {counts[:8]}", []
    else:
        measured = f"lengths {counts[:8]} do not fall from row to row, which enforce_sorted=True, the default, demands"
        fix = f"pack_padded_sequence({name}, {word}, batch_first={first}, enforce_sorted=False): it sorts, and gives "
        fix += "everything back in its order"
    new: dict[int | str, Any] = {1: torch.tensor(lengths, device="cpu"), 2: first != flip, 3: False}
    return measured, [Try(fix, lambda: raised.runs(call, places=new))]


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
            found = _counts(raised, again, source.tensor, counts, *words)
            title = "the lengths do not belong to the data that were packed"
            return Explanation("LS108", title, *found, [source], where=call.where)
    if int(rows.batch_sizes.sum()) == rows.data.size(0):
        return None
    counted = f"batch_sizes count {int(rows.batch_sizes.sum())} steps and the data have {rows.data.size(0)} rows"
    fix = "packed._replace(data=…) keeps the first axis of data; what changes the number of steps comes before packing"
    return Explanation("LS108", "the packed rows do not belong to their batch_sizes", counted, [Try(fix)])


def _lost_steps(raised: Raised) -> Explanation | None:
    """The longest row of this batch is shorter than the padded input, and something meets the input's length."""
    call = raised.call
    pads = [one for one in raised.trace.calls if one.name == "_pad_packed_sequence" and one.outputs]
    packs = [one for one in raised.trace.calls if one.name == "_pack_padded_sequence" and one.inputs]
    way = raised.trace.ancestors(*call.inputs) if call is not None else set()
    pads = [one for one in pads if any(v.index in way for v in one.outputs)]
    if call is None or not pads or not packs:
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
        f"the longest row of this batch has {after} steps: {', '.join(map(raised.described, (short[0], long[0])))}"
    )
    whole = short[0].tensor.new_zeros([before if n == after else n for n in short[0].shape])
    fixes = [Try(fix, lambda: raised.runs(call, {short[0].index: lambda _: whole})), Try(fix)]
    return Explanation("LS108", title, measured, fixes, [short[0], long[0]])
