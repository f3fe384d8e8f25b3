"""Numbers as people type them; shapes and letters are typed in tests/theory/test_quiz.py."""

from __future__ import annotations

import pytest

from lstm_shapes.theory._arithmetic import as_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1345536", 1345536),
        ("1,345,536", 1345536),
        ("1 345 536", 1345536),
        ("1_345_536", 1345536),
        ("1'345'536", 1345536),
        ("1\u202f345\u202f536", 1345536),
        ("1,345,536.", 1345536),
        ("4*(Q*D + D*D + 2*D)", 4 * (28 * 256 + 256 * 256 + 512)),
        ("4·(Q·D + D·D + 2D)", 4 * (28 * 256 + 256 * 256 + 512)),
        ("4(Q*D + D*D + 2D)", 4 * (28 * 256 + 256 * 256 + 512)),
        ("3 × 4 − 2", 10),
        ("8D(Q+D+2)", 8 * 256 * (28 + 256 + 2)),
        ("4D (Q + D + 2)", 4 * 256 * (28 + 256 + 2)),
        ("4(QD + DD + 2D)", 4 * (28 * 256 + 256 * 256 + 512)),
        ("(Q + D)(2)", 568),
        ("D**2", 65536),
        ("D²", 65536),
        ("4·(Q·D + D² + 2D)", 4 * (28 * 256 + 256 * 256 + 512)),
        ("D^2 + D³", 65536 + 256**3),
        ("9600 parameters", 9600),
        ("1,345,536 weights.", 1345536),
        ("2 x D x 3", 1536),
        ("3x4", 12),
        ("D**4", None),
        ("2**-1", None),
        ("D2", None),
        ("9600 apples", None),
        ("(" * 9 + "D" + "**3)" * 9, None),
        ("max(1, 2)", None),
        ("int(3)", None),
        ("-3", -3),
        ("1,34,5", None),
        ("1,345 536", None),
        ("", None),
        ("-X", None),
        ("1e6", None),
        ("4 // 2", None),
        ("+5", 5),
        ("1 < 2", None),
        ("'a' * 9", None),
    ],
)
def test_numbers_as_people_write_them(text: str, expected: int | None) -> None:
    """Groups of thousands in any country's way, and formulas; anything else is unreadable."""
    assert as_number(text, {"Q": 28, "D": 256}) == expected


def test_symbols_in_any_case() -> None:
    """`k*r` is K·R; a symbol that the layer lacks has no value."""
    assert as_number("k*r", {"K": 3, "R": 2}) == 6
    assert as_number("P", {"K": 3}) is None
