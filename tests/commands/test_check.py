"""`lstm-shapes check` and `rules`: exit codes, findings with their lines, and a model that cannot be had."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.command_line import here, refused

MODEL = """
import torch
from torch import nn

class Swapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.rnn = nn.LSTM(4, 8)

    def forward(self, tokens):
        return self.rnn(self.table(tokens))[0][:, -1]

class Right(nn.Module):
    def __init__(self, cells=8):
        super().__init__()
        self.rnn = nn.LSTM(4, cells, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0][:, -1]

def broken():
    raise RuntimeError("no weights here")

instance, number = Right(), 3
class box:
    make = Right
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "swapped_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in [name for name in sys.modules if name == "swapped_model"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.mark.parametrize("target", ["swapped_model:Swapped", "swapped_model.py:Swapped"])
def test_a_bug_gives_exit_code_1_and_its_line(folder: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    """Tokens are drawn below the size of the Embedding; the finding names the user's line."""
    code, out, _ = here(capsys, "check", target, "--input", "int:6,9")
    assert code == 1
    assert "LS201" in out
    assert "swapped_model.py:12" in out
    assert "batch_first=True" in out


@pytest.mark.parametrize("name", ["Right", "instance", "box.make"])
def test_a_right_model_gives_exit_code_0(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A class, a ready model and a dotted name are all taken."""
    code, out, _ = here(capsys, "check", f"swapped_model:{name}", "-i", "6,9,4", "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)


def test_options_reach_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--batch-dim none, --lengths and --dtype change the question."""
    unbatched = here(capsys, "check", "swapped_model:Right", "-i", "9,4", "--batch-dim", "none")
    assert unbatched.code in (0, 1)
    for option, code in ((("--lengths", "9,5,2"), "LS204"), (("--dtype", "float64"), "LS105")):
        found = here(capsys, "check", "swapped_model:Right", "-i", "3,9,4", *option)
        assert found.code == 1
        assert code in found.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["swapped_model", "-i", "3"], "package.module:factory"),
        (["nowhere_at_all:x", "-i", "3"], "can be imported"),
        (["nofile.py:x", "-i", "3"], "no file nofile.py"),
        (["swapped_model:nope", "-i", "3"], "a name in swapped_model"),
        (["swapped_model:number", "-i", "3"], "a torch module"),
        (["swapped_model:broken", "-i", "3"], "no weights here"),
        (["builtins:dict", "-i", "3"], "can be called"),
        (["swapped_model:Right"], "--input"),
        (["swapped_model:Right", "-i", "3,x"], "sizes of at least 1"),
        (["swapped_model:Right", "-i", "3,0"], "sizes of at least 1"),
        (["swapped_model:Right", "-i", "bool:3,4"], "sizes of at least 1"),
        (["swapped_model:Right", "-i", "3,4", "--batch-dim", "x"], "--batch-dim"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """Exit code 2, one line that says what to do, nothing on stdout."""
    ended = here(capsys, "check", *arguments)
    refused(ended, says)
    assert ended.out == ""


def test_rules_as_table_one_by_one_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every code is listed; one is shown with its programs, in any spelling; a wrong one is refused."""
    every = here(capsys, "rules")
    assert every.code == 0
    assert "LS201" in every.out
    one = here(capsys, "rules", "ls208")
    assert one.code == 0
    assert "legal-by-coincidence" in one.out
    plain = here(capsys, "rules", "--json")
    assert plain.code == 0
    assert len(json.loads(plain.out)) >= 29
    refused(here(capsys, "rules", "LS999"), "one of LS101")
