"""What check returns: a Report of Findings, values that know how to become plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from lstm_shapes.display import Shown

from .where import Where

__all__ = ["Evidence", "Finding", "Level", "Report"]

Level = Literal["error", "warning", "note"]
_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Evidence:
    """An experiment: what was done, what was seen, and the dependence matrix where there is one.

    `matrix[j][i]` is true where part j of the result moved when only part i of the input was changed;
    `rows` and `columns` name the two.
    """

    did: str
    saw: str
    matrix: tuple[tuple[bool, ...], ...] = ()
    rows: str = ""
    columns: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "did": self.did,
            "saw": self.saw,
            "matrix": [list(row) for row in self.matrix],
            "rows": self.rows,
            "columns": self.columns,
        }

    def __str__(self) -> str:
        return f"{self.did}: {self.saw}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth a note: what, where, why it is so, and the smallest edit.

    `level`: error = certain, warning = likely, note. `layer`: the qualified name of the recurrent layer.
    `cause`: the exception that the finding explains, None for a bug that raised nothing.
    """

    code: str
    name: str
    level: Level
    title: str
    detail: str
    fix: str
    layer: str = ""
    where: Where | None = None
    evidence: tuple[Evidence, ...] = ()
    cause: BaseException | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "code": self.code,
            "name": self.name,
            "level": self.level,
            "title": self.title,
            "layer": self.layer,
            "where": None if self.where is None else self.where.to_dict(),
            "detail": self.detail,
            "fix": self.fix,
            "evidence": [item.to_dict() for item in self.evidence],
            "cause": None if self.cause is None else f"{type(self.cause).__name__}: {self.cause}",
        }

    def __str__(self) -> str:
        lines = [f"{self.code} {self.level}: {self.title}" + (f"  [{self.layer}]" if self.layer else "")]
        if self.where is not None:
            lines.append(f"  at  {self.where}")
        lines.append(f"  saw {self.detail}")
        lines.append(f"  fix {self.fix}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """The findings of one check, errors first; `ok` where none of them is an error.

    `right` are the identities that were proved on the way: code that looks like a known mistake and is not.
    `runs` counts the forward runs that the experiments took.
    """

    findings: tuple[Finding, ...] = ()
    right: tuple[str, ...] = ()
    runs: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no error among the findings."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are certain."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are likely."""
        return tuple(finding for finding in self.findings if finding.level == "warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is worth knowing."""
        return tuple(finding for finding in self.findings if finding.level == "note")

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes found, in the order of the findings."""
        return tuple(finding.code for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "ok": self.ok,
            "findings": [finding.to_dict() for finding in self.findings],
            "right": list(self.right),
            "runs": self.runs,
        }

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings] or ["ok: nothing found"]
        lines += [f"right: {identity}" for identity in self.right]
        return "\n".join(lines)


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; each code once a place."""
    seen: dict[tuple[str, str, Where | None], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.code, finding.layer, finding.where), finding)
    return tuple(sorted(seen.values(), key=lambda finding: (_ORDER[finding.level], finding.code)))
