"""The language of slices, laws, highlights and the quiz: a part of torch's, parsed and never evaluated.

`ast.parse` runs nothing, and each node of its tree is either one of those listed here or an error that shows the list.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lstm_shapes.errors import ShapeError

OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_LARGEST = 2**400


def is_arithmetic(node: ast.expr, symbols: object, operators: tuple[type, ...]) -> bool:
    """Whether a tree holds whole numbers, these symbols, signs and these operators, and nothing else."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant):
            known = type(part.value) is int
        elif isinstance(part, ast.Name):
            known = part.id in symbols  # type: ignore[operator]
        else:
            known = isinstance(part, (ast.BinOp, ast.UnaryOp, ast.USub, ast.UAdd, ast.Load, *operators))
        if not known:
            return False
    return True


def value_of(node: ast.expr, sizes: Mapping[str, int]) -> int | None:
    """What it comes to; None where a symbol has no size, for a division by 0, a high power, or too large a number."""
    if isinstance(node, ast.Constant):
        return int(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return sizes.get(node.id)
    if isinstance(node, ast.UnaryOp):
        value = value_of(node.operand, sizes)
        return -value if value is not None and isinstance(node.op, ast.USub) else value
    if not isinstance(node, ast.BinOp):
        return None
    left, right = value_of(node.left, sizes), value_of(node.right, sizes)
    if left is None or right is None:
        return None
    if (isinstance(node.op, ast.FloorDiv) and not right) or (isinstance(node.op, ast.Pow) and right not in (2, 3)):
        return None
    value = OPERATORS[type(node.op)](left, right)
    return value if abs(value) <= _LARGEST else None


GRAMMAR = """\
claim   tensor == tensor, torch.equal(tensor, tensor) | tensor.shape == tensor.shape | tensor.size(i) == i
        tensor.any() | not claim
tensor  X Y h0 c0 hn cn | tensor[index, …] | tensor + tensor | (tensor)
        torch.cat([tensor, …], dim=i) torch.stack([tensor, …], dim=i)
        tensor.sum(dim, keepdim=True) .mean(dim, keepdim=True) .squeeze(dim) .unsqueeze(i) .flip(i, …)
        tensor.transpose(i, j) .permute(i, …) .view(i, …) .reshape(i, …) .flatten(i, j)
dim     i | (i, …) | None or left out for every axis
index   i | from:to:step | ... | None | torch.arange(N) | lengths - 1
i       0 -1 N L Q D K R P H, with + - * // and brackets"""

TENSORS = ("X", "Y", "h0", "c0", "hn", "cn")

# Index items beyond int, slice, None and Ellipsis: one position for each row of the batch.
ALL_ROWS, LAST_STEPS = "torch.arange(N)", "lengths - 1"
_PAIRED = {
    "torch.arange(N)": ALL_ROWS,
    "arange(N)": ALL_ROWS,
    "range(N)": ALL_ROWS,
    "lengths - 1": LAST_STEPS,
    "torch.tensor(lengths) - 1": LAST_STEPS,
}
_SYMBOLS = "NLQDKRPH"
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv)
_LONGEST, _DEEPEST, _INDEX = 300, 40, 2**63 - 1
# What expressions are written with, and nothing else: no quotes, comments, line breaks or control characters, and no
# number with a letter in it, of which Python's parser would warn.
_WRITTEN = re.compile(r"(?!.*[0-9](?:[A-Za-z]|_(?![0-9])))[A-Za-z0-9_ \[\](),.:+*/=-]+")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An operation under torch's name, on other nodes; a tensor of the call is one without operands.

    Of `arguments` a whole number is still a syntax tree: `bound` gives it its value for one layer and call.
    """

    op: str
    operands: tuple[Node, ...] = ()
    arguments: tuple[Any, ...] = ()


def parse(text: object) -> tuple[Node, str]:
    """The tree of an expression, and how Python writes it: blanks and brackets that mean nothing are gone.

    >>> node, written = parse(" (Y[ :,-1 ])")
    >>> node.op, node.operands[0].op, written
    ('getitem', 'Y', 'Y[:, -1]')

    Raises: ShapeError that shows the grammar.
    """
    plain = text.strip(" \t\r\n") if isinstance(text, str) else ""
    if not plain or len(plain) > _LONGEST or not _WRITTEN.fullmatch(plain):
        refuse(text)
    try:
        tree = ast.parse(plain, mode="eval").body
        return _Parser(text).claim(tree), ast.unparse(tree)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        refuse(text)


def refuse(text: object) -> NoReturn:
    """Raise the error of what is outside the grammar."""
    raise ShapeError("expression", "of this grammar", got=text, hint=f"\n{GRAMMAR}")


def bound(arguments: Any, sizes: Mapping[str, int]) -> Any:
    """Arguments with the whole numbers that they come to.

    Raises: ValueError for one that has no value here.
    """
    if isinstance(arguments, tuple):
        return tuple(bound(one, sizes) for one in arguments)
    if isinstance(arguments, slice):
        return slice(*(bound(one, sizes) for one in (arguments.start, arguments.stop, arguments.step)))
    if not isinstance(arguments, ast.expr):
        return arguments
    value = value_of(arguments, sizes)
    if value is None or abs(value) > _INDEX:
        raise ValueError
    return value


class _Parser:
    """Walks a syntax tree; a node of another kind is refused."""

    def __init__(self, text: object) -> None:
        self.text = text

    def claim(self, node: ast.expr) -> Node:
        """A claim, or a tensor."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.claim(node.operand)
            return Node("not", (inner,)) if inner.op in ("equal", "any", "not") else refuse(self.text)
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            left, right = self._side(node.left), self._side(node.comparators[0])
            kinds = {"number" if side.op == "size" else side.op for side in (left, right)}
            # Shapes go with shapes, sizes with numbers, and tensors with tensors.
            return (
                Node("equal", (left, right))
                if not kinds & {"shape", "number"} or len(kinds) == 1
                else refuse(self.text)
            )
        if _called(node) == "torch.equal" and isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
            return Node("equal", tuple(self.tensor(side) for side in node.args))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "any":
            return Node("any", (self.tensor(node.func.value),)) if not _arguments(node) else refuse(self.text)
        return self._side(node) if isinstance(node, (ast.Attribute, ast.Call)) else self.tensor(node)

    def _side(self, node: ast.expr) -> Node:
        """A tensor, its shape, one of its sizes, or a number."""
        if isinstance(node, ast.Attribute) and node.attr == "shape":
            return Node("shape", (self.tensor(node.value),))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "size":
            dims = self._numbers(node, separate=True)
            return Node("size", (self.tensor(node.func.value),), dims) if len(dims) == 1 else refuse(self.text)
        if is_arithmetic(node, _SYMBOLS, _OPERATORS):
            return Node("number", (), (self._number(node),))
        return self.tensor(node)

    def tensor(self, node: ast.expr, depth: int = 0) -> Node:
        """A tensor: a name, an index or a method of one, or several joined."""
        if depth > _DEEPEST:
            refuse(self.text)
        if isinstance(node, ast.Name) and node.id in TENSORS:
            return Node(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return Node("add", (self.tensor(node.left, depth + 1), self.tensor(node.right, depth + 1)))
        if isinstance(node, ast.Subscript):
            items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return Node("getitem", (self.tensor(node.value, depth + 1),), (tuple(map(self._item, items)),))
        if not isinstance(node, ast.Call):
            refuse(self.text)
        name = _called(node).removeprefix("torch.")
        if name in ("cat", "concat", "stack"):
            given = self._named(node, "tensors", "dim")
            listed = given.get("tensors")
            if not isinstance(listed, (ast.List, ast.Tuple)) or not listed.elts:
                refuse(self.text)
            dim = self._number(given["dim"]) if "dim" in given else 0
            joined = tuple(self.tensor(one, depth + 1) for one in listed.elts)
            return Node("stack" if name == "stack" else "cat", joined, (dim,))
        if not isinstance(node.func, ast.Attribute):
            refuse(self.text)
        return Node(node.func.attr, (self.tensor(node.func.value, depth + 1),), self._method(node.func.attr, node))

    def _method(self, name: str, node: ast.Call) -> tuple[Any, ...]:
        """The arguments of a method, all of them and in torch's order."""
        if name in ("sum", "mean"):
            given = self._named(node, "dim", "keepdim")
            keep = given.get("keepdim", ast.Constant(False))
            # torch takes keepdim with a dim only.
            if not isinstance(keep, ast.Constant) or not isinstance(keep.value, bool) or set(given) == {"keepdim"}:
                refuse(self.text)
            return (self._dims(given.get("dim"), none=True), keep.value)
        if name == "squeeze":
            return (self._dims(self._named(node, "dim").get("dim")),)
        if name == "unsqueeze":
            given = self._named(node, "dim")
            return (self._number(given["dim"]) if given else refuse(self.text),)
        if name == "flatten":
            return () if not node.args and not node.keywords else self._numbers(node, separate=True)
        if name in ("view", "reshape", "permute", "flip"):
            return self._numbers(node)
        numbers = self._numbers(node, separate=True) if name == "transpose" else ()
        return numbers if len(numbers) == 2 else refuse(self.text)

    def _named(self, node: ast.Call, *names: str) -> dict[str, ast.expr]:
        """Arguments by name, each at most once; those without a name come in this order."""
        pairs = [*zip(names, node.args, strict=False), *((str(word.arg), word.value) for word in node.keywords)]
        given = dict(pairs)
        if len(node.args) > len(names) or len(given) < len(pairs) or not set(given) <= set(names):
            refuse(self.text)
        return given

    def _numbers(self, node: ast.Call, separate: bool = False) -> tuple[ast.expr, ...]:
        """Whole numbers, or one tuple of them."""
        args: Sequence[ast.expr] = node.args
        if len(args) == 1 and isinstance(args[0], (ast.Tuple, ast.List)) and not separate:
            args = args[0].elts
        return tuple(map(self._number, args)) if args and not node.keywords else refuse(self.text)

    def _dims(self, dim: ast.expr | None, none: bool = False) -> tuple[ast.expr, ...] | None:
        """One axis or a tuple of them; None for all."""
        if dim is None or (none and isinstance(dim, ast.Constant) and dim.value is None):
            return None
        return tuple(map(self._number, dim.elts if isinstance(dim, (ast.Tuple, ast.List)) else [dim]))

    def _item(self, node: ast.expr) -> Any:
        """One entry of an index."""
        if isinstance(node, ast.Slice):
            return slice(*(end and self._number(end) for end in (node.lower, node.upper, node.step)))
        if isinstance(node, ast.Constant) and (node.value is None or node.value is Ellipsis):
            return node.value
        return _PAIRED.get(ast.unparse(node)) or self._number(node)

    def _number(self, node: ast.expr) -> ast.expr:
        """A whole number: digits, a symbol, or simple arithmetic of them."""
        return node if is_arithmetic(node, _SYMBOLS, _OPERATORS) else refuse(self.text)


def _called(node: ast.expr) -> str:
    """`torch.cat` or `cat` for a call of that function."""
    if not isinstance(node, ast.Call):
        return ""
    plain = isinstance(node.func, ast.Name) or (
        isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
    )
    return ast.unparse(node.func) if plain else ""


def _arguments(node: ast.Call) -> list[Any]:
    return [*node.args, *node.keywords]
