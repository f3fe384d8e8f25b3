"""The language of slices, laws, highlights and the quiz: a part of torch's, parsed and never evaluated.

`ast.parse` runs nothing, and each node of its tree is either one of those listed here or an error that shows the list.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import EllipsisType
from typing import Any, NoReturn

from lstm_shapes.errors import ShapeError

OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_LARGEST = 2**400  # far beyond what is counted, near enough to be quick: twice as much would do as well


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
    """
    plain = text.strip(" \t\r\n") if isinstance(text, str) else ""
    if not plain or len(plain) > _LONGEST or not _WRITTEN.fullmatch(plain):
        refuse(text)
    try:
        tree = ast.parse(plain, mode="eval").body
        return _claim(tree), ast.unparse(tree)
    # Many brackets are a MemoryError or a RecursionError in some releases of Python, and in others a SyntaxError.
    except (SyntaxError, ValueError, LookupError, MemoryError, RecursionError):
        refuse(text)


def refuse(text: object) -> NoReturn:
    """Raise the error of what is outside the grammar."""
    raise ShapeError("expression", "of this grammar", got=text, hint=f"\n{GRAMMAR}")


def bound(arguments: Any, sizes: Mapping[str, int]) -> Any:
    """Arguments with the whole numbers that they come to."""
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


# Each of these gives the Node of a syntax tree, or raises ValueError for one that is outside the grammar.


def _claim(node: ast.expr) -> Node:
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=claim):
            inner = _claim(claim)
            return Node("not", (inner,)) if inner.op in ("equal", "any", "not") else _outside()
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            sides = _side(left), _side(right)
            kinds = {"number" if side.op == "size" else side.op for side in sides}
            # Shapes go with shapes, sizes with numbers, and tensors with tensors.
            return Node("equal", sides) if len(kinds) == 1 or not kinds & {"shape", "number"} else _outside()
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="equal"), args=[left, right], keywords=[]):
            return Node("equal", (_tensor(left), _tensor(right)))
        case ast.Call(func=ast.Attribute(value=tensor, attr="any"), args=[], keywords=[]):
            return Node("any", (_tensor(tensor),))
        case ast.Attribute() | ast.Call():
            return _side(node)
    return _tensor(node)


def _side(node: ast.expr) -> Node:
    """A tensor, its shape, one of its sizes, or a number."""
    match node:
        case ast.Attribute(value=tensor, attr="shape"):
            return Node("shape", (_tensor(tensor),))
        case ast.Call(func=ast.Attribute(value=tensor, attr="size"), args=[dim], keywords=[]):
            return Node("size", (_tensor(tensor),), (_number(dim),))
    return Node("number", (), (node,)) if is_arithmetic(node, _SYMBOLS, _OPERATORS) else _tensor(node)


def _tensor(node: ast.expr, depth: int = 0) -> Node:
    """A tensor: a name, an index or a method of one, or several joined."""
    inner = partial(_tensor, depth=depth + 1)
    match node:
        case _ if depth > _DEEPEST:
            return _outside()
        case ast.Name(id=name) if name in TENSORS:
            return Node(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return Node("add", (inner(left), inner(right)))
        case ast.Subscript(value=tensor, slice=ast.Tuple(elts=items)):
            return Node("getitem", (inner(tensor),), (tuple(map(_item, items)),))
        case ast.Subscript(value=tensor, slice=item):
            return Node("getitem", (inner(tensor),), ((_item(item),),))
        case ast.Call(
            func=ast.Name(id="cat" | "concat" | "stack" as name)
            | ast.Attribute(value=ast.Name(id="torch"), attr="cat" | "concat" | "stack" as name)
        ):
            given = {"dim": ast.Constant(0), **_named(node, "tensors", "dim")}
            listed = _listed(given["tensors"])
            if listed is None:
                return _outside()
            return Node("cat" if name == "concat" else name, tuple(map(inner, listed)), (_number(given["dim"]),))
        case ast.Call(func=ast.Attribute(value=tensor, attr=name)):
            return Node(name, (inner(tensor),), _arguments(name, node))
    return _outside()


def _arguments(method: str, call: ast.Call) -> tuple[Any, ...]:
    """The arguments of a method, all of them and in torch's order."""
    if method in ("sum", "mean"):
        given = _named(call, "dim", "keepdim")
        keep = given.get("keepdim", ast.Constant(False))
        # torch takes keepdim with a dim only.
        if not isinstance(keep, ast.Constant) or not isinstance(keep.value, bool) or set(given) == {"keepdim"}:
            _outside()
        dim = given.get("dim")
        return (None if isinstance(dim, ast.Constant) and dim.value is None else _dims(dim), keep.value)
    if method == "squeeze":
        return (_dims(_named(call, "dim").get("dim")),)
    if method == "unsqueeze":
        return (_number(_named(call, "dim")["dim"]),)
    places: Sequence[ast.expr] = call.args
    if method in ("view", "reshape", "permute", "flip"):
        places = (_listed(places[0]) if len(places) == 1 else None) or places
        fits = len(places) > 0
    else:
        fits = method == "flatten" or (method == "transpose" and len(places) == 2)
    return tuple(map(_number, places)) if fits and not call.keywords else _outside()


def _named(call: ast.Call, *names: str) -> dict[str, ast.expr]:
    """Arguments by name, each at most once; those without a name come in this order."""
    pairs = [*zip(names, call.args, strict=False), *((str(word.arg), word.value) for word in call.keywords)]
    given = dict(pairs)
    fits = len(call.args) <= len(names) and len(given) == len(pairs) and set(given) <= set(names)
    return given if fits else _outside()


def _listed(node: ast.expr) -> list[ast.expr] | None:
    """What a list or a tuple holds, if anything; None for what is none."""
    return (node.elts or None) if isinstance(node, (ast.Tuple, ast.List)) else None


def _dims(dim: ast.expr | None) -> tuple[ast.expr, ...] | None:
    """One axis or a tuple of them; None for all."""
    if dim is None:
        return None
    return tuple(map(_number, dim.elts if isinstance(dim, (ast.Tuple, ast.List)) else [dim]))


def _item(node: ast.expr) -> Any:
    """One entry of an index."""
    match node:
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(*(end and _number(end) for end in (lower, upper, step)))
        case ast.Constant(value=None) | ast.Constant(value=EllipsisType()):
            return node.value
    return _PAIRED.get(ast.unparse(node)) or _number(node)


def _number(node: ast.expr) -> ast.expr:
    """A whole number: digits, a symbol, or simple arithmetic of them."""
    return node if is_arithmetic(node, _SYMBOLS, _OPERATORS) else _outside()


def _outside() -> NoReturn:
    raise ValueError
