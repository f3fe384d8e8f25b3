"""The first table: every tensor of a call. It loads little, so that a command has it on the screen at once."""

from __future__ import annotations

from lstm_shapes.display.page import Cell, Column, Mark, Page, Sheet, code
from lstm_shapes.language import say
from lstm_shapes.theory.notes import meaning
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import headline
from lstm_shapes.theory.symbols import SYMBOLS

from .titles import sizes, subtitle


def shapes_view(prediction: Prediction) -> Page:
    """Which layer, how much data, and the shapes of one call."""
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), (shapes_sheet(prediction),))


def shapes_sheet(prediction: Prediction) -> Sheet:
    """Every tensor of the call: name, axes, sizes, what it is; hidden and cell state share a row where alike."""
    spec, call = prediction.spec, prediction.call
    tensors = dict(prediction.tensors)
    for h, c in (("h0", "c0"), ("hn", "cn")):
        if c in tensors and tensors[h] == tensors[c]:
            del tensors[c]
            tensors = {f"{h}, {c}" if name == h else name: axes for name, axes in tensors.items()}
    for name, packed in (("X.data", prediction.packed_X), ("Y.data", prediction.packed_Y)):
        if packed is not None:
            tensors[name] = packed
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (code(name), Mark(axes.formula, "symbol"), sizes(axes), meaning(spec, call, name))
        for name, axes in tensors.items()
    )
    columns = (Column(say("name")), Column(say("axes")), Column(say("sizes")), Column(say("what it is"), whole=False))
    return Sheet(say("shapes"), columns, rows, caption=_in_torchs_words(prediction))


def _in_torchs_words(prediction: Prediction) -> str:
    """The symbols of this layer and what torch calls them; Keras' name, where it is another one."""
    spec = prediction.spec
    words = [] if spec.kind.step else [f"K={SYMBOLS['K'].argument}"]
    words += [f"R=1+{SYMBOLS['R'].argument}"] if spec.R == 2 else []
    words += [f"P={SYMBOLS['P'].argument}"] if spec.P else []
    words += [] if spec.kind.step else ["Y=output", "hn=h_n", *(["cn=c_n"] if spec.has_c else [])]
    return say("torch's words", more="".join(f", {word}" for word in words))
