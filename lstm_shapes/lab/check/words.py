"""The words of findings: what the user calls things, read from the syntax tree of the line, and shapes with their axes.

A recorded call is found on its line by the name of its function; the line of an exception says which expression was
evaluated, and what it calls the objects that it handed over.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor

from lstm_shapes.lab.trace import KERNELS, Call, LayerCall, Value, Where, theirs
from lstm_shapes.lab.trace.families import names_in
from lstm_shapes.lab.trace.where import resolve

__all__ = [
    "Spelling",
    "append_line",
    "argument_text",
    "call_text",
    "chained",
    "kind_of",
    "last_step",
    "layer_names",
    "layout_of",
    "loop_line",
    "named",
    "named_shape",
    "result_names",
    "symbol",
    "top_row",
    "value_name",
]

_LONGEST = 48
_OPERATORS = {"matmul": "@", "__matmul__": "@", "add": "+", "sub": "-", "mul": "*", "truediv": "/", "div": "/"}
_NAMESPACES = names_in("torch F nn.functional torch.nn.functional functional nn torch.special torch.linalg")
# Methods that are no layers, on lines where a layer is called too.
_CALLS = names_in("append size view reshape transpose unsqueeze squeeze permute range enumerate len zip to cat")
_LIBRARIES = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


# ---------------------------------------------------------------------- the syntax tree
@functools.lru_cache(maxsize=64)
def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _covering(where: Where | None, *kinds: type[ast.AST]) -> list[Any]:
    """The nodes of some kinds that cover a line, innermost first."""
    if where is None:
        return []
    tree = _tree("".join(linecache.getlines(where.file)))
    nodes: list[Any] = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    found = [node for node in nodes if node.lineno <= where.line <= (node.end_lineno or node.lineno)]
    return sorted(found, key=lambda node: (-node.lineno, node.end_lineno or 0))


def _line(where: Where, line: int) -> Where:
    return Where(where.file, line, linecache.getline(where.file, line).strip(), where.function)


def loop_line(where: Where | None) -> Where | None:
    """The line of the innermost `for` around a line, the line itself where there is none."""
    loops = _covering(where, ast.For)
    return _line(where, loops[0].lineno) if where is not None and loops else where


def append_line(call: Call) -> Where | None:
    """Where the list that a call joins was filled: `steps.append(h)` in the same function, the call's line else."""
    where, text = call.where, argument_text(call, 0)
    if where is None or not text.isidentifier():
        return where
    scopes = _covering(where, ast.FunctionDef, ast.Lambda)
    lines = [
        node.lineno
        for node in ast.walk(scopes[0] if scopes else _tree("".join(linecache.getlines(where.file))))
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
    statements = _covering(where, ast.stmt)
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
    body = _tree(text).body
    node = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    simple = node is None or isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    return f"{text}{suffix}" if simple else f"({text}){suffix}"


# ---------------------------------------------------------------------- a recorded call
def result_names(where: Where | None) -> tuple[str, ...]:
    """The names on the left of the user's statement: `out, (hn, cn) = self.rnn(x)` gives out, hn, cn."""
    statement = next(iter(_covering(where, ast.stmt)), None)
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
    return text if len(text) <= _LONGEST else ""


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
        words = ", ".join(f"{name}={value}" for name, value in changes.items())
        return f"{call.name}(…, {words})" if words else f"{call.name}(…)"
    copy = ast.parse(ast.unparse(node), mode="eval").body
    assert isinstance(copy, ast.Call)
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


# ---------------------------------------------------------------------- the line of an exception
class Spelling:
    """The innermost line of the user's own code on a traceback, and what it calls the tensors that it handled."""

    def __init__(self, error: BaseException) -> None:
        self.frames: list[tuple[FrameType, int, int]] = []
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            self.frames.append((trace.tb_frame, trace.tb_lineno, trace.tb_lasti))
            trace = trace.tb_next
        files = [frame.f_code.co_filename for frame, _, _ in self.frames]
        outside = [k for k, file in enumerate(files) if theirs(file)]
        own = [k for k in outside if not _of_library(files[k])] or outside
        self.depth = own[-1] if own else -1
        self._texts: dict[int, str] = {}
        self._nodes: list[tuple[ast.expr, Tensor]] = []

    @property
    def frame(self) -> FrameType | None:
        return self.frames[self.depth][0] if self.depth >= 0 else None

    @property
    def beyond(self) -> list[FrameType]:
        """The frames that the user's line called."""
        return [frame for frame, _, _ in self.frames[self.depth + 1 :]]

    @functools.cached_property
    def where(self) -> Where | None:
        """The line as a place."""
        if self.depth < 0:
            return None
        frame, line, _ = self.frames[self.depth]
        return resolve((frame.f_code, line))

    @functools.cached_property
    def node(self) -> ast.AST | None:
        """The expression that was being evaluated, where the interpreter says its place (Python 3.11 on)."""
        frame = self.frame
        positions = getattr(frame.f_code, "co_positions", None) if frame is not None else None
        if frame is None or positions is None:
            return None
        place = list(positions())[self.frames[self.depth][2] // 2]
        fields = ("lineno", "end_lineno", "col_offset", "end_col_offset")
        tree = _tree("".join(linecache.getlines(frame.f_code.co_filename)))
        return next((n for n in ast.walk(tree) if tuple(getattr(n, f, None) for f in fields) == place), None)

    @property
    def assigned(self) -> ast.expr | None:
        """The right side of the assignment that was under way."""
        found = _covering(self.where, ast.Assign)
        return found[0].value if found else None

    @property
    def function(self) -> str:
        """What is called there, in the user's words: self.rnn."""
        return ast.unparse(self.node.func) if isinstance(self.node, ast.Call) else ""

    def argument(self, k: int, keyword: str = "") -> ast.expr | None:
        """The k-th argument of the call, as it is written."""
        if not isinstance(self.node, ast.Call):
            return None
        given = next((one.value for one in self.node.keywords if one.arg == keyword), None)
        return given or (self.node.args[k] if k < len(self.node.args) else None)

    def learn(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pair what the line says with the objects that it handed over."""
        node = self.node
        written: list[ast.expr] = []
        if isinstance(node, ast.Call):
            written = list(node.args)
            if isinstance(node.func, ast.Attribute) and len(args) == len(written) + 1:
                written.insert(0, node.func.value)
            if any(isinstance(one, ast.Starred) for one in written) or len(written) > len(args):
                written = []
            for keyword in node.keywords:
                if keyword.arg in kwargs:
                    self._pair(keyword.value, kwargs[keyword.arg])
        elif isinstance(node, ast.BinOp):
            written = [node.left, node.right]
        elif isinstance(node, ast.AugAssign):
            written = [node.target, node.value]
        elif isinstance(node, ast.Compare):
            written = [node.left, node.comparators[0]]
        elif isinstance(node, (ast.Subscript, ast.Attribute)):
            written = [node.value]
        if len(written) <= len(args):
            for one, given in zip(written, args, strict=False):
                self._pair(one, given)

    def _pair(self, node: ast.expr, given: Any) -> None:
        text = ast.unparse(node)
        if isinstance(given, Tensor):
            self._nodes.append((node, given))
            if len(text) <= _LONGEST:
                self._texts.setdefault(id(given), text)
        elif isinstance(given, (tuple, list)):
            if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == len(given):
                for one, item in zip(node.elts, given, strict=True):
                    self._pair(one, item)
            elif isinstance(node, (ast.Name, ast.Attribute)):
                for k, item in enumerate(given):
                    if isinstance(item, Tensor):
                        self._texts.setdefault(id(item), f"{text}[{k}]")

    def descend(self, made_from: Callable[[Tensor, str], Tensor | None]) -> None:
        """Name what the operands were made from, too: in `h.t().view(4)` also h.t() and h.

        `made_from` gives the first operand of the call of that name that made a tensor.
        """
        while self._nodes:
            node, given = self._nodes.pop()
            if isinstance(node, ast.Subscript):
                inner, name = node.value, "__getitem__"
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                inner, name = node.func.value, node.func.attr
            else:
                continue
            source = made_from(given, name)
            if source is not None:
                self._pair(inner, source)

    def say(self, tensor: Tensor, text: str) -> None:
        """What a tensor is called where no line says it."""
        self._texts[id(tensor)] = text

    def text(self, given: Any) -> str:
        """What the line, or a variable of its function, calls an object; "" where neither names it."""
        found = self._texts.get(id(given), "")
        return found or next((name for name, value in self.variables() if value is given), "")

    def variables(self) -> Iterator[tuple[str, Any]]:
        """The variables of the user's function, and the items of its tuples."""
        frame = self.frame
        if frame is None or frame.f_code.co_name == "<module>":
            return
        own = [(name, value) for name, value in list(frame.f_locals.items()) if name.isidentifier() and name != "self"]
        yield from own
        for name, group in own:
            if isinstance(group, (tuple, list)) and len(group) < 50:
                yield from ((f"{name}[{k}]", item) for k, item in enumerate(group))

    def mentioned(self) -> Iterator[tuple[str, Any]]:
        """The variables that the failing expression names, or all of its statement where it is not known."""
        frame = self.frame
        words: Any = self.where.source if self.where is not None else ""
        if self.node is not None:
            words = {node.id for node in ast.walk(self.node) if isinstance(node, ast.Name)}
        if frame is not None:
            yield from ((name, value) for name, value in list(frame.f_locals.items()) if name in words)


def _of_library(file: str) -> bool:
    return os.path.realpath(file).startswith(_LIBRARIES) or "-packages" + os.sep in file


# ---------------------------------------------------------------------- shapes, types, layers
def named_shape(shape: Iterable[int], names: Iterable[str]) -> str:
    """Sizes with the names that are known: (N=6, 9)."""
    parts = [f"{name}={size}" if name else str(size) for size, name in zip(shape, names, strict=True)]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def named(value: Value, axes: dict[int, str] | None = None) -> str:
    """A value's shape with the axes that are known by name."""
    return named_shape(value.shape, ((axes or {}).get(k, "") for k in range(len(value.shape))))


def kind_of(tensor: Tensor) -> str:
    """A tensor's data type without `torch.`."""
    return str(tensor.dtype).removeprefix("torch.")


def layout_of(batch_first: bool) -> str:
    """What batch_first makes of the axes of packed or padded data."""
    return f"{'(N, L, …)' if batch_first else '(L, N, …)'} because batch_first={batch_first}"


def layer_names(layer: LayerCall) -> dict[str, str]:
    """Y, hn and cn as the user calls them."""
    names, roles = result_names(layer.call.where), list(layer.outputs)
    found: dict[str, str] = {}
    if len(names) == len(roles):
        found = dict(zip(roles, names, strict=True))
    elif len(names) == 2 and roles[0] == "Y":
        found = {"Y": names[0], "hn": names[1]}
        if "cn" in roles:
            found |= {"hn": f"{names[1]}[0]", "cn": f"{names[1]}[1]"}
    return {role: name if (name := found.get(role, role)) != "_" else role for role in roles}


def state_words(call: Call) -> tuple[str, str]:
    """How a pair of states is written in a call: `rnn(x, (h, c))` gives h, c; empty where it is not written out."""
    calls: list[ast.Call] = _covering(call.where, ast.Call)
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
