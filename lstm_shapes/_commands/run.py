"""Run a script and check its recurrent models as they are called.

The report comes on stderr at the end, after the traceback where there is one. The exit code is the script's own; 1
where it ends well and an error was found. Everything behind SCRIPT belongs to the script.

Examples:

  lstm-shapes run train.py --epochs 2

  python -m lstm_shapes run train.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from lstm_shapes.errors import SpecError

from ._parser import Parser


def declare(parser: Parser) -> None:
    parser.add_argument("script", metavar="SCRIPT", type=Path, help="the Python file to run")
    parser.add_argument("arguments", metavar="ARGS", nargs="*", default=[], help="its own arguments")
    parser.lang(speaks=False)
    parser.rest = "arguments"


def main(script: Path, *, arguments: tuple[str, ...] = ()) -> int:
    if not script.is_file():
        raise SpecError("SCRIPT", "a Python file", str(script))
    from lstm_shapes.display import as_text
    from lstm_shapes.lab.check.session import run_script

    code, watched = run_script(str(script), arguments)
    if watched.worth_saying:
        sys.stdout.flush()
        sys.stderr.write(as_text(watched) + "\n")
    return code
