"""What a recurrent layer or a packing function refuses, and what is done wrongly with what they return."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._calling import problems_of
from lstm_shapes.lab._words import argument_text, chained, covering, layout_of
from lstm_shapes.lab.trace import Call, LayerCall, Value, tensors_of
from lstm_shapes.theory._contract import Problem, Words
from lstm_shapes.theory.spec import Spec

from ._contracts import Look, refused
from ._raised import RECURRENT_MODULES, Entered, Raised, Reason, Try

IS_TUPLE = "a PackedSequence is the named tuple (data, batch_sizes, sorted_indices, unsorted_indices)"
KEEP_NO_GRAPH = (
    "detach the state between pieces: h = h.detach(), for an LSTM state = tuple(s.detach() for s in state). "
    "Not retain_graph=True, as torch advises: it keeps every earlier graph, and fails at the next optimizer step"
)
ITS_OWN = "one length a row; packing has a batch_first of its own"
PACK = "pack_padded_sequence"
_KINDS = {
    "feature-axis": ("LS101", "an input of another width than it was built for"),
    "input-rank": ("LS102", "an input with other axes than it reads"),
    "input-kind": ("LS107", "something else than a tensor as its input"),
    "layout": ("LS201", "a state that was made for the other axis of its input: it reads the batch as time"),
    "state-shape": ("LS103", "a state of another shape than its own"),
    "state-kind": ("LS104", "a state of another kind than its own"),
    "dtype": ("LS105", "another data type than its weights have"),
    "device": ("LS106", "a tensor on another device than its weights are on"),
    "packing": ("LS108", "packed rows whose parts do not fit"),
}


# ---------------------------------------------------------------------- building it, and going back through it
def configuration(raised: Raised) -> Reason | None:
    """LS110: a recurrent layer whose constructor raised."""
    given: dict[str, Any] = {}
    for here in (here for name, here in raised.within("modules/rnn.py") if name == "__init__"):
        sizes = [one for one in here.get("args") or () if not isinstance(one, str)]
        given |= {**here, **dict(zip(("input_size", "hidden_size", "num_layers"), sizes, strict=False))}
        given |= here.get("kwargs") or {}
    if not given:
        return None
    kind = type(given.get("self")).__name__
    fields = ("bias",) if kind.endswith("Cell") else ("bidirectional", "proj_size", "bias", "dropout")
    options = {name: given[name] for name in fields if name in given}
    measured = raised.message
    fix = Try(f"nn.{kind}(input_size, hidden_size, …): whole numbers of at least 1 first, switches by name")
    try:
        Spec(given.get("input_size"), given.get("hidden_size"), given.get("num_layers", 1), cell=kind, **options)  # type: ignore[arg-type]
    except SpecError as error:
        words = {"Q": "input_size", "D": "hidden_size", "K": "num_layers", "P": "proj_size"}
        name, measured = error.name.split(" ")[0], str(error)
        hint = (f". {error.hint}" if error.hint else "") + (": nn.LSTM" if "Only LSTM" in error.hint else "")
        fix = Try(f"{words.get(name, name)} must be {error.rule}{hint}", True)
    except TypeError:
        pass
    return Reason("LS110", f"nn.{kind} cannot be built with these arguments", measured, [fix])


def kept_graph(raised: Raised) -> Reason | None:
    """LS109: backward through the graph of an earlier backward."""
    if "backward" not in raised.message and "inplace operation" not in raised.message:
        return None
    carried = [layer for layer in raised.layers if any(s.tensor.grad_fn is not None for s in layer.states.values())]
    if not carried or len(raised.trace.backward_at) < 2:
        return None
    layer = carried[-1]
    title = f"backward goes a second time through the graph of the state that {layer.called} starts from"
    measured = f"the state that {layer.called} is given still hangs on the graph of an earlier call"
    return Reason("LS109", title, measured, [Try(KEEP_NO_GRAPH, True)], (), layer.name, layer.call.where)


# ---------------------------------------------------------------------- the contract of its operands
def contract(raised: Raised) -> Reason | None:
    """What theory says of the operands of the innermost recurrent layer on the traceback."""
    entered = raised.module
    if entered is None or not isinstance(entered.module, RECURRENT_MODULES):
        return None
    x, words = entered.x, _words(raised, entered)
    states = [raised.value(tensor) for tensor in tensors_of((entered.args[1:], entered.kwargs.get("hx")))]
    made = next((made for value in states if (made := raised.output_of(value)) is not None), None)
    try:
        maker = Spec.of(made[0].module) if made is not None and made[1] != "Y" else None  # type: ignore[arg-type]
        problems = problems_of(entered.module, entered.args, entered.kwargs, maker=maker, words=words)
    except (SpecError, TypeError, AttributeError):
        return None
    if not problems:
        return None  # torch looks at packed rows only in the kernel: what it says there is about lengths
    problem, (code, gets), hint = problems[0], _KINDS[problems[0].kind], problems[0].hint
    name, called = raised.names.get(id(entered.module), ""), raised.called(entered)
    if problem.kind == "input-kind" and isinstance(x, (tuple, list)):
        argument = raised.spelling.argument(0, "input")
        fix = f"{words.layer}({ast.unparse(argument) if argument is not None else words.x}[0])"
        title = f"{called} gets a tuple: a recurrent layer returns (Y, state), and only Y is its next input"
        return Reason("LS107", title, _sentence(problem, words, ""), [Try(fix, True)], layer=name)
    value, of_x = raised.value(x if isinstance(x, Tensor) else getattr(x, "data", x)), problem.name == "x"
    certain = bool(problem.fix) or problem.kind in ("feature-axis", "dtype", "device")
    measured = _sentence(problem, words, raised.axes.shape(value) if value is not None and of_x else "")
    if value is not None:
        measured += "" if of_x else f"; {raised.described(value)}"
        axis = 0 if getattr(entered.module, "batch_first", False) else 1
        if code == "LS201" and raised.axes.names(value)[axis : axis + 1] == ("N",):
            # The caller has said which axis is the batch, and the layer reads that one: the state is at fault.
            (code, gets), rest = _KINDS["state-shape"], hint.partition(" If ")[2].partition(", ")[2] or hint
            hint = f"{value.shape[1 - axis]} is the number of steps; {rest}"
        if code == "LS101" and value.shape:
            product = raised.products(value)
            measured += f": {product}" if product else ""
            if raised.from_layer(value) is not None and set(raised.axes.atoms(value, -1)) & {"D", "P", "R"}:
                code, gets = "LS111", "another width from the layer in front of it than it was built for"
    hint = f"{problem.formula}: {hint}" if code == "LS104" else hint
    joined = [one.maker for one in states if one is not None and one.maker is not None and one.maker.name == "cat"]
    for call in joined if code == "LS103" else ():
        if tuple(torch.cat([v.tensor.detach() for v in call.inputs], 1).shape) == problem.expected:
            hint, certain = "the state joins others along axis 0, layers × directions; ", True
            hint += "torch.cat(…, dim=1) joins them along the batch"
    alike = [one for one in problems[1:] if (one.kind, one.got) == (problem.kind, problem.got)]
    likewise = f"; {words.c0} likewise" if problem.name == "h0" and alike else ""
    fixes = [Try(("" if certain else "probably: ") + hint + likewise, True)] if hint else []
    values = [one for one in (value, *states) if one is not None]
    return Reason(code, f"{called} gets {gets}", measured, fixes, values, name)


def _words(raised: Raised, entered: Entered) -> Words:
    """What the line calls x, the state and its parts."""
    given = entered.state
    parts = list(given) if isinstance(given, (tuple, list)) else [given]
    node, spelled = raised.spelling.argument(1, "hx"), raised.spelling.text
    whole = ast.unparse(node) if node is not None else spelled(given)
    each = [spelled(part) or (f"{whole}[{k}]" if whole else "") for k, part in enumerate(parts)]
    if isinstance(node, ast.Tuple) and len(node.elts) == len(parts):
        each = [ast.unparse(one) for one in node.elts]
    elif isinstance(given, Tensor):
        each = [whole]
    layer = raised.called(entered)
    names = {"x": spelled(entered.x), "state": whole, "layer": "layer" if layer.startswith("the ") else layer}
    names |= dict(zip(("h0", "c0"), each, strict=False))
    return Words(**{role: text for role, text in names.items() if text and len(text) < 40})


def _sentence(problem: Problem, words: Words, shape: str) -> str:
    role, _, part = problem.name.partition(".")
    name = getattr(words, role) + (f".{part}" if part else "")
    wanted = problem.formula + (f" = {problem.expected}" if problem.expected is not None else "")
    got = f"is {problem.got}" if problem.got is not None else "is not"
    if shape:
        got = f"is {shape}" if isinstance(problem.got, tuple) else f"{got}, {shape}"
    return f"{name}{'' if name == problem.name else f' ({problem.name})'} must be {wanted} and {got}"


# ---------------------------------------------------------------------- what it returns
def output_kind(raised: Raised) -> Reason | None:
    """LS107: a layer's output tuple, or a PackedSequence, that was taken for a tensor, or taken apart wrongly."""
    if not isinstance(raised.error, (TypeError, AttributeError, IndexError, ValueError, KeyError, RuntimeError)):
        return None
    unpacked = _unpacked(raised)
    for value in _taken(raised) if unpacked is None else ():
        if isinstance(value, PackedSequence):
            return _packed(raised, value)
        made = _returned(raised, value)
        if made is not None:
            return _tuple(raised, value, *made)
    return unpacked


