"""predict and count take numbers, a Spec or a layer, and never load torch by themselves."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.predict import Prediction, count, predict
from lstm_shapes.theory.spec import Spec, Weights
from tests.scale import examples
from tests.strategies import cases, dropping_specs, specs


def torch_layer(spec: Spec, device: str = "meta") -> Any:
    """torch's own layer, made here from torch's own arguments and not by the code under test."""
    from torch import nn

    arguments: dict[str, Any] = {"bias": spec.bias, "device": device}
    if spec.cell.startswith("RNN"):
        arguments["nonlinearity"] = spec.nonlinearity
    if not spec.cell.endswith("Cell"):
        arguments.update(num_layers=spec.K, batch_first=spec.batch_first, bidirectional=spec.bidirectional)
    if spec.proj_size:
        arguments["proj_size"] = spec.proj_size
    return getattr(nn, spec.cell)(spec.Q, spec.D, **arguments)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # a remark about speed
@pytest.mark.fuzz
@given(cases(kinds=("batched", "unbatched"), most=20))
@settings(max_examples=examples(300))
def test_shapes_are_torchs(case: tuple[Spec, Call]) -> None:
    """X goes in; Y, hn and cn come out with the sizes that were predicted."""
    import torch

    spec, call = case
    predicted = Prediction(spec, call)
    returned = torch_layer(spec, "cpu")(torch.zeros(predicted.X.sizes))
    Y, finals = (None, returned) if spec.kind.step else returned
    finals = finals if isinstance(finals, tuple) else (finals,)
    assert (predicted.Y and predicted.Y.sizes) == (None if Y is None else tuple(Y.shape))
    found = [axes.sizes for axes in (predicted.hn, predicted.cn) if axes is not None]
    assert found == [tuple(final.shape) for final in finals]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # a remark about speed
@pytest.mark.fuzz
@given(cases(kinds=("packed",), cells=("LSTM", "GRU", "RNN")))
@settings(max_examples=examples(100))
def test_packed_shapes_are_torchs(case: tuple[Spec, Call]) -> None:
    """`.data` of what goes in and of what comes out, and the states of every row."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    spec, call = case
    predicted = Prediction(spec, call)
    X = torch.zeros(predicted.X.sizes)
    packed = pack_padded_sequence(X, torch.tensor(call.lengths), batch_first=spec.batch_first, enforce_sorted=False)
    Y, final = torch_layer(spec, "cpu")(packed)
    hn = final[0] if isinstance(final, tuple) else final
    padded, _ = pad_packed_sequence(Y, batch_first=spec.batch_first, total_length=call.L)
    found = (predicted.packed_X, predicted.packed_Y, predicted.hn, predicted.Y)
    assert [axes and axes.sizes for axes in found] == [tuple(t.shape) for t in (packed.data, Y.data, hn, padded)]


@pytest.mark.fuzz
@given(specs(most=20, layers=4))
@settings(max_examples=examples(200))
def test_weights_are_torchs(spec: Spec) -> None:
    """Names, order and sizes of every parameter."""
    predicted = [(name, axes.sizes) for name, axes in Weights(spec).items()]
    assert predicted == [(name, tuple(p.shape)) for name, p in torch_layer(spec).named_parameters()]


@given(dropping_specs())
def test_weights_are_a_mapping(spec: Spec) -> None:
    """Its length, its keys and its look-up agree."""
    weights = Weights(spec)
    assert len(weights) == len(list(weights)) == len(set(weights))
    assert all(name in weights and weights[name].known for name in weights)


@pytest.mark.parametrize(
    "name",
    [
        "weight_ih_l3", "weight_ih_l-1", "weight_ih_l00", "weight_ih_l0_reverse", "weight_ih_l١", "weight_ih_l²",
        "weight_ih", "weight_hr_l0", "weight_ih_l0 ", "weight_ih_l", "", "bias_ih_l9999999999999", "WEIGHT_IH_L0",
    ],
)  # fmt: skip
def test_a_name_that_the_layer_lacks_is_a_key_error(name: str) -> None:
    """Only torch's own spelling is a key: no other layer, sign, zero or digit."""
    weights = Weights(Spec(28, 256, 3))
    assert name not in weights
    with pytest.raises(KeyError, match=r"weight|bias|''|WEIGHT"):
        weights[name]


@pytest.mark.parametrize("key", [None, 0, ("weight_ih_l0",), b"weight_ih_l0", []], ids=repr)
def test_a_key_is_a_string(key: Any) -> None:
    """Also what cannot be hashed is only a key that is not there."""
    assert key not in Weights(Spec(28, 256, 3))


