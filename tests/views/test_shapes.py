"""The first table: every tensor of a call."""

from __future__ import annotations

from hypothesis import given

from lstm_shapes import Spec
from lstm_shapes._views.shapes import shapes_sheet, shapes_view
from lstm_shapes._views.titles import subtitle
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import headline
from tests.strategies import cases


@given(cases())
def test_every_tensor_has_a_row(case: tuple[Spec, Call]) -> None:
    """Names, symbols and sizes of all tensors and of packed data; hidden and cell state share a row where alike."""
    prediction = Prediction(*case)
    rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in shapes_sheet(prediction).rows]
    seen = {name: row[1:3] for row in rows for name in row[0].split(", ")}
    packed = {"X.data": prediction.packed_X, "Y.data": prediction.packed_Y}
    expected = prediction.tensors | {name: axes for name, axes in packed.items() if axes is not None}
    assert seen == {name: [axes.formula, str(axes.sizes)] for name, axes in expected.items()}
    assert len(rows) == len(expected) - 2 * (prediction.c0 is not None and prediction.c0 == prediction.h0)


@given(cases())
def test_torchs_names_stand_below(case: tuple[Spec, Call]) -> None:
    """Those of the arguments that this layer has, of its results, and Keras' word for D."""
    spec = case[0]
    caption = shapes_sheet(Prediction(*case)).caption
    assert all(word in caption for word in ("Q=input_size", "embedding_dim", "D=hidden_size (Keras: units)"))
    assert ("K=num_layers" in caption) == ("Y=output" in caption) == ("hn=h_n" in caption) == (not spec.kind.step)
    assert ("R=1+bidirectional" in caption, "P=proj_size" in caption) == (spec.R == 2, spec.P > 0)
    assert ("cn=c_n" in caption) == (spec.has_c and not spec.kind.step)


def test_the_first_page_is_the_shapes_alone() -> None:
    """Which layer, how much data, and that one table: nothing else has to load before it is on the screen."""
    prediction = Prediction(Spec(7, 5, 2), Call(3, 4))
    page = shapes_view(prediction)
    assert (page.title, page.subtitle) == (headline(prediction.spec), subtitle(prediction.spec, prediction.call))
    assert page.blocks == (shapes_sheet(prediction),)
