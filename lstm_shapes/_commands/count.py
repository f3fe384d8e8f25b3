"""Parameters layer by layer, with the formula.

With --batch and --steps also multiply-accumulates, memory, and what other
tools print.

Examples:

  lstm-shapes count 28 256 3

  lstm-shapes count 28 256 3 --batch 2 --steps 20 --dtype bfloat16
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm_shapes.theory._given import LayerTyped
from lstm_shapes.theory.predict import count

from . import _screen
from ._parser import Parser

if TYPE_CHECKING:
    from typing_extensions import Unpack


def declare(parser: Parser) -> None:
    parser.layer()
    parser.lang()
    parser.json()


def main(*, json: bool = False, **layer: Unpack[LayerTyped]) -> int:
    counts = count(**layer)
    if json:
        _screen.data(counts.to_dict())
    else:
        from lstm_shapes._views.predicted import counts_view

        _screen.put(counts_view(counts))
    return 0
