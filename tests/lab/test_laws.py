"""Every law, measured where it is claimed to hold and where it is claimed to fail; its parts alike."""

from __future__ import annotations

import dataclasses
from math import inf
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from lstm_shapes.errors import ShapeError
from lstm_shapes.lab._build import build
from lstm_shapes.lab._laws import RERUNS, one_direction
from lstm_shapes.lab.run import Run, run
from lstm_shapes.lab.tensors import annotate
from lstm_shapes.testing import runs
from lstm_shapes.theory.laws import RULES, Law, distance, laws
from lstm_shapes.theory.slices import last_step
from lstm_shapes.theory.spec import Spec
from tests.scale import examples

# The fixture `device` stays the same for all examples of one test.
any_device = settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

BOTH: dict[str, bool] = {"bidirectional": True}
SHORT = {"lengths": (6, 2, 4), "N": 3}
DROPS = {"dropout": 0.5}

# For each law a layer and call for which it holds, and one for which it does not; None where there is none.
CASES: dict[str, list[tuple[dict[str, Any] | None, dict[str, Any] | None]]] = {
    "last step": [({}, BOTH), ({"lengths": (6, 6)}, SHORT), ({"N": None}, {"N": None, **BOTH})],
    "wrong axis": [({"N": 1, "L": 1}, {}), ({"N": 1, "L": 1}, {"N": 4, "L": 4}), ({"N": 1, "L": 1}, {"L": 1})],
    "gathered step": [(SHORT, None), ({**SHORT, **BOTH}, None)],
    "forward half": [(BOTH, {**BOTH, **SHORT})],
    "backward half": [(BOTH, None), ({**BOTH, **SHORT}, None)],
    "backward half at the end": [({**BOTH, "L": 1}, BOTH)],
    "unflattened": [(BOTH, None), ({**BOTH, **SHORT}, None)],
    "unflattened wrongly": [({**BOTH, "K": 1}, BOTH)],
    "flattened to rows": [({"K": 1}, {}), ({"N": 1}, {"K": 1, **BOTH})],
    "output is cell state": [(None, {}), (None, {"cell": "LSTMCell"}), (None, BOTH), (None, {"proj_size": 5})],
    "equal widths": [({}, {"proj_size": 5}), ({"cell": "LSTMCell"}, {"proj_size": 5, **BOTH})],
    "zero start": [({}, DROPS), (SHORT, {**SHORT, **DROPS}), ({"cell": "RNNCell"}, None)],
    "feedback": [({}, BOTH), ({"N": None}, DROPS), ({**BOTH, "L": 1}, SHORT), ({"cell": "GRU"}, None)],
    "cell loop": [({"cell": cell}, None) for cell in ("LSTMCell", "GRUCell", "RNNCell")],
    "layout": [({}, DROPS), ({**SHORT, **BOTH}, {**SHORT, **DROPS})],
    "layout, one sequence": [({"N": None}, {"N": None, **DROPS})],
    "chain": [({}, DROPS), ({**BOTH, "proj_size": 5}, None), ({**BOTH, **SHORT}, None), ({"K": 1, **BOTH}, None)],
    "one step seen": [(BOTH, {**BOTH, **DROPS}), ({**BOTH, "K": 1}, None), ({**BOTH, **SHORT}, None)],
    "one step seen of X": [({**BOTH, "K": 1}, BOTH), ({**BOTH, "L": 1}, {**BOTH, **SHORT})],
    "rows alone": [({}, DROPS), ({**SHORT, **BOTH}, None), ({"cell": "LSTMCell"}, None)],
    "padding read": [({"lengths": (6, 6)}, SHORT)],
}
FLAT = [
    (name, holds, options)
    for name, pairs in CASES.items()
    for pair in pairs
    for holds, options in zip((True, False), pair, strict=True)
    if options is not None
]


def made(options: dict[str, Any], dtype: str = "float32", device: Any = "cpu", batch_first: bool = True) -> Run:
    """A run on distinct sizes: Q = 7, D = 8, K = 3 (1 for a cell), N = 4, L = 6."""
    sizes = {"K": 1 if options.get("cell", "").endswith("Cell") else 3, "N": 4, "L": 6, **options}
    if "lengths" in options:
        sizes["N"] = len(options["lengths"])
    return run(7, 8, batch_first=batch_first, dtype=dtype, device=device, **sizes)


def law(name: str, run: Run) -> Law:
    (found,) = [law for law in laws(run.layer, call=run.call) if law.name == name]
    return found


def test_every_law_has_cases_both_ways() -> None:
    """A new law without a case that holds and, unless it always holds, one that fails is noticed here."""
    assert set(CASES) == set(RULES)
    always = {"gathered step", "backward half", "unflattened", "cell loop"}
    assert {name for name in CASES if (name, False) not in {row[:2] for row in FLAT}} == always
    assert {name for name in CASES if (name, True) not in {row[:2] for row in FLAT}} == {"output is cell state"}
    assert set(RERUNS) == {name for name, rule in RULES.items() if rule.where}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "holds", "options"), FLAT)
