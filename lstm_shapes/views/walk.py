"""A walk as a page: each line of the program, and under it what it made."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Cell, Column, Lines, Mark, Page, Role, Sheet
from lstm_shapes.lab.walk.result import Made, Step, Walk

from .titles import near

__all__ = ["walk_view"]


@view.register(Walk)
def walk_view(walk: Walk) -> Page:
    """What `walk` returns."""
    columns = (Column("line", right=True), Column("program, and what each line makes", fold=True))
    rows: list[tuple[Cell, ...]] = []
    for made in walk.inputs:
        rows.append(("", Mark(_made(made), "symbol")))
    file = ""
    for step in walk.steps:
        if step.file and step.file != file and step.kind != "layer":
            file = step.file
            rows.append(("", Mark(near(file), "quiet")))
        rows += _rows(step)
    for made in walk.output:
        rows.append(("", Mark(_made(made), "symbol")))
    blocks: list[Block] = [Sheet("", columns, tuple(rows))]
    if walk.notes:
        blocks.append(Lines("Notes", walk.notes))
    if walk.error is not None:
        said = [f"{type(walk.error).__name__}: {walk.error}"]
        if walk.report is not None:
            said += [f"{one.code} {one.title}: {one.detail} Fix: {one.fix}" for one in walk.report.findings[:3]]
        blocks.append(Lines("The program stopped", tuple(said)))
    return Page(f"Walk through {walk.model}", _verdict(walk), tuple(blocks))


def _verdict(walk: Walk) -> str:
    if walk.error is not None:
        return "It stops with an exception; the lines up to there:"
    mixed, wrong = len(walk.mixed), sum(not one.true for one in walk.comments)
    said = [f"{mixed} reshape{'s' if mixed > 1 else ''} mixed axes, marked ✗."] if mixed else []
    said += (
        [f"{wrong} of {len(walk.comments)} comments on shapes {'are' if wrong > 1 else 'is'} wrong."] if wrong else []
    )
    if said:
        return " ".join(said)
    return "Every axis is named as long as its name is true."


def _rows(step: Step) -> list[tuple[Cell, ...]]:
    indent = "│ " * max(step.depth - (1 if step.kind == "line" else 0), 0)
    times = f"  {step.count} rounds" if step.loop else f"  ×{step.count}" if step.count > 1 else ""
    role: Role = "code" if step.kind == "line" else "quiet"
    head = {"line": "", "call": "▸ ", "layer": "◇ "}[step.kind]
    number = str(step.line) if step.kind == "line" else ""
    rows: list[tuple[Cell, ...]] = [(number, Mark(f"{indent}{head}{step.source}{times}", role))]
    inner = indent + ("│ " if step.kind != "line" else "  ")
    rows += [("", Mark(f"{inner}{_made(made)}", "symbol")) for made in step.made]
    rows += [
        ("", Mark(f"{inner}✗ {mark}", "bad") if mark in step.mixed else Mark(f"{inner}? {mark}", "quiet"))
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
