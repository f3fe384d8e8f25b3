"""The words of findings: what the user calls things, read from the syntax tree of the line, and shapes with their axes.

A recorded call is found on its line by the name of its function.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.errors import SpecError, nearest
from lstm_shapes.lab.trace import KERNELS, Call, LayerCall, Value, Where
from lstm_shapes.lab.trace._families import names_in
from lstm_shapes.lab.trace._record import source_line

LONGEST = 48
_OPERATORS = {"matmul": "@", "__matmul__": "@", "add": "+", "sub": "-", "mul": "*", "truediv": "/", "div": "/"}
_NAMESPACES = names_in("torch F nn.functional torch.nn.functional functional nn torch.special torch.linalg")
# Methods that are no layers, on lines where a layer is called too.
_CALLS = names_in("append size view reshape transpose unsqueeze squeeze permute range enumerate len zip to cat")


# ---------------------------------------------------------------------- the syntax tree
@functools.lru_cache(maxsize=64)
def tree_of(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def tree_of_file(file: str) -> ast.Module:
    return tree_of("".join(linecache.getlines(file)))


def covering(where: Where | None, *kinds: type[ast.AST]) -> list[Any]:
    """The nodes of some kinds that cover a line, innermost first."""
    if where is None:
        return []
    nodes: list[Any] = [node for node in ast.walk(tree_of_file(where.file)) if isinstance(node, kinds)]
    around = [node for node in nodes if node.lineno <= where.line <= (node.end_lineno or node.lineno)]
    return sorted(around, key=lambda node: (-node.lineno, node.end_lineno or 0))


def _line(where: Where, line: int) -> Where:
    return Where(where.file, line, source_line(where.file, line), where.function)


def loop_line(where: Where | None) -> Where | None:
    """The line of the innermost `for` around a line, the line itself where there is none."""
    loops = covering(where, ast.For)
    return _line(where, loops[0].lineno) if where is not None and loops else where


def append_line(call: Call) -> Where | None:
    """Where the list that a call joins was filled: `steps.append(h)` in the same function, the call's line else."""
    where, text = call.where, argument_text(call, 0)
    if where is None or not text.isidentifier():
        return where
    scopes = covering(where, ast.FunctionDef, ast.Lambda)
    lines = [
        node.lineno
        for node in ast.walk(scopes[0] if scopes else tree_of_file(where.file))
        if isinstance(node, ast.Call) and _spelled(node) in ("append", "insert") and node.lineno <= where.line
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == text
    ]
    return _line(where, lines[0]) if len(lines) == 1 else where


