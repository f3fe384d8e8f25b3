"""The rules on what torch raises: an operand that a layer, a function or a loss refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lstm_shapes.lab._words import layer_names, layout_of, value_name
from lstm_shapes.lab.raised import Explanation, Raised, explained
from lstm_shapes.lab.raised._calls import function
from lstm_shapes.lab.raised._layers import IS_TUPLE, KEEP_NO_GRAPH
from lstm_shapes.lab.raised._packing import ITS_OWN, sorted_from
from lstm_shapes.lab.trace import LayerCall, Recorder, Trace

from ._experiments import Experiments
from ._kept import second_call_of
from ._loading import explain_load_error
from .report import Finding
from .rule import RULES, rule

__all__ = ["explain_error"]

Found = tuple[Raised, Explanation] | None


# ---------------------------------------------------------------------- an exception as a finding
def explain_error(error: BaseException, trace: Trace | None = None, names: dict[int, str] | None = None) -> Finding:
    """An exception as a finding, with or without a record of what led to it; `names` are those of modules by id.

    Without a record the arguments of modules, and the variables of the line that raised, are all there is to read.
    """
    loading = explain_load_error(error)
    if loading is not None:
        return loading
    raised = Raised(error, trace or Trace(), names or {})
    return finding_of(raised, explained(raised))


def explanation_of(lab: Experiments) -> tuple[Raised, Explanation] | None:
    """The exception of the program as it is, with its explanation."""
    raised = lab.ask(raised_of)
    if raised is None or lab.ask(load_error_of) is not None:
        return None
    return raised, explained(raised)


def load_error_of(lab: Experiments) -> Finding | None:
    """What load_state_dict refused, where that is the exception."""
    error = lab.baseline.error
    return None if error is None else explain_load_error(error)


def loads_of(lab: Experiments) -> tuple[Finding, ...]:
    """What was loaded without a word in the run as it is."""
    return tuple(lab.loads.findings) if lab.baseline.error is None else ()


def finding_of(raised: Raised, explanation: Explanation) -> Finding:
    """An explanation as a finding of its rule."""
    where = explanation.where or raised.spelling.where
    return RULES[explanation.code].finding(
        explanation.title,
        explanation.measured,
        explanation.fix,
        where,
        layer=explanation.layer,
        made_by=tuple(_made(raised, explanation)),
        cause=raised.error,
    )


def _made(raised: Raised, explanation: Explanation) -> Iterator[str]:
    """The line that made each operand, where it is another than the failing one."""
    seen = {str(explanation.where or raised.spelling.where)}
    for value in explanation.operands:
        place = str(value.maker.where) if value.maker is not None else ""
        if place and place not in seen:
            seen.add(place)
            yield f"{place}  ({raised.described(value)})"


def raised_of(lab: Experiments) -> Raised | None:
    """The exception of the program as it is, None where it came back."""
    trace = lab.baseline
    if trace.error is None:
        return None
    batch: dict[int, int] = {}
    for value in trace.inputs:
        axis = lab.batch_dim
        if axis is not None and len(value.shape) > axis and value.shape[axis] == lab.N:
            batch[value.index] = axis
    return Raised(trace.error, trace, lab.reached.names, batch)


def _said(code: str, found: Found) -> Iterator[Finding]:
    if found is not None and found[1].code == code:
        yield finding_of(*found)


# ---------------------------------------------------------------------- what raises nothing
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
                if _hangs(trace, layer, earlier, trace.backward_at[first - 1]):
                    yield _kept(
                        layer, f"backward number {first + 1} goes through the graph of backward number {first} again"
                    )
                    return
        return
    second = lab.ask(second_call_of)
    if second.kind == "graph" and second.layer is not None:
        yield _kept(second.layer, "the backward of a second call reaches into the graph of the first, which is gone")


def _hangs(trace: Trace, layer: LayerCall, earlier: list[LayerCall], before: int) -> bool:
    """Whether a state descends, through tensors with a graph, from a layer's output before a backward."""
    held = trace.ancestors(*layer.states.values(), graph=True)
    outputs = (value for one in earlier for value in one.outputs.values() if value.index in held)
    return any(value.maker is not None and value.maker.index < before for value in outputs)


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


def packed_as_result(lab: Experiments) -> Iterator[Finding]:
    """`packed[-1]` raises nothing: it is unsorted_indices, whole numbers that look like a result."""
    results = {id(value.tensor) for _, value in lab.baseline.results if not value.tensor.is_floating_point()}
    for layer in lab.layers if lab.baseline.error is None and results else ():
        part = next((part for part, tensor in _indices(lab, layer) if id(tensor) in results), "")
        if part:
            returned = f"the PackedSequence that {layer.called} returns"
            title = f"the result is {part} of {returned}, indices and no features"
            fix = "out, lengths = pad_packed_sequence(out, batch_first=True) first, or out.data; the last states are "
            yield RULES["LS107"].finding(title, IS_TUPLE, f"{fix}hn[-1]", layer.call.where, layer=layer.name)
            return


