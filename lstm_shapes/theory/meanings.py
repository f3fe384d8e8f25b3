"""What each tensor of the call is, in one plain sentence."""

from __future__ import annotations

from .call import Call
from .spec import Spec

__all__ = ["meaning"]

# The tensor, or a pair of one shape, and what is special about the call -> the sentence.
_SENTENCES = {
    "X": "input: N sequences, L steps, Q features",
    "X unbatched": "input: L steps, Q features",
    "X cell": "input: one step of N sequences, Q features",
    "X unbatched cell": "input: one step, Q features",
    "X.data": "packed input: T real steps, no padding",
    "Y.data": "packed output: T real steps, no padding",
    "h0": "hidden state before step 0, zeros if left out",
    "c0": "cell state before step 0, zeros if left out",
    "h0, c0": "states before step 0, zeros if left out",
    "Y": "top layer's hidden state after every step",
    "Y both": "top layer's hidden state, forward half first",
    "hn": "every layer's hidden state after its last step",
    "cn": "every layer's cell state after its last step",
    "hn, cn": "every layer's states after its last step",
    "hn both": "each layer's and direction's last hidden state",
    "cn both": "each layer's and direction's last cell state",
    "hn, cn both": "each layer's and direction's last states",
    "hn rows": "every layer's hidden state at each row's own end",
    "cn rows": "every layer's cell state at each row's own end",
    "hn, cn rows": "every layer's states at each row's own end",
    "hn both rows": "each layer's and direction's hidden state at each row's own end",
    "cn both rows": "each layer's and direction's cell state at each row's own end",
    "hn, cn both rows": "each layer's and direction's states at each row's own end",
    "h0 cell": "hidden state before this step, zeros if left out",
    "c0 cell": "cell state before this step, zeros if left out",
    "h0, c0 cell": "states before this step, zeros if left out",
    "hn cell": "hidden state after this step; feed it back as h0",
    "cn cell": "cell state after this step; feed it back as c0",
    "hn, cn cell": "states after this step; feed them back as h0 and c0",
}


def meaning(spec: Spec, call: Call, tensor: str) -> str:
    """The sentence for X, h0, c0, Y, hn or cn of this layer, or for the pairs `"h0, c0"` and `"hn, cn"`.

    >>> meaning(Spec(28, 256, 3), Call(), "Y")
    "top layer's hidden state after every step"
    """
    said = {
        "unbatched": tensor == "X" and not call.batched,
        "both": tensor[0] in "Yhc" and spec.R == 2,
        "rows": tensor[0] in "hc" and call.lengths is not None,
        "cell": spec.kind.step,
    }
    key = " ".join([tensor, *(word for word, holds in said.items() if holds)])
    return _SENTENCES[key if key in _SENTENCES else tensor]
