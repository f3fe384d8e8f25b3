"""The command `lstm-shapes`, and how each of its commands fails."""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated

import typer

from . import __version__
from .commands.loading import COMMANDS, HELP, Commands
from .errors import LstmShapesError

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    name="lstm-shapes",
    help="Predict, prove and debug the tensor shapes of PyTorch's recurrent layers.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP,
)

# What every parsing error is, whether typer brings its own copy of click or not.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False,
) -> None:
    """Predict, prove and debug the tensor shapes of PyTorch's recurrent layers.

    Without a command: the lesson's LSTM, `explain 28 256 3 --batch 2 --steps 20`.
    """
    if version:
        typer.echo(f"lstm-shapes {__version__}")
    elif context.invoked_subcommand is None:
        from .commands.explain import explain

        explain(28, 256, 3, batch=2, steps=20)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit code 2, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # Symbols such as · must not kill the program where the terminal's encoding lacks them.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = app(args=arguments, prog_name="lstm-shapes", standalone_mode=False)
    except _UsageError as error:
        code = _complain(_usage(error, sys.argv[1:] if arguments is None else arguments))
    except (LstmShapesError, OSError, SystemExit) as error:
        # typer turns a broken pipe into an exit of its own.
        if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
            # The reader (head, less) has gone; there is nobody left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        if isinstance(error, SystemExit):
            raise
        code = _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Exception, words: list[str]) -> str:
    """What was wrong with the words on the command line, and where to read more."""
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    if re.search(r"No such option: -\d", message):
        return "Q, D, K and the other sizes must be whole numbers of at least 1; one of them is negative."
    # An option without its value is noticed before the command has a context.
    called = " ".join(["lstm-shapes", *(word for word in words[:1] if word in COMMANDS)])
    command = getattr(getattr(error, "ctx", None), "command_path", called)
    return f"{message if message.endswith('?') else message.rstrip('.') + '.'} See {command} --help."


def _complain(message: str) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"lstm-shapes: {line}\n")
    return 2
