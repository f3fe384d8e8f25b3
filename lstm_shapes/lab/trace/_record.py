"""A run written down: its calls of torch functions, where they were made, what went in and out; the layers they are.

What goes in and out is nested: the tensors of any output are found, any input is rebuilt with others in their places.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import linecache
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from traceback import walk_stack, walk_tb
from types import CodeType, TracebackType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ._families import CELLS, CREATES, KERNELS

# A line that is running: cheap to take at every call; `resolve` makes it readable.
Line: TypeAlias = "tuple[CodeType, int]"

_TORCH = str(Path(torch.__file__).parent) + os.sep
_OURS = str(Path(__file__).parents[2]) + os.sep
# Python's own layers between the two, and the code that torch.fx writes.
_PLUMBING = (contextlib.__file__, functools.__file__, "<frozen", "<eval_with_key>")
_LIBRARIES = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


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


@lru_cache(4096)
def in_library(file: str) -> bool:
    """Whether a file is Python's own or an installed library's."""
    others = ("site-packages" + os.sep, "dist-packages" + os.sep)  # of another interpreter
    return os.path.realpath(file).startswith(_LIBRARIES) or any(folder in file for folder in others)


def source_line(file: str, line: int) -> str:
    """The line itself, or "" where there is none."""
    return linecache.getline(file, line).strip()


def here() -> Where | None:
    """The user's line that is being executed now."""
    return resolve(line_now())


def line_now() -> Line | None:
    """The user's line that is being executed now, as (code, line)."""
    for frame, number in walk_stack(sys._getframe(1)):
        if theirs(frame.f_code.co_filename):
            return frame.f_code, number
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


# ---------------------------------------------------------------------- nested values
def leaves(value: Any, path: str = "", depth: int = 8) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a value with its path: `[0]`, `['logits']`, `.state`."""
    if isinstance(value, Tensor):
        yield path, value
    elif type(value).__module__ == "numpy" and type(value).__name__ == "ndarray":
        if value.dtype.kind in "fiub" and value.ndim:  # a model that ends in .numpy(): the same numbers as a tensor
            yield path, torch.from_numpy(value.copy())
    elif isinstance(value, PackedSequence):
        yield f"{path}.data", value.data
    elif depth:
        if isinstance(value, dict):
            parts = [(f"[{key!r}]", item) for key, item in value.items()]
        elif isinstance(value, (tuple, list)):
            names = getattr(value, "_fields", None)
            parts = [(f"[{k}]" if names is None else f".{names[k]}", item) for k, item in enumerate(value)]
        elif dataclasses.is_dataclass(value):
            parts = [(f".{f.name}", getattr(value, f.name, None)) for f in dataclasses.fields(value)]
        else:
            parts = []
        for name, item in parts:
            yield from leaves(item, path + name, depth - 1)


def rebuild(value: Any, change: Callable[[Any], Any], depth: int = 8) -> Any:
    """The same structure with `change` applied to every tensor, packed sequence and list of whole numbers."""
    numbers = type(value) in (list, tuple) and len(value) > 0 and all(type(item) is int for item in value)
    if isinstance(value, (Tensor, PackedSequence)) or numbers:  # lengths are often a plain list of ints
        return change(value)
    if depth == 0:
        return value
    if type(value) is dict:
        return {key: rebuild(item, change, depth - 1) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(rebuild(item, change, depth - 1) for item in value))
    if type(value) in (tuple, list):
        return type(value)(rebuild(item, change, depth - 1) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: rebuild(getattr(value, f.name), change, depth - 1) for f in dataclasses.fields(value) if f.init
        }
        return dataclasses.replace(value, **fields)
    return value


def parts(value: Any) -> list[Any]:
    """Every tensor, packed sequence and list of whole numbers of a nested value."""
    collected: list[Any] = []

    def note(part: Any) -> Any:
        collected.append(part)
        return part

    rebuild(value, note)
    return collected


def mapped(value: Any, kind: type, change: Callable[[Any], Any], depth: int = 6, other: Any = None) -> Any:
    """The same tuples, dicts and slices with `change` applied to each part of a kind, and `other` to the rest."""
    if isinstance(value, kind):
        return change(value)
    value = value if other is None else other(value)
    if depth and isinstance(value, (tuple, list)):
        return tuple([mapped(item, kind, change, depth - 1, other) for item in value])
    if depth and isinstance(value, dict):
        return {key: mapped(item, kind, change, depth - 1, other) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*mapped((value.start, value.stop, value.step), kind, change, 1))
    return value


def tensors_of(value: Any, depth: int = 6) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists, dicts and slices."""
    tensors: list[Tensor] = []
    mapped(value, Tensor, tensors.append, depth)
    return iter(tensors)


