"""`lstm-shapes check`, `rules` and `run`, and the pytest flag."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lstm_shapes.cli import main

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


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize("target", ["swapped_model:Swapped", "swapped_model.py:Swapped"])
def test_a_bug_gives_exit_code_1_and_its_line(folder: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    """Tokens are drawn below the size of the Embedding; the finding names the user's line."""
    assert call("check", target, "--input", "int:6,9") == 1
    out = capsys.readouterr().out
    assert "LS201" in out
    assert "swapped_model.py:12" in out
    assert "batch_first=True" in out


@pytest.mark.parametrize("name", ["Right", "instance", "box.make"])
def test_a_right_model_gives_exit_code_0(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A class, a ready model and a dotted name are all taken."""
    assert call("check", f"swapped_model:{name}", "-i", "6,9,4", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_options_reach_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--batch-dim none, --lengths and --dtype change the question; --sarif writes a file."""
    assert call("check", "swapped_model:Right", "-i", "9,4", "--batch-dim", "none", "--sarif", "o.sarif") in (0, 1)
    assert json.loads((folder / "o.sarif").read_text())["version"] == "2.1.0"
    assert call("check", "swapped_model:Right", "-i", "3,9,4", "--lengths", "9,5,2") == 1
    assert "LS204" in capsys.readouterr().out
    assert call("check", "swapped_model:Right", "-i", "3,9,4", "--dtype", "float64") == 1
    assert "LS105" in capsys.readouterr().out


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
        (["swapped_model:Right", "-i", "3,4,4", "--sarif", "no/such/folder.sarif"], "folder.sarif"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """Exit code 2, one line that says what to do, nothing on stdout."""
    assert call("check", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_rules_as_table_one_by_one_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every code is listed; one is shown with its programs, in any spelling; a wrong one is refused."""
    assert call("rules") == 0
    assert "LS201" in capsys.readouterr().out
    assert call("rules", "ls208") == 0
    assert "legal-by-coincidence" in capsys.readouterr().out
    assert call("rules", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) >= 29
    assert call("rules", "LS999") == 2
    assert "one of LS101" in capsys.readouterr().err


def test_run_is_the_script_with_an_explanation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is the script's own, arguments pass through, the traceback begins at the script; paths are put back."""
    script = folder / "train.py"
    script.write_text(
        "import sys, torch, swapped_model\n"
        "print(sys.argv[1:], __name__)\n"
        "torch.nn.Linear(3, 1)(torch.nn.GRU(4, 8)(torch.randn(5, 2, 4))[0])\n"
    )
    before = list(sys.argv), list(sys.path)
    assert call("run", "train.py", "--epochs", "2", "--help") == 1
    captured = capsys.readouterr()
    assert captured.out == "['--epochs', '2', '--help'] __main__\n"
    assert "LS111" in captured.err
    assert 'train.py", line 3' in captured.err
    assert "runpy" not in captured.err
    assert (sys.argv, sys.path) == before


def test_run_of_a_right_script_adds_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No finding, no word; and a script's own exit code is its own."""
    (folder / "good.py").write_text("print('done')\n")
    assert call("run", "good.py") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("done\n", "")
    (folder / "leaves.py").write_text("raise SystemExit(5)\n")
    assert call("run", "leaves.py") == 5
    assert call("run", "nothing.py") == 2
    assert "a Python file" in capsys.readouterr().err


def test_pytest_flag_explains_failing_tests_only(pytester: pytest.Pytester) -> None:
    """With the flag a failing test carries a section; without it, and for a passing test, nothing changes."""
    pytester.makepyfile(
        """
        import torch

        def test_wrong():
            torch.nn.LSTM(4, 8)(torch.randn(5, 3, 4), torch.zeros(1, 3, 8))

        def test_right():
            torch.nn.LSTM(4, 8)(torch.randn(5, 3, 4))
        """
    )
    plugin = [] if _installed() else ["-p", "lstm_shapes.pytest_plugin"]
    told = pytester.runpytest_subprocess("--lstm-shapes", *plugin)
    told.assert_outcomes(failed=1, passed=1)
    told.stdout.fnmatch_lines(["*Captured lstm_shapes call*", "*LS104 error*"])
    silent = pytester.runpytest_subprocess(*plugin)
    silent.assert_outcomes(failed=1, passed=1)
    silent.stdout.no_fnmatch_line("*LS104*")


def _installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.name == "lstm_shapes" for point in entry_points(group="pytest11"))
