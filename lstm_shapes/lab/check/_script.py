"""A script as Python runs it, under a watch: its own output and exit code, and the report."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from .watch import Watch

__all__ = ["run_script"]


def run_script(
    path: str, args: Sequence[str] = (), *, experiments: bool = True, seconds: float = 30
) -> tuple[int, Watch]:
    """Run a script as `__main__` and give its exit code and what was seen.

    The code is the script's own where it has one; 1 after an exception, 130 after Ctrl-C, and 1 too where the script
    ended well and an error was found. A traceback and the words of SystemExit go to stderr, as Python prints them.
    """
    before = sys.argv, list(sys.path)
    sys.argv, sys.path[0] = [path, *args], str(Path(path).resolve().parent)
    watched = Watch(experiments=experiments, seconds=seconds)
    code = 0
    try:
        with watched:
            runpy.run_path(path, run_name="__main__")
    except SystemExit as leaving:
        code = _exit_code(leaving)
    except KeyboardInterrupt as error:
        _print_theirs(error, path)
        code = 130
    except Exception as error:
        _print_theirs(error, path)
        code = 1
    finally:
        sys.argv, sys.path[:] = before
    return code or int(not watched.ok), watched


def _exit_code(leaving: SystemExit) -> int:
    """What Python makes of `sys.exit(…)`: nothing is 0, a number itself, words are printed and give 1."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def _print_theirs(error: BaseException, path: str) -> None:
    """The traceback as Python prints it, from the script's first frame on; the report says what the note would."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).name != Path(path).name:
        trace = trace.tb_next
    notes = getattr(error, "__notes__", None)
    if notes:
        error.__notes__ = [note for note in notes if not note.startswith("\nlstm_shapes:")]
    traceback.print_exception(type(error), error, trace or error.__traceback__)
