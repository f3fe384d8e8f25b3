"""A wrong x is explained before torch sees it, with the axis and the next step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from lstm_shapes import Spec, annotate, explain, gates, run
from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.lab.inputs import read_inputs
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.shapes import axes_of_X
from tests.strategies import cases

LAYER = Spec(28, 256, 3)
MAJOR = LAYER.replace(batch_first=False)
CELL = Spec(28, 256, cell="LSTMCell")


@given(cases())
def test_the_call_is_read_off_x(case: tuple[Spec, Call]) -> None:
    """An X of the predicted sizes means the call it was predicted for."""
    spec, call = case
    inputs = read_inputs(spec, torch.zeros(axes_of_X(spec, call).sizes), call.lengths)
    assert inputs.call == call
    assert inputs.packed is None


@given(cases(kinds=("packed",), cells=("LSTM", "GRU", "RNN")))
def test_a_packed_sequence_brings_its_lengths(case: tuple[Spec, Call]) -> None:
    """N and lengths come from it; L is its longest row; X is padded again."""
    spec, call = case
    assert call.lengths is not None
    X = torch.rand(axes_of_X(spec, call).sizes)
    packed = pack_padded_sequence(X, torch.tensor(call.lengths), spec.batch_first, enforce_sorted=False)
    inputs = read_inputs(spec, packed)
    assert inputs.call == Call(call.N, max(call.lengths), call.lengths)
    assert tuple(inputs.X.shape) == axes_of_X(spec, inputs.call).sizes
    assert inputs.packed is packed


def test_names_are_taken_off_before_torch() -> None:
    """An annotated x is read as a plain tensor that shares its memory."""
    x = annotate(torch.zeros(2, 20, 28), "N L Q")
    X = read_inputs(LAYER, x).X
    assert type(X) is torch.Tensor
    assert X.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("x", [None, 3, "x", [[1.0]], (2, 20, 28)], ids=repr)
def test_x_is_a_tensor(x: Any) -> None:
    """A shape or a list is none."""
    with pytest.raises(ShapeError, match=r"^x must be a torch.Tensor or a PackedSequence, got"):
        read_inputs(LAYER, x)


@pytest.mark.parametrize(
    ("spec", "shape", "says"),
    [
        (LAYER, (28,), r"\(N, L, Q\), or \(L, Q\) for one sequence, got \(28,\). x.unsqueeze\(0\)"),
        (Spec(1, 5), (28,), r"got \(28,\). x.unsqueeze\(-1\) adds a feature axis of Q = 1"),
        (LAYER, (7,), r"one sequence, got \(7,\).$"),
        (LAYER, (2, 1, 20, 28), r"\(N, L, Q\), or \(L, Q\) for one sequence, got \(2, 1, 20, 28\)."),
        (MAJOR, (), r"\(L, N, Q\), or \(L, Q\) for one sequence, got \(\)"),
        (CELL, (2, 20, 28), r"\(N, Q\), or \(Q,?\) for one sequence, got \(2, 20, 28\)"),
    ],
)
def test_the_number_of_axes(spec: Spec, shape: tuple[int, ...], says: str) -> None:
    """The formula is the one of this layout."""
    with pytest.raises(ShapeError, match=says):
        read_inputs(spec, torch.zeros(shape))


def test_Q_is_last() -> None:
    """Where Q stands elsewhere, the message says how to move it."""
    with pytest.raises(
        ShapeError,
        match=r"for one sequence, with Q = 28 last, got \(2, 28, 20\). Axis 1 has size 28: x.movedim\(1, -1\)",
    ) as caught:
        read_inputs(LAYER, torch.zeros(2, 28, 20))
    assert caught.value.got == (2, 28, 20)
    with pytest.raises(ShapeError, match=r"got \(2, 20, 27\).$"):
        read_inputs(LAYER, torch.zeros(2, 20, 27))


def test_the_advice_works() -> None:
    """What the message tells to do gives an x that is taken."""
    assert read_inputs(LAYER, torch.zeros(2, 28, 20).movedim(1, -1)).call == Call(2, 20)


@pytest.mark.parametrize("shape", [(0, 20, 28), (2, 0, 28)])
def test_no_axis_is_empty(shape: tuple[int, ...]) -> None:
    """torch fails on these with words about strides."""
    with pytest.raises(ShapeError, match="with no axis of size 0"):
        read_inputs(LAYER, torch.zeros(shape))


def test_x_is_floating_point() -> None:
    """Tokens are no features."""
    with pytest.raises(ShapeError, match=r"in floating point, got torch.int64. Embed tokens first"):
        read_inputs(LAYER, torch.zeros(2, 20, 28, dtype=torch.int64))


def test_lengths_need_a_batch() -> None:
    """One unbatched sequence has nothing to pad."""
    with pytest.raises(ShapeError, match=r"\(N, L, Q\) where lengths are given, got \(20, 28\)"):
        read_inputs(LAYER, torch.zeros(20, 28), [20])


def test_lengths_fit_x() -> None:
    """One for each row of x, none longer than x."""
    with pytest.raises(ShapeError, match="N sequences = 2, got 3"):
        read_inputs(LAYER, torch.zeros(2, 20, 28), [3, 2, 1])
    with pytest.raises(ShapeError, match="at most L each = 20"):
        read_inputs(LAYER, torch.zeros(2, 20, 28), [21, 2])


def test_packed_input_is_checked_too() -> None:
    """A cell takes none, its own lengths are enough, and Q must fit."""
    packed = pack_sequence([torch.zeros(3, 28), torch.zeros(2, 28)])
    with pytest.raises(ShapeError, match=r"one step, .* for LSTMCell, got 'PackedSequence'"):
        read_inputs(CELL, packed)
    with pytest.raises(ShapeError, match="left out for a PackedSequence"):
        read_inputs(LAYER, packed, [3, 2])
    with pytest.raises(ShapeError, match=r"x.data must be \(T, Q\) with Q = 7, got \(5, 28\)"):
        read_inputs(Spec(7, 5), packed)


def test_bad_lengths_are_spec_errors() -> None:
    """Each entry is a whole number."""
    with pytest.raises(SpecError, match=r"lengths\[1\]"):
        read_inputs(LAYER, torch.zeros(2, 20, 28), [3, 0])


@pytest.mark.parametrize("call", [run, gates, lambda layer, x: explain(layer, x)], ids=["run", "gates", "explain"])
def test_names_in_another_order_than_the_layer_reads_are_a_contradiction(call: Any) -> None:
    """The sizes fit, the names say that batch and time are swapped: an error with both ways out, no new names."""
    layer = torch.nn.LSTM(4, 5, batch_first=True)
    with pytest.raises(ShapeError, match=r"x must be \(N, L, Q\).*got '?\(L, N, Q\).*transpose.*batch_first=False"):
        call(layer, annotate(torch.zeros(3, 2, 4), "L N Q"))
    with pytest.raises(ShapeError, match=r"got '?\(N, L, D\)"):
        call(torch.nn.LSTM(4, 5), annotate(torch.zeros(3, 2, 4), "N L D"))


@pytest.mark.parametrize("names", ["N L D", "B T F", "? ? ?", "N T Q", "B N Q", "K N D"])
def test_other_names_for_the_same_axes_are_no_contradiction(names: str) -> None:
    """Layers stack, and other people's letters say nothing about ours."""
    x = annotate(torch.zeros(3, 2, 4), names)
    assert run(torch.nn.LSTM(4, 5, batch_first=True), x).X.axes.names == ("N", "L", "Q")


