"""`lstm-shapes run`: a script as Python runs it, with its recurrent shapes explained on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import here, refused


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of scripts below the one we are in."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "scripts"
    folder.mkdir()
    yield folder
    sys.modules.pop("module_beside_it", None)


def test_the_script_runs_with_an_explanation(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is the script's own, arguments pass through, the traceback begins at the script; paths are put back."""
    (scripts / "module_beside_it.py").write_text("width = 4\n")
    (scripts / "train.py").write_text(
        "import sys, torch; from module_beside_it import width\n"
        "print(sys.argv, __name__)\n"
        "torch.nn.Linear(3, 1)(torch.nn.GRU(width, 8)(torch.randn(5, 2, width))[0])\n"
    )
    script = str(Path("scripts", "train.py"))
    before = list(sys.argv), list(sys.path)
    code, out, err = here(capsys, "run", script, "--epochs", "2", "--help")
    assert code == 1
    assert out == f"{[script, '--epochs', '2', '--help']} __main__\n"
    assert "LS111" in err
    assert 'train.py", line 3' in err
    assert "runpy" not in err
    assert (sys.argv, sys.path) == before


def test_a_right_script_is_left_alone(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No finding, no word."""
    (scripts / "good.py").write_text("print('done')\n")
    assert here(capsys, "run", "scripts/good.py") == (0, "done\n", "")


def test_a_scripts_exit_code_is_its_own(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that no error of ours has."""
    (scripts / "leaves.py").write_text("raise SystemExit(5)\n")
    assert here(capsys, "run", "scripts/leaves.py") == (5, "", "")


def test_what_is_no_file_is_refused(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing script, and a folder."""
    for name in ("nothing.py", "scripts"):
        refused(here(capsys, "run", name), "a Python file")
