"""Numbers as people write them: decimals, a real minus sign, thousands apart, and nouns in the plural."""

from __future__ import annotations


def number(value: float) -> str:
    """Four decimals; powers of ten where there is no room for the digits.

    >>> number(-0.12345), number(123456.0), number(-0.00001)
    ('−0.1235', '1.235e+05', '0.0000')
    """
    text = f"{value:.4f}" if abs(value) < 10_000 else f"{value:.3e}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return f"−{text[1:]}" if text.startswith("-") else text


def brief(value: float) -> str:
    """Three significant digits.

    >>> brief(-4.52969), brief(1.0)
    ('−4.53', '1')
    """
    return f"{value:.3g}".replace("-", "−")


def counted(count: int, noun: str) -> str:
    """A number and its noun, which is plural unless it is one.

    >>> counted(1, "step"), counted(1_000_000, "sequence")
    ('1 step', '1,000,000 sequences')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
