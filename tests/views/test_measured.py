"""The table of a proof and its line on the first screen; the tensors of a run; a gate over time as a heat map."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lstm_shapes import ShapeError, Spec, SpecError, gates, prove, run
from lstm_shapes._views.measured import BLOCKS, heatmap_text, proof_lines, proof_sheet, proof_view, run_view
from lstm_shapes.display import as_text
from lstm_shapes.display.page import Page, Sheet
from lstm_shapes.lab._build import build
from lstm_shapes.lab.gates.trace import HeatMap
from lstm_shapes.lab.proof import Check, Proof
from lstm_shapes.theory.call import Call

GOOD = Check("fine", 1, 1, "b", True)
BAD = Check("broken", 1_000, 1_001, "b", False, "a note")


def test_a_proof_shows_what_failed() -> None:
    """A failed check has a cross, both numbers, and is shown however many there are."""
    proof = Proof(Spec(7, 5), Call(), (*[GOOD] * 60, BAD), twin=Spec(3, 2))
    assert len(proof_sheet(proof).rows) == 42
    text = as_text(proof_view(proof), width=80)
    assert re.search(r"✗ +broken +1,001 +b \(a note\)\n +not 1000", text)
    assert "… and 20 more of the same kind" in text
    assert "60 of 61 hold" in text
    assert "LSTM(Q=3, D=2, K=1)" in text


def test_a_proof_that_holds_has_ticks_only() -> None:
    """Every check is a row where there are few."""
    proof = prove(7, 5, 2, N=3, L=4)
    text = as_text(proof, width=80)
    assert "✗" not in text
    assert text.count("✓") == len(proof.checks)


def first_screen(*checks: Check, twin: Spec | None = None) -> str:
    return as_text(Page("", "", proof_lines(Proof(Spec(7, 5), Call(), checks, twin=twin))), width=80)


def test_a_proof_is_one_line_where_it_holds() -> None:
    """How many claims, against which torch, where; and the twin, if it ran on one."""
    version = torch.__version__.partition("+")[0]
    assert first_screen(GOOD, GOOD) == f"✓  2 of 2 claims hold against torch {version} and torchinfo (cpu, float32)"
    assert "small twin of the same structure, LSTM(Q=3, D=2, K=1)" in first_screen(GOOD, twin=Spec(3, 2))


def test_what_failed_is_on_the_first_screen() -> None:
    """A cross, and the claims that do not hold, without those that do."""
    text = first_screen(GOOD, BAD)
    assert text.startswith("✗  1 of 2 claims hold")
    assert re.search(r"✗ +broken +1,001 +b \(a note\)\n +not 1000", text)
    assert "fine" not in text


def test_a_run_is_its_tensors_without_their_numbers(shape_device: torch.device) -> None:
    """A row for each tensor that it holds: name, axes, sizes, and what no prediction knows, dtype and device."""
    made = run(7, 5, 2, N=3, L=4, device=shape_device, dtype="float64")
    (sheet,) = run_view(made).blocks
    assert isinstance(sheet, Sheet)
    rows = [tuple(cell if isinstance(cell, str) else cell.text for cell in row) for row in sheet.rows]
    assert rows == [
        (name, t.axes.formula, str(tuple(t.shape)), "float64", str(t.device)) for name, t in made.tensors.items()
    ]
    assert {row[4].partition(":")[0] for row in rows} == {shape_device.type}


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
    assert heatmap.title == "State c of layer 1 reverse"
    assert heatmap.to_dict()["values"][0] == list(heatmap.values[0])
    assert trace.heatmap().title == "Gate i of layer 0 forward"
    assert gates(nn.RNN(4, 3), torch.ones(6, 4)).heatmap("h").title == "State h of layer 0"
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
    """In a terminal and in a notebook."""
    heatmap = trace_of().heatmap("f")
    assert "Gate f of layer 0" in repr(heatmap)
    assert b64encode(heatmap.svg.encode()).decode() in heatmap._repr_html_()


def test_infinite_values_are_drawn_at_the_ends() -> None:
    """The scale spans what is finite; infinity is its end, and nan a question mark."""
    heatmap = HeatMap("c", 0, 0, 0, ((math.inf, -math.inf, math.nan, 2.0, -4.52969),))
    assert heatmap.bounds == (-4.52969, 4.52969)
    assert heatmap_text(heatmap).splitlines()[0].endswith(f"{BLOCKS[-1]}{BLOCKS[0]}?{BLOCKS[5]}{BLOCKS[0]}")
    assert "▁ = −4.53   █ = 4.53" in repr(heatmap)
    assert HeatMap("g", 0, 0, 0, ((math.nan, math.inf),)).bounds == (-1.0, 1.0)


def test_legend_is_beside_its_colours() -> None:
    """The lower end is written right up to where the colours begin, in three digits."""
    root = ET.fromstring(HeatMap("c", 0, 0, 0, ((-4.52969, 1.0),)).svg)
    space = "{http://www.w3.org/2000/svg}"
    low = next(node for node in root.iter(f"{space}text") if node.text == "−4.53")
    squares = [node for node in root.iter(f"{space}rect") if node.get("height") == "16"]
    assert low.get("text-anchor") == "end"
    assert float(low.get("x", 0)) < min(float(node.get("x", 0)) for node in squares)


def test_relu_is_never_negative() -> None:
    """The scale of a relu layer's state begins at 0."""
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)) * 9
    heatmap = gates(nn.RNN(4, 5, nonlinearity="relu", batch_first=True), x).heatmap("h")
    low, high = heatmap.bounds
    assert low == 0
    assert high == max(value for row in heatmap.values for value in row) > 1


def test_one_unit_and_one_step_are_singular() -> None:
    """1 unit, 1 step."""
    assert HeatMap("g", 0, 0, None, ((0.5,),)).caption == "1 unit over the 1 step."


@pytest.mark.parametrize("width", [60, 40])
def test_characters_fit_the_width(width: int) -> None:
    """Laid out for the columns there are."""
    text = as_text(trace_of(L=400).heatmap("f"), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "t=399" in text


def test_save(tmp_path: Path) -> None:
    """.svg and .txt as shown, anything else refused."""
    heatmap = trace_of().heatmap("c")
    assert heatmap.save(tmp_path / "a.svg").read_text(encoding="utf-8") == heatmap.svg
    assert heatmap.save(tmp_path / "a.txt").read_text(encoding="utf-8") == heatmap.text + "\n"
    with pytest.raises(SpecError, match=r"ends in \.svg or \.txt, got"):
        heatmap.save(tmp_path / "a.png")
