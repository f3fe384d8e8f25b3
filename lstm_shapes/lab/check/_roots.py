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

from lstm_shapes.lab import _private as private
from lstm_shapes.lab._alone import alone
from lstm_shapes.lab.raised._raised import RECURRENT_MODULES
from lstm_shapes.lab.trace import KERNELS, Trace, leaves, rebuild

from ._experiments import Experiments, OutOfTime, _Nowhere, unwrapped
from ._samples import samples_of
from .check import examine
from .report import Report

# A call that shows nothing (one sample) is followed by another try, with other shapes.
_TRIES = 3
# What ends the experiments and not the program. Ctrl-C is meant for the program.
_ENDS = (Exception, SystemExit, OutOfTime)


class Roots:
    """Decides which calls are examined, and keeps what came of it: `reports` by root, `skipped` with the reasons."""

    def __init__(self, seconds: float, tell: Callable[[Report], None] | None = None) -> None:
        self.reports: list[Report] = []
        self.skipped: dict[str, str] = {}
        self.busy = False
        self._tell = tell
        self._seconds = seconds
        self._done: dict[int, weakref.ref[nn.Module]] = {}
        self._tried: dict[int, list[list[tuple[int, ...]]]] = {}
        self._later: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def begins(self, module: nn.Module, args: Any) -> None:
        """Hook before every module's forward."""
        known, frames = self._done.get(id(module)), list[FrameType]()
        if known is not None and known() is module:
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(frames) < 2:  # of the modules that are being called, innermost first
            frames += [frame] if frame.f_code is private.CALL_OF_MODULE else []
            frame = frame.f_back
        if len(frames) != 1:
            return
        given = args if isinstance(args, tuple) else (args,), private.keywords_of_call(frames[0])
        why = self._try(module, *given)
        if why:
            self.skipped[_name(module)] = why
        if why is not None and any(is_lazy(p) for p in module.parameters()):
            self._later[id(module)] = given

    def ended(self, module: nn.Module, args: Any, output: Any) -> None:
        """Hook after every module's forward: a lazy module is examined after the call that makes its weights."""
        if id(module) in self._later:
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
        if report is not None and not (report.tested or report.findings or len(tried) == _TRIES):
            self.skipped[_name(module)] = "; ".join(report.not_tested) or "nothing could be tested"
            return
        self._end(module, "")
        if report is not None:
            self.reports.append(report)
            if self._tell is not None:
                self._tell(report)

    def _end(self, module: nn.Module, why: str) -> None:
        """This root is done, with all that is in it."""
        self.skipped.pop(_name(module), None)
        if why:
            self.skipped[_name(module)] = why
        self._done.update((id(inner), weakref.ref(inner)) for inner in module.modules())


