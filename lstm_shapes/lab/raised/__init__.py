"""raised: what a program raised, explained by the operand at fault, with a fix that was tried on the operands."""

from __future__ import annotations

from ._explain import explained
from ._raised import Explanation, Raised

__all__ = ["Explanation", "Raised", "explained"]
