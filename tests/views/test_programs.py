"""A report and a walk as text and as HTML, and the rules as a table and one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import lstm_shapes as ls
from lstm_shapes._views.programs import rule_view, rules_view
from lstm_shapes.display import as_document, as_text
from lstm_shapes.lab.check import RULES, Evidence, Finding, Report
from lstm_shapes.lab.trace import Where
from lstm_shapes.lab.walk import walk


def swapped() -> Report:
    rnn = nn.LSTM(4, 8)
    return ls.check(lambda x: rnn(x)[0][:, -1], torch.randn(3, 5, 4))


def test_a_person_sees_code_line_reason_and_fix() -> None:
    """What is wrong comes first; all that a finding holds is on the page, within 80 columns."""
    text = as_text(swapped(), width=80)
    assert text.splitlines()[2].startswith("✗ rnn reads the batch as time")
    for words in (
        "1 error",
        "LS201",
        "at",
        "test_programs.py",
        "measured",
        "fix",
        "batch_first=True",
        "moved",
        "tested",
    ):
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


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 8, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for t in range(x.size(1)):
            y, hn = self.rnn(x[:, t:])
            rows.append(self.fc(y[:, 0]))
        mixed = hn.view(x.size(0), -1)
        out: Tensor = torch.stack(rows, 1).sort(1).values + mixed.sum()
        return out


class Broken(Encoder):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1, :8])  # type: ignore[no-any-return]


def test_the_page_fits_eighty_columns_and_shows_what_matters() -> None:
    """Lines with numbers, loops with rounds, layers opened, scrambles marked, nothing cut at the edge."""
    text = as_text(walk(Encoder(), torch.randn(3, 5, 4)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for expected in (
        "Walk through Encoder",
        "1 reshape mixed axes, marked ✗.",
        "x (N=3, L=5, Q=4)",
        "for t in range(x.size(1)):  5 rounds",
        "y (N=3, L=5, R·D=16)",
        "y (N=3, L=1, R·D=16)  in the last round",
        "◇ rnn = GRU(Q=4, D=8, K=1, R=2, batch_first=True)  ×5",
        "(N=3, fc=3)",
        "✗ reshape of (K·R=2, N=3, D=8) to (3, 16) mixes elements of R, N",
        "? sort makes an axis that no name is true of",
        "output (N=3, ?=5, fc=3)",
    ):
        assert expected in text


def test_where_a_program_stopped_and_why() -> None:
    """The exception at its line, and the rule that explains it below."""
    text = as_text(walk(Broken(), torch.randn(3, 5, 4)), width=80)
    assert "It stops with an exception; the lines up to there:" in text
    assert "✗ RuntimeError: mat1 and mat2 shapes" in text
    assert "The program stopped" in text
    assert "LS111" in text
    assert "; fix: " in text
    assert "fix:" not in as_text(walk(Broken(), torch.randn(3, 5, 4), colour=1), width=80)


def test_a_fix_stands_behind_a_sentence_without_its_mark() -> None:
    """As behind `was it cut?`, and behind a message of torch that ends in a full stop."""
    stopped = walk(Broken(), torch.randn(3, 5, 4))
    assert stopped.report is not None
    for mark in ".?":
        found = replace(stopped.report.findings[0], detail=f"was it cut{mark}")
        assert "was it cut; fix: " in as_text(replace(stopped, report=Report((found,))), width=400)


def test_notes_html_and_plain_data() -> None:
    """A notebook gets the same page; JSON holds every step."""
    found = walk(nn.Sequential(nn.Linear(4, 2)), torch.randn(3, 4))
    assert "no source lines of this model can be read" in as_text(found, width=80)
    assert "Every axis is named as long as its name is true." in found._repr_html_()
    data = found.to_dict()
    assert data["ok"] is True
    assert data["steps"][0]["made"] == [{"name": "", "axes": ["N", "linear0"], "sizes": [3, 2], "note": ""}]
    assert data["report"] is None


class Long(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        a_name_that_is_as_long_as_names_are_in_generated_code_and_longer_than_a_line_of_eighty_columns = x.relu()
        # (batch, 5)
        return a_name_that_is_as_long_as_names_are_in_generated_code_and_longer_than_a_line_of_eighty_columns + 1


def test_a_long_name_is_folded_and_comments_are_marked() -> None:
    """One long word leaves the page a table; a wrong comment is counted at the top."""
    text = as_text(walk(Long(), torch.randn(3, 4)), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "line   program, and what each line makes" in text
    assert "Wrong comments on shapes: 1 of 1." in text
    assert "✗ # (batch, 5): return is (3, 4)" in text


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.a_layer_with_a_name_that_is_longer_than_any_column_could_ever_be = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.encoder(x)
        z: Tensor = self.a_layer_with_a_name_that_is_longer_than_any_column_could_ever_be(y[:, 0])
        return z


def test_in_a_page_submodules_are_folded() -> None:
    """The forward is open, what it calls is closed; the text is the same as without folds."""
    html = as_document(walk(Model(), torch.randn(3, 5, 4))).replace("\N{NO-BREAK SPACE}", " ")
    opened, closed = html.count("<details open>"), html.count("<details>")
    assert (opened, closed) == (2, 2)
    inside = html[html.index("<details><summary>") :]
    assert "Encoder.forward" in inside[: inside.index("</details>")]
    assert html.index("y = self.encoder(x)") < html.index("for t in range(x.size(1)):  5 rounds")
    assert html.count("<details") == html.count("</details>")


def test_a_long_name_is_broken_and_keeps_the_table() -> None:
    """One name never turns the page into a list of headings and values."""
    text = as_text(walk(Model(), torch.randn(3, 5, 4)), width=60)
    assert text.count("program, and what each line makes") == 1
    assert max(map(len, text.splitlines())) <= 60
