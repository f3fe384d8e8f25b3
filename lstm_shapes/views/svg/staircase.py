"""The packed staircase as SVG: rows longest first, each real step with its place in `PackedSequence.data`."""

from __future__ import annotations

from lstm_shapes.theory.packing import Packing
from lstm_shapes.views.choice import ends

from .frame import box, text, wide

__all__ = ["staircase_body"]

CELL_H, WIDTH, ROWS = 30, 740, 10


def staircase_body(packing: Packing, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    places = ends(packing.N, ROWS)
    heads = {place: _head(packing, place) for place in places if place is not None}
    left = 44 + max(wide("batch_sizes", "l-code"), *(wide(head) for head in heads.values()))
    cell_w = 12 + max(wide(f"{packing.T - 1:,}", "l-code"), wide(f"t={packing.L - 1}", "l-quiet"), 40)
    steps = ends(packing.L, max(3, int(WIDTH // cell_w)))
    before = {t: sum(min(length, t) for length in packing.lengths) for t in steps if t is not None}
    parts = [text(20, top + 14, "row (its steps)", "l-quiet")]
    for i, t in enumerate(steps):
        label = "⋯" if t is None else f"t={t}"
        parts.append(text(left + i * cell_w + cell_w / 2, top + 14, label, "l-quiet", "middle"))
    y = top + 24
    for place in places:
        if place is None:
            parts.append(text(20, y + 20, "⋮", "l-strong"))
            y += CELL_H
            continue
        row = packing.sorted_indices[place]
        length = packing.lengths[row]
        parts.append(text(20, y + 20, heads[place], "l-strong"))
        for i, t in enumerate(steps):
            x = left + i * cell_w
            if t is None:
                parts.append(text(x + cell_w / 2, y + 20, "⋯", "l-quiet", "middle"))
                continue
            parts.append(box(x + 2, y + 2, cell_w - 4, CELL_H - 4, "l-in" if t < length else "l-pad", 3))
            if t < length:
                parts.append(text(x + cell_w / 2, y + 20, f"{before[t] + place:,}", "l-code", "middle"))
        y += CELL_H
    parts.append(text(20, y + 22, "batch_sizes", "l-code l-strong"))
    for i, t in enumerate(steps):
        label = "⋯" if t is None else f"{packing.batch_size(t):,}" if packing.batch_size(t) else "–"
        parts.append(text(left + i * cell_w + cell_w / 2, y + 22, label, "l-code", "middle"))
    note = f"Numbers are places in data: {packing.T:,} steps in place of {packing.padded:,}. Read column by column."
    parts.append(text(20, y + 50, note, "l-quiet"))
    return "".join(parts), max(left + len(steps) * cell_w + 24, 20 + wide(note, "l-quiet") + 20), y + 62


def _head(packing: Packing, place: int) -> str:
    row = packing.sorted_indices[place]
    return f"row {row} ({packing.lengths[row]:,})"
