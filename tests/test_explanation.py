"""explain puts theory and proof together, as one value that shows itself and never prints."""

from __future__ import annotations

import copy
import json
import pickle
import random
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from lstm_shapes import ShapeError, Spec, SpecError, explain
from lstm_shapes.display import as_text
from lstm_shapes.theory.call import Call
from tests.scale import examples
from tests.strategies import cases


@pytest.mark.fuzz
@given(cases())
@settings(max_examples=examples(25))
def test_every_layer_is_explained(case: tuple[Spec, Call]) -> None:
    """In text, HTML and JSON, without a proof."""
    spec, call = case
    found = explain(spec, N=call.N, L=call.L, lengths=call.lengths, proof=False)
    assert (found.spec, found.call, found.proof) == (spec, call, None)
    text = repr(found)
    assert text.count("…") == as_text(found, width=400).count("…")
    assert all(len(line) <= 80 for line in text.splitlines())
    data = found.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert found._repr_html_().startswith("<div")


def test_numbers_a_spec_and_a_layer_are_taken_alike() -> None:
    """The same layer, said in three ways, has the same explanation, proved."""
    numbers = explain(7, 5, 2, N=3, L=4)
    spec = explain(Spec(7, 5, 2), N=3, L=4)
    layer = explain(nn.LSTM(7, 5, 2, batch_first=True), N=3, L=4)
    assert numbers.prediction.to_dict() == spec.prediction.to_dict() == layer.prediction.to_dict()
    for found in (numbers, spec, layer):
        assert found.proof is not None
        assert found.proof.ok


@pytest.mark.parametrize("proof", [True, False])
def test_a_layer_with_its_x(proof: bool) -> None:
    """The call and the dtype are those of what is given, with and without a proof."""
    layer, x = nn.LSTM(7, 5, 2).double(), torch.rand(6, 3, 7, dtype=torch.float64)
    found = explain(layer, x, proof=proof)
    assert found.spec == Spec(7, 5, 2, batch_first=False)
    assert found.call == Call(3, 6)
    assert found.prediction.counts.bytes == 8 * found.prediction.counts.total
    assert (found.proof is not None) == proof


def test_x_may_be_packed_and_must_fit() -> None:
    """Lengths come from a packed batch, in both directions too; an x of another width is refused."""
    layer = nn.GRU(7, 5, bidirectional=True)
    assert explain(layer, torch.randn(4, 3, 7)).call == Call(3, 4)
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(4, 3, 7), torch.tensor([4, 3, 1]))
    assert explain(layer, packed).call.lengths == (4, 3, 1)
    with pytest.raises(ShapeError, match="Q = 7 last"):
        explain(layer, torch.randn(4, 3, 8))


@pytest.mark.parametrize("proof", [True, False])
def test_a_layer_alone(proof: bool) -> None:
    """Sizes of the call by name; its own dtype."""
    found = explain(nn.GRU(7, 5).bfloat16(), N=3, L=4, proof=proof)
    assert found.call == Call(3, 4)
    assert found.prediction.dtype == "bfloat16"


def test_lengths_may_come_once() -> None:
    """A generator is read one time and serves prediction and proof."""
    found = explain(7, 5, lengths=(length for length in (4, 2)))
    assert found.call.lengths == (4, 2)
    assert found.proof
    assert found.proof.call == found.call


def test_it_never_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """The value shows itself; the call writes nothing to stdout or stderr."""
    explain(28, 256, 3, N=2, L=20)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_every_part_is_shown() -> None:
    """Its repr, plain and within 80 columns, and its HTML hold the first screen."""
    found = explain(7, 5, 2)
    text, page = repr(found), found._repr_html_()
    for part in ("Shapes", "Parameters", "Reading it", "Mind", "claims hold"):
        assert part in text
        assert part in page
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_proof_there_is_none() -> None:
    """proof=False predicts only, and says nothing of a proof."""
    found = explain(7, 5, proof=False)
    assert found.proof is None
    assert found.to_dict()["proof"] is None
    assert "Proof" not in repr(found)


