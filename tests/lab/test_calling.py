"""One call is read off its arguments; what does not fit is explained before torch sees it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from lstm_shapes import Spec, annotate, explain, gates, run
from lstm_shapes.errors import LstmShapesError, ShapeError, SpecError
from lstm_shapes.lab.build import build
from lstm_shapes.lab.calling import Inputs, read_inputs
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.shapes import axes_of_X
from tests.strategies import cases

LAYER = build(Spec(28, 256, 3), device="meta")


def read(layer: nn.Module, x: Any, lengths: Any = None, state: Any = None) -> Inputs:
    """The inputs of a layer of torch's."""
    return read_inputs(layer, Spec.of(layer), x, state, lengths)


def on_meta(*shape: int) -> Tensor:
    """A tensor without numbers, where LAYER is."""
    return torch.zeros(shape, device="meta")


@given(cases())
def test_the_call_is_read_off_x(case: tuple[Spec, Call]) -> None:
    """An X of the predicted sizes means the call it was predicted for."""
    spec, call = case
    inputs = read(build(spec), torch.zeros(axes_of_X(spec, call).sizes), call.lengths)
    assert inputs.call == call
    assert inputs.packed is None


@given(cases(kinds=("packed",), cells=("LSTM", "GRU", "RNN")))
def test_a_packed_sequence_brings_its_lengths(case: tuple[Spec, Call]) -> None:
    """N and lengths come from it; L is its longest row; X is padded again."""
    spec, call = case
    assert call.lengths is not None
    X = torch.rand(axes_of_X(spec, call).sizes)
    packed = pack_padded_sequence(X, torch.tensor(call.lengths), spec.batch_first, enforce_sorted=False)
    inputs = read(build(spec), packed)
    assert inputs.call == Call(call.N, max(call.lengths), call.lengths)
    assert tuple(inputs.X.shape) == axes_of_X(spec, inputs.call).sizes
    assert inputs.packed is packed


def test_names_are_taken_off_before_torch() -> None:
    """An annotated x is read as a plain tensor that shares its memory."""
    x = annotate(torch.zeros(2, 20, 28), "N L Q")
    X = read(nn.LSTM(28, 5, batch_first=True), x).X
    assert type(X) is torch.Tensor
    assert X.data_ptr() == x.data_ptr()


def test_lengths_need_a_batch() -> None:
    """One unbatched sequence has nothing to pad."""
    with pytest.raises(ShapeError, match=r"\(N, L, Q\) where lengths are given, got \(20, 28\)"):
        read(LAYER, on_meta(20, 28), [20])


def test_lengths_fit_x() -> None:
    """One for each row of x, none longer than x."""
    with pytest.raises(ShapeError, match="N sequences = 2, got 3"):
        read(LAYER, on_meta(2, 20, 28), [3, 2, 1])
    with pytest.raises(ShapeError, match="at most L each = 20"):
        read(LAYER, on_meta(2, 20, 28), [21, 2])


def test_packed_rows_bring_their_own_lengths() -> None:
    """Others beside them would contradict."""
    packed = pack_sequence([torch.zeros(3, 4), torch.zeros(2, 4)])
    with pytest.raises(ShapeError, match="left out for a PackedSequence"):
        read(nn.GRU(4, 5), packed, [3, 2])


