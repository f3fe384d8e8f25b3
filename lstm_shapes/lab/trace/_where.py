"""Which line of the user's code is running: the innermost frame that belongs to neither torch nor this library."""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeAlias

import torch

# A line that is running: cheap to take at every call; `resolve` makes it readable.
Line: TypeAlias = "tuple[CodeType, int]"

_TORCH = str(Path(torch.__file__).parent) + os.sep
_OURS = str(Path(__file__).parents[2]) + os.sep
# Python's own layers between the two, and the code that torch.fx writes.
_PLUMBING = (contextlib.__file__, functools.__file__, "<frozen", "<eval_with_key>")


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the user's code; `source` is empty where no source can be had (a program run from a string)."""

    file: str
    line: int
    source: str = ""
    function: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.source}" if self.source else place

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"file": self.file, "line": self.line, "source": self.source, "function": self.function}


@lru_cache(4096)
def theirs(file: str) -> bool:
    """Whether a file is the user's: not torch's, not ours, not Python's plumbing between the two."""
    return not file.startswith((_TORCH, _OURS, *_PLUMBING))


def source_line(file: str, line: int) -> str:
    """The line itself, or "" where there is none."""
    return linecache.getline(file, line).strip()


def here() -> Where | None:
    """The user's line that is being executed now."""
    return resolve(line_now())


def line_now() -> Line | None:
    """The user's line that is being executed now, as (code, line)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if theirs(frame.f_code.co_filename):
            return frame.f_code, frame.f_lineno
        frame = frame.f_back
    return None


def resolve(line: Line | None) -> Where | None:
    """What `line_now` took, with its source."""
    if line is None:
        return None
    code, number = line
    return Where(code.co_filename, number, source_line(code.co_filename, number), code.co_name)


def raised_at(trace: TracebackType | None) -> Where | None:
    """The innermost line of the user's code in a traceback: where the exception came from, seen by its owner."""
    line: Line | None = None
    for frame, number in walk_tb(trace):
        if theirs(frame.f_code.co_filename):
            line = frame.f_code, number
    return resolve(line)