def test_no_proof_no_torch() -> None:
    """Explaining without a proof loads no torch."""
    code = "import sys, lstm_shapes as ls; repr(ls.explain(28, 256, proof=False)); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_layer_too_large_is_proved_on_a_twin() -> None:
    """275 billion parameters are explained without allocating them, and the proof says what it ran on."""
    found = explain(65536, 65536, 8, bidirectional=True)
    assert found.proof is not None
    assert found.proof.ok
    assert found.proof.twin is not None
    assert found.proof.twin.bidirectional
    assert "small twin" in repr(found)


def test_the_caller_is_left_as_before() -> None:
    """The user's layer, its gradients, and every random state are what they were."""
    torch.manual_seed(11)
    random.seed(11)
    layer = nn.LSTM(7, 5, 2, dropout=0.5)
    layer(torch.randn(4, 3, 7))[0].sum().backward()
    weights = copy.deepcopy(layer.state_dict())
    grads = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
    states = torch.get_rng_state(), random.getstate()
    explain(layer)
    explain(layer, torch.zeros(4, 3, 7))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert layer.training
    assert not layer._forward_hooks
    assert all(torch.equal(value, weights[name]) for name, value in layer.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(layer.parameters(), grads, strict=True) if p.grad is not None)


@pytest.mark.parametrize("proof", [True, False])
def test_it_survives_pickle_and_copy(proof: bool) -> None:
    """It is a value, with its proof and without: equal to what comes back, and saying the same."""
    found = explain(7, 5, 2, N=3, L=4, proof=proof)
    again = pickle.loads(pickle.dumps(found))
    assert again == copy.deepcopy(found) == found
    assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize("proof", [True, False])
def test_save_writes_a_page_or_a_picture(proof: bool, tmp_path: Path) -> None:
    """A whole HTML document, or the picture alone, which any viewer of SVG parses; a path or its text will do."""
    found = explain(7, 5, 2, N=3, L=4, proof=proof)
    page = found.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert ("<summary>Proof</summary>" in page) == proof
    file = found.save(str(tmp_path / "a.svg"))
    assert file == tmp_path / "a.svg"
    assert ElementTree.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "unrolled over time" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", [".HTML", ".Svg"])
def test_save_takes_an_ending_in_any_case(ending: str, tmp_path: Path) -> None:
    """Some systems write suffixes in capitals; the file is the same."""
    found = explain(7, 5, proof=False)
    small, capital = (found.save(tmp_path / f"{name}{end}") for name, end in (("a", ending.lower()), ("b", ending)))
    assert capital.name == f"b{ending}"
    assert capital.read_bytes() == small.read_bytes()


@pytest.mark.parametrize("file", [None, 7, b"a.html"])
def test_save_refuses_what_is_no_file_name(file: Any) -> None:
    """One sentence, not pathlib's TypeError."""
    with pytest.raises(SpecError, match=rf"^file must be a name that ends in \.html or \.svg, got {file!r}"):
        explain(7, 5, proof=False).save(file)


@pytest.mark.parametrize("ending", [".txt", ".pdf"])
def test_save_refuses_other_endings(ending: str, tmp_path: Path) -> None:
    """Only .html and .svg; nothing is written for another."""
    with pytest.raises(SpecError, match=r"^file must be a name that ends in \.html or \.svg"):
        explain(7, 5, proof=False).save(tmp_path / f"a{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "LSTMCell"])
def test_its_parts_are_attributes(cell: str) -> None:
    """Every tensor of the call by its name, None where the layer has none, and the parameters."""
    found = explain(7, 5, cell=cell, proof=False)
    for name in ("X", "h0", "c0", "Y", "hn", "cn", "counts"):
        assert getattr(found, name) == getattr(found.prediction, name)
    assert found.total == found.counts.total == sum(prod(axes.sizes) for axes in found.prediction.weights.values())
    assert (found.Y is None, found.c0 is None) == (cell == "LSTMCell", cell == "GRU")
