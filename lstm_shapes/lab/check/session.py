"""Whole sessions and scripts under a watch: install in plain Python and in IPython, and a script as Python runs it."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .report import Finding, Report
from .watch import Watch


class _Session:
    """The one watch of this process, and what was there before it."""

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.hook: Callable[..., Any] | None = None
        self.shell: Any = None


_SESSION = _Session()


def installed() -> bool:
    """Whether a session is being watched."""
    return _SESSION.watch is not None


def install(experiments: bool = False, seconds: float = 30) -> None:
    """Explain every uncaught exception of this session that a recurrent layer's shapes explain.

    With `experiments=True` each model is also examined at its first call, as `watch` does it, and what is wrong is
    said on stderr. Only torch's official global module hooks are used; nothing of torch is patched. Doing it twice
    does it once.
    """
    if _SESSION.watch is None:
        _SESSION.watch = Watch(experiments=experiments, seconds=seconds, functions=False, tell=_tell)
        _SESSION.watch.__enter__()
        _SESSION.hook, sys.excepthook = sys.excepthook, _excepthook


def uninstall() -> None:
    """Take everything back that `install` put in place; harmless if there was nothing."""
    if _SESSION.watch is None:
        return
    _SESSION.watch.__exit__(None, None, None)
    if _SESSION.hook is not None and sys.excepthook is _excepthook:
        sys.excepthook = _SESSION.hook
    _SESSION.watch, _SESSION.hook = None, None


def _tell(report: Report) -> None:
    """Say what the experiments found, as soon as they did; nothing where nothing is wrong."""
    _say(*report.errors, *report.warnings)


def _say(*findings: Finding) -> None:
    for finding in findings:
        sys.stderr.write(f"lstm_shapes: {finding}\n")


def _explain(error: BaseException | None) -> tuple[Finding, ...]:
    finding = _SESSION.watch.explain(error) if _SESSION.watch is not None and error is not None else None
    return (finding,) if finding is not None else ()


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    found = _explain(error)
    (_SESSION.hook or sys.__excepthook__)(kind, error, trace)
    if not hasattr(error, "add_note"):  # this Python prints no notes below a traceback
        _say(*found)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext lstm_shapes`: `install`, and the explanation below the traceback of a cell."""
    install()
    if _SESSION.shell is None:
        _SESSION.shell = shell
        shell.events.register("post_run_cell", _after_cell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext lstm_shapes`."""
    if _SESSION.shell is not None:
        shell.events.unregister("post_run_cell", _after_cell)
        _SESSION.shell = None
    uninstall()


def _after_cell(result: Any) -> None:
    """IPython has shown the traceback by now, without notes on older versions: say what it means."""
    _say(*_explain(result.error_in_exec))


# ---------------------------------------------------------------------- a script
def run_script(path: str, args: Sequence[str] = ()) -> tuple[int, Watch]:
    """Run a script as `__main__` and give its exit code and what was seen.

    The code is the script's own where it has one; 1 after an exception, 130 after Ctrl-C, and 1 too where the script
    ended well and an error was found. A traceback and the words of SystemExit go to stderr, as Python prints them.
    """
    before = sys.argv, list(sys.path)
    sys.argv, sys.path[0] = [path, *args], str(Path(path).resolve().parent)
    watched = Watch()
    code = 0
    try:
        with watched:
            runpy.run_path(path, run_name="__main__")
    except SystemExit as leaving:
        said = leaving.code if not isinstance(leaving.code, int) else None
        code = leaving.code if isinstance(leaving.code, int) else int(said is not None)
        sys.stderr.write("" if said is None else f"{said}\n")
    except (Exception, KeyboardInterrupt) as error:
        _print_theirs(error, path)
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
    finally:
        sys.argv, sys.path[:] = before
    return code or int(not watched.ok), watched


def _print_theirs(error: BaseException, path: str) -> None:
    """The traceback as Python prints it, from the script's first frame on; the report says what the note would."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).name != Path(path).name:
        trace = trace.tb_next
    if getattr(error, "__notes__", None):
        error.__notes__ = [note for note in error.__notes__ if not note.startswith("\nlstm_shapes:")]
    traceback.print_exception(type(error), error, trace or error.__traceback__)
