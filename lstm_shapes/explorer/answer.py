"""What the explorer shows for the values of its controls: the explanation, or the error that says what to change."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from lstm_shapes.errors import LstmShapesError, SpecError
from lstm_shapes.explanation import Explanation, explain
from lstm_shapes.pictures import Picture, picture
from lstm_shapes.theory.cells import CELLS
from lstm_shapes.views.explorer import explorer_view
from lstm_shapes.views.html import to_html

__all__ = ["answer"]


def answer(values: Mapping[str, Any]) -> str:
    """HTML for one position of all controls. Bad values give the library's own sentence, never a traceback.

    >>> page = answer({"Q": 28, "D": 256, "K": 3, "N": 2, "L": 20, "cell": "GRU"})
    >>> "GRU(Q=28, D=256, K=3)" in page, "(2, 20, 256)" in page
    (True, True)
    >>> answer({"Q": 28, "D": 8, "proj_size": 9})[:81]
    '<p role="alert">P (proj_size) must be below D = 8 (0 for no projection), got 9. A'
    """
    wanted = {name: value for name, value in values.items() if value not in (None, "")}
    highlight, kind = str(wanted.pop("highlight", "")).strip(), str(wanted.pop("picture", "grid"))
    try:
        kept, left_out = _fitting(wanted)
        explanation = explain(**kept, proof=False)
    except LstmShapesError as error:
        return f'<p role="alert">{escape(str(error))}</p>'
    trouble = ""
    try:
        drawn = _drawn(explanation, kind, highlight)
    except LstmShapesError as error:  # the tables do not depend on what is lit
        drawn, trouble = _drawn(explanation, "grid", ""), _in_lines(error)
    return to_html(explorer_view(explanation, trouble, left_out), drawn.svg)


def _drawn(explanation: Explanation, kind: str, highlight: str) -> Picture:
    call = explanation.call
    return picture(
        explanation.spec,
        kind=kind,
        highlight=highlight if kind == "grid" else "",
        **({"lengths": call.lengths, "L": call.L} if call.lengths else {"N": call.N, "L": call.L}),
    )


def _fitting(wanted: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments of `explain`, and which controls do not concern this cell.

    Turning the cell from LSTM to GRUCell must not end in an error about a switch on the other side of the page.
    """
    kind = CELLS[wanted.get("cell", "LSTM")]
    idle: dict[str, Any] = {} if kind.projects else {"proj_size": 0}
    if kind.step:
        idle |= {"K": 1, "bidirectional": False, "batch_first": True, "L": 1, "lengths": None}
    left_out = tuple(name for name, nothing in idle.items() if wanted.pop(name, nothing) != nothing)
    alone, lengths = wanted.pop("unbatched", False), wanted.pop("lengths", None)
    if lengths is not None and not alone:
        # The lengths say how many rows there are, and the longest how many steps.
        wanted = {name: value for name, value in wanted.items() if name not in ("N", "L")}
        wanted["lengths"] = _lengths(str(lengths))
    elif alone:
        wanted["N"] = None
    return wanted, left_out


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(entry) for entry in text.strip().rstrip(",").split(","))
    except ValueError:
        raise SpecError("lengths", "whole numbers with commas between, such as 5, 3, 2", text) from None


def _in_lines(error: LstmShapesError) -> str:
    """The sentence, and the grammar that comes with it in lines of its own."""
    hint = str(getattr(error, "hint", "")).strip()
    return str(error).replace(f" {hint}", f"\n{hint}") if "\n" in hint else str(error)
