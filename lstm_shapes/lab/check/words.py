"""The words of findings: what the user calls things, read from the syntax tree of the line, and shapes with their axes."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Sequence

from lstm_shapes.lab.trace import KERNELS, Call, LayerCall, Value, Where
from lstm_shapes.lab.trace.families import names_in

__all__ = ["argument_text", "call_text", "layer_names", "loop_line", "named", "result_names", "symbol", "value_name"]

_LONGEST = 40
_OPERATORS = {"matmul": "@", "__matmul__": "@", "add": "+", "sub": "-", "mul": "*", "truediv": "/", "div": "/"}


@functools.lru_cache(maxsize=64)
def _tree(file: str, text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _statement(where: Where | None) -> ast.stmt | None:
    """The innermost statement that covers a line."""
    if where is None:
        return None
    tree = _tree(where.file, "".join(linecache.getlines(where.file)))
    covering = [
        node
        for node in ast.walk(tree or ast.Module([], []))
        if isinstance(node, ast.stmt) and node.lineno <= where.line <= (node.end_lineno or node.lineno)
    ]
    return max(covering, key=lambda node: (node.lineno, -(node.end_lineno or 0)), default=None)


def loop_line(where: Where | None) -> Where | None:
    """The line of the innermost `for` around a line, the line itself where there is none."""
    if where is None:
        return None
    tree = _tree(where.file, "".join(linecache.getlines(where.file)))
    loops = [
        node.lineno
        for node in ast.walk(tree or ast.Module([], []))
        if isinstance(node, ast.For) and node.lineno <= where.line <= (node.end_lineno or node.lineno)
    ]
    if not loops:
        return where
    line = max(loops)
    return Where(where.file, line, linecache.getline(where.file, line).strip(), where.function)


def append_line(call: Call) -> Where | None:
    """Where the list that a call joins was filled: `steps.append(h)` in the same function, the call's line else."""
    where = call.where
    text = argument_text(call, 0)
    if where is None or not text.isidentifier():
        return where
    tree = _tree(where.file, "".join(linecache.getlines(where.file)))
    functions = [
        node
        for node in ast.walk(tree or ast.Module([], []))
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and node.lineno <= where.line <= _end(node)
    ]
    scope: ast.AST = max(functions, key=lambda node: node.lineno) if functions else tree or ast.Module([], [])
    lines = [
        node.lineno
        for node in ast.walk(scope)
        if isinstance(node, ast.Call) and _spelled(node) in ("append", "insert") and node.lineno <= where.line
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == text
    ]
    if len(lines) != 1:
        return where
    return Where(where.file, lines[0], linecache.getline(where.file, lines[0]).strip(), where.function)


def _node(call: Call) -> ast.Call | None:
    """The call in the source, where exactly one is spelled with this function's name on the line.

    A kernel is called by a layer: what is spelled is the call of the layer, the only one on the line that is no
    function of torch and takes a tensor.
    """
    where = call.where
    statement = _statement(where)
    if statement is None or where is None:
        return None
    nodes = [
        node for node in ast.walk(statement) if isinstance(node, ast.Call) and node.lineno <= where.line <= _end(node)
    ]
    if call.name in KERNELS:
        nodes = [node for node in nodes if node.args and not _torch_function(node) and _spelled(node) not in _CALLS]
    else:
        nodes = [node for node in nodes if _spelled(node) == call.name]
    return nodes[0] if len(nodes) == 1 else None


# Methods that are no layers, on lines where a layer is called too.
_CALLS = names_in("append size view reshape transpose unsqueeze squeeze permute range enumerate len zip to cat")