def test_names_follow_the_options() -> None:
    """Reverse, projection and bias have weights exactly where they are asked for."""
    assert "bias_ih_l0" not in Weights(Spec(28, 256, bias=False))
    both = Weights(Spec(28, 256, 2, bidirectional=True, proj_size=64))
    assert both["weight_hr_l1_reverse"].names == ("P", "D")
    assert both["weight_ih_l1_reverse"].names == ("G·D", "R·P")
    assert both["weight_ih_l0_reverse"].sizes == (1024, 28)
    assert "weight_ih_l0_reverse_reverse" not in both
    assert Weights(Spec(28, 256, cell="RNN"))["weight_hh_l0"].names == ("D", "D")
    assert list(Weights(Spec(28, 256, cell="GRUCell"))) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]


def test_weights_of_a_deep_layer_cost_nothing() -> None:
    """A million layers are described without a million entries."""
    weights = Weights(Spec(28, 256, 1_000_000))
    assert len(weights) == 4_000_000
    assert weights["weight_ih_l999999"].sizes == (1024, 256)
    assert repr(weights).endswith("… and 3999976 more")
    assert repr(weights).count("\n") == 24
    assert "more" not in repr(Weights(Spec(28, 256, 3)))


def test_batch_first_moves_X_and_Y_and_no_state() -> None:
    """The lesson's trap, in names."""
    first, major = (predict(28, 256, 3, layout, N=2, L=20) for layout in (True, False))
    assert (first.X.names, major.X.names) == (("N", "L", "Q"), ("L", "N", "Q"))
    assert first.Y is not None
    assert major.Y is not None
    assert (first.Y.names, major.Y.names) == (("N", "L", "D"), ("L", "N", "D"))
    assert first.hn == major.hn
    assert first.cn == major.cn
    assert first.hn.names == ("K", "N", "D")


def test_directions_and_projection_name_their_axes() -> None:
    """K·R is layer-major, R·P has the forward half first, c stays D wide."""
    both = predict(28, 256, 3, bidirectional=True, proj_size=64, N=2, L=20)
    assert both.Y is not None
    assert both.cn is not None
    assert (both.Y.names, both.Y.sizes) == (("N", "L", "R·P"), (2, 20, 128))
    assert (both.hn.names, both.hn.sizes) == (("K·R", "N", "P"), (6, 2, 64))
    assert (both.cn.names, both.cn.sizes) == (("K·R", "N", "D"), (6, 2, 256))
    assert [atom.name for atom in both.hn[0].atoms] == ["K", "R"]


def test_unbatched_has_no_N_anywhere() -> None:
    """One sequence is (L, Q), its states (K, D)."""
    alone = predict(28, 256, 3, N=None, L=20)
    assert all("N" not in axes.names for axes in alone.tensors.values())
    assert (alone.X.names, alone.hn.names) == (("L", "Q"), ("K", "D"))
    cell = predict(28, 256, cell="LSTMCell", N=None)
    assert (cell.X.names, cell.hn.names) == (("Q",), ("D",))


def test_a_state_that_is_not_there_is_none() -> None:
    """A GRU has no cell state."""
    assert Prediction(Spec(28, 256, cell="GRU"), Call()).c0 is None


SPEC = Spec(28, 256, 3)


def test_the_lessons_layer() -> None:
    """Every shape that the lesson teaches."""
    p = predict(28, 256, 3, N=2, L=20)
    assert {name: axes.sizes for name, axes in p.tensors.items()} == {
        "X": (2, 20, 28),
        "h0": (3, 2, 256),
        "c0": (3, 2, 256),
        "Y": (2, 20, 256),
        "hn": (3, 2, 256),
        "cn": (3, 2, 256),
    }
    assert p.counts.total == 1_345_536
    assert (p.packed_X, p.packed_Y) == (None, None)


def test_what_a_layer_lacks_is_left_out() -> None:
    """No c for a GRU, no Y for a cell: None as an attribute, absent in `tensors`."""
    gru = predict(28, 256, cell="GRU")
    assert (gru.c0, gru.cn) == (None, None)
    assert list(gru.tensors) == ["X", "h0", "Y", "hn"]
    cell = predict(28, 256, cell="LSTMCell")
    assert cell.Y is None
    assert list(cell.tensors) == ["X", "h0", "c0", "hn", "cn"]


