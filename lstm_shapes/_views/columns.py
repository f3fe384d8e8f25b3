"""Columns: how much room a text takes where a syllable of Hangul is as wide as two letters."""

from __future__ import annotations

import re
import textwrap

__all__ = ["columns", "padded", "wrapped"]

_WIDE = re.compile("[가-힣]")


def columns(text: str) -> int:
    """The columns of a terminal that a line takes.

    >>> columns("step"), columns("시점")
    (4, 4)
    """
    return len(text) + len(_WIDE.findall(text))


def padded(text: str, width: int, side: str = "<") -> str:
    """With blanks to so many columns; `side` is `<`, `>` or `^` as in a format."""
    return f"{text:{side}{max(0, width - columns(text) + len(text))}}"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many columns, broken between words."""
    # A character that has no width stands for the second column of each syllable.
    lines = textwrap.wrap(_WIDE.sub("\\g<0>\0", text), width)
    return [line.replace("\0", "") for line in lines]