# ---------------------------------------------------------------------- values and calls
@dataclass(eq=False, slots=True, repr=False)
class Value:
    """A tensor as it was at one moment of the run; a write into its memory makes another value of it.

    `maker`: the call that made or wrote it, None where it came from outside; `bases`: what it is then a view of,
    as far as is known. `origin` names what came from outside ("input 0"). `deferred`: written in place, so its
    elements are compared where they are next read.
    """

    index: int
    tensor: Tensor
    maker: Call | None
    writes: int
    version: int
    origin: str = ""
    bases: tuple[Value, ...] = ()
    deferred: bool = False
    lost: bool = False
    copy: Tensor | None = None
    shape: tuple[int, ...] = ()
    readers: list[Call] = field(default_factory=list)

    @property
    def elements(self) -> Tensor | None:
        """The elements as they were, None where they were overwritten unseen."""
        if self.copy is not None:
            return self.copy
        return None if self.lost else self.tensor.detach()

    @property
    def parents(self) -> tuple[Value, ...]:
        if self.maker is None:
            return self.bases
        return () if self.maker.creates else (*self.maker.inputs, *self.bases)

    @property
    def parameter(self) -> bool:
        return isinstance(self.tensor, nn.Parameter)

    def way_back(self) -> Iterator[tuple[Value, Call]]:
        """The values and their makers along the first operand that is no parameter, nearest first."""
        value: Value | None = self
        for _ in range(40):
            if value is None or value.maker is None:
                return
            yield value, value.maker
            value = next((v for v in value.maker.inputs if not v.parameter), None)

    def way_on(self, through: Callable[[Call, Value], bool]) -> Iterator[Value]:
        """Itself and the values made of it, each once, by the calls that `through` lets pass: (call, what it reads)."""
        waiting, seen = [self], set[int]()
        while waiting:
            value = waiting.pop()
            if value.index not in seen:
                seen.add(value.index)
                yield value
                waiting.extend(made for call in value.readers if through(call, value) for made in call.outputs)

    def made_by(self, wanted: frozenset[str], through: frozenset[str]) -> Call | None:
        """The nearest call of some functions on the way back, where only some others lie between."""
        for _, call in self.way_back():
            if call.name in wanted or call.name not in through:
                return call if call.name in wanted else None
        return None


def substituted(value: Any, change: Callable[[Value], Any]) -> Any:
    """Recorded arguments with something else in the place of each value."""
    return mapped(value, Value, change)


@dataclass(eq=False, slots=True, repr=False)
class Call:
    """One call of a torch function. `args` and `kwargs` hold a Value in the place of each tensor.

    `module`: the layer whose kernel this is; `owner`: the module whose forward was running; `func`: torch's function.
    """

    index: int
    name: str
    line: Line | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Value, ...]
    module: nn.Module | None
    owner: nn.Module | None = None
    unbatched: bool = False
    outputs: tuple[Value, ...] = ()
    result: Any = None
    error: BaseException | None = None
    func: Any = None

    @property
    def where(self) -> Where | None:
        """The user's line."""
        return resolve(self.line)

    @property
    def creates(self) -> bool:
        """Whether it takes nothing of a tensor but its type and sizes."""
        return self.name in CREATES

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """A plain argument, however it was given."""
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[position] if position < len(self.args) else default