# ---------------------------------------------------------------------- one call of one root
def examined(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> Report | None:
    """The report on one call of a module; None for a module that is no recurrent program.

    Everything is put back: what the modules and the generators of random numbers hold, gradients, the grad mode.
    """
    inner, end = unwrapped(module), time.monotonic() + seconds
    weight = next(module.parameters(), None)
    if inner is not module and weight is not None:  # what distributes a model moves its inputs
        place = weight.device
        args, kwargs = rebuild((args, kwargs), lambda value: value.to(place) if hasattr(value, "to") else value)
    labs: dict[int | None, Experiments] = {}

    def lab_of(axis: int | None) -> Experiments:
        """The experiments with an axis as the batch, each begun where the program stands."""
        if axis not in labs:
            for lab in labs.values():
                lab.snapshot.restore()
            labs[axis] = Experiments(inner, args, kwargs, axis, seconds=end - time.monotonic())
        return labs[axis]

    with _unheard():
        try:
            report = _report(inner, lab_of)
            return None if report is None else replace(report, runs=sum(lab.runs for lab in labs.values()))
        finally:
            for lab in reversed(labs.values()):
                lab.close()


def _report(module: Any, lab_of: Callable[[int | None], Experiments]) -> Report | None:
    name, lab = _name(module), lab_of(0)
    if lab.snapshot.lost:
        return Report((), (), (f"{name}: it holds what cannot be put back: {', '.join(lab.snapshot.lost)}",))
    try:
        trace = lab.baseline
        if trace.error is not None:
            return Report((), (), (f"{name}: it stops with {type(trace.error).__name__}",))
        if not _is_recurrent(module, trace):
            return None
        axis, why = _batch(lab_of)
    except OutOfTime:
        return Report((), (), (f"{name}: the time was over",))
    report = examine(lab_of(axis))
    taken = "" if axis is None else f", with axis {axis} of the input as the batch ({why})"
    tested = (f"{name}: {', '.join(report.tested)}{taken}",) if report.tested else ()
    left = [f"samples ({why})" if axis is None and line.startswith("samples (") else line for line in report.not_tested]
    return replace(report, tested=tested, not_tested=tuple(f"{name}: {line}" for line in left))


def _batch(lab_of: Callable[[int | None], Experiments]) -> tuple[int | None, str]:
    """The batch axis of the inputs and why, None if it cannot be told."""
    lab, none = lab_of(0), "no axis moves its own rows alone"
    if _own_rows(lab):
        return 0, "index i of it alone moves row i of the result"
    tensors = [slot.tensor for slot in lab.inputs.slots if isinstance(slot.value, Tensor) and slot.tensor.dim()]
    first = next((slot.tensor for slot in lab.inputs.movable if isinstance(slot.value, Tensor)), None)
    if first is None:
        return 0, "the input is packed"
    if first.dim() > 1 and all(first.size(1) in tensor.shape for tensor in tensors) and _own_rows(lab_of(1)):
        return 1, "index i of it alone moves row i of the result"
    N, second = first.shape[0], first.shape[1] if first.dim() > 1 else 0
    reads = 1 < second != N and all(second == layer.N and not layer.unbatched for layer in lab.layers)
    # Where batch_first is all that is missing, the result has the first axis only, or each step a row of its own.
    if lab.layers and reads and any(second in value.shape for _, value in lab.results):
        return 1, f"{none}, and the second is the batch of every layer and in the result"
    if all(layer.N > 1 and not layer.unbatched and lab.N in (layer.N, layer.L) for layer in lab.layers) and lab.layers:
        return 0, f"{none}, and every layer has an axis of the first one's length"
    sequences = [slot for slot in lab.inputs.movable if slot.batch == 0 and slot.time is not None]
    if sequences and (not lab.layers or any(layer.N > 1 for layer in lab.layers)):
        return 0, f"{none}, and the first is the batch by convention"
    return None, "the layer's own batch axis has length 1" if sequences else f"{none} of the result"


def _own_rows(lab: Experiments) -> bool:
    """Whether each sample that was replaced moved its own row of a result, and nothing else."""
    samples = lab.ask(samples_of)
    return samples.kind == "apart" and any(
        track.in_place() and len(track.touched) == len(samples.tested) > 1 for track in samples.rows.values()
    )


# ---------------------------------------------------------------------- which modules, and when
def _is_recurrent(module: nn.Module, trace: Trace) -> bool:
    """Whether a recurrent layer ran, or a line with the same weights again on what it gave before."""
    if any(isinstance(inner, RECURRENT_MODULES) for inner in module.modules()):
        return True
    lines: dict[Any, set[int]] = {}
    for call in trace.calls:
        given = lines.setdefault((call.line, *(value.index for value in call.inputs if value.parameter)), set())
        weighted = any(value.parameter for value in call.inputs)
        if call.name in KERNELS or (weighted and given & trace.ancestors(*call.inputs)):
            return True
        given |= {value.index for value in call.outputs}
    return False


def _not_now(module: nn.Module, given: Any) -> str | None:
    """None if a root can be examined here; else why not, "" where there is nothing to say."""
    if isinstance(module, RECURRENT_MODULES):
        return "called by itself; what is read of its result outside of a module is not tested"
    inner, parameters = list(module.modules()), list(module.parameters())
    tensors = [*parameters, *(tensor for _, tensor in leaves(given))]
    if not any(isinstance(one, RECURRENT_MODULES) for one in inner):
        theirs = any(not type(one).__module__.startswith("torch.") for one in inner)
        if not parameters or not theirs or not any(tensor.dim() > 1 for tensor in tensors[len(parameters) :]):
            return ""
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    reasons = {
        "a scripted module does not show its inside": isinstance(module, torch.jit.ScriptModule),
        "its lazy layers have no weights yet": any(is_lazy(value) for value in (*parameters, *module.buffers())),
        "called inside a backward pass": private.in_backward(),
        "called while it is traced": private.is_traced(),
        "called inside a transform of torch.func": private.in_transform(),
        "called under a TorchDispatchMode, which would see the experiments": private.dispatch_is_followed(),
        "called while a CUDA graph is captured": cuda and torch.cuda.is_current_stream_capturing(),
        "its tensors have no elements": any(t.is_meta or type(t).__name__ == "FakeTensor" for t in tensors),
        "its batch statistics wait for other processes": any(
            isinstance(one, nn.SyncBatchNorm) and one.training for one in inner
        ),
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _name(module: Any) -> str:
    return type(unwrapped(module)).__name__


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