def _indices(lab: Experiments, layer: LayerCall) -> Iterator[tuple[str, Tensor]]:
    """The whole numbers of a packed input: its batch sizes, and the order and its inverse that packing made."""
    if not layer.packed or "Y" not in layer.outputs:
        return
    if layer.batch_sizes is not None:
        yield "batch_sizes", layer.batch_sizes
    makers = {"sorted_indices": ("sort", "argsort"), "unsorted_indices": ("scatter_", "empty_like", "argsort")}
    for value in lab.baseline.values:
        for part, names in makers.items():
            if value.maker is not None and value.maker.name in names and value.maker.index < layer.call.index:
                yield part, value.tensor


def dropped_rows(lab: Experiments) -> Iterator[Finding]:
    """Fewer lengths than rows raise nothing with enforce_sorted=False: the other rows are dropped."""
    for call in lab.baseline.calls if lab.baseline.error is None else ():
        if call.name != "_pack_padded_sequence" or not call.inputs:
            continue
        first, source = bool(call.args[2]), sorted_from(call)
        axis = 0 if first else 1
        N, n = source.shape[axis], call.inputs[0].shape[axis]
        if n < N:
            lies = f"{value_name(source)} {source.shape} is read as {layout_of(first)}"
            title = f"{n} lengths for {N} rows: the rows that have no length are dropped without a word"
            fix = f"one length for each of the {N} rows"
            if source.shape[1 - axis] == n:
                fix = f"pack_padded_sequence(…, batch_first={not first}), {ITS_OWN}"
            yield RULES["LS108"].finding(title, lies, fix, call.where)
            return


def target_mismatch(lab: Experiments) -> tuple[Raised, Explanation] | None:
    """What the loss that belongs to the target says of the result, where it raises."""
    target, trace = lab.target, lab.baseline
    results = [value for _, value in trace.results if value.tensor.is_floating_point()]
    if trace.error is not None or not isinstance(target, Tensor) or len(results) != 1 or not results[0].shape:
        return None
    result, compare = results[0], lab.loss
    if compare is None:
        compare = F.mse_loss if target.is_floating_point() or result.shape == target.shape else F.cross_entropy
        pairs = zip(reversed(result.shape), reversed(target.shape), strict=False)
        if compare is F.mse_loss and all(a == b or 1 in (a, b) for a, b in pairs):
            return None  # silently compared: another rule's matter
        if compare is F.cross_entropy and len(result.shape) == 2 and result.shape[0] == target.numel():
            return None
    recorder = Recorder(None, lab.reached.names)
    recorder.trace = replace(trace, calls=list(trace.calls), values=list(trace.values), _known=dict(trace._known))
    recorder.count = len(trace.calls)
    value = recorder.value(target, origin="target")
    axis = lab.batch_dim
    batch = {v.index: axis for v in trace.inputs if axis is not None and len(v.shape) > axis}
    if axis is not None and target.dim() and target.size(0) == lab.N:
        batch[value.index] = 0
    try:
        with recorder, torch.no_grad():
            compare(result.tensor.detach() if result.parameter else result.tensor, target)
    except Exception as error:
        raised = Raised(error, recorder.trace, lab.reached.names, batch)
        raised.spelling.say(result.tensor, "output")
        raised.spelling.say(target, "target")
        explanation = function(raised)
        if explanation is not None and explanation.code == "LS112":
            return raised, replace(explanation, where=result.maker.where if result.maker is not None else None)
    return None


# ---------------------------------------------------------------------- the rules
@rule("LS101", "feature-axis", explanation_of)
def feature_axis(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer's input has another number of features than the layer was built for.

    A recurrent layer multiplies the last axis of its input with weight_ih, whose width is input_size. The last axis is
    the feature axis with batch_first and without.

    Wrong::

        rnn = nn.LSTM(10, 16, batch_first=True)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 12),)

    Right::

        rnn = nn.LSTM(12, 16, batch_first=True)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 12),)
    """
    yield from _said("LS101", found)


@rule("LS102", "input-rank", explanation_of)
def input_rank(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer's input has the wrong number of axes, or no steps.

    A layer reads three axes, (N, L, Q) or (L, N, Q), or the two of one unbatched sequence, (L, Q); a cell reads (N, Q)
    or (Q). The number of axes decides what each of them means.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x)[1][-1]
        inputs = (torch.randn(4, 1, 7, 5),)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x.squeeze(1))[1][-1]
        inputs = (torch.randn(4, 1, 7, 5),)
    """
    yield from _said("LS102", found)


