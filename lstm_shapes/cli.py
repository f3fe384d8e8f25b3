"""Predict, prove and debug the tensor shapes of PyTorch's recurrent layers.

Without a command: the lesson's LSTM, `explain 28 256 3 --batch 2 --steps 20`.
Every command takes --lang ko for Korean; errors, help and what check finds are
in English in either language.
"""

from __future__ import annotations

import os
import sys

from . import __version__
from ._commands._parser import Command, Parser, UsageError, near
from .errors import LstmShapesError

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
            # The reader (head, less) has gone; nothing more can be written.
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
        return _command(name)(rest)
    if not name.startswith("-"):
        raise UsageError(f"No such command '{name[:40]}'.{near(name, COMMANDS)}", "lstm-shapes")
    # Each command with the first sentence of its help.
    listed = (f"  {one:<10}{_command(one).help.partition(chr(10))[0]}\n" for one in COMMANDS)
    help_asked = name in ("-h", "--help")
    parser = Parser("lstm-shapes", f"{__doc__}\nCommands:\n{''.join(listed)}" if help_asked else "")
    parser.usage = "lstm-shapes [-h] [--version] COMMAND ..."
    parser.add_argument("--version", action="version", version=f"lstm-shapes {__version__}")
    parser.read([name])  # shows what was asked for and ends, or refuses
    return 0


def _command(name: str) -> Command:
    """The command of this name; those about a layer are imported without torch."""
    if name in ("explain", "count", "quiz", "explore"):
        from ._commands import layers

        return vars(layers)[name]  # type: ignore[no-any-return]
    from ._commands import models

    return vars(models)[name]  # type: ignore[no-any-return]
