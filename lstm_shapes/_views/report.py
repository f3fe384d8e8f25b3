"""A report as a page: each finding in one look, errors first, what was tested at the end; and the rules as a table."""

from __future__ import annotations

from collections.abc import Iterable

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Drawing, Lines, Mark, Page, Role, Sheet, code
from lstm_shapes.lab.check import Evidence, Finding, Report, Rule
from lstm_shapes.lab.check.watch import Watch
from lstm_shapes.lab.trace import Where

from .titles import near

_ROLES: dict[str, Role] = {"error": "bad", "warning": "strong", "note": "quiet"}
_MARKS = {"error": "✗", "warning": "!", "note": "·"}
# A dependence matrix is drawn up to this many rows and columns; beyond, its sentence says enough.
_DRAWN = 12


@view.register(Report)
def report_view(report: Report) -> Page:
    blocks: list[Block] = [_finding(finding) for finding in report.findings]
    blocks.append(Lines("", report.summary))
    return Page(_verdict(report), "", tuple(blocks))


@view.register(Watch)
def watch_view(watched: Watch) -> Page:
    return report_view(watched.report)


def _verdict(report: Report) -> str:
    numbers = [(len(report.errors), "error"), (len(report.warnings), "warning"), (len(report.notes), "note")]
    said = ", ".join(f"{number} {word}{'s' if number > 1 else ''}" for number, word in numbers if number)
    return f"lstm_shapes check: {said or report.conclusion.removeprefix('ok: ')}"


def _finding(finding: Finding) -> Sheet:
    rows: list[tuple[str, Cell]] = [(word, _row(finding, word, text)) for word, text in finding.rows]
    drawn = [("moved", Mark(text, "number")) for text in map(_matrix, finding.evidence) if text]
    rule = ("rule", f"{finding.code} {finding.name} (`lstm-shapes rules {finding.code}`)")
    return Sheet(
        f"{_MARKS[finding.level]} {finding.title}",
        (Column(""), Column("", whole=False)),
        tuple(
            (Mark(word, _ROLES[finding.level] if word == "fix" else "quiet"), cell)
            for word, cell in (*rows, *drawn, rule)
        ),
    )


def _row(finding: Finding, word: str, text: str) -> Cell:
    if word == "at" and finding.where is not None:
        return _place(finding.where)
    if word == "fix":
        return Mark(text, "strong")
    return Mark(text, "quiet") if word in ("raised", "made by") else text


def _place(where: Where) -> Cell:
    """File and line, and below them what is written there; a backtick of theirs is one."""
    line = f"{near(where.file)}:{where.line}"
    if "`" in line + where.source:
        return code(f"{line}\n{where.source}".rstrip())
    return f"{line}\n`{where.source}`" if where.source else line


def _matrix(item: Evidence) -> str:
    """Which part of the result moved with which part of the input, as a block of dots."""
    if not item.matrix or len(item.matrix) > _DRAWN or len(item.matrix[0]) > _DRAWN:
        return ""
    lines = ["".join("■ " if moved else "· " for moved in row).rstrip() for row in item.matrix]
    return f"rows: {item.rows}; columns: {item.columns}\n" + "\n".join(lines)


def rules_view(rules: Iterable[Rule]) -> Page:
    rows: tuple[tuple[Cell, ...], ...] = tuple((code(rule.code), rule.name, rule.title) for rule in rules)
    columns = (Column("code"), Column("name"), Column("what is wrong", whole=False))
    sheet = Sheet("1xx explains an exception, 2xx is proved by experiment, 3xx is a note", columns, rows)
    return Page(
        "Rules of lstm-shapes check", "`lstm-shapes rules LS201` shows one with a wrong and a right program.", (sheet,)
    )


def rule_view(rule: Rule) -> Page:
    """One rule: why it matters, a program that breaks it, and the one that does not."""
    return Page(
        f"{rule.code} {rule.name}",
        rule.title,
        (Lines("Why", (rule.why,)), Drawing("Wrong", rule.wrong.strip()), Drawing("Right", rule.right.strip())),
    )
