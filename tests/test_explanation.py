"""explain: one value that holds prediction and proof, and shows itself."""

from __future__ import annotations

import copy
import pickle
import random
from pathlib import Path

import pytest
import torch
from torch import nn

import lstm_shapes as ls


def test_explain_takes_numbers_a_spec_and_a_layer() -> None:
    """The same layer, said in three ways, is explained alike."""
    numbers = ls.explain(7, 5, 2, N=3, L=4)
    spec = ls.explain(ls.Spec(7, 5, 2), N=3, L=4)
    layer = ls.explain(nn.LSTM(7, 5, 2, batch_first=True), N=3, L=4)
    assert numbers.prediction.to_dict() == spec.prediction.to_dict() == layer.prediction.to_dict()
    for explanation in (numbers, spec, layer):
        assert explanation.proof is not None
        assert explanation.proof.ok


def test_explain_reads_the_call_off_a_users_x() -> None:
    """Sizes come from the tensor, whatever its layout; a packed batch too."""
    layer = nn.GRU(7, 5, bidirectional=True)
    explanation = ls.explain(layer, torch.randn(4, 3, 7))
    assert (explanation.call.N, explanation.call.L) == (3, 4)
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(4, 3, 7), torch.tensor([4, 3, 1]))
    assert ls.explain(layer, packed).call.lengths == (4, 3, 1)
    with pytest.raises(ls.ShapeError, match="Q = 7 last"):
        ls.explain(layer, torch.randn(4, 3, 8))


def test_nothing_is_printed_and_everything_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """explain prints nothing; its repr and its HTML hold every part."""
    explanation = ls.explain(7, 5, 2)
    assert capsys.readouterr() == ("", "")
    text, page = repr(explanation), explanation._repr_html_()
    for part in ("Shapes", "Parameters", "Slices", "Mind", "Laws", "Proof"):
        assert part in text
        assert part in page
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_proof_there_is_none() -> None:
    """proof=False predicts only."""
    explanation = ls.explain(7, 5, proof=False)
    assert explanation.proof is None
    assert explanation.to_dict()["proof"] is None
    assert "Proof" not in repr(explanation)


def test_a_layer_too_large_is_proved_on_a_twin() -> None:
    """275 billion parameters are explained without allocating them, and the proof says what it ran on."""
    explanation = ls.explain(65536, 65536, 8, bidirectional=True)
    assert explanation.proof is not None
    assert explanation.proof.ok
    assert explanation.proof.twin is not None
    assert explanation.proof.twin.bidirectional
    assert "small twin" in repr(explanation)


def test_the_caller_is_left_as_before() -> None:
    """The user's layer, its gradients, and every random state are what they were."""
    torch.manual_seed(11)
    random.seed(11)
    layer = nn.LSTM(7, 5, 2, dropout=0.5)
    layer(torch.randn(4, 3, 7))[0].sum().backward()
    weights = copy.deepcopy(layer.state_dict())
    grads = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    states = torch.get_rng_state(), random.getstate()
    ls.explain(layer)
    ls.explain(layer, torch.zeros(4, 3, 7))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert layer.training
    assert not layer._forward_hooks
    assert all(torch.equal(value, weights[name]) for name, value in layer.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(layer.parameters(), grads, strict=True) if p.grad is not None)


def test_an_explanation_is_a_value() -> None:
    """It survives pickling and deepcopy, and compares by what it says."""
    explanation = ls.explain(7, 5, 2, proof=False)
    assert pickle.loads(pickle.dumps(explanation)).to_dict() == explanation.to_dict()
    assert copy.deepcopy(explanation) == explanation


def test_save_refuses_other_endings(tmp_path: Path) -> None:
    """.html and .svg are written, anything else is refused by name."""
    explanation = ls.explain(7, 5, proof=False)
    assert explanation.save(tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "<svg" in explanation.save(str(tmp_path / "a.svg")).read_text(encoding="utf-8")
    with pytest.raises(ls.SpecError, match=r"ends in \.html or \.svg"):
        explanation.save(tmp_path / "a.txt")
