"""The recorder: what a program did, as a list of calls of torch functions with the tensors that went in and came out.

A `Recorder` writes one run down. A `Follower` accompanies a later run of the same program and hands over, call by call,
the tensors that correspond to the recorded ones, so that two runs are compared without keeping the second. `Bounded`
can run for hours: it keeps no tensor alive, and of a long run the last calls only.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from traceback import walk_stack, walk_tb
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from lstm_shapes.lab._private import is_traced, not_compiled, saw_unbatched, storage_of, version_of, without_functions

from ._families import ATTRIBUTE_VIEWS, BLIND, DRAWS, ENTERS, IN_PLACE, KERNELS, LEAVES_TORCH, QUESTIONS, is_loss
from ._record import Call, Trace, Value, line_now, mapped, tensors_of
from ._start import Still

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


def _name(func: Any) -> str:
    """The name of a torch function, without an overload; "" for a question about an attribute."""
    name = str(getattr(func, "__name__", ""))
    if name == "__get__":
        name = str(getattr(getattr(func, "__self__", None), "__name__", ""))
        return name if name in ATTRIBUTE_VIEWS else ""
    return name.partition(".")[0] if name.partition(".")[0] else name


def _written_by(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    """The tensors that a call writes into; numpy may write into what it is handed."""
    out = tuple(tensors_of(kwargs.get("out")))
    if name in IN_PLACE or (name.endswith("_") and not name.endswith("__")) or kwargs.get("inplace") is True:
        return (*tensors_of(args[0] if args else kwargs.get("input", kwargs.get("tensor"))), *out)
    max_norm = args[3] if len(args) > 3 else kwargs.get("max_norm")
    if name in ("embedding", "embedding_bag") and max_norm is not None:
        return (*tensors_of(args[1] if len(args) > 1 else kwargs.get("weight")), *out)
    return out


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


class Plain:
    """Context manager for a run: each function and module as it is called, under the rules of `still`.

    `count` counts the calls; `edits` are put in the place of single ones; `writes` is told of each tensor that a call
    is about to write into; `losses` are the rows of the losses that were computed.
    """

    def __init__(self, still: Still | None) -> None:
        self.count = 0
        self.edits: dict[int, Callable[..., Any]] = {}
        self.writes: Callable[[Tensor], None] | None = None
        self.losses: list[Tensor] = []
        self._mode: Any = _Follow(self.function)
        self._still = still
        self._stack: list[nn.Module] = []
        self._handles: Any = []
        self._inside_script = 0
        self._script: Call | None = None  # the one that runs
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

    def __exit__(self, *error: Any) -> None:
        self._mode.__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._mode = self._handles = None  # they know this object: what it holds is free at once

    def function(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Called in the place of every torch function."""
        if UninitializedParameter in types or UninitializedBuffer in types:
            return func(*args, **kwargs)  # a lazy layer makes its weights
        name = _name(func)
        if not name or name in QUESTIONS or self._inside_script:
            self._ask(name, args)
            if name == "backward" and self._still is not None:
                return None  # a run that is compared with another one trains nothing
            return func(*args, **kwargs)
        writes = self.writes
        if writes is not None:
            for target in args[:1] if name == "numpy" else _written_by(name, args, kwargs):
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
        call = self._begin(index, name, func, args, kwargs)
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._failed(call, error)
            raise
        if call is not None:
            self._ended(call, result)
        elif is_loss(name) and kwargs.get("reduction") == "none" and isinstance(result, Tensor):
            self.losses.append(result)
        return result

    def _begin(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """A call is about to be made: its record, or the recorded one that it corresponds to, if there is any."""
        return None

    def _ended(self, call: Call, result: Any) -> None:
        """A call has come back."""

    def _failed(self, call: Call | None, error: BaseException) -> None:
        """A call has raised."""

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
                    for parameter in module.parameters():
                        self.writes(parameter)
                given = args if isinstance(args, tuple) else (args,)
                self._script = self._begin(self._next_index(), "script", None, given, {})

    def _module_ends(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._elsewhere():
            return
        while self._stack and self._stack.pop() is not module:
            pass
        if isinstance(module, torch.jit.ScriptModule):
            self._inside_script -= 1
            if self._inside_script == 0 and self._script is not None:
                self._ended(self._script, output)


class Recorder(Plain):
    """Context manager that writes one run down in `trace`. Nothing of torch is patched."""

    shortened: Callable[[Any], Any] | None = None  # what is noted in the place of what is no tensor

    def __init__(self, still: Still | None = None) -> None:
        super().__init__(still)
        self.trace = Trace()
        self._on: dict[int, list[Value]] = {}
        self._written: dict[int, tuple[int, Call]] = {}
        self._left: list[Value] = []
        self._targets: tuple[Tensor, ...] = ()  # what the call that runs writes into
        self._versions: list[int] = []  # of what it was given, before it ran

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

    def _begin(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        values: list[Value] = []
        plain = self._noted(args, values), self._noted(kwargs, values)
        owner = self._stack[-1] if self._stack else None
        module, unbatched = _recurrent_frame() if name in KERNELS else (None, False)
        if name == "script":
            module = owner
            self.trace.unseen.add("the inside of a scripted module")
        call = Call(index, name, line_now(), *plain, tuple(values), module, owner, unbatched, func=func)
        self.trace.calls.append(call)
        for value in values[name in BLIND :]:
            value.readers.append(call)
        self._targets = _written_by(name, args, kwargs)
        for target in self._targets:
            self._about_to_write(target)
        self._versions = [version_of(value.tensor) for value in values]
        return call

    def _failed(self, call: Call | None, error: BaseException) -> None:
        if call is not None:
            call.error = error

    def _ended(self, call: Call, result: Any) -> None:
        targets, self._targets = self._targets, ()
        for target in targets:
            self._wrote(target, call)
        for value, before in zip(call.inputs, self._versions, strict=True):
            if version_of(value.tensor) != before and not any(value.tensor is target for target in targets):
                for other in self._on.get(storage_of(value.tensor), ()):  # written unseen
                    other.lost = other.copy is None
                self._wrote(value.tensor, call)
        outputs = [self.value(target, call) for target in targets]
        call.result = self._noted(result, outputs, call)
        call.outputs = tuple(outputs)
        if call.name in LEAVES_TORCH:
            self._left += [value for value in call.inputs if value not in self._left]

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
    def _elsewhere(self) -> bool:
        elsewhere = super()._elsewhere()
        if elsewhere:
            self.trace.unseen.add("what runs in another thread")
        return elsewhere

    def _module_ends(self, module: nn.Module, args: Any, output: Any) -> None:
        super()._module_ends(module, args, output)
        if not self._elsewhere():
            raised = output is None and sys.exc_info()[0] is not None
            self.trace.left = (self.trace.left or args) if raised else None

    # ------------------------------------------------------------------ the end
    def finish(self, leaves: list[tuple[str, Tensor]]) -> None:
        """Note the results, and copy what a later run could overwrite: memory that outlives this one."""
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
    frames = (frame for frame, _ in walk_stack(sys._getframe(1)))
    for frame in islice((frame for frame in frames if not frame.f_code.co_filename.startswith(_BETWEEN)), 3):
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and not isinstance(owner, torch.jit.ScriptModule):
            return owner, saw_unbatched(frame)
    return None, False


class Follower(Plain):
    """Context manager that accompanies a run of a program that was recorded before.

    `compare` gets each recorded value, once, and the tensor of this run in its place. Where the order of calls
    differs, `diverged` is set and nothing is compared any more; with `realign` the next recorded call of the same
    name and line is taken up instead, for runs with fewer steps.
    """

    def __init__(
        self, trace: Trace, compare: Callable[[Value, Tensor], None], still: Still, *, realign: bool = False
    ) -> None:
        super().__init__(still)
        self._calls = trace.calls
        self._compare = compare
        self._realign = realign
        self._next = 0
        self._compared: set[int] = set()
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

    def _begin(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        partner = self._partner(name)
        given = () if partner is None else zip(partner.inputs, tensors_of((args, kwargs)), strict=False)
        for k, (value, tensor) in enumerate(given):
            if not value.parameter and (k or name not in BLIND):
                self._look(value, tensor)
        return partner

    def _ended(self, call: Call, result: Any) -> None:
        if self._realign and call.name in DRAWS and call.outputs and isinstance(result, Tensor):
            _repeat_draw(call.outputs[0], result)
        fresh = [value for value in call.outputs if not (value.deferred and value.maker is call)]
        for value, tensor in zip(fresh, {id(t): t for t in tensors_of(result)}.values(), strict=False):
            if value.maker is call:
                self._look(value, tensor)

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


# ---------------------------------------------------------------------- for hours
_MOST_CALLS = 4_096
# After two backward passes a page of this many calls is turned: what comes next descends from little of it.
_PAGE = 512
_MOST_BYTES = 64 * 2**20
_MOST_ROOTS = 100
_LONGEST = 64
_KEPT = (int, float, complex, bool, str, type(None), type(Ellipsis), torch.dtype, torch.device, torch.layout)
# Before so many backward passes what was seen is handed over with its elements; later on turned pages only.
_FIRST = 3


class Bounded(Recorder):
    """Context manager. `turned` is called with the trace whenever it is about to be forgotten, or to lose its elements.

    With `functions=False` only the module hooks are used, for `names`, and the trace has no calls.
    Recording stops while `paused`, in other threads and in the steps of an optimizer.
    """

    def __init__(self, turned: Callable[[Trace], None], *, functions: bool = True) -> None:
        super().__init__()
        self.paused = False
        self._turned = turned
        if not functions:
            self._mode = nullcontext()
        self._stepping = False
        self._bytes = 0
        self._backwards = 0
        self._due = False
        self._roots: dict[int, weakref.ref[nn.Module]] = {}
        self._holding: list[Value] = []

    def __enter__(self) -> Any:
        super().__enter__()
        self._handles.append(register_optimizer_step_pre_hook(aside(partial(self._step, True))))
        self._handles.append(register_optimizer_step_post_hook(aside(partial(self._step, False))))
        return self

    def failed_with(self, error: BaseException) -> Trace:
        """The trace as it is when an exception has passed, with the call that raised it."""
        cause: BaseException | None = error
        for _ in range(8):
            for frame, _ in () if cause is None else walk_tb(cause.__traceback__):
                call = frame.f_locals.get("call") if frame.f_code is Plain._called.__code__ else None
                if call is not None:
                    call.error = cause
            cause = None if cause is None else cause.__cause__ or cause.__context__
        if isinstance(error, Exception):
            self.trace.error = error
        return self.trace

    @property
    def names(self) -> dict[int, str]:
        """The names of the modules that were called, and of those in them, in the words of the outermost."""
        names: dict[int, str] = {}
        for reference in self._roots.values():
            root = reference()
            for name, module in () if root is None else root.named_modules():
                names.setdefault(id(module), name)
        return names

    # ------------------------------------------------------------------ what is recorded
    def function(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.paused or self._stepping or is_traced():
            return func(*args, **kwargs)
        return super().function(func, types, args, kwargs)

    def _begin(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        calls = len(self.trace.calls)
        if calls >= _MOST_CALLS or (self._due and calls > _PAGE and len(self.trace.backward_at) > 1):
            self._turn()
        elif self._due or self._bytes > _MOST_BYTES:
            self._let_go()
        self._due = False
        return super()._begin(index, name, func, args, kwargs)

    def _failed(self, call: Call | None, error: BaseException) -> None:
        """No call knows its exception, which would keep every frame alive: `failed_with` asks the frames."""
        self._targets = ()

    def value(self, tensor: Tensor, maker: Call | None = None, origin: str = "") -> Value:
        count = len(self.trace.values)
        made = super().value(tensor, maker, origin)
        if len(self.trace.values) > count:
            self._holding.append(made)
            if maker is not None and not tensor.is_sparse:
                self._bytes += tensor.numel() * tensor.element_size()
        return made

    @staticmethod
    def shortened(value: Any) -> Any:
        """Arrays and lists of numbers would stay alive: their kind."""
        short = isinstance(value, (tuple, list)) and (len(value) <= _LONGEST or isinstance(value[0], Tensor))
        return value if short or isinstance(value, (dict, slice, *_KEPT)) else type(value).__name__

    def _about_to_write(self, tensor: Tensor) -> None:
        """Nothing is copied: the elements are lost, the shape and the line stay."""
        for value in self._on.get(storage_of(tensor), ()):
            value.lost = True

    def _ask(self, name: str, args: tuple[Any, ...]) -> None:
        super()._ask(name, args)
        if name == "backward":
            self._backwards += 1
            self._due = True  # afterwards: an exception in the backward pass is explained by what led to it
            if self._backwards <= _FIRST:
                self._turned(self.trace)

    # ------------------------------------------------------------------ what is forgotten
    def _turn(self) -> None:
        self._turned(self.trace)
        self.trace = Trace()
        self._on, self._written, self._left, self._holding, self._bytes = {}, {}, [], [], 0

    def _let_go(self) -> None:
        """Let each tensor go; those that are held elsewhere are taken up again, the others leave their shape."""
        held = [(value, weakref.ref(value.tensor), storage_of(value.tensor)) for value in self._holding]
        for value, _, _ in held:
            value.tensor = _shape_only(value.shape, value.tensor.dtype, value.tensor.requires_grad)
            value.copy = None
        self.trace._known.clear()
        self._left, self._holding, self._bytes = [], [], 0
        self._on = {}
        for value, reference, storage in held:
            tensor = reference()
            if tensor is None:
                value.lost = True
                continue
            value.tensor = tensor
            self.trace._known[id(tensor)] = value
            self._on.setdefault(storage, []).append(value)
            self._holding.append(value)
        self._written = {storage: last for storage, last in self._written.items() if storage in self._on}

    # ------------------------------------------------------------------ modules
    def _elsewhere(self) -> bool:
        return self.paused or super()._elsewhere() or is_traced()

    def _module_begins(self, module: nn.Module, args: Any) -> None:
        if self._elsewhere():
            return
        self._stepping = False  # a closure that an optimizer calls in its step
        if not self._stack and id(module) not in self._roots and len(self._roots) < _MOST_ROOTS:
            self._roots[id(module)] = weakref.ref(module)
        super()._module_begins(module, args)

    def _step(self, begins: bool, *_: Any) -> None:
        self._stepping = begins


@lru_cache(1_000)
def _shape_only(shape: tuple[int, ...], dtype: torch.dtype, requires_grad: bool) -> Tensor:
    """A tensor without elements in the place of one; few shapes occur, so that each is made once."""
    with without_functions():
        return torch.empty(shape, dtype=dtype, device="meta", requires_grad=requires_grad)
