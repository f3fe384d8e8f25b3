"""A rule: one function beside its docstring, which says what is wrong, why, and shows a wrong and a right program."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lstm_shapes.lab.trace import Where

from .report import Evidence, Finding, Level

RULES: dict[str, Rule] = {}
# What a program of a rule is run on where it says nothing else: N = 4 sequences of L = 7 steps with Q = 5 features.
_INPUTS = "inputs = (torch.randn(4, 7, 5),)\n"
# Functions whose findings belong to rules of other modules, with the experiments that they read.
MORE: list[tuple[tuple[Callable[..., Any], ...], Callable[..., Iterable[Finding]]]] = []


@dataclass(frozen=True, slots=True)
class Rule:
    """One code of the table. `reads` are the experiments whose values are handed to `find`.

    `wrong` and `right` are runnable programs: `model` and `inputs`, and `batch_dim`, `lengths`, `target`, `loss`.
    """

    code: str
    name: str
    title: str
    why: str
    wrong: str
    right: str
    reads: tuple[Callable[..., Any], ...]
    find: Callable[..., Iterable[Finding]]

    def finding(
        self,
        title: str,
        measured: str,
        fix: str,
        where: Where | None,
        *,
        level: Level = "error",
        layer: str = "",
        evidence: tuple[Evidence, ...] = (),
        made_by: tuple[str, ...] = (),
        cause: BaseException | None = None,
    ) -> Finding:
        """A finding of this rule."""
        return Finding(self.code, self.name, level, title, measured, fix, layer, where, evidence, made_by, cause)


def rule(code: str, name: str, *reads: Callable[..., Any]) -> Callable[[Callable[..., Iterable[Finding]]], Rule]:
    """Register a function as the rule of a code; its docstring is the rule's documentation."""

    def register(find: Callable[..., Iterable[Finding]]) -> Rule:
        title, why, wrong, right = _parts(inspect.getdoc(find) or "")
        made = RULES[code] = Rule(code, name, title, why, wrong, right, reads, find)
        return made

    return register


def also(*reads: Callable[..., Any]) -> Callable[[Callable[..., Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Register a function that finds what rules of other modules document."""

    def register(find: Callable[..., Iterable[Finding]]) -> Callable[..., Iterable[Finding]]:
        MORE.append((reads, find))
        return find

    return register


def _parts(text: str) -> tuple[str, str, str, str]:
    """The docstring taken apart: first line, paragraphs, the wrong program, the right program.

    Both are written as one, with the lines that are not in both after a - or a +, two columns further left.
    """
    head, _, programs = text.partition("\nWrong and right::\n")
    title, _, why = head.partition("\n")
    rows = programs.splitlines()
    both = ("\n".join(f"  {row[4:]}" for row in rows if row[2:3] != sign) for sign in "+-")
    wrong, right = (textwrap.dedent(one).strip() + "\n" for one in both)
    wrong, right = (one if "inputs = " in one else one + _INPUTS for one in (wrong, right))
    return title.strip().rstrip("."), re.sub(r"\s+", " ", why).strip(), wrong, right
