"""What check returns, a Report of Findings, and what makes them: a rule is one function beside its docstring, which
says what is wrong, why, and shows a wrong and a right program."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lstm_shapes.display import Shown, encodable
from lstm_shapes.lab.trace import Call, LayerCall, Where

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
        return asdict(self) | {"matrix": [list(row) for row in self.matrix]}

    def __str__(self) -> str:
        return f"{self.did}: {self.saw}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth a note: what, at which line, what was measured there, and the smallest edit.

    `level`: error = certain, warning = likely, note. `layer`: the qualified name of the recurrent layer.
    `made_by`: the lines that made it so. `cause`: the exception that the finding explains, None for a bug that
    raised nothing.
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
    made_by: tuple[str, ...] = ()
    cause: BaseException | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: getattr(self, name) for name in ("code", "name", "level", "title", "layer", "detail", "fix")}
        return plain | {
            "where": None if self.where is None else self.where.to_dict(),
            "made_by": list(self.made_by),
            "evidence": [item.to_dict() for item in self.evidence],
            "cause": None if self.cause is None else f"{type(self.cause).__name__}: {self.cause}",
        }

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What is to be said under the title, as (word, text)."""
        rows = [("at", str(self.where))] if self.where is not None else []
        rows.append(("measured", self.detail))
        rows += [("fix", self.fix)] if self.fix else []
        rows += [("made by", line) for line in self.made_by]
        rows += [("raised", f"{type(self.cause).__name__}: {self.cause}")] if self.cause is not None else []
        return tuple(rows)

    def __str__(self) -> str:
        mark = {"error": "✗", "warning": "!", "note": "·"}[self.level]
        lines = [f"{mark} {self.title}"]
        lines += [f"  {word:<9} {text}" for word, text in self.rows]
        lines.append(f"  {self.code} {self.name} {self.level} (lstm-shapes rules {self.code})")
        return encodable("\n".join(lines))


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """The findings of one check, errors first; `ok` where none of them is an error.

    `tested` and `not_tested` say what `ok` stands on: the experiments that ran, and those that did not with the reason.
    `runs` counts the forward runs that the experiments took.
    """

    findings: tuple[Finding, ...] = ()
    tested: tuple[str, ...] = ()
    not_tested: tuple[str, ...] = ()
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
            "tested": list(self.tested),
            "not_tested": list(self.not_tested),
            "runs": self.runs,
        }

    @property
    def summary(self) -> tuple[str, ...]:
        """What was tested and what was not."""
        tested = "tested: " + (", ".join(self.tested) or "nothing")
        return (tested, "not tested: " + "; ".join(self.not_tested)) if self.not_tested else (tested,)

    @property
    def conclusion(self) -> str:
        """What a report without findings concludes: "ok" is a claim, and none where every test was left out."""
        return "nothing was tested" if self.not_tested and not self.tested else "ok: nothing found"

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings] or [self.conclusion]
        return encodable("\n".join([*lines, *self.summary]))


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; each code once a place."""
    seen: dict[tuple[str, str, Where | None], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.code, finding.layer, finding.where), finding)
    return tuple(sorted(seen.values(), key=lambda finding: (_ORDER[finding.level], finding.code)))


# ---------------------------------------------------------------------- rules
RULES: dict[str, Rule] = {}
# What is asked of a program, in this order: the experiments that are read, and the function that decides.
FINDERS: list[tuple[tuple[Callable[..., Any], ...], Callable[..., Iterable[Finding]]]] = []
# What a program of a rule is run on where it says nothing else: N = 4 sequences of L = 7 steps with Q = 5 features.
_INPUTS = "inputs = (torch.randn(4, 7, 5),)\n"


@dataclass(frozen=True, slots=True)
class Rule:
    """One code of the table; `find` decides.

    `wrong` and `right` are runnable programs: `model` and `inputs`, and `batch_dim`, `lengths`, `target`, `loss`.
    """

    code: str
    name: str
    title: str
    why: str
    wrong: str
    right: str
    find: Callable[..., Iterable[Finding]]

    def finding(
        self,
        title: str,
        measured: str,
        fix: str,
        at: LayerCall | Call | Where | None,
        *,
        level: Level = "error",
        layer: str = "",
        evidence: tuple[Evidence, ...] = (),
        made_by: tuple[str, ...] = (),
        cause: BaseException | None = None,
    ) -> Finding:
        """A finding of this rule; where it is about a layer's own call, with the layer's name."""
        if isinstance(at, LayerCall):
            layer, at = layer or at.name, at.call
        where = at.where if isinstance(at, Call) else at
        return Finding(self.code, self.name, level, title, measured, fix, layer, where, evidence, made_by, cause)


def rule(code: str, name: str, *reads: Callable[..., Any]) -> Callable[[Callable[..., Iterable[Finding]]], Rule]:
    """Register a function as the rule of a code; its docstring is the rule's documentation.

    `reads` are the experiments whose values are handed to it. In the docstring a wrong and a right program are written
    as one, with the lines that are not in both after a - or a +, two columns further left.
    """

    def register(find: Callable[..., Iterable[Finding]]) -> Rule:
        head, _, programs = (inspect.getdoc(find) or "").partition("\nWrong and right::\n")
        title, _, why = head.partition("\n")
        rows = programs.splitlines()
        both = ("\n".join(f"  {row[4:]}" for row in rows if row[2:3] != sign) for sign in "+-")
        wrong, right = (textwrap.dedent(one).strip() + "\n" for one in both)
        wrong, right = (one if "inputs = " in one else one + _INPUTS for one in (wrong, right))
        why = re.sub(r"\s+", " ", why).strip()
        made = RULES[code] = Rule(code, name, title.strip().rstrip("."), why, wrong, right, find)
        also(*reads)(find)
        return made

    return register


def also(*reads: Callable[..., Any]) -> Callable[[Callable[..., Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Register a function that finds what rules of other modules document."""

    def register(find: Callable[..., Iterable[Finding]]) -> Callable[..., Iterable[Finding]]:
        FINDERS.append((reads, find))
        return find

    return register
