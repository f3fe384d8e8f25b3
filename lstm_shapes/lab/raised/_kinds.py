"""Exceptions about what a thing is: a layer that cannot be built, a graph that is gone, a tuple taken for a tensor,
and whatever a library or the program itself refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._words import layer_names
from lstm_shapes.lab.trace import LayerCall, Value, tensors_of
from lstm_shapes.theory._contract import configuration as configured
from lstm_shapes.theory.spec import Spec

from ._raised import Explanation, Raised, Try

__all__ = [
    "IN_SEQUENTIAL",
    "IS_TUPLE",
    "KEEP_NO_GRAPH",
    "configuration",
    "kept_graph",
    "output_kind",
    "refused",
    "unknown",
]

IS_TUPLE = "a PackedSequence is the named tuple (data, batch_sizes, sorted_indices, unsorted_indices)"
IN_SEQUENTIAL = "a module whose forward does out, _ = self.rnn(x): nn.Sequential cannot take a tuple apart"
KEEP_NO_GRAPH = (
    "detach the state between pieces: h = h.detach(), for an LSTM state = tuple(s.detach() for s in state). "
    "Not retain_graph=True, as torch advises: it keeps every earlier graph, and fails at the next optimizer step"
)


# ---------------------------------------------------------------------- LS110
def configuration(raised: Raised) -> Explanation | None:
    """A recurrent layer whose constructor raised."""
    built = [
        frame
        for frame in raised.functions
        if frame.f_code.co_name == "__init__" and frame.f_code.co_filename.replace("\\", "/").endswith("modules/rnn.py")
    ]
    if not built:
        return None
    given: dict[str, Any] = {}
    for frame in built:
        here = frame.f_locals
        sizes = [one for one in here.get("args") or () if not isinstance(one, str)]
        given.update(here)
        given.update(zip(("input_size", "hidden_size", "num_layers"), sizes, strict=False))
        given.update(here.get("kwargs") or {})
    kind = type(given.get("self")).__name__
    cell = kind.removesuffix("Cell")
    fields = ("bidirectional", "proj_size", "bias", "dropout") if cell == kind else ("bias",)
    title = f"nn.{kind} cannot be built with these arguments"
    try:
        options = {name: given[name] for name in fields if name in given}
        Spec(given.get("input_size"), given.get("hidden_size"), given.get("num_layers", 1), cell=kind, **options)  # type: ignore[arg-type]
    except SpecError as error:
        problem = configured(error)
        fix = f"{_argument(problem.name)} must be {problem.formula}" + (f". {problem.hint}" if problem.hint else "")
        fix += ": nn.LSTM" if "Only LSTM" in problem.hint else ""
        return Explanation("LS110", title, str(problem), certain=fix)
    except TypeError:
        pass
    fix = f"nn.{kind}(input_size, hidden_size, …): whole numbers of at least 1 first, switches by name"
    return Explanation("LS110", title, raised.message, [Try(fix)])


def _argument(symbol: str) -> str:
    words = {"Q": "input_size", "D": "hidden_size", "K": "num_layers", "P": "proj_size"}
    name = symbol.split(" ")[0]
    return words.get(name, name)


# ---------------------------------------------------------------------- LS109
def kept_graph(raised: Raised) -> Explanation | None:
    """Backward through the graph of an earlier backward."""
    if "backward" not in raised.message and "inplace operation" not in raised.message:
        return None
    if not any(frame.f_code.co_name in ("backward", "grad") for frame in raised.functions):
        return None
    carried = [layer for layer in raised.layers if any(s.tensor.grad_fn is not None for s in layer.states.values())]
    if not carried or len(raised.trace.backward_at) < 2:
        return None
    layer = carried[-1]
    title = f"backward goes a second time through the graph of the state that {layer.called} starts from"
    measured = f"the state that {layer.called} is given still hangs on the graph of an earlier call"
    return Explanation("LS109", title, measured, layer=layer.name, where=layer.call.where, certain=KEEP_NO_GRAPH)


# ---------------------------------------------------------------------- LS107, LS104
_KINDS = (TypeError, AttributeError, IndexError, ValueError, KeyError, RuntimeError)


def output_kind(raised: Raised) -> Explanation | None:
    """A layer's output tuple, or a PackedSequence, that was taken for a tensor."""
    if not isinstance(raised.error, _KINDS):
        return None
    unpacked = _unpacked(raised)
    if unpacked is not None:
        return unpacked
    for value in _taken(raised):
        if isinstance(value, PackedSequence):
            return _packed(raised, value)
        made = _returned(raised, value)
        if made is not None:
            return _tuple(raised, value, *made)
    return _inline(raised)


