"""The recorder: what a program did, as a list of calls of torch functions with the tensors that went in and came out.

A `Recorder` writes one run down. A `Follower` accompanies a later run of the same program and hands over, call by call,
the tensors that correspond to the recorded ones, so that two runs are compared without keeping the second.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.overrides import TorchFunctionMode

from lstm_shapes.lab._private import not_compiled, saw_unbatched, storage_of, version_of

from ._families import KERNELS, names_in
from ._still import Still
from ._where import Line, Where, line_now, resolve

Function = TypeVar("Function", bound=Callable[..., Any])

# Questions about a tensor that read no element of it.
_ATTRIBUTES = names_in(
    "size dim ndim __len__ numel nelement element_size is_floating_point is_complex is_contiguous is_signed stride "
    "storage_offset _set_grad_enabled get_device requires_grad_ retain_grad register_hook is_shared is_pinned _assert "
    "data_ptr untyped_storage __repr__ __format__ __hash__ has_names dim_order device is_inference backward "
    "is_same_size set_grad_enabled result_type get_default_dtype is_tensor is_storage _is_view __dir__ type "
    "_set_view_replay_enabled"
)
# Attributes that are views of their tensor; every other attribute is a question.
_VIEWS = names_in("T mT H mH data real imag")
_IN_PLACE = names_in(
    "__setitem__ __iadd__ __isub__ __imul__ __itruediv__ __ifloordiv__ __imod__ __iand__ __ior__ __ixor__ "
    "__ipow__ __imatmul__"
)
_LOSSES = names_in("cross_entropy binary_cross_entropy binary_cross_entropy_with_logits kl_div")
# Functions that take nothing of a tensor but its type and sizes.
_CREATES = names_in(
    "new_zeros new_ones new_full new_empty new_empty_strided new_tensor zeros_like ones_like full_like empty_like "
    "rand_like randn_like randint_like"
)
DRAWS = names_in(
    "rand randn randint rand_like randn_like randint_like bernoulli bernoulli_ normal normal_ uniform_ exponential_ "
    "random_ geometric_ randperm poisson multinomial binomial gumbel_softmax log_normal_ cauchy_ _standard_gamma"
)
# Writes that read nothing of what they overwrite.
_BLIND = names_in("__setitem__ copy_ fill_ zero_")
# Functions that bring numbers into torch.
ENTERS = frozenset(["tensor", "as_tensor", "asarray", "from_numpy", "frombuffer", "full"])
# Functions whose result leaves torch: what is computed from it comes back as a tensor of unknown descent.
LEAVES_TORCH = names_in("numpy tolist item __array__ __int__ __float__ __index__ __bool__ __contains__ cpu")


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
        """What it was made from."""
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
        return self.name in _CREATES

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
    output: Any = None
    error: Exception | None = None
    inputs: list[Value] = field(default_factory=list)
    results: list[tuple[str, Value]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    pending: list[tuple[nn.Module, str, tuple[Any, ...]]] = field(default_factory=list)
    backward_at: list[int] = field(default_factory=list)
    _known: dict[int, Value] = field(default_factory=dict)

    def value_of(self, tensor: Tensor) -> Value | None:
        """The last value of a tensor object that was seen."""
        value = self._known.get(id(tensor))
        return value if value is not None and value.tensor is tensor else None

    @property
    def stopped_with(self) -> list[Value]:
        """The operands of the call that raised, else what the innermost unfinished module was given."""
        call = self.calls[-1] if self.calls and self.calls[-1].error is not None else None
        if call is not None:
            return [value for value in call.inputs if not value.parameter]
        given = [self.value_of(tensor) for tensor in tensors_of(self.pending[-1][2])] if self.pending else []
        return [value for value in given if value is not None]

    def release(self) -> None:
        """Let go of the graph that training would need; the elements stay, and whether each value has a gradient."""
        self.output = None
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


def substituted(value: Any, change: Callable[[Value], Any]) -> Any:
    """Recorded arguments with something else in the place of each value."""
    return mapped(value, Value, change)


def tensors_of(value: Any, depth: int = 6) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists, dicts and slices."""
    tensors: list[Tensor] = []
    mapped(value, Tensor, tensors.append, depth)
    return iter(tensors)


