"""What the explorer shows for the values of its controls, and the sentences that say what to change.

Only `stepped` loads torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from lstm_shapes._views.explanation import explanation_view
from lstm_shapes.display.html import to_html
from lstm_shapes.display.page import Page
from lstm_shapes.errors import LstmShapesError, SpecError
from lstm_shapes.explanation import Explanation, explain
from lstm_shapes.language import language, say, speaking
from lstm_shapes.pictures import Picture
from lstm_shapes.theory.expression import Expression
from lstm_shapes.theory.spec import Spec
from lstm_shapes.theory.symbols import CELLS

if TYPE_CHECKING:
    from lstm_shapes.lab.gates.trace import GateTrace


_MOST_PRODUCTS = 40_000_000
_NAMES = {"bidirectional": "topic directions", "batch_first": "topic layout"}
# Controls that a page can do without, and how an error begins that is about them.
_SPARED = {"lengths": "lengths", "proj_size": "P ("}


@dataclass(frozen=True, slots=True)
class Answer:
    """Pieces of HTML, and what they were made from.

    `sizes` and `highlight` are what is wrong with these controls, empty where nothing is; `shapes` is the table that is
    looked at while a control moves, `rest` the picture and the other tables. `lit` is the highlight that is drawn:
    the one that was asked for, or while that cannot be read the one before. `explanation` is None where there is none.
    """

    sizes: str
    highlight: str = ""
    shapes: str = ""
    rest: str = ""
    lit: str = ""
    explanation: Explanation | None = None


@speaking()
def answer(values: Mapping[str, Any], lit: str = "") -> Answer:
    """What there is to say for one position of all controls; `lit` is the last highlight that could be drawn.

    >>> page = answer({"Q": 28, "D": 256, "K": 3, "N": 2, "L": 20, "cell": "GRU"})
    >>> "GRU(Q=28, D=256, K=3)" in page.shapes, "(2, 20, 256)" in page.shapes, page.sizes
    (True, True, '')
    >>> page = answer({"Q": 28, "D": 8, "proj_size": 9})
    >>> page.sizes[:55], "LSTM(Q=28, D=8, K=1)" in page.shapes
    ('<p>Shown without P:</p><p>P (proj_size) must be below D', True)
    >>> page = answer({"Q": 28, "D": 8, "highlight": "Y[:, -"}, lit="Y[:, -1]")
    >>> page.lit, "Y[:, -1] reads" in page.rest
    ('Y[:, -1]', True)
    """
    wanted = {name: value for name, value in values.items() if value not in (None, "")}
    highlight, kind = str(wanted.pop("highlight", "")).strip(), str(wanted.pop("picture", "grid"))
    explanation, left_out, troubles = _explained(wanted)
    if left_out:
        names = ", ".join(say(_NAMES[name]) if name in _NAMES else name.replace("proj_size", "P") for name in left_out)
        troubles += (say("does not have", cell=wanted.get("cell", "LSTM"), names=names),)
    if explanation is None:
        return Answer(_alert(say("no such layer"), *troubles))
    drawn, lit, trouble = _drawn(explanation, kind, highlight, lit)
    page = explanation_view(explanation)
    return Answer(
        sizes=_alert(*troubles),
        highlight=_alert(*trouble),
        shapes=to_html(Page(page.title, page.subtitle, page.blocks[:1]).glossed()),
        rest=to_html(Page("", "", page.blocks[1:], lambda: drawn.svg, page.folded).glossed(), inline=True),
        lit=lit,
        explanation=explanation,
    )


def too_large(explanation: Explanation) -> str:
    """Why this layer cannot be stepped through; nothing where it can.

    >>> too_large(answer({"Q": 28, "D": 256, "K": 3, "L": 20}).explanation)
    ''
    >>> too_large(answer({"Q": 512, "D": 1024, "K": 12, "L": 200}).explanation)[:68]
    '<p>This layer is too large to be stepped through while a slider move'
    """
    products = explanation.counts.total * explanation.call.L
    if products <= _MOST_PRODUCTS:
        return ""
    sizes = {"total": explanation.counts.total, "L": explanation.call.L, "products": products, "most": _MOST_PRODUCTS}
    return _alert(say("too large for steps", **sizes))


def _alert(*sentences: str) -> str:
    """Sentences as HTML; a grammar, which comes in lines, is folded."""
    folded = f"<details><summary>{say('what can be written')}</summary><pre>{{}}</pre></details>"
    parts = []
    for first, _, more in (sentence.partition("\n") for sentence in sentences):
        english = language() != "en" and not re.search("[가-힣]", first)  # an error of the library's
        lang = ' lang="en"' if english else ""
        parts.append(f"<p{lang}>{escape(first)}</p>{folded.format(escape(more)) if more else ''}")
    return "".join(parts)


def _explained(wanted: Mapping[str, Any]) -> tuple[Explanation | None, tuple[str, ...], tuple[str, ...]]:
    """The explanation, the controls that it leaves out, and what is wrong: lengths half typed keep the page."""
    try:
        kept, left_out = _fitting(dict(wanted))
        return explain(**kept, proof=False), left_out, ()
    except LstmShapesError as error:
        sentence = str(error)
        about = str(getattr(error, "name", ""))
        bad = next((field for field, name in _SPARED.items() if about.startswith(name) and field in wanted), None)
    if bad is None:
        return None, (), (sentence,)
    explanation, left_out, more = _explained({name: value for name, value in wanted.items() if name != bad})
    return explanation, left_out, (say("shown without", names=bad.replace("proj_size", "P")), sentence, *more)


def _drawn(explanation: Explanation, kind: str, highlight: str, before: str) -> tuple[Picture, str, tuple[str, ...]]:
    """The picture, the highlight in it, and what is wrong with what was asked for: then it is the one before."""
    trouble: tuple[str, ...] = ()
    if kind == "packed" and not explanation.call.lengths:
        kind, trouble = "grid", (say("nothing packed"),)
    prediction = explanation.prediction
    for drawn in (highlight, before):
        try:
            reading = Expression.of(drawn).reads(prediction) if drawn and kind == "grid" else None
            return Picture(prediction, kind, reading), drawn, trouble
        except LstmShapesError as error:
            hint = str(getattr(error, "hint", "")).strip()  # a grammar comes in lines of its own
            sentence = str(error).replace(f" {hint}", f"\n{hint}") if "\n" in hint else str(error)
            trouble = trouble or (say("cannot be drawn"), sentence)
    return Picture(prediction, kind), "", trouble  # sizes have moved, too


def _fitting(wanted: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments of `explain`, and which controls do not concern this cell: left on, they are no error."""
    kind = CELLS[wanted.get("cell", "LSTM")]
    idle: dict[str, Any] = {} if kind.projects else {"proj_size": 0}
    if kind.step:
        idle |= {"K": 1, "bidirectional": False, "batch_first": True, "L": 1, "lengths": None}
    left_out = tuple(name for name, nothing in idle.items() if wanted.pop(name, nothing) != nothing)
    alone, lengths = wanted.pop("unbatched", False), wanted.pop("lengths", None)
    if alone:
        wanted["N"] = None
    elif lengths is not None:
        # The lengths say how many rows there are, and the longest how many steps.
        wanted = {name: value for name, value in wanted.items() if name not in ("N", "L")}
        try:
            wanted["lengths"] = tuple(int(entry) for entry in str(lengths).strip().rstrip(",").split(","))
        except ValueError:
            raise SpecError("lengths", "whole numbers with commas between, such as 5, 3, 2", str(lengths)) from None
    return wanted, left_out


