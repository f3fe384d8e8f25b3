"""What a callable can be seen to use, and everything of it that a run may change, put back bit for bit."""

from __future__ import annotations

import io
import operator
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lstm_shapes.lab._private import MODULES, storage_of

from ._where import theirs

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
_MISSING = object()


class Reached:
    """The things that are reached, each once.

    `things`: tensors, arrays, containers, generators of random numbers and objects with attributes; `variables`: the
    globals that a function names and the variables that it closes over, as how they are read and written;
    `lost`: the names of what cannot be put back, iterators and files.
    """

    def __init__(self) -> None:
        self.modules: dict[int, nn.Module] = {}
        self.names: dict[int, str] = {}
        self.things: list[Any] = []
        self.variables: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = []
        self.lost: list[str] = []
        self._seen: dict[int, Any] = {}

    @property
    def objects(self) -> list[Any]:
        """The plain objects with attributes, no modules."""
        return [thing for thing in self.things if not isinstance(thing, nn.Module) and _plain_object(thing)]

    @property
    def attributes(self) -> list[dict[str, Any]]:
        """The attributes of each module and plain object as they are now."""
        return [_attributes(thing) for thing in (*self.modules.values(), *self.objects)]

    def add(self, value: Any, name: str = "", depth: int = _DEPTH) -> None:
        """Take a value and what hangs on it."""
        if type(value) in _ATOMS or depth < 0 or id(value) in self._seen or len(self._seen) > _MOST:
            return
        self._seen[id(value)] = value
        if isinstance(value, nn.Module):
            self._module(value, name, depth)
        elif isinstance(value, Tensor) or _is_array(value) or _generator(value) is not None:
            self.things.append(value)
        elif isinstance(value, (*_CONTAINERS, tuple, frozenset)):
            if isinstance(value, _CONTAINERS):
                self.things.append(value)
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in [(key, item) for key, item in pairs if type(item) not in _ATOMS]:
                self.add(item, f"{name}[{key!r}]" if name and isinstance(key, (str, int)) else name, depth - 1)
        elif isinstance(value, partial):
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
            for attribute, item in _attributes(value).items():
                self.add(item, f"{name}.{attribute}" if name else attribute, depth - 1)

    def _module(self, module: nn.Module, name: str, depth: int) -> None:
        for inner, part in module.named_modules():
            self.modules.setdefault(id(part), part)
            self.names.setdefault(id(part), ".".join(word for word in (name, inner) if word))
        self.things.append(module)
        prefix = f"{name}." if name else ""
        for attribute, item in list(vars(module).items()):
            for child, part in item.items() if attribute == MODULES else ():
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
            self.variables.append((partial(getattr, cell, "cell_contents"), partial(setattr, cell, "cell_contents")))
            self.add(inside, free, depth - 1)
        for word in function.__code__.co_names:
            if word in function.__globals__:
                value = function.__globals__[word]
                if not isinstance(value, (FunctionType, ModuleType, type)):
                    space = function.__globals__
                    self.variables.append((partial(space.get, word), partial(space.__setitem__, word)))
                self.add(value, word, depth - 1)


def reach(*values: Any) -> Reached:
    """Everything that models, callables and other values can be seen to use."""
    reached = Reached()
    for value in values:
        reached.add(value)
    return reached


class Snapshot:
    """Takes a picture of all that was reached and of the random states; `restore` puts all of it back.

    `given` is what the program is called with. Only what differs is written, so that an untouched parameter keeps its
    version counter too. With `watched` a parameter and its gradient are copied when `writes` is told that a call is
    about to write into their memory, and not before: most programs write into none.
    """

    def __init__(self, reached: Reached, given: Reached | None = None, *, watched: bool = False) -> None:
        self._reached, self._given, self._watched = reached, given, watched
        self._undo: list[Callable[[], None]] = []
        self._probes: list[Callable[[], bool]] = []
        self._waiting: dict[int, list[_Elements]] = {}
        self._taken = (0, 0)
        self._generators = list(_generators())
        if given is not None:
            self._take(given, (0, 0))
            self._probes.clear()  # what is handed in is kept by its owner
        self._update()

    @property
    def lost(self) -> tuple[str, ...]:
        """What is seen and cannot be put back."""
        return (*self._reached.lost, *(self._given.lost if self._given is not None else ()))

    def module(self, module: nn.Module) -> None:
        """Take a module that was not reachable before: the recorder calls this at first sight."""
        self._reached.add(module)
        self._update()

    def writes(self, tensor: Tensor) -> None:
        """A call is about to write into the memory of a tensor."""
        for elements in self._waiting.pop(storage_of(tensor), ()):
            elements.keep()

    def restore(self) -> None:
        for undo in self._undo:
            undo()
        self.restore_random()

    def restore_random(self) -> None:
        """Put back the random states only."""
        for write, state in self._generators:
            write(state)

    def changed(self) -> bool:
        """Whether a kept value (not a parameter, not a buffer) is another one than before."""
        return any(probe() for probe in self._probes)

    # ------------------------------------------------------------------ the parts
    def _update(self) -> None:
        reached, taken = self._reached, self._taken
        self._taken = len(reached.things), len(reached.variables)
        self._take(reached, taken)

    def _take(self, reached: Reached, after: tuple[int, int]) -> None:
        for read, write in reached.variables[after[1] :]:
            self._variable(read, write)
        for thing in reached.things[after[0] :]:
            state = _generator(thing)
            if isinstance(thing, Tensor):
                self._tensor(thing)
            elif state is not None:
                self._generators.append((state[1], state[0]()))
            elif isinstance(thing, _CONTAINERS):
                self._undo.append(_container(thing))
            elif _is_array(thing) and thing.flags.writeable:
                self._undo.append(partial(thing.__setitem__, ..., thing.copy()))
            elif not _is_array(thing):
                self._object(thing)

    def _variable(self, read: Callable[[], Any], write: Callable[[Any], Any]) -> None:
        before = read()
        self._undo.append(lambda: write(before))
        self._probes.append(lambda: read() is not before)

    def _object(self, thing: Any) -> None:
        space, before = getattr(thing, "__dict__", {}), _attributes(thing)

        def undo() -> None:
            for name in [name for name in space if name not in before]:
                del space[name]
            for name, value in before.items():
                if name in space:
                    space[name] = value
                elif getattr(thing, name, _MISSING) is not value:
                    object.__setattr__(thing, name, value)

        def probe() -> bool:
            return any(
                name not in before or (before[name] is not value and not name.startswith("_") and name != "training")
                for name, value in _attributes(thing).items()
            )

        self._undo.append(undo)
        self._probes.append(probe)

    def _tensor(self, tensor: Tensor) -> None:
        grad, required = (tensor.grad, tensor.requires_grad) if tensor.is_leaf else (None, False)
        self._elements(tensor, isinstance(tensor, nn.Parameter))

        def undo() -> None:
            if tensor.is_leaf and tensor.grad is not grad:
                tensor.grad = grad
            if tensor.is_leaf and tensor.requires_grad != required:
                tensor.requires_grad_(required)

        self._undo.append(undo)
        if grad is not None:
            self._elements(grad, True)

    def _elements(self, tensor: Tensor, may_wait: bool) -> None:
        if tensor.is_meta or torch.nn.parameter.is_lazy(tensor):
            return  # there are none
        elements = _Elements(tensor)
        self._undo.append(elements.restore)
        if self._watched and may_wait:
            self._waiting.setdefault(storage_of(tensor), []).append(elements)
        else:
            elements.keep()


