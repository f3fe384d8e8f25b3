"""Parameter shares in characters and in words: a bar for each term of each layer."""

from __future__ import annotations

from lstm_shapes.theory.counts import Counts

from .choice import ends

__all__ = ["LAYERS_SHOWN", "shares_sentences", "shares_text"]

LAYERS_SHOWN = 5


def shares_text(counts: Counts, width: int) -> str:
    """A bar for each layer's terms."""
    layers = counts.layers
    most = max(layer.total for layer in layers[:2])
    shown = ends(len(layers), LAYERS_SHOWN)
    head = max(len(f"layer {k}") for k in shown if k is not None)
    rows = [
        (f"layer {k}", layers[k].spec.R * term.value / most, str(term))
        for k in shown if k is not None for term in layers[k].terms
    ]  # fmt: skip
    room = max(6, min(24, width - head - 2 - max(len(term) for _, _, term in rows)))
    lines = []
    for k in shown:
        if k is None:
            lines.append("⋮")
        lines += [
            f"{name:<{head}} {'█' * round(room * share) or '▏':<{room}} {term}"
            for name, share, term in rows if name == f"layer {k}"
        ]  # fmt: skip
    return "\n".join(lines)


def shares_sentences(counts: Counts) -> tuple[str, ...]:
    """The drawing in words.

    >>> from lstm_shapes import count
    >>> shares_sentences(count(28, 256, 2))[0]
    'Layer 0 holds 292,864 parameters: input 28,672, recurrent 262,144, bias 2,048.'
    """
    told = []
    for k in ends(len(counts.layers), LAYERS_SHOWN):
        if k is not None:
            layer = counts.layers[k]
            terms = ", ".join(f"{term.name} {counts.spec.R * term.value:,}" for term in layer.terms)
            told.append(f"Layer {k} holds {layer.total:,} parameters: {terms}.")
    return (*told, f"{counts.recurrent_share:.0%} of all {counts.total:,} parameters are recurrent.")
