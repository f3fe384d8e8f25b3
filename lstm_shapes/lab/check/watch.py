"""watch: a running program is checked without changing a line of it, and what it raises is explained."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from lstm_shapes.display import Shown
from lstm_shapes.lab._alone import alone, when_free
from lstm_shapes.lab.trace import Bounded, Trace, aside, raised_at, theirs

from ._loading import Loading
from ._roots import Roots
from ._rules_losses import seen_losses
from ._rules_raised import explain_error
from .report import RULES, Finding, Report, ordered

# The code of an exception that no rule explains: an error all the same, and no note.
_UNEXPLAINED = "LS113"


class Watch(Shown):
    """What a `with watch() as report:` has seen. `.report`, and its `.ok`, `.findings`, `.codes` as shortcuts.

    `functions=False` uses module hooks only, which may stay for a whole session; `tell` is called with the report on
    each root module as soon as there is one.
    """

    def __init__(
        self,
        *,
        experiments: bool = True,
        seconds: float = 30,
        functions: bool = True,
        tell: Callable[[Report], None] | None = None,
    ) -> None:
        self._roots = Roots(seconds, tell) if experiments else None
        self._recorder = Bounded(self._see, functions=functions)
        self._thread = threading.get_ident()
        self._loading = Loading() if functions else None
        self._handles: list[Any] = []
        self._seen: list[Finding] = []
        self._failed: Finding | None = None

    def __enter__(self) -> Watch:
        _LINES.open()
        if self._roots is not None:
            begins, ended = self._aside(self._roots.begins), self._aside(self._roots.ended)
            self._handles = [register_module_forward_pre_hook(begins), register_module_forward_hook(ended)]
        if self._loading is not None:
            self._loading.__enter__()
        self._recorder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recorder.__exit__(kind, error, trace)
        if self._loading is not None:
            self._loading.__exit__(kind, error, trace)
        for handle in self._handles:
            handle.remove()
        _LINES.close()
        if error is not None:
            self.explain(error)
        self._see(self._recorder.trace)

    def _aside(self, hook: Callable[..., None]) -> Callable[..., Any]:
        """A hook that the recorder does not see, for modules of this thread that no experiment calls."""

        def called(*given: Any) -> None:
            if threading.get_ident() == self._thread and self._roots is not None and not self._roots.busy:
                self._recorder.paused = True
                try:
                    hook(*given)
                finally:
                    self._recorder.paused = False

        return aside(called)

    def _see(self, trace: Trace) -> None:
        """Note what one run shows; a fault of ours is no reason to stop a program."""
        try:
            self._seen = list(ordered([*self._seen, *seen_losses(trace)]))
        except Exception as error:
            warnings.warn(f"lstm_shapes: the rules on losses stopped with {error!r}", stacklevel=2)

    # ------------------------------------------------------------------ exceptions
    def explain(self, error: BaseException, *, note: bool = True) -> Finding | None:
        """The finding that an exception amounts to, None where no rule knows it; `note` adds it to the exception.

        An exception that no rule knows is in the report too, so that a program that stopped is never called right.
        """
        if not isinstance(error, Exception):
            return None  # Ctrl-C and exit are nobody's bug
        trace = self._recorder.failed_with(error)
        self._failed = _explained(error, trace, self._recorder.names)
        if self._failed.code == _UNEXPLAINED:
            return None
        text = f"\nlstm_shapes: {self._failed}"
        if note and hasattr(error, "add_note") and text not in getattr(error, "__notes__", ()):
            error.add_note(text)
        return self._failed

    # ------------------------------------------------------------------ what is known
    @property
    def report(self) -> Report:
        """The findings up to now, and what they stand on."""
        findings = [self._failed] if self._failed is not None else []
        findings += [*self._seen, *(self._loading.findings if self._loading is not None else ())]
        if self._roots is None:
            return Report(ordered(findings), (), ("experiments (turned off)",))
        reports, skipped = self._roots.reports, self._roots.skipped
        not_tested = [line for report in reports for line in report.not_tested]
        not_tested += [why if why.startswith(name) else f"{name}: {why}" for name, why in skipped.items()]
        if not reports and not skipped:
            not_tested.append("no module with a recurrent layer was called")
        tested = tuple(line for report in reports for line in report.tested)
        findings += [finding for report in reports for finding in report.findings]
        return Report(ordered(findings), tested, tuple(not_tested), sum(report.runs for report in reports))

    @property
    def worth_saying(self) -> bool:
        """Whether a recurrent module was called, or something was found that is more than an unexplained exception."""
        called = self._roots is not None and bool(self._roots.reports or self._roots.skipped)
        return called or any(finding.code != _UNEXPLAINED for finding in self.findings)

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


def watch(experiments: bool = True, seconds: float = 30) -> Watch:
    """Check what runs inside a `with` block: a script, a notebook cell, a training loop.

    The first time a module with a recurrent layer is called (no module inside another one), the experiments of
    `check` run on that call before it goes on, for at most `seconds`. The program is not changed by them: weights,
    buffers, attributes, gradients and random states are put back bit for bit, with what the model holds, closes over
    and names. What a run writes elsewhere, into files above all, cannot be put back; a model that holds an open file
    or an iterator is not examined. The report says which axis was taken as the batch. `experiments=False` turns them
    off.

    An exception is explained in a note on it and raised on unchanged (Python 3.10 has no notes: read the report).

    >>> import torch
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = torch.nn.LSTM(4, 8)
    ...
    ...     def forward(self, x):
    ...         return self.rnn(x)[0][:, -1]
    >>> net = Net()
    >>> with watch() as report:
    ...     y = net(torch.randn(3, 5, 4))
    >>> report.ok, report.codes
    (False, ('LS201',))
    """
    return Watch(experiments=experiments, seconds=seconds)


def _explained(error: Exception, trace: Trace, names: dict[int, str]) -> Finding:
    """An exception as a finding; no fault of ours may hide it."""
    try:
        with alone():
            return explain_error(error, trace, names)
    except Exception as ours:
        title = f"the program raises {type(error).__name__}, and explaining it stopped with {ours!r}"
        return RULES[_UNEXPLAINED].finding(title, str(error), "", raised_at(error.__traceback__), cause=error)


# What torch says of our own hooks where a compiled module is called.
_OUR_HOOKS = r"Using `torch\.compile\(module\)` when there are global hooks"


class _UsersLines:
    """torch's warnings name the line of the user that they are about, and not one of torch's or ours.

    One for all watches of the process, put in place by the first and taken back by the last; not while another thread
    is in a run, which would put back the filters that it found.
    """

    def __init__(self) -> None:
        self._watches = 0
        self._before: Callable[..., Any] = warnings.showwarning
        self._said: set[tuple[str, str, int]] = set()
        self._filter: Any = None

    def open(self) -> None:
        when_free(self._put)

    def close(self) -> None:
        when_free(self._take_back)

    def _put(self) -> None:
        self._watches += 1
        if self._watches == 1:
            self._said.clear()
            self._before, warnings.showwarning = warnings.showwarning, self._show
            warnings.filterwarnings("ignore", _OUR_HOOKS)
            self._filter = warnings.filters[0]

    def _take_back(self) -> None:
        self._watches -= 1
        if self._watches == 0 and self._filter in warnings.filters:
            warnings.filters.remove(self._filter)  # type: ignore[attr-defined]
        if self._watches == 0 and warnings.showwarning == self._show:
            warnings.showwarning = self._before

    def _show(
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
    ) -> None:
        if not theirs(filename):
            frame: Any = sys._getframe(1)
            while frame is not None and (not theirs(own := frame.f_code.co_filename) or own == warnings.__file__):
                frame = frame.f_back
            if frame is not None:
                filename, lineno, line = frame.f_code.co_filename, frame.f_lineno, None
            if (str(message), filename, lineno) in self._said:
                return  # Python says a warning once a line, and took ours for the line
            self._said.add((str(message), filename, lineno))
        self._before(message, category, filename, lineno, file, line)


_LINES = _UsersLines()
