"""`lstm-shapes inspect FILE`: the recurrent layers in a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lstm_shapes.lab.checkpoint import read_checkpoint

from . import options

__all__ = ["inspect"]

File = Annotated[Path, typer.Argument(metavar="FILE", help="a .safetensors file, or what torch.save wrote")]


def inspect(file: File, as_json: options.Json = False) -> None:
    """Every recurrent layer in a checkpoint, recovered from names and shapes; nothing in it is executed.

    Examples:

      lstm-shapes inspect model.safetensors

      lstm-shapes inspect checkpoint.pt --json | jq '.layers[].spec'
    """
    checkpoint = read_checkpoint(file)
    if as_json:
        typer.echo(json.dumps(checkpoint.to_dict(), ensure_ascii=False, indent=2))
    else:
        options.put(checkpoint)
