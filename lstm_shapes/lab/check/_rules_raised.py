"""The rules on what torch raises: an operand that a layer, a function or a loss refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from lstm_shapes.lab._words import layer_names, layout_of, value_name
from lstm_shapes.lab.raised import Raised, Reason, explained
from lstm_shapes.lab.raised._contracts import refused
from lstm_shapes.lab.raised._layers import IS_TUPLE, ITS_OWN, KEEP_NO_GRAPH, sorted_from
from lstm_shapes.lab.trace import Call, LayerCall, Trace

from ._experiments import Experiments
from ._loading import explain_load_error
from ._rules_states import second_call_of
from .report import RULES, Finding, rule


# ---------------------------------------------------------------------- an exception as a finding
def explain_error(
    error: BaseException,
    trace: Trace | None = None,
    names: dict[int, str] | None = None,
    batch: dict[int, int] | None = None,
) -> Finding:
    """An exception as a finding, with or without a record of what led to it; `names` are those of modules by id.

    Without a record the arguments of modules, and the variables of the line that raised, are all there is to read.
    """
    raised = Raised(error, trace or Trace(), names or {}, batch or {})
    return explain_load_error(error) or finding_of(raised, explained(raised))


def explanation_of(lab: Experiments) -> Finding | None:
    """The exception of the program as it is."""
    error = lab.baseline.error
    if error is None:
        return None
    lab.snapshot.restore()  # a fix of another finding may just have turned a layer
    return explain_error(error, lab.baseline, lab.reached.names, _batch(lab))


def _batch(lab: Experiments) -> dict[int, int]:
    """The batch axis of inputs, by the index of their value."""
    axis = lab.batch_dim
    if axis is None:
        return {}
    return {value.index: axis for value in lab.baseline.inputs if value.shape[axis : axis + 1] == (lab.N,)}


def loads_of(lab: Experiments) -> tuple[Finding, ...]:
    """What was loaded without a word in the run as it is."""
    return tuple(lab.loads.findings) if lab.baseline.error is None else ()


def finding_of(raised: Raised, explanation: Reason) -> Finding:
    """An explanation as a finding of its rule, with the line that made each operand, where it is another one."""
    one, where = explanation, explanation.where or raised.spelling.where
    makers = [(value.maker.where, value) for value in one.operands if value.maker is not None and value.maker.where]
    made = {str(place): f"{place}  ({raised.described(value)})" for place, value in reversed(makers) if place != where}
    more = {"layer": one.layer, "made_by": tuple(reversed(made.values())), "cause": raised.error}
    return RULES[one.code].finding(one.title, one.measured, one.fix, where, **more)  # type: ignore[arg-type]


def _said(code: str, found: Finding | None) -> Iterator[Finding]:
    if found is not None and found.code == code:
        yield found


def _hangs(lab: Experiments, layer: LayerCall) -> bool:
    """Whether a state descends, through tensors with a graph, from a layer's output before a backward."""
    before = max((at for at in lab.baseline.backward_at if at <= layer.call.index), default=0)
    held = lab.baseline.ancestors(*layer.states.values(), graph=True)
    return any(v.index in held for one in lab.layers if one.call.index < before for v in one.outputs.values())


