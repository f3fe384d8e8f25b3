"""highlight: an indexing expression such as `Y[:, -1]`, parsed and never evaluated, and what it reads.

Only the grammar below is understood. The text is turned into a syntax tree by `ast.parse`, which runs nothing, and
each node is either one of the listed kinds or an error.
"""

from __future__ import annotations

import ast
from typing import Any, NoReturn

from lstm_shapes.errors import ShapeError

from .call import Call
from .reading import ALL_ROWS, LAST_STEPS, Reading, TensorView, view_of
from .spec import Spec

__all__ = ["GRAMMAR", "read"]

GRAMMAR = """\
tensor  X Y h0 c0 hn cn | tensor[index, …] | (tensor)
        tensor.transpose(i, j) .permute(i, …) .sum(dim) .mean(dim) .squeeze(dim) .unsqueeze(dim) .view(K, R, N, H)
        torch.cat([tensor, …], dim=i) torch.stack([tensor, …]) tensor + tensor
index   number | from:to:step | ... | None | torch.arange(N), lengths - 1
number  0 -1 N L Q D K R P H, with + - * // and brackets"""

_LONGEST = 300
_DEEPEST = 40


def read(expression: str, spec: Spec, call: Call) -> Reading:
    """What an expression reads of this call.

    >>> reading = read("Y[:, -1]", Spec(28, 256, 3), Call(N=2, L=20))
    >>> reading.states(layer=2, direction=0, t=19, n=0), reading.states(layer=1, direction=0, t=19, n=0)
    (('h',), ())

    Raises: ShapeError that shows the grammar, or names the index that does not fit.
    """
    if not isinstance(expression, str) or len(expression) > _LONGEST:
        _refuse(expression)
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        _refuse(expression)
    views = _Reader(expression, spec, call).tensors(tree, 0)
    return Reading(spec, call, expression.strip(), tuple(view.part for view in views))


def _refuse(expression: object) -> NoReturn:
    raise ShapeError("highlight", "an expression of this grammar", got=expression, hint=f"\n{GRAMMAR}")


class _Reader:
    """Walks a syntax tree; a node of another kind is refused."""

    def __init__(self, expression: str, spec: Spec, call: Call) -> None:
        self.expression = expression
        self.spec = spec
        self.call = call

    def tensors(self, node: ast.expr, depth: int) -> tuple[TensorView, ...]:
        """The tensors that an expression joins: one, unless it is a cat, a stack or a sum of two."""
        if depth > _DEEPEST:
            _refuse(self.expression)
        if isinstance(node, ast.Call) and self._is_join(node.func):
            items = node.args[0] if node.args else None
            if isinstance(items, (ast.List, ast.Tuple)) and items.elts:
                self._options(node.args[1:], node.keywords, {"dim"})
                return tuple(view for item in items.elts for view in self.tensors(item, depth + 1))
            _refuse(self.expression)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return (*self.tensors(node.left, depth + 1), *self.tensors(node.right, depth + 1))
        return (self.tensor(node, depth),)

    def _is_join(self, node: ast.expr) -> bool:
        return ast.unparse(node) in ("torch.cat", "torch.stack", "torch.concat")

    def tensor(self, node: ast.expr, depth: int) -> TensorView:
        """One tensor: a name, an index or a method of one."""
        if depth > _DEEPEST:
            _refuse(self.expression)
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Subscript):
            inner = node.slice
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return self.tensor(node.value, depth + 1).index(tuple(self._item(item) for item in items))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._method(self.tensor(node.func.value, depth + 1), node.func.attr, node)
        _refuse(self.expression)

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
            dims, keep = self._options(node.args, node.keywords, {"dim", "keepdim"})
            return view.reduce(dims, keep)
        if name == "view" or name == "reshape":
            return view.view(self._numbers(node), self.spec)
        numbers = self._numbers(node)
        if name == "permute":
            return view.permute(numbers)
        if name == "transpose" and len(numbers) == 2:
            return view.transpose(*numbers)
        if name in ("squeeze", "unsqueeze") and len(numbers) == 1:
            return view.squeeze(*numbers) if name == "squeeze" else view.unsqueeze(*numbers)
        _refuse(self.expression)

    def _numbers(self, node: ast.Call) -> tuple[int, ...]:
        """Positional whole numbers, or one tuple of them."""
        if node.keywords:
            _refuse(self.expression)
        args = node.args
        if len(args) == 1 and isinstance(args[0], (ast.Tuple, ast.List)):
            args = args[0].elts
        return tuple(self._number(arg) for arg in args)

    def _options(
        self, args: list[ast.expr], keywords: list[ast.keyword], allowed: set[str]
    ) -> tuple[tuple[int, ...] | None, bool]:
        """`dim` (positional or by name) and `keepdim`."""
        found: dict[str, ast.expr] = {str(word.arg): word.value for word in keywords}
        if args:
            found.setdefault("dim", args[0])
        if len(args) > 1 or not set(found) <= allowed:
            _refuse(self.expression)
        keep = found.get("keepdim")
        if keep is not None and not (isinstance(keep, ast.Constant) and isinstance(keep.value, bool)):
            _refuse(self.expression)
        kept = isinstance(keep, ast.Constant) and keep.value is True
        dim = found.get("dim")
        if dim is None:
            return None, kept
        entries = dim.elts if isinstance(dim, (ast.Tuple, ast.List)) else [dim]
        return tuple(self._number(entry) for entry in entries), kept

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
        """A whole number: digits, a symbol, or simple arithmetic of them."""
        if depth > _DEEPEST:
            _refuse(self.expression)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand, depth + 1)
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
        _refuse(self.expression)

    def _symbol(self, name: str) -> int:
        spec, call = self.spec, self.call
        sizes = {"L": call.L, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P, "H": spec.H}
        if call.N is not None:
            sizes["N"] = call.N
        if name not in sizes:
            _refuse(self.expression)
        return sizes[name]
