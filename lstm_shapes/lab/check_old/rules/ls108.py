"""LS108 packing-call: the lengths do not fit what is packed, or padding back gives fewer steps than came in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study


def explain(failure: Failure) -> Finding | None:
    found = _in_packing(failure) or _in_layer(failure) or _after_padding(failure)
    if found is None:
        return None
    layer = failure.call.name if failure.call is not None else ""
    return RULE.finding(*found, layer=layer, where=failure.where, cause=failure.error)


def _arguments(failure: Failure) -> dict[str, Any]:
    """What pack_padded_sequence or its relatives were given, read from their own frame."""
    for frame in reversed(failure.frames):
        if frame.f_code.co_name in ("pack_padded_sequence", "pad_packed_sequence", "pack_sequence", "pad_sequence"):
            return {"function": frame.f_code.co_name, **frame.f_locals}
    return {}


def _in_packing(failure: Failure) -> tuple[str, str] | None:
    given = _arguments(failure)
    if not given:
        return None
    function = given["function"]
    if function == "pack_padded_sequence" and isinstance(given.get("input"), Tensor):
        chosen = [
            op
            for op in (failure.seen.trace.ops if failure.seen.trace else [])[-8:]
            if op.name == "index_select" and len(op.shapes[0]) > 1
        ]
        return _pack(given, chosen[-1].shapes[0] if chosen and not given.get("enforce_sorted", True) else None)
    if function == "pad_packed_sequence":
        return _pad(given)
    return (
        f"{function} refused what it was given",
        "a list of tensors (steps, features), longest first, or enforce_sorted=False",
    )


def _pack(given: dict[str, Any], sorted_from: tuple[int, ...] | None) -> tuple[str, str]:
    x, batch_first = tuple(given["input"].shape), bool(given.get("batch_first"))
    lengths = given["lengths"]
    if sorted_from is not None:  # enforce_sorted=False has selected rows by then, and may have cut some off
        x = sorted_from
    if isinstance(lengths, Tensor) and lengths.device.type != "cpu":
        return (
            f"lengths is on {lengths.device}; pack_padded_sequence wants it on the CPU, the data may be anywhere",
            "pack_padded_sequence(x, lengths.cpu(), …)",
        )
    if len(x) < 2:
        return f"the data {x} have no batch axis to pack", "pack a padded batch (N, L, Q)"
    counts = [int(n) for n in lengths] if not isinstance(lengths, Tensor) or lengths.dim() == 1 else []
    N, L = (x[0], x[1]) if batch_first else (x[1], x[0])
    axes = "(N, L, …)" if batch_first else "(L, N, …)"
    read = f"{x}, read as {axes} because batch_first={batch_first}"
    if not counts and isinstance(lengths, Tensor) and lengths.dim() != 1:
        return f"lengths has the shape {tuple(lengths.shape)}; it is one number a row, (N,)", "lengths.view(-1)"
    if len(counts) != N:
        return _other_axis(len(counts), N, L, read, batch_first)
    if any(n <= 0 for n in counts):
        return (
            f"length {min(counts)} of row {counts.index(min(counts))}: an empty sequence cannot be packed",
            "drop the empty rows (keep = lengths > 0) and put zeros back afterwards, or lengths.clamp(min=1) with one "
            "padding step that stands for <empty>",
        )
    if max(counts) > L:
        return _longer(max(counts), L)
    if counts != sorted(counts, reverse=True):
        return (
            f"lengths {counts[:8]} are not in decreasing order, which enforce_sorted=True (the default) demands",
            "pack_padded_sequence(x, lengths, batch_first=…, enforce_sorted=False): it sorts, and everything "
            "comes back in "
            "the original order. If you sort by hand, undo the sort on the results",
        )
    return (
        f"pack_padded_sequence refused lengths {counts[:8]} for data {read}",
        "one whole number from 1 to L for each row",
    )


def _other_axis(n: int, N: int, L: int, read: str, batch_first: bool) -> tuple[str, str]:
    """As many lengths as the data have steps: the axes are exchanged; else simply the wrong number."""
    other = "; that is the other axis, so the data lie the other way round" if n == L else ""
    return (
        f"{n} lengths for {N} rows: the data are {read}{other}",
        f"one length a row; pack_padded_sequence(x, lengths, batch_first={not batch_first}) or x.transpose(0, 1) where "
        "the two first axes are exchanged; packing has a batch_first of its own",
    )


def _longer(longest: int, L: int) -> tuple[str, str]:
    return (
        f"the largest of the lengths is {longest}, the data have {L} steps: the data were cut (or the wrong "
        "axis is time)",
        f"lengths.clamp(max=x.size(1)), or truncate data and lengths together: min(length, {L}) when the batch is made",
    )


def _pad(given: dict[str, Any]) -> tuple[str, str]:
    value = given.get("sequence")
    if not isinstance(value, PackedSequence):
        return (
            f"pad_packed_sequence was given a {type(value).__name__}, not a PackedSequence",
            "out, state = rnn(packed) first, then pad_packed_sequence(out, batch_first=True); a layer returns "
            "packed output "
            "only for packed input",
        )
    longest, total = len(value.batch_sizes), given.get("total_length")
    if isinstance(total, int) and total < longest:
        return (
            f"total_length={total} is less than the longest row, {longest} steps",
            f"total_length=x.size(1) (at least {longest})",
        )
    return _longer(longest, int(value.data.size(0)))


def _in_layer(failure: Failure) -> tuple[str, str] | None:
    """A packed input whose parts do not fit each other."""
    call = failure.call
    packed = call.packed if call is not None else None
    if call is None or packed is None:
        return None
    steps, rows = int(packed.batch_sizes.sum()), packed.data.size(0)
    ops = failure.seen.trace.ops if failure.seen.trace else []
    place = next(
        (k for k in reversed(range(len(ops))) if ops[k].name == "_pack_padded_sequence" and ops[k].shapes), None
    )
    if place is not None:
        first = False not in ops[place].note[2:3]
        given = next(
            (op.shapes[0] for op in ops[max(0, place - 4) : place] if op.name == "index_select"), ops[place].shapes[0]
        )
        L, N, n = given[1 if first else 0], given[0 if first else 1], int(packed.batch_sizes[0])
        if n != N:
            return _other_axis(n, N, L, f"{given}, read as {'(N, L, …)' if first else '(L, N, …)'}", first)
        if len(packed.batch_sizes) > L:
            return _longer(len(packed.batch_sizes), L)
    if steps != rows:
        return (
            f"the packed input has {rows} rows of data, its batch_sizes add up to {steps}: the lengths and the "
            "data do not "
            "belong together (a length larger than the padded data, or data changed after packing)",
            "lengths.clamp(max=x.size(1)) before packing; change packed.data only by row-wise functions that "
            "keep its first axis",
        )
    return None


def _after_padding(failure: Failure) -> tuple[str, str] | None:
    """The longest row of this batch is shorter than the padded input, and something meets the input's length."""
    op, trace = failure.op, failure.seen.trace
    if op is None or trace is None or len(op.shapes) < 2:
        return None
    pads = [o for o in trace.ops if o.name == "_pad_packed_sequence" and o.result]
    packs = [o for o in trace.ops if o.name == "_pack_padded_sequence" and o.shapes]
    if not pads or not packs:
        return None
    before, after = set(packs[-1].shapes[0][:2]), set(pads[-1].result[:2])
    lost, kept = before - after, after - before
    sizes = [set(s) for s in op.shapes]
    if len(lost) == 1 and len(kept) == 1 and any(lost & s for s in sizes) and any(kept & s for s in sizes):
        L, longest = lost.pop(), kept.pop()
        return (
            f"the input has {L} steps, pad_packed_sequence gave back {longest}, the longest of this batch: "
            f"{op.name} meets both",
            "pad_packed_sequence(out, batch_first=True, total_length=x.size(1)), or cut the other side to "
            f"{longest} steps",
        )
    return None


