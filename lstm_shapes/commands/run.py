"""`lstm-shapes run script.py`: a script as Python runs it, with its recurrent shapes watched."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from lstm_shapes.errors import SpecError

__all__ = ["run"]


def run(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="the Python file to run")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="its own arguments")] = None,
) -> None:
    """Run a script and explain what goes wrong with its recurrent layers, on stderr.

    Examples:

      lstm-shapes run train.py --epochs 2

      python -m lstm_shapes run train.py
    """
    if not script.is_file():
        raise SpecError("SCRIPT", "a Python file", str(script))
    from lstm_shapes.lab.check_old.watch import watch
    from lstm_shapes.shown import as_text

    before = sys.argv, list(sys.path)
    sys.argv = [str(script), *(arguments or [])]
    sys.path[0] = str(script.resolve().parent)
    code = 0
    watched = watch()
    try:
        with watched:
            runpy.run_path(str(script), run_name="__main__")
    except Exception as error:
        _print_theirs(error, script)
        code = 1
    finally:
        sys.argv, sys.path[:] = before
        if watched.findings:
            sys.stderr.write(as_text(watched) + "\n")
    if code:
        raise typer.Exit(code)


def _print_theirs(error: Exception, script: Path) -> None:
    """The traceback as Python prints it, from the script's first frame on; the report says what the note would."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).name != script.name:
        trace = trace.tb_next
    notes = getattr(error, "__notes__", None)
    if notes:
        error.__notes__ = [note for note in notes if not note.startswith("\nlstm_shapes:")]
    traceback.print_exception(type(error), error, trace or error.__traceback__)
