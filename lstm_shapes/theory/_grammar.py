"""The language of slices, laws, highlights and the quiz: a part of torch's, parsed and never evaluated.

`ast.parse` runs nothing. What its tree means for one layer and call is read, and the rest refused, in `expression.py`.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from lstm_shapes.errors import ShapeError

OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_LARGEST = 2**400  # far beyond what is counted, near enough to be quick: twice as much would do as well


def value_of(
    node: ast.expr, sizes: Mapping[str, int], operators: tuple[type[ast.operator], ...] = (ast.operator,)
) -> int | None:
    """What a tree of whole numbers, symbols, signs and these operators comes to; None for any other tree.

    None also where a symbol has no size, for a division by 0, a high power, or too large a number.
    """
    match node:
        case ast.Constant(value=value) if type(value) is int:
            return value
        case ast.Name(id=symbol):
            return sizes.get(symbol)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = value_of(operand, sizes, operators)
            return -value if value is not None and isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS and isinstance(sign, operators):
            a, b = value_of(left, sizes, operators), value_of(right, sizes, operators)
            undefined = (isinstance(sign, ast.FloorDiv) and not b) or (isinstance(sign, ast.Pow) and b not in (2, 3))
            if a is None or b is None or undefined:
                return None
            value = OPERATORS[type(sign)](a, b)
            return value if abs(value) <= _LARGEST else None
    return None


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

_LONGEST = 300
# What expressions are written with, and nothing else: no quotes, comments, line breaks or control characters, and no
# number with a letter in it, of which Python's parser would warn.
_WRITTEN = re.compile(r"(?!.*[0-9](?:[A-Za-z]|_(?![0-9])))[A-Za-z0-9_ \[\](),.:+*/=-]+")


def parse(text: object) -> tuple[ast.expr, str]:
    """The tree of an expression, and how Python writes it: blanks and brackets that mean nothing are gone.

    >>> parse(" (Y[ :,-1 ])")[1]
    'Y[:, -1]'
    """
    plain = text.strip(" \t\r\n") if isinstance(text, str) else ""
    if not plain or len(plain) > _LONGEST or not _WRITTEN.fullmatch(plain):
        refuse(text)
    try:
        tree = ast.parse(plain, mode="eval").body
        return tree, ast.unparse(tree)
    # Many brackets are a MemoryError or a RecursionError in some releases of Python, and in others a SyntaxError.
    except (SyntaxError, ValueError, LookupError, MemoryError, RecursionError):
        refuse(text)


def refuse(text: object) -> NoReturn:
    """Raise the error of what is outside the grammar."""
    raise ShapeError("expression", "of this grammar", got=text, hint=f"\n{GRAMMAR}")
