"""install and uninstall: a watch over a whole session, in plain Python and in IPython. uninstall leaves nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .watch import Watch, explain_to_stderr

__all__ = ["install", "installed", "load_ipython_extension", "uninstall", "unload_ipython_extension"]


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


def install() -> None:
    """Explain every uncaught exception of this session that a recurrent layer's shapes explain.

    Only torch's official global module hooks are used; nothing of torch is patched. Doing it twice does it once.
    """
    if _SESSION.watch is not None:
        return
    _SESSION.watch = Watch(functions=False)
    _SESSION.watch.__enter__()
    _SESSION.hook = sys.excepthook
    sys.excepthook = _excepthook


def uninstall() -> None:
    """Take everything back that `install` put in place; harmless if there was nothing."""
    if _SESSION.watch is None:
        return
    _SESSION.watch.__exit__(None, None, None)
    if _SESSION.hook is not None and sys.excepthook is _excepthook:
        sys.excepthook = _SESSION.hook
    _SESSION.watch, _SESSION.hook = None, None


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    before = _SESSION.hook or sys.__excepthook__
    watched = _SESSION.watch
    if watched is not None and hasattr(error, "add_note"):
        watched.explain(error)  # the traceback prints notes by itself
        before(kind, error, trace)
    else:
        before(kind, error, trace)
        if watched is not None:
            explain_to_stderr(watched, error)


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
    error = result.error_in_exec
    if error is None or _SESSION.watch is None:
        return
    finding = _SESSION.watch.explain(error)
    if finding is not None:
        sys.stderr.write(f"lstm_shapes: {finding}\n")
