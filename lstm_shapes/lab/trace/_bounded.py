"""A recorder that can run for hours: it keeps no tensor alive, and of a long run the last calls only."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from lstm_shapes.lab._private import is_traced, storage_of, without_functions

from .recorder import Call, Recorder, Trace, Value, aside

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

    With `functions=False` only the module hooks are used, and the trace has its `pending` modules and no calls.
    Recording stops while `paused`, in other threads and in the steps of an optimizer. An exception would keep every
    frame alive, of a failure that the program may deal with: it knows its call, by a frame, and no call knows it.
    """

    keeps_errors = False

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
        """The trace as it is when an exception has passed, with the call that raised it and the modules it left."""
        cause: BaseException | None = error
        for _ in range(8):
            for frame, _ in () if cause is None else walk_tb(cause.__traceback__):
                call = frame.f_locals.get("call") if frame.f_code is Recorder._called.__code__ else None
                if call is not None:
                    call.error = cause
            cause = None if cause is None else cause.__cause__ or cause.__context__
        if isinstance(error, Exception):
            self.trace.error = error
        # A module that was running is the `self` of a frame; other frames may merely know it.
        running = {id(frame.f_locals.get("self")) for frame, _ in walk_tb(error.__traceback__)}
        self.trace.pending[:] = [entry for entry in self.trace.pending if id(entry[0]) in running]
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
        """Called in the place of every torch function."""
        if self.paused or self._stepping or is_traced():
            return func(*args, **kwargs)
        return super().function(func, types, args, kwargs)

    def _begin(self, index: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        calls = len(self.trace.calls)
        if calls >= _MOST_CALLS or (self._due and calls > _PAGE and len(self.trace.backward_at) > 1):
            self._turn()
        elif self._due or self._bytes > _MOST_BYTES:
            self._let_go()
        self._due = False
        return super()._begin(index, name, args, kwargs)

    def value(self, tensor: Tensor, maker: Call | None = None, origin: str = "") -> Value:
        """The value that a tensor holds now."""
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
        """Forget all calls but the modules that are running."""
        self._turned(self.trace)
        before, self.trace = self.trace, Trace()
        self.trace.pending, self.trace.unseen = before.pending, before.unseen
        self._on, self._written, self._left, self._holding, self._bytes = {}, {}, [], [], 0

    def _let_go(self) -> None:
        """Let each tensor go; those that somebody else holds are taken up again, the others leave their shape."""
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
        if not self._stack:
            self.trace.pending.clear()  # left over by an exception that the program has dealt with
            if id(module) not in self._roots and len(self._roots) < _MOST_ROOTS:
                self._roots[id(module)] = weakref.ref(module)
        super()._module_begins(module, args)

    def _step(self, begins: bool, *_: Any) -> None:
        self._stepping = begins


@lru_cache(1_000)
def _shape_only(shape: tuple[int, ...], dtype: torch.dtype, requires_grad: bool) -> Tensor:
    """A tensor without elements in the place of one; few shapes occur, so that each is made once."""
    with without_functions():
        return torch.empty(shape, dtype=dtype, device="meta", requires_grad=requires_grad)