# ---------------------------------------------------------------------- the rules
@rule("LS101", "feature-axis", explanation_of)
def feature_axis(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The layer's input has another number of features than the layer was built for.

    A recurrent layer multiplies the last axis of its input with weight_ih, whose width is input_size. The last axis is
    the feature axis with batch_first and without.

    Wrong and right::

      - rnn = nn.LSTM(10, 16, batch_first=True)
      + rnn = nn.LSTM(5, 16, batch_first=True)
        model = lambda x: rnn(x)[0]
    """
    yield from _said("LS101", found)


@rule("LS102", "input-rank", explanation_of)
def input_rank(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The layer's input has the wrong number of axes, or no steps.

    A layer reads three axes, (N, L, Q) or (L, N, Q), or the two of one unbatched sequence, (L, Q); a cell reads (N, Q)
    or (Q). The number of axes decides what each of them means.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
      - model = lambda x: rnn(x)[1][-1]
      + model = lambda x: rnn(x.squeeze(1))[1][-1]
        inputs = (torch.randn(4, 1, 7, 5),)
    """
    yield from _said("LS102", found)


@rule("LS103", "state-shape", explanation_of)
def state_shape(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The initial state does not have the shape (K·R, N, H).

    h0 and c0 hold one row for each layer and direction: (K·R, N, H) and (K·R, N, D), where H is proj_size if there is
    one and hidden_size if not. batch_first moves the axes of input and output only, never those of the state.

    Wrong and right::

        rnn = nn.GRU(5, 8, num_layers=2, batch_first=True)
      - model = lambda x: rnn(x, torch.zeros(x.size(0), 2, 8))[0]
      + model = lambda x: rnn(x, torch.zeros(2, x.size(0), 8))[0]
    """
    yield from _said("LS103", found)
    yield from _said("LS201", found)  # the state is right, and its input lies the other way round


@rule("LS104", "state-kind", explanation_of)
def state_kind(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The state has the wrong kind: an LSTM takes the tuple (h0, c0), a GRU or RNN one tensor.

    An LSTM feeds back two things, its output and its cell state, so its state is a pair. GRU and RNN feed back their
    output only. A tensor in the place of the pair is taken apart along its first axis, and the message then talks about
    shapes that nobody passed.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
      - model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8))[0]
      + model = lambda x: rnn(x, (torch.zeros(1, x.size(0), 8), torch.zeros(1, x.size(0), 8)))[0]
    """
    yield from _said("LS104", found)


@rule("LS105", "dtype", explanation_of)
def dtype(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """Input, state and weights do not have one data type.

    A layer computes in the data type of its weights. NumPy makes float64, token ids are integers, and under autocast
    outputs and states come back in the low precision; each meets float32 weights sooner or later.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
      - model = lambda x: rnn(x)[0]
      + model = lambda x: rnn(x.float())[0]
        inputs = (torch.randn(4, 7, 5, dtype=torch.float64),)
    """
    yield from _said("LS105", found)


@rule("LS106", "device", explanation_of)
def device(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """Input, state and weights are not in one place.

    model.to(device) moves parameters and buffers. What is made in forward with torch.zeros, or kept as a plain
    attribute, stays where it is: x.new_zeros(…) makes it where the data are.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
      - model = lambda x: rnn(x, torch.zeros(1, x.size(0), 8, device="meta"))[0]
      + model = lambda x: rnn(x, x.new_zeros(1, x.size(0), 8))[0]
    """
    yield from _said("LS106", found)


@rule("LS107", "output-kind", explanation_of)
def output_kind(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The layer's output tuple or a PackedSequence is used as if it were a tensor.

    A layer returns (output, hn) or (output, (hn, cn)), and a PackedSequence where it was given one. Neither is a
    tensor; nn.Sequential, hooks and summaries that expect one stop there. Indexing a PackedSequence even works: it is
    a tuple.

    Wrong and right::

      - model = nn.Sequential(nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2))
      + rnn, head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2)
      + def model(x):
      +     out, hn = rnn(x)
      +     return head(out[:, -1])
    """
    yield from _said("LS107", found)
    packs = {call.line for call in lab.baseline.calls if call.name == "_pack_padded_sequence"}
    results = [value for _, value in lab.baseline.results if not value.tensor.is_floating_point()]
    made = [value.maker for value in results if value.maker is not None and value.maker.line in packs]
    if made and lab.baseline.error is None:
        title = "the result is a part of a PackedSequence, indices or sizes and no features"
        fix = "out, lengths = pad_packed_sequence(out, batch_first=True) first, or out.data; the last states are hn[-1]"
        yield RULES["LS107"].finding(title, IS_TUPLE, fix, made[0].where)


@rule("LS108", "packing-call", explanation_of)
def packing_call(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The lengths do not fit the data that are packed, or steps that packing took off are missed.

    pack_padded_sequence wants one length a row, on the CPU, from 1 to L, in falling order unless enforce_sorted=False;
    it does not compare the lengths with the padded size. pad_packed_sequence gives back as many steps as the longest
    row has, which total_length changes.

    Wrong and right::

        rnn = nn.GRU(5, 8, batch_first=True)
        def model(x, n):
      -     packed = pack_padded_sequence(x, n, batch_first=True)
      +     packed = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
            return rnn(packed)[1][-1]
        lengths = torch.tensor([3, 7, 5])
        inputs = (torch.randn(3, 7, 5), lengths)
    """
    yield from _said("LS108", found)
    for call in lab.baseline.calls if lab.baseline.error is None else ():
        if call.name != "_pack_padded_sequence" or not call.inputs:
            continue
        first, source = bool(call.args[2]), sorted_from(call)
        axis = 0 if first else 1
        N, n = source.shape[axis], call.inputs[0].shape[axis]
        if n < N:
            title = f"{n} lengths for {N} rows: the rows that have no length are dropped without a word"
            lies = f"{value_name(source)} {source.shape} is read as {layout_of(first)}"
            turned = f"pack_padded_sequence(…, batch_first={not first}), {ITS_OWN}"
            fix = turned if source.shape[1 - axis] == n else f"one length for each of the {N} rows"
            yield RULES["LS108"].finding(title, lies, fix, call.where)
            return


@rule("LS109", "kept-graph", explanation_of)
def kept_graph(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """Backward a second time through a state that was kept without detach.

    A state that is carried to the next piece of a sequence carries the graph of the piece it was computed in. backward
    frees that graph, so the next backward stops in it. detach keeps the numbers and cuts the graph: truncated
    backpropagation through time.

    Wrong and right::

        rnn = nn.GRU(5, 6, batch_first=True)
        def model(x):
            h = torch.zeros(1, x.size(0), 6)
            for piece in x.split(3, dim=1):
      -         out, h = rnn(piece, h)
      +         out, h = rnn(piece, h.detach())
                out.pow(2).mean().backward()
    """
    yield from _said("LS109", found)
    trace, backward_at = lab.baseline, lab.baseline.backward_at
    layer: LayerCall | None = None
    if trace.error is None and len(backward_at) > 1:
        layer = next((one for one in lab.layers if one.call.index < backward_at[-1] and _hangs(lab, one)), None)
    elif trace.error is None and (second := lab.ask(second_call_of)).kind == "graph":
        layer = second.layer
    if layer is not None:
        title = f"the state that {layer.called} starts from still carries the graph of an earlier call"
        measured = "the state was kept without detach, and backward goes through a graph that an earlier one has freed"
        fix = f"{KEEP_NO_GRAPH}; here: {layer_names(layer).get('hn', 'hn')}.detach()"
        yield RULES["LS109"].finding(title, measured, fix, layer.call.where, layer=layer.name)


@rule("LS110", "configuration", explanation_of)
def configuration(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """The layer itself cannot be built.

    Sizes are whole numbers of at least 1, dropout is a probability, and proj_size is smaller than hidden_size (0 means
    no projection).

    Wrong and right::

      - model = lambda x: nn.LSTM(5, 8, proj_size=8, batch_first=True)(x)[0]
      + model = lambda x: nn.LSTM(5, 8, proj_size=4, batch_first=True)(x)[0]
    """
    yield from _said("LS110", found)


@rule("LS111", "next-layer", explanation_of)
def next_layer(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """What follows the recurrent layer expects another width or rank.

    A layer returns R·H features a step, twice hidden_size with two directions and proj_size with a projection.
    Flattening steps into features ties what follows to one length. hn is (K·R, N, H), whatever batch_first is.

    Wrong and right::

      - rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(8, 3)
      + rnn, head = nn.LSTM(5, 8, batch_first=True, bidirectional=True), nn.Linear(2 * 8, 3)
        model = lambda x: head(rnn(x)[0])
    """
    yield from _said("LS111", found)


@rule("LS112", "target-shape", explanation_of)
def target_shape(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """Output and target do not agree.

    Regression and binary losses want one shape on both sides; cross_entropy wants the classes on axis 1, (N, C, L), and
    class indices (N, L); ctc_loss wants the steps first, (T, N, C).

    Wrong and right::

        rnn, head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)
      - model = lambda x, y: F.cross_entropy(head(rnn(x)[0]), y)
      + model = lambda x, y: F.cross_entropy(head(rnn(x)[0]).transpose(1, 2), y)
        inputs = (torch.randn(4, 7, 5), torch.randint(3, (4, 7)))
    """
    yield from _said("LS112", found)
    target, trace = lab.target, lab.baseline
    results = [value for _, value in trace.results if value.tensor.is_floating_point() and value.shape]
    if trace.error is not None or not isinstance(target, Tensor) or len(trace.results) != 1 or not results:
        return
    result, regression = results[0], target.is_floating_point() or results[0].shape == target.shape
    pairs = zip(reversed(result.shape), reversed(target.shape), strict=False)
    if all(a == b or 1 in (a, b) for a, b in pairs) if regression else result.shape[:-1] == (target.numel(),):
        return  # silently compared: another rule's matter
    compare = F.mse_loss if regression else F.cross_entropy
    try:
        compare(result.tensor.detach(), target)
    except Exception as error:
        raised = Raised(error, trace, lab.reached.names, _batch(lab))
        given = (result, raised.seen(target))
        raised.batch |= {given[1].index: 0} if lab.batch_dim is not None and target.shape[:1] == (lab.N,) else {}
        raised.spelling.say(result.tensor, "output")
        raised.spelling.say(target, "target")
        call = Call(len(trace.calls), compare.__name__, None, given, {}, given, None, error=error, func=compare)
        where = result.maker.where if result.maker is not None else None
        yield finding_of(raised, replace(refused(raised, call), where=where))


@rule("LS113", "operand", explanation_of)
def operand(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """A function refuses an operand, or the program refuses its own data.

    torch names sizes and no tensors. The operands stand here with their axes and the lines that made them; a fix was
    tried on them, and the call then ran.

    Wrong and right::

        conv, rnn = nn.Conv1d(5, 6, 3), nn.GRU(6, 8, batch_first=True)
      - model = lambda x: rnn(conv(x).transpose(1, 2))[0]
      + model = lambda x: rnn(conv(x.transpose(1, 2)).transpose(1, 2))[0]
    """
    yield from _said("LS113", found)


@rule("LS114", "checkpoint", explanation_of)
def checkpoint(found: Finding | None, lab: Experiments) -> Iterator[Finding]:
    """A state_dict does not fit the model.

    torch lists keys and stacked sizes. The recurrent layers of the file and of the model stand here side by side, with
    the constructor that fits the file, or the change of keys that loads it.

    Wrong and right::

      - rnn = nn.LSTM(5, 8, batch_first=True)
      + rnn = nn.LSTM(5, 16, batch_first=True)
        def model(x):
            rnn.load_state_dict(nn.LSTM(5, 16).state_dict())
            return rnn(x)[0]
    """
    yield from _said("LS114", found)


@rule("LS215", "nothing-loaded", loads_of)
def nothing_loaded(found: tuple[Finding, ...], lab: Experiments) -> Iterator[Finding]:
    """Recurrent weights were not loaded, and strict=False let it pass.

    With strict=False a key that the model does not have is passed over, and a weight that the file does not have stays
    as it was drawn. Where all keys have another prefix nothing is loaded, and nothing is said.

    Wrong and right::

        rnn = nn.LSTM(5, 8, batch_first=True)
        saved = {"module." + key: weight for key, weight in rnn.state_dict().items()}
        def model(x):
      -     rnn.load_state_dict(saved, strict=False)
      +     rnn.load_state_dict({key.removeprefix("module."): weight for key, weight in saved.items()}, strict=False)
            return rnn(x)[0]
    """
    yield from (one for one in found if one.code == "LS215")
