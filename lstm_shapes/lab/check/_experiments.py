"""The experiments on one model: runs from one and the same start, each made at most once, when a rule asks."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from torch import Tensor, nn

from lstm_shapes.lab._private import MODULE_TABLES, compiled_from
from lstm_shapes.lab.trace import (
    Call,
    Follower,
    LayerCall,
    Plain,
    Recorder,
    Snapshot,
    Still,
    Trace,
    Value,
    is_loss,
    layer_calls,
    leaves,
    parts,
    tensors_of,
)

from ._inputs import Given, Inputs
from ._layout import differs
from ._loading import Loading

# Functions whose quantisation depends on the largest element of the whole batch, and what they may move by.
_DYNAMIC = ("quantized_lstm", "quantized_gru", "linear_dynamic", "linear_relu_dynamic", "quantized_lstm_cell")
_DYNAMIC_SLACK = 0.05
# Functions whose result holds the elements that they were given.
_COPIES = frozenset({"detach", "clone", "data", "__getitem__", "unbind", "squeeze", "view", "contiguous"})
Value_ = TypeVar("Value_")


class OutOfTime(BaseException):
    """The time that was allowed for experiments is over. No Exception, so that no model catches it."""


@dataclass(slots=True)
class Outcome:
    output: Any
    error: Exception | None = None
    repeated: Call | None = None
    losses: list[Tensor] = field(default_factory=list)

    @property
    def results(self) -> list[tuple[str, Tensor]]:
        return list(leaves(self.output))


class Experiments:
    """Owns a model for the length of a check. Every run starts from the same state and the same random draws."""

    def __init__(
        self,
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        batch_dim: int | None = 0,
        lengths: Any = None,
        *,
        seconds: float | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.model = unwrapped(model)
        self.inputs = Inputs(args, kwargs, batch_dim, lengths)
        self.batch_dim = batch_dim
        self.runs = 0
        self.still = Still()
        self.reached = self.snapshot = Snapshot(self.model, given=(args, kwargs), watched=True)
        self.target: Any = None
        self.loss: Callable[..., Any] | None = None
        self.mixes = False
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._progress = progress
        # Calls whose result is that of the baseline in every run: statistics of the batch, taken by hand.
        self.held: dict[int, Callable[..., Any]] = {}
        self._asked: dict[Any, Any] = {}
        self.after: set[int] = set()  # the values that attributes hold after the baseline, and buffers
        self.buffered: set[int] = set()
        self.summed: set[int] = set()  # of the results, those that only a scalar holds, added up
        self.loads = Loading()

    # ------------------------------------------------------------------ running
    def close(self) -> None:
        """Leave everything as it was."""
        self.snapshot.restore()
        self._asked.clear()
        self.__dict__.pop("baseline", None)

    def says(self, what: str) -> None:
        """Tell who waits which experiment runs."""
        if self._progress is not None:
            self._progress(what)

    def _run(self, mode: Any, given: Given, edits: dict[int, Callable[..., Any]] | None = None) -> Outcome:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise OutOfTime
        args, kwargs = given
        self.runs += 1
        mode.edits, mode.writes = edits or {}, self.snapshot.writes
        with warnings.catch_warnings(), contextlib.redirect_stdout(_Nowhere(sys.stdout)), mode:
            # The model's own warnings and words were shown when its owner ran it; experiments repeat none of them.
            warnings.simplefilter("ignore")
            try:
                return Outcome(self.model(*args, **kwargs))
            except Exception as error:
                return Outcome(None, error)

    @cached_property
    def baseline(self) -> Trace:
        """The model on its inputs, every call written down."""
        self.says("the program as it is")
        with self.loads:
            trace = self.record(self.inputs.same())
        kept, buffers = (filter(None, map(trace.value_of, some)) for some in (self.kept_tensors(), self._buffers()))
        self.after = {value.index for value in kept}
        self.buffered = {value.index for value in buffers if value.maker is not None}
        self.inputs.learn(trace, layer_calls(trace, self.reached.names))
        if trace.error is None:
            trace.release()
        return trace

    def record(self, given: Given) -> Trace:
        """A run from the start, written down."""
        self.snapshot.restore()
        recorder = Recorder(self.still)
        for k, part in enumerate(parts(given)):
            data = part if isinstance(part, Tensor) else getattr(part, "data", None)
            if isinstance(data, Tensor):
                recorder.trace.inputs.append(recorder.value(data, origin=f"input {k}"))
        outcome = self._run(recorder, given)
        trace = recorder.trace
        trace.error = outcome.error
        recorder.finish(outcome.results)
        for module in {id(call.module): call.module for call in trace.calls if call.module is not None}.values():
            self.snapshot.add(module)
        return trace

    def follow(
        self,
        given: Given,
        compare: Callable[[Value, Tensor], None],
        *,
        edits: dict[int, Callable[..., Any]] | None = None,
        realign: bool = False,
    ) -> Outcome:
        """A run from the start beside the baseline: `compare` gets each recorded value and its counterpart."""
        baseline = self.baseline
        self.snapshot.restore()
        follower = Follower(baseline, compare, self.still, realign=realign)
        outcome = self._run(follower, given, {**self.held, **(edits or {})})
        outcome.repeated = follower.repeated
        if outcome.error is None:
            follower.finish(baseline, outcome.results)
        return outcome

    def moved(
        self, given: Given, wanted: set[int] | None, slack: float
    ) -> tuple[dict[int, Tensor | None], Exception | None]:
        """Where the wanted values (all if None) differ from the baseline's, None where that cannot be said."""
        moved: dict[int, Tensor | None] = {}

        def compare(value: Value, tensor: Tensor) -> None:
            if wanted is None or value.index in wanted:
                before = value.elements
                moved[value.index] = None if before is None else differs(before, tensor, slack)

        return moved, self.follow(given, compare).error

    def plain(
        self, given: Given, edits: dict[int, Callable[..., Any]] | None = None, patch: Callable[[], None] | None = None
    ) -> Outcome:
        """A run from the start that is only held still; `patch` changes the model before, for this run."""
        self.snapshot.restore()
        if patch is not None:
            patch()
        mode = Plain(self.still)
        outcome = self._run(mode, given, edits)
        outcome.losses = mode.losses
        return outcome

    def again(self, given: Given) -> Outcome:
        """A run from where the last one ended, with the random draws of the start."""
        self.snapshot.restore_random()
        return self._run(Plain(self.still), given)

    def ask(self, experiment: Callable[..., Value_], *about: Any) -> Value_:
        """The value of an experiment, on one call or on one fix where it is about one; computed once."""
        key = (experiment, *about)
        if key not in self._asked:
            self._asked[key] = experiment(self, *about)
        value: Value_ = self._asked[key]
        return value

    def known(self, experiment: Callable[[Experiments], Value_]) -> Value_ | None:
        """The value of an experiment if it was asked for."""
        value: Value_ | None = self._asked.get((experiment,))
        return value

    def hold(self, call: Call) -> None:
        """From here on, let a call give what it gave in the baseline."""
        kept = [value.elements for value in call.outputs]
        if len(kept) == 1 and isinstance(call.result, Value) and kept[0] is not None:
            self.held[call.index] = lambda func: lambda *_, **__: kept[0]

    def kept_tensors(self) -> list[Tensor]:
        """The tensors, no parameters and no buffers, that objects and modules hold now."""
        spaces, not_held = self.reached.spaces, MODULE_TABLES
        values = [v for space in spaces for name, v in space.items() if name not in not_held]
        values += [read() for read, _ in self.reached.variables]
        return [t for value in values for t in tensors_of(value, 3) if not isinstance(t, nn.Parameter)]

    @cached_property
    def kept_ids(self) -> set[int]:
        """The identities of the tensors that the program held before it ran."""
        self.snapshot.restore()
        return {id(t) for t in (*self.kept_tensors(), *self._buffers())}

    def _buffers(self) -> list[Tensor]:
        return [b for m in self.reached.modules.values() for b in m.buffers(recurse=False)]

    def is_kept(self, value: Value) -> bool:
        """Whether the program still holds a tensor, or a view or detached copy of it, after the baseline run."""
        copies = value.way_on(lambda call, _: call.name in _COPIES)
        return any(copy.index in self.after for copy in copies)

    # ------------------------------------------------------------------ what is there
    @property
    def N(self) -> int:
        return self.inputs.N

    @cached_property
    def layers(self) -> list[LayerCall]:
        return layer_calls(self.baseline, self.reached.names)

    @cached_property
    def slack(self) -> float:
        """What may move although nothing depends on it: a share of the largest element."""
        return _DYNAMIC_SLACK if any(call.name in _DYNAMIC for call in self.baseline.calls) else 0.0

    @cached_property
    def results(self) -> list[tuple[str, Value]]:
        """The tensors with axes that the call gives; where it gives only scalars, what they are sums of.

        Of a program that stops with an exception they are the operands of the call that stopped.
        """
        if self.baseline.error is not None:
            made = [value for value in self.baseline.stopped_with if value.maker is not None and _has_axes(value)]
            return [(" where it stops", value) for value in made]
        results = self.baseline.results
        shaped = [(path, value) for path, value in results if _has_axes(value)]
        if shaped:
            losses = [value for _, value in results if value.maker is not None and is_loss(value.maker.name)]
            rows = [value for value in _frontier(self.baseline, losses) if value.maker is not None]
            self.summed = {value.index for value in rows if value.maker is not None and is_loss(value.maker.name)}
            return shaped + [(" of the loss", value) for value in rows if value.index in self.summed]
        inner = _frontier(self.baseline, [value for _, value in results])
        self.summed = {value.index for value in inner}
        sums = [value.maker.name if value.maker is not None else "the result" for value in inner]
        return [(f"what {name} adds up", value) for name, value in zip(sums, inner, strict=True)]

    @cached_property
    def scalar(self) -> bool:
        """Whether the call gives nothing but scalars, as a loss does."""
        return self.baseline.error is None and not any(_has_axes(value) for _, value in self.baseline.results)

    @cached_property
    def on_path(self) -> set[int]:
        """The indices of all values that the results descend from."""
        return self.baseline.ancestors(*(value for _, value in self.results))

    def stops_alike(self, error: Exception | None) -> bool:
        """Whether a run ended as the baseline did: it came back, or stopped with the same kind of exception."""
        return type(error) is type(self.baseline.error)


def _has_axes(value: Value) -> bool:
    return len(value.shape) > 0 and value.tensor.numel() > 1


def _frontier(trace: Trace, scalars: list[Value]) -> list[Value]:
    """The tensors with axes nearest to the scalars; of a loss its rows."""
    inner: list[Value] = []
    waiting, seen = list(scalars), set()
    while waiting:
        value = waiting.pop(0)
        if value.index in seen or value.parameter:
            continue
        seen.add(value.index)
        maker = value.maker
        if maker is not None and is_loss(maker.name) and not _has_axes(value) and maker.index:
            before = trace.calls[maker.index - 1]
            if before.name == maker.name and before.line == maker.line and before.outputs:
                inner.append(before.outputs[0])
                continue
        if _has_axes(value):
            inner.append(value)
        else:
            waiting.extend(value.parents)
    return inner


def unwrapped(model: Callable[..., Any]) -> Callable[..., Any]:
    """The module inside what compiles or distributes it."""
    while isinstance(model, nn.Module):
        inner = compiled_from(model)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            break
        model = inner
    return model


class _Nowhere:
    """A stream that keeps nothing of what this thread writes; the others write where they wrote before."""

    encoding = "utf-8"

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread and self._stream is not None:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False
