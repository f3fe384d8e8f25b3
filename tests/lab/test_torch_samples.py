"""Every sample that torch's own module tests define for recurrent layers: 87 of them in torch 2.13."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_shapes.lab.run import run
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import UNTOLD, Spec

CLASSES = ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"]
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch says it is not fused


@pytest.fixture(scope="module")
def database() -> list[Any]:
    """torch's table of modules with their samples; private, so it may move."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch's test tools deprecate is not under test here
        try:
            from torch.testing._internal.common_modules import module_db
        except ImportError as error:
            pytest.skip(f"torch.testing._internal.common_modules.module_db cannot be imported: {error}")
    return list(module_db)


def samples(database: list[Any], name: str) -> Iterator[tuple[nn.Module, tuple[Any, ...]]]:
    """Each layer of this class, with what torch feeds it."""
    (entry,) = [entry for entry in database if entry.module_cls is getattr(nn, name)]
    drawn = entry.module_inputs_func(entry, device="cpu", dtype=torch.float64, requires_grad=False, training=True)
    for one in drawn:
        layer = entry.module_cls(*one.constructor_input.args, **one.constructor_input.kwargs)
        assert one.forward_input.kwargs == {}
        yield layer.double(), one.forward_input.args


def call_of(spec: Spec, x: Any) -> Call:
    """The call that an input makes, read off by hand."""
    if isinstance(x, PackedSequence):
        rows = x.batch_sizes.tolist()
        in_order = [sum(count > row for count in rows) for row in range(rows[0])]
        order = range(rows[0]) if x.unsorted_indices is None else x.unsorted_indices.tolist()
        return Call.of(spec, lengths=[in_order[row] for row in order])
    batched = x.dim() == (2 if spec.kind.step else 3)
    if spec.kind.step:
        return Call(x.shape[0] if batched else None, 1)
    if not batched:
        return Call(None, x.shape[0])
    return Call(*(x.shape[:2] if spec.batch_first else (x.shape[1], x.shape[0])))


def flat(value: Any) -> list[Tensor]:
    """The tensors of a result, in order."""
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def test_there_are_87_of_them(database: list[Any]) -> None:
    """A sample lost on the way would prove nothing."""
    counted = {name: len(list(samples(database, name))) for name in CLASSES}
    if torch.__version__.startswith("2.13."):
        assert counted == {"LSTM": 32, "GRU": 16, "RNN": 32, "LSTMCell": 2, "GRUCell": 2, "RNNCell": 3}
    assert min(counted.values()) >= 2


@pytest.mark.parametrize("name", CLASSES)
def test_shapes_and_parameters_are_as_predicted(database: list[Any], name: str) -> None:
    """Y, hn, cn, every weight and their number, also from the state_dict alone."""
    for layer, inputs in samples(database, name):
        spec = Spec.of(layer)
        prediction = Prediction(spec, call_of(spec, inputs[0]))
        returned = layer(*inputs)
        axes = [prediction.packed_Y or prediction.Y, prediction.hn, prediction.cn]
        predicted = [one.sizes for one in axes if one is not None]
        assert predicted == [tuple(tensor.shape) for tensor in flat(returned)]
        weights = {key: tuple(parameter.shape) for key, parameter in layer.named_parameters()}
        assert {key: one.sizes for key, one in prediction.weights.items()} == weights
        assert prediction.counts.total == sum(parameter.numel() for parameter in layer.parameters())
        defaults = {field: getattr(Spec(1, 2), field) for field in UNTOLD}
        assert Spec.of(layer.state_dict()) == spec.replace(**defaults)


@pytest.mark.parametrize("name", CLASSES)
def test_run_gives_what_the_layer_gives(database: list[Any], name: str) -> None:
    """`run(layer, x, state=…)` returns the layer's own numbers, with the predicted axes."""
    for layer, inputs in samples(database, name):
        x, state = inputs[0], (inputs[1] if len(inputs) > 1 else None)
        result = run(layer, x, state=state)
        own = flat(layer.eval()(*inputs))
        finals = [tensor for tensor in (result.hn, result.cn) if tensor is not None]
        for named, tensor in zip(finals, own[-len(finals) :], strict=True):
            assert torch.equal(named.plain(), tensor)
            assert named.axes.known
