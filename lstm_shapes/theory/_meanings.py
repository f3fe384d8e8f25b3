"""What each tensor of the call is, in one plain sentence."""

from __future__ import annotations

from lstm_shapes.language import has, say

from .call import Call
from .spec import Spec

__all__ = ["meaning"]


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
    key = " ".join(["is", tensor, *(word for word, holds in said.items() if holds)])
    return say(key if has(key) else f"is {tensor}")
