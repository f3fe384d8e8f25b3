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
from hypothesis import given

from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts
from lstm_shapes.theory.predict import Prediction, count, predict
from lstm_shapes.theory.spec import Spec
from tests.strategies import cases, dropping_specs

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
