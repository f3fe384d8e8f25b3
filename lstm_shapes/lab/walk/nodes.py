"""Steps while they are being made: what is inside what, and how rounds of a loop become one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .result import Made, Step

__all__ = ["Node", "fold", "mark", "operation"]

_MOST_CALLS = 500


@dataclass(eq=False, slots=True)
class Node:
    """A step and what ran inside it."""

    step: Step
    inner: dict[Any, Node] = field(default_factory=dict)
    last: list[Made] = field(default_factory=list)
    """What the latest round made; the step keeps the first."""
    body: int | None = None
    siblings: dict[Any, Node] | None = None
    """For the head of a loop: the first line of its body, and where to find it."""
    twice: bool = False
    title: str = ""
    """For a call: whose it was at first."""


def mark(node: Node, text: str) -> None:  # pragma: no cover
    if text not in node.step.marks:
        node.step.marks.append(text)


def operation(parent: Node, name: str, made: list[Made]) -> Node:  # pragma: no cover
    """A torch function as a step of its own, where there is no line to put it at; repetitions are folded."""
    last = next(reversed(parent.inner.values()), None)
    if last is None or last.step.source != name or [m.text for m in last.step.made] != [m.text for m in made]:
        last = Node(Step(parent.step.depth + 1, "", 0, name, 0, made, kind="call"))
        if len(parent.inner) < _MOST_CALLS:
            parent.inner[("call", len(parent.inner))] = last
    last.step.count += 1
    return last


def fold(node: Node) -> None:
    """What the last round made, beside the first, where the two differ."""
    step = node.step
    if node.body is not None and node.siblings is not None:
        # The head of a loop runs once more than its body, unless the loop is left from within.
        inside = node.siblings.get(node.body)
        step.count = inside.step.count if inside is not None else 0
        step.loop = True
    if node.twice:
        step.count = (step.count + 1) // 2
    if step.count > 1 and node.last and [made.text for made in node.last] != [made.text for made in step.made]:
        first = {made.name: made.text for made in step.made}
        late = [
            Made(made.name, made.sizes, made.axes, "in the last round")
            for made in node.last
            if first.get(made.name) != made.text
        ]
        step.made = [*step.made, *late]
