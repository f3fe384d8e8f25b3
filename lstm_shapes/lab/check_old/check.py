"""check: run the model as it is, explain what it raises, and look by experiment for what it does not raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .failure import explain_exception
from .report import Finding, Report, ordered
from .rights import rights
from .rule import Rule, registry
from .study import Study
from .where import raised_at

__all__ = ["check"]


def check(
    model: Callable[..., Any],
    *inputs: Any,
    batch_dim: int | None = 0,
    lengths: Any = None,
    target: Any = None,
    **kwargs: Any,
) -> Report:
    """Find recurrent-shape bugs: `model(*inputs, **kwargs)` is run, and everything is put back afterwards.

    `batch_dim` is the batch axis of the inputs, None where there is none; `lengths` the steps of each row of a
    padded batch; `target` what the output will be compared with. An exception of the model is explained in
    the report and never raised.

    >>> import torch
    >>> from torch import nn
    >>> rnn = nn.LSTM(4, 8)
    >>> report = check(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4))
    >>> report.ok, report.codes
    (False, ('LS201',))
    """
    study = Study(model, inputs, kwargs, batch_dim, lengths, target)
    try:
        findings = _findings(study)
        right = () if any(f.level == "error" for f in findings) else tuple(rights(study))
        return Report(ordered(findings), right, study.runs)
    finally:
        study.close()


def _findings(study: Study) -> list[Finding]:
    first = study.first
    if first.error is not None:
        finding = explain_exception(first.error, first.seen, study)
        found = [finding if finding is not None else _unexplained(first.error)]
        return found + [f for f in (*_causes(study), *_noticed(study)) if f.code != found[0].code]
    found = []
    for rule in sorted(registry().values(), key=lambda rule: rule.order):
        if rule.find is not None:
            found += _asked(rule, study)
    return found


def _asked(rule: Rule, study: Study) -> list[Finding]:
    """A rule's findings; an experiment that this model does not allow is a note, never an exception."""
    assert rule.find is not None
    try:
        return list(rule.find(study))
    except Exception as error:
        return [
            registry()["LS303"].finding(
                f"the experiments of {rule.code} {rule.name} stopped with {type(error).__name__}: {error}",
                "the other rules were decided; a smaller part of the model can be checked on its own",
                level="note",
                title=f"{rule.code} could not be decided for this model",
                cause=error,
            )
        ]


def _causes(study: Study) -> list[Finding]:
    """What the exception may have come from: samples that were mixed before the program stopped."""
    seen = study.first.seen
    if seen.unfinished is not None or not seen.calls or study.batch_dim is None:
        return []
    rules = [registry()[code] for code in ("LS201", "LS202", "LS205", "LS207", "LS211", "LS214")]
    found = [f for rule in rules for f in _asked(rule, study) if f.level == "error"]
    return [replace(f, cause=study.first.error) for f in found]


def _noticed(study: Study) -> list[Finding]:
    """Notes that hold for a model that raises, too."""
    rule = registry()["LS301"]
    return [] if rule.find is None else list(rule.find(study))


def _unexplained(error: Exception) -> Finding:
    return registry()["LS303"].finding(
        f"{type(error).__name__}: {error}",
        "make the call run on its own first; no rule of recurrent shapes explains this exception",
        level="error",
        title="the program stopped with an exception that no rule explains",
        where=raised_at(error.__traceback__),
        cause=error,
    )
