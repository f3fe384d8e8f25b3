"""An explanation as one page: shapes, parameters, slices, laws, notes, proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstm_shapes.theory.packing import Packing

from .html import document
from .laws import laws_sheet
from .notes import notes_lines
from .page import Block, Page
from .parameters import parameters_sheet
from .proof import proof_sheet
from .shapes import shapes_sheet
from .slices import slices_sheet
from .staircase import packing_blocks
from .titles import headline, subtitle

if TYPE_CHECKING:
    from lstm_shapes.explanation import Explanation

__all__ = ["as_document", "below_shapes", "explanation_view"]


def explanation_view(explanation: Explanation) -> Page:
    """What `explain` returns."""
    prediction = explanation.prediction
    blocks = (shapes_sheet(prediction), *below_shapes(explanation))
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), blocks)


def below_shapes(explanation: Explanation) -> tuple[Block, ...]:
    """All that follows the first table."""
    prediction, call = explanation.prediction, explanation.call
    blocks: list[Block | None] = [
        parameters_sheet(prediction.counts),
        slices_sheet(prediction),
        *(packing_blocks(Packing.of(call.lengths, call.L)) if call.lengths is not None else ()),
        notes_lines(prediction),
        laws_sheet(explanation.laws),
        proof_sheet(explanation.proof) if explanation.proof is not None else None,
    ]
    return tuple(block for block in blocks if block is not None)


def as_document(explanation: Explanation, svg: str) -> str:
    """The whole HTML file: the picture, and the tables below it."""
    return document(explanation_view(explanation), svg)
