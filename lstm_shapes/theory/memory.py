"""Activations: what a forward pass keeps until backward, term by term.

Counted are the floating-point tensors that autograd saves while an unfused layer trains (what
`torch.autograd.graph.saved_tensors_hooks` sees): each block of memory once, the weights and their gradients not
at all, X as the first layer's input. That path is the one of float64 on every CPU. Fused kernels keep the same
facts in a form of their own, oneDNN in a workspace and cuDNN in a reserve, whose sizes follow no published
formula: a float32 LSTM(28, 256, 3) on (64, 28, 28) keeps 93,859,840 bytes with oneDNN (torch 2.13, x86) and
42,405,888 unfused. Under `torch.no_grad()` nothing is kept.

In the formulas T is the steps of all sequences together. A packed batch shrinks as rows end, and the state
that enters a step is then kept with the rows it still had one step earlier: T + N - n of them in all, n being
the rows that reach the last step. Read backward the batch grows, and a state is joined with the start of the new
rows: m rows in all, which matters to the RNN alone, as the others keep no state after a step.

Source: `aten/src/ATen/native/RNN.cpp`, the operators of LSTMCell, GRUCell and SimpleCell there.
"""

from __future__ import annotations

from collections.abc import Iterator

from lstm_shapes.language import has, say

from .call import Call
from .spec import Spec
from .terms import Term

__all__ = ["kept_elements", "kept_for_backward"]

# One row a tensor: its name, on what it depends, its width. "T": one row a step; "state": the state that enters
# each step; "T + N": the state after each step and before the first. `h'` and `c'` are before the step.
_KEPT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "LSTM": (
        ("gates i, f, g, o", "T", "4·D"),
        ("tanh(c)", "T", "D"),
        ("c'", "state", "D"),
        ("h'", "state", "H"),
    ),
    "GRU": (
        # r and z are computed in place, in the product W_h·h', whose third block stays with them.
        ("gates r, z in W_h·h'", "T", "3·D"),
        ("W_hn·h' + b_hn", "T", "D"),
        ("n", "T", "D"),
        ("h' - n", "T", "D"),
        ("h'", "state", "D"),
    ),
    "RNN": (("h, and h0", "T + N", "D"),),
}


def kept_elements(spec: Spec, call: Call) -> int:
    """Elements kept for backward: for an LSTM T·(4D + 2D + H) in each layer and direction, and each layer's input.

    >>> kept_elements(Spec(3, 7), Call(N=2, L=5))
    520
    """
    return sum(term.value for term in kept_for_backward(spec, call))


def kept_for_backward(spec: Spec, call: Call) -> tuple[Term, ...]:
    """What is kept, whose sum `kept_elements` is.

    >>> for term in kept_for_backward(Spec(3, 7), Call(N=2, L=5)):
    ...     print(term)
    inputs of the layers: T·Q = 10·3 = 30
    gates i, f, g, o: T·4·D = 10·4·7 = 280
    tanh(c): T·D = 10·7 = 70
    c': T·D = 10·7 = 70
    h': T·D = 10·7 = 70
    """
    return tuple(_terms(spec, call))


def _terms(spec: Spec, call: Call) -> Iterator[Term]:
    T, N, K, R = call.T, call.N or 1, spec.K, spec.R
    upper = spec.R * spec.H
    hidden, H = ("P", spec.P) if spec.P else ("D", spec.D)
    wide = f"R·{hidden}" if R > 1 else hidden
    # With batch_first each direction makes its own time-major copy of X; else both keep X itself.
    copies = R if spec.batch_first and call.lengths is None and N > 1 and call.L > 1 else 1
    first, put_first = ("R·Q", f"{R}·{spec.Q}") if copies > 1 else ("Q", f"{spec.Q}")
    if K > 1:
        first, put_first = f"({first} + (K-1)·{wide})", f"({put_first} + {K - 1}·{upper})"
    yield Term(say("kept inputs"), f"T·{first}", f"{T}·{put_first}", T * (copies * spec.Q + (K - 1) * upper))
    if spec.dropout and K > 1:
        yield _masks(spec, T, wide)
    # The rows that a state has when it enters a step, summed over steps; see the module's text on packing.
    entering = T if call.lengths is None else T + N - call.lengths.count(max(call.lengths))
    rows = {
        "T": ("T", f"{T}", T),
        "state": ("T", f"{T}", T) if call.lengths is None else ("(T + N - n)", f"{entering}", entering),
        "T + N": ("(T + N)" if call.batched else "(T + 1)", f"{T + N}", T + N),
    }
    widths = {"4·D": (4, "D", spec.D), "3·D": (3, "D", spec.D), "D": (1, "D", spec.D), "H": (1, hidden, H)}
    kept = _KEPT[spec.kind.layer] + ((("h before the projection", "T", "D"),) if spec.P else ())
    times = [("K", K), ("R", R)]
    before = [(symbol, number) for symbol, number in times if number > 1]
    for name, per, width in kept:
        factor, symbol, size = widths[width]
        blocks = [str(factor)] if factor > 1 else []
        formula = "·".join([*(symbol for symbol, _ in before), rows[per][0], *blocks, symbol])
        numbers = "·".join([*(str(number) for _, number in before), rows[per][1], *blocks, str(size)])
        told = say(f"kept {name}") if has(f"kept {name}") else name  # the others are code
        yield Term(told, formula, numbers, K * R * rows[per][2] * factor * size)
    joined = _joined_rows(call) if R > 1 and "T + N" in (per for _, per, _ in kept) else 0
    if joined:
        yield Term(say("kept joined"), "K·m·D", f"{K}·{joined}·{spec.D}", K * joined * spec.D)


def _joined_rows(call: Call) -> int:
    """m: the rows of the batch at every step where, reading backward, sequences begin."""
    ordered = sorted(call.lengths or ())
    # At the last step of a row that is not among the longest, the batch has every row that is as long.
    ends = {length: len(ordered) - row for row, length in reversed(list(enumerate(ordered)))}
    return sum(rows for length, rows in ends.items() if length < ordered[-1])


def _masks(spec: Spec, T: int, wide: str) -> Term:
    """Dropout between layers keeps the mask it multiplied with; at 1 it multiplies with a single zero."""
    if spec.dropout == 1:
        return Term(say("kept zeros of dropout"), "K-1", f"{spec.K - 1}", spec.K - 1)
    value = (spec.K - 1) * T * spec.R * spec.H
    return Term(say("kept masks of dropout"), f"(K-1)·T·{wide}", f"{spec.K - 1}·{T}·{spec.R * spec.H}", value)
