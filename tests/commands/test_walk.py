"""`lstm-shapes walk`: a forward line by line, on the screen, in a file and as data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.command_line import here, refused

MODEL = """
import torch
from torch import nn

class Right(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 8, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0][:, -1]

class Mixed(Right):
    def forward(self, x):
        return self.rnn(x)[0].reshape(x.size(1), -1)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "walked_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "walked_model", raising=False)
    return tmp_path


def test_a_walk_on_the_screen_and_in_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines with their axes; the same page as HTML; exit code 0 where nothing is mixed."""
    shown = here(capsys, "walk", "walked_model:Right", "--input", "2,5,4", "--html", "walk.html")
    assert shown.code == 0
    assert "return self.rnn(x)[0][:, -1]" in shown.out
    assert "output (N=2, D=8)" in shown.out
    assert "walked_model.py" in shown.out
    assert "Wrote walk.html" in shown.err
    assert "output (N=2, D=8)" in (folder / "walk.html").read_text(encoding="utf-8")


def test_a_walk_as_json_with_axes_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 where a reshape mixed axes; `--axes` names the input's."""
    code, out, _ = here(capsys, "walk", "walked_model.py:Mixed", "-i", "2,5,4", "-a", "B T F", "--json")
    assert code == 1
    data = json.loads(out)
    assert data["inputs"][0]["axes"] == ["B", "T", "F"]
    assert "mixes elements of B, T and D" in data["steps"][1]["marks"][0]


@pytest.mark.parametrize(("said", "code"), [("(batch, 8)", 0), ("(batch, 5, 8)", 1)])
def test_a_wrong_comment_is_an_error_where_that_is_asked_for(
    folder: Path, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--comments` tests a course; without it the comment is marked and no error; `--depth 0` shows the same lines."""
    (folder / "walked_model.py").write_text(MODEL.replace("[:, -1]", f"[:, -1]  # {said}"))
    arguments = ("walk", "walked_model.py:Right", "-i", "2,5,4", "--depth", "0")
    assert here(capsys, *arguments).code == 0
    assert here(capsys, *arguments, "--comments").code == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("walked_model:Right",), "--input must be given once for each argument"),
        (("walked_model:Right", "-i", "2,5,4", "-a", "N L"), "1 more needed"),
        (("walked_model:Right", "-i", "2,5,4", "--html", "walk.txt"), "ends in .html"),
        (("walked_model:Wrong", "-i", "2,5,4"), "a name in walked_model"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a traceback, nothing on stdout."""
    ended = here(capsys, "walk", *arguments)
    refused(ended, message)
    assert ended.out == ""
