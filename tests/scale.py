"""How many examples a random test draws: its own number in `make test`, 25 times that in `make fuzz`."""

from __future__ import annotations

import os

__all__ = ["examples"]


def examples(count: int) -> int:
    """`count`, times LSTM_SHAPES_FUZZ where it is set; for `@settings(max_examples=examples(2_000))`."""
    return count * int(os.environ.get("LSTM_SHAPES_FUZZ", "1"))
