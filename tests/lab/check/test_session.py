"""install, uninstall and the IPython extension leave nothing behind; a script that is run stays a script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import lstm_shapes as ls
from lstm_shapes.lab.check import session
from lstm_shapes.lab.check.session import run_script
from lstm_shapes.lab.check.watch import Watch

FAILS = "import torch; torch.nn.LSTM(4, 8)(torch.randn(5, 3, 4), torch.zeros(1, 3, 8))"
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.rnn = nn.LSTM(5, 8, **options)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out[:, -1])
"""
TRAIN = """
import sys
net = Net(OPTIONS)
optimizer = torch.optim.Adam(net.parameters())
for step in range(3):
    loss = nn.functional.cross_entropy(net(torch.randn(4, 7, 5)), torch.randint(3, (4,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
"""


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


@pytest.mark.parametrize("experiments", [False, True])
def test_install_twice_and_uninstall_leave_what_was_there(experiments: bool) -> None:
    """Everything is as before, however often each was called."""
    before = hooks()
    ls.uninstall()
    ls.install(experiments=experiments)
    ls.install(experiments=experiments)
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


def test_a_session_explains_exceptions_only_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """No experiment without experiments=True; with it, what is wrong is said at once."""
    space: dict[str, Any] = {}
    exec(NET, space)
    net = space["Net"]()
    ls.install()
    net(torch.randn(4, 7, 5))
    assert session._SESSION.watch is not None
    assert session._SESSION.watch.report.runs == 0
    assert capsys.readouterr().err == ""
    ls.uninstall()
    ls.install(experiments=True)
    net(torch.randn(4, 7, 5))
    assert "LS201" in capsys.readouterr().err
    assert session._SESSION.watch.report.runs > 3


def test_a_session_follows_no_functions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """install uses module hooks alone, and explains what the layers' entries show."""
    monkeypatch.setattr(sys, "excepthook", lambda *parts: None)
    ls.install()
    Y, _ = nn.GRU(4, 8)(torch.randn(5, 3, 4))
    assert Y.shape == (5, 3, 8)
    assert session._SESSION.watch is not None
    assert not session._SESSION.watch._recorder.trace.calls
    with pytest.raises(RuntimeError, match="2-D") as caught:
        nn.LSTM(4, 8)(torch.randn(5, 3, 4), (torch.zeros(3, 8), torch.zeros(3, 8)))
    sys.excepthook(type(caught.value), caught.value, caught.value.__traceback__)
    assert session._SESSION.watch.codes == ("LS103",)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)


def test_an_uncaught_exception_of_a_session_is_explained() -> None:
    """The traceback is Python's own, followed by the explanation."""
    done = run(f"import lstm_shapes\nlstm_shapes.install()\n{FAILS}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "lstm_shapes: ✗" in done.stderr


def test_ipython_explains_a_cell_and_unloads() -> None:
    """%load_ext lstm_shapes adds the explanation below the traceback; %unload_ext takes it back."""
    pytest.importorskip("IPython")
    lines = [*["%load_ext lstm_shapes"] * 2, FAILS, "print('next', 1 + 1)", "%unload_ext lstm_shapes", FAILS]
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(); shell.run_line_magic('colors', 'NoColor')\n"
        f"[shell.run_cell(line) for line in {lines!r}]"
    )
    done = run(code)
    assert done.stderr.count("lstm_shapes: ✗") == 1, done.stdout + done.stderr
    assert "next 2" in done.stdout


# ---------------------------------------------------------------------- scripts
@pytest.fixture
def script(tmp_path: Path) -> Any:
    """Write a training script and run it."""

    def write_and_run(end: str = "", options: str = "", args: tuple[str, ...] = ()) -> tuple[int, Watch]:
        file = tmp_path / "train.py"
        file.write_text(NET + TRAIN.replace("OPTIONS", options) + end)
        torch.manual_seed(3)
        return run_script(str(file), args)

    return write_and_run


def test_a_missing_batch_first_is_found_in_a_training_script(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the line, and the script's own output as without the watch."""
    code, watched = script(args=("--epochs", "2"))
    out, err = capsys.readouterr()
    assert code == 1
    assert watched.codes == ("LS201",)
    assert watched.findings[0].where.source == "out, _ = self.rnn(x)"
    assert err == ""
    space: dict[str, Any] = {}
    torch.manual_seed(3)
    exec(NET + TRAIN.replace("OPTIONS", ""), space)
    assert out == capsys.readouterr().out
    assert len(out.splitlines()) == 3


def test_a_right_script_ends_well(script: Any) -> None:
    """Exit code 0, and what was tested."""
    code, watched = script(options="batch_first=True")
    assert code == 0
    assert watched.ok
    assert watched.report.tested


@pytest.mark.parametrize(
    ("end", "options", "code", "said"),
    [
        ("raise SystemExit(5)", "batch_first=True", 5, ""),
        ("raise SystemExit(5)", "", 5, ""),
        ("raise SystemExit", "batch_first=True", 0, ""),
        ("raise SystemExit", "", 1, ""),
        ("raise SystemExit('words')", "batch_first=True", 1, "words\n"),
        ("raise KeyboardInterrupt", "", 130, "KeyboardInterrupt"),
        ("raise KeyError('x')", "batch_first=True", 1, "KeyError: 'x'"),
    ],
)
def test_exit_codes(
    script: Any, end: str, options: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script's own where it has one; the report is there after Ctrl-C, exit and exceptions."""
    given, watched = script(end, options)
    err = capsys.readouterr().err
    assert given == code
    assert said in err
    assert "runpy" not in err
    assert ("LS201" in watched.codes) == (options == "")
    assert watched.report.tested
