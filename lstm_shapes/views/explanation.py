"""An explanation as one page: shapes, parameters, slices, laws, notes, proof."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Block, Page
from lstm_shapes.explanation import Explanation
from lstm_shapes.theory.packing import Packing

from .laws import laws_sheet
from .notes import notes_lines
from .parameters import parameters_sheet
from .pictures import overview
from .shapes import shapes_sheet
from .slices import slices_sheet
from .staircase import packing_blocks
from .titles import headline, subtitle

__all__ = ["below_shapes", "explanation_view"]


@view.register(Explanation)
def explanation_view(explanation: Explanation) -> Page:
    """What `explain` returns."""
    prediction = explanation.prediction
    blocks = (shapes_sheet(prediction), *below_shapes(explanation))
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), blocks, overview(prediction))


def below_shapes(explanation: Explanation) -> tuple[Block, ...]:
    """All that follows the first table."""
    prediction, call = explanation.prediction, explanation.call
    blocks: list[Block | None] = [
        parameters_sheet(prediction.counts),
        slices_sheet(prediction),
        *(packing_blocks(Packing.of(call.lengths, call.L)) if call.lengths is not None else ()),
        notes_lines(prediction),
        laws_sheet(explanation.laws),
    ]
    if explanation.proof is not None:
        from .proof import proof_sheet  # a proof has loaded torch, which the tables above do without

        blocks.append(proof_sheet(explanation.proof))
    return tuple(block for block in blocks if block is not None)
