"""Predict, prove and debug the tensor shapes of PyTorch's recurrent layers.

Without a command: the lesson's LSTM, `explain 28 256 3 --batch 2 --steps 20`. Every command takes --lang ko for Korean;
errors, help and what check finds are in English in either language.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from . import __version__
from ._commands._parser import Parser, UsageError, near
from .errors import LstmShapesError
from .language import language, speaking

__all__ = ["COMMANDS", "main"]

# In the order of the help.
COMMANDS = ("explain", "count", "inspect", "check", "rules", "walk", "run", "quiz", "explore")
_LESSON = ("explain", "28", "256", "3", "--batch", "2", "--steps", "20")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit code 2, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # Symbols such as · must not kill the program where the terminal's encoding lacks them.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except (LstmShapesError, OSError, SystemExit) as error:
        # rich turns a broken pipe into an exit of its own.
        if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
            # The reader (head, less) has gone; there is nobody left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        if isinstance(error, SystemExit):
            raise
        sys.stderr.write(f"lstm-shapes: {' '.join(str(error).split())}\n")
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _run(words: list[str]) -> int:
    if not words or words[0].partition("=")[0] == "--lang":
        words = [*_LESSON, *words]
    name, *rest = words
    if name in COMMANDS:
        command = _loaded(name)
        parser = Parser(f"lstm-shapes {name}", command.__doc__ or "")
        command.declare(parser)
        given = parser.read(rest)
        lang = language(given.pop("lang", None))
        with speaking(lang if parser.speaks else "en"):
            code: int = command.main(**given)
        return code
    if not name.startswith("-"):
        raise UsageError(f"No such command '{name[:40]}'.{near(name, COMMANDS)}", "lstm-shapes")
    parser = Parser("lstm-shapes", f"{__doc__}{_listed()}" if name in ("-h", "--help") else "")
    parser.usage = "lstm-shapes [-h] [--version] COMMAND ..."
    parser.add_argument("--version", action="version", version=f"lstm-shapes {__version__}")
    parser.read([name])  # shows what was asked for and ends, or refuses
    return 0


def _listed() -> str:
    """Each command with the first sentence of its help."""
    return "\nCommands:\n" + "".join(
        f"  {name:<10}{(_loaded(name).__doc__ or '').partition(chr(10))[0]}\n" for name in COMMANDS
    )


def _loaded(name: str) -> ModuleType:
    """The command, imported when it is called: the first table waits for no other's imports."""
    match name:
        case "explain":
            from ._commands import explain

            return explain
        case "count":
            from ._commands import count

            return count
        case "inspect":
            from ._commands import inspect

            return inspect
        case "check":
            from ._commands import check

            return check
        case "rules":
            from ._commands import rules

            return rules
        case "walk":
            from ._commands import walk

            return walk
        case "run":
            from ._commands import run

            return run
        case "quiz":
            from ._commands import quiz

            return quiz
        case _:
            from ._commands import explore

            return explore
