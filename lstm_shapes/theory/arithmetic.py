"""Whole numbers written with symbols, `2*(D + 1)` or `L // 2`: a syntax tree is walked, and nothing is ever run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

__all__ = ["OPERATORS", "is_arithmetic", "value_of"]

OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_LARGEST = 2**200


def is_arithmetic(node: ast.expr, symbols: object, operators: tuple[type, ...]) -> bool:
    """Whether a tree holds whole numbers, these symbols, signs and these operators, and nothing else.

    >>> is_arithmetic(ast.parse("2*D - 1", mode="eval").body, "D", (ast.Mult, ast.Sub))
    True
    """
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
    """What it comes to; None where a symbol has no size, for a division by 0, a high power, or too large a number.

    >>> value_of(ast.parse("-(D + 1) // 2", mode="eval").body, {"D": 4})
    -3
    """
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
