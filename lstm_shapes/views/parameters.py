"""Parameters as a table: each layer's formula, with numbers put in, and what they add up to."""

from __future__ import annotations

from lstm_shapes.display.page import Cell, Column, Mark, Sheet
from lstm_shapes.theory.counts import Counts, LayerCount
from lstm_shapes.theory.numerals import counted

from .titles import number_of_bytes

__all__ = ["parameters_sheet"]

# Beyond this many layers the ones above the first, all alike, share a row.
_LAYERS_SHOWN = 4


def parameters_sheet(counts: Counts) -> Sheet:
    """Each layer's parameters with the formula, in symbols above and in numbers below it."""
    spec = counts.spec
    rows: list[tuple[Cell, ...]] = []
    if spec.K <= _LAYERS_SHOWN:
        rows = [_layer_row(f"layer {layer.index}", layer, layer.total) for layer in counts.layers]
    else:
        assert counts.upper is not None  # K is above 4
        rows = [
            _layer_row("layer 0", counts.first, counts.first.total),
            _layer_row("layer 1", counts.upper, counts.upper.total),
            (
                f"layers 2 to {spec.K - 1}",
                f"as layer 1, {spec.K - 2:,} times",
                f"{counts.upper.total * (spec.K - 2):,}",
            ),
        ]
    totals: list[tuple[Cell, ...]] = [
        (
            Mark("total", "strong"),
            f"{number_of_bytes(counts.bytes)} in {counts.dtype}",
            Mark(f"{counts.total:,}", "strong"),
        ),
        (
            "of it",
            f"recurrent H·D matrices, {counts.recurrent_share:.0%}" + (": D is what costs" if counts.D_costs else ""),
            f"{counts.recurrent:,}",
        ),
    ]
    if spec.bias and spec.kind.keras_biases == 1 and not spec.P:
        fewer = spec.K * spec.R * spec.G * spec.D
        totals.append(("Keras", f"one bias fewer a gate: minus {fewer:,}", f"{counts.total - fewer:,}"))
    if counts.macs is not None and counts.call is not None:
        steps = f"{counted(counts.call.T, 'step')} × {counts.macs_per_step:,} a step"
        totals.append(("MACs", f"{steps} ({counts.call.T_formula} steps, biases not counted)", f"{counts.macs:,}"))
    return Sheet(
        "Parameters",
        (Column(""), Column("formula", whole=False), Column("number", right=True)),
        tuple(rows),
        tuple(totals),
    )


def _layer_row(name: str, layer: LayerCount, total: int) -> tuple[Cell, ...]:
    return (name, f"{layer.formula}\n{layer.substituted}", f"{total:,}")