@dataclass(eq=False, slots=True, repr=False)
class Trace:
    """A run written down: its calls in order, its values, what it returned, and the exception where there was one."""

    calls: list[Call] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    error: Exception | None = None
    inputs: list[Value] = field(default_factory=list)
    results: list[tuple[str, Value]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    left: Any = None  # what the innermost module that an exception has left was given
    backward_at: list[int] = field(default_factory=list)
    _known: dict[int, Value] = field(default_factory=dict)

    def value_of(self, tensor: Tensor) -> Value | None:
        """The last value of a tensor object that was seen."""
        value = self._known.get(id(tensor))
        return value if value is not None and value.tensor is tensor else None

    @property
    def stopped_with(self) -> list[Value]:
        """The operands of the call that raised, else what the innermost module that it left was given."""
        call = self.calls[-1] if self.calls and self.calls[-1].error is not None else None
        if call is not None:
            return [value for value in call.inputs if not value.parameter]
        given = map(self.value_of, tensors_of(self.left))
        return [value for value in given if value is not None]

    def release(self) -> None:
        """Let go of the graph that training would need; the elements stay, and whether each value has a gradient."""
        for value in self.values:
            with suppress(RuntimeError):  # a view of a parameter that was written to has no graph to ask for
                if value.tensor.grad_fn is not None:
                    value.tensor = value.tensor.detach().requires_grad_()

    def ancestors(self, *values: Value, graph: bool = False) -> set[int]:
        """The indices of all values that these descend from, themselves included; with `graph` as a gradient goes."""
        seen: set[int] = set()
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if value.index not in seen and (value.tensor.requires_grad or not graph):
                seen.add(value.index)
                waiting.extend(value.parents)
        return seen


# ---------------------------------------------------------------------- layers
class LayerCall:
    """One call of a recurrent layer or cell.

    The kernel's own axes: X and Y are (N, L, ·) or (L, N, ·), a packed X and Y (steps, ·), states (K·R, N, ·);
    a cell's X and states are (N, ·). torch adds a batch axis to what is unbatched before the kernel runs.
    `name`: what the layer is called in the user's program, as far as is known.
    """

    def __init__(self, call: Call, name: str) -> None:
        args = (*call.args, *[None] * 10)
        self.call, self.name, self.module, self.unbatched = call, name, call.module, call.unbatched
        self.cell = call.name in CELLS
        self.packed = not self.cell and isinstance(args[3], tuple)
        self.kind = "LSTM" if "lstm" in call.name else "GRU" if "gru" in call.name else "RNN"
        self.label = self.kind + ("Cell" if self.cell else "")  # torch's name
        self.called = name or f"the {self.label}"
        self.X: Value = args[0]
        hx, weights, *flags = args[2 if self.packed else 1 :]
        self.states = dict(zip(("h0", "c0"), hx if isinstance(hx, tuple) else (hx,), strict=False))
        self.states = {role: value for role, value in self.states.items() if isinstance(value, Value)}
        self.outputs = dict(zip(("hn", "cn") if self.cell else ("Y", "hn", "cn"), call.outputs, strict=False))
        held = call.args[2:] if self.cell else weights if isinstance(weights, tuple) else ()
        self.weights = tuple(value for value in held if isinstance(value, Value))
        self.K = 1 if self.cell else int(flags[1] or 1)
        self.R = 2 if not self.cell and flags[4] else 1
        self.batch_first = not self.cell and not self.packed and bool(flags[5])
        # The axes of X that the kernel reads as batch and time, None where there is none.
        self.batch_axis = None if self.packed else 0 if self.cell or self.batch_first else 1
        self.time_axis = None if self.cell or self.packed else 1 - (self.batch_axis or 0)

    @cached_property
    def batch_sizes(self) -> Tensor | None:
        """How many rows a packed call reads at each step."""
        return self.call.args[1].elements if self.packed else None

    @cached_property
    def N(self) -> int:
        """Samples, as the kernel reads them."""
        if self.packed:
            return 0 if self.batch_sizes is None or not len(self.batch_sizes) else int(self.batch_sizes[0])
        return self.X.shape[self.batch_axis or 0] if len(self.X.shape) > 1 else 1

    @cached_property
    def L(self) -> int:
        """Steps, as the kernel reads them."""
        if self.packed:
            return 0 if self.batch_sizes is None else len(self.batch_sizes)
        return 1 if self.time_axis is None else self.X.shape[self.time_axis]

    @property
    def Q(self) -> int:
        return self.X.shape[-1]

    @property
    def H(self) -> int:
        """Width of the hidden state."""
        return self.outputs["hn"].shape[-1] if "hn" in self.outputs else 0

    @cached_property
    def lengths(self) -> list[int]:
        """Steps of each row, in the order in which the kernel reads them."""
        if self.batch_sizes is None:
            return [self.L] * self.N
        return [int((self.batch_sizes > row).sum()) for row in range(self.N)]

    def constructor(self, **changes: Any) -> str:
        """The constructor of the layer with changes: nn.LSTM(4, 16, batch_first=True)."""
        module: Any = self.module
        known = {name: getattr(module, name, None) for name in ("input_size", "hidden_size", "num_layers")}
        Q, D, K = (changes.pop(name, value) for name, value in known.items())
        words = [str(Q if Q is not None else self.Q), str(D if D is not None else self.H)]
        if K not in (None, 1):
            words.append(str(K))
        flags = {"batch_first": self.batch_first or getattr(module, "batch_first", False), "bidirectional": self.R == 2}
        flags.update(dropout=getattr(module, "dropout", 0.0), proj_size=getattr(module, "proj_size", 0))
        flags.update(changes)
        return f"nn.{self.label}({', '.join(words + [f'{name}={value}' for name, value in flags.items() if value])})"


def layer_calls(trace: Trace, names: dict[int, str]) -> list[LayerCall]:
    """The recurrent calls of a run that came back, in order."""
    return [
        LayerCall(call, names.get(id(call.module), ""))
        for call in trace.calls
        if call.name in KERNELS and call.error is None and call.args and isinstance(call.args[0], Value)
    ]
