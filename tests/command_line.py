"""The command line in a test: in this process, in one of its own, and how a refusal looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lstm_shapes.cli import main

__all__ = ["ROOT", "Ended", "fake_torch", "here", "process", "refused"]

ROOT = Path(__file__).resolve().parent.parent


class Ended(NamedTuple):
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """The command in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"^\d+$") as left:
        main(list(arguments))
    assert isinstance(left.value.code, int)
    return Ended(left.value.code, *capsys.readouterr())


def process(*arguments: str, **options: Any) -> Ended:
    """The command in a process of its own, its output in pipes."""
    command = [sys.executable, "-m", "lstm_shapes", *arguments]
    done = subprocess.run(command, **{"cwd": ROOT, "capture_output": True, "text": True, "check": False, **options})
    return Ended(done.returncode, done.stdout, done.stderr)


def refused(ended: Ended, says: str) -> None:
    """Exit code 2, and one line on stderr that says so, as a sentence; never a traceback."""
    code, _, err = ended
    assert code == 2, ended
    assert err.startswith("lstm-shapes: "), err
    assert err.count("\n") == 1, err
    assert says in err, err
    # What the system says of a file is left in its own words.
    assert err.endswith((".\n", "?\n")) or "[Errno" in err, err
    assert len(err) < 400, err
    assert "Traceback" not in err


def fake_torch(folder: Path, code: str) -> dict[str, str]:
    """The environment of a process in which `import torch` runs this code, and no torch is there."""
    (folder / "torch.py").write_text(code, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
