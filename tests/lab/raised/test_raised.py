"""What torch raises is explained by the operand at fault, and a fix that is given lets the call run."""

from __future__ import annotations

import json
import linecache
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import rnn as packing

from lstm_shapes.lab import raised as explain
from lstm_shapes.lab.check._rules_raised import explain_error
from lstm_shapes.lab.check.check import check
from lstm_shapes.lab.check.report import RULES, Finding, Report
from lstm_shapes.lab.raised import _raised as spelling
from lstm_shapes.lab.trace import Recorder

# Written before the explanations were looked at: the codes of which one is given, what the finding must say, and what
# its fix must hold.
PROGRAMS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "raised_programs.jsonl").read_text(encoding="utf-8").splitlines()
]
CODES = [f"LS{n}" for n in range(101, 115)] + ["LS215"]
PACKING = ("pack_padded_sequence", "pad_packed_sequence", "pack_sequence", "pad_sequence", "PackedSequence")


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """An explanation that fails raises here."""
    monkeypatch.setattr(explain, "strict", True)


def built(program: str, name: str = "program") -> dict[str, Any]:
    """What a program defines, with its lines where a traceback looks for them."""
    space: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
    space.update({word: getattr(packing, word) for word in PACKING})
    file = f"<{name}>"
    linecache.cache[file] = (len(program), None, program.splitlines(True), file)
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(program, file, "exec"), space)
    return space


def checked(program: str, name: str = "program") -> Report:
    space = built(program, name)
    told = {word: space[word] for word in ("batch_dim", "lengths", "target", "loss") if word in space}
    return check(space["model"], *space["inputs"], **told)


def only(report: Report) -> Finding:
    """The finding that explains the exception."""
    return next(found for found in report.findings if found.cause is not None and found.code.startswith("LS1"))


@pytest.mark.parametrize("code", CODES)
def test_wrong_program(code: str) -> None:
    """The wrong program of a rule gives its code as an error, with a place and a fix."""
    found = [one for one in checked(RULES[code].wrong, f"{code} wrong").findings if one.code == code]
    assert [one.level for one in found] == ["error"]
    assert found[0].fix
    assert found[0].where is not None or code == "LS107"  # nn.Sequential: no line of the program


@pytest.mark.parametrize("code", CODES)
def test_right_program(code: str) -> None:
    """The right program of a rule gives no error, and not this code."""
    report = checked(RULES[code].right, f"{code} right")
    assert report.ok, str(report)
    assert code not in report.codes


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in PROGRAMS])
def test_programs(case: dict[str, Any]) -> None:
    """The operand is named, torch's own message stays, and the fix is one that helps."""
    report = checked(case["program"])
    found = next((one for one in report.findings if one.code in case["codes"]), None)
    assert found is not None, str(report)
    for pattern in case["say"]:
        assert re.search(pattern, str(found)), (pattern, str(found))
    assert case["fix"] is None or re.search(case["fix"], found.fix), (case["fix"], found.fix)
    if found.cause is not None:
        assert str(found.cause) in str(found)


def _recorded(space: dict[str, Any]) -> list[Finding]:
    """The exception of a run explained with its record, and without one."""
    recorder = Recorder()
    try:
        with recorder:
            space["model"](*space["inputs"])
    except Exception as error:
        return [explain_error(error, recorder.trace), explain_error(error)]
    return []


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in PROGRAMS])
def test_programs_watched(case: dict[str, Any]) -> None:
    """What is recorded of a run suffices for the same code; without a record nothing breaks and the message stays."""
    found = _recorded(built(case["program"]))
    if found:
        assert found[0].code in case["codes"], str(found[0])
        assert str(found[1].cause) in str(found[1])


# ---------------------------------------------------------------------- fixes
def test_fix_keeps_samples_apart() -> None:
    """A product that runs and pairs each sample with each other one is no fix."""
    found = only(
        checked(
            "a, y = nn.Linear(6, 1), nn.Linear(6, 8)\nmodel = lambda x: a(x) @ y(x)\ninputs = (torch.randn(3, 7, 6),)\n"
        )
    )
    assert "squeeze" not in found.fix
    assert "transpose(1, 2)" in found.fix


