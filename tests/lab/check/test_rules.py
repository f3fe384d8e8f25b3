"""Every rule is its own documentation: its wrong program gives its code, its right program gives no error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lstm_shapes.lab.check import RULES, Rule
from tests.lab.check.cases import run

EVERY = [pytest.param(rule, id=rule.code) for rule in RULES.values()]


@pytest.mark.parametrize("rule", EVERY)
def test_wrong(rule: Rule) -> None:
    """The program under Wrong:: is found, with this code."""
    report = run(rule.wrong, file=f"<{rule.code} wrong>")
    assert rule.code in report.codes, str(report)


@pytest.mark.parametrize("rule", EVERY)
def test_right(rule: Rule) -> None:
    """The program under Right:: gives no error, and not this code."""
    report = run(rule.right, file=f"<{rule.code} right>")
    assert report.ok, str(report)
    assert rule.code not in report.codes, str(report)


@pytest.mark.parametrize("rule", EVERY)
def test_documented(rule: Rule) -> None:
    """Code, name, title and why are there, as sentences."""
    assert re.fullmatch(r"LS[123]\d\d", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.title[:1].isupper()
    assert "\n" not in rule.title
    assert len(rule.why) > 40


def test_every_rule_has_a_module_of_rules() -> None:
    """Rules live in modules that say so by their name, and no module of that name is left unregistered."""
    folder = Path(__file__).parents[3] / "lstm_shapes" / "lab" / "check"
    named = {path.stem for path in folder.glob("_rules_*.py")}
    assert named == {rule.find.__module__.rsplit(".", 1)[-1] for rule in RULES.values()}
