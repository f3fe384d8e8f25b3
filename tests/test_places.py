"""Where programs run: threads, forked workers, consoles without symbols, folders that take nothing, warnings as errors.

Each in a process of its own, for all of it belongs to the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MODELS = """
import torch, lstm_shapes as ls

class Net(torch.nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.rnn = torch.nn.LSTM(4, 8, batch_first=batch_first)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

right, wrong, x = Net(True), Net(False), torch.randn(3, 5, 4)
"""

EVERY_CALL = f"""{MODELS}
for value in (
    ls.explain(4, 8), ls.predict(4, 8), ls.count(4, 8), ls.laws(4, 8), ls.prove(4, 8), ls.run(4, 8, N=3, L=5),
    ls.gates(right.rnn, x), ls.walk(wrong, x), ls.check(right, x), ls.check(wrong, x), ls.picture(4, 8),
    ls.quiz(level=1), ls.annotate(x, "N L Q"),
):
    print(value)
print(ls.run(4, 8, 2, bidirectional=True).hn.axes)
with ls.watch() as report:
    wrong(x).sum().backward()
print(report)
assert report.codes == ("LS201",), report
try:
    with ls.watch():
        right(torch.randn(3, 5, 7))
except RuntimeError as error:
    assert "lstm_shapes" in getattr(error, "__notes__", ["lstm_shapes"])[0]
"""


def ended(code: str, *options: str, cwd: Path = ROOT, **environment: str) -> str:
    """What a program printed; it must end well and say nothing on stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it writes
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**inherited, "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, *options, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


# ---------------------------------------------------------------- consoles and folders


def test_a_console_without_symbols() -> None:
    """What a console cannot encode is shown as a question mark, and nothing fails. Warnings are errors."""
    shown = ended(EVERY_CALL, "-W", "error", PYTHONIOENCODING="ascii")
    assert "4?(Q?D + D?D + 2D)" in shown
    assert "(K?R=4, N=2, D=8)" in shown
    assert "LS201" in shown
    assert "4·(Q·D + D·D + 2D)" in ended("import lstm_shapes as ls; print(ls.count(4, 8))", PYTHONIOENCODING="utf-8")


def test_nothing_is_written_and_nobody_needs_a_home(tmp_path: Path) -> None:
    """The working folder takes no file, nor does any other; home, caches and temporary files have no folder."""
    tmp_path.chmod(0o555)
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR"), "/nonexistent/folder")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    try:
        assert "LS201" in ended(limit + EVERY_CALL, "-B", cwd=tmp_path, PYTHONWARNINGS="error", **nowhere, **locale)
    finally:
        tmp_path.chmod(0o755)
    assert list(tmp_path.iterdir()) == []


def test_a_default_device_that_is_not_the_models() -> None:
    """What is made on the way lies where it must, whatever device torch would take: meta holds no numbers."""
    code = EVERY_CALL.replace(MODELS, MODELS + "torch.set_default_device('meta')\n")
    assert "LS201" in ended(code.replace("torch.randn(3, 5, 7)", "torch.randn(3, 5, 7, device='cpu')"))


# ---------------------------------------------------------------- threads

THREADS = """
import io, random, sys, threading, warnings, logging
import torch
sys.setswitchinterval(1e-5)

def together(*jobs):
    failed = []
    def guarded(job):
        try:
            start.wait()
            job()
        except BaseException as error:
            failed.append(error)
    start = threading.Barrier(len(jobs))
    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    if failed: raise failed[0]

def state():
    hooks = torch.nn.modules.module
    return (
        sys.stdout, sys.stderr, warnings.showwarning, list(warnings.filters), logging.root.manager.disable,
        torch.nn.Module.load_state_dict, torch.get_num_threads(), torch.is_warn_always_enabled(),
        [list(value) for name, value in sorted(vars(hooks).items()) if name.startswith("_global")
            and hasattr(value, "items")],
        torch.overrides._len_torch_function_stack(), threading.active_count(),
    )
"""


def test_threads_that_check_and_watch_at_once() -> None:
    """Each gets the report that it gets alone, and the process is afterwards what it was."""
    code = f"""{MODELS}{THREADS}
def checking(batch_first):
    def job():
        for _ in range(4):
            found = ls.check(Net(batch_first), torch.randn(3, 5, 4))
            assert found.ok == batch_first and found.tested, found
    return job

def watching(batch_first):
    def job():
        for _ in range(3):
            model = Net(batch_first)
            with ls.watch() as found:
                for _ in range(3):
                    model(torch.randn(3, 5, 4)).sum().backward()
            assert found.codes == (() if batch_first else ("LS201",)) and found.report.tested, found
    return job

def walking():
    for _ in range(4):
        found = ls.walk(Net(True), torch.randn(3, 5, 4))
        assert [made.text for made in found.output] == ["(N=3, head=2)"], found

def tracing():
    for _ in range(4):
        layer = Net(True).rnn
        trace = ls.gates(layer, x)
        assert trace.residual <= trace.tolerance
        assert ls.explain(4, 8).proof.ok

together(checking(True), watching(True), walking, tracing)  # what is loaded may add filters of its own
before = state()
together(checking(True), checking(False), watching(True), watching(False), walking, tracing, checking(True))
assert state() == before, (state(), before)
"""
    ended(code, "-W", "error")


def test_the_first_look_from_many_threads() -> None:
    """Everything is loaded on first use; threads that all come first see all of it."""
    code = f"""{THREADS}
import lstm_shapes as ls
def job():
    layer = torch.nn.LSTM(4, 8, batch_first=True)
    shown = [str(value) for value in (ls.count(4, 8), ls.explain(4, 8), ls.check(lambda x: layer(x)[0], x))]
    assert "160" in shown[0] or shown[0], shown
    assert "hold" in shown[1] and "tested" in shown[2], shown
x = torch.randn(3, 5, 4)
together(*[job] * 8)
"""
    ended(code)


def test_a_watch_that_ends_during_a_run_of_another_thread() -> None:
    """The run puts back the filters of warnings that it found, those of the watch: the watch's end comes after it."""
    code = f"""{MODELS}{THREADS}
from lstm_shapes.lab._alone import alone
opened, taken, closed = threading.Event(), threading.Event(), threading.Event()
def running():
    opened.wait()
    with alone(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        taken.set()
        closed.wait()
def watching():
    with ls.watch(experiments=False):
        opened.set()
        taken.wait()
    closed.set()
with ls.watch(): wrong(x)  # what is loaded may add filters of its own
before = state()
together(running, watching)
assert state() == before, (state(), before)
"""
    ended(code)


def test_threads_that_do_something_else() -> None:
    """A record is whole whatever other threads call; their words are not swallowed; a turn that never comes is said."""
    code = f"""{MODELS}{THREADS}
from lstm_shapes.lab._alone import alone
layer, stop = torch.nn.Linear(4, 4), threading.Event()
def calling():
    while not stop.is_set():
        layer(torch.zeros(2, 4))
def watched():
    try:
        with ls.watch() as found:
            right(x)
            count = found._recorder.count
            for _ in range(500):
                torch.zeros(3).add(1)
            assert found._recorder.count - count == 1000, found._recorder.count - count
    finally:
        stop.set()
together(calling, watched)

class Loud(Net):
    def forward(self, x):
        print("the model")
        asked.set()
        answered.wait(1)
        return super().forward(x)
asked, answered = threading.Event(), threading.Event()
def printing():
    asked.wait()
    print("the program")
    answered.set()
together(lambda: ls.check(Loud(True), x), printing)

taken, done = threading.Event(), threading.Event()
def holding():
    with alone():
        taken.set()
        done.wait()
def waiting():
    taken.wait()
    with ls.watch(seconds=0.2) as found:
        wrong(x)
    done.set()
    print(*found.report.not_tested)
together(holding, waiting)
"""
    assert ended(code).splitlines() == [
        "the program",
        "Net: another thread was in experiments of its own for 0.2 s",
    ]


# ---------------------------------------------------------------- processes


def test_data_loaders_inside_a_watched_training() -> None:
    """Workers that are forked while a program is watched: the same losses, and the wrong line is named."""
    code = f"""{MODELS}
from torch.utils.data import DataLoader, TensorDataset
class Data(TensorDataset):
    def __getitem__(self, index):
        item, label = super().__getitem__(index)
        return item * 1.0, label
data = Data(torch.randn(12, 5, 4), torch.arange(12) % 2)
def train(model):
    losses = []
    for x, y in DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context="fork"):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
    return losses
torch.manual_seed(1)
alone = train(wrong)
wrong.zero_grad()
torch.manual_seed(1)
with ls.watch() as report:
    watched = train(wrong)
assert watched == alone, (watched, alone)
assert report.codes == ("LS201",), report
"""
    ended(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_while_another_thread_checks() -> None:
    """The child has no other thread that would give the turn back: it checks all the same."""
    code = f"""{MODELS}{THREADS}
import os, warnings
from lstm_shapes.lab._alone import alone
warnings.simplefilter("ignore")  # Python warns of a fork beside threads
ls.check(right, x)
taken, done = threading.Event(), threading.Event()
def holding():
    with alone():
        taken.set()
        done.wait()
thread = threading.Thread(target=holding)
thread.start()
taken.wait()
child = os.fork()
if not child:
    ok = ls.check(wrong, x).codes == ("LS201",)
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
done.set()
thread.join()
assert os.waitstatus_to_exitcode(status) == 0
"""
    ended(code)
