"""torch.compile beside a recorder: what is compiled is followed without us, and nothing of ours is compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

__all__ = ["aside", "uncompiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """The function: torch.compile does not begin at it nor at what it calls, and may still follow it on its way.

    `torch.compiler.disable` would forbid both, and load the compiler; this is what it is made of.
    """
    frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    if hasattr(frames, "_FrameExecStrategy"):
        skip = frames._FrameAction.SKIP
        frames.set_code_exec_strategy(function.__code__, frames._FrameExecStrategy(skip, skip))
    elif hasattr(frames, "skip_code"):  # before torch 2.8
        frames.skip_code(function.__code__)
    return function


def aside(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a hook that torch.compile may meet: followed by it, it does nothing and gives None."""

    @functools.wraps(function)
    def passing(*args: Any) -> Any:
        return None if torch.compiler.is_compiling() else function(*args)

    return uncompiled(passing)
