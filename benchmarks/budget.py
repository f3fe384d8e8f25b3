"""A budget, and how time is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Budget", "SkipError", "alternate", "ratio"]


class SkipError(Exception):
    """There is nothing to measure here; the message says why."""


@dataclass(frozen=True)
class Budget:
    """What is measured, the most it may be, and how to measure it: a number and a note that gives its parts."""

    what: str
    limit: Fraction
    unit: str
    measure: Callable[[], tuple[float, str]]

    def allowed(self) -> str:
        """The limit as a person writes it: 1/25 of …, 1.3 × …."""
        if self.limit < 1 and self.limit.numerator == 1:
            return f"1/{self.limit.denominator:,} {self.unit}"
        return f"{float(self.limit):g} {self.unit}"


def alternate(rounds: int, *calls: Callable[[], float]) -> list[float]:
    """The fastest of several rounds of each call, taken in turns: what else the machine does hits all alike."""
    return [min(times) for times in zip(*([call() for call in calls] for _ in range(rounds)), strict=True)]


def ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 7) -> tuple[float, str]:
    """How much longer our call takes than theirs, in this process; both once beforehand to warm up."""

    def seconds(call: Callable[[], object]) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    ours(), theirs()
    mine, other = alternate(rounds, lambda: seconds(ours), lambda: seconds(theirs))
    return mine / other, f"{mine * 1e3:.3g} ms against {other * 1e3:.3g} ms"
