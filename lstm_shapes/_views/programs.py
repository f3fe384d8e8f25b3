"""What is shown of a program: a report, each finding in one look, errors first; the rules; a walk, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Branch, Cell, Column, Drawing, Lines, Mark, Page, Role, Sheet, Tree, code
from lstm_shapes.lab.check import Evidence, Finding, Report, Rule
from lstm_shapes.lab.check.watch import Watch
from lstm_shapes.lab.walk import Made, Step, Walk
from lstm_shapes.language import counted, gloss, say

_ROLES: dict[str, Role] = {"error": "bad", "warning": "strong", "note": "quiet"}
_MARKS = {"error": "✗", "warning": "!", "note": "·"}
# A dependence matrix is drawn up to this many rows and columns; beyond, its sentence says enough.
_DRAWN = 12


@view.register(Report)
def report_view(report: Report) -> Page:
    numbers = [(len(report.errors), "error"), (len(report.warnings), "warning"), (len(report.notes), "note")]
    said = ", ".join(counted(number, word) for number, word in numbers if number)
    title = f"lstm_shapes check: {said or report.conclusion.removeprefix('ok: ')}"
    return Page(title, "", (*map(_finding, report.findings), Lines("", report.summary)))


view.register(Watch, lambda watched: report_view(watched.report))


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
    if word == "at" and (where := finding.where) is not None:
        # File and line, and below them what is written there; a backtick of theirs is one.
        line = f"{_near(where.file)}:{where.line}"
        if "`" in line + where.source:
            return code(f"{line}\n{where.source}".rstrip())
        return f"{line}\n`{where.source}`" if where.source else line
    if word == "fix":
        return Mark(text, "strong")
    return Mark(text, "quiet") if word in ("raised", "made by") else text


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
    return Page(
        f"{rule.code} {rule.name}",
        rule.title,
        (Lines("Why", (rule.why,)), Drawing("Wrong", rule.wrong.strip()), Drawing("Right", rule.right.strip())),
    )


# ---- a walk: each line of the program, and under it what it made


@view.register(Walk)
def walk_view(walk: Walk) -> Page:
    columns = (Column(say("line"), right=True), Column(say("program"), fold=True))
    ends = [Branch(tuple(("", Mark(_made(made), "symbol")) for made in some)) for some in (walk.inputs, walk.output)]
    blocks: list[Block] = [Tree("", columns, (ends[0], *_branches(walk.steps), ends[1]), open=2)]
    if walk.notes:
        blocks.append(Lines(say("notes"), walk.notes))
    if walk.error is not None:
        said = [f"{type(walk.error).__name__}: {walk.error}"]
        if walk.report is not None:
            for one in walk.report.findings[:3]:
                measured = f"{one.code} {one.title}: {one.detail}"
                said.append(f"{measured.rstrip('.?! ')}; fix: {one.fix}" if one.fix else measured)
        blocks.append(Lines(say("the program stopped"), tuple(said)))
    return Page(say("walk", model=walk.model), _walk_said(walk), tuple(blocks))


def _walk_said(walk: Walk) -> str:
    if walk.error is not None:
        return say("it stops")
    mixed, wrong = len(walk.mixed), sum(not one.true for one in walk.comments)
    said = [say("mixed axes", mixed=mixed)] if mixed else []
    said += [say("wrong comments", wrong=wrong, all=len(walk.comments))] if wrong else []
    return " ".join(said) or say("all named")


def _branches(steps: Sequence[Step], file: str = "") -> list[Branch]:
    """Each step with the deeper ones that follow it inside, and where another file begins, its name."""
    branches: list[Branch] = []
    at = 0
    while at < len(steps):
        head, begin = steps[at], at + 1
        rows: list[tuple[Cell, ...]] = []
        if head.file and head.file != file and head.kind != "layer":
            file = head.file
            rows.append(("", Mark(_near(file), "quiet")))
        at = next((at for at in range(begin, len(steps)) if steps[at].depth <= head.depth), len(steps))
        inner = _branches(steps[begin:at], file)
        file = next((step.file for step in reversed(steps[begin:at]) if step.file and step.kind != "layer"), file)
        branches.append(Branch((*rows, *_rows(head)), tuple(inner)))
    return branches


def _rows(step: Step) -> list[tuple[Cell, ...]]:
    indent = "│ " * max(step.depth - (1 if step.kind == "line" else 0), 0)
    times = f"  {say('rounds', count=step.count)}" if step.loop else f"  ×{step.count}" if step.count > 1 else ""
    role: Role = "code" if step.kind == "line" else "quiet"
    head = {"line": "", "call": "▸ ", "layer": "◇ "}[step.kind]
    number = str(step.line) if step.kind == "line" else ""
    rows: list[tuple[Cell, ...]] = [(number, Mark(f"{indent}{head}{step.source}{times}", role))]
    inner = indent + ("│ " if step.kind != "line" else "  ")
    rows += [("", Mark(f"{inner}{_made(made)}", "symbol")) for made in step.made]
    rows += [
        ("", Mark(f"{inner}✗ {gloss(mark)}", "bad") if mark in step.mixed else Mark(f"{inner}? {gloss(mark)}", "quiet"))
        for mark in step.marks
    ]
    rows += [
        ("", Mark(f"{inner}{'✓' if one.true else '✗'} {one}", "good" if one.true else "bad")) for one in step.comments
    ]
    if step.raised:
        rows.append(("", Mark(f"{inner}✗ {step.raised}", "bad")))
    return rows


def _made(made: Made) -> str:
    note = f"  {made.note}" if made.note else ""
    return f"{made.name} {made.text}{note}".strip()


def _near(file: str) -> str:
    """A path as short as it can be said from here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
