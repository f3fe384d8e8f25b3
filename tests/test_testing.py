"""lstm_shapes.testing: what it draws, what it accepts, what it catches."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import example, find, given, settings
from hypothesis import strategies as st
from torch import nn

from lstm_shapes.errors import SpecError
from lstm_shapes.lab._build import build
from lstm_shapes.lab.run import Run
from lstm_shapes.testing import assert_laws, assert_shapes_checked, calls, cases, distinct_sizes, lengths, runs, specs
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import CELLS
from tests.own_lstm import MISTAKES, OwnLSTM
from tests.scale import examples

ANY_NUMBER = st.integers(0, 10)


# ---- the strategies


@given(distinct_sizes(3, least=2, most=8, avoid=(4, 5)))
def test_distinct_sizes(sizes: tuple[int, ...]) -> None:
    """As many as asked for, all different, in the range, none of those to avoid."""
    assert len(set(sizes)) == len(sizes) == 3
    assert set(sizes) <= {2, 3, 6, 7, 8}


def test_distinct_sizes_that_are_not_there() -> None:
    """More sizes than the range holds is a mistake of the test, said at once."""
    with pytest.raises(SpecError, match="count must be at most 2, the sizes there are from 1 to 3, got 3"):
        distinct_sizes(3, most=3, avoid=(2,))


@given(specs())
def test_specs_differ_in_their_sizes(spec: Spec) -> None:
    """Q, D and P are different, so that one in the place of another shows."""
    sizes = [size for size in (spec.Q, spec.D, spec.P) if size]
    assert len(set(sizes)) == len(sizes)
    assert spec.K <= 3


def found_nonlinearities(cell: str) -> set[str]:
    relu = find(specs([cell]), lambda spec: spec.nonlinearity == "relu")
    return {relu.nonlinearity, find(specs([cell]), lambda spec: spec.nonlinearity == "tanh").nonlinearity}


@pytest.mark.parametrize("cell", list(CELLS))
def test_specs_reach_every_kind(cell: str) -> None:
    """Each cell comes, and what it can have comes too."""
    assert find(specs(), lambda spec: spec.cell == cell)
    if not CELLS[cell].step:
        assert find(specs([cell]), lambda spec: spec.bidirectional and spec.K > 1 and not spec.bias)
    if CELLS[cell].projects and not CELLS[cell].step:
        assert find(specs([cell]), lambda spec: spec.proj_size > 0)
    for nonlinearity in CELLS[cell].nonlinearities:
        assert nonlinearity in found_nonlinearities(cell)


@pytest.mark.parametrize(
    "fixed",
    [
        {"bidirectional": True},
        {"proj_size": 8},
        {"batch_first": False},
        {"Q": 3},
        {"D": 3},
        {"Q": 3, "D": 3},
        {"cell": "GRUCell"},
        {"nonlinearity": "relu"},
        {"K": 2, "dropout": 0.5},
        {"D": 40, "proj_size": 30},
    ],
)
@given(data=st.data())
@settings(max_examples=20)
def test_fixed_fields_stay(fixed: dict[str, Any], data: st.DataObject) -> None:
    """What is fixed is so in every spec, and only cells come that can have it."""
    spec = data.draw(specs(**fixed))
    assert {name: getattr(spec, name) for name in fixed} == fixed


def test_fixed_fields_that_no_cell_has() -> None:
    """Said at once, rather than after a search."""
    with pytest.raises(SpecError, match="fixed fields must be ones that one of the cells can have"):
        find(specs(["GRU"], proj_size=3), lambda spec: True)


@given(lengths(4, 6))
def test_lengths(drawn: tuple[int, ...]) -> None:
    """As many rows as asked for; the longest is as long as asked for."""
    assert len(drawn) == 4
    assert max(drawn) == 6
    assert min(drawn) >= 1


@pytest.mark.parametrize(
    "wanted",
    [
        lambda drawn: list(drawn) != sorted(drawn, reverse=True),
        lambda drawn: len(set(drawn)) < len(drawn),
        lambda drawn: len(drawn) == 1,
        lambda drawn: max(drawn) > 5,
    ],
)
def test_lengths_of_every_sort(wanted: Any) -> None:
    """Unsorted, equal, lonely and long ones come."""
    assert find(lengths(), wanted)


@given(cases())
def test_calls_differ_from_the_layer(case: tuple[Spec, Call]) -> None:
    """N and L differ from each other and from all sizes of the layer; a cell has neither L nor lengths."""
    spec, call = case
    own = {spec.Q, spec.D, spec.P, spec.K, spec.K * spec.R}
    sizes = [size for size in (call.N, None if spec.kind.step else call.L) if size is not None]
    assert not own & set(sizes)
    assert len(set(sizes)) == len(sizes)
    assert call.lengths is None or not spec.kind.step


@pytest.mark.parametrize(
    "wanted", [lambda c: c.N is None, lambda c: c.lengths and max(c.lengths) < c.L, lambda c: c.lengths == (c.L,)]
)
def test_calls_of_every_kind(wanted: Any) -> None:
    """Unbatched, padded beyond the longest, and one full row come."""
    assert find(calls(Spec(20, 30, 2)), wanted)


@given(cases(kinds=["packed", "unbatched"], cells=["LSTM"]))
def test_kinds_are_chosen(case: tuple[Spec, Call]) -> None:
    """Only the kinds of calls asked for."""
    assert case[1].lengths is not None or case[1].N is None


@given(runs(kinds=["batched"], dtypes=["float64"]))
@settings(max_examples=30)
def test_runs(run: Run) -> None:
    """A run has the shapes of its prediction and the dtype asked for."""
    assert tuple(run.X.shape) == run.prediction.X.sizes
    assert run.X.dtype == torch.float64
    assert run.call.lengths is None
    assert run.call.N is not None


def test_runs_start_from_both() -> None:
    """Zeros and random states both come."""
    assert find(runs(["GRUCell"]), lambda run: bool((run.h0 == 0).all()))
    assert find(runs(["GRUCell"]), lambda run: bool((run.h0 != 0).any()))


# ---- assert_laws


@given(cases())
@example((Spec(2, 1, 1, False, cell="RNN", bias=False, nonlinearity="relu"), Call(3, 4)))  # a unit that stays at zero
@settings(max_examples=examples(60))
@pytest.mark.fuzz
def test_torchs_layers_pass(case: tuple[Spec, Call]) -> None:
    """Every layer of torch obeys all laws that are claimed for it."""
    spec, call = case
    checked = assert_laws(build(spec), N=call.N, L=call.L, lengths=call.lengths)
    assert checked
    assert all(law.holds for law in checked)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_an_own_lstm_passes(layers: int, bidirectional: bool) -> None:
    """A correct LSTM written by hand, read by its attributes."""
    names = {law.name for law in assert_laws(OwnLSTM(7, 8, layers, bidirectional))}
    assert {"zero start", "rows alone", "backward half" if bidirectional else "last step"} <= names
    assert not {"chain", "layout"} & names  # those compute with torch's own layers


@pytest.mark.parametrize(
    ("mistake", "bidirectional", "message"),
    [(mistake, way, message) for mistake, ways, message in MISTAKES for way in ways],
)
def test_an_own_lstm_that_is_subtly_wrong_is_caught(mistake: type[OwnLSTM], bidirectional: bool, message: str) -> None:
    """Shapes are right in all but one of them; the law that is broken is named."""
    with pytest.raises(AssertionError, match=message):
        assert_laws(mistake(7, 8, 2, bidirectional))


@given(distinct_sizes(4, most=12), st.booleans(), st.sampled_from(MISTAKES), st.integers(0, 100))
@settings(max_examples=examples(40))
@pytest.mark.fuzz
def test_mistakes_are_caught_at_any_size(
    sizes: tuple[int, ...], two_way: bool, mistake: tuple[type[OwnLSTM], tuple[bool, ...], str], seed: int
) -> None:
    """Two layers and at least two rows are enough to see each of them; the correct one passes there."""
    Q, D, N, L = sizes
    D, N, L = D + 3, N + 1, L + 1
    bidirectional = two_way if len(mistake[1]) == 2 else mistake[1][0]
    torch.manual_seed(seed)
    assert_laws(OwnLSTM(Q, D, 2, bidirectional), N=N, L=L, seed=seed)
    with pytest.raises(AssertionError, match=f"{mistake[2]}|is broken"):
        assert_laws(mistake[0](Q, D, 2, bidirectional), N=N, L=L, seed=seed)


def test_the_message_is_complete() -> None:
    """Law, expression, residual, tolerance, reason, condition, sizes and what else is broken."""
    with pytest.raises(AssertionError) as caught:
        assert_laws(MISTAKES[0][0](7, 8, 2), N=4, L=6, seed=5)
    first, second, third, fourth, fifth = str(caught.value).splitlines()
    assert first == 'law "last step" is broken: Y[:, -1] == hn[-1]'
    assert second.startswith("residual 0.")
    assert second.endswith(", tolerance 1e-05 (float32)")
    assert third.startswith("Y is the top layer's hidden state at every step")
    assert "It holds with: one direction" in third
    assert fourth == "Tried with Spec(Q=7, D=8, K=2, batch_first=True), N=4, L=6, lengths=None, seed=5"
    assert fifth.startswith('Also broken: "feedback"')


def test_a_layer_taken_for_an_lstm_says_so() -> None:
    """Attributes cannot tell the kind of a layer of one's own: the message says what to pass."""

    class OwnGRU(torch.nn.Module):
        input_size, hidden_size = 7, 8

        def forward(self, X: Any, h0: Any = None) -> Any:
            return X.new_zeros(*X.shape[:2], 8), X.new_zeros(1, X.shape[1], 8)

    with pytest.raises(AssertionError, match=r"Taken for an LSTM; pass spec=Spec"):
        assert_laws(OwnGRU())


