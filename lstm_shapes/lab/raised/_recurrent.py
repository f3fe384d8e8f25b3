"""A recurrent layer that refuses its operands, by the contract of theory, and which of them is at fault."""

from __future__ import annotations

import ast
from dataclasses import replace

import torch
from torch import Tensor

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._calling import problems_of
from lstm_shapes.lab.trace import tensors_of
from lstm_shapes.theory._contract import Problem, Words
from lstm_shapes.theory.spec import Spec

from ._kinds import IN_SEQUENTIAL
from ._raised import RECURRENT_MODULES, Entered, Explanation, Raised

__all__ = ["contract"]

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


def contract(raised: Raised) -> Explanation | None:
    """What the innermost recurrent layer on the traceback says of its operands."""
    entered = raised.module
    if entered is None or not isinstance(entered.module, RECURRENT_MODULES):
        return None
    words = _words(raised, entered)
    state = list(tensors_of((entered.args[1:], entered.kwargs.get("hx"))))
    makers = [made for tensor in state if (made := raised.output_of(raised.value(tensor))) is not None]
    module = makers[0][0].module if makers and makers[0][1] != "Y" else None
    try:
        maker = None if module is None else Spec.of(module)
    except SpecError:
        maker = None
    try:
        problems = problems_of(entered.module, entered.args, entered.kwargs, maker=maker, words=words)
    except (SpecError, TypeError, AttributeError):
        return None
    # torch looks at packed rows only in the kernel: what it says there is about lengths.
    if not problems:
        return None
    first, *others = problems
    explained = _explained(raised, entered, first, words, state)
    alike = any((one.kind, one.got) == (first.kind, first.got) for one in others)
    if alike and first.name == "h0" and explained.certain:
        return replace(explained, certain=f"{explained.certain}; {words.c0} likewise")
    return explained


def _words(raised: Raised, entered: Entered) -> Words:
    """What the line calls x, the state and its parts."""
    x = entered.args[0] if entered.args else entered.kwargs.get("input")
    given = entered.args[1] if len(entered.args) > 1 else entered.kwargs.get("hx")
    parts = list(given) if isinstance(given, (tuple, list)) else [given]
    node, spelled = raised.spelling.argument(1, "hx"), raised.spelling.text
    whole = ast.unparse(node) if node is not None else spelled(given)
    each = [spelled(part) or (f"{whole}[{k}]" if whole else "") for k, part in enumerate(parts)]
    if isinstance(node, ast.Tuple) and len(node.elts) == len(parts):
        each = [ast.unparse(one) for one in node.elts]
    elif isinstance(given, Tensor):
        each = [whole]
    layer = raised.called(entered)
    names = {"x": spelled(x), "state": whole, "layer": "layer" if layer.startswith("the ") else layer}
    names |= dict(zip(("h0", "c0"), each, strict=False))
    return Words(**{role: text for role, text in names.items() if text and len(text) < 40})


def _explained(raised: Raised, entered: Entered, problem: Problem, words: Words, state: list[Tensor]) -> Explanation:
    x = entered.args[0] if entered.args else entered.kwargs.get("input")
    if problem.kind == "input-kind" and isinstance(x, (tuple, list)):
        return _tuple(raised, entered, words, problem)
    (code, gets), hint = _KINDS[problem.kind], problem.hint
    certain = bool(problem.fix) or problem.kind in ("feature-axis", "dtype", "device")
    data = x if isinstance(x, Tensor) else getattr(x, "data", x)
    value, of_x = raised.value(data), problem.name == "x"
    measured = _sentence(problem, words, raised.shape(value) if value is not None and of_x else "")
    if value is not None:
        measured += "" if of_x else f"; {raised.described(value)}"
        axis, names = 0 if getattr(entered.module, "batch_first", False) else 1, raised.axes.names(value)
        if code == "LS201" and names[axis : axis + 1] == ("N",):
            # The caller has said which axis is the batch, and the layer reads that one: the state is at fault.
            (code, gets), rest = _KINDS["state-shape"], hint.partition(" If ")[2].partition(", ")[2] or hint
            N, L = value.shape[axis], value.shape[1 - axis]
            hint = f"{L} is the number of steps; {rest}, that is {words.x}.size({axis}) = {N}"
        last = len(value.shape) - 1
        if problem.kind == "feature-axis" and value.shape:
            product = raised.products((value, last))
            measured += f": {product}" if product else ""
            if raised.from_layer(value) is not None and set(raised.axes.atoms(value, last)) & {"D", "P", "R"}:
                code, gets = "LS111", "another width from the layer in front of it than it was built for"
    if code == "LS104":
        hint = f"{problem.formula.replace(' for', ', the state of')}: {hint}"
        hint = hint.replace("(h0, c0), ", "the tuple (h0, c0), ").replace("h0, the state", "one tensor h0, the state")
    values = [one for tensor in state if (one := raised.value(tensor)) is not None]
    joined = next((one for one in values if one.maker is not None and one.maker.name == "cat"), None)
    if joined is not None and joined.maker is not None and code == "LS103":
        along = torch.cat([v.tensor.detach() for v in joined.maker.inputs], 1)
        if tuple(along.shape) == problem.expected:
            hint, certain = f"{raised.code(joined, 'state')} joins states along axis 0, layers × directions; ", True
            hint += "torch.cat(…, dim=1) joins them along the batch"
    table = value.maker if value is not None and len(value.shape) == 4 else None
    if table is not None and any(one.maker is not None and one.maker.name == "one_hot" for one in table.inputs):
        hint = "give the embedding the ids without one_hot: it looks rows up by them"
    operands = [one for tensor in (data, *state) if (one := raised.value(tensor)) is not None]
    title, name = f"{raised.called(entered)} gets {gets}", raised.names.get(id(entered.module), "")
    fix = hint if certain or not hint else f"probably: {hint}"
    return Explanation(code, title, measured, operands=operands, layer=name, certain=fix)


def _sentence(problem: Problem, words: Words, shape: str) -> str:
    name, _, part = problem.name.partition(".")
    name = words.of(name) + (f".{part}" if part else "")
    wanted = problem.formula + (f" = {problem.expected}" if problem.expected is not None else "")
    got = f"is {problem.got}" if problem.got is not None else "is not"
    if shape and isinstance(problem.got, tuple):
        got = f"is {shape}"
    elif shape:
        got += f", {shape}"
    role = "" if name == problem.name else f" ({problem.name})"
    return f"{name}{role} must be {wanted} and {got}"


def _tuple(raised: Raised, entered: Entered, words: Words, problem: Problem) -> Explanation:
    title = f"{raised.called(entered)} gets a tuple: a recurrent layer returns (Y, state), and only Y is its next input"
    argument = raised.spelling.argument(0, "input")
    text = ast.unparse(argument) if argument is not None else words.x
    fix = f"{words.layer}({text}[0])"
    if any(type(one.module).__name__ == "Sequential" for one in raised.entered):
        fix = f"{IN_SEQUENTIAL}, output[0] can"
    name = raised.names.get(id(entered.module), "")
    return Explanation("LS107", title, _sentence(problem, words, ""), certain=fix, layer=name)