def test_fix_of_a_loss_gives_each_prediction_its_target() -> None:
    """Logits of steps first are not flattened beside targets of samples first."""
    program = """
rnn = nn.GRU(5, 4)
def model(x, y):
    logits, _ = rnn(x.transpose(0, 1))
    return F.cross_entropy(logits.reshape(-1, 4), y)
inputs = (torch.randn(3, 7, 5), torch.randint(4, (3, 7)))
"""
    found = only(checked(program))
    assert found.fix == "y.t().reshape(-1)"
    assert "21 = L·N = 7·3" in str(found)


def test_trying_changes_nothing() -> None:
    """Trying a fix writes neither into the program's tensors nor into its modules, and draws nothing."""
    program = """
bn = nn.BatchNorm1d(8)
def model(x):
    return bn(x)
inputs = (torch.randn(4, 7, 8),)
"""
    space = built(program)
    means, state = space["bn"].running_mean.clone(), torch.get_rng_state()
    found, _ = _recorded(space)
    assert "transpose(1, 2)" in found.fix
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(means, space["bn"].running_mean)


def test_cause_before_the_exception() -> None:
    """Samples that are mixed before the program stops are found, and the exception is what came of it."""
    program = """
rnn, fc = nn.LSTM(5, 8), nn.Linear(8, 3)
model = lambda x, y: F.cross_entropy(fc(rnn(x)[1][0][-1]), y)
inputs = (torch.randn(4, 6, 5), torch.randint(3, (4,)))
"""
    report = checked(program)
    assert report.codes == ("LS112", "LS201")
    assert "batch_first=True" in report.findings[1].fix
    assert report.findings[1].cause is report.findings[0].cause


def test_names_are_never_those_of_another_tensor() -> None:
    """The batch that the caller has declared is not read off a layer that takes another axis for it."""
    program = (
        "rnn, fc = nn.GRU(5, 8), nn.Linear(4, 3)\nmodel = lambda x: fc(rnn(x)[0])\ninputs = (torch.randn(4, 6, 5),)\n"
    )
    assert "rnn(x)[0] (N=4, 6, D=8)" in str(only(checked(program)))


def test_layers_are_spoken_of_as_they_are() -> None:
    """A fix that turns batch_first is tried for the other finding, and not left in the words of this one."""
    program = """
rnn, two = nn.GRU(8, 6, 2), nn.GRU(8, 10, 2, batch_first=True)
def model(x, z):
    return two(z, rnn(x)[1])
inputs = (torch.randn(5, 6, 8), torch.randn(5, 5, 8))
"""
    report = checked(program)
    assert report.codes == ("LS103", "LS201")
    assert "It comes from nn.GRU(8, 6, num_layers=2). Its width is 6" in only(report).fix
    assert "nn.GRU(8, 6, 2) reads as time" in report.findings[1].detail


# ---------------------------------------------------------------------- Python 3.10
def test_arguments_that_forward_does_not_take() -> None:
    """The model is named by its class, and not by torch's function that calls it."""
    made = nn.Sequential(nn.LSTM(4, 5, batch_first=True))
    finding = only(check(made, torch.randn(3, 7, 4), colour=1))
    assert finding.title.startswith("Sequential raises TypeError: Sequential.forward() got an unexpected")


def test_without_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the interpreter keeps no columns, the only call of a line and the variables' names say what is meant."""
    monkeypatch.setattr(spelling, "_POSITIONS", None)
    linear = only(
        checked(
            "fc = nn.Linear(8, 3)\ndef model(x):\n    z = x * 2\n    return fc(z)\ninputs = (torch.randn(4, 7, 5),)\n"
        )
    )
    assert "fc (Linear) refuses z (N=4, 7, 5)" in linear.title
    assert linear.fix == "nn.Linear(5, 3)"
    fewer = 0
    for case in PROGRAMS:
        report = checked(case["program"])
        found = next((one for one in report.findings if one.code in case["codes"]), None)
        assert found is not None, str(report)
        said = all(re.search(pattern, str(found)) for pattern in case["say"])
        fewer += not said or (case["fix"] is not None and not re.search(case["fix"], found.fix))
    assert fewer <= 0.15 * len(PROGRAMS)
