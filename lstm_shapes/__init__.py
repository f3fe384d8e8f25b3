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

from .display import load_when_shown, loading

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .errors import LstmShapesError, ScrambledAxesWarning, ShapeError, SpecError
    from .explanation import Explanation, explain
    from .lab.build import build
    from .lab.check.check import check
    from .lab.check.report import Finding, Report
    from .lab.check.session import install, load_ipython_extension, uninstall, unload_ipython_extension
    from .lab.check.watch import Watch, watch
    from .lab.gates import gates
    from .lab.gates.trace import GateTrace
    from .lab.proof import Proof, prove
    from .lab.run import Run, run
    from .lab.tensors import AnnotatedTensor, annotate
    from .lab.walk import Walk, walk
    from .pictures import Picture, picture
    from .practice import quiz
    from .theory.axes import Axes
    from .theory.call import Call
    from .theory.counts import Counts
    from .theory.laws import Law, laws
    from .theory.predict import Prediction, count, predict
    from .theory.spec import Spec

# Public name -> the module that holds it (PEP 562).
_HOME: dict[str, str] = {
    "AnnotatedTensor": "lab.tensors",
    "Axes": "theory.axes",
    "Call": "theory.call",
    "Counts": "theory.counts",
    "Explanation": "explanation",
    "Finding": "lab.check.report",
    "GateTrace": "lab.gates.trace",
    "Law": "theory.laws",
    "LstmShapesError": "errors",
    "Picture": "pictures",
    "Prediction": "theory.predict",
    "Proof": "lab.proof",
    "Report": "lab.check.report",
    "Run": "lab.run",
    "ScrambledAxesWarning": "errors",
    "ShapeError": "errors",
    "Spec": "theory.spec",
    "SpecError": "errors",
    "Walk": "lab.walk",
    "Watch": "lab.check.watch",
    "annotate": "lab.tensors",
    "build": "lab.build",
    "check": "lab.check.check",
    "count": "theory.predict",
    "explain": "explanation",
    "gates": "lab.gates",
    "install": "lab.check.session",
    "laws": "theory.laws",
    "load_ipython_extension": "lab.check.session",
    "picture": "pictures",
    "predict": "theory.predict",
    "prove": "lab.proof",
    "quiz": "practice",
    "run": "lab.run",
    "uninstall": "lab.check.session",
    "unload_ipython_extension": "lab.check.session",
    "walk": "lab.walk",
    "watch": "lab.check.watch",
}

__all__ = [
    "AnnotatedTensor",
    "Axes",
    "Call",
    "Counts",
    "Explanation",
    "Finding",
    "GateTrace",
    "Law",
    "LstmShapesError",
    "Picture",
    "Prediction",
    "Proof",
    "Report",
    "Run",
    "ScrambledAxesWarning",
    "ShapeError",
    "Spec",
    "SpecError",
    "Walk",
    "Watch",
    "annotate",
    "build",
    "check",
    "count",
    "explain",
    "gates",
    "install",
    "laws",
    "load_ipython_extension",
    "picture",
    "predict",
    "prove",
    "quiz",
    "run",
    "uninstall",
    "unload_ipython_extension",
    "walk",
    "watch",
]


def _views_without_torch() -> None:
    from .views import checkpoint, counts, explanation, laws, pictures, prediction, quiz  # noqa: F401


def _views_of_tensors() -> None:
    from .views import gates, heatmap, proof, report, run, walk  # noqa: F401


# Each registers the types that it draws. They are loaded when a result is first looked at.
load_when_shown(_views_without_torch, _views_of_tensors)


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with loading:
        value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
