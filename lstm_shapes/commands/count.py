"""`lstm-shapes count 28 256 3`: parameters only, at once."""

from __future__ import annotations

import json

import typer

from lstm_shapes.theory.predict import count as count_
from lstm_shapes.views.counts import counts_view

from . import options

__all__ = ["count"]


def count(
    Q: options.Q,
    D: options.D,
    K: options.Layers = 1,
    batch: options.Batch = None,
    steps: options.Steps = None,
    unbatched: options.Unbatched = False,
    lengths: options.Lengths = None,
    cell: options.CellName = "LSTM",
    bidirectional: options.Bidirectional = False,
    proj_size: options.ProjSize = 0,
    bias: options.Bias = True,
    dtype: options.Dtype = "float32",
    as_json: options.Json = False,
) -> None:
    """Parameters layer by layer, with the formula; with --batch and --steps also MACs.

    Examples:

      lstm-shapes count 28 256 3

      lstm-shapes count 28 256 3 --batch 2 --steps 20 --dtype bfloat16
    """
    fields = options.layer_arguments(False, cell, bidirectional, proj_size, bias, 0.0, "tanh")
    counts = count_(Q, D, K, **fields, **options.call_arguments(batch, steps, unbatched, lengths), dtype=dtype)
    if as_json:
        typer.echo(json.dumps(counts.to_dict(), ensure_ascii=False, indent=2))
    else:
        options.put(counts_view(counts))
