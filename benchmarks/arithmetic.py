"""Predicting and counting is arithmetic: it takes no time and no memory to speak of, however large the layer."""

from __future__ import annotations

import time
import tracemalloc
from fractions import Fraction

import lstm_shapes as ls

from .budget import Budget, alternate

__all__ = ["BUDGETS"]


def predict_and_count(Q: int, D: int, K: int, N: int, L: int) -> None:
    """What the budget is for, the numbers read as well, in case one is worked out only when asked for."""
    prediction = ls.predict(Q, D, K, N=N, L=L)
    counts = ls.count(Q, D, K, N=N, L=L)
    assert prediction.Y is not None
    assert prediction.Y.sizes == (N, L, D)
    assert counts.total > 0
    assert (counts.macs or 0) > 0


def _milliseconds(K: int) -> tuple[float, str]:
    def once() -> float:
        start = time.perf_counter()
        predict_and_count(28, 256, K, 2, 20)
        return time.perf_counter() - start

    (seconds,) = alternate(25, once)
    return seconds * 1e3, f"{seconds * 1e6:.0f} µs at K={K:,}"


def _memory() -> tuple[float, str]:
    def peak(*sizes: int) -> int:
        tracemalloc.start()
        predict_and_count(*sizes)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    predict_and_count(3, 5, 2, 7, 11)  # what is loaded and cached once is not counted
    small, large = peak(3, 5, 2, 7, 11), peak(10**9, 10**9, 2, 10**9, 10**9)
    return large / small, f"{large / 1e3:.1f} kB with every size 1e9, {small / 1e3:.1f} kB with sizes below 12"


BUDGETS = (
    Budget("predict + count, K=3", Fraction(1), "ms", lambda: _milliseconds(3)),
    Budget("predict + count, K=1,000", Fraction(1), "ms", lambda: _milliseconds(1000)),
    # Nothing may grow with the sizes; a number of twenty digits is a few bytes longer than one of two.
    Budget("memory of predict + count", Fraction(5, 4), "× that of tiny sizes", _memory),
)
