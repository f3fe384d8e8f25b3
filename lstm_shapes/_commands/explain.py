"""Shapes, parameters and slices of a layer: predicted, then proved.

The prediction is on the screen at once, the proof when torch has loaded.
--full shows all slices, notes, laws, counts and every line of the proof.

Examples:

  lstm-shapes explain 28 256 3 --batch 2 --steps 20

  lstm-shapes explain 28 256 3 --time-major --bidirectional --lengths 20,17,4

  lstm-shapes explain 28 64 2 --cell GRU --json | jq .counts.total

  lstm-shapes explain 28 256 3 --full --html lstm.html

  lstm-shapes explain 28 256 3 --lang ko
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lstm_shapes.display import as_document
from lstm_shapes.language import say
from lstm_shapes.theory._given import LayerTyped, Placed
from lstm_shapes.theory.predict import Prediction, predict

from . import _screen
from ._parser import Parser, decimal

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lstm_shapes.display.page import Block
    from lstm_shapes.lab.proof import Proof


def declare(parser: Parser) -> None:
    parser.layer()
    parser.add_argument(
        "--time-major", dest="batch_first", action="store_false", help="X is (L, N, Q): torch's batch_first=False"
    )
    parser.add_argument("--dropout", type=decimal, help="between layers, 0 to 1 (default: 0)")
    parser.add_argument("--nonlinearity", help="tanh or relu, RNN only (default: tanh)")
    parser.add_argument("--device", help="where the proof runs: cpu, cuda, … (default: cpu)")
    parser.lang()
    parser.json()
    parser.html()
    parser.switch("proof", "run the layer and check every number")
    parser.add_argument("--full", action="store_true", help="also slices, notes, laws, counts and every line of proof")


def main(
    *,
    device: str = "cpu",
    json: bool = False,
    html: Path | None = None,
    proof: bool = True,
    full: bool = False,
    **layer: Unpack[LayerTyped],
) -> int:
    prediction = predict(**layer)
    if not json:
        from lstm_shapes._views.predicted import shapes_view

        _screen.put(shapes_view(prediction))  # on the screen before the rest is even imported
    from lstm_shapes.explanation import Explanation

    if not json:
        from lstm_shapes._views.explanation import every_block, first_blocks

        _put_below(*(every_block(Explanation.of(prediction)) if full else first_blocks(prediction)))
    explanation = Explanation.of(prediction, _prove(prediction, device) if proof else None)
    if json:
        _screen.data(explanation.to_dict())
    else:
        _put_proof(explanation.proof, full)
    if html is not None:
        _screen.write(html, as_document(explanation))
    return 0 if explanation.proof is None or explanation.proof.ok else 1


def _put_below(*blocks: Block, more: str = "") -> None:
    from lstm_shapes.display.page import Page

    _screen.say()
    _screen.put(Page("", "", blocks, more=more))


def _put_proof(proof: Proof | None, full: bool) -> None:
    """The end of the page: the proof, if there is one, and what else there is."""
    more = "" if full else say("more on the command line")
    blocks: tuple[Block, ...] = ()
    if proof is not None:
        from lstm_shapes._views.measured import proof_lines, proof_sheet

        blocks = (proof_sheet(proof),) if full else proof_lines(proof)
    if blocks or more:
        _put_below(*blocks, more=more)


def _prove(prediction: Prediction, device: str) -> Proof:
    """Load torch, which takes seconds, and ask it."""
    with _screen.loading(say("loading")):
        from lstm_shapes.lab.proof import prove

        call = prediction.call
        sizes = Placed(N=call.N, L=call.L, lengths=call.lengths, device=device, dtype=prediction.dtype)
        return prove(prediction.spec, **sizes)
