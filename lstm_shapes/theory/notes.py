"""What each tensor of a call is, and where learners slip: sentences, each with the condition under which it is said.

The sentences stand in `language/`, whole, by a key; what a layer puts into their {gaps} is no prose but code, symbols
and numbers.
"""

from __future__ import annotations

from lstm_shapes.display import Several
from lstm_shapes.language import say

from .call import Call
from .counts import Counts, kept_elements
from .slices import Layout, last_step
from .spec import Spec


class Notes(Several[str]):
    """Sentences about one layer and call: a tuple that shows itself as a list."""


# What a learner should mind before anything else: these stand on the first screen.
_FIRST = {
    *("open question", "states and layout", "batch first", "time first", "hidden, not cell"),
    *("short rows", "short rows, two directions", "projection", "unbatched", "one step", "no dropout", "torch's words"),
}


def notes(spec: Spec, call: Call, *, first: bool = False) -> Notes:
    """The notes that apply to this layer and call, most often needed first; `first`: those of the first screen only.

    >>> notes(Spec(28, 256, dropout=0.5), Call())[4]
    '`dropout=0.5` does nothing here: it acts between layers, and K = 1 has no between.'
    """
    said = (one for one in keyed_notes(spec, call) if not first or one[0] in _FIRST)
    return Notes(say(f"note {key}", **gaps) for key, gaps in said)


def meaning(spec: Spec, call: Call, tensor: str) -> str:
    """The sentence for X, h0, c0, Y, hn or cn of this layer, or for the pairs `"h0, c0"` and `"hn, cn"`.

    >>> meaning(Spec(28, 256, 3), Call(), "Y")
    "top layer's hidden state after every step"
    """
    kind = {"n": "last", "0": "state"}.get(tensor[1:2], tensor)
    said = {
        "unbatched": tensor == "X" and not call.batched,
        "cell": spec.kind.step,
        "both": kind in ("Y", "last") and spec.R == 2,
        "rows": kind == "last" and call.lengths is not None,
    }
    key = ", ".join([f"is {kind}", *(word for word, holds in said.items() if holds)])
    state = "" if kind == tensor else say(f"state {tensor.translate({ord('n'): None, ord('0'): None})}")
    return say(key, state=state, initial=tensor.replace("n", "0"))


def keyed_notes(spec: Spec, call: Call) -> tuple[tuple[str, dict[str, object]], ...]:
    """The same as keys, each with all that may go into the gaps of a note."""
    layout, counts = Layout(spec, call), Counts(spec)
    half = spec.D // 2 if layout.facts["halved"] else spec.D
    gaps: dict[str, object] = {
        "P": spec.P,
        "D": spec.D,
        "K": spec.K,
        "H": spec.width,
        "width": spec.R * spec.H,
        "layer": spec.kind.layer,
        "dropout": f"{spec.dropout:g}",
        "returned": "(h, c)" if spec.has_c else "h",
        "states": spec.states("n"),
        "last": layout.step("-1"),
        "gathered": layout.own_last("f" if spec.R == 2 else ""),
        "summary": last_step(spec, call),
        "top": "[-1]" if spec.R == 1 else "[-1, 0]",
        "share": f"{counts.recurrent_share:.0%}",
        "total": f"{counts.total:,}",
        "half": half,
        "less": f"{Counts(spec.replace(D=half)).total:,}",
        "kept": f"{kept_elements(spec, call):,}",
    }
    return tuple((key, gaps) for key, about in NOTES.items() if layout.fits(about))


NOTES = {
    "open question": "layer batched batch_first",
    "states and layout": "layer batched",
    "batch first": "layer batched batch_first",
    "time first": "layer batched -batch_first",
    "hidden, not cell": "layer has_c",
    "top layer": "deep -two_way -short",
    "top layer, short rows": "deep -two_way short",
    "half a summary": "two_way",
    "short rows": "short -two_way",
    "short rows, two directions": "short two_way",
    "projection": "projected",
    "unbatched": "layer -batched",
    "one step": "cell",
    "no dropout": "layer dropout -deep",
    "dropout": "dropout deep",
    "D costs": "wide -halved D_costs",
    "D costs, half": "halved D_costs",
    "share": "wide -halved -D_costs",
    "share, half": "halved -D_costs",
    "shared weights": "layer",
    "nothing kept": "layer -two_way",
    "nothing kept, two directions": "two_way",
    "which output": "layer",
    "Keras": "layer",
    "chained": "deep",
    "cell states": "layer has_c",
    "batch size": "layer batched",
    "widths": "layer",
    "memory": "layer",
    "torch's words": "layer",
}
"""Note -> the facts of a `Layout` of which it is said, in the order of the page."""
