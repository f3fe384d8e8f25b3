"""The recurrent layers in a file of weights.

They are recovered from names and shapes; nothing in the file is executed. Files of safetensors need the extra
[safetensors].

Examples:

  lstm-shapes inspect model.safetensors

  lstm-shapes inspect checkpoint.pt --json | jq '.layers[].spec'
"""

from __future__ import annotations

from lstm_shapes.lab.checkpoint import read_checkpoint

from . import _screen
from ._parser import Parser

__all__ = ["declare", "main"]


def declare(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .safetensors file, or what torch.save wrote")
    parser.json()


def main(file: str, *, json: bool = False) -> int:
    checkpoint = read_checkpoint(file)
    if json:
        _screen.data(checkpoint.to_dict())
    else:
        _screen.put(checkpoint)
    return 0
