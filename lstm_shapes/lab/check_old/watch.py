"""watch and install: the same explanations for code that is not a function, from one run and nothing else.

A watch keeps no tensor alive: of every layer call but the last few it remembers shapes only, so that a training loop
of any length costs what it costs without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.display import Shown

from .failure import explain_exception
from .notices import notices
from .record import Observation, Recorder
from .report import Finding, Report, ordered

__all__ = ["Watch", "watch"]

# Calls and operations whose tensors are kept: enough for the rule that explains an exception to look back at.
_RECENT = 8
_MOST_CALLS = 10_000
_MOST_OPS = 4_096


class Watch(Shown):
    """What a `with watch() as report:` has seen. `.report`, and its `.ok`, `.findings`, `.codes` as shortcuts."""

    def __init__(self, *, functions: bool = True) -> None:
        self._recorder = _Light(functions=functions)
        self._failed: Finding | None = None

    def __enter__(self) -> Watch:
        self._recorder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recorder.__exit__(kind, error, trace)
        if error is not None:
            self.explain(error)

    def explain(self, error: BaseException, *, note: bool = True) -> Finding | None:
        """The finding that an exception amounts to, None where no rule knows it; `note` adds it to the exception."""
        if not isinstance(error, Exception):
            return None  # Ctrl-C and exit are nobody's bug
        seen = self._recorder.seen
        _forget_what_was_caught(seen, error)
        finding = explain_exception(error, seen)
        if finding is not None:
            self._failed = finding
            text = f"\nlstm_shapes: {finding}"
            if note and hasattr(error, "add_note") and text not in getattr(error, "__notes__", ()):
                error.add_note(text)
        return finding

    @property
    def report(self) -> Report:
        """The findings up to now."""
        found = [self._failed] if self._failed is not None else []
        found += self._recorder.found + notices(self._recorder.seen)
        return Report(ordered(found), (), 1)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.report.findings

    @property
    def codes(self) -> tuple[str, ...]:
        return self.report.codes

    @property
    def ok(self) -> bool:
        return self.report.ok

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return str(self.report)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return self.report.to_dict()


def watch() -> Watch:
    """Explain what goes wrong inside a `with` block: a script, a notebook cell, a training loop.

    An exception is explained in a note on it and raised on unchanged (Python 3.10 has no notes: read the report).
    Rules that need no second run are applied; for proofs by experiment use `check`.

    >>> import torch
    >>> with watch() as report:
    ...     Y, (hn, cn) = torch.nn.LSTM(4, 8, dropout=0.0)(torch.randn(5, 3, 4))
    >>> report.ok
    True
    """
    return Watch()


class _Light(Recorder):
    """A recorder that can run for hours: what is no longer needed is replaced by its shape."""

    def __init__(self, *, functions: bool) -> None:
        super().__init__(trace=functions, functions=functions)
        self.found: list[Finding] = []

    def _before(self, module: nn.Module, args: Any) -> Any:
        if len(self.seen.calls) >= _MOST_CALLS and not self.seen.pending:
            self._turn_the_page()
        return super()._before(module, args)

    def _turn_the_page(self) -> None:
        """Keep what was found, and forget what it was found in."""
        self.found += notices(self.seen)
        self.seen.calls.clear()
        self.seen.losses.clear()
        if self.seen.trace is not None:
            self.seen.trace.ops.clear()
            self.seen.trace.origins.clear()

    def _after(self, module: nn.Module, args: Any, output: Any) -> Any:
        replaced = super()._after(module, args, output)
        calls, losses, trace = self.seen.calls, self.seen.losses, self.seen.trace
        if len(calls) > _RECENT:
            old = calls[-_RECENT - 1]
            old.args, old.kwargs = _shape_only(old.args), _shape_only(old.kwargs)
            old.output, old.taps = _shape_only(old.output), _shape_only(old.taps)
        if len(losses) > _RECENT:
            loss = losses[-_RECENT - 1]
            loss.prediction, loss.target = _shape_only(loss.prediction), _shape_only(loss.target)
        del losses[:-_MOST_CALLS]
        if trace is not None and len(trace.ops) > _MOST_OPS:
            del trace.ops[: -_MOST_OPS // 2]
        return replaced


def _shape_only(value: Any) -> Any:
    """Tensors on the meta device in place of tensors."""
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, PackedSequence):
        return PackedSequence(_shape_only(value.data), value.batch_sizes, value.sorted_indices, value.unsorted_indices)
    if isinstance(value, dict):
        return {key: _shape_only(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(_shape_only(item) for item in value)
    return value


def _forget_what_was_caught(seen: Observation, error: BaseException) -> None:
    """Drop modules that never came back for the sake of an earlier exception, which the program has dealt with."""
    running: set[int] = set()
    trace = error.__traceback__
    while trace is not None:
        # A module that was running is the `self` of a frame; other frames may merely know it.
        running.add(id(trace.tb_frame.f_locals.get("self")))
        trace = trace.tb_next
    seen.pending[:] = [pending for pending in seen.pending if id(pending.module) in running]
    for call in seen.calls:
        if not call.done and id(call.module) not in running:
            call.done = True


def explain_to_stderr(watched: Watch, error: BaseException) -> None:
    """Where Python does not print notes, print the explanation after the traceback."""
    finding = watched.explain(error)
    if finding is not None and not hasattr(error, "__notes__"):
        sys.stderr.write(f"lstm_shapes: {finding}\n")
