"""Each tensor of a call has a plain sentence, and the sentence is true of the layer."""

from __future__ import annotations

from hypothesis import given

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.meanings import meaning
from lstm_shapes.theory.numerals import counted
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec
from tests.strategies import cases


@given(cases())
def test_every_tensor_has_a_sentence(case: tuple[Spec, Call]) -> None:
    """No hole is left unfilled, and no sentence speaks of what the layer lacks."""
    spec, call = case
    for name in Prediction(spec, call).tensors:
        text = meaning(spec, call, name)
        assert text
        assert not set("{}") & set(text)
        assert ("sequences" in text) <= call.batched
        assert ("direction" in text or "half" in text) <= (spec.R == 2)
        assert ("each row's own" in text) <= (call.lengths is not None)


@given(cases(cells=("LSTM", "GRU", "RNN")))
def test_X_says_its_sizes(case: tuple[Spec, Call]) -> None:
    """The first sentence has Q, L and N in numbers."""
    spec, call = case
    text = meaning(spec, call, "X")
    assert counted(spec.Q, "feature") in text
    assert ("one step" if call.L == 1 else f"each of {call.L} steps") in text
    assert (f"for {counted(call.N or 0, 'sequence')}" in text) == call.batched


def test_h_is_hidden_and_c_is_cell() -> None:
    """The lesson's slip: Y is hidden state."""
    spec = Spec(28, 256, 3)
    for name in ("h0", "Y", "hn"):
        assert meaning(spec, Call(), name).startswith("hidden state")
    for name in ("c0", "cn"):
        assert meaning(spec, Call(), name).startswith("cell state")


def test_a_cell_speaks_of_one_step() -> None:
    """Its state is to be fed back."""
    spec = Spec(28, 256, cell="LSTMCell")
    assert meaning(spec, Call(), "hn") == "hidden state after this step; feed it back as h0"
    assert meaning(spec, Call(N=2, L=1), "X") == "the input: 28 features at one step, for 2 sequences"
