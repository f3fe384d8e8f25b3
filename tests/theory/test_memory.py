"""What is kept for backward equals what autograd saves, measured by its own hooks on the unfused path."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_shapes.theory.call import Call
from lstm_shapes.theory.counts import Counts, kept_elements, kept_for_backward
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.spec import Spec
from tests.scale import examples
from tests.strategies import cases


def saved_elements(spec: Spec, call: Call) -> int:
    """Elements in the distinct floating-point storages that autograd saves, the parameters' left out."""
    torch = pytest.importorskip("torch")
    from torch.autograd.graph import saved_tensors_hooks
    from torch.nn.utils.rnn import pack_padded_sequence

    from lstm_shapes.lab.build import build

    layer = build(spec, dtype="float64").train()
    parameters = {p.untyped_storage().data_ptr() for p in layer.parameters()}
    prediction = Prediction(spec, call)
    x: Any = torch.randn(prediction.X.sizes, dtype=torch.float64)
    if call.lengths is not None:
        x = pack_padded_sequence(x, torch.tensor(call.lengths), spec.batch_first, enforce_sorted=False)
    axes = [axes for axes in (prediction.h0, prediction.c0) if axes is not None]
    state = [torch.randn(one.sizes, dtype=torch.float64) for one in axes]
    saved: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if tensor.is_floating_point() and storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = tensor  # holding the tensor keeps its address from being used again
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor), torch.random.fork_rng():
        layer(x, tuple(state) if len(state) > 1 else state[0])
    return sum(tensor.untyped_storage().nbytes() // 8 for tensor in saved.values())


@pytest.mark.fuzz
@given(cases(layers=3), st.sampled_from([0.0, 0.5, 1.0]))
@example((Spec(3, 7, 2, bidirectional=True, proj_size=4), Call(N=3, L=9, lengths=(5, 9, 5))), 0.5)
@example((Spec(2, 4, 2, cell="RNN", bidirectional=True), Call(N=5, L=7, lengths=(2, 1, 6, 1, 6))), 0.0)
@settings(max_examples=examples(300))
def test_it_is_what_autograd_saves(case: tuple[Spec, Call], dropout: float) -> None:
    """Exactly, for every cell, direction, projection, layout, padded, packed and unbatched, with dropout or not."""
    spec, call = case
    if spec.K > 1:
        spec = spec.replace(dropout=dropout)
    assert kept_elements(spec, call) == saved_elements(spec, call)


@pytest.mark.fuzz
@given(cases(layers=3))
@settings(max_examples=examples(200))
def test_substituted_formulas_compute_to_their_values(case: tuple[Spec, Call]) -> None:
    """What is printed is what is summed: the substituted text, evaluated, is the value."""
    spec, call = case
    if spec.K > 1:
        spec = spec.replace(dropout=0.5)
    for term in kept_for_backward(spec, call):
        assert eval(term.substituted.replace("·", "*")) == term.value
        sizes = {"T": call.T, "N": call.N or 1, "Q": spec.Q, "D": spec.D, "K": spec.K, "R": spec.R, "P": spec.P}
        sizes["n"] = call.lengths.count(max(call.lengths)) if call.lengths else 0
        # By the staircase itself: where it grows, read backward, all the rows of that step.
        rows = [sum(length > step for length in call.lengths or ()) for step in range(call.L)]
        sizes["m"] = sum(here for here, next_ in itertools.pairwise(rows) if here > next_ > 0)
        assert eval(term.formula.replace("·", "*"), sizes) == term.value


def test_counts_give_it_in_bytes() -> None:
    """Elements times the dtype's size; nothing without a call."""
    assert Counts(Spec(3, 7), Call(N=2, L=5), "float64").activation_bytes == 520 * 8
    assert Counts(Spec(3, 7), Call(N=2, L=5)).to_dict()["activation_bytes"] == 520 * 4
    assert Counts(Spec(3, 7)).activation_bytes is None


def test_it_costs_nothing_for_large_layers() -> None:
    """A thousand layers and 5,000 steps are arithmetic."""
    assert kept_elements(Spec(65536, 65536, 1000), Call(64, 5000)) == 64 * 5000 * 65536 * (1000 + 7 * 1000)