@rule("LS103", "state-shape", explanation_of)
def state_shape(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The initial state does not have the shape (K·R, N, H).

    h0 and c0 hold one row for each layer and direction: (K·R, N, H) and (K·R, N, D), where H is proj_size if there is
    one and hidden_size if not. batch_first moves the axes of input and output only, never those of the state.

    Wrong::

        rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(x.size(0), 2, 8))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(2, x.size(0), 8))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS103", found)
    yield from _said("LS201", found)  # the state is right, and its input lies the other way round


@rule("LS104", "state-kind", explanation_of)
def state_kind(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The state has the wrong kind: an LSTM takes the tuple (h0, c0), a GRU or RNN one tensor.

    An LSTM feeds back two things, its output and its cell state, so its state is a pair. GRU and RNN feed back their
    output only. A tensor in the place of the pair is taken apart along its first axis, and the message then talks about
    shapes that nobody passed.

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x, (torch.zeros(1, x.size(0), 8), torch.zeros(1, x.size(0), 8)))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS104", found)


@rule("LS105", "dtype", explanation_of)
def dtype(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Input, state and weights do not have one data type.

    A layer computes in the data type of its weights. NumPy makes float64, token ids are integers, and under autocast
    outputs and states come back in the low precision; each meets float32 weights sooner or later.

    Wrong::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)

    Right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        model = lambda x: rnn(x.float())[0]
        inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)
    """
    yield from _said("LS105", found)


@rule("LS106", "device", explanation_of)
def device(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Input, state and weights are not in one place.

    model.to(device) moves parameters and buffers. What is made in forward with torch.zeros, or kept as a plain
    attribute, stays where it is: x.new_zeros(…) makes it where the data are.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8, device="meta"))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        model = lambda x: rnn(x, x.new_zeros(1, x.size(0), 8))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS106", found)


@rule("LS107", "output-kind", explanation_of)
def output_kind(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer's output tuple or a PackedSequence is used as if it were a tensor.

    A layer returns (output, hn) or (output, (hn, cn)), and a PackedSequence where it was given one. Neither is a
    tensor; nn.Sequential, hooks and summaries that expect one stop there. Indexing a PackedSequence even works: it is
    a tuple.

    Wrong::

        model = nn.Sequential(nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2))
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2)
        def model(x):
            out, hn = rnn(x)
            return head(out[:, -1])
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS107", found)
    yield from packed_as_result(lab)


@rule("LS108", "packing-call", explanation_of)
def packing_call(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The lengths do not fit the data that are packed, or steps that packing took off are missed.

    pack_padded_sequence wants one length a row, on the CPU, from 1 to L, in falling order unless enforce_sorted=False;
    it does not compare the lengths with the padded size. pad_packed_sequence gives back as many steps as the longest
    row has, which total_length changes.

    Wrong::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n_steps):
            packed = pack_padded_sequence(x, n_steps, batch_first=True)
            return rnn(packed)[1][-1]
        lengths = torch.tensor([3, 7, 5])
        inputs = (torch.randn(3, 7, 5), lengths)

    Right::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n_steps):
            packed = pack_padded_sequence(x, n_steps, batch_first=True, enforce_sorted=False)
            return rnn(packed)[1][-1]
        lengths = torch.tensor([3, 7, 5])
        inputs = (torch.randn(3, 7, 5), lengths)
    """
    yield from _said("LS108", found)
    yield from dropped_rows(lab)


