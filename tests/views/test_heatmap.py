"""Heat maps: the numbers of the trace, as characters, SVG and figure."""

from __future__ import annotations

import math
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import torch
from torch import nn

from lstm_shapes import ShapeError, gates
from lstm_shapes.lab.build import build
from lstm_shapes.lab.gates.heatmap import HeatMap
from lstm_shapes.views.heatmap import BLOCKS, heatmap_text


def trace_of(D: int = 5, L: int = 7, **options: Any) -> Any:
    x = torch.randn(3, L, 4, generator=torch.Generator().manual_seed(0))
    return gates(build(4, D, 2, bidirectional=True), x, **options)


def test_values_are_the_traces() -> None:
    """values[d][t] is the gate at that unit and step, of that row, layer and direction; only real steps."""
    trace = trace_of(lengths=(7, 3, 5))
    heatmap = trace.heatmap("c", layer=1, direction=1, n=2)
    assert len(heatmap.values) == 5
    assert len(heatmap.values[0]) == 5
    assert heatmap.values[4][3] == pytest.approx(float(trace[1, 1].c[2, 3, 4]))
    assert heatmap.title == "State c of layer 1, reverse"
    assert heatmap.to_dict()["values"][0] == list(heatmap.values[0])
    assert trace.heatmap().title == "Gate i of layer 0"
    with pytest.raises(ShapeError, match="one of i, f, g, o, c, h"):
        trace.heatmap("z")
    with pytest.raises(ShapeError, match="n must be a whole number"):
        trace.heatmap("f", n=3)


def test_unbatched_has_no_row() -> None:
    """One sequence alone: the caption names no row."""
    heatmap = gates(nn.RNN(4, 3), torch.ones(6, 4)).heatmap()
    assert heatmap.n is None
    assert heatmap.caption == "3 units over the 6 steps."


def test_characters_rise_with_the_value() -> None:
    """Least is the lowest block, greatest the highest; nan is a question mark."""
    text = heatmap_text(HeatMap("f", 0, 0, 0, ((0.0, 0.5, 1.0, math.nan),)))
    assert text.splitlines()[0].endswith(f"{BLOCKS[0]}{BLOCKS[4]}{BLOCKS[-1]}?")
    assert "▁ = 0" in text
    assert heatmap_text(HeatMap("g", 0, 0, 0, ((-1.0,),))).splitlines()[-1].strip() == "▁ = −1   █ = 1"
    assert HeatMap("c", 0, 0, 0, ((-3.0, 1.0),)).bounds == (-3.0, 3.0)


def test_long_and_wide_ones_are_elided() -> None:
    """Within 80 columns and a screen's height, whatever the size; the SVG likewise."""
    big = trace_of(D=90, L=400).heatmap("f")
    lines = heatmap_text(big).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 30
    assert any("⋮" in line for line in lines)
    assert len(big.svg) < 400_000
    assert "⋯" in big.svg


def test_svg_is_accessible_and_shows_every_value() -> None:
    """A title, a description, one square a value, nan dashed."""
    svg = HeatMap("g", 0, 0, 0, ((-1.0, 0.25), (math.nan, 1.0))).svg
    root = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.findtext(f"{space}desc") == "2 units over the 2 steps of row n=0."
    squares = [node for node in root.iter(f"{space}rect") if node.get("fill-opacity")]
    assert [node.get("fill-opacity") for node in squares[:3]] == ["1.000", "0.250", "1.000"]
    assert squares[0].get("fill") != squares[1].get("fill")
    assert "l-pad" in svg


def test_shows_itself() -> None:
    """In a terminal, a notebook and as a matplotlib figure."""
    heatmap = trace_of().heatmap("f")
    assert "Gate f of layer 0" in repr(heatmap)
    assert heatmap._repr_html_() == heatmap._repr_svg_() == heatmap.svg
    pytest.importorskip("matplotlib")
    figure = heatmap.figure()
    assert figure.axes[0].get_title() == "Gate f of layer 0"
    assert figure.axes[0].images[0].get_array().shape == (5, 7)


def test_figure_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"lstm-shapes\[plot\]"):
        trace_of().heatmap("f").figure()
