"""What a callable can be seen to use: its modules with their names, and everything that a run of it may change."""

from __future__ import annotations

import functools
import io
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.lab._private import MODULES

from ._where import theirs

__all__ = ["Reached", "generator", "reach", "slots_of"]

# Values that nothing can change.
_ATOMS = frozenset({int, float, bool, str, bytes, complex, type(None), type, range, slice, torch.dtype, torch.device})
_CONTAINERS = (dict, list, set, deque, bytearray)
# Of torch's own objects, those that a run changes; its other ones (datasets, scripts) are left alone.
_CHANGING = ("torch.optim", "torch.amp", "torch.cuda.amp", "torch.distributions", "torch.nn.utils")
_FOREIGN = frozenset(
    ["torch", "numpy", "sys", "types", "functools", "logging", "re", "typing", "abc", "enum", "pathlib", "threading"]
)
_DEPTH = 8
# More things than this are a data set and no model's state.
_MOST = 100_000


class Reached:
    """The things that are reached, each once.

    `things`: tensors, arrays, containers, generators of random numbers and objects with attributes; `globals`: those
    that a function names, as (namespace, name); `cells`: the variables that a function closes over;
    `lost`: the names of what cannot be put back, iterators and files.
    """

    def __init__(self) -> None:
        self.modules: dict[int, nn.Module] = {}
        self.names: dict[int, str] = {}
        self.things: list[Any] = []
        self.globals: list[tuple[dict[str, Any], str]] = []
        self.cells: list[CellType] = []
        self.lost: list[str] = []
        self._seen: dict[int, Any] = {}

    @property
    def objects(self) -> list[Any]:
        """The plain objects with attributes, no modules."""
        return [thing for thing in self.things if not isinstance(thing, nn.Module) and _plain_object(thing)]

    @property
    def attributes(self) -> list[dict[str, Any]]:
        """The attributes of each module and plain object as they are now."""
        return [
            {**getattr(thing, "__dict__", {}), **dict(slots_of(thing))}
            for thing in (*self.modules.values(), *self.objects)
        ]

    def add(self, value: Any, name: str = "", depth: int = _DEPTH) -> None:
        """Take a value and what hangs on it."""
        if type(value) in _ATOMS or depth < 0 or id(value) in self._seen or len(self._seen) > _MOST:
            return
        self._seen[id(value)] = value
        if isinstance(value, nn.Module):
            self._module(value, name, depth)
        elif isinstance(value, Tensor) or _array(value) or generator(value) is not None:
            self.things.append(value)
        elif isinstance(value, _CONTAINERS):
            self.things.append(value)
            for key, item in _items(value):
                self.add(item, f"{name}[{key!r}]" if name and isinstance(key, (str, int)) else name, depth - 1)
        elif isinstance(value, (tuple, frozenset)):
            for k, item in enumerate(value):
                self.add(item, f"{name}[{k}]" if name else "", depth - 1)
        elif isinstance(value, functools.partial):
            for item in (value.func, *value.args, *value.keywords.values()):
                self.add(item, "", depth - 1)
        elif isinstance(value, MethodType):
            self.add(value.__self__, "", depth)
            self.add(value.__func__, "", depth)
        elif isinstance(value, FunctionType):
            self._function(value, depth)
        elif _moves_on(value):
            self.lost.append(f"{name or 'something'} ({type(value).__name__})")
        elif _plain_object(value):
            self.things.append(value)
            for attribute, item in (*list(getattr(value, "__dict__", {}).items()), *slots_of(value)):
                self.add(item, f"{name}.{attribute}" if name else attribute, depth - 1)

    def _module(self, module: nn.Module, name: str, depth: int) -> None:
        for inner, part in module.named_modules():
            self.modules.setdefault(id(part), part)
            self.names.setdefault(id(part), ".".join(word for word in (name, inner) if word))
        self.things.append(module)
        for attribute, item in list(vars(module).items()):
            prefix = f"{name}." if name else ""
            if attribute == MODULES:
                for child, part in item.items():
                    self.add(part, prefix + child, _DEPTH)
            self.add(item, prefix + attribute, depth - 1)
        for kind in type(module).__mro__:
            for member in list(vars(kind).values()) if not kind.__module__.startswith("torch") else ():
                if isinstance(member, FunctionType):
                    self.add(member, "", depth - 1)

    def _function(self, function: FunctionType, depth: int) -> None:
        if not theirs(function.__code__.co_filename):
            return
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                inside = cell.cell_contents
            except ValueError:  # a cell that is still empty
                continue
            self.cells.append(cell)
            self.add(inside, free, depth - 1)
        for word in function.__code__.co_names:
            if word in function.__globals__:
                value = function.__globals__[word]
                if not isinstance(value, (FunctionType, ModuleType, type)):
                    self.globals.append((function.__globals__, word))
                self.add(value, word, depth - 1)


def generator(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """How the state of a generator of random numbers is read and written; None for anything else."""
    if isinstance(value, torch.Generator):
        return value.get_state, value.set_state
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate, value.setstate
    numpy = sys.modules.get("numpy.random")
    if numpy is None:
        return None
    if isinstance(value, numpy.RandomState):
        return value.get_state, value.set_state
    if isinstance(value, (numpy.Generator, numpy.BitGenerator)):
        bits = value.bit_generator if isinstance(value, numpy.Generator) else value
        return (lambda: bits.state), (lambda state: setattr(bits, "state", state))
    return None


def slots_of(value: Any) -> list[tuple[str, Any]]:
    """The attributes that an object keeps in `__slots__`."""
    names = [name for kind in type(value).__mro__ for name in _slot_names(kind)]
    return [(name, getattr(value, name)) for name in names if hasattr(value, name)]


def _slot_names(kind: type) -> tuple[str, ...]:
    names = vars(kind).get("__slots__", ())
    return tuple(name for name in ((names,) if isinstance(names, str) else tuple(names)) if not name.startswith("__"))


def _items(container: Any) -> Iterator[tuple[Any, Any]]:
    """What may hold something that changes, with its key or number."""
    if isinstance(container, bytearray):
        return iter(())
    pairs = container.items() if isinstance(container, dict) else enumerate(container)
    return iter([(key, item) for key, item in pairs if type(item) not in _ATOMS])


def _array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _moves_on(value: Any) -> bool:
    """Whether it is an iterator or an open file, whose place cannot be put back."""
    if isinstance(value, io.IOBase):
        return not any(value is stream for stream in _standard_streams())
    return isinstance(value, Iterator) and not hasattr(value, "__dict__")


def _standard_streams() -> tuple[Any, ...]:
    return (sys.stdout, sys.stderr, sys.stdin, sys.__stdout__, sys.__stderr__, sys.__stdin__)


def _plain_object(value: Any) -> bool:
    kind = type(value)
    home = kind.__module__ or ""
    if isinstance(value, (type, ModuleType, Tensor, *_CONTAINERS)) or generator(value) is not None:
        return False
    if not (hasattr(value, "__dict__") or hasattr(kind, "__slots__")):
        return False
    return home.startswith(_CHANGING) or home.split(".")[0] not in _FOREIGN


def reach(*values: Any) -> Reached:
    """Everything that models, callables and other values can be seen to use."""
    reached = Reached()
    for value in values:
        reached.add(value)
    return reached