def test_law_both_ways(
    name: str, holds: bool, options: dict[str, Any], dtype: str, batch_first: bool, device: torch.device
) -> None:
    """What is claimed to hold does, to the last bit or to rounding; what is claimed to fail fails by far."""
    found = made(options, dtype, device, batch_first)
    claim = law(name, found)
    residual = claim.residual(found)
    assert claim.holds is holds
    assert claim.agrees(found) is holds
    if holds:
        assert residual <= claim.tolerance(found)
    else:
        assert residual > max(1e-3, 5 * claim.tolerance(found))


@any_device
@given(st.data())
@pytest.mark.fuzz
def test_random_layers_obey_their_laws(device: torch.device, data: st.DataObject) -> None:
    """Any layer, any call, any state to start from: every claim is true, those to fail included.

    From 4 wide, and without relu, whose units may all be dead: then even a false friend compares 0 with 0.
    """
    found = data.draw(runs(least=4, nonlinearity="tanh", device=device))
    for claim in laws(found.layer, call=found.call):
        assert claim.agrees(found) is claim.holds, (claim.expression, claim.residual(found))


@any_device
@given(st.data())
@pytest.mark.fuzz
def test_relu_obeys_the_laws_that_hold(device: torch.device, data: st.DataObject) -> None:
    """relu's values grow without bound, and the tolerance with them."""
    found = data.draw(runs(["RNN", "RNNCell"], nonlinearity="relu", device=device))
    for claim in laws(found.layer, call=found.call):
        if claim.holds:
            assert claim.agrees(found), (claim.expression, claim.residual(found))


@pytest.mark.parametrize("name", ["feedback", "layout", "chain", "rows alone"])
def test_eval_mode_switches_dropout_off(name: str) -> None:
    """The same layer with dropout obeys in eval mode what it does not while it trains."""
    trains = made(DROPS)
    trains.layer.eval()
    still = run(trains.layer, trains.X.plain())
    assert law(name, still).holds
    assert law(name, still).agrees(still)


@pytest.mark.parametrize(("name", "holds", "options"), [row for row in FLAT if not RULES[row[0]].where])
def test_expression_is_what_is_measured(name: str, holds: bool, options: dict[str, Any]) -> None:
    """Typed into Python by a reader, an expression compares what the law compares."""
    found = made(options)
    claim = law(name, found)
    left, right = (evaluated(side, found) for side in claim.expression.split(" == "))
    if isinstance(left, torch.Size):
        assert (left == right) is holds
    else:
        assert distance([(left, right)]) == claim.residual(found)


@pytest.mark.parametrize("options", [{}, BOTH, SHORT, {**BOTH, **SHORT}, {"N": None}, {"N": None, **BOTH}])
@pytest.mark.parametrize("batch_first", [True, False])
def test_last_step_is_the_state_after_the_whole_sequence(options: dict[str, Any], batch_first: bool) -> None:
    """What a classifier wants is (N, R·H), forward half first, each row after its own last step."""
    found = made(options, batch_first=batch_first)
    tensor = evaluated(last_step(found.spec, found.call), found)
    assert tensor.shape == (*(() if found.call.N is None else (found.call.N,)), found.spec.R * found.spec.H)
    ends = found.hn.plain()[-found.spec.R :]
    assert torch.equal(tensor, torch.cat(list(ends), -1))


def evaluated(expression: str, found: Run) -> Any:
    """A reader's expression with the reader's names."""
    names: dict[str, Any] = {key: tensor.plain() for key, tensor in found.tensors.items()}
    sizes = {key: getattr(found.spec, key) for key in ("Q", "D", "K", "R", "P")}
    lengths = None if found.call.lengths is None else torch.tensor(found.call.lengths)
    return eval(expression, {**names, **sizes, "N": found.call.N, "lengths": lengths, "torch": torch})


@pytest.mark.parametrize("name", ["feedback", "layout", "chain", "rows alone", "one step seen", "padding read"])
def test_another_layer_is_noticed(name: str) -> None:
    """A rerun law fails where the results are not this layer's: the measurement can see a difference."""
    (options,) = [pairs[0][0] for key, pairs in CASES.items() if key == name]
    assert options is not None
    found = made(options)
    other = dataclasses.replace(found, layer=run(found.spec, seed=9).layer)
    assert law(name, found).agrees(found)
    assert law(name, found).residual(other) > 1e-3


# The others compare hn with itself, or never hold.
READ_OFF_Y = {name for name, rule in RULES.items() if not rule.where} - {
    "equal widths",
    "flattened to rows",
    "output is cell state",
}


@pytest.mark.parametrize("name", sorted(READ_OFF_Y))
def test_changed_results_are_noticed(name: str) -> None:
    """A law read off one run fails as soon as its Y or hn are others."""
    options = CASES[name][0][0]
    assert options is not None
    found = made(options)
    assert found.Y is not None
    changed = dataclasses.replace(found, Y=annotate(found.Y.plain() + 0.5, found.Y.axes))
    assert law(name, found).residual(changed) == pytest.approx(0.5, abs=1e-6)


