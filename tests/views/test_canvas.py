"""What pictures are drawn with: a canvas that grows with its shapes, and the choice of what is shown of many."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lstm_shapes._views.canvas import Canvas, chosen, ends


def test_a_canvas_is_as_wide_as_what_is_drawn_on_it() -> None:
    """By the rightmost of boxes, words and arrows, with a margin."""
    canvas, widths = Canvas(), []
    canvas.box(10, 10, 100, 20, "l-cell")
    widths.append(width_of(canvas))
    canvas.text(150, 20, "a word")
    widths.append(width_of(canvas))
    canvas.text(150, 20, "to the left", anchor="end")
    widths.append(width_of(canvas))
    canvas.arrow(400, 20, 300, 20)
    widths.append(width_of(canvas))
    assert widths[0] == 134
    assert widths[1] == widths[2] > 174
    assert widths[3] == 424


def width_of(canvas: Canvas) -> float:
    return float((ET.fromstring(canvas.document("title", "words", 50)).get("viewBox") or "").split()[2])


def test_labels_are_in_their_boxes_and_nothing_is_markup() -> None:
    """A label stands in the middle, and what looks like an element is text."""
    canvas = Canvas()
    canvas.box(10, 10, 100, 30, "l-lit", "<b>", "l-code", tip="a & b")
    root = ET.fromstring(canvas.document("<title>", "<desc>", 50))
    (word,) = root.iter("{http://www.w3.org/2000/svg}text")
    assert (word.text, word.get("x"), word.get("text-anchor")) == ("<b>", "60", "middle")
    assert canvas.has("l-lit")
    assert not canvas.has("l-some")


def test_colours_are_the_same_classes_in_light_and_dark() -> None:
    """What has a colour in light has one in dark."""
    light, dark = Canvas().document("t", "d", 10).split("@media (prefers-color-scheme:dark)")
    coloured = set(re.findall(r"\.lstm-picture ([^{]+)\{[^}]*#", light))
    assert coloured <= set(re.findall(r"\.lstm-picture ([^{]+)\{[^}]*#", dark))


@given(st.integers(1, 60), st.integers(6, 30), st.lists(st.integers(0, 59), max_size=5))
def test_what_is_chosen_has_both_ends_and_fits(count: int, room: int, wanted: list[int]) -> None:
    """In order, no step twice, a gap of more than one step for each None, and within the room, of 6 at least."""
    shown = chosen(count, room, [place for place in wanted if place < count])
    steps = [place for place in shown if place is not None]
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert steps == sorted(set(steps))
    assert sum(1 if place is None else 2 for place in shown) <= room
    gaps = sum(after - before > 1 for before, after in pairwise(steps))
    assert shown.count(None) == gaps
    assert all(after - before != 2 for before, after in pairwise(steps))


@given(st.integers(1, 60), st.integers(3, 30))
def test_ends_are_as_many_as_fit(count: int, most: int) -> None:
    """All, or the first and the last with one mark between."""
    shown = ends(count, most)
    assert len(shown) == min(count, most)
    assert (shown[0], shown[-1]) == (0, count - 1)
