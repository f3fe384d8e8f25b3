"""explained: the one thing that made a program stop."""

from __future__ import annotations

from . import raised_calls, raised_kinds, raised_layers, raised_losses, raised_packing
from .experiments import Experiments
from .raised import Explanation, Raised, raised_of

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
    return None if raised is None else (raised, explained(raised))
