"""The families of torch's functions that a reader of a trace tells apart, each spelled once."""

from __future__ import annotations

__all__ = ["names_in"]


def names_in(text: str) -> frozenset[str]:
    """The words of a text as a set: a family of functions is written as one line."""
    return frozenset(text.split())
