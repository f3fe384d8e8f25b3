"""Shown: how every result shows itself in a REPL, a notebook, a pipe, or a rich console.

theory and lab know nothing of tables. What they return is a `Shown`; the one table below says which view
draws which type, and the view is loaded when somebody looks.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

__all__ = ["VIEWS", "Shown", "as_text"]

# Type -> "module of views:function"; a function takes the value and returns a rich renderable.
VIEWS: dict[str, str] = {
    "CellTrace": "gates:cell_view",
    "Checkpoint": "checkpoint:checkpoint_view",
    "Counts": "counts:counts_view",
    "Explanation": "explanation:explanation_view",
    "Feedback": "gates:feedback_view",
    "GateStep": "gates:step_view",
    "GateTrace": "gates:trace_view",
    "HeatMap": "heatmap:heatmap_view",
    "Laws": "laws:laws_view",
    "Picture": "pictures:picture_view",
    "Prediction": "prediction:prediction_view",
    "Proof": "proof:proof_view",
    "Report": "report:report_view",
    "Run": "run:run_view",
    "Score": "quiz:score_view",
    "Walk": "walk:walk_view",
    "Watch": "report:watch_view",
}

# What describes a call of a layer: on a page its picture comes with it.
_PICTURED = ("Explanation", "Prediction", "Run")


class Shown:
    """Shows itself: `__rich__` for rich, `__repr__` as text, `_repr_html_` in a notebook."""

    __slots__ = ()

    def __rich__(self) -> Any:
        known = next(kind.__name__ for kind in type(self).__mro__ if kind.__name__ in VIEWS)
        module, _, name = VIEWS[known].partition(":")
        return getattr(import_module(f".views.{module}", __package__), name)(self)

    def __repr__(self) -> str:
        return as_text(self, colour=_wants_colour())

    def _repr_html_(self) -> str:
        page = import_module(".views.html", __package__)
        svg = ""
        if type(self).__name__ in _PICTURED:
            overview = import_module(".overview", __package__).overview
            svg = overview(getattr(self, "prediction", self)).svg
        text: str = page.to_html(self.__rich__(), svg)
        return text


def as_text(value: Any, *, width: int | None = None, colour: bool = False) -> str:
    """A result as text: plain unless colour is asked for, as wide as the terminal, 80 columns without one.

    >>> from lstm_shapes import count
    >>> print(as_text(count(28, 256), width=80).splitlines()[0].strip())
    Parameters of LSTM(Q=28, D=256, K=1)
    """
    import random

    # rich draws numbers for its styles: what a caller draws next must not depend on having looked.
    state = random.getstate()
    try:
        console = import_module(".views.text", __package__).console
        text: str = console(value, width=width, colour=colour)
    finally:
        random.setstate(state)
    return text


def _wants_colour() -> bool:
    """Colour only where a person looks at a terminal and has not declined it (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout is not None and hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
