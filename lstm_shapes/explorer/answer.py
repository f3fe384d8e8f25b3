"""What the explorer shows for the values of its controls: the explanation, or the error that says what to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from lstm_shapes.display.html import to_html
from lstm_shapes.display.page import Block, Drawing, Lines, Page
from lstm_shapes.errors import LstmShapesError, SpecError
from lstm_shapes.explanation import Explanation, explain
from lstm_shapes.pictures import Picture, picture
from lstm_shapes.theory.cells import CELLS
from lstm_shapes.theory.grammar import TENSORS
from lstm_shapes.views.explanation import explanation_view

__all__ = ["answer"]


def answer(values: Mapping[str, Any]) -> str:
    """HTML for one position of all controls. A bad value gives the library's own sentence, and the page without it.

    >>> page = answer({"Q": 28, "D": 256, "K": 3, "N": 2, "L": 20, "cell": "GRU"})
    >>> "GRU(Q=28, D=256, K=3)" in page, "(2, 20, 256)" in page
    (True, True)
    >>> page = answer({"Q": 28, "D": 8, "proj_size": 9})
    >>> page[:89], "LSTM(Q=28, D=8, K=1)" in page
    ('<p role="alert"><strong>P (proj_size) must be below D = 8 (0 for no projection), got 9. A', True)
    """
    wanted = {name: value for name, value in values.items() if value not in (None, "")}
    highlight, kind = str(wanted.pop("highlight", "")).strip(), str(wanted.pop("picture", "grid"))
    explanation, left_out, alerts = _explained(wanted)
    if explanation is None:
        return alerts
    call = explanation.call
    absent = [name for name in TENSORS if name not in explanation.prediction.tensors]
    if missing := [name for name in absent if re.search(rf"\b{name}\b", highlight)]:
        highlight, left_out = "", (*left_out, *(f"{name} (highlight)" for name in missing))
    trouble = ""
    if kind == "packed" and not call.lengths:
        kind, trouble = "grid", _UNPACKED
    try:
        drawn = _drawn(explanation, kind, highlight)
    except LstmShapesError as error:  # the tables do not depend on what is lit
        drawn, trouble = _drawn(explanation, "grid", ""), _in_lines(error)
    page = explanation_view(explanation)
    blocks: list[Block] = []
    if trouble:
        blocks.append(Drawing("Not drawn", trouble))  # as written: the grammar is laid out in lines
    if left_out:
        names = ", ".join(_NAMES.get(name, name) for name in left_out)
        blocks.append(Lines("Left out", (f"{explanation.spec.cell} does not have: {names}.",)))
    shown = Page(page.title, page.subtitle, (*blocks, *page.blocks), lambda: drawn.svg, page.folded)
    return alerts + to_html(shown, inline=True)


_NAMES = {"proj_size": "P", "bidirectional": "directions", "batch_first": "layout"}


# Controls that a page can do without, and how an error begins that is about them.
_SPARED = {"lengths": "lengths", "proj_size": "P ("}
_UNPACKED = "Rows are packed where they differ in length: write lengths, such as 5, 3, 2, for a layer with a batch."


def _explained(wanted: Mapping[str, Any]) -> tuple[Explanation | None, tuple[str, ...], str]:
    """The explanation, the controls that it leaves out, and an alert for each value that is none.

    Somebody in the middle of typing lengths keeps the page: it is the one without them, until they can be read.
    """
    try:
        kept, left_out = _fitting(dict(wanted))
        return explain(**kept, proof=False), left_out, ""
    except LstmShapesError as error:
        alert = f'<p role="alert"><strong>{escape(str(error))}</strong></p>'
        about = str(getattr(error, "name", ""))
        bad = next((field for field, name in _SPARED.items() if about.startswith(name) and field in wanted), None)
    if bad is None:
        return None, (), alert
    explanation, left_out, more = _explained({name: value for name, value in wanted.items() if name != bad})
    return explanation, left_out, alert + more


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
