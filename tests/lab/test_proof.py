"""prove holds every prediction against torch, tells a wrong one, proves giants on a twin, small ones in one thread."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import tracemalloc
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from lstm_shapes import Spec, SpecError, count, prove
from lstm_shapes.lab import proof
from lstm_shapes.lab.proof import (
    Check,
    Proof,
    _law_checks,
    _runnable,
    _shortened,
    _tensor_checks,
    one_thread_if_small,
)
from lstm_shapes.lab.run import run
from lstm_shapes.theory.call import DTYPES, Call
from lstm_shapes.theory.counts import LayerCount
from tests.scale import examples
from tests.strategies import cases


@pytest.mark.fuzz
@given(cases())
@settings(max_examples=examples(25))
def test_every_layer_is_proved(case: tuple[Spec, Call]) -> None:
    """All kinds, padded, packed and unbatched."""
    spec, call = case
    proof = prove(spec, N=call.N, L=call.L, lengths=call.lengths)
    assert [check for check in proof.checks if not check.ok] == []
    assert (proof.spec, proof.call, proof.twin) == (spec, call, None)


def test_what_is_checked(shape_device: torch.device) -> None:
    """Each tensor, the weights, each layer's count, the total twice, MACs, and laws where there are numbers."""
    proof = prove(28, 256, 3, N=2, L=20, device=shape_device)
    assert proof.ok
    claims = [check.claim for check in proof.checks]
    assert claims[:6] == [
        f"{name} is {formula}"
        for name, formula in (("X", "(N, L, Q)"), *((s, "(K, N, D)") for s in ("h0", "c0")), ("Y", "(N, L, D)"),
                              *((s, "(K, N, D)") for s in ("hn", "cn")))
    ]  # fmt: skip
    assert [c.predicted for c in proof.checks if c.claim.startswith("layer ")] == [292_864, 526_336, 526_336]
    assert [c.by for c in proof.checks if c.claim == "parameters in all"] == ["numel()", "torchinfo.summary"]
    exact = [check for check in proof.checks if check.claim == "Y[:, -1] == hn[-1]"]
    assert len(exact) == (shape_device.type != "meta")
    assert all(check.measured == "0" and not check.note for check in exact)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_proved(dtype: str) -> None:
    """Also those with few digits: their tolerance is stated."""
    proof = prove(7, 5, 2, N=3, L=4, dtype=dtype)
    assert [check for check in proof.checks if not check.ok] == []
    assert proof.dtype == dtype


def test_dropout_is_proved() -> None:
    """Two calls differ where dropout is at work; only laws that hold are asked."""
    assert prove(7, 5, 3, N=3, L=4, dropout=0.5)


def test_a_wrong_count_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """One parameter more in the prediction: the proof fails, and says where."""
    right = LayerCount.direction.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(LayerCount, "direction", property(lambda self: right(self) + 1))
    proof = prove(7, 5, 2, N=3, L=4)
    assert not proof
    assert {check.claim for check in proof.checks if not check.ok} >= {"parameters in all"}


