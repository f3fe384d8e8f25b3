"""Shapes as a table: every tensor of a call, in symbols, in numbers, and in a sentence."""

from __future__ import annotations

from lstm_shapes.display.page import Cell, Column, Mark, Page, Sheet, code
from lstm_shapes.theory.meanings import meaning
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.symbols import legend

from .titles import headline, sizes, subtitle

__all__ = ["shapes_sheet", "shapes_view"]


def shapes_view(prediction: Prediction) -> Page:
    """What stands on the screen first: which layer, and the shapes of one call."""
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), (shapes_sheet(prediction),))


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
