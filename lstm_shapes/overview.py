"""overview: the picture beside the tables: the unrolled grid, with what a classifier usually reads lit."""

from __future__ import annotations

from .pictures import Picture
from .theory.highlight import read
from .theory.last_step import last_step
from .theory.predict import Prediction

__all__ = ["overview"]


def overview(prediction: Prediction) -> Picture:
    """The grid of K × L cells, lit where the summary of the sequence comes from; a cell is drawn from inside.

    >>> from lstm_shapes import predict
    >>> overview(predict(3, 5, 2)).reading.expression, overview(predict(3, 5, cell="GRUCell")).kind
    ('Y[:, -1]', 'cell')
    """
    spec, call = prediction.spec, prediction.call
    if spec.kind.step:
        return Picture(prediction, "cell")
    return Picture(prediction, "grid", read(last_step(spec, call).expression, spec, call))
