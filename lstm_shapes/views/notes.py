"""Notes as a list: where learners slip."""

from __future__ import annotations

from lstm_shapes.display.page import Lines
from lstm_shapes.theory.notes import notes
from lstm_shapes.theory.predict import Prediction
from lstm_shapes.theory.slices import OPEN_QUESTION

__all__ = ["notes_lines"]


def notes_lines(prediction: Prediction) -> Lines:
    """Where learners slip with this layer, and the lesson's open question."""
    asked = (
        (OPEN_QUESTION,) if prediction.spec.batch_first and prediction.Y is not None and prediction.call.batched else ()
    )
    return Lines("Mind", notes(prediction.spec, prediction.call) + asked)