def test_a_batch_of_nothing_is_a_spec_error() -> None:
    """torch takes it; there is nothing to explain in it."""
    with pytest.raises(SpecError, match=r"N \(batch size\) must be a whole number of at least 1, got 0"):
        read(LAYER, on_meta(0, 20, 28))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda call: call(nn.GRU(4, 5), torch.zeros(2, 3, 6)), r"^x must be \(L, N, Q\), .* with Q = 4 last"),
        (lambda call: call(nn.GRU(4, 5), torch.zeros(2, 3, 4), torch.zeros(3, 1, 5)), r"^h0 must be \(K, N, D\) = "),
        (lambda call: call(nn.LSTM(4, 5), torch.zeros(2, 3, 4), (torch.zeros(1, 3, 5),)), r"^state must be \(h0, c0\)"),
        (
            lambda call: call(nn.GRU(4, 5), torch.zeros(2, 3, 4).double()),
            "^x must be of the weights' dtype = 'float32'",
        ),
        (lambda call: call(nn.GRU(4, 5), [[1.0]]), r"^x must be a torch.Tensor or a PackedSequence"),
        (lambda call: call(nn.GRU(4, 5), torch.zeros(2, 0, 4)), r"^N \(batch size\) must be"),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("function", [run, gates], ids=["run", "gates"])
def test_run_and_gates_raise_the_first_problem_of_the_contract(function: Any, call: Any, says: str) -> None:
    """The same words from both."""
    with pytest.raises(LstmShapesError, match=says):
        call(function)


def test_bad_lengths_are_spec_errors() -> None:
    """Each entry is a whole number."""
    with pytest.raises(SpecError, match=r"lengths\[1\]"):
        read(LAYER, on_meta(2, 20, 28), [3, 0])


@pytest.mark.parametrize("call", [run, gates, lambda layer, x: explain(layer, x)], ids=["run", "gates", "explain"])
def test_names_in_another_order_than_the_layer_reads_are_a_contradiction(call: Any) -> None:
    """The sizes fit, the names say that batch and time are swapped: an error with both ways out, no new names."""
    layer = nn.LSTM(4, 5, batch_first=True)
    with pytest.raises(ShapeError, match=r"x must be \(N, L, Q\).*got '?\(L, N, Q\).*transpose.*batch_first=False"):
        call(layer, annotate(torch.zeros(3, 2, 4), "L N Q"))
    with pytest.raises(ShapeError, match=r"got '?\(N, L, D\)"):
        call(nn.LSTM(4, 5), annotate(torch.zeros(3, 2, 4), "N L D"))


@pytest.mark.parametrize("names", ["N L D", "B T F", "? ? ?", "N T Q", "B N Q", "K N D"])
def test_other_names_for_the_same_axes_are_no_contradiction(names: str) -> None:
    """Layers stack, and other people's letters say nothing about ours."""
    x = annotate(torch.zeros(3, 2, 4), names)
    assert run(nn.LSTM(4, 5, batch_first=True), x).X.axes.names == ("N", "L", "Q")


@pytest.mark.parametrize("call", [run, gates], ids=["run", "gates"])
def test_a_state_with_its_axes_swapped_is_a_contradiction(call: Any) -> None:
    """h0 is (K·R, N, H) also with batch_first, and its own names can say that it is not."""
    layer, x = nn.GRU(4, 5, 2, batch_first=True), torch.zeros(2, 3, 4)
    with pytest.raises(ShapeError, match=r"h0 must be \(K, N, D\).*got '?\(N, K, D\).*transpose"):
        call(layer, x, state=annotate(torch.zeros(2, 2, 5), "N K D"))
    call(layer, x, state=annotate(torch.zeros(2, 2, 5), "K N D"))


def test_a_sparse_x_is_refused_with_the_way_out() -> None:
    """torch's layers read dense tensors."""
    with pytest.raises(ShapeError, match=r"x must be a dense tensor.*x.to_dense\(\)"):
        run(nn.LSTM(4, 5), torch.zeros(2, 3, 4).to_sparse())


def test_a_layer_that_returns_only_Y_is_told_what_to_return() -> None:
    """A subclass whose forward forgets the states."""

    class OnlyY(nn.LSTM):
        def forward(self, *args: Any) -> Any:
            return super().forward(*args)[0]

    with pytest.raises(ShapeError, match=r"the result must be Y, \(hn, cn\), got '?Tensor.*must return"):
        run(OnlyY(4, 5), torch.zeros(2, 3, 4))
