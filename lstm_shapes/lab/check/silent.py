"""What will raise, or should have raised: lengths that drop rows, a packed sequence read as a result, a kept graph, a
target that the result cannot be compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_shapes.lab.trace import LayerCall, Recorder, Value

from .experiments import Experiments
from .kept import second_call_of
from .raised import Explanation, Raised
from .raised_kinds import KEEP_NO_GRAPH
from .raised_losses import loss
from .report import Finding
from .rule import RULES
from .words import layer_names, value_name

__all__ = ["dropped_rows", "graphs_kept", "packed_as_result", "target_mismatch"]


def dropped_rows(lab: Experiments) -> Iterator[Finding]:
    """Fewer lengths than rows raise nothing with enforce_sorted=False: the other rows are dropped."""
    calls = lab.baseline.calls if lab.baseline.error is None else []
    for call in calls:
        if call.name != "_pack_padded_sequence" or not call.inputs:
            continue
        first, source = bool(call.args[2]), call.inputs[0]
        axis, sorting = 0 if first else 1, source.maker
        if sorting is None or sorting.name != "index_select" or sorting.line != call.line:
            continue
        before, n = sorting.inputs[0], source.shape[axis]
        if before.shape[axis] <= n:
            continue
        name = value_name(before)
        lies = f"{name} {before.shape} is read as {'(N, L, …)' if first else '(L, N, …)'} because batch_first={first}"
        title = f"{n} lengths for {before.shape[axis]} rows: the rows that have no length are dropped without a word"
        fix = f"one length for each of the {before.shape[axis]} rows"
        if before.shape[1 - axis] == n:
            fix = f"pack_padded_sequence(…, batch_first={not first}), one length a row; packing has a batch_first of its own"
        yield RULES["LS108"].finding(title, lies, fix, call.where)
        return


def packed_as_result(lab: Experiments) -> Iterator[Finding]:
    """`packed[-1]` raises nothing: it is unsorted_indices, whole numbers that look like a result."""
    if lab.baseline.error is not None:
        return
    outputs = {layer.outputs["Y"].index: layer for layer in lab.layers if layer.packed and "Y" in layer.outputs}
    results = {id(value.tensor) for _, value in lab.baseline.results if not value.tensor.is_floating_point()}
    for layer in outputs.values():
        for part, tensor in _indices(lab, layer):
            if id(tensor) in results:
                title = f"the result is {part} of the PackedSequence that {layer.called} returns, indices and no features"
                measured = "a PackedSequence is the named tuple (data, batch_sizes, sorted_indices, unsorted_indices)"
                fix = "out, lengths = pad_packed_sequence(out, batch_first=True) first, or out.data; the last states are hn[-1]"
                yield RULES["LS107"].finding(title, measured, fix, layer.call.where, layer=layer.name)
                return


def _indices(lab: Experiments, layer: LayerCall) -> Iterator[tuple[str, Tensor]]:
    """The whole numbers of a packed input: its batch sizes, and the order and its inverse that packing made."""
    sizes = layer.batch_sizes
    if sizes is not None:
        yield "batch_sizes", sizes
    for value in lab.baseline.values:
        maker = value.maker
        if maker is not None and maker.name in ("sort", "argsort") and maker.index < layer.call.index:
            yield "sorted_indices", value.tensor
        if maker is not None and maker.name in ("scatter_", "empty_like", "argsort") and maker.index < layer.call.index:
            yield "unsorted_indices", value.tensor


# ---------------------------------------------------------------------- LS109
def graphs_kept(lab: Experiments) -> Iterator[Finding]:
    """A state that still hangs on the graph of an earlier backward, or of the call before."""
    trace = lab.baseline
    if trace.error is not None:
        return
    layers = lab.layers
    if len(trace.backward_at) > 1:
        for layer in layers:
            first = next((k for k, at in enumerate(trace.backward_at) if at > layer.call.index), None)
            if first:
                earlier = [one for one in layers if one.call.index < trace.backward_at[first - 1]]
                if _hangs(layer, earlier, trace.backward_at[first - 1]):
                    yield _kept(layer, f"backward number {first + 1} goes through the graph of backward number {first} again")
                    return
        return
    second = lab.ask(second_call_of)
    if second.kind == "graph" and second.layer is not None:
        yield _kept(second.layer, "the backward of a second call reaches into the graph of the first, which is gone")


def _hangs(layer: LayerCall, earlier: list[LayerCall], before: int) -> bool:
    """Whether a state descends, through tensors with a graph, from a layer's output before a backward."""
    outputs = {value.index for one in earlier for value in one.outputs.values()}
    waiting = [value for value in layer.states.values()]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if value.index in seen or not value.tensor.requires_grad:
            continue
        seen.add(value.index)
        if value.index in outputs and value.maker is not None and value.maker.index < before:
            return True
        waiting.extend(value.parents)
    return False


def _kept(layer: LayerCall, what: str) -> Finding:
    names = layer_names(layer)
    title = f"the state that {layer.called} starts from still carries the graph of an earlier call"
    return RULES["LS109"].finding(
        title,
        f"{what}: the state was kept without detach",
        f"{KEEP_NO_GRAPH}; here: {names.get('hn', 'hn')}.detach()",
        layer.call.where,
        layer=layer.name,
    )


# ---------------------------------------------------------------------- LS112 of a target that check is given
def target_mismatch(lab: Experiments) -> tuple[Raised, Explanation] | None:
    """What the loss that belongs to the target says of the result, where it raises."""
    target = lab.target
    if lab.baseline.error is not None or not isinstance(target, Tensor):
        return None
    results = [value for _, value in lab.baseline.results if value.tensor.is_floating_point()]
    if len(results) != 1 or not results[0].shape:
        return None
    p, compare = results[0].tensor, lab.loss
    if compare is None:
        if target.is_floating_point() or p.shape == target.shape:
            if _broadcasts(p.shape, target.shape):
                return None  # silently compared: another rule's matter
            compare = F.mse_loss
        elif len(p.shape) == 2 and p.size(0) == target.numel():
            return None
        else:
            compare = F.cross_entropy
    return _compared(lab, results[0], target, compare)


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        torch.broadcast_shapes(a, b)
    except RuntimeError:
        return False
    return True


def _compared(lab: Experiments, result: Value, target: Tensor, compare: Any) -> tuple[Raised, Explanation] | None:
    baseline = lab.baseline
    trace = replace(baseline, calls=list(baseline.calls), values=list(baseline.values), _known=dict(baseline._known))
    recorder = Recorder(None, lab.reached.names)
    recorder.trace = trace
    recorder.count = len(trace.calls)
    value = recorder.value(target, origin="target")
    batch = {v.index: lab.batch_dim for v in trace.inputs if lab.batch_dim is not None and len(v.shape) > lab.batch_dim}
    if lab.batch_dim is not None and target.dim() and target.size(0) == lab.N:
        batch[value.index] = 0
    try:
        with recorder, torch.no_grad():
            compare(result.tensor.detach() if result.parameter else result.tensor, target)
    except Exception as error:
        raised = Raised(error, trace, lab.reached.names, batch)
        raised.spelling.say(result.tensor, "output")
        raised.spelling.say(target, "target")
        explanation = loss(raised)
        if explanation is not None:
            maker = result.maker
            return raised, replace(explanation, where=maker.where if maker is not None else None)
    return None
