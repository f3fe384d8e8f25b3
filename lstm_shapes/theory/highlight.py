"""highlight: an indexing expression such as `Y[:, -1]`, parsed and never evaluated, and what it reads.

Only the grammar below is understood. The text is turned into a syntax tree by `ast.parse`, which runs nothing, and
each node is either one of the listed kinds or an error.
"""

from __future__ import annotations

import ast
import re
from typing import Any, NoReturn

from lstm_shapes.errors import ShapeError

from .call import Call
from .reading import Reading
from .spec import Spec
from .tensor_joins import broadcast, cat, stack
from .tensor_view import ALL_ROWS, LAST_STEPS, TensorView, view_of

__all__ = ["GRAMMAR", "read"]

GRAMMAR = """\
tensor  X Y h0 c0 hn cn | tensor[index, …] | tensor + tensor | (tensor)
        torch.cat([tensor, …], dim=i) torch.stack([tensor, …], dim=i)
        tensor.sum(dim, keepdim=True) .mean(dim, keepdim=True) .squeeze(dim) .unsqueeze(i)
        tensor.transpose(i, j) .permute(i, …) hn.view(K, R, N, H)
dim     i | (i, …) | None or left out for every axis
index   i | from:to:step | ... | None; first of all also torch.arange(N), lengths - 1
i       0 -1 N L Q D K R P H, with + - * // and brackets"""

_LONGEST = 300
_DEEPEST = 40
_LARGEST = 2**63 - 1
# What expressions are written with, and nothing else: no quotes, comments, line breaks or control characters, and no
# number with a letter in it, of which Python's parser would warn.
_WRITTEN = re.compile(r"(?!.*[0-9](?:[A-Za-z]|_(?![0-9])))[A-Za-z0-9_ \[\](),.:+*/=-]+")


def read(expression: str, spec: Spec, call: Call) -> Reading:
    """What an expression reads of this call.

    >>> reading = read("Y[:, -1]", Spec(28, 256, 3), Call(N=2, L=20))
    >>> reading.states(layer=2, direction=0, t=19, n=0), reading.states(layer=1, direction=0, t=19, n=0)
    (('h',), ())
    >>> read("torch.cat([hn[-1],Y], -1)", Spec(28, 256, 3), Call(N=2, L=20))
    Traceback (most recent call last):
    lstm_shapes.errors.ShapeError: highlight must be tensors with the same axes, ... got ((2, 256), (2, 20, 256)).

    Raises: ShapeError that shows the grammar, or the sizes that do not fit.
    """
    text = expression.strip(" \t\r\n") if isinstance(expression, str) else ""
    if not text or len(text) > _LONGEST or not _WRITTEN.fullmatch(text):
        _refuse(expression)
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        _refuse(expression)
    parts = _Reader(expression, spec, call).tensor(tree, 0).parts
    return Reading(spec, call, ast.unparse(tree), tuple(part for part in parts if not part.empty))


def _refuse(expression: object) -> NoReturn:
    raise ShapeError("highlight", "an expression of this grammar", got=expression, hint=f"\n{GRAMMAR}")


