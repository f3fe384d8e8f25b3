"""install, uninstall and the IPython extension leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import lstm_shapes as ls
from lstm_shapes.lab.check_old import session

WRONG = "import torch; torch.nn.LSTM(4, 8)(torch.randn(5, 3, 4), torch.zeros(1, 3, 8))"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    ls.uninstall()


def hooks() -> tuple[int, int, object]:
    return (
        len(nn.modules.module._global_forward_hooks),
        len(nn.modules.module._global_forward_pre_hooks),
        sys.excepthook,
    )


def test_install_twice_and_uninstall_leave_what_was_there() -> None:
    """Everything is as before, however often each was called."""
    before = hooks()
    ls.uninstall()
    ls.install()
    ls.install()
    assert session.installed()
    assert hooks() != before
    ls.uninstall()
    ls.uninstall()
    assert not session.installed()
    assert hooks() == before


def test_a_hook_set_meanwhile_by_somebody_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """uninstall takes back its own excepthook only."""
    ls.install()
    other = lambda *parts: None  # noqa: E731
    monkeypatch.setattr(sys, "excepthook", other)
    ls.uninstall()
    assert sys.excepthook is other


def test_an_uncaught_exception_of_a_session_is_explained() -> None:
    """The traceback is Python's own, followed by the explanation."""
    code = f"import lstm_shapes; lstm_shapes.install(); {WRONG}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "lstm_shapes: LS104 error" in done.stderr


def test_ipython_explains_a_cell_and_unloads() -> None:
    """%load_ext lstm_shapes adds the explanation below the traceback; %unload_ext takes it back."""
    pytest.importorskip("IPython")
    lines = [
        "%load_ext lstm_shapes",
        "%load_ext lstm_shapes",
        WRONG,
        "print('next', 1 + 1)",
        "%unload_ext lstm_shapes",
        WRONG,
    ]
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(); shell.run_line_magic('colors', 'NoColor')\n"
        f"[shell.run_cell(line) for line in {lines!r}]"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.count("lstm_shapes: LS104 error") == 1, done.stdout + done.stderr
    assert "next 2" in done.stdout


def test_the_session_explains_without_functions_being_followed() -> None:
    """install uses module hooks alone; a right call afterwards is not disturbed."""
    ls.install()
    Y, _ = nn.GRU(4, 8)(torch.randn(5, 3, 4))
    assert Y.shape == (5, 3, 8)
    assert session._SESSION.watch is not None
    assert session._SESSION.watch.codes == ()