def _taken(raised: Raised) -> Iterator[Any]:
    """What the failing line may have taken for a tensor: the exception's object, arguments, variables it names."""
    if raised.call is not None:
        yield from (item for item in raised.call.args if isinstance(item, PackedSequence))
        if not isinstance(raised.error, TypeError):
            return  # a function of torch got tensors
    if isinstance(raised.error, AttributeError):
        if isinstance(getattr(raised.error, "obj", None), (tuple, list)):
            yield raised.error.obj
        return
    if raised.module is not None:
        yield from raised.module.args
    for frame in raised.functions[-1:]:
        yield from (v for v in list(frame.f_locals.values()) if isinstance(v, (tuple, PackedSequence)))
    if isinstance(raised.error, TypeError) or raised.module is not None:
        yield from (value for _, value in raised.spelling.mentioned())
    if raised.where is not None and not raised.where.source and re.search("tuple|PackedSequence", raised.message):
        yield from (value for _, value in raised.spelling.variables())  # no line says which


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
        return None if made is None else (made[0], "Y")
    return made if made is None or isinstance(second, Tensor) or made[1] != "hn" else (made[0], "Y")


def _tuple(raised: Raised, value: Any, layer: LayerCall, role: str) -> Explanation:
    name, text = _called(layer), raised.spelling.text(value) if value is not None else ""
    pair = "(h, c)" if layer.cell else "(output, (hn, cn))" if layer.kind == "LSTM" else "(output, hn)"
    measured = f"{name} returns the tuple {pair}" + (f", which is {text} here" if text else "")
    fix = f"out, {pair[9:-1]} = {name}(x), or out, _ = {name}(x); or {text or f'{name}(x)'}[0]"
    if layer.cell:
        fix = f"h, c = {name}(…)" + (f", or {text}[0]" if text else "")
    elif role == "hn" and isinstance(value[1], Tensor):
        pair, measured = "(hn, cn)", "an LSTM returns (output, (hn, cn)): its second part is a pair of tensors"
        fix = "take it apart: out, (hn, cn) = …, and use hn; where the output of any module is handled, test "
        fix += "isinstance(output, tuple) at every level"
    elif any(isinstance(one.module, nn.Sequential) for one in raised.entered):
        fix = f"{IN_SEQUENTIAL}; or a small module between the two whose forward returns output[0]"
    title = f"the tuple {pair} that {name} returns is used as a tensor"
    return Explanation("LS107", title, measured, layer=layer.name, where=raised.where, certain=fix)


def _called(layer: LayerCall) -> str:
    """The layer as a line can call it: its number in an nn.Sequential is no name."""
    last = layer.name.split(".")[-1]
    return f"nn.{layer.label}" if last.isdigit() else layer.called


def _packed(raised: Raised, value: PackedSequence) -> Explanation:
    text = raised.spelling.text(value) or "packed"
    shape, rows = tuple(value.data.shape), int(value.batch_sizes[0])
    fix = f"out, lengths = pad_packed_sequence({text}, batch_first=True) first; or {text}.data, all real steps, where "
    fix += f"order does not matter; the number of rows is {text}.batch_sizes[0]"
    made = raised.output_of(raised.value(value.data))
    title = f"{text} is a PackedSequence and is used as a tensor"
    measured = f"{IS_TUPLE}; its data are {shape}, the real steps of {rows} rows"
    return Explanation("LS107", title, measured, layer=made[0].name if made else "", certain=fix)


def _inline(raised: Raised) -> Explanation | None:
    """`rnn(x)[:, -1]`: the tuple has no name."""
    last = raised.layers[-1] if raised.layers else None
    there = last.call.where if last is not None else None
    if last is None or raised.call is not None or "tuple" not in raised.message or there != raised.where:
        return None
    calls = [node for node in ast.walk(raised.spelling.node or ast.Module([], [])) if isinstance(node, ast.Call)]
    return _tuple(raised, None, last, "Y") if calls else None