class _Reader:
    """Walks a syntax tree; a node of another kind is refused."""

    def __init__(self, expression: str, spec: Spec, call: Call) -> None:
        self.expression = expression
        self.spec = spec
        self.call = call

    def tensor(self, node: ast.expr, depth: int) -> TensorView:
        """A tensor: a name, an index or a method of one, or several joined."""
        if depth > _DEEPEST:
            _refuse(self.expression)
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return broadcast(self.tensor(node.left, depth + 1), self.tensor(node.right, depth + 1))
        if isinstance(node, ast.Subscript):
            inner = node.slice
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            view = self.tensor(node.value, depth + 1)
            return view.index(tuple(self._item(item) for item in items), self.call.lengths or ())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "torch":
                return self._join(node.func.attr, node, depth)
            return self._method(self.tensor(node.func.value, depth + 1), node.func.attr, node)
        _refuse(self.expression)

    def _join(self, name: str, node: ast.Call, depth: int) -> TensorView:
        if name not in ("cat", "concat", "stack"):
            _refuse(self.expression)
        found = self._arguments(node, "tensors", "dim")
        listed = found.get("tensors")
        if not isinstance(listed, (ast.List, ast.Tuple)) or not listed.elts:
            _refuse(self.expression)
        views = [self.tensor(item, depth + 1) for item in listed.elts]
        dim = self._number(found["dim"]) if "dim" in found else 0
        return stack(views, dim) if name == "stack" else cat(views, dim)

    def _named(self, name: str) -> TensorView:
        if name not in ("X", "Y", "h0", "c0", "hn", "cn"):
            _refuse(self.expression)
        view = view_of(self.spec, self.call, name)
        if view is None:
            every = ("X", "Y", "h0", "c0", "hn", "cn")
            has = ", ".join(one for one in every if view_of(self.spec, self.call, one) is not None)
            raise ShapeError("highlight", f"about a tensor of {self.spec.cell}: {has}", got=name)
        return view

    def _method(self, view: TensorView, name: str, node: ast.Call) -> TensorView:
        if name in ("sum", "mean"):
            found = self._arguments(node, "dim", "keepdim")
            return view.reduce(self._dims(found), self._flag(found))
        if name == "squeeze":
            return view.squeeze(self._dims(self._arguments(node, "dim"), none=False))
        if name == "unsqueeze":
            found = self._arguments(node, "dim")
            return view.unsqueeze(self._number(found["dim"])) if found else _refuse(self.expression)
        if name in ("view", "reshape"):
            return view.view(self._numbers(node), self.spec)
        if name == "permute":
            return view.permute(self._numbers(node))
        if name == "transpose" and len(node.args) == 2 and not node.keywords:
            return view.transpose(*map(self._number, node.args))
        _refuse(self.expression)

    def _arguments(self, node: ast.Call, *names: str) -> dict[str, ast.expr]:
        """Arguments by name, each at most once; those without a name come in this order."""
        pairs = [*zip(names, node.args, strict=False), *((str(word.arg), word.value) for word in node.keywords)]
        found = dict(pairs)
        if len(node.args) > len(names) or len(found) < len(pairs) or not set(found) <= set(names):
            _refuse(self.expression)
        return found

    def _numbers(self, node: ast.Call) -> tuple[int, ...]:
        """Whole numbers, or one tuple of them."""
        args = node.args
        if len(args) == 1 and isinstance(args[0], (ast.Tuple, ast.List)):
            args = args[0].elts
        if node.keywords or not args:
            _refuse(self.expression)
        return tuple(self._number(arg) for arg in args)

    def _dims(self, found: dict[str, ast.expr], none: bool = True) -> tuple[int, ...] | None:
        """One axis or a tuple of them; None for all."""
        dim = found.get("dim")
        if none and isinstance(dim, ast.Constant) and dim.value is None:
            return None
        if dim is None:
            # torch takes keepdim with a dim only.
            return None if "keepdim" not in found else _refuse(self.expression)
        entries = dim.elts if isinstance(dim, (ast.Tuple, ast.List)) else [dim]
        return tuple(self._number(entry) for entry in entries)

    def _flag(self, found: dict[str, ast.expr]) -> bool:
        keep = found.get("keepdim")
        if keep is None:
            return False
        if not (isinstance(keep, ast.Constant) and isinstance(keep.value, bool)):
            _refuse(self.expression)
        return keep.value

    def _item(self, node: ast.expr) -> Any:
        """One entry of an index."""
        if isinstance(node, ast.Slice):
            ends = (node.lower, node.upper, node.step)
            return slice(*(None if end is None else self._number(end) for end in ends))
        if isinstance(node, ast.Constant) and (node.value is None or node.value is Ellipsis):
            return node.value
        text = ast.unparse(node).replace(" ", "")
        if text in ("torch.arange(N)", "arange(N)", "range(N)"):
            return self._paired(ALL_ROWS)
        if text in ("lengths-1", "torch.tensor(lengths)-1"):
            return self._paired(LAST_STEPS)
        return self._number(node)

    def _paired(self, kind: str) -> str:
        if self.call.lengths is None and kind == LAST_STEPS:
            raise ShapeError("highlight", "without lengths, since this call has none", got=self.expression)
        return kind

    def _number(self, node: ast.expr, depth: int = 0) -> int:
        """A whole number of torch's 64 bits: digits, a symbol, or simple arithmetic of them."""
        if depth > _DEEPEST:
            _refuse(self.expression)
        number = self._value(node, depth)
        if number is None or abs(number) > _LARGEST:
            _refuse(self.expression)
        return number

    def _value(self, node: ast.expr, depth: int) -> int | None:
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) is int else None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self._number(node.operand, depth + 1)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Name):
            return self._symbol(node.id)
        if isinstance(node, ast.BinOp):
            a, b = self._number(node.left, depth + 1), self._number(node.right, depth + 1)
            if isinstance(node.op, ast.Add):
                return a + b
            if isinstance(node.op, ast.Sub):
                return a - b
            if isinstance(node.op, ast.Mult):
                return a * b
            if isinstance(node.op, ast.FloorDiv) and b:
                return a // b
        return None

    def _symbol(self, name: str) -> int:
        spec, call = self.spec, self.call
        sizes = {"L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P, "H": spec.H}
        if call.N is not None:
            sizes["N"] = call.N
        if name not in sizes:
            _refuse(self.expression)
        return sizes[name]
