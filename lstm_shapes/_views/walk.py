"""A walk as a page: each line of the program, and under it what it made."""

from __future__ import annotations

from collections.abc import Sequence

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Branch, Cell, Column, Lines, Mark, Page, Role, Tree
from lstm_shapes.lab.walk import Made, Step, Walk
from lstm_shapes.language import gloss, say

from .titles import near


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
            said += [f"{one.code} {one.title}: {one.detail} Fix: {one.fix}" for one in walk.report.findings[:3]]
        blocks.append(Lines(say("the program stopped"), tuple(said)))
    return Page(say("walk", model=walk.model), _verdict(walk), tuple(blocks))


def _verdict(walk: Walk) -> str:
    if walk.error is not None:
        return say("it stops")
    mixed, wrong = len(walk.mixed), sum(not one.true for one in walk.comments)
    said = [say("mixed axes", mixed=mixed)] if mixed else []
    said += [say("wrong comments", wrong=wrong, all=len(walk.comments))] if wrong else []
    return " ".join(said) or say("all named")


def _branches(steps: Sequence[Step], file: str = "") -> list[Branch]:
    """Each step with the deeper ones that follow it inside, and where another file begins, its name."""
    found: list[Branch] = []
    at = 0
    while at < len(steps):
        head, begin = steps[at], at + 1
        rows: list[tuple[Cell, ...]] = []
        if head.file and head.file != file and head.kind != "layer":
            file = head.file
            rows.append(("", Mark(near(file), "quiet")))
        at = next((at for at in range(begin, len(steps)) if steps[at].depth <= head.depth), len(steps))
        inner = _branches(steps[begin:at], file)
        file = next((step.file for step in reversed(steps[begin:at]) if step.file and step.kind != "layer"), file)
        found.append(Branch((*rows, *_rows(head)), tuple(inner)))
    return found


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