def test_packed_rows_have_their_data_too() -> None:
    """T real steps, on both sides."""
    p = predict(28, 256, bidirectional=True, lengths=(5, 3, 4))
    assert p.packed_X is not None
    assert p.packed_Y is not None
    assert (p.packed_X.sizes, p.packed_Y.sizes) == ((12, 28), (12, 512))
    assert (p.call.N, p.call.L) == (3, 5)


@given(dropping_specs())
def test_a_spec_stands_for_its_numbers(spec: Spec) -> None:
    """`predict(spec)` and `predict(Q, D, K, …)` are the same prediction."""
    fields: dict[str, Any] = spec.to_dict()
    Q, D, K, batch_first = (fields.pop(name) for name in ("Q", "D", "K", "batch_first"))
    assert predict(spec) == predict(Q, D, K, bool(batch_first), **fields)
    assert count(spec) == count(Q, D, K, bool(batch_first), **fields)
    assert predict(spec).spec is spec


def test_sizes_of_the_call_are_validated() -> None:
    """Each goes through Call.of and dtype_name."""
    with pytest.raises(SpecError, match=r"^N \(batch size\)"):
        predict(28, 256, N=0)
    with pytest.raises(SpecError, match=r"^L \(steps\)"):
        predict(28, 256, L=-1)
    with pytest.raises(ShapeError, match=r"^lengths"):
        predict(28, 256, N=5, lengths=(3, 2))
    for call in (predict, count):
        with pytest.raises(SpecError, match=r"^dtype"):
            call(28, 256, dtype="int8")


@given(cases())
def test_a_prediction_survives_pickle_copy_and_json(case: tuple[Spec, Call]) -> None:
    """Equal after every way out and back; to_dict is plain data."""
    spec, call = case
    p = Prediction(spec, call)
    _ = p.X  # what is cached is no part of the value
    for again in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p), copy.copy(p)):
        assert again == p
        assert hash(again) == hash(p)
        assert again.tensors == p.tensors
    data = p.to_dict()
    assert json.loads(json.dumps(data)) == data


@given(cases())
def test_to_dict_has_every_tensor_and_weight(case: tuple[Spec, Call]) -> None:
    """Names and sizes of each, and the spec that makes it again."""
    spec, call = case
    p = Prediction(spec, call)
    data = p.to_dict()
    assert Spec(**data["spec"]) == spec
    assert (data["N"], data["L"]) == (call.N, call.L)
    for kind, axes in (("tensors", p.tensors), ("weights", p.weights)):
        assert {name: tuple(row["sizes"]) for name, row in data[kind].items()} == {
            name: a.sizes for name, a in axes.items()
        }
        assert all(len(row["names"]) == len(row["sizes"]) for row in data[kind].values())
    assert data["lengths"] == (None if call.lengths is None else list(call.lengths))


def test_count_is_the_predictions_counts() -> None:
    """With the sizes of a call they are the same value; without them there are no MACs."""
    assert count(28, 256, 3, N=2, L=20) == predict(28, 256, 3, N=2, L=20).counts
    assert count(28, 256, 3) == Counts(SPEC)
    assert count(28, 256, 3).macs is None


def test_memory_does_not_grow_with_sizes() -> None:
    """The giant of the budgets, a thousand layers deep, takes no more than a small layer."""

    def peak(*sizes: Any, **call: Any) -> int:
        predict(7, 5, 2).counts.substituted  # noqa: B018  what is loaded once is loaded before
        tracemalloc.start()
        p = predict(*sizes, **call)
        _ = (p.tensors, p.counts.total, p.counts.macs, p.counts.formula, len(p.weights))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(65_536, 65_536, 1_000, N=4_096, L=5_000) < peak(7, 5, 2, N=3, L=4) + 4_000


def test_predicting_loads_no_torch() -> None:
    """Not even for its text."""
    code = (
        "import sys, lstm_shapes as ls; p = ls.predict(28, 256, 3); repr(p); p._repr_html_(); p.to_dict();"
        "repr(ls.count(28, 256)); repr(ls.explain(28, 256, proof=False)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_number_of_a_layer_is_as_long_as_one_can_be() -> None:
    """A name from a file may hold any number: no more of it is read than a count of layers has digits."""
    weights = Weights(Spec(2, 3, 2 * 10**9))
    assert weights["weight_ih_l1999999999"].sizes == (12, 3)
    for number in (str(2 * 10**9), "9" * 5000, "01"):
        with pytest.raises(KeyError, match=f"weight_ih_l{number}"):
            _ = weights[f"weight_ih_l{number}"]
