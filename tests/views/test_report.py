"""A report as a page, and the rules as a table and one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lstm_shapes as ls
from lstm_shapes._views.report import rule_view, rules_view
from lstm_shapes.display import as_text
from lstm_shapes.lab.check import RULES, Evidence, Finding, Report
from lstm_shapes.lab.trace import Where


def swapped() -> Report:
    rnn = nn.LSTM(4, 8)
    return ls.check(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4))


def test_a_person_sees_code_line_reason_and_fix() -> None:
    """What is wrong comes first; all that a finding holds is on the page, within 80 columns."""
    text = as_text(swapped(), width=80)
    assert text.splitlines()[2].startswith("✗ rnn reads the batch as time")
    for words in ("1 error", "LS201", "at", "test_report.py", "measured", "fix", "batch_first=True", "moved", "tested"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80
    assert repr(swapped()).startswith("lstm_shapes check: 1 error")


def test_html_escapes_what_the_user_wrote() -> None:
    """A hostile source line, file name or message stays text."""
    where = Where("<script>.py", 3, "x = '<script>alert(1)</script>' # `tick`")
    finding = Finding("LS201", "batch-time-swap", "error", "<b>title</b>", "<i>detail</i>", "<u>fix</u>", where=where)
    page = Report((finding,))._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<u>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_backtick_in_a_file_name_is_one() -> None:
    """It marks no code: the path and the line stay as they are, in text and in HTML."""
    where = Where("/a`b/c.py", 3, "print('`', x)  # <`>")
    report = Report((Finding("LS201", "batch-time-swap", "error", "title", "detail", "fix", where=where),))
    text = as_text(report, width=80)
    assert "/a`b/c.py:3" in text
    assert "print('`', x)  # <`>" in text
    assert (
        '<samp class="code">/a`b/c.py:3<br>print(&#x27;`&#x27;, x)\u00a0\u00a0# &lt;`&gt;</samp>'
        in report._repr_html_()
    )


def test_a_large_dependence_matrix_is_left_to_its_sentence() -> None:
    """A small matrix is drawn, a large one is not."""
    small = Evidence("did", "saw", ((True, False), (False, True)), "out", "in")
    large = Evidence("did", "saw", ((True,) * 99,) * 99, "out", "in")
    assert "■ ·" in as_text(Report((_finding(small),)))
    assert "■" not in as_text(Report((_finding(large),)))


def _finding(*evidence: Evidence) -> Finding:
    cause = RuntimeError("boom")
    return Finding("LS302", "equal-sizes", "note", "title", "detail", "fix", "rnn", None, evidence, (), cause)


def test_what_was_tested_is_said() -> None:
    """A report without findings says what that stands on, and what was not tested and why."""
    text = as_text(Report((), ("samples (4 of 4)",), ("padding (no lengths given)",)))
    assert "nothing found" in text
    assert "tested: samples (4 of 4)" in text
    assert "not tested: padding (no lengths given)" in text


def test_the_rules_are_shown_with_their_programs() -> None:
    """The table has every code; one rule shows why, wrong and right."""
    every = RULES
    table = as_text(rules_view(every.values()))
    assert all(code in table for code in every)
    one = as_text(rule_view(every["LS202"]))
    assert "Why" in one
    assert "Wrong" in one
    assert "Right" in one
    assert "nn.GRU" in one


@pytest.mark.parametrize("width", [40, 80])
def test_the_programs_of_a_rule_are_whole(width: int) -> None:
    """A program's lines are never cut: on a narrow screen the terminal wraps them, and they can be copied."""
    rule = RULES["LS203"]
    lines = as_text(rule_view(rule), width=width).splitlines()
    assert max(map(len, rule.wrong.strip().splitlines())) >= 80
    assert {f" {line}".rstrip() for line in (rule.wrong + rule.right).strip().splitlines()} <= set(lines)


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_is_documented(code: str) -> None:
    """Code, name, title, why and two programs, none of them empty."""
    rule = RULES[code]
    assert rule.code == code
    assert all((rule.name, rule.title, rule.why, rule.wrong.strip(), rule.right.strip()))
