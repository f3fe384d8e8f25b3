"""A report as SARIF 2.1.0, which code hosts show at the lines it speaks of.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, sections 3.13 to 3.30.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lstm_shapes.lab.check_old.report import Finding, Report
    from lstm_shapes.lab.check_old.rule import Rule

__all__ = ["sarif"]


def sarif(report: Report, rules: Mapping[str, Rule], version: str, root: Path | None = None) -> dict[str, Any]:
    """One run of one tool: its rules, and a result for each finding. Files below `root` are named relative to it."""
    base = (root or Path.cwd()).resolve()
    used = [rules[found] for found in sorted({finding.code for finding in report.findings})]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "lstm_shapes",
                        "semanticVersion": version,
                        "rules": [
                            {
                                "id": rule.code,
                                "name": rule.name,
                                "shortDescription": {"text": rule.title},
                                "fullDescription": {"text": rule.why},
                            }
                            for rule in used
                        ],
                    }
                },
                "originalUriBaseIds": {"SRCROOT": {"uri": base.as_uri() + "/"}},
                "results": [_result(finding, [rule.code for rule in used], base) for finding in report.findings],
            }
        ],
    }


def _result(finding: Finding, codes: list[str], base: Path) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": finding.level,  # SARIF knows the same three words
        "message": {"text": f"{finding.title}. {finding.detail}. Fix: {finding.fix}"},
    }
    if finding.where is not None:
        region: dict[str, Any] = {"startLine": max(1, finding.where.line)}
        if finding.where.source:
            region["snippet"] = {"text": finding.where.source}
        result["locations"] = [
            {"physicalLocation": {"artifactLocation": _artifact(finding.where.file, base), "region": region}}
        ]
    return result


def _artifact(file: str, base: Path) -> dict[str, str]:
    """Where a file is, relative to the root if it lies below it; a program from a string has no path."""
    if file.startswith("<"):
        return {"uri": file.strip("<>").replace(" ", "%20") or "string"}
    path = Path(file).resolve()
    if path.is_relative_to(base):
        return {"uri": path.relative_to(base).as_posix(), "uriBaseId": "SRCROOT"}
    return {"uri": path.as_uri()}
