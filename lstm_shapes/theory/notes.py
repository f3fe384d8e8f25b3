"""Where learners slip: the sentences that belong to a layer, each with the condition under which it does."""

from __future__ import annotations

from collections.abc import Callable

from .call import Call
from .counts import Counts
from .spec import Spec

__all__ = ["notes"]

_Note = tuple[Callable[[Spec, Call], bool], Callable[[Spec, Call], str]]


def notes(spec: Spec, call: Call) -> tuple[str, ...]:
    """The notes that apply to this layer and call, most often needed first; code stands in backticks.

    >>> notes(Spec(28, 256, dropout=0.5), Call())[-3]
    '`dropout=0.5` does nothing here: it acts between layers, and K = 1 has no between.'
    """
    return tuple(text(spec, call) for applies, text in _NOTES if applies(spec, call))


def _size0(spec: Spec, call: Call) -> str:
    first, other = ("N, the batch", "L, the steps") if spec.batch_first else ("L, the steps", "N, the batch")
    return f"`x.size(0)` is {first}, and `x.size(1)` is {other}, because `batch_first={spec.batch_first}`."


def _cheaper(spec: Spec, call: Call) -> str:
    counts, half = Counts(spec), spec.D // 2
    text = f"{counts.recurrent_share:.0%} of the parameters sit in the recurrent matrices"
    if counts.D_costs:
        text = f"D is what costs: {text}"
    if half <= spec.P:
        return f"{text}."  # the half could not be projected to the same width
    less = Counts(spec.replace(D=half)).total
    return f"{text}. With D = {half} it is {less:,} in place of {counts.total:,} parameters."


# One row a note: when it applies, what it says.
_NOTES: tuple[_Note, ...] = (
    (
        lambda s, c: not s.kind.step and c.batched,
        lambda s, c: (
            f"`hn`{' and `cn` are' if s.has_c else ' is'} (K·R, N, …) in both layouts: "
            "`batch_first` never moves the axes of a state."
        ),
    ),
    (lambda s, c: not s.kind.step and c.batched, _size0),
    (
        lambda s, c: s.has_c and not s.kind.step,
        lambda s, c: (
            f"`{_last(s, c)}` is hidden state, not cell state. The cell state never appears in Y; "
            "it is `cn`, at the last step only."
        ),
    ),
    (
        lambda s, c: not s.kind.step and s.R == 1 and s.K > 1,
        lambda s, c: (
            f"`hn[-1]` is the top layer, `hn[0]` the bottom one; Y holds the top layer only, "
            f"so `{_last(s, c)}` equals `hn[-1]`" + (" for rows of full length." if c.short else ".")
        ),
    ),
    (
        lambda s, c: s.R == 2,
        lambda s, c: (
            f"`{_last(s, c)}` is no summary of both directions: its backward half has read one step only. "
            "Join `hn[-2]` (forward) and `hn[-1]` (backward)."
        ),
    ),
    (
        lambda s, c: c.short,
        lambda s, c: (
            "Rows are shorter than L, and Y is zero beyond each row's length: read `hn[-1]`, or "
            f"`{'Y[torch.arange(N), lengths - 1]' if s.batch_first else 'Y[lengths - 1, torch.arange(N)]'}`"
            f"{' for the forward half' if s.R == 2 else ''}."
        ),
    ),
    (
        lambda s, c: s.P > 0,
        lambda s, c: f"The projection makes h and Y P = {s.P} wide; c stays D = {s.D} wide, so h0 and c0 differ.",
    ),
    (
        lambda s, c: not c.batched and not s.kind.step,
        lambda s, c: "A 2-D x is one sequence, (L, Q), never a batch: states are (K·R, H) without N.",
    ),
    (
        lambda s, c: s.kind.step,
        lambda s, c: (
            f"A cell does one step of one layer and returns {'(h, c)' if len(s.kind.states) > 1 else 'h'}, "
            "no Y: the loop over steps is yours."
        ),
    ),
    (
        lambda s, c: s.dropout > 0 and s.K == 1 and not s.kind.step,
        lambda s, c: f"`dropout={s.dropout:g}` does nothing here: it acts between layers, and K = 1 has no between.",
    ),
    (
        lambda s, c: s.dropout > 0 and s.K > 1,
        lambda s, c: f"`dropout={s.dropout:g}` acts on the output of each layer but the last, in train mode only.",
    ),
    (lambda s, c: s.D > 1, _cheaper),
    (
        lambda s, c: not s.kind.step,
        lambda s, c: (
            "torch's own default is `batch_first=False`; this library's is True. "
            "torch's docs write D for directions; here D is the hidden width."
        ),
    ),
)


def _last(spec: Spec, call: Call) -> str:
    """The last step of Y as this layout writes it."""
    return "Y[:, -1]" if spec.batch_first and call.batched else "Y[-1]"