def _spelled(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _receiver(node: ast.Call) -> ast.expr | None:
    """What a method is called of; None for a function, also one of torch's."""
    value = node.func.value if isinstance(node.func, ast.Attribute) else None
    return None if value is None or ast.unparse(value) in _NAMESPACES else value


def _node(call: Call) -> ast.Call | None:
    """The call in the source, where exactly one is spelled with this function's name on the line.

    A kernel is called by a layer: what is spelled is the call of the layer, the only one on the line that is no
    function of torch and takes a tensor.
    """
    where = call.where
    statements = covering(where, ast.stmt)
    if where is None or not statements:
        return None
    nodes = [node for node in ast.walk(statements[0]) if isinstance(node, ast.Call)]
    nodes = [node for node in nodes if node.lineno <= where.line <= (node.end_lineno or node.lineno)]
    if call.name in KERNELS:
        plain = [node for node in nodes if node.args and _spelled(node) not in _CALLS]
        nodes = [node for node in plain if isinstance(node.func, ast.Name) or _receiver(node) is not None]
    else:
        nodes = [node for node in nodes if _spelled(node) == call.name]
    return nodes[0] if len(nodes) == 1 else None


def chained(text: str, suffix: str) -> str:
    """`text.suffix`, in brackets where the text is no single term: (a + b).float()."""
    body = tree_of(text).body
    node = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    simple = node is None or isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    return f"{text}{suffix}" if simple else f"({text}){suffix}"


def signature_of(model: Callable[..., Any]) -> inspect.Signature:
    """What a call takes, nothing where Python cannot say it."""
    try:
        return inspect.signature(model.forward if isinstance(model, nn.Module) else model)
    except (TypeError, ValueError):
        return inspect.Signature()


def not_taken(model: Callable[..., Any], words: Iterable[str]) -> list[str]:
    """The words that a model has no parameter for; none where it takes any, or Python cannot say what it takes."""
    parameters = signature_of(model).parameters
    takes_any = not parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return [] if takes_any else [word for word in words if word not in parameters]


def refuse_call(function: Callable[..., Any], model: Callable[..., Any], inputs: Sequence[Any], words: Any) -> None:
    """A SpecError for what is no model, a call that gives it nothing, and a misspelt option of check or walk."""
    if isinstance(model, type):
        raise SpecError("model", "an instance", model, f"{model.__name__}(…), with its arguments, makes one")
    if not callable(model):
        raise SpecError("model", "a module, or a function of tensors", type(model))
    parameters, name = signature_of(model).parameters, function.__name__
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [word for word, one in parameters.items() if one.default is one.empty and one.kind not in many]
    if missing and not inputs and not words:
        raise SpecError("inputs", f"what the model is called with: {', '.join(missing)}", None, f"{name}(model, x)")
    options = [word for word, one in inspect.signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for word in not_taken(model, words):
        if meant := nearest(word, options):
            rule = f"one that {name} or the model's forward has"
            raise SpecError("a keyword", rule, word, f"Did you mean {meant}?")


# ---------------------------------------------------------------------- a recorded call
def result_names(where: Where | None) -> tuple[str, ...]:
    """The names on the left of the user's statement: `out, (hn, cn) = self.rnn(x)` gives out, hn, cn."""
    statement = next(iter(covering(where, ast.stmt)), None)
    if isinstance(statement, ast.Assign) and not isinstance(statement.value, ast.Lambda):
        target = statement.targets[0]
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        target = statement.target
    else:
        return ()
    names = [node for node in ast.walk(target) if isinstance(node, (ast.Name, ast.Attribute))]
    return tuple(ast.unparse(node) for node in names if isinstance(node.ctx, ast.Store))


def argument_text(call: Call, k: int = 0) -> str:
    """The source of a call's k-th tensor, "" where it cannot be told."""
    node = _node(call)
    if node is None:
        return ""
    receiver = _receiver(node) if call.module is None and call.name not in KERNELS else None
    operands = [*([] if receiver is None else [receiver]), *node.args]
    text = ast.unparse(operands[k]) if k < len(operands) else ""
    return text if len(text) <= LONGEST else ""


def value_name(value: Value, reader: Call | None = None) -> str:
    """What the user calls a tensor: as an argument of the call that reads it, or as what its maker is bound to."""
    if reader is not None and value in reader.inputs:
        text = argument_text(reader, reader.inputs.index(value))
        if text:
            return text
    if value.maker is None:
        return value.origin or "a tensor"
    names, outputs = result_names(value.maker.where), value.maker.outputs
    if len(names) == len(outputs) and value in outputs:
        return names[outputs.index(value)]
    return f"the result of {value.maker.name}"


def call_text(call: Call, **changes: Any) -> str:
    """A call as it is written, with changed arguments: torch.softmax(scores, dim=1)."""
    node = _node(call)
    if node is None:
        words = "".join(f", {name}={value}" for name, value in changes.items())
        return f"{call.name}(…{words})"
    copy: Any = ast.parse(ast.unparse(node), mode="eval").body
    place = 0 if _receiver(copy) is not None else 1
    for name, value in changes.items():
        new = ast.Constant(value)
        keyword = next((k for k in copy.keywords if k.arg in (name, "axis")), None)
        if keyword is not None:
            keyword.value = new
        elif len(copy.args) > place:
            copy.args[place] = new
        else:
            copy.keywords.append(ast.keyword(name, new))
    return ast.unparse(ast.fix_missing_locations(copy))


# ---------------------------------------------------------------------- shapes, types, layers
def named_shape(shape: Iterable[int], names: Iterable[str]) -> str:
    """Sizes with the names that are known: (N=6, 9)."""
    parts = [f"{name}={size}" if name else str(size) for size, name in zip(shape, names, strict=True)]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def named(value: Value, axes: dict[int, str] | None = None) -> str:
    """A value's shape with the axes that are known by name."""
    return named_shape(value.shape, ((axes or {}).get(k, "") for k in range(len(value.shape))))


def layout_of(batch_first: bool) -> str:
    """What batch_first makes of the axes of packed or padded data."""
    return f"{'(N, L, …)' if batch_first else '(L, N, …)'} because batch_first={batch_first}"


def layer_names(layer: LayerCall) -> dict[str, str]:
    """Y, hn and cn as the user calls them."""
    names, roles = result_names(layer.call.where), list(layer.outputs)
    called: dict[str, str] = {}
    if len(names) == len(roles):
        called = dict(zip(roles, names, strict=True))
    elif len(names) == 2 and roles[0] == "Y" and names[1] != "_":
        called = {"Y": names[0], "hn": names[1]}
        if "cn" in roles:
            called |= {"hn": f"{names[1]}[0]", "cn": f"{names[1]}[1]"}
    return {role: name if (name := called.get(role, role)) != "_" else role for role in roles}


def state_words(call: Call) -> tuple[str, str]:
    """How a pair of states is written in a call: `rnn(x, (h, c))` gives h, c; empty where it is not written out."""
    calls: list[ast.Call] = covering(call.where, ast.Call)
    pairs = [a for node in calls for a in node.args if isinstance(a, ast.Tuple) and len(a.elts) == 2]
    if len(pairs) != 1:
        return "", ""
    one, other = (ast.unparse(part).removeprefix("self.") for part in pairs[0].elts)
    return one, other


def last_step(layer: LayerCall) -> str:
    """The last step of a layer's output, as an expression."""
    Y = layer_names(layer)["Y"]
    return f"{Y}[:, -1]" if layer.batch_first else f"{Y}[-1]"


def top_row(word: str, state: Tensor, R: int, dim: int = -1) -> tuple[str, Tensor]:
    """The top layer's rows of a final state, both directions side by side, as an expression and as a tensor."""
    if R == 2:
        return f"torch.cat(({word}[-2], {word}[-1]), dim={dim})", torch.cat((state[-2], state[-1]), dim)
    return f"{word}[-1]", state[-1]


def symbol(name: str) -> str:
    """How a function is spoken of: `@` for a product, its name else."""
    return _OPERATORS.get(name, name)
