"""explain_error: the one thing that made a program stop, as a finding."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.lab.trace import Trace

from . import raised_calls, raised_kinds, raised_layers, raised_losses, raised_packing
from .experiments import Experiments
from .loading import explain_load_error
from .raised import Explanation, Raised, raised_of
from .report import Finding
from .rule import RULES

__all__ = ["explain_error", "explained", "explanation_of", "finding_of", "load_error_of", "loads_of"]

strict = False
"""For tests: an explanation that fails raises, instead of leaving the program's own message."""

# From the inside out: the first that knows the exception explains it.
_LOOKS = (
    raised_kinds.configuration,
    raised_kinds.kept_graph,
    raised_packing.packing,
    raised_layers.contract,
    raised_kinds.output_kind,
    raised_losses.loss,
    raised_calls.function,
    raised_kinds.refused,
)


def explain_error(error: BaseException, trace: Trace | None = None, names: dict[int, str] | None = None) -> Finding:
    """An exception as a finding, with or without a record of what led to it; `names` are those of modules by id.

    Without a record the arguments of modules, and the variables of the line that raised, are all there is to read.
    """
    loading = explain_load_error(error)
    if loading is not None:
        return loading
    raised = Raised(error, trace or Trace(), names or {})
    return finding_of(raised, explained(raised))


def explained(raised: Raised) -> Explanation:
    """What an exception came from; its own message alone where nothing more is known."""
    for look in _LOOKS:
        try:
            found = look(raised)
        except Exception:  # a program of a kind that nobody foresaw keeps its own message
            if strict:
                raise
            continue
        if found is not None:
            return found
    return raised_kinds.unknown(raised)


def explanation_of(lab: Experiments) -> tuple[Raised, Explanation] | None:
    """The exception of the program as it is, with its explanation."""
    raised = lab.ask(raised_of)
    if raised is None or lab.ask(load_error_of) is not None:
        return None
    return raised, explained(raised)


def load_error_of(lab: Experiments) -> Finding | None:
    """What load_state_dict refused, where that is the exception."""
    error = lab.baseline.error
    return None if error is None else explain_load_error(error)


def loads_of(lab: Experiments) -> tuple[Finding, ...]:
    """What was loaded without a word in the run as it is."""
    return tuple(lab.loads.findings) if lab.baseline.error is None else ()


def finding_of(raised: Raised, explanation: Explanation) -> Finding:
    """An explanation as a finding of its rule."""
    where = explanation.where or raised.where
    return RULES[explanation.code].finding(
        explanation.title,
        explanation.measured,
        explanation.fix,
        where,
        layer=explanation.layer,
        made_by=tuple(_made(raised, explanation)),
        cause=raised.error,
    )


def _made(raised: Raised, explanation: Explanation) -> Iterator[str]:
    """The line that made each operand, where it is another than the failing one."""
    seen = {str(explanation.where or raised.where)}
    for value in explanation.operands:
        place = str(value.maker.where) if value.maker is not None else ""
        if place and place not in seen:
            seen.add(place)
            yield f"{place}  ({raised.described(value)})"
