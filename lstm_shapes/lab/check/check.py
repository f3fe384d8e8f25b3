"""check: run the model as it is, explain what it raises, and look by experiment for what it does not raise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from . import rules_padding, rules_samples
from .experiments import Experiments, OutOfTime
from .padding import lengths_of, padding_of
from .report import Finding, Report, ordered
from .rule import RULES
from .samples import samples_of

__all__ = ["check", "examine"]

# Importing a module of rules registers them; the order of a report is that of its levels.
_RULE_MODULES = (rules_samples, rules_padding)


def check(
    model: Callable[..., Any],
    *inputs: Any,
    batch_dim: int | None = 0,
    lengths: Any = None,
    target: Any = None,
    loss: Callable[..., Any] | None = None,
    mixes: bool = False,
    **kwargs: Any,
) -> Report:
    """Find silent shape bugs: `model(*inputs, **kwargs)` is run some times, and everything is put back afterwards.

    `batch_dim` is the batch axis of the inputs, None where there is none; `lengths` the steps of each row of a padded
    batch; `target` what the output is compared with by `loss`; `mixes=True` declares that samples see each other on
    purpose. An exception of the model is explained in the report and never raised.

    >>> import torch
    >>> from torch import nn
    >>> rnn = nn.LSTM(4, 8)
    >>> report = check(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4))
    >>> report.ok, report.codes
    (False, ('LS201',))
    """
    progress = _Progress()
    lab = Experiments(model, inputs, kwargs, batch_dim, lengths, progress=progress.says)
    lab.target, lab.loss, lab.mixes = target, loss, mixes
    try:
        return examine(lab)
    finally:
        lab.close()
        progress.done()


def examine(lab: Experiments) -> Report:
    """All rules on one program. Time that runs out ends the experiments, not the report."""
    findings: list[Finding] = []
    stopped = ""
    try:
        for each in RULES.values():
            findings += each.find(lab.ask(each.reads), lab)
    except OutOfTime:
        stopped = "the time was over"
    tested, not_tested = _summary(lab)
    if stopped:
        not_tested = (*not_tested, f"the rest: {stopped}")
    return Report(ordered(findings), tested, not_tested, lab.runs)


def _summary(lab: Experiments) -> tuple[tuple[str, ...], tuple[str, ...]]:
    tested: list[str] = []
    not_tested: list[str] = []
    samples, padding = lab.known(samples_of), lab.known(padding_of)
    if samples is not None and samples.kind == "untested":
        not_tested.append(f"samples ({samples.why})")
    elif samples is not None:
        tested.append(f"samples ({len(samples.tested)} of {lab.N})")
    if padding is not None and padding.kind == "untested":
        not_tested.append(f"padding ({padding.why})")
    elif padding is not None:
        lengths = lab.known(lengths_of)
        tested.append("padding" if lengths is None or isinstance(lengths, str) else f"padding ({lengths.source})")
    not_tested += sorted(lab.baseline.unseen)
    return tuple(tested), tuple(not_tested)


class _Progress:
    """After two seconds a terminal sees which experiment runs."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._width = 0

    def says(self, what: str) -> None:
        if time.monotonic() - self._start > 2 and sys.stderr.isatty():
            line = f"lstm_shapes check: {what} …"[:79]
            sys.stderr.write("\r" + line.ljust(self._width))
            sys.stderr.flush()
            self._width = len(line)

    def done(self) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
