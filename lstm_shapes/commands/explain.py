"""`lstm-shapes explain 28 256 3`: the prediction at once, the proof when torch has loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstm_shapes.theory.predict import Prediction, predict
from lstm_shapes.views.page import Block, Page
from lstm_shapes.views.shapes import shapes_view

from . import options

if TYPE_CHECKING:
    from lstm_shapes.lab.proof import Proof

__all__ = ["explain", "show"]

Proven = Annotated[bool, typer.Option("--proof/--no-proof", help="run the layer and check every number")]


def explain(
    Q: options.Q,
    D: options.D,
    K: options.Layers = 1,
    batch: options.Batch = None,
    steps: options.Steps = None,
    time_major: options.TimeMajor = False,
    unbatched: options.Unbatched = False,
    lengths: options.Lengths = None,
    cell: options.CellName = "LSTM",
    bidirectional: options.Bidirectional = False,
    proj_size: options.ProjSize = 0,
    bias: options.Bias = True,
    dropout: options.Dropout = 0.0,
    nonlinearity: options.Nonlinearity = "tanh",
    device: options.Device = "cpu",
    dtype: options.Dtype = "float32",
    as_json: options.Json = False,
    html: options.Html = None,
    proof: Proven = True,
) -> None:
    """Shapes, parameters, slices and notes of a layer, predicted and then proved on torch.

    Examples:

      lstm-shapes explain 28 256 3 --batch 2 --steps 20

      lstm-shapes explain 28 256 3 --time-major --bidirectional --lengths 20,17,4

      lstm-shapes explain 28 64 2 --cell GRU --json | jq .counts.total

      lstm-shapes explain 28 256 3 --html lstm.html
    """
    fields = options.layer_arguments(time_major, cell, bidirectional, proj_size, bias, dropout, nonlinearity)
    call = options.call_arguments(batch, steps, unbatched, lengths)
    prediction = predict(Q, D, K, **fields, **call, dtype=dtype)
    show(prediction, device=device, proof=proof, as_json=as_json, html=html)


def show(
    prediction: Prediction,
    *,
    device: str = "cpu",
    proof: bool = True,
    as_json: bool = False,
    html: Path | None = None,
) -> None:
    """Put the prediction on the screen, then prove it.

    Raises: typer.Exit with code 1 where a check of the proof fails.
    """
    options.html_file(html)
    if not as_json:
        options.put(shapes_view(prediction))  # on the screen before the rest is even imported
    from lstm_shapes.explanation import Explanation
    from lstm_shapes.views.explanation import below_shapes

    explanation = Explanation(prediction)
    if not as_json:
        _put_below(*below_shapes(explanation))
    if proof:
        explanation = Explanation(prediction, _prove(prediction, device))
    if as_json:
        typer.echo(json.dumps(explanation.to_dict(), ensure_ascii=False, indent=2))
    elif explanation.proof is not None:
        from lstm_shapes.views.proof import proof_sheet

        _put_below(proof_sheet(explanation.proof))
    if html is not None:
        explanation.save(html)
        typer.echo(f"Wrote {html}", err=True)
    if explanation.proof is not None and not explanation.proof.ok:
        raise typer.Exit(1)


def _put_below(*blocks: Block) -> None:
    """Continue the page that is on the screen."""
    typer.echo()
    options.put(Page("", "", blocks))


def _prove(prediction: Prediction, device: str) -> Proof:
    """Load torch, which takes seconds, and ask it."""
    with options.loading("Loading torch to prove it …"):
        from lstm_shapes.lab.proof import prove

        call = prediction.call
        where: dict[str, Any] = {"N": call.N, "L": call.L, "lengths": call.lengths}
        return prove(prediction.spec, **where, device=device, dtype=prediction.dtype)
