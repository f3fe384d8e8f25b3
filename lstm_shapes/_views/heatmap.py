"""A gate over time, units down and steps across.

In characters the higher the block the greater the value; as SVG depth of colour is size, and hue is sign.
"""

from __future__ import annotations

from lstm_shapes.display import view
from lstm_shapes.display._numbers import brief
from lstm_shapes.display.page import Drawing, Page
from lstm_shapes.lab.gates._readings import HeatMap
from lstm_shapes.language import say

from .choice import ends
from .svg import box, frame, text

__all__ = ["heatmap_svg", "heatmap_text", "heatmap_view"]

BLOCKS = "▁▂▃▄▅▆▇█"
UNITS, WIDTH = 24, 74


@view.register(HeatMap)
def heatmap_view(heatmap: HeatMap) -> Page:
    """What `trace.heatmap(…)` returns."""
    drawing = Drawing(say("map"), lambda width: heatmap_text(heatmap, min(width, WIDTH)), heatmap_svg(heatmap))
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


# ---- as SVG

LEFT, TOP, SVG_WIDTH = 70, 78, 640
SVG_UNITS, SVG_STEPS = 32, 64
BAR = 60  # where the legend's colours begin: room for its lower end


def heatmap_svg(heatmap: HeatMap) -> str:
    """The whole picture."""
    rows = ends(len(heatmap.values), SVG_UNITS)
    steps = ends(len(heatmap.values[0]), SVG_STEPS)
    w = min(36.0, SVG_WIDTH / len(steps))
    h = max(10.0, min(22.0, 360 / len(rows)))
    low, high = heatmap.bounds
    parts = [text(20, 30, heatmap.title, "l-title"), text(20, 50, heatmap.caption, "l-quiet")]
    for i, d in enumerate(rows):
        y = TOP + i * h
        if d is None or i in (0, len(rows) - 1) or (len(rows) <= 16 and h >= 16):
            parts.append(text(LEFT - 8, y + h / 2 + 4, "⋮" if d is None else f"d={d}", "l-quiet", "end"))
        for j, t in enumerate(steps):
            if d is not None and t is not None:
                parts.append(_square(LEFT + j * w, y, w, h, heatmap.values[d][t], max(abs(low), abs(high))))
    bottom = TOP + len(rows) * h
    for j, t in enumerate(steps):
        if t is None or j in (0, len(steps) - 1) or (w >= 30 and j % 2 == 0):
            label = "⋯" if t is None else f"t={t}"
            parts.append(text(LEFT + j * w + w / 2, bottom + 18, label, "l-quiet", "middle"))
    parts.append(_legend(low, high, bottom + 34))
    return frame(heatmap.title, heatmap.caption, LEFT + max(len(steps) * w, 420) + 40, bottom + 66, "".join(parts))


def _square(x: float, y: float, w: float, h: float, value: float, reach: float) -> str:
    if value != value:
        return box(x, y, w, h, "l-pad", 0)
    strength = min(1.0, abs(value) / reach) if reach else 0.0
    colour = "#bc4c00" if value < 0 else "#2f81f7"
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{colour}" '
        f'fill-opacity="{strength:.3f}"/>'
    )


def _legend(low: float, high: float, y: float) -> str:
    parts = [text(LEFT + BAR - 8, y + 12, brief(low), "l-quiet", "end")]
    for i in range(21):
        value = low + (high - low) * i / 20
        parts.append(_square(LEFT + BAR + i * 12, y, 12, 16, value, max(abs(low), abs(high))))
    parts.append(text(LEFT + BAR + 21 * 12 + 8, y + 12, brief(high), "l-quiet"))
    return "".join(parts)
