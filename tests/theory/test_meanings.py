"""Each tensor of a call has a plain sentence, and the sentence is true of the layer."""

from __future__ import annotations

from hypothesis import given

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.notes import meaning
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec
from tests.strategies import cases


@given(cases())
def test_every_tensor_has_a_sentence(case: tuple[Spec, Call]) -> None:
    """Also the pairs that share a row; and no sentence speaks of what the layer lacks."""
    spec, call = case
    prediction = Prediction(spec, call)
    pairs = ["h0, c0", "hn, cn"] if prediction.c0 == prediction.h0 else []
    for name in (*prediction.tensors, *pairs):
        text = meaning(spec, call, name)
        assert ("N sequences" in text) <= call.batched
        assert ("direction" in text or "half" in text) <= (spec.R == 2)
        assert ("each row's own" in text) == (call.lengths is not None and name[:2] in ("hn", "cn"))
        assert ("feed" in text) == (spec.kind.step and name[:2] in ("hn", "cn"))


def test_X_says_what_its_axes_count() -> None:
    """In symbols, which stand beside their sizes: nobody reads of "1 features"."""
    assert meaning(Spec(1, 256), Call(), "X") == "input: N sequences, L steps, Q features"
    assert meaning(Spec(1, 256), Call(N=None), "X") == "input: L steps, Q features"
    assert meaning(Spec(1, 256, cell="LSTMCell"), Call(N=2, L=1), "X") == "input: one step of N sequences, Q features"


def test_h_is_hidden_and_c_is_cell() -> None:
    """The lesson's slip: Y is hidden state."""
    for spec in (Spec(28, 256, 3), Spec(28, 256, bidirectional=True), Spec(28, 256, cell="LSTMCell")):
        for name in Prediction(spec, Call()).tensors:
            text = meaning(spec, Call(), name)
            assert ("hidden state" in text) == (name in ("h0", "Y", "hn"))
            assert ("cell state" in text) == (name in ("c0", "cn"))
