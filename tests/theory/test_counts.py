"""Counts equal what torch and torchinfo count; each formula, evaluated, is its number.

What is kept for backward equals what autograd saves, measured by its own hooks on the unfused path.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lstm_shapes.display import Shown
from lstm_shapes.errors import ShapeError, SpecError
from lstm_shapes.theory.call import DTYPES, Call
from lstm_shapes.theory.counts import Counts, LayerCount, Term, kept_elements, kept_for_backward
from lstm_shapes.theory.predict import Prediction, count, predict
from lstm_shapes.theory.spec import Spec, Weights
from lstm_shapes.theory.symbols import CELLS
from tests.scale import examples
from tests.strategies import cases, dropping_specs, specs
from tests.theory.test_predict import torch_layer

LESSON = Spec(28, 256, 3)


def value_of(formula: str, **symbols: int) -> int:
    """What a printed formula says, computed from its characters alone."""
    text = formula.replace("·", "*")
    text = re.sub(r"(\d)([A-Z(])", r"\1*\2", text)  # 2D is 2·D
    assert re.fullmatch(r"[\d\sA-Z()*+-]+", text), text
    return int(eval(text, {"__builtins__": {}}, symbols))


def symbols_of(spec: Spec) -> dict[str, int]:
    return {"Q": spec.Q, "D": spec.D, "K": spec.K, "P": spec.P}


@pytest.mark.fuzz
@given(specs(most=20, layers=4))
@settings(max_examples=examples(150))
def test_total_is_numel_and_torchinfo(spec: Spec) -> None:
    """Two counters that nobody here wrote, on torch's own layer without memory."""
    import torchinfo

    layer = torch_layer(spec)
    counts = Counts(spec)
    assert counts.total == sum(parameter.numel() for parameter in layer.parameters())
    assert counts.total == torchinfo.summary(layer, verbose=0).total_params
    for one in counts.layers:
        own = [p.numel() for name, p in layer.named_parameters() if f"_l{one.index}" in name or spec.kind.step]
        assert one.total == sum(own)


@pytest.mark.fuzz
@given(specs(most=20, layers=4))
@settings(max_examples=examples(100))
def test_terms_are_blocks_of_torchs_weights(spec: Spec) -> None:
    """Input, recurrent, bias and projection each count the weights that they are named for."""
    sizes = {name: p.numel() for name, p in torch_layer(spec).named_parameters()}
    parts = {"input": "weight_ih", "recurrent": "weight_hh", "bias": "bias_", "projection": "weight_hr"}
    for one in Counts(spec).layers:
        end = "" if spec.kind.step else f"_l{one.index}"
        for term in one.terms:
            own = [size for name, size in sizes.items() if re.match(rf"{parts[term.name]}.*{end}$", name)]
            assert term.value == sum(own)
        assert one.recurrent == spec.R * sizes[f"weight_hh{end}"]
        assert ("bias" in {term.name for term in one.terms}) == spec.bias
        assert ("projection" in {term.name for term in one.terms}) == (spec.P > 0)


@given(dropping_specs())
def test_every_formula_is_its_number(spec: Spec) -> None:
    """In symbols and with the sizes put in, each formula evaluates to the value printed beside it."""
    counts, symbols = Counts(spec), symbols_of(spec)
    assert value_of(counts.formula, **symbols) == value_of(counts.substituted) == counts.total
    for one in counts.layers:
        assert value_of(one.formula, **symbols) == value_of(one.substituted) == one.total
        for term in (*one.terms, *one.gates):
            assert value_of(term.formula, **symbols) == value_of(term.substituted) == term.value


@given(dropping_specs())
def test_parts_add_up(spec: Spec) -> None:
    """Terms to a direction, directions to a layer, gates and projection to a direction, layers to the total."""
    counts = Counts(spec)
    assert len(counts.layers) == spec.K
    for one in counts.layers:
        assert sum(term.value for term in one.terms) == one.direction
        assert sum(gate.value for gate in one.gates) + spec.P * spec.D == one.direction
        assert one.direction * spec.R == one.total
        assert tuple(gate.name for gate in one.gates) == spec.kind.gates
    assert sum(one.total for one in counts.layers) == counts.total
    assert sum(one.recurrent for one in counts.layers) == counts.recurrent
    assert sum(one.macs_per_step for one in counts.layers) == counts.macs_per_step
    assert counts.recurrent_share == pytest.approx(counts.recurrent / counts.total)


