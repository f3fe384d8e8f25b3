"""A gate over time, units down and steps across.

In characters the higher the block the greater the value; as SVG depth of colour is size, and hue is sign.
"""

from __future__ import annotations

from lstm_shapes.display import brief, view
from lstm_shapes.display.page import Drawing, Page
from lstm_shapes.lab.gates.trace import HeatMap
from lstm_shapes.language import say

from .canvas import Canvas, ends

BLOCKS = "▁▂▃▄▅▆▇█"
UNITS, WIDTH = 24, 74


@view.register(HeatMap)
def heatmap_view(heatmap: HeatMap) -> Page:
    drawing = Drawing(say("map"), lambda width: heatmap_text(heatmap, min(width, WIDTH)), _svg(heatmap))
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


def square(
    canvas: Canvas, x: float, y: float, w: float, h: float, value: float, reach: float, label: str = "", ink: str = ""
) -> None:
    """A value as a colour: blue, or orange where it is negative, and full where it is as great as `reach`."""
    if value != value:
        canvas.box(x, y, w, h, "l-pad", radius=0)
        return
    strength = min(1.0, abs(value) / reach) if reach else 0.0
    paint = f'fill="{"#bc4c00" if value < 0 else "#2f81f7"}" fill-opacity="{strength:.3f}"'
    canvas.box(x, y, w, h, "", label, ink, radius=0, paint=paint)


LEFT, TOP, SVG_WIDTH = 70, 78, 640
SVG_UNITS, SVG_STEPS = 32, 64
BAR = LEFT + 60  # where the legend's colours begin: room for its lower end


def _svg(heatmap: HeatMap) -> str:
    rows = ends(len(heatmap.values), SVG_UNITS)
    steps = ends(len(heatmap.values[0]), SVG_STEPS)
    w = min(36.0, SVG_WIDTH / len(steps))
    h = max(10.0, min(22.0, 360 / len(rows)))
    low, high = heatmap.bounds
    reach = max(abs(low), abs(high))
    canvas = Canvas()
    canvas.text(20, 30, heatmap.title, "l-title")
    canvas.text(20, 50, heatmap.caption, "l-quiet")
    for i, d in enumerate(rows):
        y = TOP + i * h
        if d is None or i in (0, len(rows) - 1) or (len(rows) <= 16 and h >= 16):
            canvas.text(LEFT - 8, y + h / 2 + 4, "⋮" if d is None else f"d={d}", "l-quiet", "end")
        for j, t in enumerate(steps):
            if d is not None and t is not None:
                square(canvas, LEFT + j * w, y, w, h, heatmap.values[d][t], reach)
    bottom = TOP + len(rows) * h
    for j, t in enumerate(steps):
        if t is None or j in (0, len(steps) - 1) or (w >= 30 and j % 2 == 0):
            label = "⋯" if t is None else f"t={t}"
            canvas.text(LEFT + j * w + w / 2, bottom + 18, label, "l-quiet", "middle")
    canvas.text(BAR - 8, bottom + 46, brief(low), "l-quiet", "end")
    for i in range(21):
        square(canvas, BAR + i * 12, bottom + 34, 12, 16, low + (high - low) * i / 20, reach)
    canvas.text(BAR + 21 * 12 + 8, bottom + 46, brief(high), "l-quiet")
    return canvas.document(heatmap.title, heatmap.caption, bottom + 66)
