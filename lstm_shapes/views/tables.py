"""Shapes, parameters and slices as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm_shapes.theory.axes import Axes
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts, LayerCount
from lstm_shapes.theory.meanings import meaning
from lstm_shapes.theory.notes import notes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import OPEN_QUESTION, slices
from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import legend

from .page import Cell, Column, Lines, Mark, Page, Sheet, code

if TYPE_CHECKING:
    from lstm_shapes.lab.run import Run

__all__ = [
    "headline",
    "notes_lines",
    "number_of_bytes",
    "parameters_sheet",
    "prediction_view",
    "run_view",
    "shapes_sheet",
    "sizes",
    "slices_sheet",
    "subtitle",
]

# Beyond this many layers the ones above the first, all alike, share a row.
_LAYERS_SHOWN = 4


def headline(spec: Spec) -> str:
    """`LSTM(Q=28, D=256, K=3)`, with what differs from a plain layer."""
    extras = [
        text
        for text, has in (
            ("bidirectional", spec.bidirectional),
            (f"P={spec.P}", spec.P),
            ("bias=False", not spec.bias),
            (f"dropout={spec.dropout:g}", spec.dropout),
            (spec.nonlinearity, spec.nonlinearity != "tanh"),
        )
        if has
    ]
    numbers = [f"Q={spec.Q}", f"D={spec.D}", *([f"K={spec.K}"] if not spec.kind.step else [])]
    return f"{spec.cell}({', '.join(numbers + extras)})"


def subtitle(spec: Spec, call: Call) -> str:
    """How much data, in which layout."""
    if not call.batched:
        data = "one unbatched step" if spec.kind.step else f"one unbatched sequence of L={call.L} steps"
    elif spec.kind.step:
        data = f"N={call.N} sequences, one step"
    else:
        data = f"N={call.N} sequences of L={call.L} steps"
    if call.lengths is not None:
        data += f", packed: {call.T} real steps"
    layout = "" if spec.kind.step else f", `batch_first={spec.batch_first}`"
    return data + layout


def sizes(axes: Axes) -> str:
    """The sizes as torch prints a shape."""
    return str(tuple(axes.sizes))


def shapes_sheet(prediction: Prediction) -> Sheet:
    """Every tensor of the call: name, axes, sizes, what it is."""
    spec, call = prediction.spec, prediction.call
    rows: list[tuple[Cell, ...]] = [
        (code(name), Mark(axes.formula, "symbol"), sizes(axes), meaning(spec, call, name))
        for name, axes in prediction.tensors.items()
    ]
    for name, packed in (("X.data", prediction.packed_X), ("Y.data", prediction.packed_Y)):
        if packed is not None:
            text = "the same when packed: T real steps, no padding"
            rows.append((code(name), Mark(packed.formula, "symbol"), sizes(packed), text))
    letters = {letter for axes in prediction.tensors.values() for name in axes.names for letter in name.split("·")}
    return Sheet(
        "Shapes",
        (Column("name"), Column("axes"), Column("sizes"), Column("what it is", whole=False)),
        tuple(rows),
        caption=legend("".join(letters)) + ".",
    )


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
            f"recurrent H·D matrices, {counts.recurrent_share:.0%}"
            + (": D is what costs" if counts.recurrent_share >= 0.3 else ""),
            f"{counts.recurrent:,}",
        ),
    ]
    if spec.bias and spec.kind.keras_biases == 1 and not spec.P:
        fewer = spec.K * spec.R * spec.G * spec.D
        totals.append(("Keras", f"one bias fewer a gate: minus {fewer:,}", f"{counts.total - fewer:,}"))
    if counts.macs is not None and counts.call is not None:
        steps = f"{counts.call.T:,} steps × {counts.macs_per_step:,} a step"
        totals.append(("MACs", f"{steps} ({counts.call.T_formula} steps, biases not counted)", f"{counts.macs:,}"))
    return Sheet(
        "Parameters",
        (Column(""), Column("formula", whole=False), Column("number", right=True)),
        tuple(rows),
        tuple(totals),
    )


def _layer_row(name: str, layer: LayerCount, total: int) -> tuple[Cell, ...]:
    return (name, f"{layer.formula}\n{layer.substituted}", f"{total:,}")


def number_of_bytes(number: int) -> str:
    """Bytes in the largest binary unit that leaves at least 1.

    >>> number_of_bytes(5382144)
    '5.13 MiB'
    """
    value, units = float(number), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{number:,} bytes" if units[0] == "bytes" else f"{value:,.2f} {units[0]}"


def slices_sheet(prediction: Prediction) -> Sheet | None:
    """The usual slices of Y and hn; a star on what a classifier usually wants. None for a cell."""
    found = slices(prediction)
    if not found:
        return None
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Mark("★", "good") if one.wanted else "",
            code(one.expression),
            Mark(one.axes.formula, "symbol"),
            sizes(one.axes),
            one.meaning,
        )
        for one in found
    )
    star = "★ what a classifier usually wants."
    if prediction.spec.R == 2:
        star = "★ what a classifier usually wants: both, joined by `torch.cat([hn[-2], hn[-1]], dim=-1)`."
    return Sheet(
        "Slices",
        (
            Column(""),
            Column("expression"),
            Column("axes"),
            Column("sizes"),
            Column("what it gives", whole=False),
        ),
        rows,
        caption=star,
    )


def notes_lines(prediction: Prediction) -> Lines:
    """Where learners slip with this layer, and the lesson's open question."""
    asked = (
        (OPEN_QUESTION,) if prediction.spec.batch_first and prediction.Y is not None and prediction.call.batched else ()
    )
    return Lines("Mind", notes(prediction.spec, prediction.call) + asked)


def prediction_view(prediction: Prediction) -> Page:
    """What `predict` returns."""
    found = slices_sheet(prediction)
    blocks = (shapes_sheet(prediction), parameters_sheet(prediction.counts), *([found] if found else []))
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), blocks)


def run_view(run: Run) -> Page:
    """What `run` returns: the tensors it holds, not their numbers."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            code(name),
            Mark(tensor.axes.formula, "symbol"),
            sizes(tensor.axes),
            str(tensor.dtype).removeprefix("torch."),
            str(tensor.device),
        )
        for name, tensor in run.tensors.items()
    )
    columns = tuple(Column(name) for name in ("name", "axes", "sizes", "dtype", "device"))
    return Page(headline(run.spec), subtitle(run.spec, run.call), (Sheet("Tensors", columns, rows),))
