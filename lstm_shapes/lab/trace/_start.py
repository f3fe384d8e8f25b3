"""Every run from the same start: what may differ from run to run is held still, and what a run changes is put back."""

from __future__ import annotations

import io
import operator
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial, wraps
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from lstm_shapes.lab._private import MODULES, storage_of

from ._families import CELLS, DROPOUTS, FRESH, KERNELS
from ._record import theirs

# A call: the function, its arguments by place and by name.
_Made: TypeAlias = tuple[Any, tuple[Any, ...], dict[str, Any]]
# Where attention is given its dropout.
_DROPOUT_AT = {"multi_head_attention_forward": 10, "scaled_dot_product_attention": 4}
_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")


class Still:
    """The same rules for every run, so that nothing differs because it was drawn anew or is a statistic of the batch.

    Dropout is the identity. Batch normalisation in training mode uses the statistics of the first run, so that
    bugs behind it stay visible. Memory that torch leaves as it found it is zero.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._turn: dict[int, int] = {}
        self._first = True

    def begin(self) -> None:
        self._turn = {}
        self._first = not self._held

    def held(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Made:
        """The call that is made in the place of this one."""
        if name in DROPOUTS and isinstance(args[0] if args else kwargs.get("input"), Tensor):
            return dropout, args, kwargs
        place = _DROPOUT_AT.get(name, len(args))
        if name in KERNELS - CELLS and len(args) > 6:
            place = 6 if isinstance(args[3], (list, tuple)) else 5
        if place < len(args):
            args = (*args[:place], 0.0, *args[place + 1 :])
        if "dropout_p" in kwargs:
            kwargs = {**kwargs, "dropout_p": 0.0}
        if name == "rrelu" and kwargs.get("training"):
            return func, args, {**kwargs, "training": False}
        if name == "batch_norm":
            return self._batch_norm(func, args, kwargs)
        if name in FRESH:
            return _zeroed(func), args, kwargs
        return func, args, kwargs

    def _batch_norm(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Made:
        given = {**dict(zip(_BATCH_NORM, args, strict=False)), **kwargs}
        x, weight, running = (given.get(part) for part in ("input", "weight", "running_mean"))
        if not isinstance(x, Tensor) or "cudnn_enabled" in given or len(args) > len(_BATCH_NORM):
            return func, args, kwargs
        sizes = [part.shape[0] for part in (weight, running) if part is not None]
        held = given.get("training", False) or running is None
        if not held or x.dim() < 2 or any(size != x.shape[1] for size in sizes):
            return func, args, kwargs  # it computes no statistics, or raises in its own words
        layer = id(running if weight is None else weight)
        turn = self._turn[layer] = self._turn.get(layer, -1) + 1
        while not self._first and turn and (layer, turn) not in self._held and (layer, 0) in self._held:
            turn -= 1  # a loop that makes more steps than the first run: the last statistics that there are
        if (layer, turn) not in self._held:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            with torch.no_grad():
                variance, mean = torch.var_mean(x.detach(), dim=axes, unbiased=False)
            self._held[layer, turn] = (mean, variance)
        mean, variance = self._held[layer, turn]
        given.update(running_mean=mean, running_var=variance, training=False)
        return func, (), given


# Each is called as what it stands for, so that who reads the record knows what it does to axes.
def dropout(input: Tensor, *_: Any, **__: Any) -> Tensor:
    return input


def _zeroed(func: Any) -> Any:
    @wraps(func)
    def zeroed(*args: Any, **kwargs: Any) -> Any:
        made = func(*args, **kwargs)
        if isinstance(made, Tensor) and not made.is_meta and not made.is_quantized:
            with torch.no_grad():
                made.zero_()
        return made

    return zeroed


# ---------------------------------------------------------------------- what a run may change
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


class Snapshot:
    """A picture of everything that models, callables and other values can be seen to use; `restore` puts it back.

    `modules` and `objects` are reached, with their `names` and `spaces` (the attributes of each); `variables` are the
    globals that a function names, what it closes over, and slots, as how they are read and written; `lost` are the
    names of what cannot be put back, iterators and files. `given` is what the program is called with.

    Only what differs is written, so that an untouched parameter keeps its version counter too. With `watched` a
    parameter and its gradient are copied when `writes` is told that a call is about to write into their memory, and
    not before: most programs write into none.
    """

    def __init__(self, *values: Any, given: tuple[Any, ...] = (), watched: bool = False) -> None:
        self.modules: dict[int, nn.Module] = {}
        self.names: dict[int, str] = {}
        self.objects: list[Any] = []
        self.spaces: list[dict[str, Any]] = []
        self.variables: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = []
        self.lost: list[str] = []
        self._seen: dict[int, Any] = {}
        self._watched = watched
        self._undo: list[Callable[[], None]] = []
        self._probes: list[Callable[[], bool]] = []
        self._waiting: dict[int, list[_Held]] = {}
        self._generators = [(write, read()) for read, write in _shared_generators()]
        for value in values:
            self.add(value)
        if given:
            owned = Snapshot(*given, watched=watched)  # whether it changed is its owner's concern
            self._undo += owned._undo
            self._generators += owned._generators
            self.lost += owned.lost
            for storage, held in owned._waiting.items():
                self._waiting.setdefault(storage, []).extend(held)

    def writes(self, tensor: Tensor) -> None:
        """A call is about to write into the memory of a tensor."""
        for held in self._waiting.pop(storage_of(tensor), ()):
            held.keep()

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

    # ------------------------------------------------------------------ what is reached
    def add(self, value: Any, name: str = "", depth: int = _DEPTH) -> None:
        """Take a value and what hangs on it, each thing once."""
        if type(value) in _ATOMS or depth < 0 or id(value) in self._seen or len(self._seen) > _MOST:
            return
        self._seen[id(value)] = value
        if isinstance(value, nn.Module):
            self._module(value, name, depth)
        elif isinstance(value, Tensor):
            self._tensor(value, isinstance(value, nn.Parameter))
        elif isinstance(value, np.ndarray):
            if value.flags.writeable:
                self._undo.append(partial(value.__setitem__, ..., value.copy()))
        elif (generator := _generator(value)) is not None:
            self._generators.append((generator[1], generator[0]()))
        elif isinstance(value, (*_CONTAINERS, tuple, frozenset)):
            if isinstance(value, _CONTAINERS):
                self._undo.append(_refilling(value))
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
            self.objects.append(value)
            self._attributes(value, name, depth)

    def _module(self, module: nn.Module, name: str, depth: int) -> None:
        for inner, part in module.named_modules():
            self.modules.setdefault(id(part), part)
            self.names.setdefault(id(part), ".".join(word for word in (name, inner) if word))
        for child, part in list(vars(module).get(MODULES, {}).items()):
            self.add(part, f"{name}.{child}" if name else child)
        self._attributes(module, name, depth)
        for kind in type(module).__mro__:
            for member in list(vars(kind).values()) if not kind.__module__.startswith("torch") else ():
                if isinstance(member, FunctionType):
                    self.add(member, "", depth - 1)

    def _attributes(self, thing: Any, name: str, depth: int) -> None:
        """The attributes of an object, those in `__slots__` included."""
        space = getattr(thing, "__dict__", {})
        self._space(space)
        slots = [vars(kind).get("__slots__", ()) for kind in type(thing).__mro__]
        words = [word for some in slots for word in ((some,) if isinstance(some, str) else some)]
        kept = {word: getattr(thing, word) for word in words if not word.startswith("__") and hasattr(thing, word)}
        for word in kept:
            write = partial(object.__setattr__, thing, word)
            self._variable(partial(getattr, thing, word, None), write, counts=not word.startswith("_"))
        for word, item in {**space, **kept}.items():
            self.add(item, f"{name}.{word}" if name else word, depth - 1)

    def _function(self, function: FunctionType, depth: int) -> None:
        if not theirs(function.__code__.co_filename):
            return
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            self._variable(partial(_contents, cell), partial(setattr, cell, "cell_contents"))
            self.add(_contents(cell), free, depth - 1)
        space = function.__globals__
        for word in function.__code__.co_names:
            if word in space:
                if not isinstance(space[word], (FunctionType, ModuleType, type)):
                    self._variable(partial(space.get, word), partial(space.__setitem__, word))
                self.add(space[word], word, depth - 1)

    # ------------------------------------------------------------------ how it is put back
    def _variable(self, read: Callable[[], Any], write: Callable[[Any], Any], counts: bool = True) -> None:
        before = read()
        self.variables.append((read, write))
        self._undo.append(lambda: None if read() is before else write(before))
        if counts:
            self._probes.append(lambda: read() is not before)

    def _space(self, space: dict[str, Any]) -> None:
        before = dict(space)

        def undo() -> None:
            for name in [name for name in space if name not in before]:
                del space[name]
            space.update(before)

        def changed() -> bool:
            return any(
                name not in before or (before[name] is not value and not name.startswith("_") and name != "training")
                for name, value in space.items()
            )

        self.spaces.append(space)
        self._undo.append(undo)
        self._probes.append(changed)

    def _tensor(self, tensor: Tensor, may_wait: bool) -> None:
        held = _Held(tensor)
        self._undo.append(held.restore)
        if self._watched and may_wait and held.data is not None:
            self._waiting.setdefault(storage_of(tensor), []).append(held)
        else:
            held.keep()
        if tensor.is_leaf and tensor.grad is not None:
            self._tensor(tensor.grad, True)


class _Held:
    """One tensor: the memory that its elements are in, a copy of what it held, and its gradient."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.copy: Tensor | None = None
        self.data = None if tensor.is_meta or torch.nn.parameter.is_lazy(tensor) else tensor.data
        self.grad, self.required = (tensor.grad, tensor.requires_grad) if tensor.is_leaf else (None, False)

    def keep(self) -> None:
        self.copy = None if self.data is None else self.tensor.detach().clone()

    def restore(self) -> None:
        tensor, data = self.tensor, self.data
        if data is not None:
            with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                if tensor.shape != data.shape or storage_of(tensor) != storage_of(data):
                    tensor.data = data
                if self.copy is not None and not _same(tensor, self.copy):
                    tensor.copy_(self.copy)
        if tensor.is_leaf and tensor.grad is not self.grad:
            tensor.grad = self.grad
        if tensor.is_leaf and tensor.requires_grad != self.required:
            tensor.requires_grad_(self.required)


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit; a NaN differs, and is then simply written again, as is what torch cannot compare (sparse)."""
    try:
        return torch.equal(a.detach(), b)
    except (RuntimeError, NotImplementedError):
        return False


def _refilling(thing: Any) -> Callable[[], None]:
    """Fill a container with what it held, if it holds anything else: a loop may be going through it."""
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
def _contents(cell: CellType) -> Any:
    """What a function closes over; None where the variable has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _generator(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """How the state of a generator of random numbers is read and written; None for anything else."""
    if isinstance(value, (torch.Generator, np.random.RandomState)):
        return value.get_state, value.set_state
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate, value.setstate
    if isinstance(value, (np.random.Generator, np.random.BitGenerator)):
        bits = value.bit_generator if isinstance(value, np.random.Generator) else value
        return partial(getattr, bits, "state"), partial(setattr, bits, "state")
    return None


def _shared_generators() -> Iterator[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """The generators that any code may draw from, as (read, write): torch's on all devices, Python's, NumPy's."""
    yield torch.get_rng_state, torch.set_rng_state
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all  # asking must not start CUDA
    yield random.getstate, random.setstate
    yield np.random.get_state, np.random.set_state


def _moves_on(value: Any) -> bool:
    """Whether it is an iterator or an open file, whose place cannot be put back."""
    if isinstance(value, io.IOBase):
        return value not in (sys.stdout, sys.stderr, sys.stdin, sys.__stdout__, sys.__stderr__)
    return isinstance(value, Iterator) and not hasattr(value, "__dict__")


def _plain_object(value: Any) -> bool:
    """Whether it has attributes that a run may change, of what is none of the kinds above."""
    kind = type(value)
    home = kind.__module__ or ""
    if isinstance(value, (type, ModuleType)) or not (hasattr(value, "__dict__") or hasattr(kind, "__slots__")):
        return False
    return home.startswith(_CHANGING) or home.split(".")[0] not in _FOREIGN
