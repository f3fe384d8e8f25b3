"""What a picture lights, held against torch: every cell shown and read is lit, no other, and the rest is said."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_shapes as ls
from lstm_shapes.display import as_text
from lstm_shapes.theory.call import Call
from tests.reading_oracle import Cells
from tests.scale import examples

SVG = "{http://www.w3.org/2000/svg}"
LEFT_OUT = "It also reads cells left out here"
PIECES = [
    "Y", "Y[:, -1]", "Y[-1]", "Y[0]", "Y[:, {t}]", "Y[{n}, {t}]", "Y[{n}:, {t}:]", "Y[::2, 1::2]", "Y[:, :, :1]",
    "Y[..., -1:]", "Y[:, {t}:{t} + 2]", "X", "X[{n}]", "X[:, {t}]", "X[1::2]", "hn", "hn[-1]", "hn[{k}]", "hn[:, {n}]",
    "hn[{k}, {n}:]", "hn[::2]", "h0", "h0[{k}]", "h0[:, {n}]", "h0[{k}:, ::2]", "hn.view(K, R, N, H)[{k} // R]",
    "hn.view(K, R, N, H)[:, -1]",
]  # fmt: skip
WITH_C = ["cn", "cn[{k}, {n}]", "c0[:, {n}]", "c0[-1]"]
WITH_LENGTHS = ["Y[torch.arange(N), lengths - 1]"]


@st.composite
def pictures(draw: st.DrawFn) -> tuple[ls.Spec, Call, str]:
    """A layer, a call and the sum of one to three expressions."""
    cell = draw(st.sampled_from(["LSTM", "GRU", "RNN"]))
    spec = ls.Spec(2, 3, draw(st.sampled_from([1, 2, 4, 9])), True, cell=cell, bidirectional=draw(st.booleans()))
    lengths = draw(st.none() | st.lists(st.integers(1, 24), min_size=1, max_size=7).map(tuple))
    L = draw(st.integers(1, 24)) if lengths is None else max(lengths) + draw(st.integers(0, 2))
    call = Call(len(lengths) if lengths else draw(st.integers(1, 6)), L, lengths)
    pieces = PIECES + (WITH_C if cell == "LSTM" else []) + (WITH_LENGTHS if lengths else [])
    assert call.N is not None
    places = {"t": draw(st.integers(0, L - 1)), "n": draw(st.integers(0, call.N - 1)),
              "k": draw(st.integers(0, spec.K * spec.R - 1))}  # fmt: skip
    chosen = draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=3))
    return spec, call, " + ".join(f"{piece.format(**places)}.sum()" for piece in chosen)


Shown = dict[tuple[str, int, int, int], str]


def shown(svg: str) -> dict[int | None, Shown]:
    """Of each row drawn (None: all as one) the boxes by what they say they are, with their classes."""
    found: dict[int | None, Shown] = {}
    for box in ET.fromstring(svg).iter(f"{SVG}rect"):
        said = box.findtext(f"{SVG}title") or ""
        row, _, rest = said.rpartition("row n=")[2].partition(", ") if said.startswith("row n=") else ("", "", said)
        boxes = found.setdefault(int(row) if row else None, {})
        if match := re.match(r"layer (\d+)(?: (\w+))?, t=(\d+)", rest):
            boxes["cell", int(match[1]), int(match[2] == "reverse"), int(match[3])] = box.get("class") or ""
        elif match := re.match(r"X, t=(\d+)", rest):
            boxes["X", 0, 0, int(match[1])] = box.get("class") or ""
        elif match := re.match(r"h0\[(\d+)\]", rest):
            boxes["start", int(match[1]), 0, 0] = box.get("class") or ""
        elif match := re.match(r"Y, t=(\d+)", rest):
            boxes["Y", 0, 0, int(match[1])] = box.get("class") or ""
    return {row: boxes for row, boxes in found.items() if boxes}


def read_of(cells: Cells, spec: ls.Spec, kind: str, a: int, b: int, t: int, n: int) -> tuple[str, ...]:
    """What torch read of one box in one row."""
    if kind == "cell":
        return tuple(cells.states(a, b, t, n)) if t < cells.length(n) else ()
    if kind == "X":
        return ("X",) if cells.reached(cells.x, t, n) else ()
    return tuple(cells.initial(a // spec.R, a % spec.R, n))


def held(spec: ls.Spec, call: Call, expression: str) -> None:
    """Compare a picture with what torch read."""
    cells = Cells(spec, call)
    cells.evaluate(expression)
    options: dict[str, Any] = {"lengths": call.lengths} if call.lengths else {"N": call.N}
    svg = ls.picture(spec, L=call.L, highlight=expression, **options).svg
    drawn = shown(svg)
    every = [("cell", k, r, t) for k in range(spec.K) for r in range(spec.R) for t in range(call.L)]
    every += [("X", 0, 0, t) for t in range(call.L)] + [("start", i, 0, 0) for i in range(spec.K * spec.R)]
    hidden = False
    for n in range(call.N or 1):
        for box in every:
            if read_of(cells, spec, *box, n) and box not in drawn.get(None, drawn.get(n, {})):
                hidden = True
    for row, boxes in drawn.items():
        rows = range(call.N or 1) if row is None else [row]
        for box, cls in boxes.items():
            if box[0] == "Y":
                continue
            found = {read_of(cells, spec, *box, n) for n in rows}
            want = "" if found == {()} else "l-lit" if len(found) == 1 else "l-some"
            assert (cls if cls in ("l-lit", "l-some") else "") == want, (row, box)
    assert (LEFT_OUT in " ".join(svg.split("<desc>")[1].split("</desc>")[0].split())) == hidden


@settings(max_examples=examples(60), deadline=None)
@given(pictures())
def test_lit_is_what_a_gradient_reaches(drawn: tuple[ls.Spec, Call, str]) -> None:
    """Filled where all rows drawn are read, outlined where some are, and whatever is not shown is told."""
    held(*drawn)


EDGES: list[tuple[dict[str, Any], str]] = [
    ({"L": 20}, "Y[:, 9]"), ({"N": 3, "L": 20}, "Y[1, 9]"), ({"L": 10_000}, "Y[:, 500]"), ({"L": 50}, "X[:, 25]"),
    ({"L": 20}, "Y[:, 5:15]"), ({"K": 300}, "hn[120]"), ({"K": 7}, "hn[3]"), ({"K": 9, "bidirectional": True}, "hn[9]"),
    ({"lengths": (5, 4, 3, 9, 8, 7, 2)}, "hn[-1, 5]"), ({"lengths": (5,) * 5}, "Y[3, 2]"), ({"K": 40}, "h0[17]"),
    ({"L": 10**9, "N": 10**6, "K": 1000}, "Y[:, 500_000_000]"), ({"L": 10**9, "N": 10**6, "K": 1000}, "hn[500, 7]"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expression"), EDGES, ids=str)
def test_first_and_last_that_are_read_are_shown(options: dict[str, Any], expression: str) -> None:
    """In the middle of what is long, deep or many: lit, in SVG and in 80, 60 and 40 columns."""
    picture = ls.picture(28, 256, **{"K": 3, **options}, highlight=expression)
    assert re.search(r'class="l-(lit|some)"', picture.svg)
    for width in (80, 60, 40) if picture.prediction.call.L < 10**6 else (80, 60):
        text = as_text(picture, width=width)
        assert re.search(r"\[(h|h\*|h0\[17\]|25)\]", text), text
        assert max(map(len, text.splitlines())) <= width
    assert ("left out" in picture.svg) == (expression in ("Y[:, 5:15]",))