@given(cases())
def test_macs_are_matrix_elements_times_steps(case: tuple[Spec, Call]) -> None:
    """Every element of a matrix is multiplied once a step; vectors are no matrices."""
    spec, call = case
    counts = Counts(spec, call)
    matrices = [axes.sizes for axes in Weights(spec).values() if len(axes) == 2]
    per_step = sum(rows * columns for rows, columns in matrices)
    rows = call.lengths or [call.L] * (1 if call.N is None else call.N)
    assert counts.macs == sum(rows) * per_step
    assert counts.flops == 2 * sum(rows) * per_step


@given(cases())
def test_bytes_are_elements_times_itemsize(case: tuple[Spec, Call]) -> None:
    """Parameters and final states in every dtype."""
    spec, call = case
    for dtype, size in DTYPES.items():
        counts = Counts(spec, call, dtype)
        assert counts.bytes == counts.total * size
        widths = [spec.H, spec.D][: len(spec.kind.states)]
        assert counts.state_bytes == spec.K * spec.R * (call.N or 1) * sum(widths) * size


def test_the_lessons_numbers() -> None:
    """4·(Q·D + D·D + 2D) for the first layer, 4·(D·D + D·D + 2D) above."""
    counts = Counts(LESSON, Call(2, 20))
    assert [one.formula for one in counts.layers] == ["4·(Q·D + D·D + 2D)", *["4·(D·D + D·D + 2D)"] * 2]
    assert [one.total for one in counts.layers] == [292_864, 526_336, 526_336]
    assert (counts.total, counts.bytes) == (1_345_536, 5_382_144)
    assert counts.formula == "4·(Q·D + D·D + 2D) + (K-1)·4·(D·D + D·D + 2D)"
    assert counts.substituted == "4·(28·256 + 256·256 + 2·256) + 2·4·(256·256 + 256·256 + 2·256)"
    assert str(counts.first.terms[1]) == "recurrent: 4·D·D = 4·256·256 = 262,144"


def test_published_numbers() -> None:
    """Totals that others have printed: 32,604,160 MACs for nn.LSTM(28, 256, 2) on (2, 20, 28)."""
    assert count(28, 256, 2, N=2, L=20).macs == 32_604_160
    assert count(10, 20, 2).total == 5_920
    assert count(65_536, 65_536, 8).total == 274_882_101_248


def test_one_layer_has_none_above() -> None:
    """K = 1 needs no bracket for the rest."""
    counts = Counts(Spec(28, 256))
    assert counts.upper is None
    assert counts.formula == counts.first.formula


@pytest.mark.parametrize(
    ("spec", "formula"),
    [
        (Spec(7, 5, cell="RNN"), "Q·D + D·D + 2D"),
        (Spec(7, 5, 2, cell="RNN"), "Q·D + D·D + 2D + (K-1)·(D·D + D·D + 2D)"),
        (Spec(7, 5, cell="RNN", bidirectional=True), "2·(Q·D + D·D + 2D)"),
        (Spec(7, 5, 2, cell="RNN", bidirectional=True), "2·(Q·D + D·D + 2D) + (K-1)·2·(2D·D + D·D + 2D)"),
        (Spec(7, 5, cell="GRU", bias=False), "3·(Q·D + D·D)"),
        (Spec(7, 5, bidirectional=True), "2·4·(Q·D + D·D + 2D)"),
        (Spec(7, 5, 2, proj_size=3), "4·(Q·D + P·D + 2D) + P·D + (K-1)·(4·(P·D + P·D + 2D) + P·D)"),
        (Spec(7, 5, proj_size=3, bidirectional=True), "2·(4·(Q·D + P·D + 2D) + P·D)"),
        (
            Spec(7, 5, 2, bidirectional=True),
            "2·4·(Q·D + D·D + 2D) + (K-1)·2·4·(2D·D + D·D + 2D)",
        ),
    ],
)
def test_brackets_stand_where_they_must(spec: Spec, formula: str) -> None:
    """As a person would write it."""
    assert Counts(spec).formula == formula


def test_what_is_given_makes_the_call() -> None:
    """Nothing: no MACs. What is left out of N and L is what it is everywhere. N=None: unbatched. lengths: packed."""
    assert count(LESSON).call is None
    assert count(LESSON).flops is None
    assert count(LESSON).state_bytes is None
    assert count(LESSON, L=7).call == predict(LESSON, L=7).call == Call(2, 7)
    assert count(LESSON, N=None, L=7).call == Call(None, 7)
    assert count(LESSON, N=3).call == Call(3, 20)
    assert count(LESSON, lengths=[3, 5]).call == Call(2, 5, (3, 5))
    assert count(LESSON, N=2, lengths=[3, 5]).call == Call(2, 5, (3, 5))
    with pytest.raises(ShapeError, match="one entry for each of N sequences = 4, got 2"):
        count(LESSON, N=4, lengths=[3, 5])
    with pytest.raises(SpecError, match=r"^L \(steps\)"):
        count(LESSON, L=0)


