"""LS107 output-kind: the output tuple or a PackedSequence is used as if it were a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab.check_old.failure import Failure
from lstm_shapes.lab.check_old.report import Finding
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.study import Study
from lstm_shapes.lab.check_old.values import leaves

_KINDS = (TypeError, AttributeError, IndexError, ValueError, RuntimeError, KeyError)


def explain(failure: Failure) -> Finding | None:
    given = failure.call.input if failure.call is not None else ()
    if isinstance(given, PackedSequence) or not isinstance(given, (tuple, list)):
        return None  # a layer raised, and its input is a tensor or packed: that is for other rules
    value, exact = _culprit(failure)
    if value is None:
        return None
    packed = isinstance(value, PackedSequence)
    call = failure.layer_output(value)
    if call is None and not packed:
        return None
    detail, fix = _packed(value) if packed else _tuple(failure, value)
    return RULE.finding(
        detail,
        fix,
        level="error" if exact else "warning",
        layer=call.name if call else "",
        where=failure.where,
        cause=failure.error,
    )


def _culprit(failure: Failure) -> tuple[Any, bool]:
    """The object that was taken for a tensor."""
    error = failure.error
    if not isinstance(error, _KINDS):
        return None, False
    exact = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    if exact is not None:
        if isinstance(exact, PackedSequence) or failure.layer_output(exact) is not None:
            return exact, True
        return None, False
    if failure.call is not None:
        return failure.call.input, True
    if failure.module is not None:
        for value in failure.module.args:
            if isinstance(value, PackedSequence) or failure.layer_output(value) is not None:
                return value, True
    if not isinstance(error, (TypeError, ValueError)) or not failure.frames:
        return None, False
    # No exact object: a local of the failing line that is the output itself, and no function failed on tensors.
    op = failure.op
    if op is not None and not any(isinstance(item, tuple) or item == "PackedSequence" for item in op.note):
        return None, False
    frame = next(
        (f for f in reversed(failure.frames) if f.f_code.co_filename == (failure.where.file if failure.where else "")),
        None,
    )
    source = failure.where.source if failure.where else ""
    for word, value in frame.f_locals.items() if frame else ():
        if (not source or word in source) and (
            isinstance(value, PackedSequence) or failure.layer_output(value) is not None
        ):
            return value, True
    line = failure.where
    for call in reversed(failure.layers()):
        if call.where is not None and line is not None and (call.where.file, call.where.line) == (line.file, line.line):
            return call.output, True
    return None, False


def _tuple(failure: Failure, value: Any) -> tuple[str, str]:
    call = failure.layer_output(value)
    assert call is not None
    name = call.call_name
    if value is not call.output:
        return (
            "the second part of the layer's output is the tuple (hn, cn), not a tensor: an LSTM returns "
            "(output, (hn, cn))",
            f"take it apart: out, (hn, cn) = {name}(x), or output[0]; where any module's output is handled, test "
            "isinstance(output, tuple) at every level, tuples lie in tuples",
        )
    if call.step:
        return f"{name} returns the tuple (h, c)", f"h, c = {name}(x_t, (h, c)), or {name}(x_t, state)[0]"
    kind = "(output, (hn, cn))" if call.kind == "LSTM" else "(output, hn)"
    pair = "out, (hn, cn)" if call.kind == "LSTM" else "out, hn"
    fix = f"{pair} = {name}(x); out, _ = {name}(x) or {name}(x)[0] for the output alone"
    if any(type(p.module).__name__ == "Sequential" for p in failure.seen.pending):
        fix = (
            "nn.Sequential cannot take a tuple apart: write a module whose forward does out, _ = self.rnn(x); "
            "return self.fc(out[:, -1]), or put a small module between whose forward returns output[0]"
        )
    return f"a {call.label} returns the tuple {kind}; the whole tuple was used as a tensor", fix


def _packed(value: PackedSequence) -> tuple[str, str]:
    return (
        f"a PackedSequence is the named tuple (data, batch_sizes, sorted_indices, unsorted_indices), not a tensor; "
        f"its data are {tuple(value.data.shape)}: {value.data.size(0)} real steps of {int(value.batch_sizes[0])} rows",
        "out, lengths = pad_packed_sequence(out, batch_first=True) first; or work on out.data, (all real "
        "steps, width), "
        "where order does not matter; the batch size is out.batch_sizes[0]; the last states are hn[-1]",
    )


def find(study: Study) -> Iterator[Finding]:
    """`packed[-1]` raises nothing: it is unsorted_indices, whole numbers that look like a result."""
    for call in study.first.seen.calls:
        if not call.done or call.packed is None or not isinstance(call.output, tuple):
            continue
        out = call.output[0]
        parts = {
            "batch_sizes": out.batch_sizes,
            "sorted_indices": out.sorted_indices,
            "unsorted_indices": out.unsorted_indices,
        }
        for path, tensor in leaves(study.first.output):
            for part, inner in parts.items():
                if inner is not None and tensor.data_ptr() == inner.data_ptr() and not tensor.is_floating_point():
                    yield RULE.finding(
                        f"the result{path} is {part} of the layer's PackedSequence, indices and no features: indexing "
                        "a packed sequence takes an entry of the tuple (data, batch_sizes, sorted_indices, "
                        "unsorted_indices)",
                        _packed(out)[1],
                        layer=call.name,
                        where=call.where,
                    )
                    return


RULE = Rule(
    "LS107",
    "output-kind",
    "the layer's output tuple or a PackedSequence is used as if it were a tensor",
    "A layer returns (output, hn) or (output, (hn, cn)), and a PackedSequence where it was given one. Neither is a "
    "tensor; nn.Sequential, hooks and summaries that expect one stop there. Indexing a PackedSequence even works: it "
    "is a tuple.",
    wrong="""
model = nn.Sequential(nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2))
inputs = (torch.randn(4, 7, 5),)
""",
    right="""
rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2)
def model(x):
    out, hn = rnn(x)
    return head(out[:, -1])
inputs = (torch.randn(4, 7, 5),)
""",
    explain=explain,
    find=find,
    order=16,
)
