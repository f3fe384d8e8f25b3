"""check: silent shape bugs, proved by experiments on a recorded run, and what is raised, explained by its operand."""

from __future__ import annotations

from .check import check, examine
from .report import RULES, Evidence, Finding, Report, Rule

__all__ = ["RULES", "Evidence", "Finding", "Report", "Rule", "check", "examine"]
