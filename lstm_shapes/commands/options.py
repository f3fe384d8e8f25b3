"""The arguments that several commands share, each described once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lstm_shapes.errors import SpecError
from lstm_shapes.shown import as_text

__all__ = [
    "Batch",
    "Bias",
    "Bidirectional",
    "CellName",
    "Device",
    "Dropout",
    "Dtype",
    "Html",
    "Json",
    "Layers",
    "Lengths",
    "Nonlinearity",
    "ProjSize",
    "Steps",
    "TimeMajor",
    "Unbatched",
    "call_arguments",
    "html_file",
    "layer_arguments",
    "loading",
    "put",
]

Q = Annotated[int, typer.Argument(metavar="Q", help="features of one step: torch's input_size")]
D = Annotated[int, typer.Argument(metavar="D", help="hidden width: torch's hidden_size")]
Layers = Annotated[int, typer.Argument(metavar="K", help="stacked layers: torch's num_layers")]
Batch = Annotated[int | None, typer.Option("--batch", "-n", metavar="N", help="sequences in the batch")]
Steps = Annotated[int | None, typer.Option("--steps", "-l", metavar="L", help="steps in a sequence")]
TimeMajor = Annotated[bool, typer.Option("--time-major", help="X is (L, N, Q): torch's batch_first=False")]
Unbatched = Annotated[bool, typer.Option("--unbatched", help="one sequence without a batch axis")]
Lengths = Annotated[str | None, typer.Option(metavar="5,3,2", help="steps of each row: pads and packs")]
CellName = Annotated[str, typer.Option("--cell", help="LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell")]
Bidirectional = Annotated[bool, typer.Option("--bidirectional", "-r", help="read in both directions")]
ProjSize = Annotated[int, typer.Option("--proj-size", "-p", metavar="P", help="projected width, LSTM only")]
Bias = Annotated[bool, typer.Option("--bias/--no-bias", help="with or without bias vectors")]
Dropout = Annotated[float, typer.Option(help="between layers, 0 to 1")]
Nonlinearity = Annotated[str, typer.Option(help="tanh or relu, RNN only")]
Device = Annotated[str, typer.Option(help="where the proof runs: cpu, cuda, …")]
Dtype = Annotated[str, typer.Option(help="float32, float64, float16 or bfloat16")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="write the page to FILE as well")]
Json = Annotated[bool, typer.Option("--json", help="print plain data for another program")]


def put(value: Any) -> None:
    """Show something now: in colour on a terminal, as plain lines without trailing blanks in a pipe."""
    screen = Console(highlight=False)
    if screen.is_terminal:
        screen.print(value)
    else:
        typer.echo(as_text(value))


@contextmanager
def loading(message: str) -> Iterator[None]:
    """A spinner on stderr, so that a pipe stays clean, while something slow is imported.

    The garbage collector waits: what torch makes while it loads stays, and looking through it again and again takes a
    tenth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with Console(stderr=True).status(message):
            yield
    finally:
        if collects:
            gc.enable()


def html_file(file: Path | None) -> None:
    """Refuse a page that could not be written, before anything is worked out.

    Raises: typer.BadParameter for another ending, or a folder that is not there.
    """
    if file is None:
        return
    if file.suffix != ".html":
        raise typer.BadParameter("give it a name that ends in .html", param_hint="--html")
    if not file.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {file.parent}; make it first", param_hint="--html")


def layer_arguments(
    time_major: bool,
    cell: str,
    bidirectional: bool,
    proj_size: int,
    bias: bool,
    dropout: float,
    nonlinearity: str,
) -> dict[str, Any]:
    """Options of the command line as the fields of a Spec."""
    return {
        "batch_first": not time_major,
        "cell": cell,
        "bidirectional": bidirectional,
        "proj_size": proj_size,
        "bias": bias,
        "dropout": dropout,
        "nonlinearity": nonlinearity,
    }


def call_arguments(batch: int | None, steps: int | None, unbatched: bool, lengths: str | None) -> dict[str, Any]:
    """Options of the command line as the sizes of a call; only what was given.

    Raises: SpecError for lengths that are no whole numbers, or options that contradict each other.
    """
    given: dict[str, Any] = {}
    if unbatched:
        if batch is not None or lengths is not None:
            raise SpecError("--unbatched", "given without --batch and --lengths", "both")
        given["N"] = None
    if batch is not None:
        given["N"] = batch
    if steps is not None:
        given["L"] = steps
    if lengths is not None:
        try:
            given["lengths"] = tuple(int(entry) for entry in lengths.split(","))
        except ValueError:
            raise SpecError("--lengths", "whole numbers with commas between, such as 5,3,2", lengths) from None
    return given