@pytest.mark.parametrize("tool", ["torchinfo", "MACs", "bytes", "slices"])
def test_a_tool_that_says_otherwise_is_heard(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more or less than predicted, measured by one tool alone: its check fails, and no other."""
    from lstm_shapes.theory.counts import Counts

    if tool == "torchinfo":
        import torchinfo

        measured = torchinfo.summary
        monkeypatch.setattr(
            torchinfo, "summary", lambda *a, **k: SimpleNamespace(total_params=measured(*a, **k).total_params + 1)
        )
    elif tool == "MACs":
        monkeypatch.setattr(proof, "measured_macs", lambda spec, call: ((Counts(spec, call).macs or 0) + 1, "a tool"))
    elif tool == "bytes":
        monkeypatch.setattr(Counts, "bytes", property(lambda self: 1))
    else:
        from lstm_shapes.theory.slices import slices as shown

        monkeypatch.setattr(proof, "slices", lambda p: [dataclasses.replace(shown(p)[0], axes=p.X), *shown(p)[1:]])
    failed = [check for check in prove(7, 5, 2, N=3, L=4).checks if not check.ok]
    assert len(failed) == 1
    assert tool in f"{failed[0].claim} {failed[0].by}"


def test_false_friends_are_shown_to_be_none() -> None:
    """Each law that does not hold has a counter-example on the very numbers."""
    proof = prove(28, 16, 3, N=2, L=5)
    friends = {check.claim: check.measured for check in proof.checks if " != " in check.claim}
    assert set(friends) == {
        "Y[-1] != hn[-1]",
        "hn.view(N, -1) != hn.transpose(0, 1).reshape(N, -1)",
        "Y[:, -1] != cn[-1]",
    }
    assert friends["Y[-1] != hn[-1]"] == "other shapes"
    assert float(friends["Y[:, -1] != cn[-1]"]) > 0


@pytest.mark.parametrize(
    "mode", [torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"), torch.no_grad()]
)
def test_the_callers_modes_change_nothing(mode: Any) -> None:
    """Inference mode, autocast and another default device: the same proof."""
    with mode:
        inside = prove(7, 5, 2, N=3, L=4, bidirectional=True, lengths=(4, 2, 1))
    assert inside == prove(7, 5, 2, N=3, L=4, bidirectional=True, lengths=(4, 2, 1))
    assert inside.ok


def test_another_default_dtype_changes_no_weight() -> None:
    """Weights and X follow from the seed alone."""
    before = run(7, 5, 2, N=3, L=4)
    torch.set_default_dtype(torch.float64)
    try:
        after = run(7, 5, 2, N=3, L=4)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(before.X.plain(), after.X.plain())
    assert all(map(torch.equal, before.layer.parameters(), after.layer.parameters()))


def test_weights_made_of_others_are_proved() -> None:
    """weight_norm replaces a parameter by two: the layer still computes with weights of the predicted shapes."""
    layer = nn.utils.parametrizations.weight_norm(nn.LSTM(7, 5, 2), "weight_hh_l0")
    proof = prove(layer)
    assert proof.ok
    assert not any("torchinfo" in check.by for check in proof.checks)


def test_quantised_weights_are_refused() -> None:
    """They are no tensors of those shapes, and the error says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(7, 5)), {nn.LSTM})[0]
    with pytest.raises(SpecError, match="Quantised weights cannot be held"):
        prove(layer)


def test_infinite_numbers_break_no_shape() -> None:
    """hn and cn have one shape, whatever is in them."""
    proof = prove(nn.LSTM(7, 5, batch_first=True), torch.full((3, 4, 7), float("inf")))
    assert next(check.ok for check in proof.checks if check.claim == "hn.shape == cn.shape")


def test_a_wrong_shape_is_caught() -> None:
    """A prediction of another layout does not pass."""
    made = run(7, 5, 2, N=3, L=4)
    wrong = dataclasses.replace(made, call=Call(4, 3))
    assert [check.ok for check in _tensor_checks(wrong)] == [False] * 6


def test_a_wrong_number_is_caught() -> None:
    """Y that is not the layer's own breaks a law."""
    made = run(7, 5, 2, N=3, L=4)
    assert made.Y is not None
    with torch.no_grad():
        made.Y.plain()[0, -1, 0] += 1e-6
    assert "Y[:, -1] == hn[-1]" in [check.claim for check in _law_checks(made) if not check.ok]


def test_your_layer_is_proved() -> None:
    """Whatever its defaults: torch's own is time-major."""
    proof = prove(nn.GRU(7, 5, 2, bidirectional=True).double(), torch.rand(6, 3, 7, dtype=torch.float64))
    assert proof.ok
    assert (proof.dtype, proof.call) == ("float64", Call(3, 6))