def _unpacked(raised: Raised) -> Reason | None:
    """`out, (h, c) = gru(x)`: the layer came back, and what it gave was taken apart wrongly."""
    where, last = raised.spelling.where, raised.layers[-1] if raised.layers else None
    there = last.call.where if last is not None else None
    if last is None or where is None or there is None or (there.file, there.line) != (where.file, where.line):
        return None
    statements = covering(where, ast.Assign)
    called = not where.source or (statements and isinstance(statements[0].value, ast.Call))
    if raised.spelling.beyond or "unpack" not in raised.message or not called:
        return None
    Y, h, c = ("", "h", "c") if last.cell else ("out, ", "hn", "cn")
    pair = f"{Y}({h}, {c})" if last.kind == "LSTM" else f"{Y}{h}"
    code, no_cell = ("LS107", "") if last.kind == "LSTM" else ("LS104", f": a {last.kind} has no cell state")
    title = f"{last.called} returns {pair}, which was taken apart in another way{no_cell}"
    return Reason(code, title, raised.message, [Try(f"{pair} = {last.called}(…)", True)], layer=last.name)


def _taken(raised: Raised) -> Iterator[Any]:
    """What the failing line may have taken for a tensor: the exception's object, arguments, variables it names."""
    error, spelling = raised.error, raised.spelling
    if raised.call is not None:
        yield from (item for item in raised.call.args if isinstance(item, PackedSequence))
        if not isinstance(error, TypeError):
            return  # a function of torch got tensors
    if isinstance(error, AttributeError):
        yield from [error.obj] if isinstance(getattr(error, "obj", None), (tuple, list)) else []
        return
    if raised.module is not None:
        yield from raised.module.args
    for frame in spelling.beyond[-1:]:
        yield from (v for v in list(frame.f_locals.values()) if isinstance(v, (tuple, PackedSequence)))
    if isinstance(error, TypeError) or raised.module is not None:
        yield from (value for _, value in spelling.mentioned())
    if spelling.where is not None and not spelling.where.source and re.search("tuple|PackedSequence", raised.message):
        yield from (value for _, value in spelling.variables())  # no line says which


