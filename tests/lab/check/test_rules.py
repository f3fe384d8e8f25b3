"""Every rule's own documentation: the wrong program gives the code, the right one gives no error."""

from __future__ import annotations

import pytest

from lstm_shapes.lab.check_old import Rule, registry
from tests.lab.check_old.cases import run

RULES = [pytest.param(rule, id=code) for code, rule in registry().items()]
NAMES = {
    "LS101": "feature-axis", "LS102": "input-rank", "LS103": "state-shape", "LS104": "state-kind", "LS105": "dtype",
    "LS106": "device", "LS107": "output-kind", "LS108": "packing-call", "LS109": "kept-graph", "LS110": "configuration",
    "LS111": "next-layer", "LS112": "target-shape", "LS201": "batch-time-swap", "LS202": "scrambled-reshape",
    "LS203": "half-read-direction", "LS204": "padding-read", "LS205": "wrong-state-row", "LS206": "cell-for-hidden",
    "LS207": "unbatched-by-accident", "LS208": "legal-by-coincidence", "LS209": "truncated-by-lengths",
    "LS210": "no-recurrence", "LS211": "state-leak", "LS212": "broadcast-loss", "LS213": "unused-input",
    "LS214": "sample-order", "LS301": "dropout-one-layer", "LS302": "equal-sizes", "LS303": "undecidable",
}  # fmt: skip


def test_codes_are_stable() -> None:
    """The table of codes and names, which is never renumbered."""
    assert {code: rule.name for code, rule in registry().items()} == NAMES


@pytest.mark.parametrize("rule", RULES)
def test_wrong_program(rule: Rule) -> None:
    """The wrong program of a rule gives its code, as an error unless the rule is a note."""
    report = run(rule.wrong)
    found = [finding for finding in report.findings if finding.code == rule.code]
    assert found, str(report)
    assert found[0].level == ("note" if rule.code.startswith("LS3") else "error")
    assert found[0].fix
    assert found[0].detail


@pytest.mark.parametrize("rule", RULES)
def test_right_program(rule: Rule) -> None:
    """The right program of a rule gives no error, and not this code."""
    report = run(rule.right)
    assert report.ok, str(report)
    assert rule.code not in report.codes


@pytest.mark.parametrize("rule", RULES)
def test_documented(rule: Rule) -> None:
    """A rule says what is wrong and why."""
    assert rule.title
    assert len(rule.why) > 40
    assert rule.explain is not None or rule.find is not None
