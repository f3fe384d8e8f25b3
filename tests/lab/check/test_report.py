"""A report: what is wrong first, then line, measurement and fix; at the end what was tested and what was not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstm_shapes.display import as_text
from lstm_shapes.lab.check import Evidence, Finding, Report, check
from lstm_shapes.lab.check.report import ordered
from lstm_shapes.lab.check.watch import watch
from lstm_shapes.lab.trace import Where
from tests.lab.check.cases import load, run

N, L, Q, D = 5, 7, 4, 6


def finding(code: str = "LS201", level: Any = "error", **more: Any) -> Finding:
    return Finding(code, "name", level, f"title of {code}", "detail", "fix", **more)


def wrong() -> Report:
    rnn = nn.LSTM(Q, D, batch_first=True)

    def model(x: Tensor) -> Any:
        scores = rnn(x)[0].sum(2)
        return torch.softmax(scores, dim=0)

    return check(model, torch.randn(N, L, Q))


def test_the_first_line_says_what_is_wrong() -> None:
    """Then the place with its source, the measurement, the fix, the code; the summary ends it."""
    lines = str(wrong()).splitlines()
    assert lines[0].startswith("✗ softmax(dim=0) runs along the batch")
    words = [row.split()[0] for row in lines[1:]]
    assert words[:4] == ["at", "measured", "fix", "LS201"]
    assert "torch.softmax(scores, dim=0)" in lines[1]
    assert f"scores (N={N}, {L})" in lines[2]
    assert "torch.softmax(scores, dim=1)" in lines[3]
    assert lines[-2] == f"tested: samples (3 of {N})"
    assert lines[-1] == "not tested: padding (no lengths given)"


def test_ok_says_what_it_stands_on() -> None:
    """A bare ok is a claim; the summary is its ground."""
    assert str(Report()) == "ok: nothing found\ntested: nothing"
    report = Report((), ("samples (4 of 4)", "padding (lengths)"), ("a", "b"))
    assert report.summary == ("tested: samples (4 of 4), padding (lengths)", "not tested: a; b")
    assert str(report).splitlines()[0] == "ok: nothing found"


def test_what_was_not_tested_at_all_is_not_ok() -> None:
    """An exception that the program caught itself ends all tests: nobody says ok then."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(5, 8, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.rnn(x)[0]
            return y or -y

    with watch() as watched, contextlib.suppress(RuntimeError):
        Net()(torch.randn(4, 7, 5))
    assert str(watched.report).splitlines() == [
        "nothing was tested", "tested: nothing", "not tested: Net: it stops with RuntimeError",
    ]  # fmt: skip
    assert "check: nothing was tested" in as_text(watched.report)


def _texts() -> list[Any]:
    return [pytest.param(case["setup"], id=case["id"]) for case in load("check_cases.jsonl")[::6] if case["expect"]]


@pytest.mark.parametrize("program", _texts())
def test_80_columns_and_no_broken_word(program: str) -> None:
    """Every word of a finding stands whole on a line of at most 80 columns, unless it is longer than a line."""
    report = run(program, file="<case>")
    text = as_text(report, width=80)
    assert max(map(len, text.splitlines())) <= 80
    shown = set(text.split())
    for one in report.findings:
        for words in (one.title, one.detail, one.fix):
            assert {word for word in words.replace("`", "").split() if len(word) < 60} <= shown, text


def test_errors_come_first_and_once() -> None:
    """Errors, warnings, notes; one code at one place once."""
    where = Where("a.py", 3)
    rows = [finding("LS301", "note"), finding("LS213", "warning"), finding("LS204", where=where), finding("LS201")]
    found = ordered([*rows, finding("LS204", where=where)])
    assert [one.code for one in found] == ["LS201", "LS204", "LS213", "LS301"]
    report = Report(found)
    assert not report.ok
    assert [len(part) for part in (report.errors, report.warnings, report.notes)] == [2, 1, 1]
    assert report.codes == tuple(one.code for one in report)
    assert len(report) == 4
    assert Report(found[2:]).ok


def test_a_report_is_plain_data() -> None:
    """to_dict survives JSON, with cause and evidence."""
    evidence = (Evidence("did", "saw", ((True, False),), "rows", "columns"),)
    where = Where("a.py", 3, "x = 1", "f")
    one = finding(where=where, evidence=evidence, made_by=("b.py:2",), cause=ValueError("boom"))
    data = json.loads(json.dumps(Report((one,), ("samples",), ("padding",), 5).to_dict()))
    assert (data["ok"], data["runs"], data["tested"], data["not_tested"]) == (False, 5, ["samples"], ["padding"])
    (entry,) = data["findings"]
    assert entry["cause"] == "ValueError: boom"
    assert entry["where"]["line"] == 3
    assert entry["evidence"][0]["matrix"] == [[True, False]]
    assert str(evidence[0]) == "did: saw"


def test_what_made_it_so_and_what_it_raised() -> None:
    """The lines that laid out the tensor and the exception stand under the fix."""
    one = finding(where=Where("a.py", 3), made_by=("b.py:2", "c.py:9"), cause=ValueError("boom"))
    assert [word for word, _ in one.rows] == ["at", "measured", "fix", "made by", "made by", "raised"]
    assert [word for word, _ in finding().rows] == ["measured", "fix"]
    marks = {"error": "✗", "warning": "!", "note": "·"}
    assert all(str(finding(level=level)).startswith(mark) for level, mark in marks.items())