def _returned(raised: Raised, value: Any) -> tuple[LayerCall, str] | None:
    """The layer and the role of the first part, where a tuple is what a recurrent layer returned, or its state."""
    if not isinstance(value, (tuple, list)) or isinstance(value, (PackedSequence, torch.Size)) or len(value) != 2:
        return None
    first, second = value
    made = raised.output_of(raised.value(first.data if isinstance(first, PackedSequence) else first))
    if made is None and isinstance(first, (Tensor, PackedSequence)) and isinstance(second, tuple):
        # Y of one sequence lost its batch axis on the way out.
        made = next((output for one in tensors_of(second) if (output := raised.output_of(raised.value(one)))), None)
    return (made[0], "Y") if made is not None and not isinstance(second, Tensor) else made


def _tuple(raised: Raised, value: Any, layer: LayerCall, role: str) -> Reason:
    last, text = layer.name.split(".")[-1], raised.spelling.text(value)
    name = f"nn.{layer.label}" if last.isdigit() else layer.called  # a number in an nn.Sequential is no name
    pair = "(h, c)" if layer.cell else "(output, (hn, cn))" if layer.kind == "LSTM" else "(output, hn)"
    measured = f"{name} returns the tuple {pair}" + (f", which is {text} here" if text else "")
    fix = f"out, {pair[9:-1]} = {name}(x), or out, _ = {name}(x); or {text or f'{name}(x)'}[0]"
    if layer.cell:
        fix = f"h, c = {name}(…)" + (f", or {text}[0]" if text else "")
    elif role == "hn":
        pair, measured = "(hn, cn)", "an LSTM returns (output, (hn, cn)): its second part is a pair of tensors"
        fix = "out, (hn, cn) = …, and use hn; where the output of any module is handled, test "
        fix += "isinstance(output, tuple) at every level"
    elif any(isinstance(one.module, nn.Sequential) for one in raised.entered):
        fix = "a module whose forward does out, _ = self.rnn(x): nn.Sequential cannot take a tuple apart; "
        fix += "or a small module between the two whose forward returns output[0]"
    title = f"the tuple {pair} that {name} returns is used as a tensor"
    return Reason("LS107", title, measured, [Try(fix, True)], layer=layer.name)


