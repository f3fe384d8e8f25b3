"""Run a script and explain what goes wrong with its recurrent layers.

On stderr, after the traceback. Everything behind SCRIPT belongs to the script.

Examples:

  lstm-shapes run train.py --epochs 2

  python -m lstm_shapes run train.py
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

from lstm_shapes.errors import SpecError

from ._parser import Parser

__all__ = ["declare", "main"]


def declare(parser: Parser) -> None:
    parser.add_argument("script", metavar="SCRIPT", type=Path, help="the Python file to run")
    parser.add_argument("arguments", metavar="ARGS", nargs="*", default=[], help="its own arguments")
    parser.rest = "arguments"


def main(script: Path, *, arguments: tuple[str, ...] = ()) -> int:
    if not script.is_file():
        raise SpecError("SCRIPT", "a Python file", str(script))
    from lstm_shapes.display import as_text
    from lstm_shapes.lab.check_old.watch import watch

    before = sys.argv, list(sys.path)
    sys.argv = [str(script), *arguments]
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
    return code


def _print_theirs(error: Exception, script: Path) -> None:
    """The traceback as Python prints it, from the script's first frame on; the report says what the note would."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename).name != script.name:
        trace = trace.tb_next
    notes = getattr(error, "__notes__", None)
    if notes:
        error.__notes__ = [note for note in notes if not note.startswith("\nlstm_shapes:")]
    traceback.print_exception(type(error), error, trace or error.__traceback__)
