"""`lstm-shapes run script.py`: a script as Python runs it, with its recurrent shapes watched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lstm_shapes.errors import SpecError

__all__ = ["run"]


def run(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="the Python file to run")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="its own arguments")] = None,
) -> None:
    """Run a script, check its recurrent models as they are called, and report on stderr at the end.

    Examples:

      lstm-shapes run train.py --epochs 2

      python -m lstm_shapes run train.py
    """
    if not script.is_file():
        raise SpecError("SCRIPT", "a Python file", str(script))
    from lstm_shapes.lab.check.script import run_script
    from lstm_shapes.shown import as_text

    code, watched = run_script(str(script), arguments or [])
    if watched.worth_saying:
        sys.stdout.flush()
        sys.stderr.write(as_text(watched) + "\n")
    if code:
        raise typer.Exit(code)
