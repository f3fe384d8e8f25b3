"""Shapes, parameters and slices of a layer: predicted, then proved.

The prediction is on the screen at once, the proof when torch has loaded.

Examples:

  lstm-shapes explain 28 256 3 --batch 2 --steps 20

  lstm-shapes explain 28 256 3 --time-major --bidirectional --lengths 20,17,4

  lstm-shapes explain 28 64 2 --cell GRU --json | jq .counts.total

  lstm-shapes explain 28 256 3 --html lstm.html
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_shapes.theory.given import LayerTyped, Placed
from lstm_shapes.theory.predict import Prediction, predict

from . import _screen
from ._parser import Parser, decimal

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lstm_shapes.display.page import Block
    from lstm_shapes.lab.proof import Proof

__all__ = ["declare", "main"]


def declare(parser: Parser) -> None:
    parser.layer()
    parser.add_argument(
        "--time-major", dest="batch_first", action="store_false", help="X is (L, N, Q): torch's batch_first=False"
    )
    parser.add_argument("--dropout", type=decimal, help="between layers, 0 to 1 (default: 0)")
    parser.add_argument("--nonlinearity", help="tanh or relu, RNN only (default: tanh)")
    parser.add_argument("--device", help="where the proof runs: cpu, cuda, … (default: cpu)")
    parser.json()
    parser.html()
    parser.switch("proof", "run the layer and check every number")


def main(
    *,
    device: str = "cpu",
    json: bool = False,
    html: Path | None = None,
    proof: bool = True,
    **layer: Unpack[LayerTyped],
) -> int:
    prediction = predict(**layer)
    if not json:
        from lstm_shapes.views.shapes import shapes_view

        _screen.put(shapes_view(prediction))  # on the screen before the rest is even imported
    from lstm_shapes.explanation import Explanation

    explanation = Explanation(prediction)
    if not json:
        from lstm_shapes.views.explanation import below_shapes

        _put_below(*below_shapes(explanation))
    if proof:
        explanation = Explanation(prediction, _prove(prediction, device))
    if json:
        _screen.data(explanation.to_dict())
    elif explanation.proof is not None:
        from lstm_shapes.views.proof import proof_sheet

        _put_below(proof_sheet(explanation.proof))
    if html is not None:
        explanation.save(html)
        _screen.say(f"Wrote {html}", sys.stderr)
    return 0 if explanation.proof is None or explanation.proof.ok else 1


def _put_below(*blocks: Block) -> None:
    """Continue the page that is on the screen."""
    from lstm_shapes.display.page import Page

    _screen.say()
    _screen.put(Page("", "", blocks))


def _prove(prediction: Prediction, device: str) -> Proof:
    """Load torch, which takes seconds, and ask it."""
    with _screen.loading("Loading torch to prove it …"):
        from lstm_shapes.lab.proof import prove

        call = prediction.call
        sizes = Placed(N=call.N, L=call.L, lengths=call.lengths, device=device, dtype=prediction.dtype)
        return prove(prediction.spec, **sizes)