def test_a_giant_is_proved_on_a_twin() -> None:
    """275 billion parameters: neither the layer nor its weights are ever allocated."""
    prove(7, 5, 2, N=3, L=4)
    tracemalloc.start()
    proof = prove(65_536, 65_536, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert proof.ok
    assert proof.twin == Spec(7, 11, 3)
    assert proof.spec == Spec(65_536, 65_536, 8)
    assert peak < 50e6


@pytest.mark.parametrize(
    ("spec", "call"),
    [
        (Spec(10**6, 10**6, 9, proj_size=10**5, bidirectional=True), Call(100, 50)),
        (Spec(1, 1, 10_000), Call(2, 3)),
        (Spec(1, 1), Call(1, 10**7)),
        (Spec(10**6, 10**6, cell="GRUCell"), Call(None, 1)),
        (Spec(10**6, 10**6), Call(3, 100, (100, 60, 7))),
        (Spec(10**6, 10**6), Call(9, 100, (100,) * 8 + (3,))),
        (Spec(10**6, 10**6), Call(2, 100, (80, 80))),
        (Spec(10**6, 10**6), Call(2, 100, (100, 100))),
    ],
)
def test_a_twin_has_the_same_structure(spec: Spec, call: Call) -> None:
    """Every field that is no size, batched or not, packed or not, rows uneven or not."""
    twin, small = _runnable(spec, call, "float32")
    assert (twin, small) != (spec, call)
    sizes: Any = {"Q": 1, "D": 9, "K": min(spec.K, 2), "proj_size": min(spec.P, 1)}
    assert twin.replace(**sizes) == spec.replace(**sizes)
    assert (small.batched, small.lengths is None) == (call.batched, call.lengths is None)
    if call.lengths is not None and small.lengths is not None:
        assert (min(small.lengths) < small.L) == (min(call.lengths) < call.L)
        assert (max(small.lengths) < small.L) == (max(call.lengths) < call.L)
    assert prove(twin, N=small.N, L=small.L, lengths=small.lengths)


def test_many_rows_are_looked_at_in_part() -> None:
    """Laws that call the layer once a row or step take the first of them, and say so."""
    for made in (run(7, 5, N=300, L=3), run(7, 5, 1, False, lengths=[*range(1, 301)])):
        short, part = _shortened(made)
        assert part.startswith("N=64, L=")
        assert short.call.N == 64
        assert short.call.L <= 256
        assert short.Y is not None
        assert made.Y is not None
    proof = prove(7, 5, N=300, L=3)
    assert proof.ok
    assert any("on the first N=64, L=3" in check.note for check in proof.checks)


def test_a_proof_is_plain_data() -> None:
    """It pickles, copies, and goes through JSON."""
    proof = prove(7, 5, 2, N=3, L=4)
    assert pickle.loads(pickle.dumps(proof)) == copy.deepcopy(proof) == proof
    data: dict[str, Any] = proof.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert len(data["checks"]) == len(proof.checks)
    assert data["ok"] is True
    bad = Proof(proof.spec, proof.call, (Check("a", (1, 2), (2, 1), "b", False),))
    assert not bad
    assert bad.to_dict()["checks"][0]["measured"] == [2, 1]


@pytest.fixture
def three() -> Iterator[None]:
    """More threads than one, whatever the tests run with."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("macs", "inside"), [(0, 1), (53_575_680, 1), (10**9, 1), (10**9 + 1, 3), (10**12, 3)])
def test_a_small_layer_takes_one_thread(macs: int, inside: int) -> None:
    """Up to a thousand million MACs; above, nothing changes."""
    with one_thread_if_small(macs):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("macs", [0, 10**12])
def test_threads_come_back_after_an_error(macs: int) -> None:
    """What fails inside goes on outside, and leaves the threads as they were."""
    with pytest.raises(ZeroDivisionError, match="by zero"), one_thread_if_small(macs):
        _ = 1 / 0
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three")
def test_who_has_one_thread_keeps_one() -> None:
    """As with OMP_NUM_THREADS=1: one inside, one afterwards."""
    torch.set_num_threads(1)
    with one_thread_if_small(0):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("Q", "D", "N", "L", "inside"), [(7, 5, 3, 4, 1), (256, 512, 8, 80, 3)])
def test_prove_leaves_the_threads_as_they_were(
    Q: int, D: int, N: int, L: int, inside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small layer runs and is checked in one thread, a large one in the caller's."""
    seen = []

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            seen.append((name, torch.get_num_threads()))
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, watched)

    watch(proof, "run_given")
    watch(proof, "_tensor_checks")
    assert ((count(Q, D, N=N, L=L).macs or 0) > 10**9) == (inside == 3)
    assert prove(Q, D, N=N, L=L)
    assert seen == [("run_given", inside), ("_tensor_checks", inside)]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three")
def test_prove_leaves_the_threads_also_where_a_check_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of a proof."""

    def stop(*_: object) -> None:
        raise RuntimeError("stopped")

    monkeypatch.setattr(proof, "_law_checks", stop)
    with pytest.raises(RuntimeError, match=r"^stopped$"):
        prove(7, 5, N=3, L=4)
    assert torch.get_num_threads() == 3
