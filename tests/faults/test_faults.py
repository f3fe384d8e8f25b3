"""`check` held to programs drawn at random: no alarm on a right one, a fault of one line found, at its line.

The programs, their faults and the oracle are tested first, without check.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scale import examples

from .families import FAMILIES, program
from .oracle import problem, wrong
from .program import KINDS, Facts, Mutant, Program, Result
from .score import Score, run

pytestmark = pytest.mark.fuzz

PROGRAMS = 30
ALARMS = 0
# Found, and of those at their line, by the oracle that knows a mutant. Of rows, a result that only lies in another
# layout is counted as wrong by the oracle and accused by nobody.
BARS = {"rows": (0.9, 0.85), "padding": (0.95, 0.85), "itself": (0.85, 0.8)}

_MODEL = """
import torch
from torch import nn

torch.manual_seed(0)
rnn = nn.LSTM(3, 5, batch_first=True)
drop = nn.Dropout(0.5)


def model(x, lengths):
    y, _ = rnn(drop(x))
    return y[torch.arange(len(y)), lengths - 1]


lengths = torch.tensor([4, 6, 1])
inputs = (torch.randn(3, 6, 3), lengths)
"""
_FACTS = Facts((0, 0), (1, None), (Result(),), (4, 6, 1))


def _changed(old: str, new: str, kind: str = "batch_first") -> tuple[Mutant, Program]:
    lines = _MODEL.split("\n")
    number = next(number for number, line in enumerate(lines, 1) if old in line)
    line = lines[number - 1]
    mutant = Mutant(kind, number, line, line.replace(old, new), frozenset({number}))
    return mutant, Program(0, "test", _MODEL, _FACTS, (mutant,))


def test_the_oracle_passes_a_right_program_with_active_dropout() -> None:
    assert problem(_MODEL, _FACTS) == ""


def test_the_oracle_holds_batch_statistics_and_draws() -> None:
    normalised = _MODEL.replace("drop = nn.Dropout(0.5)", "drop = nn.BatchNorm1d(6)")
    assert (
        problem(normalised.replace("rnn(drop(x))", "rnn(drop(x + torch.randn_like(x)))"), replace(_FACTS, lengths=None))
        == ""
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("drop(x)", "drop(x) - x.mean(0)", "rows"),
        ("drop(x)", "torch.softmax(x, 0)", "rows"),
        ("lengths - 1", "-1", "padding"),
        ("rnn(drop(x))", "rnn(drop(x).flip(1))", "padding"),
        ("lengths - 1]", "lengths - 1] + inputs[0].add_(1).sum()", "again"),
    ],
)
def test_the_oracle_says_what_is_wrong(old: str, new: str, fault: str) -> None:
    mutant, right = _changed(old, new)
    assert problem(mutant.of(right.text), right.facts) == fault


def test_padding_that_nobody_was_told_of_is_not_counted() -> None:
    mutant, right = _changed("lengths - 1", "-1", "last_step")
    assert wrong(mutant, right)
    untold = Program(0, "test", _MODEL, Facts((0, 0), (1, None), (Result(),), (4, 6, 1), told=False), ())
    assert not wrong(mutant, untold)


def test_a_change_without_an_effect_is_no_mutant() -> None:
    mutant, right = _changed("drop(x)", "drop(x + 0)", "lower_layer")
    assert not wrong(mutant, right)


def test_a_program_is_the_same_for_the_same_seed() -> None:
    assert program(17) == program(17)
    assert program(17).text != program(18).text


@pytest.mark.parametrize("family", FAMILIES)
def test_programs_of_each_family_are_right_and_their_mutants_change_one_line(family: str) -> None:
    right = 0
    for seed in range(6):
        drawn = program(seed, family)
        try:
            right += problem(drawn.text, drawn.facts) == ""
        except Exception as error:
            pytest.fail(f"seed {seed}: {error!r}\n{drawn.text}")
        lines = drawn.text.split("\n")
        assert drawn.mutants
        for mutant in drawn.mutants:
            changed = mutant.of(drawn.text).split("\n")
            assert [n for n, (a, b) in enumerate(zip(lines, changed, strict=True), 1) if a != b] == [mutant.line]
            assert mutant.line in mutant.lines
    assert right >= 5


def test_every_kind_of_fault_is_drawn() -> None:
    drawn = Counter(mutant.kind for seed in range(600) for mutant in program(seed).mutants)
    assert set(drawn) == set(KINDS)


def test_check_finds_the_line_and_accuses_nobody_else(tmp_path: Path) -> None:
    score = Score(list(run(range(examples(PROGRAMS)), keep=tmp_path)))
    print(score.table())
    assert len(score.alarms) <= ALARMS, [(trial.path, trial.verdict.text) for trial in score.alarms]
    for oracle, (found, at_line) in BARS.items():
        some = Score([trial for trial in score.trials if trial.mutant is None or KINDS[trial.mutant.kind] == oracle])
        assert some.share_found() >= found, oracle
        assert some.share_at_line() >= at_line, oracle