def _packed(raised: Raised, value: PackedSequence) -> Reason:
    text = raised.spelling.text(value) or "packed"
    fix = f"out, lengths = pad_packed_sequence({text}, batch_first=True) first; or {text}.data, all real steps, where "
    fix += f"order does not matter; the number of rows is {text}.batch_sizes[0]"
    made = raised.output_of(raised.value(value.data))
    measured = f"{IS_TUPLE}; its data are {tuple(value.data.shape)}, the real steps of {int(value.batch_sizes[0])} rows"
    title = f"{text} is a PackedSequence and is used as a tensor"
    return Reason("LS107", title, measured, [Try(fix, True)], layer=made[0].name if made else "")


# ---------------------------------------------------------------------- packing and padding
def packing(raised: Raised) -> Reason | None:
    """A packing function that raised, packed rows that a layer refuses, or lost steps that are missed."""
    for name, given in reversed(list(raised.within("nn/utils/rnn.py"))):
        if name == "pad_packed_sequence":
            fix = "out, _ = rnn(packed), packed as its input is; total_length is the longest row or more"
            return Reason("LS108", f"{name} refuses what it is given", raised.message, [Try(fix)])
        if name == "pack_padded_sequence":
            return _pack(raised, given)
        if name in ("pack_sequence", "pad_sequence"):
            rows = tuple(given.get("sequences") or ())
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


def _pack(raised: Raised, given: dict[str, Any]) -> Reason:
    x, lengths, unsorted = given.get("input"), given.get("lengths"), not given.get("enforce_sorted", True)
    chosen = [call for call in raised.trace.calls[-6:] if call.name == "index_select" and len(call.inputs) > 1]
    if chosen and unsorted and len(chosen[-1].inputs[0].shape) > 1:
        x = chosen[-1].inputs[0].tensor  # its rows are sorted, and some may be cut off, by then
    call = raised.called_with(PACK, packed, (x, lengths, bool(given.get("batch_first")), not unsorted))
    reason, fixes = refused(raised, call), list[Try]()
    if reason.code == "LS107":
        return reason
    measured, words = reason.measured, (raised.spelling.text(x) or "x", raised.spelling.text(lengths) or "lengths")
    counts = list(lengths) if isinstance(lengths, (list, tuple)) else []
    if isinstance(lengths, Tensor):
        if lengths.dim() != 1 or lengths.device.type != "cpu":
            suffix = ".view(-1)" if lengths.dim() != 1 else ".cpu()"
            measured = f"lengths are {tuple(lengths.shape)} on {lengths.device}"
            fixes = [Try(f"{chained(words[1], suffix)}: one whole number a row, on the CPU", True, -1.0)]
        elif not lengths.is_floating_point():
            counts = lengths.tolist()
    if isinstance(x, Tensor) and x.dim() > 1 and counts:
        measured, fixes = _counts(raised, call, counts, *words)
    return replace(reason, title=f"{PACK} refuses its lengths", measured=measured, fixes=[*fixes, *reason.fixes])


def packed(x: Tensor, lengths: Any, batch_first: bool, enforce_sorted: bool) -> PackedSequence:
    """Lengths that do not belong to the rows can pack, so the steps count too."""
    made = pack_padded_sequence(x, lengths, batch_first, enforce_sorted)
    if int(made.batch_sizes.sum()) != made.data.size(0) or int(made.batch_sizes[0]) <= 0:
        raise ValueError
    return made


