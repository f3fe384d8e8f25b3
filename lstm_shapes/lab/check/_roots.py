"""The experiments on a program that runs: the first call of each root module is examined before it goes on."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lstm_shapes.lab._alone import alone
from lstm_shapes.lab._private import (
    CALL_OF_MODULE,
    dispatch_is_followed,
    in_backward,
    in_transform,
    is_traced,
    keywords_of_call,
)
from lstm_shapes.lab.trace import Trace, leaves, rebuild
from lstm_shapes.lab.trace.recorder import RECURRENT

from ._experiments import Experiments, OutOfTime, _Nowhere, unwrapped
from ._samples import Samples, samples_of
from .check import examine
from .report import Report

__all__ = ["Roots", "examined"]

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
# A call that shows nothing (one sample) is followed by another try, with other shapes.
_TRIES = 3
# What ends the experiments and not the program. Ctrl-C is meant for the program.
_ENDS = (Exception, SystemExit, OutOfTime)


class Roots:
    """Decides which calls are examined, and keeps what came of it: `reports` by root, `skipped` with the reasons."""

    def __init__(self, seconds: float, tell: Callable[[Report], None] | None = None) -> None:
        self._tell = tell
        self.reports: list[Report] = []
        self.skipped: dict[str, str] = {}
        self.busy = False
        self._seconds = seconds
        self._done: dict[int, weakref.ref[nn.Module]] = {}
        self._tried: dict[int, list[list[tuple[int, ...]]]] = {}
        self._later: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def begins(self, module: nn.Module, args: Any) -> None:
        """Hook before every module's forward."""
        if self.busy or self._is_done(module):
            return
        frames = _calls()
        if len(frames) != 1:
            return
        kwargs = keywords_of_call(frames[0])
        args = args if isinstance(args, tuple) else (args,)
        why = self._try(module, args, kwargs)
        if why is None:
            return
        if why:
            self.skipped[_name(module)] = why
        if any(is_lazy(p) for p in module.parameters()):
            self._later[id(module)] = (args, kwargs)

    def ended(self, module: nn.Module, args: Any, output: Any) -> None:
        """Hook after every module's forward: a lazy module is examined after the call that makes its weights."""
        if not self.busy and id(module) in self._later:
            self._try(module, *self._later.pop(id(module)))

    def _try(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """Examine a call if that can be; why not, "" where there is nothing to say, None if it was tried."""
        try:
            why = _not_now(module, (args, kwargs))
            if why is None:
                self._examine(module, args, kwargs)
            return why
        except _ENDS as error:
            first = str(error).partition("\n")[0][:120]
            self._end(module, f"the experiments stopped with {type(error).__name__}: {first}")
            return None

    # ------------------------------------------------------------------ one root
    def _examine(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shapes = [tuple(tensor.shape) for _, tensor in leaves([args, kwargs])]
        tried = self._tried.setdefault(id(module), [])
        if shapes in tried:
            return
        tried.append(shapes)
        with alone(self._seconds) as ours:
            if not ours:
                self._end(module, f"another thread was in experiments of its own for {self._seconds:g} s")
                return
            self.busy = True
            try:
                report = examined(module, args, kwargs, self._seconds)
            finally:
                self.busy = False
        if report is None:
            self._end(module, "")
            return
        self.skipped.pop(_name(module), None)
        if report.tested or report.findings or len(tried) == _TRIES:
            self._end(module, "")
            self.reports.append(report)
            if self._tell is not None:
                self._tell(report)
        else:
            self.skipped[_name(module)] = "; ".join(report.not_tested) or "nothing could be tested"

    def _end(self, module: nn.Module, why: str) -> None:
        """This root is done, with all that is in it."""
        if why:
            self.skipped[_name(module)] = why
        else:
            self.skipped.pop(_name(module), None)
        for inner in module.modules():
            self._done[id(inner)] = weakref.ref(inner)

    def _is_done(self, module: nn.Module) -> bool:
        known = self._done.get(id(module))
        return known is not None and known() is module


def examined(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> Report | None:
    """The report on one call of a module; None for a module that is no recurrent program.

    Everything is put back: what the modules and the generators of random numbers hold, gradients, the grad mode.
    """
    inner = unwrapped(module)
    if inner is not module:
        weight = next(module.parameters(), None)
        if weight is not None:  # what distributes a model moves its inputs
            place = weight.device
            args, kwargs = rebuild((args, kwargs), lambda value: value.to(place) if hasattr(value, "to") else value)
    with _unheard():
        return _Study(inner, args, kwargs, seconds).report()


class _Study:
    """One root and one call of it: which axis is the batch, and what the rules say then."""

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> None:
        self._module = module
        self._given = args, kwargs
        self._end = time.monotonic() + seconds
        self._runs = 0

    def _lab(self, batch_dim: int | None) -> Experiments:
        return Experiments(self._module, *self._given, batch_dim, seconds=self._end - time.monotonic())

    def report(self) -> Report | None:
        name = _name(self._module)
        lab = self._lab(0)
        try:
            if lab.lost:
                return Report((), (), (f"{name}: it holds what cannot be put back: {', '.join(lab.lost)}",))
            try:
                trace = lab.baseline
                if trace.error is not None:
                    return Report((), (), (f"{name}: it stops with {type(trace.error).__name__}",), lab.runs)
                if not _is_recurrent(self._module, trace):
                    return None
                axis, why = self._batch(lab)
            except OutOfTime:
                return Report((), (), (f"{name}: the time was over",), lab.runs)
            if axis == 0:
                report = examine(lab)
            else:
                lab.restart()
                report = self._other(axis)
            return _said(report, name, axis, why, self._runs + lab.runs)
        finally:
            lab.close()

    def _other(self, axis: int | None) -> Report:
        lab = self._lab(axis)
        try:
            return examine(lab)
        finally:
            self._runs += lab.runs
            lab.close()

    # ------------------------------------------------------------------ which axis is the batch
    def _batch(self, lab: Experiments) -> tuple[int | None, str]:
        """The batch axis of the inputs and why, None if it cannot be told."""
        own = "index i of it alone moves row i of the result"
        if _own_rows(lab.ask(samples_of)):
            return 0, own
        tensors = [slot.tensor for slot in lab.inputs.slots if isinstance(slot.value, Tensor) and slot.tensor.dim()]
        first = next((slot.tensor for slot in lab.inputs.movable if isinstance(slot.value, Tensor)), None)
        if first is not None and first.dim() > 1 and all(first.size(1) in tensor.shape for tensor in tensors):
            lab.restart()
            second = self._lab(1)
            try:
                if _own_rows(second.ask(samples_of)):
                    return 1, own
            finally:
                self._runs += second.runs
                second.close()
        if first is None:
            return 0, "the input is packed"
        rows = [layer.N > 1 and not layer.unbatched and lab.N in (layer.N, layer.L) for layer in lab.layers]
        if rows and all(rows):
            return 0, "no axis moves its own rows alone, and every layer has an axis of the first one's length"
        if any(slot.batch == 0 and _is_sequence(slot.tensor) for slot in lab.inputs.movable):
            if not lab.layers or any(layer.N > 1 for layer in lab.layers):
                return 0, "no axis moves its own rows alone, and the first is the batch by convention"
            return None, "the layer's own batch axis has length 1"
        if first.dim() == 2 and lab.N < 2:
            return 0, "the first by convention"
        return None, "no axis moves its own rows of the result alone"


def _is_sequence(tensor: Tensor) -> bool:
    """Whether it has an axis of steps beside one of samples: three axes, or two of tokens."""
    return tensor.dim() >= 3 or (tensor.dim() == 2 and not tensor.is_floating_point())


def _own_rows(samples: Samples) -> bool:
    """Whether each sample that was replaced moved its own row of a result, and nothing else."""
    return samples.kind == "apart" and any(
        track.in_place() and len(track.touched) == len(samples.tested) > 1 for track in samples.rows.values()
    )


def _said(report: Report, name: str, axis: int | None, why: str, runs: int) -> Report:
    """The report with the name of the root and the axis that was taken."""
    tested: tuple[str, ...] = ()
    if report.tested:
        taken = "" if axis is None else f", with axis {axis} of the input as the batch ({why})"
        tested = (f"{name}: {', '.join(report.tested)}{taken}",)
    left = [f"samples ({why})" if axis is None and line.startswith("samples (") else line for line in report.not_tested]
    return replace(report, tested=tested, not_tested=tuple(f"{name}: {line}" for line in left), runs=runs)


# ---------------------------------------------------------------------- which modules, and when
def _is_recurrent(module: nn.Module, trace: Trace) -> bool:
    """Whether a recurrent layer ran, or a line with the same weights again on what it gave before."""
    if any(isinstance(inner, _RECURRENT) for inner in module.modules()):
        return True
    lines: dict[Any, list[Any]] = {}
    for call in trace.calls:
        if call.name in RECURRENT:
            return True
        weights = [value.index for value in call.inputs if value.parameter]
        if weights:
            lines.setdefault((call.line, *weights), []).append(call)
    again = ((calls[:-1], calls[-1]) for calls in lines.values() if len(calls) > 1)
    return any({v.index for call in before for v in call.outputs} & trace.ancestors(*c.inputs) for before, c in again)


def _not_now(module: nn.Module, given: Any) -> str | None:
    """None if a root can be examined here; else why not, "" where there is nothing to say."""
    if isinstance(module, _RECURRENT):
        return "called by itself; what is read of its result outside of a module is not tested"
    parameters = list(module.parameters())
    recurrent = any(isinstance(inner, _RECURRENT) for inner in module.modules())
    if not recurrent:
        theirs = any(not type(inner).__module__.startswith("torch.") for inner in module.modules())
        if not parameters or not theirs or not any(tensor.dim() > 1 for _, tensor in leaves(given)):
            return ""
    if isinstance(module, torch.jit.ScriptModule):
        return "a scripted module does not show its inside"
    if any(is_lazy(value) for value in (*parameters, *module.buffers())):
        return "its lazy layers have no weights yet"
    if in_backward():
        return "called inside a backward pass"
    if is_traced():
        return "called while it is traced"
    if in_transform():
        return "called inside a transform of torch.func"
    if dispatch_is_followed():
        return "called under a TorchDispatchMode, which would see the experiments"
    if torch.cuda.is_available() and torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():  # type: ignore[no-untyped-call]
        return "called while a CUDA graph is captured"
    tensors = [*parameters, *(tensor for _, tensor in leaves(given))]
    if any(tensor.is_meta or type(tensor).__name__ == "FakeTensor" for tensor in tensors):
        return "its tensors have no elements"
    if any(isinstance(inner, nn.SyncBatchNorm) and inner.training for inner in module.modules()):
        return "its batch statistics wait for other processes"
    return None


def _calls() -> list[FrameType]:
    """The frames of the modules that are being called, innermost first; two say enough."""
    frame: FrameType | None = sys._getframe(1)
    calls: list[FrameType] = []
    while frame is not None and len(calls) < 2:
        if frame.f_code is CALL_OF_MODULE:
            calls.append(frame)
        frame = frame.f_back
    return calls


def _name(module: Any) -> str:
    inner = unwrapped(module)
    return type(inner).__name__


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Nothing is printed, logged or warned of, and torch's flags are afterwards what they were."""
    grad, warn_always, disabled = torch.is_grad_enabled(), torch.is_warn_always_enabled(), logging.root.manager.disable
    # torch says some warnings once in a process: none of them may be used up here.
    torch.set_warn_always(True)
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(_Nowhere(sys.stderr)), contextlib.redirect_stdout(_Nowhere(sys.stdout)):
            yield
    finally:
        logging.disable(disabled)
        torch.set_warn_always(warn_always)
        if torch.is_grad_enabled() != grad:
            torch.set_grad_enabled(grad)
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            torch.clear_autocast_cache()
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()
