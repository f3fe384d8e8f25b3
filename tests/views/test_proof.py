"""The table of a proof: ticks, and what failed."""

from __future__ import annotations

import re

from lstm_shapes import Spec, prove
from lstm_shapes.display import as_text
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.theory.call import Call
from lstm_shapes.views.proof import proof_sheet, proof_view


def test_a_proof_shows_what_failed() -> None:
    """A failed check has a cross, both numbers, and is shown however many there are."""
    good = Check("fine", 1, 1, "b", True)
    bad = Check("broken", 1_000, 1_001, "b", False, "a note")
    proof = Proof(Spec(7, 5), Call(), (*[good] * 60, bad), twin=Spec(3, 2))
    sheet = proof_sheet(proof)
    assert len(sheet.rows) == 42
    text = as_text(proof_view(proof), width=80)
    assert re.search(r"✗ +broken +1,001 +b \(a note\)\n +not 1000", text)
    assert "… and 20 more of the same kind" in text
    assert "60 of 61 hold" in text
    assert "LSTM(Q=3, D=2, K=1)" in text


def test_a_proof_that_holds_has_ticks_only() -> None:
    """Every check is a row where there are few."""
    proof = prove(7, 5, 2, N=3, L=4)
    text = as_text(proof, width=80)
    assert "✗" not in text
    assert text.count("✓") == len(proof.checks)
