"""run returns what torch returns, named as predicted, and leaves your layer as it found it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from lstm_shapes import AnnotatedTensor, Spec, annotate, build, explain, gates, predict, prove, run
from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory.call import Call
from tests.scale import examples
from tests.strategies import cases, plain_specs

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def annotated(tensor: torch.Tensor) -> AnnotatedTensor:
    """The tensor, which has kept its names."""
    assert isinstance(tensor, AnnotatedTensor)
    return tensor


@pytest.mark.fuzz
@given(case=cases())
@settings(max_examples=examples(60))
def test_shapes_and_names_are_the_predicted_ones(case: tuple[Spec, Call]) -> None:
    """Every tensor of every layer and call: real sizes, and the names that theory gave them."""
    spec, call = case
    made = run(spec, N=call.N, L=call.L, lengths=call.lengths)
    assert made.call == call
    assert {name: t.axes for name, t in made.tensors.items()} == made.prediction.tensors
    assert {name: tuple(t.shape) for name, t in made.tensors.items()} == {
        name: axes.sizes for name, axes in predict(spec, N=call.N, L=call.L, lengths=call.lengths).tensors.items()
    }
    assert (made.packed_X is not None) == (made.packed_Y is not None) == (call.lengths is not None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_last_step_is_hn(device: torch.device, dtype: str, batch_first: bool) -> None:
    """Y[:, -1], and Y[-1] when time-major, equals hn[-1] to the last bit, also on CUDA."""

    @given(plain_specs(batch_first=batch_first))
    @settings(max_examples=examples(20))
    def hold(spec: Spec) -> None:
        _, Y, hn, _ = run(spec, N=11, L=13, device=device, dtype=dtype)
        last = Y[:, -1] if batch_first else Y[-1]
        assert annotated(last).axes == annotated(hn[-1]).axes
        assert torch.equal(annotated(last).plain(), annotated(hn[-1]).plain())
        assert Y.dtype == getattr(torch, dtype)

    hold()


def test_every_device_has_the_shapes(shape_device: torch.device) -> None:
    """Nothing is made on the wrong device: meta would show it."""
    for spec in (Spec(7, 5, 3), Spec(7, 5, 2, False, bidirectional=True), Spec(7, 5, cell="GRUCell")):
        made = run(spec, N=4, L=6, device=shape_device)
        assert {t.device.type for t in made.tensors.values()} == {shape_device.type}
        assert {name: t.axes for name, t in made.tensors.items()} == predict(spec, N=4, L=6).tensors


def test_it_unpacks_to_what_the_layer_has() -> None:
    """Four values for an LSTM, three for a GRU, X with the states for a cell."""
    X, Y, hn, cn = run(7, 5, 2)
    assert [t.axes.names for t in (X, Y, hn, cn)] == [("N", "L", "Q"), ("N", "L", "D"), *[("K", "N", "D")] * 2]
    assert len(list(run(7, 5, cell="GRU"))) == 3
    cell = run(7, 5, cell="LSTMCell")
    assert cell.Y is None
    assert len(list(cell)) == 3
    assert run(7, 5, cell="GRU").cn is None


def test_the_result_is_the_layers_own() -> None:
    """The same numbers as calling the layer by hand, with and without a state, in every spelling of it."""
    layer, x = nn.LSTM(7, 5, 2), torch.rand(6, 3, 7)
    state = torch.rand(2, 3, 5), torch.rand(2, 3, 5)
    for given_, made in (
        (None, run(layer, x)),
        (state, run(layer, x, state)),
        (state, run(layer, annotate(x, "L N Q"), state=list(state))),
        (state, run(layer, x, tuple(annotate(s, "K N D") for s in state))),
    ):
        Y, (hn, cn) = layer(x, given_)
        for a, b in zip((Y, hn, cn), list(made)[1:], strict=True):
            assert torch.equal(a, b.plain())
        assert torch.equal(made.h0.plain(), torch.zeros(2, 3, 5) if given_ is None else state[0])
    gru, h0 = nn.GRU(7, 5), torch.rand(1, 3, 5)
    assert torch.equal(run(gru, x, h0).hn.plain(), gru(x, h0)[1])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"N": 3}, "^N must be left out beside x"),
        ({"L": 3}, "^L must be left out beside x"),
        ({"device": "meta"}, "^device must be that of the layer, got 'meta'"),
        ({"dtype": "float64"}, "^dtype must be that of the layer, got 'float64'"),
        ({"K": 2}, "^K must be left out beside"),
        ({"cell": "GRU"}, "^cell must be left out beside"),
    ],
)
def test_what_would_be_ignored_is_refused(options: dict[str, Any], says: str) -> None:
    """A layer has its sizes, place and kind already."""
    with pytest.raises(SpecError, match=says):
        run(nn.LSTM(7, 5), torch.rand(6, 3, 7), **options)


def test_a_state_is_checked_before_torch_sees_it() -> None:
    """Number, shape, device and dtype, each with the next step."""
    layer, x, h = nn.LSTM(7, 5, 2, batch_first=True), torch.rand(3, 6, 7), torch.rand(2, 3, 5)
    with pytest.raises(ShapeError, match=r"^h0 must be \(K, N, D\) = \(2, 3, 5\), got \(3, 2, 5\). batch_first never"):
        run(layer, x, (torch.rand(3, 2, 5), h))
    with pytest.raises(ShapeError, match=r"^state must be \(h0, c0\) for LSTM"):
        run(layer, x, h)
    with pytest.raises(ShapeError, match=r"^c0 must be of the weights' dtype = 'float32', got 'float64'.*c0.float\("):
        run(layer, x, (h, h.double()))
    with pytest.raises(ShapeError, match=r"^x must be of the weights' dtype = 'float32', got 'float64'.*x.float\("):
        run(layer, x.double())
    with pytest.raises(SpecError, match=r"^the first argument must be a layer"):
        run(7, x)  # type: ignore[call-overload]


def test_dropout_only_masks_between_layers_and_moves_no_random_state() -> None:
    """A layer in train mode stays there."""
    layer = build(7, 5, 2, dropout=0.5)
    run(layer)
    assert layer.training


@pytest.mark.parametrize("call", [run, prove, explain], ids=["run", "prove", "explain"])
@pytest.mark.parametrize("training", [True, False])
def test_your_layer_is_untouched(call: Any, training: bool) -> None:
    """Mode, weights, gradients, hooks and attributes are as they were."""
    layer = nn.LSTM(7, 5, 2, batch_first=True, dropout=0.25).train(training)
    first = layer.get_parameter("weight_ih_l0")
    first.grad = torch.ones_like(first)
    layer.register_forward_hook(lambda *_: None)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    names, hooks = set(vars(layer)), len(layer._forward_hooks)
    call(layer, torch.rand(3, 4, 7))
    assert layer.training is training
    assert (set(vars(layer)), len(layer._forward_hooks), len(layer._forward_pre_hooks)) == (names, hooks, 0)
    for name, parameter in layer.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.requires_grad
        assert (parameter.grad is not None) == (name == "weight_ih_l0")
    assert torch.equal(first.grad, torch.ones_like(first))


def test_a_run_shows_itself_and_is_plain_data() -> None:
    """The names and sizes of what it holds, not its numbers."""
    made = run(7, 5, 2, N=3, L=4)
    assert "(3, 4, 7)" in repr(made)
    assert made.to_dict()["tensors"]["hn"] == {"names": ["K", "N", "D"], "sizes": [2, 3, 5]}
    assert (made.to_dict()["device"], made.to_dict()["dtype"]) == ("cpu", "float32")


@pytest.mark.parametrize("call", [run, prove, explain, gates], ids=["run", "prove", "explain", "gates"])
def test_results_of_another_form_are_named(call: Any) -> None:
    """A subclass that leaves out a state, or a step, is told what torch's layer returns."""

    class OneState(nn.LSTM):
        def forward(self, *args: Any) -> Any:
            Y, (hn, _) = super().forward(*args)
            return Y, hn

    class Short(nn.LSTM):
        def forward(self, *args: Any) -> Any:
            Y, state = super().forward(*args)
            return Y[:, 1:], state

    x = torch.rand(3, 6, 7)
    with pytest.raises(ShapeError, match=r"^the result must be Y, \(hn, cn\), got 'Tensor, Tensor'"):
        call(OneState(7, 5, batch_first=True), x)
    with pytest.raises(ShapeError, match=r"^Y must be \(N, L, D\) = \(3, 6, 5\), got \(3, 5, 5\)"):
        call(Short(7, 5, batch_first=True), x)


def test_a_call_too_large_is_refused() -> None:
    """Before memory is asked for."""
    with pytest.raises(ShapeError, match=r"^X, Y and states for N=1000000000.*GiB"):
        run(7, 5, N=10**9, L=10**6)


@pytest.mark.parametrize("lengths", [None, (4, 2)])
def test_deepcopy_of_a_run_is_a_record_off_the_graph(lengths: tuple[int, ...] | None) -> None:
    """Values, names and the layer are copied; torch refuses to copy what is no leaf, so the copy is detached."""
    called = run(3, 5, N=2, L=4, lengths=lengths) if lengths is None else run(3, 5, N=2, lengths=lengths)
    copied = copy.deepcopy(called)
    assert copied.layer is not called.layer
    assert [tensor.axes for tensor in copied] == [tensor.axes for tensor in called]
    for old, new in zip(called, copied, strict=True):
        assert torch.equal(old.plain(), new.plain())
        assert old.data_ptr() != new.data_ptr()
    assert copied.Y is not None
    assert not copied.Y.requires_grad
