"""What a recurrent layer refuses, and what is done wrongly with what it returns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._calling import problems_of
from lstm_shapes.lab._words import covering
from lstm_shapes.lab.trace import LayerCall, tensors_of
from lstm_shapes.theory._contract import Problem, Words
from lstm_shapes.theory._contract import configuration as configured
from lstm_shapes.theory.spec import Spec

from ._raised import RECURRENT_MODULES, Entered, Explanation, Raised, Try

IS_TUPLE = "a PackedSequence is the named tuple (data, batch_sizes, sorted_indices, unsorted_indices)"
KEEP_NO_GRAPH = (
    "detach the state between pieces: h = h.detach(), for an LSTM state = tuple(s.detach() for s in state). "
    "Not retain_graph=True, as torch advises: it keeps every earlier graph, and fails at the next optimizer step"
)
_IN_SEQUENTIAL = "a module whose forward does out, _ = self.rnn(x): nn.Sequential cannot take a tuple apart"
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
    "configuration": ("LS110", "what it cannot be built for"),
}


# ---------------------------------------------------------------------- building it, and going back through it
def configuration(raised: Raised) -> Explanation | None:
    """LS110: a recurrent layer whose constructor raised."""
    built = [frame for frame in raised.spelling.beyond if frame.f_code.co_name == "__init__"]
    built = [frame for frame in built if frame.f_code.co_filename.replace("\\", "/").endswith("modules/rnn.py")]
    given: dict[str, Any] = {}
    for frame in built:
        here = frame.f_locals
        sizes = [one for one in here.get("args") or () if not isinstance(one, str)]
        given |= {**here, **dict(zip(("input_size", "hidden_size", "num_layers"), sizes, strict=False))}
        given |= here.get("kwargs") or {}
    if not built:
        return None
    kind = type(given.get("self")).__name__
    title = f"nn.{kind} cannot be built with these arguments"
    fields = ("bias",) if kind.endswith("Cell") else ("bidirectional", "proj_size", "bias", "dropout")
    options = {name: given[name] for name in fields if name in given}
    try:
        Spec(given.get("input_size"), given.get("hidden_size"), given.get("num_layers", 1), cell=kind, **options)  # type: ignore[arg-type]
    except SpecError as error:
        problem = configured(error)
        words = {"Q": "input_size", "D": "hidden_size", "K": "num_layers", "P": "proj_size"}
        name = problem.name.split(" ")[0]
        fix = f"{words.get(name, name)} must be {problem.formula}" + (f". {problem.hint}" if problem.hint else "")
        fix += ": nn.LSTM" if "Only LSTM" in problem.hint else ""
        return Explanation("LS110", title, str(problem), [Try(fix, True)])
    except TypeError:
        pass
    fix = f"nn.{kind}(input_size, hidden_size, …): whole numbers of at least 1 first, switches by name"
    return Explanation("LS110", title, raised.message, [Try(fix)])


def kept_graph(raised: Raised) -> Explanation | None:
    """LS109: backward through the graph of an earlier backward."""
    if "backward" not in raised.message and "inplace operation" not in raised.message:
        return None
    carried = [layer for layer in raised.layers if any(s.tensor.grad_fn is not None for s in layer.states.values())]
    if not carried or len(raised.trace.backward_at) < 2:
        return None
    layer = carried[-1]
    title = f"backward goes a second time through the graph of the state that {layer.called} starts from"
    measured = f"the state that {layer.called} is given still hangs on the graph of an earlier call"
    return Explanation("LS109", title, measured, [Try(KEEP_NO_GRAPH, True)], (), layer.name, layer.call.where)


# ---------------------------------------------------------------------- the contract of its operands
def contract(raised: Raised) -> Explanation | None:
    """What theory says of the operands of the innermost recurrent layer on the traceback."""
    entered = raised.module
    if entered is None or not isinstance(entered.module, RECURRENT_MODULES):
        return None
    words, state = _words(raised, entered), list(tensors_of((entered.args[1:], entered.kwargs.get("hx"))))
    makers = [made for tensor in state if (made := raised.output_of(raised.value(tensor))) is not None]
    try:
        maker = Spec.of(makers[0][0].module) if makers and makers[0][1] != "Y" else None  # type: ignore[arg-type]
        problems = problems_of(entered.module, entered.args, entered.kwargs, maker=maker, words=words)
    except (SpecError, TypeError, AttributeError):
        return None
    # torch looks at packed rows only in the kernel: what it says there is about lengths.
    if not problems:
        return None
    first, *others = problems
    alike = first.name == "h0" and any((one.kind, one.got) == (first.kind, first.got) for one in others)
    return _explained(raised, entered, first, words, state, f"; {words.c0} likewise" if alike else "")


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


def _explained(
    raised: Raised, entered: Entered, problem: Problem, words: Words, state: list[Tensor], likewise: str
) -> Explanation:
    x, name = entered.x, raised.names.get(id(entered.module), "")
    called, hint = raised.called(entered), problem.hint
    code, gets = _KINDS[problem.kind]
    if problem.kind == "input-kind" and isinstance(x, (tuple, list)):
        argument = raised.spelling.argument(0, "input")
        fix = f"{words.layer}({ast.unparse(argument) if argument is not None else words.x}[0])"
        title = f"{called} gets a tuple: a recurrent layer returns (Y, state), and only Y is its next input"
        return Explanation("LS107", title, _sentence(problem, words, ""), [Try(fix, True)], layer=name)
    data = x if isinstance(x, Tensor) else getattr(x, "data", x)
    value, of_x = raised.value(data), problem.name == "x"
    certain = bool(problem.fix) or problem.kind in ("feature-axis", "dtype", "device")
    measured = _sentence(problem, words, raised.shape(data) if value is not None and of_x else "")
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
    makers = [one.maker for tensor in state if (one := raised.value(tensor)) is not None and one.maker is not None]
    for maker in makers if code == "LS103" else ():
        along = torch.cat([v.tensor.detach() for v in maker.inputs], 1) if maker.name == "cat" else None
        if along is not None and tuple(along.shape) == problem.expected:
            hint, certain = "the state joins others along axis 0, layers × directions; ", True
            hint += "torch.cat(…, dim=1) joins them along the batch"
    fixes = [Try(("" if certain else "probably: ") + hint + likewise, True)] if hint else []
    values = [one for tensor in (data, *state) if (one := raised.value(tensor)) is not None]
    return Explanation(code, f"{called} gets {gets}", measured, fixes, values, name)


def _sentence(problem: Problem, words: Words, shape: str) -> str:
    name, _, part = problem.name.partition(".")
    name = words.of(name) + (f".{part}" if part else "")
    wanted = problem.formula + (f" = {problem.expected}" if problem.expected is not None else "")
    got = f"is {problem.got}" if problem.got is not None else "is not"
    if shape:
        got = f"is {shape}" if isinstance(problem.got, tuple) else f"{got}, {shape}"
    role = "" if name == problem.name else f" ({problem.name})"
    return f"{name}{role} must be {wanted} and {got}"


# ---------------------------------------------------------------------- what it returns
def output_kind(raised: Raised) -> Explanation | None:
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


def _taken(raised: Raised) -> Iterator[Any]:
    """What the failing line may have taken for a tensor: the exception's object, arguments, variables it names."""
    error, spelling = raised.error, raised.spelling
    if raised.call is not None:
        yield from (item for item in raised.call.args if isinstance(item, PackedSequence))
        if not isinstance(error, TypeError):
            return  # a function of torch got tensors
    if isinstance(error, AttributeError):
        if isinstance(getattr(error, "obj", None), (tuple, list)):
            yield error.obj
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
    first = first.data if isinstance(first, PackedSequence) else first
    made = raised.output_of(raised.value(first))
    if made is None and isinstance(first, Tensor) and isinstance(second, tuple):
        # Y of one sequence lost its batch axis on the way out.
        made = next((found for one in tensors_of(second) if (found := raised.output_of(raised.value(one)))), None)
    whole = made is not None and not isinstance(second, Tensor)
    return (made[0], "Y") if made is not None and whole else made


