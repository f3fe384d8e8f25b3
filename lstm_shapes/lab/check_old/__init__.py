"""check: recurrent-shape bugs explained where torch raises, and proved by experiment where it does not."""

from __future__ import annotations

from .check import check
from .failure import explain_exception
from .record import Observation, Recorder
from .report import Evidence, Finding, Report
from .rule import Rule, registry
from .where import Where

__all__ = [
    "Evidence",
    "Finding",
    "Observation",
    "Recorder",
    "Report",
    "Rule",
    "Where",
    "check",
    "explain_exception",
    "registry",
]
