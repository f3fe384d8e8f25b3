"""One thread at a time: what a run of ours changes, and puts back, belongs to the whole process.

Random states, the filters of warnings, the streams that are written to: two threads that save and restore them at the
same time leave what the other one had. So every run that puts something back waits until no other thread is in one.
Other threads of the program go on; random numbers that they draw meanwhile are drawn from the same generators.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_turn = threading.RLock()
_depth = 0
"""How often the thread that has the turn has asked for it."""
_later: deque[Callable[[], None]] = deque()


def _new_turn() -> None:
    """A forked process has one thread, in which a lock that another thread held would stay locked."""
    global _turn, _depth
    _turn, _depth = threading.RLock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


@contextmanager
def alone(seconds: float = -1) -> Iterator[bool]:
    """Wait for the turn, at most so many seconds; whether it came. A thread that has it may ask again."""
    global _depth
    turn = _turn
    ours = turn.acquire(timeout=seconds)
    if ours:
        _depth += 1
    try:
        yield ours
    finally:
        if ours:
            _depth -= turn is _turn
            turn.release()
            _settle()


def when_free(action: Callable[[], None]) -> None:
    """Do something as soon as no thread is in a run, now if none is: else the run would put back what it found.

    >>> with alone():
    ...     when_free(lambda: print("behind the run"))
    ...     print("in the run")
    in the run
    behind the run
    """
    _later.append(action)
    _settle()


def _settle() -> None:
    """Do what waits, unless a thread is in a run: then it does so at the end of it."""
    while _later and _turn.acquire(blocking=False):
        try:
            if _depth:
                return
            while _later:
                _later.popleft()()
        finally:
            _turn.release()
