"""Parameter shares as SVG bars: each layer's input, recurrent, bias and projection weights beside each other."""

from __future__ import annotations

from lstm_shapes.theory.counts import Counts, Term
from lstm_shapes.views.choice import ends

from .frame import GATE_COLOURS, box, text, wide

__all__ = ["bars_body"]

LAYERS_SHOWN = 5
LEFT, WIDTH, BAR, GAP = 96, 620, 30, 40
_ORDER = ("input", "recurrent", "bias", "projection")


def bars_body(counts: Counts, top: float) -> tuple[str, float, float]:
    """The drawing from `top` down, its width and where it ends."""
    layers = [None if k is None else counts.layers[k] for k in ends(counts.spec.K, LAYERS_SHOWN)]
    most = max(layer.total for layer in layers if layer is not None)
    parts, y = [], top
    for layer in layers:
        if layer is None:
            parts.append(text(20, y + 20, "⋮", "l-strong"))
            y += BAR
            continue
        parts.append(text(20, y + 20, f"layer {layer.index}", "l-strong"))
        x: float = LEFT
        for term in layer.terms:
            number = counts.spec.R * term.value
            width = WIDTH * number / most
            parts.append(box(x, y, max(width, 1), BAR, GATE_COLOURS[_ORDER.index(term.name)], 2))
            label = _fitting(term, number, width)
            parts.append(text(x + width / 2, y + 20, label, "l-ink", "middle") if label else "")
            x += width
        parts.append(text(x + 10, y + 20, f"{layer.total:,}", "l-strong"))
        y += BAR + GAP - 18
    x = LEFT
    by = f"{counts.spec.R} directions, " if counts.spec.R > 1 else ""
    for term in (counts.upper or counts.first).terms:
        name = _legend(counts, term)
        if x > LEFT and x + 18 + wide(name, "l-quiet") > LEFT + WIDTH + 90:
            x, y = LEFT, y + 20
        parts.append(box(x, y + 4, 12, 12, GATE_COLOURS[_ORDER.index(term.name)], 2))
        parts.append(text(x + 18, y + 15, name, "l-quiet"))
        x += 34 + wide(name, "l-quiet")
    share = f"{by}{counts.recurrent_share:.0%} of all {counts.total:,} parameters are recurrent"
    share += ": D is what costs." if counts.D_costs else "."
    parts.append(text(20, y + 44, share, "l-quiet"))
    total = max(wide(f"{layer.total:,}") for layer in layers if layer is not None)
    return "".join(parts), max(LEFT + WIDTH + 30 + total, 40 + wide(share, "l-quiet")), y + 56


def _legend(counts: Counts, term: Term) -> str:
    """A term's name and formula; the first layer reads Q features and those above it what lies below them."""
    first = counts.first.terms[0].formula
    if term.name != "input" or counts.upper is None or term.formula == first:
        return f"{term.name}: {first if term.name == 'input' else term.formula}"
    return f"input: {first} in layer 0, {term.formula} above"


def _fitting(term: Term, number: int, width: float) -> str:
    """The longest label that fits its part of the bar."""
    for label in (f"{term.formula} = {number:,}" if number == term.value else f"{number:,}", f"{number:,}"):
        if 8 * len(label) < width:
            return label
    return ""
