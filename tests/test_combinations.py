"""Every structure that torch's recurrent layers can have, exhaustively, at small sizes that are all different.

Cell × layers 1 to 3 × directions × projection × bias × nonlinearity × layout × padded, packed, unbatched:
prediction against torch's own tensors, counts against `numel`, torchinfo and FlopCounterMode on meta.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
import torchinfo
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_shapes.lab._macs import _count, _layer
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import CELLS

# No size equals another, nor a product of others that a shape may hold: a swapped axis always shows.
Q, D, P, N, L = 5, 11, 7, 4, 9
LENGTHS = (6, 9, 1, 6)
KINDS = ("padded", "packed", "unbatched")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch says it is not fused


def structures() -> Iterator[tuple[Spec, str]]:
    """Every combination that torch can build."""
    for name, kind in CELLS.items():
        nonlinearities = kind.nonlinearities or ("tanh",)
        if kind.step:
            for bias, nonlinearity, call in product((True, False), nonlinearities, ("padded", "unbatched")):
                yield Spec(Q, D, cell=name, bias=bias, nonlinearity=nonlinearity), call
            continue
        for K, two, projection, bias, nonlinearity, batch_first, call in product(
            (1, 2, 3), (False, True), (0, P) if kind.projects else (0,), (True, False), nonlinearities,
            (True, False), KINDS,
        ):  # fmt: skip
            fields = {"bidirectional": two, "proj_size": projection, "bias": bias, "nonlinearity": nonlinearity}
            yield Spec(Q, D, K, batch_first, cell=name, **fields), call  # type: ignore[arg-type]


ALL = list(structures())


def by_cell(name: str) -> list[tuple[Spec, Call]]:
    calls = {"padded": Call(N, L), "packed": Call(N, L, LENGTHS), "unbatched": Call(None, L)}
    steps = {"padded": Call(N, 1), "unbatched": Call(None, 1)}
    return [(spec, (steps if spec.kind.step else calls)[call]) for spec, call in ALL if spec.cell == name]


def torch_layer(spec: Spec) -> nn.Module:
    """torch's own layer, from torch's own arguments."""
    arguments: dict[str, Any] = {"bias": spec.bias}
    if "RNN" in spec.cell:
        arguments["nonlinearity"] = spec.nonlinearity
    if not spec.cell.endswith("Cell"):
        arguments |= {"num_layers": spec.K, "batch_first": spec.batch_first, "bidirectional": spec.bidirectional}
    if spec.proj_size:
        arguments["proj_size"] = spec.proj_size
    layer: nn.Module = getattr(nn, spec.cell)(Q, D, **arguments)
    return layer


def torch_input(spec: Spec, call: Call) -> Any:
    """What torch's documentation says the input is, written down once more."""
    if spec.cell.endswith("Cell"):
        return torch.zeros(Q) if call.N is None else torch.zeros(N, Q)
    if call.N is None:
        return torch.zeros(L, Q)
    x = torch.zeros(N, L, Q) if spec.batch_first else torch.zeros(L, N, Q)
    if call.lengths is None:
        return x
    return pack_padded_sequence(x, torch.tensor(LENGTHS), spec.batch_first, enforce_sorted=False)


def test_all_structures_are_here() -> None:
    """3·2·2 and bias, nonlinearity, layout, call by hand: none is skipped by accident."""
    each = 3 * 2 * 2 * 2 * 3  # K, directions, bias, layout, kind of call
    counted = {name: len(by_cell(name)) for name in CELLS}
    expected = {"LSTM": 2 * each, "GRU": each, "RNN": 2 * each, "LSTMCell": 4, "GRUCell": 4, "RNNCell": 8}
    assert counted == expected


@pytest.mark.parametrize("cell", CELLS)
def test_shapes_and_parameters(cell: str) -> None:
    """X, Y, hn, cn, packed data, every weight and their sum, equal to torch's tensors."""
    for spec, call in by_cell(cell):
        layer, x, predicted = torch_layer(spec), torch_input(spec, call), Prediction(spec, call)
        returned = layer(x)
        Y: Any
        Y, final = (None, returned) if spec.kind.step else returned
        if call.lengths is not None:
            assert predicted.packed_X is not None
            assert predicted.packed_X.sizes == tuple(x.data.shape), (spec, call)
            assert predicted.packed_Y is not None
            assert predicted.packed_Y.sizes == tuple(Y.data.shape), (spec, call)
            x, Y = (pad_packed_sequence(packed, spec.batch_first, total_length=L)[0] for packed in (x, Y))
        states = final if isinstance(final, tuple) else (final,)
        measured = [x, *([] if Y is None else [Y]), *states]
        axes = [predicted.X, predicted.Y, predicted.hn, predicted.cn]
        assert [one.sizes for one in axes if one is not None] == [tuple(t.shape) for t in measured], (spec, call)
        weights = {name: tuple(weight.shape) for name, weight in layer.named_parameters()}
        assert {name: one.sizes for name, one in predicted.weights.items()} == weights, (spec, call)
        assert predicted.counts.total == sum(weight.numel() for weight in layer.parameters()), (spec, call)
        per_layer = [0] * spec.K
        for name, weight in layer.named_parameters():
            per_layer[0 if spec.kind.step else int(name.removesuffix("_reverse")[-1])] += weight.numel()
        assert [part.total for part in predicted.counts.layers] == per_layer, (spec, call)
        assert predicted.counts.state_bytes == sum(state.numel() * 4 for state in states), (spec, call)


@pytest.mark.parametrize("cell", CELLS)
def test_torchinfo_agrees_on_parameters(cell: str) -> None:
    """Its totals are right for every variant, wherever it does not crash; the layer alone crashes it never."""
    for spec in {spec for spec, _ in by_cell(cell)}:
        counts = Prediction(spec, Call(N, L)).counts
        assert counts.total == torchinfo.summary(torch_layer(spec), verbose=0).total_params, spec


@pytest.mark.parametrize("cell", CELLS)
def test_macs(cell: str) -> None:
    """FlopCounterMode on meta, over the whole call."""
    for spec, long in by_cell(cell):
        # A step costs milliseconds on meta, so a third of them; the nonlinearity is no matrix product.
        short = None if long.lengths is None else tuple((length + 2) // 3 for length in long.lengths)
        call = Call(long.N, (long.L + 2) // 3, short)
        if spec.nonlinearity == "tanh":
            counted = _count(_layer(spec, "meta"), spec, call, "meta")
            assert Prediction(spec, call).counts.macs == counted, (spec, call)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_of_the_predicted_shape_is_what_torch_takes(cell: str) -> None:
    """h0 and c0 are accepted; with their first two axes the other way round they are not."""
    for spec, call in by_cell(cell):
        predicted, layer, x = Prediction(spec, call), torch_layer(spec), torch_input(spec, call)
        state = [torch.zeros(axes.sizes) for axes in (predicted.h0, predicted.c0) if axes is not None]
        layer(x, _as_torch_takes(state))
        swapped = [one.transpose(0, 1) for one in state if one.dim() > 1]
        if swapped and swapped[0].shape != state[0].shape:
            with pytest.raises(RuntimeError, match=r"hidden|Expected|size|bounds"):
                layer(x, _as_torch_takes(swapped))


def _as_torch_takes(state: list[Tensor]) -> Any:
    return tuple(state) if len(state) > 1 else state[0]
