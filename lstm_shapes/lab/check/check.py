"""check: run the model as it is, explain what it raises, and look by experiment for what it does not raise."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.errors import SpecError, in_one_sentence
from lstm_shapes.lab._alone import alone
from lstm_shapes.lab._words import refuse_call, signature_of
from lstm_shapes.lab.trace import tensors_of

# Importing a module of rules registers them; the order of a report is that of its levels.
from . import _placing, _rules_losses, _rules_padding, _rules_raised, _rules_rows, _rules_samples, _rules_states  # noqa: F401
from ._blame import blame_of
from ._experiments import Experiments, OutOfTime, unwrapped
from ._inputs import whole_numbers
from ._rules_padding import lengths_of, padding_of
from ._samples import samples_of
from .report import FINDERS, Finding, Report, ordered


@in_one_sentence
def check(
    model: Callable[..., object],
    *inputs: object,
    batch_dim: int | None = 0,
    lengths: object = None,
    target: object = None,
    loss: Callable[..., object] | None = None,
    mixes: bool = False,
    **kwargs: object,
) -> Report:
    """Find silent shape bugs: `model(*inputs, **kwargs)` is run some times, and everything is put back afterwards.

    An exception of the model is explained in the report and never raised.

    Args:
        model: a module, or a function of tensors
        inputs, kwargs: what it is called with; N sequences in the batch, L steps in a sequence
        batch_dim: the axis of the inputs that holds the N samples; None where there is none
        lengths: steps of each row of a padded batch: tests that padding does not matter; or what forward calls so
        target: what the output is compared with
        loss: with what, a function of output and target: tests what the two do to each other
        mixes: True declares that samples see each other on purpose

    >>> import torch
    >>> from torch import nn
    >>> rnn = nn.LSTM(4, 8)
    >>> report = check(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4))
    >>> report.ok, report.codes
    (False, ('LS201',))

    Raises `SpecError` where a class, an array, a shape or nothing is given in the place of a model and its tensors.
    """
    _understood(model, inputs, kwargs, batch_dim, lengths)
    progress = _Progress()
    kwargs = _passed_on(model, inputs, kwargs, {"lengths": lengths, "target": target, "loss": loss})
    if loss is not None and target is not None:
        model, inputs = partial(_compared, unwrapped(model), loss), (*inputs, target)
    with alone():
        lab = Experiments(model, inputs, kwargs, batch_dim, lengths, progress=progress.says)
        lab.target, lab.loss, lab.mixes = target, loss, mixes
        try:
            return examine(lab)
        finally:
            lab.close()
            progress.done()


def _understood(
    model: Callable[..., Any], inputs: tuple[Any, ...], kwargs: dict[str, Any], batch_dim: object, lengths: object
) -> None:
    """Refuse what is no model and no tensor, with a sentence that says what to pass."""
    if batch_dim is not None and (not isinstance(batch_dim, int) or batch_dim < 0):
        raise SpecError("batch_dim", "the batch axis, counted from 0, or None where there is none", batch_dim)
    refuse_call(check, model, inputs, kwargs)
    parameters = signature_of(model).parameters
    if lengths is not None and whole_numbers(lengths) is None and "lengths" not in parameters:
        raise SpecError("lengths", "whole numbers, the steps of each sample", lengths)
    names = [*parameters, *(f"input {k}" for k in range(len(parameters), len(inputs)))]
    given = [*zip(names, inputs, strict=False), *kwargs.items()]
    if any(isinstance(value, PackedSequence) or next(tensors_of(value), None) is not None for _, value in given):
        return
    for name, value in given:
        if isinstance(value, type):
            raise SpecError(name, "a tensor", value, "An instance is meant, no class")
        if type(value).__module__ == "numpy" and hasattr(value, "__array__"):
            raise SpecError(name, "a tensor", type(value), f"torch.from_numpy({name}) makes one")
        if isinstance(value, tuple) and value and all(type(size) is int for size in value):
            shape = ", ".join(map(str, value))
            raise SpecError(name, "a tensor", value, f"torch.randn({shape}) is one of this shape")


_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _passed_on(
    model: Callable[..., Any], inputs: tuple[Any, ...], kwargs: dict[str, Any], told: dict[str, Any]
) -> dict[str, Any]:
    """What check is told is the model's too, where forward has a parameter of that name that is not given already."""
    parameters = signature_of(model).parameters
    by_place = [name for name, one in parameters.items() if one.kind not in (*_MANY, one.KEYWORD_ONLY)]
    free = set(parameters) - set(by_place[: len(inputs)])
    return {name: value for name, value in told.items() if value is not None and name in free} | kwargs


def _compared(model: Callable[..., Any], loss: Callable[..., Any], /, *inputs: Any, **kwargs: Any) -> Any:
    """The loss of what a model gives, as one program; the last input is the target."""
    return loss(model(*inputs[:-1], **kwargs), inputs[-1])


def examine(lab: Experiments) -> Report:
    """All rules on one program. Time that runs out ends the experiments, not the report."""
    findings: list[Finding] = []
    stopped: tuple[str, ...] = ()
    try:
        for reads, find in FINDERS:
            found = find(*(lab.ask(read) for read in reads), lab)
            findings += [_declared(f) for f in found] if lab.mixes and blame_of in reads else found
        error = lab.baseline.error
        if error is not None:  # a bug that was there before is what the exception came from
            findings = [one if one.cause is not None else replace(one, cause=error) for one in findings]
    except OutOfTime:
        stopped = ("the rest: the time was over",)
    tested, not_tested = list[str](), list[str]()
    samples, padding, lengths = lab.known(samples_of), lab.known(padding_of), lab.known(lengths_of)
    source = "" if lengths is None or isinstance(lengths, str) else f" ({lengths.source})"
    for what, one in (("samples", samples), ("padding", padding)):
        if one is not None and one.kind == "untested":
            not_tested.append(f"{what} ({one.why})")
        elif one is not None:
            tested.append(f"samples ({len(samples.tested)} of {lab.N})" if one is samples else f"padding{source}")
    return Report(ordered(findings), tuple(tested), (*not_tested, *sorted(lab.baseline.unseen), *stopped), lab.runs)


def _declared(finding: Finding) -> Finding:
    """What mixes=True says is on purpose: a note."""
    return replace(finding, level="note") if finding.level == "error" else finding


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
