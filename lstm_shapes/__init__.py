"""Predict, prove and debug the tensor shapes of PyTorch's recurrent layers.

>>> import lstm_shapes as ls
>>> ls.predict(28, 256, 3, N=2, L=20).Y
(N=2, L=20, D=256)
>>> ls.count(28, 256, 3).total
1345536

Importing this module loads neither torch nor rich; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .errors import LstmShapesError, ScrambledAxesWarning, ShapeError, SpecError
    from .theory.axes import Axes
    from .theory.counts import Counts
    from .theory.predict import Prediction, count, predict
    from .theory.spec import Spec

# Public name -> the module that holds it (PEP 562).
_HOME: dict[str, str] = {
    "Axes": "theory.axes",
    "Counts": "theory.counts",
    "LstmShapesError": "errors",
    "Prediction": "theory.predict",
    "ScrambledAxesWarning": "errors",
    "ShapeError": "errors",
    "Spec": "theory.spec",
    "SpecError": "errors",
    "count": "theory.predict",
    "predict": "theory.predict",
}

__all__ = [
    "Axes",
    "Counts",
    "LstmShapesError",
    "Prediction",
    "ScrambledAxesWarning",
    "ShapeError",
    "Spec",
    "SpecError",
    "count",
    "predict",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