@pytest.mark.parametrize("call", [run, gates], ids=["run", "gates"])
def test_a_state_with_its_axes_swapped_is_a_contradiction(call: Any) -> None:
    """h0 is (K·R, N, H) also with batch_first, and its own names can say that it is not."""
    layer, x = torch.nn.GRU(4, 5, 2, batch_first=True), torch.zeros(2, 3, 4)
    with pytest.raises(ShapeError, match=r"h0 must be \(K, N, D\).*got '?\(N, K, D\).*transpose"):
        call(layer, x, state=annotate(torch.zeros(2, 2, 5), "N K D"))
    call(layer, x, state=annotate(torch.zeros(2, 2, 5), "K N D"))


def test_a_sparse_x_is_refused_with_the_way_out() -> None:
    """torch's layers read dense tensors."""
    with pytest.raises(ShapeError, match=r"x must be a dense tensor.*x.to_dense\(\)"):
        run(torch.nn.LSTM(4, 5), torch.zeros(2, 3, 4).to_sparse())


def test_a_layer_that_returns_only_Y_is_told_what_to_return() -> None:
    """A subclass whose forward forgets the states."""

    class OnlyY(torch.nn.LSTM):
        def forward(self, *args: Any) -> Any:
            return super().forward(*args)[0]

    with pytest.raises(ShapeError, match=r"the result must be Y, \(hn, cn\), got '?Tensor.*must return"):
        run(OnlyY(4, 5), torch.zeros(2, 3, 4))