def test_no_random_number_is_drawn() -> None:
    """Dropout at work draws from a copy of the global random state."""
    layer = torch.nn.LSTM(7, 5, 2, dropout=0.5)
    before = torch.get_rng_state()
    assert_laws(layer)
    assert torch.equal(torch.get_rng_state(), before)


def test_tolerance_can_be_widened() -> None:
    """A layer that rounds on purpose says how much it may."""

    class Rounds(OwnLSTM):
        def results(self, Y: Any, hn: Any, cn: Any) -> Any:
            return Y, (hn.round(decimals=3), cn)

    with pytest.raises(AssertionError, match="tolerance 1e-05"):
        assert_laws(Rounds(7, 8))
    assert assert_laws(Rounds(7, 8), tolerance=1e-2)


def test_a_spec_in_place_of_attributes() -> None:
    """A GRU that says nothing of itself is checked by the Spec that is given for it."""

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.GRU(7, 8, 2)

        def forward(self, X: Any, state: Any = None) -> Any:
            Y, hn = self.inner(X, state)
            return Y, hn

    assert assert_laws(Wrapped(), spec=Spec(7, 8, 2, False, cell="GRU"))
    with pytest.raises(AssertionError, match=r"the layer is no Spec.*Y must be \(N, L, D\)"):
        assert_laws(Wrapped(), spec=Spec(7, 8, 3, True, cell="GRU", bias=False).replace(D=9))