def test_a_layer_that_starts_elsewhere_is_noticed() -> None:
    """`zero start` and `cell loop` fail for a layer that starts from ones, or adds to its state."""

    class FromOnes(torch.nn.GRU):
        def forward(self, X: Any, state: Any = None) -> Any:
            ones = torch.ones(self.num_layers, X.shape[0], self.hidden_size)
            return super().forward(X, ones if state is None else state)

    class Drifts(torch.nn.GRUCell):
        def forward(self, X: Any, state: Any = None) -> Any:
            return super().forward(X, state) + 0.1

    X = torch.randn(4, 6, 7)
    assert not law("zero start", found := run(FromOnes(7, 8, batch_first=True), X)).agrees(found)
    assert not law("cell loop", found := run(Drifts(7, 8), X[:, 0])).agrees(found)


def test_states_that_lie_otherwise_in_memory_are_measured() -> None:
    """A layer whose hn is a transposed tensor: what view would refuse is compared all the same."""

    class Turned(torch.nn.GRU):
        def forward(self, X: Any, state: Any = None) -> Any:
            Y, hn = super().forward(X, state)
            return Y, hn.transpose(0, 1).contiguous().transpose(0, 1)

    found = run(Turned(7, 8, 3, batch_first=True), torch.randn(4, 6, 7))
    assert not found.hn.is_contiguous()
    assert law("flattened to rows", found).residual(found) > 1e-3


def test_measuring_leaves_no_trace() -> None:
    """The layer, its mode, its gradients and the global random state are what they were."""
    found = made({**DROPS, **BOTH})
    weights = {name: value.clone() for name, value in found.layer.state_dict().items()}
    state = torch.get_rng_state()
    for claim in laws(found.layer, call=found.call):
        claim.residual(found)
    assert torch.equal(state, torch.get_rng_state())
    assert found.layer.training
    assert Spec.of(found.layer) == found.spec
    assert all(parameter.grad is None for parameter in found.layer.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in found.layer.state_dict().items())


def test_other_shapes_are_infinitely_far() -> None:
    """Nothing is broadcast: (N, 2·D) against (N, D), or one row against N, is no small difference."""
    found = made(BOTH)
    assert law("last step", found).residual(found) == inf
    found = made({"L": 1})
    assert law("wrong axis", found).residual(found) == inf


def test_nan_never_agrees() -> None:
    """A layer whose weights are nan obeys no law, rather than all of them."""
    found = made({})
    with torch.no_grad():
        next(found.layer.parameters()).fill_(float("nan"))
    broken = run(found.layer, found.X.plain())
    assert not law("last step", broken).agrees(broken)
    assert not law("feedback", broken).agrees(broken)


def test_law_of_another_case_is_refused() -> None:
    """A law is measured on runs that it speaks of."""
    with pytest.raises(ShapeError, match=r"Y\[:, -1\] == hn\[-1\] must be measured on a run of which the same"):
        law("last step", made({})).residual(made(BOTH))
    with pytest.raises(ShapeError, match=r"Ask laws\(Spec\(Q=7, D=8, K=3"):
        law("backward half", made(BOTH)).residual(made({}))


def test_meta_has_no_numbers() -> None:
    """On the meta device there is nothing to compare."""
    found = run(7, 8, 2, device="meta")
    with pytest.raises(ShapeError, match=r"measured on a device that computes numbers, got '?meta'?"):
        law("last step", found).residual(found)


DEEP = Spec(7, 5, 12, bidirectional=True, proj_size=3)


def test_one_direction_holds_its_weights() -> None:
    """Forward or backward, it is a plain layer with that direction's weights: a copy and not a view."""
    layer = build(DEEP)
    backward, spec = one_direction(layer, DEEP, 10, 1)
    assert spec == Spec.of(backward) == Spec(6, 5, 1, proj_size=3)
    assert torch.equal(getattr(backward, "weight_hr_l0"), getattr(layer, "weight_hr_l10_reverse"))  # noqa: B009
    assert getattr(backward, "weight_hr_l0").data_ptr() != getattr(layer, "weight_hr_l10_reverse").data_ptr()  # noqa: B009
    forward, _ = one_direction(layer, DEEP, 0, 0)
    assert torch.equal(getattr(forward, "weight_ih_l0"), getattr(layer, "weight_ih_l0"))  # noqa: B009


def test_parts_keep_mode_dtype_and_device(device: torch.device) -> None:
    """What the layer is, its parts are."""
    spec = Spec(7, 5, 2, dropout=0.5)
    layer = build(spec, dtype="float64", device=device).eval()
    part, _ = one_direction(layer, spec, 1, 0)
    weight = next(part.parameters())
    assert not part.training
    assert weight.dtype == torch.float64
    assert weight.device.type == device.type


def test_cell_as_a_layer() -> None:
    """A relu cell is a relu layer: one step of both is the same."""
    cell = nn.RNNCell(7, 5, nonlinearity="relu")
    layer, spec = one_direction(cell, Spec.of(cell), 0, 0)
    assert spec == Spec(7, 5, 1, False, cell="RNN", nonlinearity="relu")
    x = torch.randn(4, 7)
    assert torch.allclose(layer(x.unsqueeze(0))[1][0], cell(x), atol=1e-6)