@given(cases())
def test_counts_survive_pickle_copy_and_json(case: tuple[Spec, Call]) -> None:
    """Equal again; to_dict is plain data whose layers add up to its total."""
    counts = Counts(*case)
    for again in (pickle.loads(pickle.dumps(counts)), copy.deepcopy(counts)):
        assert again == counts
        assert hash(again) == hash(counts)
    data = counts.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert sum(layer["total"] for layer in data["layers"]) == data["total"]
    for layer in data["layers"]:
        assert sum(term["value"] for term in layer["terms"]) * layer["directions"] == layer["total"]


def test_a_deep_layer_counts_at_once() -> None:
    """The layers above the first are all alike, so their number does not matter."""
    assert count(1, 1, 10**18).total == 16 * 10**18


@pytest.mark.parametrize("cell", [name for name, kind in CELLS.items() if kind.keras_biases == 1])
def test_kinds_with_one_bias_in_keras(cell: str) -> None:
    """Keras adds one bias a gate where torch has two; its GRU has two as well."""
    assert not cell.startswith("GRU")


def test_a_term_is_plain_data() -> None:
    """Name, formula, substituted formula and value."""
    data: dict[str, Any] = Term("bias", "2D", "2·256", 512).to_dict()
    assert data == {"name": "bias", "formula": "2D", "substituted": "2·256", "value": 512}
    assert LayerCount(LESSON, 1).to_dict()["layer"] == 1


def test_a_gate_says_what_it_counts() -> None:
    """Every gate of a direction has the same formula, without the number of gates in front."""
    gate = LayerCount(LESSON, 0).gates[1]
    assert (gate.name, gate.formula, gate.substituted) == ("f", "Q·D + D·D + 2D", "28·256 + 256·256 + 2·256")


def test_a_single_gate_is_no_factor() -> None:
    """An RNN has one: its terms begin with no number."""
    assert [term.formula for term in LayerCount(Spec(7, 5, cell="RNN"), 0).terms] == ["Q·D", "D·D", "2D"]
    assert [term.formula for term in LayerCount(Spec(7, 5, cell="GRU"), 0).terms] == ["3·Q·D", "3·D·D", "3·2D"]


def test_a_layer_above_is_the_second() -> None:
    """All above the first are alike; the next one stands for them."""
    assert Counts(LESSON).upper == LayerCount(LESSON, 1)


@pytest.mark.parametrize(("Q", "costs"), [(7, True), (8, False)])
def test_D_costs_from_three_tenths_on(Q: int, costs: bool) -> None:
    """3·3 recurrent weights of 3·(Q + 3) a gate: 30 % of them, and less with one feature more."""
    counts = Counts(Spec(Q, 3, cell="RNN", bias=False))
    assert counts.recurrent_share == pytest.approx(9 / (3 * Q + 9))
    assert counts.D_costs == (counts.recurrent_share >= 0.3) == costs


def test_counts_are_values() -> None:
    """Nothing can be put on them, and they show themselves as every result does."""
    assert not hasattr(Counts(LESSON), "__dict__")
    assert not hasattr(LayerCount(LESSON, 0), "__dict__")
    assert Counts.__repr__ is Shown.__repr__
    for value in (Counts(LESSON), LayerCount(LESSON, 0)):
        with pytest.raises(dataclasses.FrozenInstanceError, match="spec"):
            value.spec = LESSON  # type: ignore[misc]


def test_a_thousand_layers_are_listed() -> None:
    """Beyond it, the first and one like all others."""
    listed = [len(Counts(Spec(2, 3, K)).to_dict()["layers"]) for K in (1_000, 1_001)]
    assert listed == [1_000, 2]


def saved_elements(spec: Spec, call: Call) -> int:
    """Elements in the distinct floating-point storages that autograd saves, the parameters' left out."""
    torch = pytest.importorskip("torch")
    from torch.autograd.graph import saved_tensors_hooks
    from torch.nn.utils.rnn import pack_padded_sequence

    from lstm_shapes.lab._build import build

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
    """A thousand layers and 5,000 steps are arithmetic, and so are rows of a billion steps beside a short one."""
    assert kept_elements(Spec(65536, 65536, 1000), Call(64, 5000)) == 64 * 5000 * 65536 * (1000 + 7 * 1000)
    T = 10**9 + 5  # X, then the states of both directions, then two rows joined where the short one begins
    both = Spec(3, 4, cell="RNN", bidirectional=True)
    assert kept_elements(both, Call.of_lengths((10**9, 5))) == 3 * T + 2 * 4 * (T + 2) + 2 * 4
