"""One thread at a time: what a run of ours changes, and puts back, belongs to the whole process.

Random states, the filters of warnings, the streams that are written to: two threads that save and restore them at the
same time leave what the other one had. So every run that puts something back waits until no other thread is in one.
Other threads of the program go on; random numbers that they draw meanwhile are drawn from the same generators.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["alone"]

_turn = threading.RLock()


def _new_turn() -> None:
    """A process that was forked has one thread: nobody in it would ever give the turn back."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


@contextmanager
def alone(seconds: float = -1) -> Iterator[bool]:
    """Wait for the turn, at most so many seconds; whether it came. A thread that has it may ask again.

    >>> with alone() as ours, alone(0) as again:
    ...     ours, again
    (True, True)
    """
    turn = _turn
    ours = turn.acquire(timeout=seconds)
    try:
        yield ours
    finally:
        if ours:
            turn.release()
