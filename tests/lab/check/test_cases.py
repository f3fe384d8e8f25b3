"""Real programs from public threads, and as many of our own: what must be found, and what must not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.lab.check.cases import load, plain, run

REAL = load("check_cases.jsonl")
OWN = load("check_own_cases.jsonl")
TORCH = [int(part) for part in torch.__version__.split(".")[:2]]
CASES = [pytest.param(case, id=case["id"]) for case in REAL + OWN]
TWINS = [pytest.param(case, id=case["id"]) for case in REAL + OWN if case.get("fixed_setup")]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("source", [True, False], ids=["source", "string"])
def test_case(case: dict[str, Any], source: bool) -> None:
    """A wrong program gives one of the expected codes with a usable fix; a right one gives no error.

    `since` is the release of torch that first behaves as the case says (it refuses input_size=0).
    """
    if case.get("since", [0]) > TORCH:
        pytest.skip(f"torch {torch.__version__} does something else here")
    report = run(case["setup"], file=f"<{case['id']}>", source=source)
    if not case["expect"]:
        assert report.ok, str(report)
        return
    hits = [finding for finding in report.findings if finding.code in case["expect"]]
    assert hits, str(report)
    fragments = case["fix_contains"]
    assert not fragments or any(plain(part) in plain(hit.fix) for hit in hits for part in fragments), str(report)


@pytest.mark.parametrize("case", TWINS)
def test_twin(case: dict[str, Any]) -> None:
    """The corrected program gives no error."""
    report = run(case["fixed_setup"], file=f"<{case['id']}-fixed>")
    assert report.ok, str(report)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in REAL])
def test_raises_or_not(case: dict[str, Any]) -> None:
    """A finding of a program that raises carries the exception; a silent bug has none.

    What only a backward pass raises is found without it: experiments train nothing.
    """
    report = run(case["setup"], file=f"<{case['id']}>")
    causes = [finding.cause for finding in report.findings if finding.cause is not None]
    if report.codes == ("LS109",) and not causes:
        assert ".backward(" in case["setup"]
    elif case["behaviour"].startswith("raises"):
        assert type(causes[0]).__name__ == case["behaviour"].split()[1]
    else:
        assert not causes
