"""The table of a proof: ticks, and what failed; its line on the first screen; and the tensors of a run."""

from __future__ import annotations

import re

import torch

from lstm_shapes import Spec, prove, run
from lstm_shapes._views.measured import proof_lines, proof_sheet, proof_view, run_view
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Page, Sheet
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.theory.call import Call

GOOD = Check("fine", 1, 1, "b", True)
BAD = Check("broken", 1_000, 1_001, "b", False, "a note")


def test_a_proof_shows_what_failed() -> None:
    """A failed check has a cross, both numbers, and is shown however many there are."""
    proof = Proof(Spec(7, 5), Call(), (*[GOOD] * 60, BAD), twin=Spec(3, 2))
    assert len(proof_sheet(proof).rows) == 42
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


def first_screen(*checks: Check, twin: Spec | None = None) -> str:
    return as_text(Page("", "", proof_lines(Proof(Spec(7, 5), Call(), checks, twin=twin))), width=80)


def test_a_proof_is_one_line_where_it_holds() -> None:
    """How many claims, against which torch, where; and the twin, if it ran on one."""
    version = torch.__version__.partition("+")[0]
    assert first_screen(GOOD, GOOD) == f"✓  2 of 2 claims hold against torch {version} and torchinfo (cpu, float32)"
    assert "small twin of the same structure, LSTM(Q=3, D=2, K=1)" in first_screen(GOOD, twin=Spec(3, 2))


def test_what_failed_is_on_the_first_screen() -> None:
    """A cross, and the claims that do not hold, without those that do."""
    text = first_screen(GOOD, BAD)
    assert text.startswith("✗  1 of 2 claims hold")
    assert re.search(r"✗ +broken +1,001 +b \(a note\)\n +not 1000", text)
    assert "fine" not in text


def test_a_run_is_its_tensors_without_their_numbers(shape_device: torch.device) -> None:
    """A row for each tensor that it holds: name, axes, sizes, and what no prediction knows, dtype and device."""
    made = run(7, 5, 2, N=3, L=4, device=shape_device, dtype="float64")
    (sheet,) = run_view(made).blocks
    assert isinstance(sheet, Sheet)
    rows = [tuple(cell if isinstance(cell, str) else cell.text for cell in row) for row in sheet.rows]
    assert rows == [
        (name, t.axes.formula, str(tuple(t.shape)), "float64", str(t.device)) for name, t in made.tensors.items()
    ]
    assert {row[4].partition(":")[0] for row in rows} == {shape_device.type}