def _counts(raised: Raised, call: Call, counts: list[int], name: str, word: str) -> Look:
    """The first thing that is wrong with lengths as numbers, and what makes them right."""
    x, _, first, ordered = call.args
    axis = 1 if first else 0
    N, L = x.shape[1 - axis], x.shape[axis]
    read = f"{name} {raised.axes.shape(x)}, read as {layout_of(first)}"
    lengths, turned = counts, first
    if len(counts) != N:
        measured = f"{len(counts)} lengths for {N} rows: {read}"
        if len(counts) != L:
            return measured, [Try(f"one length for each of the {N} rows")]
        measured += f"; {L} is its other axis, so it lies the other way round"
        fix, turned = f"{PACK}({name}, {word}, batch_first={not first}, enforce_sorted=False), {ITS_OWN}", not first
    elif min(counts) <= 0:
        measured = f"length {min(counts)} of row {counts.index(min(counts))}: an empty sequence cannot be packed"
        fix = f"drop the empty rows (keep = {word} > 0) and put zeros back afterwards; or "
        fix += f"{chained(word, '.clamp(min=1)')}, one step of padding that stands for the empty row"
        lengths = [max(1, n) for n in counts]
    elif max(counts) > L:
        measured = f"the largest of the lengths is {max(counts)} and {read} has {L} steps: was it cut?"
        fix = f"{chained(word, f'.clamp(max={name}.size({axis}))')}, or cut data and lengths together"
        lengths = [min(n, L) for n in counts]
    elif not ordered or counts == sorted(counts, reverse=True):
        return f"{read}, lengths are {counts[:8]}", []
    else:
        measured = f"lengths {counts[:8]} do not fall from row to row, which enforce_sorted=True, the default, demands"
        fix = f"{PACK}({name}, {word}, batch_first={first}, enforce_sorted=False): it sorts, and gives "
        fix += "everything back in its order"
    new: dict[int | str, Any] = {1: torch.tensor(lengths, device="cpu"), 2: turned, 3: False}
    return measured, [Try(fix, lambda: raised.runs(call, places=new))]


def _in_layer(raised: Raised, rows: PackedSequence) -> Reason | None:
    """Packed rows whose number of steps and of data differ: torch did not compare the lengths with the data."""
    value = raised.value(rows.data)
    call = value.maker if value is not None else None
    if call is not None and call.name == f"_{PACK}" and isinstance(call.args[1], Value):
        first, source, lengths = bool(call.args[2]), sorted_from(call), call.args[1].elements
        N, L = source.shape[:2] if first else source.shape[1::-1]
        counts = [] if lengths is None else lengths.tolist()
        if counts and (len(counts) != N or max(counts) > L):
            spelled = replace(call, name=PACK, module=None)
            words = argument_text(spelled, 0) or raised.code(source), argument_text(spelled, 1) or "lengths"
            again = raised.called_with(PACK, packed, (source.tensor, lengths, first, False))
            title = "the lengths do not belong to the data that were packed"
            return Reason("LS108", title, *_counts(raised, again, counts, *words), [source], where=call.where)
    steps, data = int(rows.batch_sizes.sum()), rows.data.size(0)
    if steps == data:
        return None
    counted = f"batch_sizes count {steps} steps and the data have {data} rows"
    fix = "packed._replace(data=…) keeps the first axis of data; what changes the number of steps comes before packing"
    return Reason("LS108", "the packed rows do not belong to their batch_sizes", counted, [Try(fix)])


def _lost_steps(raised: Raised) -> Reason | None:
    """The longest row of this batch is shorter than the padded input, and something meets the input's length."""
    call, calls = raised.call, raised.trace.calls
    way = raised.trace.ancestors(*call.inputs) if call is not None else set()
    pads = [one for one in calls if one.name == "_pad_packed_sequence" and any(v.index in way for v in one.outputs)]
    packs = [one for one in calls if one.name == f"_{PACK}" and one.inputs]
    if call is None or not pads or not packs:
        return None
    first, axis, padded = bool(pads[-1].args[2]), 1 if packs[-1].args[2] else 0, pads[-1].outputs[0]
    before, after = packs[-1].inputs[0].shape[axis], padded.shape[1 if first else 0]
    short = [v for v in call.inputs if padded.index in raised.trace.ancestors(v) and after in v.shape]
    long = [v for v in call.inputs if v not in short and before in v.shape]
    if before == after or not short or not long or before in short[0].shape:
        return None
    given = [short[0], long[0]]
    title = f"{call.name} meets the {before} steps of the input and the {after} that pad_packed_sequence gave back"
    total = f"total_length={raised.code(sorted_from(packs[-1]))}.size({axis})"
    fix = f"pad_packed_sequence(…, batch_first={first}, {total}), {before} steps as before packing"
    measured = f"the longest row of this batch has {after} steps: {', '.join(map(raised.described, given))}"
    whole = short[0].tensor.new_zeros([before if n == after else n for n in short[0].shape])
    fixes = [Try(fix, lambda: raised.runs(call, {short[0].index: lambda _: whole})), Try(fix)]
    return Reason("LS108", title, measured, fixes, given)
