"""Packing and padding: lengths that do not belong to the data, and steps that packing has taken off."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lstm_shapes.lab.trace import Call, Value

from .raised import RECURRENT_MODULES, Explanation, Raised, Try
from .words import argument_text, chained

__all__ = ["packing", "wrong_lengths"]

_FUNCTIONS = ("pack_padded_sequence", "pad_packed_sequence", "pack_sequence", "pad_sequence")
_TITLES = {
    "pack_padded_sequence": "pack_padded_sequence refuses its lengths",
    "pad_packed_sequence": "pad_packed_sequence refuses what it is given",
    "pack_sequence": "pack_sequence refuses its list",
    "pad_sequence": "pad_sequence refuses its list",
}


def packing(raised: Raised) -> Explanation | None:
    """A packing function that raised, packed rows that a layer refuses, or lost steps that are missed."""
    for frame in reversed(raised.functions):
        name = frame.f_code.co_name
        if name in _FUNCTIONS and "nn/utils/rnn.py" in frame.f_code.co_filename.replace("\\", "/"):
            return _refused(raised, name, frame.f_locals)
    entered = raised.module
    x = entered.args[0] if entered is not None and entered.args else None
    if entered is not None and isinstance(entered.module, RECURRENT_MODULES) and isinstance(x, PackedSequence):
        return _in_layer(raised, x)
    return _lost_steps(raised)


def _refused(raised: Raised, name: str, given: dict[str, Any]) -> Explanation:
    measured, fixes = raised.message, [Try("")]
    if name == "pack_padded_sequence" and isinstance(given.get("input"), Tensor):
        x = given["input"]
        chosen = [call for call in raised.trace.calls[-6:] if call.name == "index_select" and len(call.inputs) > 1]
        if chosen and not given.get("enforce_sorted", True):  # its rows are sorted, and some may be cut off, by then
            x = chosen[-1].inputs[0].tensor if chosen[-1].inputs[0].tensor.dim() > 1 else x
        measured, fixes = _pack(raised, x, given.get("lengths"), bool(given.get("batch_first")))
    elif name == "pad_packed_sequence":
        measured, fixes = _pad(given)
    elif name == "pad_sequence" or name == "pack_sequence":
        measured, fixes = _list(raised, name, list(given.get("sequences") or ()))
    return Explanation("LS108", _TITLES[name], measured, [one for one in fixes if one.text], _operands(raised))


def _operands(raised: Raised) -> list[Value]:
    return [value for value in raised.call.inputs if not value.parameter] if raised.call is not None else []


def _read(x: Tensor, shape: str, batch_first: bool) -> str:
    return f"{shape}, read as {'(N, L, …)' if batch_first else '(L, N, …)'} because batch_first={batch_first}"


def _pack(raised: Raised, x: Tensor, lengths: Any, batch_first: bool) -> tuple[str, list[Try]]:
    name = raised.spelling.text(x) or "x"
    word = raised.spelling.text(lengths) if isinstance(lengths, Tensor) else ""
    word = word or "lengths"
    first = f"batch_first={batch_first}"

    def runs(new_x: Tensor, new_lengths: Any, **options: Any) -> bool:
        # Lengths that do not belong to the rows can pack, so the steps are counted too.
        packed = pack_padded_sequence(new_x, new_lengths, **{"batch_first": batch_first, **options})
        return int(packed.batch_sizes.sum()) == packed.data.size(0) and int(packed.batch_sizes[0]) > 0

    if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
        fix = f"pack_padded_sequence({name}, {chained(word, '.cpu()')}, {first})"
        return f"lengths are on {lengths.device}; they must be on the CPU, wherever the data are", [
            Try(fix, lambda: True)
        ]
    if x.dim() < 2:
        return f"the data {tuple(x.shape)} have no batch axis to pack", []
    if isinstance(lengths, Tensor) and lengths.dim() != 1:
        fix = chained(word, ".view(-1)")
        measured = f"lengths have the shape {tuple(lengths.shape)}; they are one whole number a row, (N,)"
        return measured, [Try(fix, lambda: runs(x, lengths.view(-1), enforce_sorted=False))]
    if isinstance(lengths, Tensor) and lengths.is_floating_point():
        measured = f"lengths are {str(lengths.dtype).removeprefix('torch.')}; they count steps in whole numbers, int64"
        return measured, [Try(chained(word, ".long()"), lambda: runs(x, lengths.long(), enforce_sorted=False))]
    counts = [int(n) for n in lengths]
    N, L = (x.size(0), x.size(1)) if batch_first else (x.size(1), x.size(0))
    read = _read(x, raised.shape_of(x), batch_first)
    return wrong_lengths(counts, N, L, read, (name, word), batch_first, runs, x)


def wrong_lengths(
    counts: list[int], N: int, L: int, read: str, words: tuple[str, str], batch_first: bool, runs: Any, x: Tensor
) -> tuple[str, list[Try]]:
    """What is wrong with whole-number lengths beside data of N rows and L steps."""
    name, word = words
    other = not batch_first
    if len(counts) != N:
        measured = f"{len(counts)} lengths for {N} rows: {name} is {read}"
        if len(counts) != L:
            return measured, [Try(f"one length for each of the {N} rows")]
        measured += f"; {L} is its other axis, so it lies the other way round"
        whole = f"pack_padded_sequence({name}, {word}, batch_first={other}, …), one length a row; packing has a batch_first "
        whole += "of its own"
        return measured, [
            Try(whole, lambda: runs(x, counts, batch_first=other, enforce_sorted=False)),
            Try(
                f"{chained(name, '.transpose(0, 1)')}",
                lambda: runs(x.transpose(0, 1), counts, enforce_sorted=False),
                1.0,
            ),
        ]
    if min(counts) <= 0:
        row = counts.index(min(counts))
        measured = f"length {min(counts)} of row {row}: an empty sequence cannot be packed"
        fix = f"drop the empty rows (keep = {word} > 0) and put zeros back afterwards; or {chained(word, '.clamp(min=1)')}, "
        fix += "one step of padding that stands for the empty row"
        short = [max(1, n) for n in counts]
        return measured, [Try(fix, lambda: runs(x, short, enforce_sorted=False))]
    if max(counts) > L:
        axis = 1 if batch_first else 0
        measured = (
            f"the largest of the lengths is {max(counts)} and {name} {read} has {L} steps: it was cut, or time is "
        )
        measured += "another axis"
        fix = f"{chained(word, f'.clamp(max={name}.size({axis}))')}, or cut data and lengths together, min(length, {L})"
        return measured, [Try(fix, lambda: runs(x, [min(n, L) for n in counts], enforce_sorted=False))]
    if counts != sorted(counts, reverse=True):
        measured = f"lengths {counts[:8]} do not fall from row to row, which enforce_sorted=True, the default, demands"
        fix = f"pack_padded_sequence({name}, {word}, batch_first={batch_first}, enforce_sorted=False): it sorts, and gives "
        fix += "everything back in the order that came in"
        return measured, [Try(fix, lambda: runs(x, counts, enforce_sorted=False))]
    return f"{name} is {read}, lengths are {counts[:8]}", []


def _pad(given: dict[str, Any]) -> tuple[str, list[Try]]:
    value, total = given.get("sequence"), given.get("total_length")
    if not isinstance(value, PackedSequence):
        fix = "out, _ = rnn(packed) first, and pad_packed_sequence(out, batch_first=True): a layer returns packed output only "
        fix += "for packed input"
        return f"it was given a {type(value).__name__} and wants a PackedSequence", [Try(fix, lambda: True)]
    longest = len(value.batch_sizes)
    if isinstance(total, int) and total < longest:
        fix = f"total_length={longest}, the longest row, or x.size(1), the steps before packing"
        return f"total_length={total} is less than the longest row, {longest} steps", [Try(fix, lambda: True)]
    steps = int(value.batch_sizes.sum())
    return f"batch_sizes count {steps} steps and the data have {value.data.size(0)} rows", []


def _list(raised: Raised, name: str, rows: list[Any]) -> tuple[str, list[Try]]:
    shapes = [tuple(row.shape) for row in rows if isinstance(row, Tensor)]
    if not shapes:
        return f"it was given {[type(row).__name__ for row in rows[:4]]} and wants tensors (L, …)", []
    odd = next((k for k, shape in enumerate(shapes) if shape[1:] != shapes[0][1:]), None)
    if odd is not None:
        measured = f"sequence 0 is {shapes[0]} and sequence {odd} is {shapes[odd]}: (L, …), only the steps may differ"
        return measured, []
    counts = [shape[0] for shape in shapes]
    if name == "pack_sequence" and counts != sorted(counts, reverse=True):
        fix = "pack_sequence(…, enforce_sorted=False), or the longest sequence first"
        measured = f"the sequences have {counts[:8]} steps, which do not fall as enforce_sorted=True demands"
        return measured, [Try(fix, lambda: True)]
    return f"the sequences are {shapes[:6]}", []


def _in_layer(raised: Raised, packed: PackedSequence) -> Explanation | None:
    """Packed rows whose number of steps and of data differ: torch did not compare the lengths with the data."""
    steps, rows = int(packed.batch_sizes.sum()), int(packed.data.size(0))
    value = raised.value(packed.data)
    call = value.maker if value is not None else None
    if call is not None and call.name == "_pack_padded_sequence" and isinstance(call.args[1], Value):
        first, source, lengths = bool(call.args[2]), call.inputs[0], call.args[1].elements
        if source.maker is not None and source.maker.name == "index_select" and source.maker.line == call.line:
            source = source.maker.inputs[0]
        N, L = (source.shape[0], source.shape[1]) if first else (source.shape[1], source.shape[0])
        counts = [] if lengths is None else lengths.tolist()
        if counts and (len(counts) != N or max(counts) > L):

            def runs(x: Tensor, new: Any, **options: Any) -> bool:
                made = pack_padded_sequence(x, new, **{"batch_first": first, **options})
                return int(made.batch_sizes.sum()) == made.data.size(0)

            x = source.tensor
            spelled = Call(call.index, "pack_padded_sequence", call.line, call.args, call.kwargs, call.inputs, None)
            words = argument_text(spelled, 0) or raised.code(source), argument_text(spelled, 1) or "lengths"
            measured, fixes = wrong_lengths(counts, N, L, _read(x, raised.shape(source), first), words, first, runs, x)
            title = "the lengths do not belong to the data that were packed"
            return Explanation("LS108", title, measured, fixes, [source], where=call.where)
    if steps == rows:
        return None
    title = "the packed rows do not belong to their batch_sizes"
    measured = f"batch_sizes count {steps} steps and the data have {rows} rows"
    fix = "packed._replace(data=…) keeps the first axis of data; what changes the number of steps comes before packing"
    return Explanation("LS108", title, measured, [Try(fix)])


def _lost_steps(raised: Raised) -> Explanation | None:
    """The longest row of this batch is shorter than the padded input, and something meets the input's length."""
    call = raised.call
    if call is None or len(call.inputs) < 2:
        return None
    way = raised.trace.ancestors(*call.inputs)
    calls = [one for one in raised.trace.calls if any(v.index in way for v in one.outputs)]
    pads = [one for one in calls if one.name == "_pad_packed_sequence" and one.outputs]
    packs = [one for one in raised.trace.calls if one.name == "_pack_padded_sequence" and one.inputs]
    if not pads or not packs:
        return None
    first = bool(pads[-1].args[2])
    before = packs[-1].inputs[0].shape[1 if packs[-1].args[2] else 0]
    after = pads[-1].outputs[0].shape[1 if first else 0]
    short = [v for v in call.inputs if pads[-1].outputs[0].index in raised.trace.ancestors(v) and after in v.shape]
    long = [v for v in call.inputs if v not in short and before in v.shape]
    if before == after or not short or not long or before in short[0].shape:
        return None
    title = f"{call.name} meets the {before} steps of the input and the {after} that pad_packed_sequence gave back"
    measured = (
        f"the longest row of this batch has {after} steps: {raised.described(short[0])}, {raised.described(long[0])}"
    )
    axis = 1 if packs[-1].args[2] else 0
    source = packs[-1].inputs[0]
    if source.maker is not None and source.maker.name == "index_select" and source.maker.line == packs[-1].line:
        source = source.maker.inputs[0]  # the rows in the order of their lengths
    word = raised.code(source)
    fix = f"pad_packed_sequence(…, batch_first={first}, total_length={word}.size({axis})), {before} steps as before packing"

    def holds() -> bool:
        padded = torch.zeros([before if n == after else n for n in short[0].shape])
        return raised.runs(call, {short[0].index: lambda _: padded.to(short[0].tensor.dtype)})

    return Explanation("LS108", title, measured, [Try(fix, holds), Try(fix)], [*short[:1], *long[:1]])
