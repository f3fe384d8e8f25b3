"""Whole numbers and symbols as they are written: in formulas, in expressions, and by people, `4(QD + D² + 2D)`.

`K·R, N, D` is a shape. Nothing that is written is ever run.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

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
    """What a tree of whole numbers, symbols and operators comes to; None for another tree, or one without a value."""
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


# ---- as people type it
_SIGNS = str.maketrans({"·": "*", "×": "*", "−": "-", "²": "**2", "³": "**3", "^": "**"})
# `x` is a sign between two factors. Symbols are one letter each, so letters side by side are factors, and so are a
# number and a letter, or either and a bracket.
_FACTORS = (
    (r"(?<=[\w)])\s*\bX\b\s*(?=[\w(])|(?<=\d)X(?=\d)|(?<=[A-Z])(?=[A-Z])", "*"),
    (r"(?<![\w.])(\d+)\s*(?=[A-Z(])", r"\1*"),
    (r"(?<=[A-Z)])\s*(?=\()", "*"),
)
_UNITS = re.compile(r"(?<=[\d)])(\s+(parameter|param|weight|number|element|feature|step|row)s?|\s*개)$", re.IGNORECASE)
# 1,345,536 or 1 345 536 or 1_345_536 or 1'345'536: one sign throughout, groups of three.
_GROUPED = re.compile(r"\d{1,3}(?:([,_'’\u00a0\u202f ])\d{3})(?:\1\d{3})*")
_LONGEST = 200  # no formula of the quiz is longer


def as_number(text: str, symbols: Mapping[str, int]) -> int | None:
    """A count: digits, groups of thousands, or a formula in which + - * and brackets stand; None for anything else.

    >>> as_number("1,345,536", {}), as_number("8D(D + 2)", {"D": 3}), as_number("many", {})
    (1345536, 120, None)
    """
    text = _UNITS.sub("", text.strip().rstrip("."))
    if _GROUPED.fullmatch(text):
        return int(re.sub(r"\D", "", text))
    plain = text.translate(_SIGNS).upper()
    for written, sign in _FACTORS:
        plain = re.sub(written, sign, plain)
    if len(plain) > _LONGEST:
        return None
    try:
        node = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return value_of(node, symbols, (ast.Add, ast.Sub, ast.Mult, ast.Pow))


def as_shape(text: str, symbols: Mapping[str, int]) -> tuple[int, ...] | None:
    """Sizes in any brackets or none, parted by commas, blanks or an x.

    >>> as_shape("torch.Size([6, 4, 20])", {}), as_shape("K·R x N", {"K": 3, "R": 2, "N": 4}), as_shape("KND", {})
    ((6, 4, 20), (6, 4), None)
    """
    text = text.strip().rstrip(".").removeprefix("torch.Size").strip()
    while _in_brackets(text):
        text = text[1:-1].strip()
    if not text or re.fullmatch(r"[A-Za-z]{2,}", text):  # `KND` may be meant as three sizes or as one
        return None
    text = re.sub(r"[,;]$", "", text)  # (5,) has one size
    # An x parts the sizes only where no comma does, and blanks where no x does: `2 * D` is one size.
    sign = next((sign for sign in (r"[,;]", "x") if re.search(sign, text)), r"\s+")
    sizes = [as_number(part, symbols) for part in re.split(sign, text)]
    return None if None in sizes else tuple(size for size in sizes if size is not None)


def _in_brackets(text: str) -> bool:
    """Whether one pair of brackets is around all of it; those of `(K*R),(N),(D)` are around less."""
    depths = [0]
    for sign in text:
        depths.append(depths[-1] + (sign in "([") - (sign in ")]"))
    return text[:1] + text[-1:] in ("()", "[]") and 0 not in depths[1:-1]


def bare(text: str) -> str:
    """Without case, blanks, backticks, a full stop, and what stands around a letter or an axis: `(B).` is b."""
    plain = re.sub(r"[\s`]|\.$", "", text).lower()
    letter = re.fullmatch(r"\(?([a-h])[).:]?|(?:axis|축)(\d)", plain)
    return letter[1] or letter[2] if letter else plain
