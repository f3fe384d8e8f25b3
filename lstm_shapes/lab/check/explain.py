"""explained: the one thing that made a program stop."""

from __future__ import annotations

from . import raised_calls, raised_kinds, raised_layers, raised_losses, raised_packing
from .experiments import Experiments
from .loading import explain_load_error
from .raised import Explanation, Raised, raised_of
from .report import Finding

__all__ = ["explained", "explanation_of"]

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


def explained(raised: Raised) -> Explanation:
    """What an exception came from; its own message alone where nothing more is known."""
    for look in _LOOKS:
        found = look(raised)
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
