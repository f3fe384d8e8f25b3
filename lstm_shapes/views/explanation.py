"""An explanation as one page: shapes, parameters, slices, laws, notes, proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm_shapes.theory.packing import Packing

from .html import document
from .laws import laws_sheet
from .page import Block, Page
from .proof import proof_sheet
from .staircase import packing_blocks
from .tables import headline, notes_lines, parameters_sheet, shapes_sheet, slices_sheet, subtitle

if TYPE_CHECKING:
    from lstm_shapes.explanation import Explanation

__all__ = ["as_document", "explanation_view"]


def explanation_view(explanation: Explanation) -> Page:
    """What `explain` returns."""
    prediction, call = explanation.prediction, explanation.call
    blocks: list[Block | None] = [
        shapes_sheet(prediction),
        parameters_sheet(prediction.counts),
        slices_sheet(prediction),
        *(packing_blocks(Packing.of(call.lengths, call.L)) if call.lengths is not None else ()),
        notes_lines(prediction),
        laws_sheet(explanation.laws),
        proof_sheet(explanation.proof) if explanation.proof is not None else None,
    ]
    present = tuple(block for block in blocks if block is not None)
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), present)


def as_document(explanation: Explanation, svg: str) -> str:
    """The whole HTML file: the picture, and the tables below it."""
    return document(explanation_view(explanation), svg)