def _unpacked(raised: Raised) -> Explanation | None:
    """`out, (h, c) = gru(x)`: the layer came back, and what it gave was taken apart wrongly."""
    where = raised.where
    last = raised.layers[-1] if raised.layers else None
    if last is None or where is None or raised.functions or not isinstance(raised.error, (ValueError, TypeError)):
        return None
    there = last.call.where
    if there is None or (there.file, there.line) != (where.file, where.line) or "unpack" not in raised.message:
        return None
    name, hn = last.called, last.outputs.get("hn")
    if where.source and not isinstance(raised.spelling.assigned, ast.Call):
        return None
    pair = "(h, c)" if last.cell else "(output, (hn, cn))"
    fix = f"h, c = {name}(x_t, (h, c))" if last.cell else f"out, (hn, cn) = {name}(x)"
    if last.kind == "LSTM":
        title = f"{name} returns {pair}, which was taken apart in another way"
        return Explanation("LS107", title, raised.message, layer=last.name, certain=fix)
    out = layer_names(last).get("Y", "out")
    fix = f"h = {name}(x_t, h)" if last.cell else f"{out}, hn = {name}(x); hn[-1] is the top layer's state"
    rows = "" if hn is None else f": hn {raised.shape(hn)} is one tensor, and taking it apart takes its layers apart"
    measured = f"a {last.label} returns {'h' if last.cell else '(output, hn)'}{rows}"
    title = f"a {last.label} has no cell state: hn is one tensor and no pair (h, c)"
    return Explanation("LS104", title, measured, layer=last.name, certain=fix)


# ---------------------------------------------------------------------- LS113: a library, an assert, anything
def refused(raised: Raised) -> Explanation | None:
    """What a library or the program itself refused: the tensors that it was given."""
    given = _tensors(raised)
    if not given:
        return None
    frame, who = raised.spelling.frames[-1][0] if raised.spelling.frames else None, raised.spelling.function
    if not who and frame is not None and frame is not raised.spelling.frame:
        who = frame.f_code.co_name
    values = [value for _, tensor in given if (value := raised.value(tensor)) is not None]
    measured = "it was given " + ", ".join(f"{name} {raised.shape_of(tensor)}" for name, tensor in given)
    products = raised.products(*((value, axis) for value in values for axis in range(len(value.shape))))
    measured += f"; {products}" if products else ""
    code = "LS111" if values and raised.from_layer(*values) is not None else "LS113"
    return Explanation(code, f"{who} raises {_first(raised)}" if who else _first(raised), measured, operands=values)


def _first(raised: Raised) -> str:
    """The kind of the exception and the first line of its message."""
    return f"{type(raised.error).__name__}: {raised.message.splitlines()[0] if raised.message else 'no message'}"


def _tensors(raised: Raised) -> list[tuple[str, Tensor]]:
    """The tensors that the failing line handled, by name: what it passed on, what its expression names."""
    found: dict[int, tuple[str, Tensor]] = {}
    frame = raised.spelling.frames[-1][0] if raised.spelling.frames else None
    named = list(raised.spelling.mentioned())
    if frame is None or frame is not raised.spelling.frame:
        named += [(f"argument {k}", v) for k, v in enumerate(raised.module.args)] if raised.module is not None else []
    elif frame.f_code.co_name != "<module>":
        code = frame.f_code
        named += [(name, frame.f_locals.get(name)) for name in code.co_varnames[: code.co_argcount]]
    for name, value in named:
        parts = [(name, value)]
        if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
            parts = [(f"{name}[{k}]", one) for k, one in enumerate(value)]
        for word, one in parts:
            if isinstance(one, Tensor):
                found.setdefault(id(one), (raised.spelling.text(one) or word, one))
    return list(found.values())[:6]


def unknown(raised: Raised) -> Explanation:
    """Torch's or the program's own message, where nothing more is known."""
    operands: list[Value] = list(raised.call.inputs) if raised.call is not None else []
    given = ", ".join(raised.described(value) for value in operands if not value.parameter)
    measured = given if operands else "no tensor was at hand at this line"
    return Explanation("LS113", f"the program raises {_first(raised)}", measured, operands=operands)
