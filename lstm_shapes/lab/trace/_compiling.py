"""torch.compile beside a recorder: what is compiled is followed without us, and nothing of ours is compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from lstm_shapes.lab._private import not_compiled

__all__ = ["aside", "uncompiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """The function: torch.compile does not begin at it nor at what it calls, and may still follow it on its way."""
    not_compiled(function.__code__)
    return function


def aside(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a hook that torch.compile may meet: followed by it, it does nothing and gives None."""

    @functools.wraps(function)
    def passing(*args: Any) -> Any:
        return None if torch.compiler.is_compiling() else function(*args)

    return uncompiled(passing)
