"""What each tensor of the call is, in one plain sentence."""

from __future__ import annotations

from .call import Call
from .numerals import counted
from .spec import Spec

__all__ = ["meaning"]

# (tensor) -> sentence; {…} is filled from the layer, so that one row serves every kind.
_SENTENCES = {
    "X": "the input: {features} at {steps}{sequences}",
    "h0": "hidden state before the first step, zeros if left out",
    "c0": "cell state before the first step, zeros if left out",
    "Y": "hidden state of the top layer after every step{halves}",
    "hn": "hidden state of every layer{directions} after {last} step",
    "cn": "cell state of every layer{directions} after {last} step",
}
_CELL_SENTENCES = {
    "hn": "hidden state after this step; feed it back as h0",
    "cn": "cell state after this step; feed it back as c0",
}


def meaning(spec: Spec, call: Call, tensor: str) -> str:
    """The sentence for X, h0, c0, Y, hn or cn of this layer.

    >>> meaning(Spec(28, 256, 3), Call(), "Y")
    'hidden state of the top layer after every step'
    """
    sentence = _CELL_SENTENCES.get(tensor) if spec.kind.step else None
    return (sentence or _SENTENCES[tensor]).format(
        features=counted(spec.Q, "feature"),
        steps="one step" if call.L == 1 else f"each of {call.L:,} steps",
        sequences="" if call.N is None else f", for {counted(call.N, 'sequence')}",
        halves=", forward half first" if spec.R == 2 else "",
        directions=" and direction" if spec.R == 2 else "",
        last="its last" if call.lengths is None else "each row's own last",
    )