# ---- one step of a real layer in numbers


def stepped(spec: Spec, L: int, *, layer: int = 0, direction: int = 0, t: int = 0, d: int = 0) -> str:
    """HTML: gates and states of unit d of a real layer over time, and step t of them written out. Loads torch.

    >>> page = stepped(Spec(3, 5), 4, t=2, d=1)
    >>> "unit d=1 of layer 0" in page, "unit d=1 is row" in page
    (True, True)
    """
    from lstm_shapes._views.measured import step_view, strip
    from lstm_shapes.lab.proof import one_thread_if_small

    with one_thread_if_small(0):  # of layers that are small enough, several would wait for each other
        trace = _trace(spec, L)
        step = trace.step(layer, direction, t, 0, d)
    with speaking():
        page = step_view(step)
        entering, equations, rows = page.blocks
        drawn = strip(trace[layer, direction], t, d)
        shown = Page(page.title, page.subtitle, (equations, rows, entering), lambda: drawn).glossed()
        return to_html(shown, inline=True)


@lru_cache(maxsize=4)
def _trace(spec: Spec, L: int) -> GateTrace:
    """One sequence, without a batch: layer and numbers follow from the seed 0."""
    from lstm_shapes.lab.gates import gates
    from lstm_shapes.lab.run import run

    ran = run(spec, N=None, seed=0) if spec.kind.step else run(spec, N=None, L=L, seed=0)
    return gates(ran.layer, ran.X)
