"""Arithmetic that a learner types: `4*(28*256 + 256*256 + 2*256)`, `2D`, `K·R`, `8D(Q + D + 2)`, `D²`.

Parsed, never evaluated by Python. What is allowed: whole numbers, symbols with a known value, + - *, squares and cubes,
and brackets.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from math import prod

__all__ = ["as_number", "value_of"]

# Longer than any formula of the quiz; keeps numbers and nesting small.
_LONGEST = 200
_LARGEST = 2**200

# What people write for a product or a power, in the order in which it is put right. A letter or a number before a
# bracket, and a number before a letter, are factors; `x` is a sign where it stands between two of them.
_SIGNS = (
    (r"[·×]|(?<=[\w)])\s*\bx\b\s*(?=[\w(])|(?<=\d)x(?=\d)", "*"),
    ("−", "-"),
    ("²", "**2"),
    ("³", "**3"),
    (r"\^", "**"),
    (r"(?<![\w.])(\d+)\s*(?=[A-Za-z(])", r"\1*"),
    (r"(?<=[A-Za-z)])\s*(?=\()", "*"),
)
_UNITS = re.compile(r"(?<=[\d)])\s+(parameter|param|weight|number|element|feature|step|row)s?$", re.IGNORECASE)

# 1,345,536 or 1 345 536 or 1_345_536 or 1'345'536: one sign throughout, groups of three.
_GROUPED = re.compile(r"\d{1,3}(?:([,_'’\u00a0\u202f ])\d{3})(?:\1\d{3})*")


def as_number(text: str, symbols: Mapping[str, int]) -> int | None:
    """A count as people write it: digits, groups of thousands, or a formula; None for anything else.

    >>> as_number("1,345,536", {}), as_number("4*(2*3 + 3*3 + 2D)", {"D": 3}), as_number("many", {})
    (1345536, 84, None)
    """
    text = _UNITS.sub("", text.strip().rstrip("."))
    if _GROUPED.fullmatch(text):
        return int(re.sub(r"\D", "", text))
    return value_of(text, symbols)


def value_of(text: str, symbols: Mapping[str, int]) -> int | None:
    """The value of one expression; None where it is none, or names a symbol without a value.

    >>> value_of("2D", {"D": 20}), value_of("K·R", {"K": 3, "R": 2}), value_of("K**9", {"K": 3})
    (40, 6, None)
    >>> value_of("8D(D + 2)", {"D": 3}), value_of("D²", {"D": 3}), value_of("KR", {"K": 3, "R": 2})
    (120, 9, 6)
    """
    plain = text.strip()
    for found, sign in _SIGNS:
        plain = re.sub(found, sign, plain)
    if not plain or len(plain) > _LONGEST:
        return None
    try:
        return _walk(ast.parse(plain, mode="eval").body, {name.upper(): size for name, size in symbols.items()})
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _walk(node: ast.expr, symbols: Mapping[str, int]) -> int | None:
    value = _value(node, symbols)
    return None if value is None or abs(value) > _LARGEST else value


def _value(node: ast.expr, symbols: Mapping[str, int]) -> int | None:
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        name = node.id.upper()
        if name in symbols:
            return symbols[name]
        # Every symbol is one letter, so letters side by side are factors.
        return prod(symbols[letter] for letter in name) if set(name) <= set(symbols) else None
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
    if isinstance(node.op, ast.Mult):
        return left * right
    # A square or a cube; anything larger is nobody's answer.
    return left**right if isinstance(node.op, ast.Pow) and right in (2, 3) else None