def _torch_function(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and _is_namespace(node.func.value)


def _end(node: ast.expr | ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _spelled(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def result_names(where: Where | None) -> tuple[str, ...]:
    """The names on the left of the user's statement: `out, (hn, cn) = self.rnn(x)` gives out, hn, cn."""
    statement = _statement(where)
    targets = (
        statement.targets if isinstance(statement, ast.Assign) and not isinstance(statement.value, ast.Lambda) else []
    )
    if isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    if not targets:
        return ()
    return tuple(
        ast.unparse(node)
        for node in ast.walk(targets[0])
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(getattr(node, "ctx", None), ast.Store)
    )


def argument_text(call: Call, k: int = 0) -> str:
    """The source of a call's k-th tensor, "" where it cannot be told."""
    node = _node(call)
    if node is None:
        return ""
    operands: list[ast.expr] = list(node.args)
    method = isinstance(node.func, ast.Attribute) and call.module is None and call.name not in KERNELS
    if method and isinstance(node.func, ast.Attribute) and not _is_namespace(node.func.value):
        operands.insert(0, node.func.value)
    if k >= len(operands):
        return ""
    text = ast.unparse(operands[k])
    return text if len(text) <= _LONGEST else ""


def _is_namespace(node: ast.expr) -> bool:
    """Whether what stands before the dot is a module such as torch or F."""
    text = ast.unparse(node)
    return text in (
        "torch",
        "F",
        "nn.functional",
        "torch.nn.functional",
        "functional",
        "nn",
        "torch.special",
        "torch.linalg",
    )


def value_name(value: Value, reader: Call | None = None) -> str:
    """What the user calls a tensor: as an argument of the call that reads it, or as what its maker is bound to."""
    if reader is not None and value in reader.inputs:
        text = argument_text(reader, reader.inputs.index(value))
        if text:
            return text
    if value.maker is None:
        return value.origin or "a tensor"
    names = result_names(value.maker.where)
    outputs = value.maker.outputs
    if len(names) == 1 and len(outputs) == 1:
        return names[0]
    if len(names) == len(outputs) and value in outputs:
        return names[outputs.index(value)]
    return f"the result of {value.maker.name}"


def call_text(call: Call, **changes: object) -> str:
    """A call as it is written, with changed arguments: torch.softmax(scores, dim=1)."""
    node = _node(call)
    if node is None:
        words = ", ".join(f"{name}={value}" for name, value in changes.items())
        return f"{call.name}(…, {words})" if words else f"{call.name}(…)"
    copy = ast.parse(ast.unparse(node), mode="eval").body
    assert isinstance(copy, ast.Call)
    for name, value in changes.items():
        new = ast.Constant(value)
        keyword = next((k for k in copy.keywords if k.arg in (name, "axis")), None)
        method = isinstance(copy.func, ast.Attribute) and not _is_namespace(copy.func.value)
        place = 0 if method else 1
        if keyword is not None:
            keyword.value = new
        elif len(copy.args) > place:
            copy.args[place] = new
        else:
            copy.keywords.append(ast.keyword(name, new))
    return ast.unparse(ast.fix_missing_locations(copy))


def named(value: Value, axes: dict[int, str] | None = None) -> str:
    """A shape with the axes that are known by name: (N=6, 9)."""
    return shape_with(value.shape, axes or {})


def shape_with(shape: Sequence[int], axes: dict[int, str]) -> str:
    parts = [f"{axes[k]}={n}" if k in axes else str(n) for k, n in enumerate(shape)]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def layer_names(layer: LayerCall) -> dict[str, str]:
    """Y, hn and cn as the user calls them."""
    names = [n for n in result_names(layer.call.where)]
    roles = list(layer.outputs)
    if len(names) == len(roles):
        found = dict(zip(roles, names, strict=True))
    elif len(names) == 2 and roles[0] == "Y":
        state = names[1]
        found = {"Y": names[0], "hn": f"{state}[0]", "cn": f"{state}[1]"} if "cn" in roles else dict(zip(roles, names))
    else:
        found = {}
    return {role: name if (name := found.get(role, role)) != "_" else role for role in roles}


def symbol(name: str) -> str:
    """How a function is spoken of: `@` for a product, its name else."""
    return _OPERATORS.get(name, name)
