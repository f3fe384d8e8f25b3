"""Of random wrong calls: how often the operand is named, and how often a fix that is given makes the call run."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.lab.raised.wrong_calls import applied, explained, runs, wrong_calls
from tests.scale import examples

COUNT = 120


@pytest.mark.parametrize("seed", range(examples(1)))
def test_reach(seed: int) -> None:
    """Nearly every operand is named and no fix is wrong; where two sizes differ in earnest, no fix is given."""
    tally: Counter[str] = Counter()
    for one in wrong_calls(seed, COUNT):
        finding = explained(one.program)
        tally["named"] += bool(re.search(rf"\b{one.operand}\b", f"{finding.title} {finding.detail}"))
        written = applied(one.program, finding.fix) if finding.fix else None
        tally["runs"] += written is True
        tally["fails"] += written is False
    assert tally["named"] >= 0.97 * COUNT, tally
    assert tally["runs"] >= 0.68 * COUNT, tally
    assert tally["fails"] <= 0.03 * COUNT, tally


def test_a_fix_that_does_not_run_is_seen() -> None:
    """The generator applies what a fix says: another operand, another layer, and what is no help."""
    program = "fc = nn.Linear(5, 3)\ndef model(x):\n    return fc(x)\ninputs = (torch.randn(4, 6),)\nbatch_dim = None\n"
    assert not runs(program)
    assert applied(program, "nn.Linear(6, 3)") is True
    assert applied(program, "x[:, :5], or something else") is True
    assert applied(program, "x.t()") is False
    assert applied(program, "another width") is None
