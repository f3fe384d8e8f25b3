"""Which explanation an exception gets: from the inside out, the first that knows it."""

from __future__ import annotations

from . import _calls as calls
from . import _kinds as kinds
from . import _packing as packing
from . import _recurrent as recurrent
from ._raised import Explanation, Raised

__all__ = ["explained"]

strict = False
"""For tests: an explanation that fails raises, instead of leaving the program's own message."""

_LOOKS = (
    kinds.configuration,
    kinds.kept_graph,
    packing.packing,
    recurrent.contract,
    kinds.output_kind,
    calls.function,
    kinds.refused,
)


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
    return kinds.unknown(raised)