@rule("LS109", "kept-graph", explanation_of)
def kept_graph(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Backward a second time through a state that was kept without detach.

    A state that is carried to the next piece of a sequence carries the graph of the piece it was computed in. backward
    frees that graph, so the next backward stops in it. detach keeps the numbers and cuts the graph: truncated
    backpropagation through time.

    Wrong::

        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x):
            h = torch.zeros(1, x.size(0), 6)
            for piece in x.split(5, dim=1):
                out, h = rnn(piece, h)
                out.pow(2).mean().backward()
        inputs = (torch.randn(3, 10, 4),)

    Right::

        rnn = nn.GRU(4, 6, batch_first=True)
        def model(x):
            h = torch.zeros(1, x.size(0), 6)
            for piece in x.split(5, dim=1):
                out, h = rnn(piece, h.detach())
                out.pow(2).mean().backward()
        inputs = (torch.randn(3, 10, 4),)
    """
    yield from _said("LS109", found)
    yield from graphs_kept(lab)


@rule("LS110", "configuration", explanation_of)
def configuration(found: Found, lab: Experiments) -> Iterator[Finding]:
    """The layer itself cannot be built.

    Sizes are whole numbers of at least 1, dropout is a probability, and proj_size is smaller than hidden_size (0 means
    no projection).

    Wrong::

        def model(x):
            return nn.LSTM(5, 8, proj_size=8)(x)[0]
        inputs = (torch.randn(4, 7, 5),)
        batch_dim = 1

    Right::

        rnn = nn.LSTM(5, 8, proj_size=4)
        model = lambda x: rnn(x)[0]
        inputs = (torch.randn(4, 7, 5),)
        batch_dim = 1
    """
    yield from _said("LS110", found)


@rule("LS111", "next-layer", explanation_of)
def next_layer(found: Found, lab: Experiments) -> Iterator[Finding]:
    """What follows the recurrent layer expects another width or rank.

    A layer returns R·H features a step, twice hidden_size with two directions and proj_size with a projection.
    Flattening steps into features ties what follows to one length. hn is (K·R, N, H), whatever batch_first is.

    Wrong::

        rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(8, 3)
        model = lambda x: head(rnn(x)[0])
        inputs = (torch.randn(4, 7, 5),)

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(2 * 8, 3)
        model = lambda x: head(rnn(x)[0])
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS111", found)


@rule("LS112", "target-shape", explanation_of)
def target_shape(found: Found, lab: Experiments) -> Iterator[Finding]:
    """Output and target do not agree.

    Regression and binary losses want one shape on both sides; cross_entropy wants the classes on axis 1, (N, C, L), and
    class indices (N, L); ctc_loss wants the steps first, (T, N, C).

    Wrong::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x, y: F.cross_entropy(head(rnn(x)[0]), y)
        inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))

    Right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
        model = lambda x, y: F.cross_entropy(head(rnn(x)[0]).transpose(1, 2), y)
        inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))
    """
    yield from _said("LS112", found)
    mismatch = target_mismatch(lab)
    if mismatch is not None:
        yield finding_of(*mismatch)


@rule("LS113", "operand", explanation_of)
def operand(found: Found, lab: Experiments) -> Iterator[Finding]:
    """A function refuses an operand, or the program refuses its own data.

    torch names sizes and no tensors. The operands stand here with their axes and the lines that made them; a fix was
    tried on them, and the call then ran.

    Wrong::

        conv, rnn = nn.Conv1d(5, 6, 3), nn.GRU(6, 8, batch_first=True)
        model = lambda x: rnn(conv(x).transpose(1, 2))[0]
        inputs = (torch.randn(4, 7, 5),)

    Right::

        conv, rnn = nn.Conv1d(5, 6, 3), nn.GRU(6, 8, batch_first=True)
        model = lambda x: rnn(conv(x.transpose(1, 2)).transpose(1, 2))[0]
        inputs = (torch.randn(4, 7, 5),)
    """
    yield from _said("LS113", found)


@rule("LS114", "checkpoint", load_error_of)
def checkpoint(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """A state_dict does not fit the model.

    torch lists keys and stacked sizes. The recurrent layers of the file and of the model stand here side by side, with
    the constructor that fits the file, or the change of keys that loads it.

    Wrong::

        saved, rnn = nn.LSTM(5, 16).state_dict(), nn.LSTM(5, 8)
        def model(x):
            rnn.load_state_dict(saved)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1

    Right::

        saved, rnn = nn.LSTM(5, 16).state_dict(), nn.LSTM(5, 16)
        def model(x):
            rnn.load_state_dict(saved)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1
    """
    if found is not None:
        yield found


@rule("LS215", "nothing-loaded", loads_of)
def nothing_loaded(found: tuple[Finding, ...], lab: Experiments) -> Iterator[Finding]:
    """Recurrent weights were not loaded, and strict=False let it pass.

    With strict=False a key that the model does not have is passed over, and a weight that the file does not have stays
    as it was drawn. Where all keys have another prefix nothing is loaded, and nothing is said.

    Wrong::

        saved, rnn = {"module." + k: v for k, v in nn.LSTM(5, 8).state_dict().items()}, nn.LSTM(5, 8)
        def model(x):
            rnn.load_state_dict(saved, strict=False)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1

    Right::

        saved, rnn = {"module." + k: v for k, v in nn.LSTM(5, 8).state_dict().items()}, nn.LSTM(5, 8)
        def model(x):
            rnn.load_state_dict({k.removeprefix("module."): v for k, v in saved.items()}, strict=False)
            return rnn(x)[0]
        inputs = (torch.randn(7, 4, 5),)
        batch_dim = 1
    """
    yield from (one for one in found if one.code == "LS215")
