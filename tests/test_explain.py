"""explain puts theory and proof together, as one value that shows itself and never prints."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from lstm_shapes import Spec, explain
from lstm_shapes.errors import SpecError
from lstm_shapes.shown import as_text
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


def test_it_never_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """The value shows itself; the call writes nothing to stdout or stderr."""
    explain(28, 256, 3, N=2, L=20)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_layer_with_its_x() -> None:
    """The call and the dtype are those of what is given, with and without a proof."""
    layer, x = nn.LSTM(7, 5, 2).double(), torch.rand(6, 3, 7, dtype=torch.float64)
    for proof in (True, False):
        found = explain(layer, x, proof=proof)
        assert found.spec == Spec(7, 5, 2, batch_first=False)
        assert found.call == Call(3, 6)
        assert found.prediction.counts.bytes == 8 * found.prediction.counts.total
        assert (found.proof is not None) == proof


def test_a_layer_alone() -> None:
    """Sizes of the call by name; its own dtype."""
    layer = nn.GRU(7, 5).bfloat16()
    for proof in (True, False):
        found = explain(layer, N=3, L=4, proof=proof)
        assert found.call == Call(3, 4)
        assert found.prediction.dtype == "bfloat16"


def test_lengths_may_come_once() -> None:
    """A generator is read one time and serves prediction and proof."""
    found = explain(7, 5, lengths=(length for length in (4, 2)))
    assert found.call.lengths == (4, 2)
    assert found.proof
    assert found.proof.call == found.call


def test_no_proof_no_torch() -> None:
    """Explaining without a proof loads no torch."""
    code = "import sys, lstm_shapes as ls; repr(ls.explain(28, 256, proof=False)); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_survives_pickle_and_copy() -> None:
    """With its proof."""
    found = explain(7, 5, 2, N=3, L=4)
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found


def test_save_writes_a_page_or_a_picture(tmp_path: Path) -> None:
    """Self-contained HTML, an SVG that is one; another ending is refused and writes nothing."""
    found = explain(7, 5, 2, N=3, L=4)
    page = found.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert found.save(str(tmp_path / "a.svg")).read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(SpecError, match=r"^file must be a name that ends in .html or .svg"):
        found.save(tmp_path / "a.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.svg"]
