"""The page of an explanation, as a whole."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lstm_shapes import Spec, explain, picture
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Drawing
from lstm_shapes.theory.cells import CELLS
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


@pytest.mark.parametrize("cell", CELLS)
def test_one_is_singular(cell: str) -> None:
    """Nowhere in words, drawings or their texts does a layer of one of everything have 1 features, steps or layers."""
    sizes: dict[str, Any] = {"cell": cell, "N": 1} if cell.endswith("Cell") else {"cell": cell, "N": 1, "L": 1}
    shown = [as_text(explain(1, 1, **sizes, proof=False))]
    for drawn in (picture(1, 1, **sizes, kind=kind) for kind in ("cell", "grid")):
        shown += [drawn.text, drawn.svg]
    one_of_many = r"(?<![\d,.·=])1 (feature|step|sequence|layer|sample|row|unit|gate|parameter|direction)s\b"
    assert not re.search(one_of_many, "\n".join(shown))