def is_loss(name: str) -> bool:
    """Whether a torch function compares a prediction with a target."""
    return name.endswith("_loss") or name in _LOSSES


def function_name(func: Any) -> str:
    """The name of a torch function, without an overload; "" for a question about an attribute."""
    name = str(getattr(func, "__name__", ""))
    if name == "__get__":
        name = str(getattr(getattr(func, "__self__", None), "__name__", ""))
        return name if name in _VIEWS else ""
    return name.partition(".")[0] if name.partition(".")[0] else name


def written_by(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    """The tensors that a call writes into; numpy may write into what it is handed."""
    out = tuple(tensors_of(kwargs.get("out")))
    if name in _IN_PLACE or (name.endswith("_") and not name.endswith("__")) or kwargs.get("inplace") is True:
        return (*tensors_of(args[0] if args else kwargs.get("input", kwargs.get("tensor"))), *out)
    max_norm = args[3] if len(args) > 3 else kwargs.get("max_norm")
    if name in ("embedding", "embedding_bag") and max_norm is not None:
        return (*tensors_of(args[1] if len(args) > 1 else kwargs.get("weight")), *out)
    return out


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


class _Follow(TorchFunctionMode):
    """Hands every torch function over. It has no `__enter__` of its own: torch.compile can follow such a mode."""

    def __init__(self, called: Callable[..., Any]) -> None:
        super().__init__()
        self._called = called

    @uncompiled
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        return self._called(func, types, args, kwargs or {})


class _Mode:
    """What all modes share: the module stack, the rules that hold a run still, and the count of calls.

    `edits` are put in the place of single calls; `writes` is told of each tensor that a call is about to write into.
    """

    def __init__(self, still: Still | None, names: dict[int, str] | None) -> None:
        self.count = 0
        self.edits: dict[int, Callable[..., Any]] = {}
        self.writes: Callable[[Tensor], None] | None = None
        self._mode: Any = _Follow(self.function)
        self._still = still
        self._names = names or {}
        self._stack: list[nn.Module] = []
        self._handles: Any = []
        self._inside_script = 0
        self._thread = threading.get_ident()

    def __enter__(self) -> Any:
        self._handles = [
            register_module_forward_pre_hook(aside(self._module_begins)),
            register_module_forward_hook(aside(self._module_ends), always_call=True),
        ]
        if self._still is not None:
            self._still.begin()
        self._mode.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mode.__exit__(kind, error, trace)
        for handle in self._handles:
            handle.remove()
        self._mode = self._handles = None  # they know this object: what it holds is free at once

    def function(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Called in the place of every torch function."""
        if UninitializedParameter in types or UninitializedBuffer in types:
            return func(*args, **kwargs)  # a lazy layer makes its weights
        name = function_name(func)
        if not name or name in _ATTRIBUTES or self._inside_script:
            self._ask(name, args)
            if name == "backward" and self._still is not None:
                return None  # a run that is compared with another one trains nothing
            return func(*args, **kwargs)
        writes = self.writes
        if writes is not None:
            for target in args[:1] if name == "numpy" else written_by(name, args, kwargs):
                writes(target)
        if self._still is not None:
            func, args, kwargs = self._still.held(name, func, args, kwargs)
            if is_loss(name) and kwargs.get("reduction") in ("mean", "sum"):
                # The same loss of each row: what a sum over all rows hides.
                self._called(self._next_index(), name, func, args, {**kwargs, "reduction": "none"})
        index = self._next_index()
        edit = self.edits.get(index)
        return self._called(index, name, func if edit is None else edit(func), args, kwargs)

    def _next_index(self) -> int:
        self.count += 1
        return self.count - 1

    def _ask(self, name: str, args: tuple[Any, ...]) -> None:
        """A question about a tensor that reads no element."""

    def _called(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError

    # ------------------------------------------------------------------ modules
    def _elsewhere(self) -> bool:
        """Whether another thread runs, of which no function is handed over."""
        return threading.get_ident() != self._thread

    def _module_begins(self, module: nn.Module, args: Any) -> None:
        if self._elsewhere():
            return
        self._stack.append(module)
        if isinstance(module, torch.jit.ScriptModule):
            self._inside_script += 1
            if self._inside_script == 1:
                if self.writes is not None:
                    deque(map(self.writes, module.parameters()), maxlen=0)
                self._script_begins(self._next_index(), module, args if isinstance(args, tuple) else (args,))

    def _module_ends(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._elsewhere():
            return
        while self._stack and self._stack.pop() is not module:
            pass
        if isinstance(module, torch.jit.ScriptModule):
            self._inside_script -= 1
            if self._inside_script == 0:
                self._script_ends(output)

    def _script_begins(self, index: int, module: nn.Module, args: tuple[Any, ...]) -> None: ...

    def _script_ends(self, output: Any) -> None: ...


class Recorder(_Mode):
    """Context manager that writes one run down in `trace`. Nothing of torch is patched."""

    keeps_errors = True
    shortened: Callable[[Any], Any] | None = None  # what is noted in the place of what is no tensor

    def __init__(self, still: Still | None = None, names: dict[int, str] | None = None) -> None:
        super().__init__(still, names)
        self.trace = Trace()
        self._on: dict[int, list[Value]] = {}
        self._written: dict[int, tuple[int, Call]] = {}
        self._left: list[Value] = []
        self._script: list[Call] = []

    # ------------------------------------------------------------------ values
    def value(self, tensor: Tensor, maker: Call | None = None, origin: str = "") -> Value:
        """The value that a tensor holds now."""
        known = self.trace.value_of(tensor)
        storage = storage_of(tensor)
        count, writer = self._written.get(storage, (0, None))
        version = version_of(tensor)
        if known is not None and known.writes == count and known.version == version:
            return known
        bases: tuple[Value, ...] = ()
        deferred = False
        if maker is None:
            siblings = self._on.get(storage, ())
            if writer is not None:  # another view of memory that was written
                maker, deferred = writer, True
                bases = () if known is None else (known,)
            elif siblings:
                bases = (siblings[-1],)
            elif not isinstance(tensor, nn.Parameter):
                bases = tuple(self._left)
        elif maker.name in ENTERS:
            bases = tuple(self._left)
        shape = tuple(tensor.shape)
        made = Value(len(self.trace.values), tensor, maker, count, version, origin, bases, deferred, shape=shape)
        self.trace.values.append(made)
        self.trace._known[id(tensor)] = made
        self._on.setdefault(storage, []).append(made)
        return made

    def _noted(self, value: Any, values: list[Value], maker: Call | None = None) -> Any:
        """Arguments, or the results of a call, with a Value in the place of each tensor; `values` collects them."""

        def note(tensor: Tensor) -> Value:
            noted = self.value(tensor, maker)
            if maker is None or noted not in values:
                values.append(noted)
            return noted

        return mapped(value, Tensor, note, other=self.shortened)

    def _ask(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "backward":
            self.trace.backward_at.append(len(self.trace.calls))
        known = self.trace.value_of(args[0]) if args and isinstance(args[0], Tensor) else None
        if known is not None:
            self.trace.asked.add(known.index)

    def _begin(self, index: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        values: list[Value] = []
        plain = self._noted(args, values), self._noted(kwargs, values)
        module, unbatched = _recurrent_frame() if name in KERNELS else (None, False)
        owner = self._stack[-1] if self._stack else None
        call = Call(index, name, line_now(), *plain, tuple(values), module, owner, unbatched)
        self.trace.calls.append(call)
        for value in values[name in _BLIND :]:
            value.readers.append(call)
        return call

    def _called(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = self._begin(index, name, args, kwargs)
        call.func = func
        targets = written_by(name, args, kwargs)
        for target in targets:
            self._about_to_write(target)
        versions = [version_of(v.tensor) for v in call.inputs]
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            call.error = error if self.keeps_errors else None
            raise
        for target in targets:
            self._wrote(target, call)
        for value, before in zip(call.inputs, versions, strict=True):
            if version_of(value.tensor) != before and not any(value.tensor is t for t in targets):
                for other in self._on.get(storage_of(value.tensor), ()):  # written unseen
                    other.lost = other.copy is None
                self._wrote(value.tensor, call)
        self._ended(call, result, [self.value(t, call) for t in targets])
        if name in LEAVES_TORCH:
            self._left += [v for v in call.inputs if v not in self._left]
        return result

    def _ended(self, call: Call, result: Any, outputs: list[Value]) -> None:
        call.result = self._noted(result, outputs, call)
        call.outputs = tuple(outputs)

    # ------------------------------------------------------------------ writing in place
    def _about_to_write(self, tensor: Tensor) -> None:
        """Keep what is needed of the values that are about to be overwritten."""
        for value in self._on.get(storage_of(tensor), ()):
            if value.copy is None and not value.lost and (not value.deferred or value.readers):
                value.copy = _clone(value.tensor)
            value.lost = value.copy is None

    def _wrote(self, tensor: Tensor, call: Call) -> None:
        storage = storage_of(tensor)
        self._written[storage] = (self._written.get(storage, (0, None))[0] + 1, call)
        self.value(tensor, call).deferred = True

    # ------------------------------------------------------------------ modules
    def _module_begins(self, module: nn.Module, args: Any) -> None:
        if self._elsewhere():
            self.trace.unseen.add("what runs in another thread")
            return
        self.trace.pending.append((module, self._names.get(id(module), ""), args if type(args) is tuple else (args,)))
        super()._module_begins(module, args)

    def _module_ends(self, module: nn.Module, args: Any, output: Any) -> None:
        if not self._elsewhere() and (output is not None or sys.exc_info()[0] is None):
            while self.trace.pending and self.trace.pending.pop()[0] is not module:
                pass
        super()._module_ends(module, args, output)

    def _script_begins(self, index: int, module: nn.Module, args: tuple[Any, ...]) -> None:
        call = self._begin(index, "script", args, {})
        call.module = module
        self._script.append(call)
        self.trace.unseen.add("the inside of a scripted module")

    def _script_ends(self, output: Any) -> None:
        self._ended(self._script.pop(), output, [])

    # ------------------------------------------------------------------ the end
    def finish(self, output: Any, leaves: list[tuple[str, Tensor]]) -> None:
        """Note the results, and copy what a later run could overwrite: memory that outlives this one."""
        self.trace.output = output
        self.trace.results = [(path, self.value(tensor)) for path, tensor in leaves]
        for value in self.trace.values:
            storage = storage_of(value.tensor)
            outside = bool(self._on[storage]) and self._on[storage][0].maker is None
            if storage in self._written and outside and value.copy is None and not value.lost and not value.parameter:
                value.copy = _clone(value.tensor)


# The frames between a kernel's caller and the recorder are ours.
_BETWEEN = str(Path(__file__).parents[1])


def _recurrent_frame() -> tuple[nn.Module | None, bool]:
    """The layer whose forward called a kernel, also where forward was called directly, and whether x has no batch."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame = frame.f_back
    for _ in range(3):
        owner = None if frame is None else frame.f_locals.get("self")
        if frame is not None and isinstance(owner, nn.Module) and not isinstance(owner, torch.jit.ScriptModule):
            return owner, saw_unbatched(frame)
        frame = None if frame is None else frame.f_back
    return None, False


class Plain(_Mode):
    """Context manager for a run that is only held still; `losses` are the rows of the losses that it computed."""

    def __init__(self, still: Still, names: dict[int, str] | None = None) -> None:
        super().__init__(still, names)
        self.losses: list[Tensor] = []

    def _called(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = func(*args, **kwargs)
        if is_loss(name) and kwargs.get("reduction") == "none" and isinstance(result, Tensor):
            self.losses.append(result)
        return result


class Follower(_Mode):
    """Context manager that accompanies a run of a program that was recorded before.

    `compare` gets each recorded value, once, and the tensor of this run in its place. Where the order of calls
    differs, `diverged` is set and nothing is compared any more; with `realign` the next recorded call of the same
    name and line is taken up instead, for runs with fewer steps.
    """

    def __init__(
        self,
        trace: Trace,
        compare: Callable[[Value, Tensor], None],
        still: Still,
        names: dict[int, str] | None = None,
        *,
        realign: bool = False,
    ) -> None:
        super().__init__(still, names)
        self._calls = trace.calls
        self._compare = compare
        self._realign = realign
        self._next = 0
        self._compared: set[int] = set()
        self._script: list[Call | None] = []
        self.diverged: Call | None = None
        self.repeated: Call | None = None  # a recorded call that this run, realigned, makes once more

    def _partner(self, name: str) -> Call | None:
        """The recorded call that the current one corresponds to."""
        if self.diverged is not None:
            return None
        line, calls, at = line_now(), self._calls, self._next
        for k in range(at, min(len(calls), at + (4000 if self._realign else 1))):
            if calls[k].name == name and calls[k].line == line:
                self._next = k + 1
                return calls[k]
        if not self._realign:
            self.diverged = calls[min(at, len(calls) - 1)] if calls else None
        elif self.repeated is None:
            self.repeated = next((c for c in reversed(calls[:at]) if c.name == name and c.line == line), None)
        return None

    def _look(self, value: Value, tensor: Tensor, *, again: bool = False) -> None:
        if again or value.index not in self._compared:
            self._compared.add(value.index)
            self._compare(value, tensor)

    def _called(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        partner = self._partner(name)
        if partner is None:
            return func(*args, **kwargs)
        for k, (value, tensor) in enumerate(zip(partner.inputs, tensors_of((args, kwargs)), strict=False)):
            if not value.parameter and (k or name not in _BLIND):
                self._look(value, tensor)
        result = func(*args, **kwargs)
        if self._realign and name in DRAWS and partner.outputs and isinstance(result, Tensor):
            _repeat_draw(partner.outputs[0], result)
        self._outputs(partner, result)
        return result

    def _outputs(self, partner: Call, result: Any) -> None:
        fresh = [v for v in partner.outputs if not (v.deferred and v.maker is partner)]
        for value, tensor in zip(fresh, {id(t): t for t in tensors_of(result)}.values(), strict=False):
            if value.maker is partner:
                self._look(value, tensor)

    def _script_begins(self, index: int, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._script.append(self._partner("script"))

    def _script_ends(self, output: Any) -> None:
        partner = self._script.pop()
        if partner is not None:
            self._outputs(partner, output)

    def finish(self, trace: Trace, leaves: list[tuple[str, Tensor]]) -> None:
        """Compare the results that no call has shown yet; a loop that made more turns goes on from what it showed."""
        if len(leaves) == len(trace.results):
            for (_, value), (_, tensor) in zip(trace.results, leaves, strict=True):
                self._look(value, tensor, again=self.repeated is not None)


def _repeat_draw(value: Value, result: Tensor) -> None:
    """Let what is drawn with other sizes be the beginning of what was drawn in the recorded run."""
    drawn = value.elements
    if drawn is None or drawn.dim() != result.dim() or drawn.dtype != result.dtype:
        return
    if all(size <= had for size, had in zip(result.shape, drawn.shape, strict=True)):
        with torch.no_grad():
            result.copy_(drawn[tuple(slice(size) for size in result.shape)])


def _clone(tensor: Tensor) -> Tensor | None:
    try:
        return tensor.detach().clone()
    except (RuntimeError, NotImplementedError):
        return None