def _tuple(raised: Raised, value: Any, layer: LayerCall, role: str) -> Explanation:
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
        fix = f"{_IN_SEQUENTIAL}; or a small module between the two whose forward returns output[0]"
    title = f"the tuple {pair} that {name} returns is used as a tensor"
    return Explanation("LS107", title, measured, [Try(fix, True)], layer=layer.name)


def _packed(raised: Raised, value: PackedSequence) -> Explanation:
    text = raised.spelling.text(value) or "packed"
    fix = f"out, lengths = pad_packed_sequence({text}, batch_first=True) first; or {text}.data, all real steps, where "
    fix += f"order does not matter; the number of rows is {text}.batch_sizes[0]"
    made = raised.output_of(raised.value(value.data))
    measured = f"{IS_TUPLE}; its data are {tuple(value.data.shape)}, the real steps of {int(value.batch_sizes[0])} rows"
    title = f"{text} is a PackedSequence and is used as a tensor"
    return Explanation("LS107", title, measured, [Try(fix, True)], layer=made[0].name if made else "")


def _unpacked(raised: Raised) -> Explanation | None:
    """`out, (h, c) = gru(x)`: the layer came back, and what it gave was taken apart wrongly."""
    where, last = raised.spelling.where, raised.layers[-1] if raised.layers else None
    there = last.call.where if last is not None else None
    if last is None or where is None or there is None or (there.file, there.line) != (where.file, where.line):
        return None
    statements = covering(where, ast.Assign)
    called = not where.source or (statements and isinstance(statements[0].value, ast.Call))
    if raised.spelling.beyond or "unpack" not in raised.message or not called:
        return None
    Y, h = ("", "h") if last.cell else ("out, ", "hn")
    pair = f"{Y}({h}, {h.replace('h', 'c')})" if last.kind == "LSTM" else f"{Y}{h}"
    code, no_cell = ("LS107", "") if last.kind == "LSTM" else ("LS104", f": a {last.kind} has no cell state")
    title = f"{last.called} returns {pair}, which was taken apart in another way{no_cell}"
    return Explanation(code, title, raised.message, [Try(f"{pair} = {last.called}(…)", True)], layer=last.name)