def test_like_torch_compares_the_arithmetic() -> None:
    """A subclass of nn.LSTM whose weights are right and whose arithmetic is not is compared with torch's."""

    class Doubles(nn.LSTM):
        def forward(self, X: Any, state: Any = None) -> Any:
            return super().forward(2 * X, state)

    assert assert_laws(Doubles(7, 8, 2, batch_first=True), like_torch=False)
    with pytest.raises(AssertionError, match='law "chain" is broken'):
        assert_laws(Doubles(7, 8, 2, batch_first=True))
    assert "chain" in {law.name for law in assert_laws(nn.LSTM(7, 8, 2))}


def test_dropout_is_left_to_eval_mode() -> None:
    """While dropout is at work only what it leaves alone is checked; in eval mode all is."""
    layer = nn.LSTM(7, 8, 2, dropout=0.5)
    trains = len(assert_laws(layer))
    assert trains < len(assert_laws(layer.eval()))


def test_lengths_and_devices(device: torch.device) -> None:
    """Packed rows, on every device."""
    layer = nn.LSTM(7, 8, 2, bidirectional=True, batch_first=True, device=device)
    assert "gathered step" in {law.name for law in assert_laws(layer, lengths=(5, 2, 3))}


def test_without_hypothesis_it_says_what_to_install() -> None:
    """An ImportError with the remedy, in an interpreter that has no hypothesis."""
    code = "import sys; sys.modules['hypothesis'] = None; import lstm_shapes.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "ImportError: lstm_shapes.testing needs hypothesis: pip install lstm_shapes[testing]"
    )


# ---- assert_shapes_checked


def _last(rnn: nn.Module) -> Any:
    return lambda x: rnn(x)[0][:, -1]


def test_a_right_model_passes_with_what_was_tested() -> None:
    """The report comes back, for a test that wants to hold it to more."""
    report = assert_shapes_checked(_last(nn.LSTM(4, 8, batch_first=True)), torch.randn(3, 5, 4))
    assert report.ok
    assert report.tested == ("samples (3 of 3)",)


def test_a_wrong_model_fails_with_the_report() -> None:
    """The message holds the finding and what was not tested."""
    with pytest.raises(AssertionError, match=r"(?s)are wrong\n.*LS201.*not tested: padding"):
        assert_shapes_checked(_last(nn.LSTM(4, 8)), torch.randn(3, 5, 4))


def test_a_code_can_be_allowed() -> None:
    """allow= names what is no failure."""
    assert assert_shapes_checked(_last(nn.LSTM(4, 8)), torch.randn(3, 5, 4), allow=["LS201"]).codes == ("LS201",)


def test_what_could_not_be_tested_is_a_failure() -> None:
    """One sample shows nothing about samples: a test that passed by it would be an empty claim."""
    model = _last(nn.LSTM(4, 8, batch_first=True))
    with pytest.raises(AssertionError, match="not tested: samples; "):
        assert_shapes_checked(model, torch.randn(1, 5, 4))
    assert assert_shapes_checked(model, torch.randn(1, 5, 4), require=()).ok
    with pytest.raises(AssertionError, match="not tested: padding; "):
        assert_shapes_checked(model, torch.randn(3, 5, 4), require=["samples", "padding"])


def test_an_exception_of_the_model_is_a_failure() -> None:
    """With its explanation."""
    with pytest.raises(AssertionError, match=r"LS10[0-9]"):
        assert_shapes_checked(_last(nn.LSTM(4, 8)), torch.randn(3, 5, 9))
