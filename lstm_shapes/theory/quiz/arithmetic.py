"""Arithmetic that a learner types: `4*(28*256 + 256*256 + 2*256)`, `2D`, `K·R`. Parsed, never evaluated by Python.

What is allowed: whole numbers, symbols with a known value, + - * and brackets.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

__all__ = ["as_number", "value_of"]

# Longer than any formula of the quiz; keeps numbers and nesting small.
_LONGEST = 200

# 1,345,536 or 1 345 536 or 1_345_536 or 1'345'536: one sign throughout, groups of three.
_GROUPED = re.compile(r"\d{1,3}(?:([,_'’\u00a0\u202f ])\d{3})(?:\1\d{3})*")


def as_number(text: str, symbols: Mapping[str, int]) -> int | None:
    """A count as people write it: digits, groups of thousands, or a formula; None for anything else.

    >>> as_number("1,345,536", {}), as_number("4*(2*3 + 3*3 + 2D)", {"D": 3}), as_number("many", {})
    (1345536, 84, None)
    """
    text = text.strip().rstrip(".")
    if _GROUPED.fullmatch(text):
        return int(re.sub(r"\D", "", text))
    return value_of(text, symbols)


def value_of(text: str, symbols: Mapping[str, int]) -> int | None:
    """The value of one expression; None where it is none, or names a symbol without a value.

    >>> value_of("2D", {"D": 20}), value_of("K·R", {"K": 3, "R": 2}), value_of("K**9", {"K": 3})
    (40, 6, None)
    """
    # `2D` and `2(…)` are products; ·, × and − are what the tables print.
    plain = re.sub(r"[·×]", "*", text.strip().replace("−", "-"))
    plain = re.sub(r"(?<![\w.])(\d+)\s*(?=[A-Za-z(])", r"\1*", plain)
    if not plain or len(plain) > _LONGEST:
        return None
    try:
        return _walk(ast.parse(plain, mode="eval").body, {name.upper(): size for name, size in symbols.items()})
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _walk(node: ast.expr, symbols: Mapping[str, int]) -> int | None:
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return symbols.get(node.id.upper())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _walk(node.operand, symbols)
        return None if value is None else -value
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _walk(node.left, symbols), _walk(node.right, symbols)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    return left * right if isinstance(node.op, ast.Mult) else None
