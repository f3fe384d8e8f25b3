"""Where learners slip: the sentences that belong to a layer, each with the condition under which it does."""

from __future__ import annotations

from collections.abc import Callable

from lstm_shapes.display import Shown

from .call import Call
from .counts import Counts
from .spec import Spec

__all__ = ["Notes", "notes"]


class Notes(Shown, tuple[str, ...]):
    """Sentences about one layer and call, code in backticks: a tuple that shows itself as a list."""

    __slots__ = ()


def notes(spec: Spec, call: Call, *, first: bool = False) -> Notes:
    """The notes that apply to this layer and call, most often needed first; `first`: those of the first screen only.

    >>> notes(Spec(28, 256, dropout=0.5), Call(), first=True)[-2]
    '`dropout=0.5` does nothing here: it acts between layers, and K = 1 has no between.'
    """
    counts = Counts(spec, call)
    last = "Y[:, -1]" if spec.batch_first and call.batched else "Y[-1]"
    own_last = "Y[torch.arange(N), lengths - 1" if spec.batch_first else "Y[lengths - 1, torch.arange(N)"
    gaps = {
        "last": last,
        "own_last": f"{own_last}{f', :{spec.width}' * (spec.R == 2)}]" if call.short else last,
        "share": f"{counts.recurrent_share:.0%}",
        "half": spec.D // 2,
        "half_total": f"{Counts(spec.replace(D=spec.D // 2)).total:,}" if _halves(spec) else "",
        "total": f"{counts.total:,}",
        "dropout": f"{spec.dropout:g}",
        "D": spec.D,
        "P": spec.P,
    }
    texts = (text for applies, text in (_FIRST if first else _FIRST + _LATER) if applies(spec, call))
    return Notes(text.format(**gaps) for text in texts)


_Note = tuple[Callable[[Spec, Call], bool], str]


def _halves(spec: Spec) -> bool:
    """Whether D can be halved: not below the width that is projected to."""
    return spec.D // 2 > spec.P


# One row a note: when it applies, what it says. These stand on the first screen, most often needed first.
_FIRST: tuple[_Note, ...] = (
    (
        lambda s, c: s.batch_first and not s.kind.step and c.batched,
        "Is `Y[:, -1, :]` different from `Y[:, -1:]`? Yes: an integer takes its axis away, a slice keeps it with size "
        "1: the same numbers with one axis more. Linear takes either, but cross entropy against N labels wants the "
        "first.",
    ),
    (
        lambda s, c: not s.kind.step and c.batched,
        "Every state is (K·R, N, …) in both layouts: `batch_first` never moves the axes of a state.",
    ),
    (
        lambda s, c: not s.kind.step and c.batched and s.batch_first,
        "`x.size(0)` is N, the batch, and `x.size(1)` is L, the steps, because `batch_first=True`.",
    ),
    (
        lambda s, c: not s.kind.step and c.batched and not s.batch_first,
        "`x.size(0)` is L, the steps, and `x.size(1)` is N, the batch, because `batch_first=False`.",
    ),
    (
        lambda s, c: s.has_c and not s.kind.step,
        "`{last}` is hidden state, not cell state. The cell state never appears in Y; it is `cn`, at the "
        "last step only.",
    ),
    (
        lambda s, c: c.short,
        "Rows are shorter than L, and Y is zero beyond each row's length: read `hn`, or `{own_last}`.",
    ),
    (
        lambda s, c: s.P > 0,
        "The projection makes h and Y P = {P} wide; c stays D = {D} wide, so h0 and c0 differ.",
    ),
    (
        lambda s, c: not c.batched and not s.kind.step,
        "A 2-D x is one sequence, (L, Q), never a batch: states are (K·R, H) without N.",
    ),
    (
        lambda s, c: s.kind.step,
        "A cell does one step of one layer and returns its new state, no Y: the loop over steps is yours.",
    ),
    (
        lambda s, c: s.dropout > 0 and s.K == 1 and not s.kind.step,
        "`dropout={dropout}` does nothing here: it acts between layers, and K = 1 has no between.",
    ),
    (
        lambda s, c: not s.kind.step,
        "torch's own default is `batch_first=False`; this library's is True. "
        "torch's docs write D for directions; here D is the hidden width.",
    ),
)

_LATER: tuple[_Note, ...] = (
    (
        lambda s, c: s.R == 2,
        "`{last}` is no summary of both directions: its backward half has read one step only. "
        "Join `hn[-2]` (forward) and `hn[-1]` (backward).",
    ),
    (
        lambda s, c: not s.kind.step and s.R == 1 and s.K > 1,
        "`hn[-1]` is the top layer, `hn[0]` the bottom one; Y holds the top layer only, so `{own_last}` equals "
        "`hn[-1]`.",
    ),
    (
        lambda s, c: s.dropout > 0 and s.K > 1,
        "`dropout={dropout}` acts on the output of each layer but the last, in train mode only.",
    ),
    (
        lambda s, c: _halves(s) and Counts(s).D_costs,
        "D is what costs: {share} of the parameters sit in the recurrent matrices. With D = {half} it is {half_total} "
        "in place of {total} parameters.",
    ),
)
