"""What is done about a reshape that mixes axes: a warning at the caller's line, or a mark in a walk."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

import torch

from lstm_shapes.errors import ScrambledAxesWarning
from lstm_shapes.theory.axis_rules.reshaping import Scramble

__all__ = ["on_scramble", "tell"]

on_scramble: ContextVar[Callable[[Scramble], None] | None] = ContextVar("on_scramble", default=None)
"""Who is told instead of a warning."""

_INNER = (str(Path(torch.__file__).parent), str(Path(__file__).parent.parent))


def tell(scramble: Scramble) -> None:
    """Report a scramble to whoever listens; else warn where the caller's own line is, above torch and us."""
    listener = on_scramble.get()
    if listener is not None:
        listener(scramble)
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INNER):
        frame, level = frame.f_back, level + 1
    warnings.warn(str(scramble), ScrambledAxesWarning, stacklevel=level)
