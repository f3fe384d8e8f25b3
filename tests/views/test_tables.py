"""The tables say what the values hold; a snapshot's totals are added up again from its own rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from lstm_shapes import Spec, count, explain, predict, prove
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.shown import as_text
from lstm_shapes.theory.call import Call
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.views.counts import counts_view
from lstm_shapes.views.html import document
from lstm_shapes.views.page import Page
from lstm_shapes.views.parameters import parameters_sheet
from lstm_shapes.views.proof import proof_sheet, proof_view
from lstm_shapes.views.shapes import shapes_sheet
from lstm_shapes.views.slices import slices_sheet
from lstm_shapes.views.titles import headline, number_of_bytes, subtitle
from tests.snapshot import Snapshot
from tests.strategies import cases

NUMBER = re.compile(r"^(layer \d+|layers \d+ to \d+|total)\b.*?([\d,]+)$")


def rows_of(text: str) -> dict[str, int]:
    """The numbers at the right of a parameter table."""
    found = (NUMBER.match(line) for line in text.splitlines())
    rows: dict[str, int] = {}
    for match in found:
        if match:
            rows.setdefault(match[1], int(match[2].replace(",", "")))  # a later table has a total of its own
    return rows


@pytest.mark.parametrize("K", [1, 3, 4, 5, 1_000])
def test_parameter_rows_add_up(snapshot: Snapshot, K: int) -> None:
    """The layers printed, with those that share a row, sum to the total printed."""
    rows = rows_of(snapshot(f"count_28_256_{K}", as_text(count(28, 256, K, N=2, L=20), width=80)))
    total = rows.pop("total")
    assert total == count(28, 256, K).total
    assert sum(rows.values()) == total
    assert len(rows) == min(K, 3 if K > 4 else K)


def test_explanation_looks_as_it_did(snapshot: Snapshot) -> None:
    """The lesson, and the most there can be, without their proofs."""
    snapshot("explain_lesson", as_text(explain(28, 256, 3, N=2, L=20, proof=False), width=80))
    spec = Spec(28, 256, 3, batch_first=False, bidirectional=True, proj_size=64)
    snapshot("explain_all", as_text(explain(spec, lengths=(20, 17, 4), proof=False), width=80))


@given(cases())
def test_every_tensor_has_a_row(case: tuple[Spec, Call]) -> None:
    """Names, symbols and sizes of all tensors, and of packed data."""
    prediction = Prediction(*case)
    rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in shapes_sheet(prediction).rows]
    expected = [[name, a.formula, str(a.sizes)] for name, a in prediction.tensors.items()]
    assert [row[:3] for row in rows[: len(expected)]] == expected
    assert [row[0] for row in rows[len(expected) :]] == ["X.data", "Y.data"] * (case[1].lengths is not None)


@given(cases())
def test_titles_name_the_layer_and_the_call(case: tuple[Spec, Call]) -> None:
    """What differs from a plain layer is in the headline; how much data below it."""
    spec, call = case
    title, below = headline(spec), subtitle(spec, call)
    assert title.startswith(f"{spec.cell}(Q={spec.Q}, D={spec.D}")
    assert ("bidirectional" in title, "bias=False" in title, "relu" in title) == (
        spec.bidirectional,
        not spec.bias,
        spec.nonlinearity == "relu",
    )
    assert (f"P={spec.P}" in title) == (spec.P > 0)
    assert ("unbatched" in below) == (not call.batched)
    assert ("packed" in below) == (call.lengths is not None)
    assert ("batch_first" in below) == (not spec.kind.step)
    assert (slices_sheet(Prediction(spec, call)) is None) == spec.kind.step


def test_dropout_is_in_the_headline() -> None:
    """As it was given."""
    assert headline(Spec(7, 5, 2, dropout=0.5)) == "LSTM(Q=7, D=5, K=2, dropout=0.5)"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1.00 KiB"), (5_382_144, "5.13 MiB"), (2**60, "1,024.00 PiB")],
)
def test_bytes(number: int, text: str) -> None:
    """In the largest unit that leaves at least 1."""
    assert number_of_bytes(number) == text


def test_keras_has_a_row_where_it_differs() -> None:
    """One bias fewer a gate, and the number it prints; none for a GRU, without bias, or with a projection."""
    text = as_text(counts_view(count(28, 256, 3)), width=80)
    assert re.search(r"Keras.*minus 3,072 +1,342,464", text)
    for options in ({"cell": "GRU"}, {"bias": False}, {"proj_size": 64}):
        assert "Keras" not in as_text(counts_view(count(28, 256, 3, **options)), width=80)


def test_D_costs_where_it_does() -> None:
    """The sentence is not said of a layer that is all input."""
    assert "D is what costs" in as_text(parameters_page(28, 256), width=80)
    assert "D is what costs" not in as_text(parameters_page(65_536, 8), width=80)


def parameters_page(Q: int, D: int) -> Page:
    """The parameter table alone."""
    return Page("", "", (parameters_sheet(count(Q, D)),))


def test_a_proof_shows_what_failed() -> None:
    """A failed check has a cross, both numbers, and is shown however many there are."""
    good = Check("fine", 1, 1, "b", True)
    bad = Check("broken", 1_000, 1_001, "b", False, "a note")
    proof = Proof(Spec(7, 5), Call(), (*[good] * 60, bad), twin=Spec(3, 2))
    sheet = proof_sheet(proof)
    assert len(sheet.rows) == 26
    text = as_text(proof_view(proof), width=80)
    assert re.search(r"✗ +broken +1,001 +b \(a note\)\n +not 1000", text)
    assert "… and 36 more of the same kind" in text
    assert "60 of 61 hold" in text
    assert "LSTM(Q=3, D=2, K=1)" in text


def test_a_proof_that_holds_has_ticks_only() -> None:
    """Every check is a row where there are few."""
    proof = prove(7, 5, 2, N=3, L=4)
    text = as_text(proof, width=80)
    assert "✗" not in text
    assert text.count("✓") == len(proof.checks)


def test_html_escapes_everything() -> None:
    """Titles and sentences are text, whatever they hold."""
    page = document(Page("<script>alert(1)</script>", "a `<b>` & c", ()))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<code>&lt;b&gt;</code> &amp; c" in page


def test_the_saved_page_is_the_explanation(tmp_path: Path) -> None:
    """Each tensor's sizes are in it."""
    page = explain(28, 256, 3, proof=False).save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert all(str(axes.sizes) in page for axes in predict(28, 256, 3).tensors.values())