def find(study: Study) -> Iterator[Finding]:
    """Fewer lengths than rows raise nothing with enforce_sorted=False: the other rows are dropped."""
    trace = study.first.seen.trace
    ops = trace.ops if trace is not None and study.first.error is None else []
    for place, op in enumerate(ops):
        if op.name != "_pack_padded_sequence" or not op.shapes:
            continue
        first = False not in op.note[2:3]
        axis = 0 if first else 1
        chosen = [o for o in ops[max(0, place - 4) : place] if o.name == "index_select" and len(o.shapes[0]) > axis]
        if chosen and chosen[-1].shapes[0][axis] > op.shapes[0][axis]:
            given, n = chosen[-1].shapes[0], op.shapes[0][axis]
            read = f"{given}, read as {'(N, L, …)' if first else '(L, N, …)'}"
            detail, fix = _other_axis(n, given[axis], given[1 - axis], read, first)
            yield RULE.finding(
                f"{detail}; the rows that have no length are dropped without a word", fix, where=op.where
            )
            return


RULE = Rule(
    "LS108",
    "packing-call",
    "the lengths do not fit the data that are packed",
    "pack_padded_sequence wants one length a row, on the CPU, from 1 to L, in decreasing order unless "
    "enforce_sorted=False; it does not compare the lengths with the padded size. pad_packed_sequence gives "
    "back as many "
    "steps as the longest row has, which total_length changes.",
    wrong="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x, n_steps):
    packed = pack_padded_sequence(x, n_steps, batch_first=True)
    return rnn(packed)[1][-1]
lengths = torch.tensor([3, 7, 5])
inputs = (torch.randn(3, 7, 5), lengths)
""",
    right="""
rnn = nn.GRU(5, 8, batch_first=True)
def model(x, n_steps):
    packed = pack_padded_sequence(x, n_steps, batch_first=True, enforce_sorted=False)
    return rnn(packed)[1][-1]
lengths = torch.tensor([3, 7, 5])
inputs = (torch.randn(3, 7, 5), lengths)
""",
    explain=explain,
    find=find,
    order=13,
)
