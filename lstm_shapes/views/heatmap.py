"""A gate over time in characters: one line a unit, the higher the block the greater the value."""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display.page import Drawing, Page
from lstm_shapes.lab.gates.heatmap import HeatMap
from lstm_shapes.theory.numerals import brief

from .choice import ends
from .svg.heatmap import heatmap_svg

__all__ = ["heatmap_text", "heatmap_view"]

BLOCKS = "▁▂▃▄▅▆▇█"
UNITS, WIDTH = 24, 74


@view.register(HeatMap)
def heatmap_view(heatmap: HeatMap) -> Page:
    """What `trace.heatmap(…)` returns."""
    drawing = Drawing(
        "Units down, steps across", lambda width: heatmap_text(heatmap, min(width, WIDTH)), heatmap_svg(heatmap)
    )
    return Page(heatmap.title, heatmap.caption, (drawing,))


def heatmap_text(heatmap: HeatMap, width: int = WIDTH) -> str:
    """The drawing in characters, on so many columns."""
    low, high = heatmap.bounds
    steps = ends(len(heatmap.values[0]), max(3, width - 8))
    lines = []
    for d in ends(len(heatmap.values), UNITS):
        if d is None:
            lines.append("   ⋮")
            continue
        cells = "".join("…" if t is None else _block(heatmap.values[d][t], low, high) for t in steps)
        lines.append(f"{f'd={d}':<7} {cells}")
    last = len(heatmap.values[0]) - 1
    lines.append(f"{'':8}t=0{f't={last}':>{max(len(steps) - 3, len(f't={last}') + 1)}}" if last else f"{'':8}t=0")
    lines.append(f"{'':8}{BLOCKS[0]} = {brief(low)}   {BLOCKS[-1]} = {brief(high)}")
    return "\n".join(lines)


def _block(value: float, low: float, high: float) -> str:
    if value != value:
        return "?"
    share = (min(max(value, low), high) - low) / (high - low)
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))]
