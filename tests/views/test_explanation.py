"""The page of an explanation, as a whole."""

from __future__ import annotations

from lstm_shapes import Spec, explain
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Drawing
from lstm_shapes.views.explanation import below_shapes, explanation_view
from lstm_shapes.views.shapes import shapes_view
from tests.snapshot import Snapshot


def test_explanation_looks_as_it_did(snapshot: Snapshot) -> None:
    """The lesson, and the most there can be, without their proofs."""
    snapshot("lesson", as_text(explain(28, 256, 3, N=2, L=20, proof=False), width=80))
    spec = Spec(28, 256, 3, batch_first=False, bidirectional=True, proj_size=64)
    snapshot("all", as_text(explain(spec, lengths=(20, 17, 4), proof=False), width=80))


def test_the_page_is_the_first_table_and_what_follows_it() -> None:
    """The command shows it in two parts: together they are this page, nothing twice and nothing missing."""
    found = explain(7, 5, 2, lengths=(4, 2, 1), proof=False)
    page, first = explanation_view(found), shapes_view(found.prediction)
    assert (page.title, page.subtitle) == (first.title, first.subtitle)
    parts = (*first.blocks, *below_shapes(found))
    assert [block.title for block in page.blocks] == [block.title for block in parts]
    drawn = [isinstance(block, Drawing) for block in parts]  # drawn for a width: two of them are never equal
    assert [a == b or d for a, b, d in zip(page.blocks, parts, drawn, strict=True)] == [True] * len(parts)
