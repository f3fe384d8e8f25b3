"""The recorder: torch's official global module hooks and a function mode for the length of one run, nothing patched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from .calls import LayerCall, parts_of, recurrent
from .steady import Steady
from .trace import Loss, Trace, is_loss
from .where import Where, here, here_key, theirs

__all__ = ["Observation", "Pending", "Recorder"]


@dataclass(eq=False, slots=True)
class Pending:
    """A module whose forward has begun: what it was given."""

    module: nn.Module
    name: str
    args: tuple[Any, ...]
    where: Where | None


@dataclass(eq=False, slots=True)
class Observation:
    """What was seen during one run. It can be filled without a second run, which is what watch does.

    `calls`: the recurrent layers' calls in order. `pending`: modules that never came back, outermost first.
    `last`: the module that came back last. `losses`: what loss functions compared.
    """

    calls: list[LayerCall] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    last: Pending | None = None
    losses: list[Loss] = field(default_factory=list)
    trace: Trace | None = None
    backwards: list[int] = field(default_factory=list)
    mixing: bool = False

    @property
    def unfinished(self) -> LayerCall | None:
        """The recurrent layer that raised, if one did."""
        last = self.calls[-1] if self.calls else None
        return None if last is None or last.done else last


class Recorder:
    """Context manager that fills an `Observation`.

    `trace`: follow every torch function (names, shapes, lines). `taps`: replace what enters and leaves the
    layers by aliases that gradients can be taken for. `steady`: run with batch statistics held and no
    backward, for runs that are compared with each other. `edit`: change what a layer call returns.
    """

    def __init__(
        self,
        names: dict[int, str] | None = None,
        *,
        trace: bool = False,
        taps: bool = False,
        steady: Steady | None = None,
        edit: dict[int, Callable[[LayerCall, Any], Any]] | None = None,
        first_sight: Callable[[nn.Module], None] | None = None,
        functions: bool = True,
    ) -> None:
        self.seen = Observation(trace=Trace() if trace else None)
        self._names = {} if names is None else names
        self._taps = taps
        self._steady = steady
        self._edit = edit or {}
        self._first_sight = first_sight
        # Without functions only the module hooks are used, which may stay for a whole session.
        self._mode = _Mode(self) if functions else None
        self._handles: list[Any] = []

    def __enter__(self) -> Observation:
        self._handles = [
            register_module_forward_pre_hook(self._before),
            register_module_forward_hook(self._after),
        ]
        if self._mode is not None:
            self._mode.__enter__()  # type: ignore[no-untyped-call]
        if self._steady is not None:
            self._steady.begin()
        return self.seen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mode is not None:
            self._mode.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()

    # ------------------------------------------------------------------ modules
    def _before(self, module: nn.Module, args: Any) -> Any:
        args = args if isinstance(args, tuple) else (args,)
        if self._first_sight is not None:
            self._first_sight(module)
        where = here()
        name = self._name(module)
        self.seen.pending.append(Pending(module, name, args, where))
        if not recurrent(module):
            return None
        kwargs = sys._getframe(1).f_locals.get("kwargs", {})
        call = LayerCall(
            len(self.seen.calls),
            module,
            name,
            where,
            args,
            dict(kwargs) if isinstance(kwargs, dict) else {},
            grad_enabled=torch.is_grad_enabled(),
            autocast=torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"),
        )
        self.seen.calls.append(call)
        replaced = self._tap_arguments(call) if self._taps else None
        if call.X is not None:
            call.taps["X"] = call.X
        call.taps.update(call.states)
        return replaced

    def _after(self, module: nn.Module, args: Any, output: Any) -> Any:
        pending = self.seen.pending
        while pending:
            done = pending.pop()
            self.seen.last = done
            if done.module is module:
                break
        if not recurrent(module):
            return None
        call = next((c for c in reversed(self.seen.calls) if c.module is module and not c.done), None)
        if call is None:
            return None
        call.done = True
        replaced = None
        if call.index in self._edit:
            output = replaced = self._edit[call.index](call, output)
        if self._taps:
            output = replaced = _map(output, _alias)
        call.output = output
        call.taps.update(parts_of(call, output))
        if self.seen.trace is not None:
            for role, tensor in parts_of(call, output).items():
                self.seen.trace.mark(tensor, ("call", call.index, role))
        return replaced

    def _tap_arguments(self, call: LayerCall) -> Any:
        """Aliases for what enters, so that a gradient for them counts this call only."""
        replaced = tuple(_map(value, _alias) for value in call.args)
        call.args = replaced
        return replaced

    def _name(self, module: nn.Module) -> str:
        """The module's qualified name, or what the running code calls it."""
        known = self._names.get(id(module))
        if known is not None:
            return known
        found = ""
        if recurrent(module):
            frame = sys._getframe(1)
            while frame is not None and not found:
                if theirs(frame.f_code.co_filename):
                    spaces = ({**frame.f_globals}, {**frame.f_locals})
                    found = next((n for space in spaces for n, v in space.items() if v is module), "")
                frame = frame.f_back  # type: ignore[assignment]
            self._names[id(module)] = found
        return found

    # ------------------------------------------------------------------ functions
    def function(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Called for every torch function of the run."""
        name = getattr(func, "__name__", "")
        if name == "backward" and args and isinstance(args[0], Tensor):
            self.seen.backwards.append(len(self.seen.calls))
            if self._steady is not None:
                return None
        elif self._taps and name == "_set_grad_enabled" and args[:1] == (False,):
            return None  # a no_grad inside the model: the gradient run is for what depends on what
        elif self._taps and name == "numpy" and args and isinstance(args[0], Tensor):
            return func(args[0].detach(), *args[1:], **kwargs)
        elif is_loss(name):
            both = [*args[:2], *(kwargs[k] for k in ("input", "target") if k in kwargs)]
            if both and isinstance(both[0], Tensor):
                target = both[1] if len(both) > 1 and isinstance(both[1], Tensor) else None
                self.seen.losses.append(Loss(name, both[0], target, here_key()))
        elif name == "batch_norm":
            self.seen.mixing = True
            if self._steady is not None:
                return self._steady.batch_norm(func, args, kwargs)
        trace = self.seen.trace
        op = None if trace is None else trace.enter(func, args, kwargs, len(self.seen.calls))
        if trace is None or op is None:
            return func(*args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except BaseException:
            op.failed = True
            raise
        trace.leave(op, result)
        return result


class _Mode(TorchFunctionMode):
    """Hands every torch function to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._recorder.function(func, args, kwargs or {})


def _alias(tensor: Tensor) -> Tensor:
    """The same values under another identity, differentiable where that is possible."""
    if not tensor.is_floating_point():
        return tensor
    if tensor.requires_grad:
        return tensor.view_as(tensor)
    alias = tensor.detach()
    return alias if alias.is_inference() else alias.requires_grad_()


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`change` applied to the tensors of an argument or a result."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        return PackedSequence(change(value.data), value.batch_sizes, value.sorted_indices, value.unsorted_indices)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(_map(item, change) for item in value)
    return value
