"""What `predict` shows."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Page
from lstm_shapes.theory.predict import Prediction

from .parameters import parameters_sheet
from .pictures import overview
from .shapes import shapes_sheet
from .slices import slices_sheet
from .titles import headline, subtitle

__all__ = ["prediction_view"]


@view.register(Prediction)
def prediction_view(prediction: Prediction) -> Page:
    """What `predict` returns."""
    found = slices_sheet(prediction)
    blocks = (shapes_sheet(prediction), parameters_sheet(prediction.counts), *([found] if found else []))
    return Page(headline(prediction.spec), subtitle(prediction.spec, prediction.call), blocks, overview(prediction))
