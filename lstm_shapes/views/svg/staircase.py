"""The packed staircase as SVG: rows longest first, each real step with its place in `PackedSequence.data`."""

from __future__ import annotations

from lstm_shapes.theory.packing import Packing
from lstm_shapes.views.unrolled import ends

from .frame import box, text

__all__ = ["staircase_body"]

LEFT, CELL_W, CELL_H = 150, 52, 30
COLUMNS, ROWS = 14, 10


def staircase_body(packing: Packing, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    steps, places = ends(packing.L, COLUMNS), ends(packing.N, ROWS)
    before = {t: sum(min(length, t) for length in packing.lengths) for t in steps if t is not None}
    parts = [text(20, top + 14, "row (its steps)", "l-quiet")]
    for i, t in enumerate(steps):
        label = "⋯" if t is None else f"t={t}"
        parts.append(text(LEFT + i * CELL_W + CELL_W / 2, top + 14, label, "l-quiet", "middle"))
    y = top + 24
    for place in places:
        if place is None:
            parts.append(text(20, y + 20, "⋮", "l-strong"))
            y += CELL_H
            continue
        row = packing.sorted_indices[place]
        length = packing.lengths[row]
        parts.append(text(20, y + 20, f"row {row} ({length})", "l-strong"))
        for i, t in enumerate(steps):
            x = LEFT + i * CELL_W
            if t is None:
                parts.append(text(x + CELL_W / 2, y + 20, "⋯", "l-quiet", "middle"))
                continue
            parts.append(box(x + 2, y + 2, CELL_W - 4, CELL_H - 4, "l-in" if t < length else "l-pad", 3))
            if t < length:
                parts.append(text(x + CELL_W / 2, y + 20, str(before[t] + place), "l-code", "middle"))
        y += CELL_H
    parts.append(text(20, y + 22, "batch_sizes", "l-code l-strong"))
    for i, t in enumerate(steps):
        label = "⋯" if t is None else str(packing.batch_size(t) or "–")
        parts.append(text(LEFT + i * CELL_W + CELL_W / 2, y + 22, label, "l-code", "middle"))
    note = f"Numbers are places in data: {packing.T:,} steps in place of {packing.padded:,}. Read column by column."
    parts.append(text(20, y + 50, note, "l-quiet"))
    return "".join(parts), max(LEFT + len(steps) * CELL_W + 24, 620), y + 62
