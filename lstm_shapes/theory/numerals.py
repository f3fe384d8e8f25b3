"""Numbers as people write them: a fixed number of decimals and a real minus sign."""

from __future__ import annotations

__all__ = ["number"]


def number(value: float) -> str:
    """Four decimals; powers of ten where there is no room for the digits.

    >>> number(-0.12345), number(123456.0), number(-0.00001)
    ('−0.1235', '1.235e+05', '0.0000')
    """
    text = f"{value:.4f}" if abs(value) < 10_000 else f"{value:.3e}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return f"−{text[1:]}" if text.startswith("-") else text
