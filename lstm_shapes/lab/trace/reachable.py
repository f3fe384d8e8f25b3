"""Which modules, optimizers and values a callable can reach: what it may train, and what it may keep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Reached", "reach"]


class Reached:
    """The things found: modules with their names, optimizers, plain objects with attributes, and named globals."""

    def __init__(self) -> None:
        self.modules: dict[int, nn.Module] = {}
        self.names: dict[int, str] = {}
        self.optimizers: list[torch.optim.Optimizer] = []
        self.objects: list[Any] = []
        self.globals: list[tuple[dict[str, Any], str]] = []
        self._seen: set[int] = set()

    def add(self, value: Any, name: str = "", depth: int = 4) -> None:
        """Take a value and what hangs on it."""
        if id(value) in self._seen or depth < 0:
            return
        if isinstance(value, nn.Module):
            self._seen.add(id(value))
            for inner, module in value.named_modules():
                self.modules.setdefault(id(module), module)
                self.names.setdefault(id(module), ".".join(part for part in (name, inner) if part))
        elif isinstance(value, torch.optim.Optimizer):
            self._seen.add(id(value))
            self.optimizers.append(value)
        elif isinstance(value, functools.partial):
            for item in (value.func, *value.args, *value.keywords.values()):
                self.add(item, "", depth - 1)
        elif isinstance(value, MethodType):
            self.add(value.__self__, "", depth)
            self.add(value.__func__, "", depth)
        elif isinstance(value, FunctionType):
            self._seen.add(id(value))
            for free, item in _captured(value):
                self.add(item, free, depth - 1)
            for word in value.__code__.co_names:
                if word in value.__globals__ and _keeps(value.__globals__[word]):
                    self.globals.append((value.__globals__, word))
        elif isinstance(value, (list, tuple)) and len(value) < 100:
            for item in value:
                if isinstance(item, (nn.Module, torch.optim.Optimizer)):
                    self.add(item, name, depth - 1)
        elif _plain_object(value):
            self._seen.add(id(value))
            self.objects.append(value)
            for attribute, item in list(vars(value).items()):
                self.add(item, attribute, depth - 1)


def _captured(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function closes over and the globals that its code names."""
    for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield free, cell.cell_contents
        except ValueError:  # a cell that is still empty
            continue
    for word in function.__code__.co_names:
        if word in function.__globals__:
            yield word, function.__globals__[word]


def _keeps(value: Any) -> bool:
    """Whether a global may be a kept state."""
    if isinstance(value, (tuple, list)):
        return any(_keeps(item) for item in value)
    return value is None or (isinstance(value, Tensor) and not isinstance(value, nn.Parameter))


def _plain_object(value: Any) -> bool:
    kind = type(value)
    home = kind.__module__ or ""
    return (
        hasattr(value, "__dict__")
        and not isinstance(value, (type, Tensor))
        and home.split(".")[0] not in ("torch", "numpy", "sys", "types", "functools", "logging", "re")
        and kind.__name__ != "module"
    )


def reach(model: Callable[..., Any]) -> Reached:
    """Everything that a model or callable can be seen to use."""
    found = Reached()
    found.add(model)
    return found
