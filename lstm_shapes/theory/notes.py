"""What each tensor of a call is, and where learners slip: sentences, each with the condition under which it is said.

The sentences stand in `language/`, whole, by a key; what a layer puts into their {gaps} is no prose but code, symbols
and numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from lstm_shapes.display import Several
from lstm_shapes.language import say

from .call import Call
from .counts import Counts, kept_elements
from .slices import Layout
from .spec import Spec

_Gaps = dict[str, object]


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


def keyed_notes(spec: Spec, call: Call) -> tuple[tuple[str, _Gaps], ...]:
    """The same as keys, each with what goes into its gaps."""
    return tuple((key, gaps(spec, call)) for key, applies, gaps in _NOTES if applies(spec, call))


def _layer(spec: Spec, call: Call) -> bool:
    return not spec.kind.step


def _batch(spec: Spec, call: Call) -> bool:
    return not spec.kind.step and call.batched


def _one_way(spec: Spec, call: Call) -> bool:
    return not spec.kind.step and spec.R == 1


def _summary(spec: Spec, call: Call) -> str:
    """What one answer a sequence is read from."""
    if spec.R == 2:
        return "torch.cat((hn[-2], hn[-1]), dim=-1)"
    return "hn[-1]" if call.short else Layout(spec, call).step("-1")


def _share(spec: Spec, call: Call) -> _Gaps:
    return {"share": f"{Counts(spec).recurrent_share:.0%}"}


def _half(spec: Spec, call: Call) -> _Gaps:
    half = spec.D // 2
    less, total = Counts(spec.replace(D=half)).total, Counts(spec).total
    return {**_share(spec, call), "half": half, "less": f"{less:,}", "total": f"{total:,}"}


def _last(spec: Spec, call: Call) -> _Gaps:
    return {"last": Layout(spec, call).step("-1")}


def _gathered(spec: Spec, call: Call) -> _Gaps:
    return {"gathered": Layout(spec, call).own_last("f" if spec.R == 2 else "")}


def _dropout(spec: Spec, call: Call) -> _Gaps:
    return {"dropout": f"{spec.dropout:g}"}


def _none(spec: Spec, call: Call) -> _Gaps:
    return {}


# One row a note: its key, when it applies, what goes into its gaps.
_NOTES: tuple[tuple[str, Callable[[Spec, Call], bool], Callable[[Spec, Call], _Gaps]], ...] = (
    ("open question", lambda s, c: _batch(s, c) and s.batch_first, _none),
    ("states and layout", _batch, _none),
    ("batch first", lambda s, c: _batch(s, c) and s.batch_first, _none),
    ("time first", lambda s, c: _batch(s, c) and not s.batch_first, _none),
    ("hidden, not cell", lambda s, c: _layer(s, c) and s.has_c, _last),
    ("top layer", lambda s, c: _one_way(s, c) and s.K > 1 and not c.short, _last),
    ("top layer, short rows", lambda s, c: _one_way(s, c) and s.K > 1 and c.short, _last),
    ("half a summary", lambda s, c: s.R == 2, _last),
    ("short rows", lambda s, c: c.short and s.R == 1, _gathered),
    ("short rows, two directions", lambda s, c: c.short and s.R == 2, _gathered),
    ("projection", lambda s, c: s.P > 0, lambda s, c: {"P": s.P, "D": s.D}),
    ("unbatched", lambda s, c: _layer(s, c) and not c.batched, lambda s, c: {"H": s.width}),
    ("one step", lambda s, c: s.kind.step, lambda s, c: {"returned": "(h, c)" if s.has_c else "h"}),
    ("no dropout", lambda s, c: _layer(s, c) and s.dropout > 0 and s.K == 1, _dropout),
    ("dropout", lambda s, c: s.dropout > 0 and s.K > 1, _dropout),
    ("D costs", lambda s, c: 1 < s.D <= 2 * s.P + 1 and Counts(s).D_costs, _share),
    ("D costs, half", lambda s, c: s.D > 2 * s.P + 1 and Counts(s).D_costs, _half),
    ("share", lambda s, c: 1 < s.D <= 2 * s.P + 1 and not Counts(s).D_costs, _share),
    ("share, half", lambda s, c: s.D > 2 * s.P + 1 and not Counts(s).D_costs, _half),
    ("shared weights", _layer, _none),
    ("nothing kept", _one_way, lambda s, c: {"states": "(hn, cn)" if s.has_c else "hn"}),
    ("nothing kept, two directions", lambda s, c: s.R == 2, _none),
    ("which output", _layer, lambda s, c: {"width": s.R * s.H, "summary": _summary(s, c)}),
    ("Keras", _layer, lambda s, c: {"summary": _summary(s, c)}),
    ("chained", lambda s, c: s.K > 1, lambda s, c: {"K": s.K, "layer": s.kind.layer}),
    ("cell states", lambda s, c: _layer(s, c) and s.has_c, lambda s, c: {"top": "[-1]" if s.R == 1 else "[-1, 0]"}),
    ("batch size", _batch, _none),
    ("widths", _layer, _none),
    ("memory", _layer, lambda s, c: {"kept": f"{kept_elements(s, c):,}"}),
    ("torch's words", _layer, _none),
)

KEYS = tuple(key for key, _, _ in _NOTES)
