"""A report as a page: each finding in one look, errors first; and the rules as a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Lines, Mark, Page, Role, Sheet, code
from lstm_shapes.lab.check import report as traced
from lstm_shapes.lab.check_old.report import Evidence, Finding, Report
from lstm_shapes.lab.check_old.rule import Rule
from lstm_shapes.lab.check_old.watch import Watch

__all__ = ["report_view", "rule_view", "rules_view", "watch_view"]

_ROLES: dict[str, Role] = {"error": "bad", "warning": "strong", "note": "quiet"}
# A dependence matrix is drawn up to this many rows and columns; beyond, its sentence says enough.
_DRAWN = 16


@view.register(Report)
@view.register(traced.Report)  # takes the place of the other
def report_view(report: Report) -> Page:
    """What `check` returns."""
    blocks: list[Block] = [_finding(finding) for finding in report.findings]
    right: tuple[str, ...] = getattr(report, "right", ())
    if right:
        blocks.append(Lines("Looks like a known mistake, and is right", right))
    return Page(_verdict(report), "", tuple(blocks))


@view.register(Watch)
def watch_view(watched: Watch) -> Page:
    """What `watch` has seen."""
    return report_view(watched.report)


def _verdict(report: Report) -> str:
    numbers = [(len(report.errors), "error"), (len(report.warnings), "warning"), (len(report.notes), "note")]
    said = ", ".join(f"{number} {word}{'s' if number > 1 else ''}" for number, word in numbers if number)
    return f"lstm_shapes check: {said or 'nothing found'}"


def _finding(finding: Finding) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    if finding.where is not None:
        rows.append(("where", _place(f"{_near(finding.where.file)}:{finding.where.line}", finding.where.source)))
    if finding.layer:
        rows.append(("layer", code(finding.layer)))
    rows.append(("seen", finding.detail))
    rows.append(("fix", Mark(finding.fix, "strong")))
    rows += [("evidence", f"{item}{_matrix(item)}") for item in finding.evidence]
    if finding.cause is not None:
        rows.append(("raised", Mark(f"{type(finding.cause).__name__}: {finding.cause}", "quiet")))
    mark = {"error": "✗", "warning": "!", "note": "·"}[finding.level]
    return Sheet(
        f"{mark} {finding.code} {finding.level}: {finding.title}",
        (Column(""), Column("", whole=False)),
        tuple((Mark(str(name), _ROLES[finding.level] if name == "fix" else "quiet"), cell) for name, cell in rows),
    )


def _near(file: str) -> str:
    """A path as short as it can be said from here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _place(line: str, source: str) -> Cell:
    """File and line, and below them what is written there; a backtick of theirs is one."""
    if "`" in line + source:
        return code(f"{line}\n{source}".rstrip())
    return f"{line}\n`{source}`" if source else line


def _matrix(item: Evidence) -> str:
    """Which part of the result moved with which part of the input, as a block of dots."""
    if not item.matrix or len(item.matrix) > _DRAWN or len(item.matrix[0]) > _DRAWN:
        return ""
    lines = ["".join("■ " if moved else "· " for moved in row).rstrip() for row in item.matrix]
    return f"\nrows: {item.rows}; columns: {item.columns}\n" + "\n".join(lines)


def rules_view(rules: Iterable[Rule]) -> Page:
    """The table of codes."""
    rows: tuple[tuple[Cell, ...], ...] = tuple((code(rule.code), rule.name, rule.title) for rule in rules)
    columns = (Column("code"), Column("name"), Column("what is wrong", whole=False))
    sheet = Sheet("1xx explains an exception, 2xx is proved by experiment, 3xx is a note", columns, rows)
    return Page(
        "Rules of lstm-shapes check", "`lstm-shapes rules LS201` shows one with a wrong and a right program.", (sheet,)
    )


def rule_view(rule: Rule) -> Page:
    """One rule: why it matters, a program that breaks it, and the one that does not."""
    from lstm_shapes.display.page import Drawing

    return Page(
        f"{rule.code} {rule.name}",
        rule.title,
        (
            Lines("Why", (rule.why,)),
            Drawing("Wrong", rule.wrong.strip()),
            Drawing("Right", rule.right.strip()),
        ),
    )