class _Elements:
    """The elements of one tensor: the memory that they are in, and a copy of what it held."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.data = tensor, tensor.data
        self.copy: Tensor | None = None

    def keep(self) -> None:
        self.copy = self.tensor.detach().clone()

    def restore(self) -> None:
        with torch.inference_mode(self.tensor.is_inference()), torch.no_grad():
            if self.tensor.shape != self.data.shape or storage_of(self.tensor) != storage_of(self.data):
                self.tensor.data = self.data
            if self.copy is not None and not _same(self.tensor, self.copy):
                self.tensor.copy_(self.copy)


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit; a NaN differs, and is then simply written again, as is what torch cannot compare (sparse)."""
    try:
        return torch.equal(a.detach(), b)
    except (RuntimeError, NotImplementedError):
        return False


def _container(thing: Any) -> Callable[[], None]:
    """Fill a container with what it held, if it holds anything else: somebody may be going through it."""
    pairs = isinstance(thing, dict)
    before = list(thing.items() if pairs else thing)
    held = [part for pair in before for part in pair] if pairs else before

    def undo() -> None:
        now = [part for pair in thing.items() for part in pair] if pairs else list(thing)
        if len(now) != len(held) or not all(map(operator.is_, now, held)):
            thing.clear()
            (thing.extend if hasattr(thing, "extend") else thing.update)(before)

    return undo


# ---------------------------------------------------------------------- kinds of things
def _attributes(thing: Any) -> dict[str, Any]:
    """The attributes of an object, those in `__slots__` included."""
    slots = [vars(kind).get("__slots__", ()) for kind in type(thing).__mro__]
    names = [name for some in slots for name in ((some,) if isinstance(some, str) else some)]
    kept = {name: getattr(thing, name) for name in names if not name.startswith("__") and hasattr(thing, name)}
    return {**getattr(thing, "__dict__", {}), **kept}


def _generator(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """How the state of a generator of random numbers is read and written; None for anything else."""
    numpy = sys.modules.get("numpy.random")
    if isinstance(value, torch.Generator) or (numpy is not None and isinstance(value, numpy.RandomState)):
        return value.get_state, value.set_state
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate, value.setstate
    if numpy is not None and isinstance(value, (numpy.Generator, numpy.BitGenerator)):
        bits = value.bit_generator if isinstance(value, numpy.Generator) else value
        return (lambda: bits.state), (lambda state: setattr(bits, "state", state))
    return None


def _generators() -> Iterator[tuple[Callable[[Any], Any], Any]]:
    """The generators that anybody may draw from, as (write, state): torch's on all devices, Python's, NumPy's."""
    yield torch.set_rng_state, torch.get_rng_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()  # asking must not start CUDA
    yield random.setstate, random.getstate()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        yield numpy.set_state, numpy.get_state()


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _moves_on(value: Any) -> bool:
    """Whether it is an iterator or an open file, whose place cannot be put back."""
    if isinstance(value, io.IOBase):
        return value not in (sys.stdout, sys.stderr, sys.stdin, sys.__stdout__, sys.__stderr__)
    return isinstance(value, Iterator) and not hasattr(value, "__dict__")


def _plain_object(value: Any) -> bool:
    kind = type(value)
    home = kind.__module__ or ""
    if isinstance(value, (type, ModuleType, Tensor, *_CONTAINERS)) or _generator(value) is not None:
        return False
    if not (hasattr(value, "__dict__") or hasattr(kind, "__slots__")):
        return False
    return home.startswith(_CHANGING) or home.split(".")[0] not in _FOREIGN
